//! A real HAProxy before several servers, which it asks how they are.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::servers::{Port, Process};

/// Between two looks at a server's readiness; one bad answer is enough.
pub const LOOK: std::time::Duration = std::time::Duration::from_millis(500);

/// What a server is reached by, and where it says whether it is ready.
pub struct Backend {
    pub public: SocketAddr,
    pub admin: SocketAddr,
}

/// A running proxy; killed when dropped.
pub struct Haproxy {
    _process: Process,
    _folder: TempDir,
    port: Port,
}

impl Haproxy {
    /// Begins with all of `backends`, each taken for ready. Nothing is tried twice: what a server does not answer,
    /// the client is told of. Connections to servers are kept and shared, as ingress controllers do.
    pub fn start(backends: &[Backend]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let port = Port::claim();
        let mut text = format!(
            "global\n  maxconn 1000\n\
             defaults\n  mode http\n  retries 0\n  http-reuse always\n\
             \x20 timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n  timeout check 5s\n\
             frontend public\n  bind 127.0.0.1:{}\n  default_backend intake\n\
             backend intake\n  balance roundrobin\n  option httpchk\n\
             \x20 http-check send meth GET uri /readyz\n  http-check expect status 200\n\
             \x20 default-server check inter {}ms fall 1 rise 1\n",
            port.number(),
            LOOK.as_millis()
        );
        for (number, Backend { public, admin }) in backends.iter().enumerate() {
            text += &format!("  server intake-{number} {public} check port {}\n", admin.port());
        }
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, text).expect("a file");
        // Debian has it where only root looks.
        let program = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"];
        let program = program.into_iter().find(|program| std::path::Path::new(program).exists());
        let mut command = Command::new(program.unwrap_or("haproxy"));
        command.arg("-db").arg("-f").arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
        Self { _process: Process::spawn(command), _folder: folder, port }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port.number())
    }
}
