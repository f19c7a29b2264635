//! The servers as processes: start, pin, read their clocks, stop.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// When Redis has what it was told on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    Always,
    EverySecond,
}

impl Fsync {
    pub fn parse(text: &str) -> Self {
        if text == "always" { Self::Always } else { Self::EverySecond }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bare,
    OneRow,
    OneScript(Fsync),
    /// On SQLite, or on a Redis of its own.
    Leadgate(Option<Fsync>),
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::OneRow => "one row",
            Self::OneScript(_) => "one script",
            Self::Leadgate(_) => "leadgate",
        }
    }

    const fn fsync(self) -> Option<Fsync> {
        match self {
            Self::OneScript(fsync) => Some(fsync),
            Self::Leadgate(fsync) => fsync,
            Self::Bare | Self::OneRow => None,
        }
    }

    /// The baseline that this process was started as.
    pub fn baseline(role: &str) -> Option<Self> {
        match role {
            "--as-bare" => Some(Self::Bare),
            "--as-one-row" => Some(Self::OneRow),
            "--as-one-script" => Some(Self::OneScript(Fsync::Always)), // Redis knows when
            _ => None,
        }
    }
}

/// The binary under test.
const LEADGATE: &str = env!("CARGO_BIN_EXE_leadgate");

pub struct Server {
    child: Child,
    redis: Option<Child>,
    pub address: SocketAddr,
    ready_in: Duration,
    _folder: TempDir,
}

impl Server {
    pub fn start(kind: Kind) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a real disk");
        let (public, admin) = (free_address(), free_address());
        let redis = kind.fsync().map(|fsync| start_redis(&folder, fsync));
        let (redis, url) = redis.unzip();
        let mut command = on_first_core();
        let ready = match kind {
            Kind::Leadgate(_) => {
                let file = folder.path().join("leadgate.toml");
                let store = url.unwrap_or_else(|| {
                    format!("sqlite:{}", folder.path().join("leadgate.db").display())
                });
                fs::write(&file, configuration(&folder, &store, public, admin)).expect("a file");
                command.arg(LEADGATE).arg("serve").arg("--config").arg(file);
                admin
            }
            Kind::Bare | Kind::OneRow | Kind::OneScript(_) => {
                let role = match kind {
                    Kind::Bare => "--as-bare",
                    Kind::OneRow => "--as-one-row",
                    _ => "--as-one-script",
                };
                let own = std::env::current_exe().expect("this program");
                let behind =
                    url.unwrap_or_else(|| folder.path().join("baseline.db").display().to_string());
                command.arg(own).arg(role).arg(public.port().to_string()).arg(behind);
                public
            }
        };
        let began = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a server");
        while !is_ready(ready) {
            assert!(began.elapsed() < Duration::from_secs(20), "{} does not start", kind.name());
            std::thread::yield_now();
        }
        Self { child, redis, address: public, ready_in: began.elapsed(), _folder: folder }
    }

    /// User and system time of the process so far, and of Redis behind it.
    pub fn cpu(&self) -> Duration {
        cpu_of(&self.child) + self.redis.as_ref().map(cpu_of).unwrap_or_default()
    }

    /// Resident memory, KiB.
    fn resident_kib(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("/proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in [Some(&mut self.child), self.redis.as_mut()].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn cpu_of(child: &Child) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("/proc");
    let after_name = stat.rsplit(") ").next().expect("a line");
    let ticks: u64 =
        after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10) // USER_HZ is 100 on Linux
}

/// A Redis on the servers' core, and its URL.
fn start_redis(folder: &TempDir, fsync: Fsync) -> (Child, String) {
    let address = free_address();
    let mut command = on_first_core();
    command.args(["redis-server", "--save", "", "--appendonly", "yes", "--bind", "127.0.0.1"]);
    command.args(["--appendfsync", fsync.as_str(), "--port", &address.port().to_string()]);
    // Rewriting the log is Redis's own affair, and would fall on one of the servers by chance.
    command.args(["--auto-aof-rewrite-percentage", "0", "--dir"]).arg(folder.path());
    let child = command.stdout(Stdio::null()).spawn().expect("redis-server is installed");
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "Redis does not start");
        std::thread::yield_now();
    }
    (child, format!("redis://{address}/0"))
}

/// Size, start and idle memory of the binary, and what this machine's disk does per fsync.
pub fn report_footprint(leadgate: Kind) {
    let mut starts: Vec<_> = (0..10)
        .map(|_| Server::start(leadgate))
        .map(|server| (server.ready_in, server.resident_kib()))
        .collect();
    starts.sort();
    let (ready_in, resident) = starts[starts.len() / 2];
    let size = fs::metadata(LEADGATE).expect("the binary").len();
    println!(
        "binary {:.1} MiB, start to ready {:.0} ms, idle memory {:.1} MiB (medians of 10 starts)\n",
        size as f64 / 1048576.0,
        ready_in.as_secs_f64() * 1000.0,
        resident as f64 / 1024.0,
    );
}

fn configuration(folder: &TempDir, store: &str, public: SocketAddr, admin: SocketAddr) -> String {
    // Nothing listens on port 9: leads are accepted and wait, as during an outage upstream.
    format!(
        r#"
[server]
listen = "{public}"
admin_listen = "{admin}"
[admin]
token = "bench"
[store]
url = "{store}"
spool = "{spool}"
secret = "the secret of a benchmark, long enough"
[limits]
per_ip = {{ per_second = 1000000, burst = 1000000 }}
per_source = {{ per_second = 1000000, burst = 1000000 }}
[destinations.main]
base_url = "http://127.0.0.1:9"
domain = "bench"
token = "bench"
[destinations.main.lead]
service_id = 1
[sources.website]
preset = "web-form"
destination = "main"
secrets = {{ token = "{token}" }}
"#,
        spool = folder.path().join("spool.db").display(),
        token = crate::load::TOKEN,
    )
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}

fn is_ready(address: SocketAddr) -> bool {
    let asked = || {
        let mut stream = TcpStream::connect(address)?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer.starts_with("HTTP/1.1 200"))
    };
    asked().unwrap_or(false)
}

fn has_taskset() -> bool {
    let asked = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// A command that runs its arguments on core 0, where that can be had.
fn on_first_core() -> Command {
    let (program, arguments): (_, &[_]) =
        if has_taskset() { ("taskset", &["-c", "0"]) } else { ("env", &[]) };
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs this benchmark again on core 1, unless it is there already or cannot go there.
pub fn pin_to_second_core() -> bool {
    const MARK: &str = "LEADGATE_BENCH_PINNED";
    if std::env::var_os(MARK).is_some() || !has_taskset() {
        return false;
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).args(std::env::args_os()).env(MARK, "1");
    let failed = command.exec(); // does not return when it works
    println!("running unpinned: {failed}");
    false
}
