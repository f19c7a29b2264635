//! What a Redis server says of itself: whether leads are safe there, and what a 2xx is worth.

use redis::{cmd, from_redis_value};

use super::address::Connection;

/// Nothing newer is required.
const VERSION_MIN: (u32, u32) = (6, 2);

/// Where Redis has no limit of its own, the pending may weigh this much: some two million leads.
const PENDING_BYTES: u64 = 2 << 30;

/// What can be said of all servers together: the worst of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// What a 2xx is worth.
    pub(super) durability: Durability,
    /// As much of its memory as the pending may take.
    pub(super) pending_bytes_max: u64,
}

/// What survives, from the least on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Durability {
    Memory,
    Replicated,
    EverySecond,
    Always,
}

impl Durability {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Replicated => "replicated",
            Self::EverySecond => "fsync every second",
            Self::Always => "fsync always",
        }
    }
}

/// Why a server is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// It lacks commands.
    #[error("Redis {0} is too old: 6.2 or newer is needed")]
    Old(String),
    /// It throws keys away when its memory is full.
    #[error(
        "Redis would throw leads away when its memory is full (maxmemory-policy {0}): set \
         maxmemory-policy noeviction, on a Redis that nobody else uses as a cache"
    )]
    Evicting(String),
    /// It did not say.
    #[error(transparent)]
    Unreachable(#[from] redis::RedisError),
}

/// Asks every server.
pub(super) async fn inspect(connection: &mut Connection) -> Result<Server, Unfit> {
    let answers = connection.ask_each(cmd("INFO").arg("everything")).await?;
    let mut server = Server { durability: Durability::Always, pending_bytes_max: PENDING_BYTES };
    let sync = appendfsync(connection).await;
    for answer in answers {
        let info = Info(from_redis_value(answer).map_err(redis::RedisError::from)?);
        let version = info.get("redis_version");
        if !is_new_enough(version) {
            return Err(Unfit::Old(version.to_owned()));
        }
        let policy = info.get("maxmemory_policy");
        if policy.starts_with("allkeys-") || policy.starts_with("volatile-") {
            return Err(Unfit::Evicting(policy.to_owned()));
        }
        server.durability = server.durability.min(info.durability(sync.as_deref()));
        let memory: u64 = info.get("maxmemory").parse().unwrap_or(0);
        if memory > 0 {
            server.pending_bytes_max = server.pending_bytes_max.min(memory / 2);
        }
    }
    Ok(server)
}

/// `always`, `everysec`, `no`; `None` where CONFIG is not for everybody, as with managed Redis.
async fn appendfsync(connection: &mut Connection) -> Option<String> {
    let answers = connection.ask_each(cmd("CONFIG").arg("GET").arg("appendfsync")).await.ok()?;
    let mut weakest: Option<String> = None;
    for answer in answers {
        let (_, sync): (String, String) = from_redis_value(answer).ok()?;
        if weakest.is_none() || sync != "always" {
            weakest = Some(sync);
        }
    }
    weakest
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= VERSION_MIN
}

/// The text of INFO.
struct Info(String);

impl Info {
    fn get(&self, name: &str) -> &str {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or("").trim()
    }

    fn durability(&self, appendfsync: Option<&str>) -> Durability {
        let replicas: u32 = self.get("connected_slaves").parse().unwrap_or(0);
        match (self.get("aof_enabled"), appendfsync) {
            ("1", Some("always")) => Durability::Always,
            ("1", Some("no")) | ("0" | "", _) if replicas > 0 => Durability::Replicated,
            ("1", Some("no")) => Durability::Memory,
            ("1", _) => Durability::EverySecond,
            _ => Durability::Memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        for (version, fits) in
            [("6.2.0", true), ("7.0.15", true), ("10.1.2", true), ("6.0.16", false), ("", false)]
        {
            assert_eq!(is_new_enough(version), fits, "{version}");
        }
    }

    #[test]
    fn a_2xx_is_worth_what_the_server_does() {
        let info = |aof: &str, replicas: &str| {
            Info(format!("# Persistence\r\naof_enabled:{aof}\r\nconnected_slaves:{replicas}\r\n"))
        };
        for (aof, replicas, sync, worth) in [
            ("1", "0", Some("always"), "fsync always"),
            ("1", "1", Some("everysec"), "fsync every second"),
            ("1", "0", None, "fsync every second"),
            ("0", "2", Some("always"), "replicated"),
            ("1", "0", Some("no"), "memory"),
            ("0", "0", Some("always"), "memory"),
        ] {
            assert_eq!(info(aof, replicas).durability(sync).as_str(), worth);
        }
    }
}
