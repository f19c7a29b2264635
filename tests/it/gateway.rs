//! A gateway and a CareSoft in this process, on free ports, with a database of their own.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use leadgate::app::{App, Orders, Surroundings};
use leadgate::config::{self, Config, Faults, Loaded, MapEnvironment};
use leadgate::lead::Clock;
use leadgate::preset::built_in_names;
use leadgate::sandbox::{Options, Sandbox, StoredLead};
use leadgate::telemetry::Traces;
use reqwest::{RequestBuilder, Response};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::servers::Redis;

/// Longer than anything here takes on a slow machine; only a failing test waits this long.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const ADMIN_TOKEN: &str = "admin-token-of-a-test";

/// A listener on a free port.
pub fn free_listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// Waits until `probe` answers something; a test awaits a thing, it never sleeps for it.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    probe: impl FnMut() -> F,
) -> T {
    eventually_within(PATIENCE, what, probe).await
}

/// As [`eventually`], for what takes a slow machine longer than that.
pub async fn eventually_within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    mut probe: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(10)).await; // between two looks
    }
}

/// One of a simulator's two hosts on a port, as long as it is kept.
pub struct Host {
    pub address: SocketAddr,
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
}

impl Host {
    pub fn primary(sandbox: &Sandbox, listener: TcpListener) -> Self {
        Self::serve(listener, |listener, stopped| sandbox.serve(listener, stopped))
    }

    pub fn standby(sandbox: &Sandbox, listener: TcpListener) -> Self {
        Self::serve(listener, |listener, stopped| sandbox.serve_standby(listener, stopped))
    }

    fn serve<S>(
        listener: TcpListener,
        serve: impl FnOnce(TcpListener, BoxFuture<'static, ()>) -> S,
    ) -> Self
    where
        S: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move {
            let _ = stopped.await;
        };
        let serving = serve(listener, Box::pin(stopped));
        let task = tokio::spawn(async move { serving.await.expect("the simulator serves") });
        Self { address, task, stop: Some(stop) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.task.abort();
    }
}

/// A CareSoft simulator on a free port.
pub struct CareSoft {
    pub sandbox: Sandbox,
    pub address: SocketAddr,
    _primary: Host,
}

impl CareSoft {
    pub fn start(options: Options) -> Self {
        let sandbox = Sandbox::new(options);
        let primary = Host::primary(&sandbox, free_listener());
        Self { sandbox, address: primary.address, _primary: primary }
    }

    /// The leads whose phone or e-mail is `identity`.
    pub fn leads_of(&self, identity: &str) -> Vec<StoredLead> {
        leads_of(&self.sandbox, identity)
    }
}

/// The leads whose phone or e-mail is `identity`.
pub fn leads_of(sandbox: &Sandbox, identity: &str) -> Vec<StoredLead> {
    let is_theirs =
        |lead: &StoredLead| ["phone", "email"].iter().any(|key| lead.received[key] == identity);
    sandbox.leads().into_iter().filter(is_theirs).collect()
}

/// What a gateway under test keeps its submissions in.
pub enum Backing {
    Sqlite,
    Redis(Box<Redis>),
}

impl Backing {
    /// A Redis of its own that has everything on the disk before it answers.
    pub fn redis() -> Self {
        let durable = ["--appendonly", "yes", "--appendfsync", "always"];
        Self::Redis(Box::new(Redis::start_with(&durable)))
    }

    /// What goes under `[store]`; whatever is a file is in `folder`.
    pub fn toml(&self, folder: &Path) -> String {
        let url = match self {
            Self::Sqlite => format!("sqlite:{}", folder.join("leadgate.db").display()),
            Self::Redis(redis) => redis.url(),
        };
        format!("url = \"{url}\"\nspool = \"{}\"", folder.join("spool.db").display())
    }
}

/// Each of these tests once over every store: they are functions of a [`Backing`].
macro_rules! over_every_store {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::gateway::Backing::Sqlite).await;
            })+
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::gateway::Backing::redis()).await;
            })+
        }
    };
}
pub(crate) use over_every_store;

/// What a configuration comes to. It is told nothing by the environment.
pub fn loaded(text: &str) -> Result<Loaded, Faults> {
    config::parse(text, "test.toml", &MapEnvironment::default(), &built_in_names())
}

/// A configuration without faults.
pub fn parsed(text: &str) -> Config {
    loaded(text).unwrap_or_else(|faults| panic!("{text}\n{faults}")).config
}

/// The configuration of a test: `extra` is appended to `[sources.website]`.
pub fn configuration(
    store: &Backing,
    folder: &TempDir,
    caresoft: SocketAddr,
    extra: &str,
) -> Config {
    parsed(&toml_of(&store.toml(folder.path()), caresoft, extra))
}

/// The text of [`configuration`]; `store` is what is under `[store]`.
pub fn toml_of(store: &str, caresoft: SocketAddr, extra: &str) -> String {
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
public_url = "https://leads.example.vn"
shutdown_grace = "10s"
[admin]
token = "{ADMIN_TOKEN}"
[store]
{store}
[limits]
per_ip = {{ per_second = 100000, burst = 100000 }}
per_source = {{ per_second = 100000, burst = 100000 }}
[destinations.main]
base_url = "http://{caresoft}"
domain = "sandbox"
token = "{token}"
rate = {{ per_second = 15, per_hour = 54000 }}
timeout = "2s"
retry = {{ initial = "50ms", max = "200ms", give_up_after = "1h" }}
[destinations.main.lead]
service_id = 1244
[sources.website]
preset = "web-form"
destination = "main"
{extra}
"#,
        token = Options::default().token,
    )
}

/// A gateway at work, and how to speak to it.
pub struct Gateway {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub http: reqwest::Client,
    pub folder: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Gateway {
    /// A gateway in front of `caresoft`; `extra` is appended to `[sources.website]`.
    pub async fn start(caresoft: &CareSoft, extra: &str) -> Self {
        Self::start_with(caresoft, extra, |_| {}).await
    }

    /// As [`Gateway::start`], over any store.
    pub async fn over(store: &Backing, caresoft: &CareSoft, extra: &str) -> Self {
        Self::over_with(store, caresoft, extra, |_| {}).await
    }

    pub async fn start_with(
        caresoft: &CareSoft,
        extra: &str,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::over_with(&Backing::Sqlite, caresoft, extra, change).await
    }

    /// As [`Gateway::start_with`], over any store.
    pub async fn over_with(
        store: &Backing,
        caresoft: &CareSoft,
        extra: &str,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut config = configuration(store, &folder, caresoft.address, extra);
        change(&mut config);
        Self::run(&config, folder).await
    }

    pub async fn run(config: &Config, folder: TempDir) -> Self {
        Self::run_by(Clock::system(), config, folder).await
    }

    /// As [`Gateway::run`], by a clock of the test's own.
    pub async fn run_by(clock: Clock, config: &Config, folder: TempDir) -> Self {
        let (public, admin) = (free_listener(), free_listener());
        let addresses =
            [&public, &admin].map(|listener| listener.local_addr().expect("an address"));
        let surroundings = Surroundings {
            public: Some(public),
            admin,
            admin_token: SecretString::from(ADMIN_TOKEN),
            file: None,
            delivers: true,
            sample_form: true,
            clock,
            metrics: Arc::default(),
            traces: Traces::default(),
        };
        let app = App::build(config, surroundings).await.expect("a gateway");
        let [public, admin] = addresses;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async move {
                let _ = stopped.await;
            };
            app.run(Orders::stop_when(shutdown)).await.expect("the gateway runs");
        });
        Self { public, admin, http: http_client(), folder, stop, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    /// `POST /in/website`
    pub fn post(&self) -> RequestBuilder {
        self.http.post(self.url("/in/website"))
    }

    /// Posts JSON and answers the submission's id.
    pub async fn submit(&self, body: Value) -> String {
        let response = self.post().json(&body).send().await.expect("an answer");
        assert_eq!(response.status(), 202, "{body}");
        id_of(response).await
    }

    pub async fn admin_get(&self, path: &str) -> Response {
        let url = format!("http://{}{path}", self.admin);
        self.http.get(url).bearer_auth(ADMIN_TOKEN).send().await.expect("an answer")
    }

    /// `POST` of JSON to the admin listener.
    pub async fn admin_post(&self, path: &str, body: Value) -> Response {
        let url = format!("http://{}{path}", self.admin);
        let request = self.http.post(url).bearer_auth(ADMIN_TOKEN).json(&body);
        request.send().await.expect("an answer")
    }

    pub async fn record(&self, id: &str) -> Value {
        self.admin_get(&format!("/api/leads/{id}")).await.json().await.expect("a record")
    }

    /// The record, once it is in one of `states`.
    pub async fn settled(&self, id: &str, states: &[&str]) -> Value {
        eventually(&format!("{id} becomes {states:?}"), || async {
            let record = self.record(id).await;
            states.iter().any(|state| record["state"] == json!(state)).then_some(record)
        })
        .await
    }

    pub async fn metrics(&self) -> String {
        self.admin_get("/metrics").await.text().await.expect("metrics")
    }

    /// One figure of `/metrics`; 0 when it is not there yet.
    pub async fn metric(&self, line: &str) -> f64 {
        let text = self.metrics().await;
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Asserts invariant 5 as the operator would see it.
    pub async fn assert_ledger_sums(&self) {
        let text = self.metrics().await;
        assert!(text.lines().any(|line| line == "leadgate_ledger_residue 0"), "{text}");
    }

    /// Stops as SIGTERM would; its folder goes with it.
    pub async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("a clean end");
    }
}

pub async fn id_of(response: Response) -> String {
    ids_of(response).await.remove(0)
}

/// The ids of everything that one post was taken as.
pub async fn ids_of(response: Response) -> Vec<String> {
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(answer["status"], "accepted");
    let ids = answer["ids"].as_array().expect("ids").iter();
    ids.map(|id| id.as_str().expect("an id").to_owned()).collect()
}

/// A client that follows nothing and knows no proxy.
pub fn http_client() -> reqwest::Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .expect("a client")
}
