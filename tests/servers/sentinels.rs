//! A master and its replica, and three sentinels that watch them.

use super::eventually;
use super::redis_server::{LOOK_WITHIN, Recipe, Redis, folder};

/// What the sentinels call what they watch.
const WATCHED: &str = "leads";

const SENTINELS: usize = 3;

/// As many must hold the master for down.
const QUORUM: usize = 2;

/// How often they ask each other, say who they are, and look who follows: more often than usual, for
/// tests to be short. Not so PING-PERIOD: a replica that was not heard of for 5 of them is not chosen,
/// and while its master is down it is heard of once a second.
const PERIODS_MS: [&str; 6] = ["ASK-PERIOD", "100", "PUBLISH-PERIOD", "200", "INFO-PERIOD", "500"];

/// Two servers, one of which is master, and the sentinels that say which.
pub struct Sentinels {
    /// The one that began as master, and the one that began as its replica.
    servers: [Redis; 2],
    sentinels: Vec<Redis>,
}

impl Sentinels {
    /// Three sentinels that know of each other, of the master and of a replica that is in step. They
    /// hold a server for down after 1 s, and a failover that is not done after 3 s for failed.
    pub fn start() -> Self {
        let master = Redis::start();
        let port = master.port().to_string();
        let following = ["--replicaof", "127.0.0.1", &port, "--repl-ping-replica-period", "1"];
        let replica = Redis::start_with(&following);
        let mut started = Self { servers: [master, replica], sentinels: Vec::new() };
        // Whoever follows before the sentinels come is seen at their first look.
        started.wait_until_in_step();
        started.sentinels = (0..SENTINELS).map(|_| sentinel(&port)).collect();
        let what = "the sentinels see everybody";
        eventually(
            what,
            || started.told(),
            || {
                started.sentinels.iter().try_for_each(|sentinel| {
                    let seen = watched(sentinel)?;
                    let count = |name: &str| field(&seen, name)?.parse::<usize>().ok();
                    let complete = count("num-slaves")? == 1
                        && count("num-other-sentinels")? == SENTINELS - 1
                        && field(&seen, "flags")? == "master";
                    complete.then_some(())
                })
            },
        );
        started
    }

    /// What a client is configured with:
    /// `redis-sentinel://127.0.0.1:S1,127.0.0.1:S2,127.0.0.1:S3/leads`
    pub fn url(&self) -> String {
        let addresses = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port()));
        format!("redis-sentinel://{}/{WATCHED}", addresses.collect::<Vec<_>>().join(","))
    }

    /// The server that began as master.
    pub fn master(&mut self) -> &mut Redis {
        &mut self.servers[0]
    }

    /// The server that began as replica.
    pub fn replica(&mut self) -> &mut Redis {
        &mut self.servers[1]
    }

    /// One of the three, to be killed or frozen.
    pub fn sentinel(&mut self, index: usize) -> &mut Redis {
        &mut self.sentinels[index]
    }

    /// The port of the master, by what most of the sentinels that are up say.
    pub fn current_master_port(&self) -> u16 {
        eventually("most sentinels name one master", || self.told(), || self.named())
    }

    /// SIGKILL for whoever is master now; answers its port.
    pub fn kill_master(&mut self) -> u16 {
        let port = self.current_master_port();
        let mut servers = self.servers.iter_mut();
        servers.find(|server| server.port() == port).expect("one of the two").kill();
        port
    }

    /// Waits until most sentinels name another master than the one on `port`, and it is one;
    /// answers its port.
    pub fn wait_for_another_master(&self, port: u16) -> u16 {
        eventually(
            "another master takes over",
            || self.told(),
            || {
                let named = self.named().filter(|&named| named != port)?;
                let server = self.servers.iter().find(|server| server.port() == named)?;
                server.replication()?.follows.is_none().then_some(named)
            },
        )
    }

    /// Waits until one of the two follows the other and has all that it has.
    pub fn wait_until_in_step(&self) {
        eventually(
            "the replica is in step",
            || self.told(),
            || {
                let mut both = self.servers.iter();
                both.find_map(|server| {
                    server.replication()?.follows.and(server.in_step(&self.servers))
                })
            },
        );
    }

    /// What all of them wrote last.
    pub fn told(&self) -> String {
        let all = self.servers.iter().chain(&self.sentinels);
        all.map(Redis::told).collect::<Vec<_>>().join("\n")
    }

    fn named(&self) -> Option<u16> {
        let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", WATCHED];
        let up = self.sentinels.iter().filter(|sentinel| sentinel.is_up());
        let answers = up
            .filter_map(|sentinel| sentinel.query_within::<(String, u16)>(&ask, LOOK_WITHIN).ok());
        let ports: Vec<u16> = answers.map(|(_, port)| port).collect();
        let votes = |port: u16| ports.iter().filter(|&&named| named == port).count();
        ports.iter().copied().find(|&port| votes(port) >= QUORUM)
    }
}

fn sentinel(master_port: &str) -> Redis {
    let configuration = format!(
        "sentinel monitor {WATCHED} 127.0.0.1 {master_port} {QUORUM}\n\
         sentinel down-after-milliseconds {WATCHED} 1000\n\
         sentinel failover-timeout {WATCHED} 3000\n"
    );
    let recipe = Recipe { sentinel: Some(configuration), ..Recipe::default() };
    let sentinel = Redis::start_by(recipe, folder());
    sentinel.query::<()>(&[&["SENTINEL", "DEBUG"], &PERIODS_MS[..]].concat());
    sentinel
}

/// What a sentinel knows of the master: names and values in turn.
fn watched(sentinel: &Redis) -> Option<Vec<String>> {
    sentinel.query_within(&["SENTINEL", "MASTER", WATCHED], LOOK_WITHIN).ok()
}

fn field<'a>(fields: &'a [String], name: &str) -> Option<&'a str> {
    fields.chunks_exact(2).find_map(|pair| (pair[0] == name).then_some(pair[1].as_str()))
}
