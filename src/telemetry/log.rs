//! Logs: a fixed message and fields, one line per failure, at the boundary that decides.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// The HTTP server's own log.
const SERVER: &str = "actix_server";

/// Sends this process's log to standard error as the configuration wants it.
///
/// # Errors
/// A `log.level` that is no filter, or a log that is set up already.
pub fn init(config: &Log) -> anyhow::Result<()> {
    let mut filter = EnvFilter::try_new(&config.level)?;
    if !config.level.contains(SERVER) {
        // It announces each of its threads, which says nothing to an operator.
        filter = filter.add_directive(format!("{SERVER}=warn").parse()?);
    }
    let builder = fmt::Subscriber::builder().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Pretty => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log could not be set up: {error}"))
}
