//! The servers that take turns: the gateway and its baselines, each a process of its own.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;

use crate::cores::on_first_core;
use crate::process::redis::{self, Fsync};
use crate::process::{Gateway, LEADGATE, Process, free_address, is_ready};

/// Nothing listens there: leads are accepted and wait, as during an outage upstream.
const NOBODY: &str = "127.0.0.1:9";

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

pub struct Server {
    process: Process,
    redis: Option<Process>,
    pub address: SocketAddr,
    _folder: TempDir,
}

impl Server {
    pub fn start(kind: Kind) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a real disk");
        let redis = kind.fsync().map(|fsync| redis::start(on_first_core(), folder.path(), fsync));
        let (redis, url) = redis.unzip();
        let public = free_address();
        let process = match kind {
            Kind::Leadgate(_) => {
                let database = folder.path().join("leadgate.db");
                let store = url.unwrap_or_else(|| format!("sqlite:{}", database.display()));
                let upstream = NOBODY.parse().expect("an address");
                let gateway = Gateway { public, admin: free_address(), store: &store, upstream };
                gateway.serve(on_first_core(), folder.path())
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
                let mut command = on_first_core();
                command.arg(own).arg(role).arg(public.port().to_string()).arg(behind);
                Process::start(command, || is_ready(public))
            }
        };
        Self { process, redis, address: public, _folder: folder }
    }

    /// User and system time of the process so far, and of Redis behind it.
    pub fn cpu(&self) -> Duration {
        self.process.cpu() + self.redis.as_ref().map(Process::cpu).unwrap_or_default()
    }
}

/// Size, start and idle memory of the binary, and what this machine's disk does per fsync.
pub fn report_footprint(leadgate: Kind) {
    let starts = (0..10).map(|_| Server::start(leadgate));
    let starts = starts.map(|server| (server.process.ready_in, server.process.resident_mib()));
    let mut starts: Vec<_> = starts.collect();
    starts.sort_by_key(|(ready_in, _)| *ready_in);
    let (ready_in, resident) = starts[starts.len() / 2];
    let size = fs::metadata(LEADGATE).expect("the binary").len();
    println!(
        "binary {:.1} MiB, start to ready {:.0} ms, idle memory {resident:.1} MiB (medians of 10 starts)\n",
        size as f64 / 1048576.0,
        ready_in.as_secs_f64() * 1000.0,
    );
}
