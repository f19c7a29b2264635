//! The program behind every server, and its life.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};

/// Debian's redis-server is a link to the second, which the package redis-tools holds; which of the
/// two it is, it tells by the name it is called by.
const NAMES: [&str; 2] = ["redis-server", "redis-check-rdb"];

/// `redis-server`, without arguments.
pub fn redis_server() -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/bin")]);
    let folders: Vec<PathBuf> = folders.collect();
    let found = NAMES
        .iter()
        .find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
        .expect("redis-server 7.0 or later; scripts/test installs it");
    let mut command = Command::new(found);
    command.arg0(NAMES[0]);
    command
}

/// A running server; killed when dropped, also by a test that fails.
pub struct Process(Child);

impl Process {
    pub fn spawn(mut command: Command) -> Self {
        Self(command.spawn().expect("the program starts"))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_some()
    }

    /// Sends a signal by its name: "TERM", "STOP".
    pub fn signal(&self, name: &str) {
        // The shell's own kill: a plain Debian has no other.
        let command = format!("kill -{name} {}", self.id());
        let status = Command::new("sh").args(["-c", &command]).status().expect("sh");
        assert!(status.success(), "{command}: {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill(); // SIGKILL reaches a frozen one too
        let _ = self.0.wait();
    }
}
