//! `leadgate serve`

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use url::Url;

use super::admin::token_file;
use super::said::say;
use super::{Failed, Invocation};
use crate::app::{App, ConfigurationFile, Once, Orders, StartError, Surroundings};
use crate::config::Config;
use crate::fail_point;
use crate::lead::Clock;
use crate::preset::DEVELOPMENT_SECRET;
use crate::sandbox::{Options, Sandbox};
use crate::telemetry::{self, Metrics, Traces};

/// Where the sandbox of a gateway without configuration is looked at; any free port if taken.
pub(super) const SANDBOX_ADDRESS: &str = "127.0.0.1:8082";

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Which parts to run
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Take submissions and deliver them
    All,
    /// Take submissions only
    Intake,
    /// Deliver only
    Worker,
}

/// Where the configuration comes from.
enum From {
    File(ConfigurationFile),
    /// There is none: with the simulator beside it.
    Nothing(BesideIt),
}

/// The simulator beside a gateway that has no configuration.
struct BesideIt {
    sandbox: Sandbox,
    listener: TcpListener,
    address: SocketAddr,
}

impl Serve {
    pub(super) fn run(self, invocation: &Invocation) -> Result<(), Failed> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("the runtime could not be started")?;
        let metrics = Arc::<Metrics>::default();
        let log =
            |config: &Config| telemetry::log::init(&config.log, runtime.handle().clone(), &metrics);
        let (config, traces, from) = match invocation.config_file().map(ConfigurationFile::at) {
            Some(mut file) => {
                let loaded = file.read()?;
                let traces = log(&loaded.config)?;
                for warning in &loaded.warnings {
                    tracing::warn!(%warning, "the configuration may not do what it says");
                }
                (loaded.config, traces, From::File(file))
            }
            None => {
                let (config, sandbox) = zero_setup()?;
                let traces = log(&config)?;
                (config, traces, From::Nothing(sandbox))
            }
        };
        let served = runtime.block_on(serve(&config, self.role, from, (metrics, traces)));
        // Whatever still runs was given up: a name that is looked up in vain holds no exit up.
        runtime.shutdown_background();
        served.map_err(|error| match error.downcast_ref::<StartError>() {
            Some(unfit @ StartError::UnfitStore(_)) => Failed::Usage(unfit.to_string()),
            _ => Failed::Doing(error),
        })
    }
}

fn zero_setup() -> Result<(Config, BesideIt), Failed> {
    let listener = TcpListener::bind(SANDBOX_ADDRESS)
        .or_else(|_| TcpListener::bind("127.0.0.1:0"))
        .context("the sandbox found no free port")?;
    let address = listener.local_addr().context("the sandbox has no address")?;
    // Ids go on rising from one start to the next, as CareSoft's do: the ledger remembers them.
    let seconds = u64::try_from(Clock::system().now().as_millis() / 1000).unwrap_or(0);
    let options =
        Options { first_lead_id: 100_000_000 + seconds % 800_000_000, ..Options::default() };
    let token = SecretString::from(options.token.as_str());
    let url = Url::parse(&format!("http://{address}")).context("the sandbox has no URL")?;
    let config = super::zero_setup(&url, &token)?;
    Ok((config, BesideIt { sandbox: Sandbox::new(options), listener, address }))
}

async fn serve(
    config: &Config,
    role: Role,
    from: From,
    (metrics, traces): (Arc<Metrics>, Traces),
) -> anyhow::Result<()> {
    let mut orders = orders()?; // before anything that takes a while
    let (file, sandbox) = match from {
        From::File(file) => (Some(file), None),
        From::Nothing(sandbox) => (None, Some(sandbox)),
    };
    // Every port before anything else: a port that is taken costs nothing but a message.
    let public = match role {
        Role::Worker => None,
        Role::All | Role::Intake => {
            Some(bind(config.server.listen, "server.listen", "LEADGATE__SERVER__LISTEN")?)
        }
    };
    let admin =
        bind(config.server.admin_listen, "server.admin_listen", "LEADGATE__SERVER__ADMIN_LISTEN")?;
    let admin_token = match &config.admin.token {
        Some(token) => token.clone(),
        None => random_token()?,
    };
    let surroundings = Surroundings {
        public,
        admin,
        admin_token: admin_token.clone(),
        file,
        delivers: role != Role::Intake,
        sample_form: sandbox.is_some(),
        clock: fail_point::clock(),
        metrics,
        traces,
    };
    let public = surroundings.public.as_ref().map(TcpListener::local_addr).transpose()?;
    let admin = surroundings.admin.local_addr()?;
    let app = tokio::select! {
        biased;
        () = &mut orders.stop => return Ok(()),
        app = App::build(config, surroundings) => app?,
    };
    if config.admin.token.is_none() {
        leave_token(config, &admin_token)?; // the database is ours by now: no other gateway's is lost
    }
    match &sandbox {
        Some(beside) => {
            let console = format!("http://{admin}{}", app.sign_in_link()?);
            let public = public.unwrap_or(config.server.listen);
            welcome(public, admin, beside.address, &console, &admin_token);
        }
        None => {
            let store = app.durability().await;
            tracing::info!(public = public.map(tracing::field::display), %admin, store, "listening");
            if matches!(store, "memory" | "fsync every second" | "replicated") {
                tracing::info!(
                    "a 2xx is worth more on a Redis of its own with `appendonly yes` and \
                     `appendfsync always`"
                );
            }
            if config.admin.token.is_none() {
                say!("admin token of this start: {}", admin_token.expose_secret());
                say!("console, once and within 15 minutes: http://{admin}{}", app.sign_in_link()?);
            }
        }
    }
    let Some(BesideIt { sandbox, listener, .. }) = sandbox else {
        return Ok(app.run(orders).await?);
    };
    // The simulator outlives the gateway: what is under way at the end still gets its answer.
    let (ended, gateway_ended) = tokio::sync::oneshot::channel::<()>();
    let simulator = tokio::spawn(sandbox.serve(listener, async move {
        let _ = gateway_ended.await;
    }));
    let result = app.run(orders).await;
    drop(ended);
    simulator.await.context("the sandbox broke")?.context("the sandbox failed")?;
    Ok(result?)
}

fn bind(address: SocketAddr, key: &str, variable: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "{key}: {address} is in use; stop what listens there, or set {key} in the configuration or {variable} in the environment"
        ),
        _ => anyhow!("{key}: {address}: {error}"),
    })
}

/// What signals say: SIGTERM and SIGINT to stop, a second one to wait for nothing, SIGHUP to read the
/// configuration anew.
pub(super) fn orders() -> anyhow::Result<Orders> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let mut hang_up = signal(SignalKind::hangup()).context("SIGHUP")?;
    let (stops, told) = watch::channel(0_u32);
    let orders = Orders { stop: has_come(&told, 1), at_once: has_come(&told, 2), ..Orders::none() };
    let reload = Arc::clone(&orders.reload);
    tokio::spawn(async move {
        while !stops.is_closed() {
            tokio::select! {
                _ = terminate.recv() => stops.send_modify(|stops| *stops += 1),
                _ = interrupt.recv() => stops.send_modify(|stops| *stops += 1),
                _ = hang_up.recv() => reload.notify_one(),
            }
        }
    });
    Ok(orders)
}

/// Resolves when a stop was asked for so often.
fn has_come(stops: &watch::Receiver<u32>, times: u32) -> Once {
    let mut stops = stops.clone();
    Box::pin(async move {
        if stops.wait_for(|stops| *stops >= times).await.is_err() {
            std::future::pending().await // nobody is there to ask
        }
    })
}

/// A new admin token: 192 random bits.
fn random_token() -> anyhow::Result<SecretString> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).map_err(|_| anyhow!("the system gives no random bytes"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}

/// Leaves the token where the command line of the same machine finds it, for its owner alone.
fn leave_token(config: &Config, token: &SecretString) -> anyhow::Result<()> {
    let Some(file) = token_file(config) else { return Ok(()) };
    let _ = fs::remove_file(&file); // an older one may be readable to others
    let mut options = fs::OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut opened| opened.write_all(token.expose_secret().as_bytes()));
    written.with_context(|| format!("the admin token cannot be left in {}", file.display()))
}

/// What a newcomer sees: this is a sandbox, where everything is, and what to paste.
fn welcome(
    public: SocketAddr,
    admin: SocketAddr,
    sandbox: SocketAddr,
    console: &str,
    token: &SecretString,
) {
    let token = token.expose_secret();
    let secret = DEVELOPMENT_SECRET;
    say!(
        "\
Leadgate runs without a configuration: this is a SANDBOX. Leads go to the built-in CareSoft
simulator in this process; nothing leaves this machine.

  sample form   http://{public}/?utm_source=facebook&utm_campaign=tet
  simulator     http://{sandbox}/        (what a salesperson would see)
  console       {console}
                (signs in once, within 15 minutes; later by the token below)
  ledger        http://{admin}/api/leads   (Authorization: Bearer {token})

Post a form:

  curl -sS http://{public}/in/website \\
    -d 'ho_ten=Nguyễn Văn Thử' -d 'so_dien_thoai=0900 000 001' \\
    -d 'utm_source=facebook' -d 'utm_campaign=tet'

and see what became of it:

  leadgate leads list     (or: cargo run --release -- leads list)

Each preset is a source of its own name (leadgate presets list). Its secret here is no secret:

  {secret}
"
    );
}
