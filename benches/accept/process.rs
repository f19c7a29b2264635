//! The servers as processes: start, pin, read their clocks, stop.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bare,
    OneRow,
    Leadgate,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Bare, Self::OneRow, Self::Leadgate];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::OneRow => "one row",
            Self::Leadgate => "leadgate",
        }
    }

    /// The baseline that this process was started as.
    pub fn baseline(role: &str) -> Option<Self> {
        match role {
            "--as-bare" => Some(Self::Bare),
            "--as-one-row" => Some(Self::OneRow),
            _ => None,
        }
    }
}

/// The binary under test.
const LEADGATE: &str = env!("CARGO_BIN_EXE_leadgate");

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    ready_in: Duration,
    _folder: TempDir,
}

impl Server {
    pub fn start(kind: Kind) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a real disk");
        let (public, admin) = (free_address(), free_address());
        let mut command = on_first_core();
        let ready = match kind {
            Kind::Leadgate => {
                let file = folder.path().join("leadgate.toml");
                fs::write(&file, configuration(&folder, public, admin)).expect("a file");
                command.arg(LEADGATE).arg("serve").arg("--config").arg(file);
                admin
            }
            Kind::Bare | Kind::OneRow => {
                let role = if kind == Kind::Bare { "--as-bare" } else { "--as-one-row" };
                let own = std::env::current_exe().expect("this program");
                let database = folder.path().join("baseline.db");
                command.arg(own).arg(role).arg(public.port().to_string()).arg(database);
                public
            }
        };
        let began = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a server");
        while !is_ready(ready) {
            assert!(began.elapsed() < Duration::from_secs(20), "{} does not start", kind.name());
            std::thread::yield_now();
        }
        Self { child, address: public, ready_in: began.elapsed(), _folder: folder }
    }

    /// User and system time of the process so far.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("/proc");
        let after_name = stat.rsplit(") ").next().expect("a line");
        let ticks: u64 = after_name
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        Duration::from_millis(ticks * 10) // USER_HZ is 100 on Linux
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Size, start and idle memory of the binary, and what this machine's disk does per fsync.
pub fn report_footprint() {
    let mut starts: Vec<_> = (0..10)
        .map(|_| Server::start(Kind::Leadgate))
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

fn configuration(folder: &TempDir, public: SocketAddr, admin: SocketAddr) -> String {
    // Nothing listens on port 9: leads are accepted and wait, as during an outage upstream.
    format!(
        r#"
[server]
listen = "{public}"
admin_listen = "{admin}"
[admin]
token = "bench"
[store]
url = "sqlite:{database}"
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
"#,
        database = folder.path().join("leadgate.db").display(),
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
