//! One `redis-server`: plain, with TLS, with users; also what clusters and sentinels are made of.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use redis::{Client, Connection, FromRedisValue, RedisResult, TlsCertificates};
use tempfile::TempDir;

use super::eventually;
use super::port::Port;
use super::program::{Process, redis_server};
use super::tls::Certificates;

/// What every server is started with: nothing is written by itself, nothing is thrown away, and a
/// replica is served at once.
const DEFAULTS: [&str; 10] = [
    "--bind",
    "127.0.0.1",
    "--daemonize",
    "no",
    "--save",
    "",
    "--maxmemory-policy",
    "noeviction",
    "--repl-diskless-sync-delay",
    "0",
];

/// How long a connection and an answer may take. A server that is frozen gives neither.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The same for a look that is repeated.
pub(super) const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// How often somebody else may be faster to take a port that was free.
const PORTS_TRIED_MAX: u32 = 20;

/// As much of a log as a failure shows.
const LINES_SHOWN_MAX: usize = 40;

/// The password of the default user, which [`Redis::query`] is, where a named user is set up.
const PASSWORD: &str = "of-the-default-user";

/// A server on a free port of 127.0.0.1, with a folder of its own. Killed when dropped, whatever it
/// does then.
pub struct Redis {
    process: Option<Process>,
    port: Port,
    /// The port on which the nodes of a cluster speak to each other.
    bus: Option<Port>,
    recipe: Recipe,
    folder: TempDir,
}

/// What a server is started with each time, besides its ports.
#[derive(Default)]
pub(super) struct Recipe {
    pub arguments: Vec<String>,
    /// The configuration of a sentinel, which keeps there what it learns.
    pub sentinel: Option<String>,
    pub cluster: bool,
    pub tls: Option<Certificates>,
    pub user: Option<(String, String)>,
}

impl Recipe {
    pub(super) fn of(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { arguments, ..Self::default() }
    }
}

/// What a server says of itself and its master.
pub(super) struct Replication {
    /// The port of its master, where it has one.
    pub follows: Option<u16>,
    /// That its master, where it has one, is connected and has sent what it had.
    linked: bool,
    /// How many bytes of the master's history it has.
    offset: u64,
}

/// Somebody else listens on the port.
struct PortTaken;

impl Redis {
    /// A server that keeps its data in memory only, once it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Redis::start`], with `arguments` for the command line: `&["--appendonly", "yes"]`. For
    /// passwords there is [`Redis::start_with_user`].
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_by(Recipe::of(arguments), folder())
    }

    /// A server that lets in a user of that name and password, who may do what the ACL `rules` say
    /// (`&["~*", "&*", "+@all"]`), and nobody without a password.
    pub fn start_with_user(name: &str, password: &str, rules: &[&str]) -> Self {
        let password_rule = format!(">{password}");
        let user = ["--requirepass", PASSWORD, "--user", name, "on", &password_rule];
        let mut recipe = Recipe::of(&[&user[..], rules].concat());
        recipe.user = Some((name.to_owned(), password.to_owned()));
        Self::start_by(recipe, folder())
    }

    /// A server that speaks TLS and nothing else, with a certificate for 127.0.0.1 and localhost
    /// that the authority in [`Redis::ca_file`] vouches for.
    pub fn start_tls() -> Self {
        let folder = folder();
        let made = Certificates::make(folder.path());
        let path = |file: &Path| file.to_str().expect("UTF-8").to_owned();
        let (authority, server) = (path(&made.authority), path(&made.server));
        let key = path(&made.server_key);
        let files = ["--tls-cert-file", &server, "--tls-key-file", &key];
        let clients = ["--tls-ca-cert-file", &authority, "--tls-auth-clients", "no"];
        let mut recipe = Recipe::of(&[files, clients].concat());
        recipe.tls = Some(made);
        Self::start_by(recipe, folder)
    }

    pub(super) fn start_by(recipe: Recipe, folder: TempDir) -> Self {
        if let Some(configuration) = &recipe.sentinel {
            std::fs::write(folder.path().join("sentinel.conf"), configuration).expect("a file");
        }
        let bus = recipe.cluster.then(Port::claim);
        let mut server = Self { port: Port::claim(), bus, recipe, folder, process: None };
        for _ in 0..PORTS_TRIED_MAX {
            match server.launch() {
                Ok(()) => return server,
                Err(PortTaken) => {
                    server.port = Port::claim();
                    server.bus = server.recipe.cluster.then(Port::claim);
                }
            }
        }
        panic!("{PORTS_TRIED_MAX} ports were taken\n{}", server.told());
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// What a client is configured with: `redis://127.0.0.1:PORT/0`; `rediss://` with TLS, and with
    /// the name and password where there are some.
    pub fn url(&self) -> String {
        let user = self.recipe.user.as_ref();
        self.url_of(&user.map(|(name, password)| format!("{name}:{password}@")).unwrap_or_default())
    }

    fn url_of(&self, user: &str) -> String {
        let scheme = if self.recipe.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://{user}127.0.0.1:{}/0", self.port())
    }

    /// The certificate of the authority behind a server with TLS, as PEM.
    pub fn ca_file(&self) -> &Path {
        &self.recipe.tls.as_ref().expect("a server with TLS").authority
    }

    /// The answer to one command, on a connection of its own: `redis.query::<u64>(&["DBSIZE"])`.
    /// (So WAIT has nothing to wait for: `wait_until_whole` and `wait_until_in_step` do that.)
    pub fn query<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_query(command)
            .unwrap_or_else(|error| panic!("{command:?}: {error}\n{}", self.told()))
    }

    /// As [`Redis::query`], where the answer may be an error, or none at all.
    pub fn try_query<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        self.query_within(command, ANSWER_WITHIN)
    }

    pub(super) fn query_within<T: FromRedisValue>(
        &self,
        command: &[&str],
        within: Duration,
    ) -> RedisResult<T> {
        command_of(command).query(&mut self.connection(within)?)
    }

    fn connection(&self, within: Duration) -> RedisResult<Connection> {
        let user = match self.recipe.user {
            Some(_) => format!(":{PASSWORD}@"),
            None => String::new(),
        };
        let url = self.url_of(&user);
        let client = match &self.recipe.tls {
            Some(made) => {
                let root_cert = Some(std::fs::read(&made.authority)?);
                Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert })?
            }
            None => Client::open(url)?,
        };
        let connection = client.get_connection_with_timeout(within)?;
        connection.set_read_timeout(Some(within))?;
        connection.set_write_timeout(Some(within))?;
        Ok(connection)
    }

    /// SIGKILL, and its end; nothing where it is down already.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Lets it end as it would with its machine: it writes down what it has to, and goes.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("a server that is up");
        process.signal("TERM");
        process.signal("CONT"); // one that is frozen does not hear
        let told = || self.told();
        eventually("redis-server ends", told, || process.has_ended().then_some(()));
    }

    /// Starts it on the same port with what it has on disk, once it is down.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "it is still up: kill() or stop() it first");
        if self.launch().is_err() {
            panic!("port {} was taken meanwhile\n{}", self.port(), self.told());
        }
    }

    /// Starts it on the same port with nothing, once it is down: as on a new disk.
    pub fn start_empty(&mut self) {
        assert!(self.process.is_none(), "it is still up: kill() or stop() it first");
        std::fs::remove_dir_all(self.data()).expect("the data");
        self.start_again();
    }

    /// SIGSTOP: connections stay open and are taken, and nothing is answered.
    pub fn freeze(&self) {
        self.up().signal("STOP");
    }

    /// SIGCONT: it answers whatever it was asked while it was frozen.
    pub fn thaw(&self) {
        self.up().signal("CONT");
    }

    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    pub(super) fn bus_port(&self) -> u16 {
        self.bus.as_ref().expect("a node of a cluster").number()
    }

    /// Whom it follows, and how far it has come.
    pub(super) fn replication(&self) -> Option<Replication> {
        let said: String = self.query_within(&["INFO", "replication"], LOOK_WITHIN).ok()?;
        let field = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
        let number = |name: &str| field(name)?.parse::<u64>().ok();
        let follows = number("master_port:").map(|port| port.try_into().expect("a port"));
        let linked = field("master_link_status:") != Some("down");
        let offset =
            number(if follows.is_some() { "slave_repl_offset:" } else { "master_repl_offset:" })?;
        Some(Replication { follows, linked, offset })
    }

    /// Whether it has all that its master, one of `all`, had a moment ago. A master has.
    pub(super) fn in_step(&self, all: &[Self]) -> Option<()> {
        let Some(port) = self.replication()?.follows else { return Some(()) };
        let master = all.iter().find(|server| server.port() == port)?.replication()?;
        let now = self.replication()?;
        (now.linked && now.offset >= master.offset).then_some(())
    }

    fn up(&self) -> &Process {
        self.process.as_ref().expect("a server that is up")
    }

    fn launch(&mut self) -> Result<(), PortTaken> {
        std::fs::create_dir_all(self.data()).expect("a folder");
        let log = File::create(self.log()).expect("a log");
        let mut command = redis_server();
        if self.recipe.sentinel.is_some() {
            command.arg(self.folder.path().join("sentinel.conf")).arg("--sentinel");
        }
        command.args(DEFAULTS).arg("--dir").arg(self.data()).args(self.port_arguments());
        command.args(&self.recipe.arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let mut process = Process::spawn(command);
        let launched = eventually(
            "redis-server answers",
            || self.told(),
            || {
                if process.has_ended() {
                    let taken = self.told().contains("Address already in use");
                    assert!(taken, "redis-server does not start\n{}", self.told());
                    return Some(Err(PortTaken));
                }
                self.answers(&process).then_some(Ok(()))
            },
        );
        self.process = Some(process).filter(|_| launched.is_ok());
        launched
    }

    fn port_arguments(&self) -> Vec<String> {
        let port = self.port().to_string();
        let mut arguments = match self.recipe.tls {
            Some(_) => vec!["--port".into(), "0".into(), "--tls-port".into(), port],
            None => vec!["--port".into(), port],
        };
        if let Some(bus) = &self.bus {
            arguments.extend(["--cluster-port".into(), bus.number().to_string()]);
        }
        arguments
    }

    /// Whether this server, and not another one on its port, has loaded its data and answers.
    fn answers(&self, process: &Process) -> bool {
        let Ok(mut connection) = self.connection(LOOK_WITHIN) else { return false };
        let mut ask = |command: &[&str]| command_of(command).query::<String>(&mut connection);
        match ask(&["PING"]).and_then(|_| ask(&["INFO", "server"])) {
            Ok(information) => {
                let ours = format!("process_id:{}", process.id());
                information.lines().any(|line| line == ours)
            }
            // The test gave it a password of its own.
            Err(error) => error.code() == Some("NOAUTH"),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The end of what it has written since it was last started.
    pub fn told(&self) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LINES_SHOWN_MAX)..];
        format!("-- redis-server on port {}:\n{}", self.port(), shown.join("\n"))
    }
}

pub(super) fn folder() -> TempDir {
    TempDir::with_prefix("leadgate-redis-").expect("a folder")
}

fn command_of(command: &[&str]) -> redis::Cmd {
    let mut words = redis::Cmd::new();
    for word in command {
        words.arg(*word);
    }
    words
}
