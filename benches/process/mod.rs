//! The release binary as a process of its own: configured, started, looked at from outside, ended.

#![allow(dead_code, reason = "each benchmark that includes this uses a part of it")]

pub mod redis;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use leadgate::sandbox::Options;

use crate::load::TOKEN;

/// The binary under test.
pub const LEADGATE: &str = env!("CARGO_BIN_EXE_leadgate");

pub const ADMIN_TOKEN: &str = "the-admin-token-of-a-benchmark";

/// A slower start is none.
const START_MAX: Duration = Duration::from_secs(20);

/// A program at work; it ends with this value.
pub struct Process {
    child: Child,
    /// From its start until it was ready.
    pub ready_in: Duration,
}

impl Process {
    /// Starts `command`, and is back when it is ready.
    pub fn start(mut command: Command, is_ready: impl Fn() -> bool) -> Self {
        let began = Instant::now();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("a program that is installed");
        let mut process = Self { child, ready_in: Duration::ZERO }; // ends it should it not start
        while !is_ready() {
            assert!(began.elapsed() < START_MAX, "{command:?} does not start");
            std::thread::yield_now();
        }
        process.ready_in = began.elapsed();
        process
    }

    /// User and system time so far.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).expect("/proc");
        let after_name = stat.rsplit(") ").next().expect("a line");
        let ticks = after_name.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10) // USER_HZ is 100 on Linux
    }

    pub fn resident_mib(&self) -> f64 {
        self.status("VmRSS:") / 1024.0
    }

    pub fn threads(&self) -> f64 {
        self.status("Threads:")
    }

    /// How many files and sockets are open.
    pub fn files(&self) -> usize {
        fs::read_dir(self.proc("fd")).expect("/proc").count()
    }

    /// A number of `/proc/…/status`, in the unit that it has there.
    fn status(&self, name: &str) -> f64 {
        let status = fs::read_to_string(self.proc("status")).expect("/proc");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn proc(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.child.id()).into()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a gateway is to listen, and what it is to stand between.
pub struct Gateway<'a> {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    /// The store's URL.
    pub store: &'a str,
    /// CareSoft.
    pub upstream: SocketAddr,
}

impl Gateway<'_> {
    /// Lets `command`, which is to run its arguments, serve; whatever is a file is in `folder`.
    pub fn serve(&self, mut command: Command, folder: &Path) -> Process {
        let file = folder.join("leadgate.toml");
        fs::write(&file, self.configuration(folder)).expect("a file");
        command.args([LEADGATE, "serve", "--config"]).arg(file);
        Process::start(command, || is_ready(self.admin))
    }

    /// Nothing is refused for its pace, so that what is measured is the work.
    fn configuration(&self, folder: &Path) -> String {
        let Self { public, admin, store, upstream } = self;
        format!(
            r#"
[server]
listen = "{public}"
admin_listen = "{admin}"
[admin]
token = "{ADMIN_TOKEN}"
[store]
url = "{store}"
spool = "{spool}"
secret = "the secret of a benchmark, long enough"
[limits]
per_ip = {{ per_second = 1000000, burst = 1000000 }}
per_source = {{ per_second = 1000000, burst = 1000000 }}
[destinations.main]
base_url = "http://{upstream}"
domain = "sandbox"
token = "{token}"
timeout = "2s"
[destinations.main.lead]
service_id = 1244
[sources.website]
preset = "web-form"
destination = "main"
secrets = {{ token = "{TOKEN}" }}
"#,
            spool = folder.join("spool.db").display(),
            token = Options::default().token,
        )
    }
}

pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// Whether a gateway, or a baseline, says that it can take posts.
pub fn is_ready(address: SocketAddr) -> bool {
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
