//! A Redis of a benchmark's own, as it is installed.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use super::{Process, free_address};

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

/// A Redis that `command`, which is to run its arguments, starts in `folder`; and its URL.
pub fn start(mut command: Command, folder: &Path, fsync: Fsync) -> (Process, String) {
    let address = free_address();
    command.args(["redis-server", "--save", "", "--appendonly", "yes", "--bind", "127.0.0.1"]);
    command.args(["--appendfsync", fsync.as_str(), "--port", &address.port().to_string()]);
    // Rewriting the log is Redis's own affair, and would fall on what is measured by chance.
    command.args(["--auto-aof-rewrite-percentage", "0", "--dir"]).arg(folder);
    let process = Process::start(command, || TcpStream::connect(address).is_ok());
    (process, format!("redis://{address}/0"))
}
