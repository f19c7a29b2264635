//! A real browser: Chromium without a window, driven over the DevTools protocol.
//!
//! The protocol is spoken over a pipe: JSON messages with a NUL byte behind each, in on descriptor 3
//! and out on 4. A shell puts the pipes of this process there. Everything is bounded by [`PATIENCE`];
//! the browser has a profile of its own, reaches no host but this one, and ends with the value that
//! holds it.
//!
//! Needs `chromium`; `scripts/test` installs it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::gateway::{PATIENCE, eventually};

/// The host under which the browser finds this machine, besides 127.0.0.1.
pub const SHOP: &str = "shop.example.vn";

/// Puts standard input and output where Chromium looks for the protocol.
const ON_A_PIPE: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// More than any message of these tests.
const MESSAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A browser that takes longer to close is killed.
const CLOSING: Duration = Duration::from_secs(5);

/// A running browser.
pub struct Chromium {
    process: Child,
    connection: Arc<Connection>,
    /// Closed when the browser has said its last.
    ended: Receiver<()>,
    _profile: TempDir,
}

impl Chromium {
    pub fn start() -> Self {
        let profile = TempDir::new().expect("a folder");
        let folder = profile.path().display();
        let resolver = format!("MAP {SHOP} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
        let mut command = Command::new("sh");
        command.args(["-c", ON_A_PIPE, "chromium", "--headless", "--remote-debugging-pipe"]);
        command.args(["--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"]);
        command.args(["--disable-background-networking", "--disable-component-update"]);
        command.arg("--disable-features=HttpsUpgrades,LocalNetworkAccessChecks");
        command.arg(format!("--user-data-dir={folder}"));
        command.arg(format!("--host-resolver-rules={resolver}"));
        let is_root = std::fs::metadata(profile.path()).expect("a folder").uid() == 0;
        if is_root {
            command.arg("--no-sandbox"); // Chromium does not start otherwise
        }
        command.arg("about:blank").env("HOME", profile.path()).env("TMPDIR", profile.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("sh");
        let to = process.stdin.take().expect("a pipe");
        let from = process.stdout.take().expect("a pipe");
        let connection = Arc::new(Connection {
            to: Mutex::new(to),
            heard: Mutex::default(),
            next: AtomicU64::new(1),
        });
        let (ends, ended) = std::sync::mpsc::channel::<()>();
        std::thread::spawn({
            let connection = Arc::clone(&connection);
            move || {
                connection.listen(from);
                drop(ends);
            }
        });
        Self { process, connection, ended, _profile: profile }
    }

    /// A new tab, with nothing of the ones before it but what their pages have stored.
    pub async fn tab(&self) -> Tab {
        let created = self.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let target = created["targetId"].clone();
        let attach = json!({ "targetId": target, "flatten": true });
        let attached = self.call("Target.attachToTarget", attach).await;
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let tab = Tab { connection: Arc::clone(&self.connection), session, target };
        for domain in ["Page", "Network", "DOM", "Runtime"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        tab.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
        tab
    }

    async fn call(&self, method: &str, parameters: Value) -> Value {
        self.connection.call(None, method, parameters).await
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // One that closes takes its other processes and its files along; for one that does not, they
        // end when it does.
        if self.connection.send(&json!({ "id": 0, "method": "Browser.close" })).is_ok() {
            let _ = self.ended.recv_timeout(CLOSING);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Default)]
struct Heard {
    has_ended: bool,
    /// Who waits for the answer to which message.
    waiting: HashMap<u64, oneshot::Sender<Value>>,
    /// How often each event came, by session.
    events: HashMap<(String, String), usize>,
}

struct Connection {
    to: Mutex<ChildStdin>,
    heard: Mutex<Heard>,
    next: AtomicU64,
}

impl Connection {
    fn listen(&self, from: ChildStdout) {
        let mut from = BufReader::new(from);
        let mut message = Vec::new();
        while from.by_ref().take(MESSAGE_BYTES_MAX).read_until(0, &mut message).is_ok() {
            if message.pop() != Some(0) {
                break;
            }
            self.hear(serde_json::from_slice(&message).unwrap_or_default());
            message.clear();
        }
        let mut heard = self.heard();
        heard.has_ended = true;
        heard.waiting.clear();
    }

    fn hear(&self, mut message: Value) {
        let mut heard = self.heard();
        if let Some(waiting) = message["id"].as_u64().and_then(|id| heard.waiting.remove(&id)) {
            let _ = waiting.send(message);
        } else if let Some(method) = message["method"].take().as_str() {
            let session = message["sessionId"].as_str().unwrap_or_default().to_owned();
            *heard.events.entry((session, method.to_owned())).or_default() += 1;
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("no panic in here")
    }

    fn send(&self, message: &Value) -> std::io::Result<()> {
        let text = format!("{message}\0");
        self.to.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes())
    }

    async fn call(&self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let (sender, answer) = oneshot::channel();
        {
            let mut heard = self.heard();
            assert!(!heard.has_ended, "chromium has ended; scripts/test installs it");
            heard.waiting.insert(id, sender);
        }
        self.send(&message).expect("chromium takes messages");
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("{method}: no answer"));
        let mut answer = answer.expect("chromium runs; scripts/test installs it");
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }
}

/// A tab.
pub struct Tab {
    connection: Arc<Connection>,
    session: String,
    target: Value,
}

impl Tab {
    pub async fn call(&self, method: &str, parameters: Value) -> Value {
        self.connection.call(Some(&self.session), method, parameters).await
    }

    fn loads(&self) -> usize {
        let event = (self.session.clone(), "Page.loadEventFired".to_owned());
        self.connection.heard().events.get(&event).copied().unwrap_or_default()
    }

    /// Goes to a page, as somebody who types its address does, and waits until it is there.
    pub async fn open(&self, url: &str) {
        let before = self.loads();
        let navigated = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(navigated["errorText"].is_null(), "{url}: {navigated}");
        eventually(url, async || (self.loads() > before).then_some(())).await;
    }

    /// Clicks a link, and waits until its page is there.
    pub async fn follow(&self, selector: &str) {
        let before = self.loads();
        self.click(selector).await;
        eventually(selector, async || (self.loads() > before).then_some(())).await;
    }

    /// Waits until the tab shows an address that begins so.
    pub async fn arrives_at(&self, url: &str) {
        eventually(url, async || self.url().await.starts_with(url).then_some(())).await;
    }

    pub async fn url(&self) -> String {
        let target = json!({ "targetId": self.target });
        let info = self.call("Target.getTargetInfo", target).await;
        info["targetInfo"]["url"].as_str().expect("an address").to_owned()
    }

    /// What a script in the page answers.
    pub async fn run(&self, script: &str) -> Value {
        let parameters = json!({ "expression": script, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", parameters).await;
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].take()
    }

    /// What a script in the page promises, once that is kept.
    pub async fn awaits(&self, script: &str) -> Value {
        let parameters =
            json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", parameters).await;
        assert!(answer["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["value"].take()
    }

    /// Waits until a script in the page answers something.
    pub async fn sees(&self, script: &str) -> Value {
        let looked = async || Some(self.run(script).await).filter(|value| !value.is_null());
        eventually(script, looked).await
    }

    /// Has every page run this before its own scripts.
    pub async fn before_scripts(&self, script: &str) {
        let source = json!({ "source": script });
        self.call("Page.addScriptToEvaluateOnNewDocument", source).await;
    }

    pub async fn without_scripts(&self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    }

    pub async fn is_offline(&self, offline: bool) {
        let rate = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.call("Network.emulateNetworkConditions", rate).await;
    }

    /// Types into a field, in place of what is there.
    pub async fn retype(&self, selector: &str, text: &str) {
        self.run(&format!("document.querySelector('{selector}').select()")).await;
        match text {
            "" => {
                for kind in ["keyDown", "keyUp"] {
                    let key = json!({ "type": kind, "key": "Delete", "code": "Delete", "windowsVirtualKeyCode": 46 });
                    self.call("Input.dispatchKeyEvent", key).await;
                }
            }
            text => drop(self.call("Input.insertText", json!({ "text": text })).await),
        }
    }

    async fn node(&self, selector: &str) -> Value {
        let document = self.call("DOM.getDocument", json!({ "depth": 0 })).await;
        let wanted = json!({ "nodeId": document["root"]["nodeId"], "selector": selector });
        let found = self.call("DOM.querySelector", wanted).await;
        assert_ne!(found["nodeId"], json!(0), "{selector} is in the page");
        json!({ "nodeId": found["nodeId"] })
    }

    /// Types into a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let node = self.node(selector).await;
        self.call("DOM.focus", node).await;
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    pub async fn click(&self, selector: &str) {
        let node = self.node(selector).await;
        self.call("DOM.scrollIntoViewIfNeeded", node.clone()).await;
        let shape = self.call("DOM.getBoxModel", node).await;
        let corner = |index: usize| shape["model"]["content"][index].as_f64().expect("a place");
        let (x, y) = (f64::midpoint(corner(0), corner(4)), f64::midpoint(corner(1), corner(5)));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }
}
