//! The real binary as a process of its own: started on free ports, read while it runs.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::gateway::{ADMIN_TOKEN, eventually, http_client};

/// The longest line that is kept in one piece.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// The most that is kept of one stream; a trace log of a test is a few MiB.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The command line, in `folder`.
pub fn leadgate(folder: &Path) -> Command {
    isolated(env!("CARGO_BIN_EXE_leadgate"), folder)
}

/// A command that nothing of the environment these tests run in reaches.
pub fn isolated(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// Everything a command that has ended wrote.
pub fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// What a process has written to one of its streams so far. It is read from the start, by a
/// thread: a pipe that nobody reads holds 64 KiB and then its writer.
struct Stream {
    written: Arc<Mutex<Written>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Written {
    lines: VecDeque<String>,
    bytes: usize,
    /// Lines that were let go, oldest first, when there were too many.
    forgotten: usize,
}

impl Stream {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let written = Arc::<Mutex<Written>>::default();
        let reader = std::thread::spawn({
            let written = Arc::clone(&written);
            move || {
                let mut pipe = BufReader::new(pipe);
                let mut line = Vec::new();
                while pipe.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).is_ok() {
                    if line.is_empty() {
                        break; // the process closed it
                    }
                    locked(&written).add(String::from_utf8_lossy(&line).trim_end().to_owned());
                    line.clear();
                }
            }
        });
        Self { written, reader: Some(reader) }
    }

    fn find<T>(&self, wanted: impl FnMut(&String) -> Option<T>) -> Option<T> {
        locked(&self.written).lines.iter().find_map(wanted)
    }

    fn text(&self) -> String {
        let mut written = locked(&self.written);
        assert_eq!(written.forgotten, 0, "more was written than is kept");
        written.lines.make_contiguous().join("\n")
    }

    /// All of it, once the process has ended.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a stream that is read to its end");
        }
        self.text()
    }
}

impl Written {
    fn add(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > KEPT_BYTES_MAX
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
            self.forgotten += 1;
        }
    }
}

fn locked(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().expect("no reader panics")
}

/// A running `leadgate serve`; killed when dropped.
pub struct Served {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    /// Where it takes submissions; a worker takes none.
    public: Option<SocketAddr>,
    pub admin: SocketAddr,
    http: reqwest::Client,
}

impl Served {
    /// Runs another command against this gateway, with the configuration in `folder`: its exit code,
    /// and what it said.
    pub fn command_line(
        &self,
        folder: &Path,
        arguments: &[&str],
    ) -> impl Future<Output = (Option<i32>, String)> + use<> {
        let mut command = leadgate(folder);
        command.args(["--config", "leadgate.toml"]).args(arguments);
        command.env("LEADGATE__SERVER__ADMIN_LISTEN", self.admin.to_string());
        async move {
            let output = tokio::task::spawn_blocking(move || command.output()).await;
            let output = output.unwrap().unwrap();
            (output.status.code(), told(&output))
        }
    }

    /// Starts with `configuration` and waits until it is ready.
    pub async fn start(folder: &Path, configuration: &str) -> Self {
        let file = folder.join("leadgate.toml");
        std::fs::write(&file, configuration).expect("a file");
        let mut command = leadgate(folder);
        command.args(["serve", "--config"]).arg(&file);
        Self::spawn(command).await
    }

    /// Starts `command` on whatever ports are free, unless its environment names some, and waits until it is ready.
    pub async fn spawn(command: Command) -> Self {
        match Self::try_spawn(command).await {
            Ok(served) => served,
            Err((status, told)) => panic!("leadgate ended with {status}: {told}"),
        }
    }

    /// As [`Served::spawn`], for one that may end before it is ready: how, and what it wrote.
    pub async fn try_spawn(mut command: Command) -> Result<Self, (ExitStatus, String)> {
        for listener in ["LEADGATE__SERVER__LISTEN", "LEADGATE__SERVER__ADMIN_LISTEN"] {
            if !command.get_envs().any(|(name, _)| name == listener) {
                command.env(listener, "127.0.0.1:0");
            }
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = Stream::of(child.stdout.take().expect("stdout"));
        let stderr = Stream::of(child.stderr.take().expect("stderr"));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let http = http_client();
        let mut served = Self { child, stdout, stderr, public: None, admin: nowhere, http };
        let listens = eventually("the gateway says where it listens", || {
            let ended = served.status().map(Err);
            let found = ended.or_else(|| served.addresses().map(Ok));
            async move { found }
        })
        .await;
        match listens {
            Ok(addresses) => (served.public, served.admin) = addresses,
            Err(status) => return Err((status, served.everything())),
        }
        let url = format!("http://{}/readyz", served.admin);
        let ready = eventually("the gateway becomes ready", || {
            let ended = served.status();
            let answer = served.http.get(&url).send();
            async move {
                match ended {
                    Some(status) => Some(Err(status)),
                    None => answer.await.ok()?.status().is_success().then_some(Ok(())),
                }
            }
        })
        .await;
        match ready {
            Ok(()) => Ok(served),
            Err(status) => Err((status, served.everything())),
        }
    }

    /// The addresses in the line of the log that tells them or, in zero setup, in the welcome.
    fn addresses(&self) -> Option<(Option<SocketAddr>, SocketAddr)> {
        let parsed = |address: &str| address.parse::<SocketAddr>().expect("an address");
        let logged = self.stderr.find(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let address = |key: &str| line[key].as_str().map(parsed);
            (line["message"] == "listening")
                .then(|| (address("public"), address("admin").expect("an admin address")))
        });
        logged.or_else(|| {
            let address = |name: &str| {
                let url = self.welcomed(name)?;
                Some(parsed(url.trim_start_matches("http://").split('/').next()?))
            };
            Some((Some(address("sample form")?), address("ledger")?))
        })
    }

    /// The URL that the welcome of zero setup gives for `name`.
    pub fn welcomed(&self, name: &str) -> Option<String> {
        self.stdout.find(|line| {
            let rest = line.trim_start().strip_prefix(name)?;
            let url = rest.split_whitespace().next()?;
            url.starts_with("http://").then(|| url.to_owned())
        })
    }

    /// What it has written to standard output so far.
    pub fn output(&self) -> String {
        self.stdout.text()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// How many lines it has logged so far.
    pub fn log_lines(&self) -> usize {
        locked(&self.stderr.written).lines.len()
    }

    pub fn takes_submissions(&self) -> bool {
        self.public.is_some()
    }

    pub fn public(&self) -> SocketAddr {
        self.public.expect("this role takes submissions")
    }

    /// The URL that a source's submissions are posted to.
    pub fn endpoint(&self, source: &str) -> String {
        format!("http://{}/in/{source}", self.public())
    }

    /// `GET` from the admin listener.
    pub async fn admin_get(&self, path: &str) -> Option<reqwest::Response> {
        let url = format!("http://{}{path}", self.admin);
        self.http.get(url).bearer_auth(ADMIN_TOKEN).send().await.ok()
    }

    /// `POST` of JSON to the admin listener.
    pub async fn admin_post(&self, path: &str, body: Value) -> Option<reqwest::Response> {
        let url = format!("http://{}{path}", self.admin);
        self.http.post(url).bearer_auth(ADMIN_TOKEN).json(&body).send().await.ok()
    }

    pub async fn record(&self, id: &str) -> Option<Value> {
        self.admin_get(&format!("/api/leads/{id}")).await?.json().await.ok()
    }

    /// The record, once it is in `state`.
    pub async fn settled(&self, id: &str, state: &str) -> Value {
        eventually(&format!("{id} becomes {state}"), || async {
            self.record(id).await.filter(|record| record["state"] == state)
        })
        .await
    }

    pub async fn metrics(&self) -> String {
        let answer = self.admin_get("/metrics").await.expect("metrics");
        answer.text().await.expect("metrics")
    }

    /// How the process has ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Fails when the process has ended, with what it said.
    pub fn assert_runs(&mut self) {
        if let Some(status) = self.status() {
            panic!("leadgate ended with {status}: {}", self.everything());
        }
    }

    pub fn signal(&self, name: &str) {
        // The shell's own: a slim machine has no such program.
        let kill = format!("kill {name} {}", self.child.id());
        let status = Command::new("/bin/sh").args(["-c", &kill]).status();
        assert!(status.expect("a shell").success());
    }

    /// Waits for its end: its exit code, and everything it wrote.
    pub async fn ended(mut self) -> (Option<i32>, String) {
        let status: ExitStatus = eventually("leadgate ends", || {
            let ended = self.child.try_wait().expect("a child");
            async move { ended }
        })
        .await;
        (status.code(), self.everything())
    }

    /// SIGTERM, and its end.
    pub async fn terminate(self) -> (Option<i32>, String) {
        self.signal("-TERM");
        self.ended().await
    }

    fn everything(&mut self) -> String {
        [self.stdout.whole(), self.stderr.whole()].join("\n")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One figure of a `/metrics` text; 0 when it is not there.
pub fn figure(metrics: &str, line: &str) -> f64 {
    let value = metrics.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().expect("a number"))
}
