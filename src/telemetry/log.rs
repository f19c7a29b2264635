//! Logs: a fixed message and fields, one line per failure, at the boundary that decides.
//! `docs/logging.md` lists them all.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::Metrics;
use super::collector::Traces;
use super::one_line::OneLine;
use super::trace::TARGET;
use crate::config::{Log, LogFormat};

/// The HTTP server's own log.
const SERVER: &str = "actix_server";

/// Sends this process's log to standard error as the configuration wants it, and its traces to
/// the collector over `runtime`, where there is one; `metrics` count them.
///
/// # Errors
/// A `log.level` that is no filter, a collector that nothing can be sent to, or a log that is set
/// up already.
pub fn init(config: &Log, runtime: Handle, metrics: &Arc<Metrics>) -> anyhow::Result<Traces> {
    let traces = match &config.otlp_endpoint {
        Some(endpoint) => Traces::open(endpoint, runtime, Arc::clone(metrics))?,
        None => Traces::default(),
    };
    let spans = |tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false) // nobody here asks OpenTelemetry where it is
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET))
    };
    let is_coloured = std::io::stderr().is_terminal();
    let lines = lines(config, is_coloured, std::io::stderr)?;
    let registry = tracing_subscriber::registry().with(lines);
    // A layer that is not there would count as one that wants everything.
    let started = match traces.tracer() {
        Some(tracer) => registry.with(spans(tracer)).try_init(),
        None => registry.try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log could not be set up: {error}"))?;
    Ok(traces)
}

/// What writes events as lines.
fn lines<S, W>(
    config: &Log,
    is_coloured: bool,
    to: impl Fn() -> W + Send + Sync + 'static,
) -> anyhow::Result<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + 'static,
{
    let mut filter = EnvFilter::try_new(&config.level)?;
    if !config.level.contains(SERVER) {
        // It announces each of its threads, which says nothing to an operator.
        filter = filter.add_directive(format!("{SERVER}=warn").parse()?);
    }
    // Lines name what they are about by themselves, and spans are for the collector: nobody pays
    // for one that is not collected.
    let filter = filter.and(filter_fn(|metadata| metadata.is_event()));
    let is_coloured = is_coloured && config.format == LogFormat::Pretty;
    let to = move || OneLine::new(to(), is_coloured);
    let format = fmt::layer().with_writer(to);
    Ok(match config.format {
        LogFormat::Json => format
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
        LogFormat::Pretty => format.with_ansi(is_coloured).with_filter(filter).boxed(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, is_coloured: bool, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let config = Log { format, level: "info".to_owned(), otlp_endpoint: None };
        let to = kept.clone();
        let lines = lines(&config, is_coloured, move || to.clone()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// Whatever CareSoft or a stranger writes: one event is one line, and says nothing to a
    /// terminal.
    #[test]
    fn nobody_forges_a_line() {
        let forged = "x\r\n2026-11-24T00:00:00Z ERROR leadgate: forged\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\u{85}\u{2028}\u{0}\"}";
        let log = || {
            let error = std::io::Error::other(forged);
            tracing::error!(%error, failure = %forged, text = forged, debug = ?forged, "it failed");
            tracing::error!("{forged}");
        };
        for (format, is_coloured) in
            [(LogFormat::Json, false), (LogFormat::Pretty, false), (LogFormat::Pretty, true)]
        {
            let text = written(format, is_coloured, log);
            assert_eq!(text.matches('\n').count(), 2, "{text:?}");
            let colour = |character| is_coloured && character == '\u{1b}';
            let speaks = |character: &char| {
                character.is_control() && *character != '\n' && !colour(*character)
            };
            assert_eq!(text.chars().find(speaks), None, "{text:?}");
            assert!(!text.contains(['\u{2028}', '\u{85}']), "{text:?}");
            for sequence in ["\u{1b}[2J", "\u{1b}]0"] {
                assert!(!text.contains(sequence), "{text:?}");
            }
            if format == LogFormat::Json {
                let first: serde_json::Value =
                    serde_json::from_str(text.lines().next().unwrap()).unwrap();
                assert_eq!(
                    (&first["message"], &first["level"]),
                    (&"it failed".into(), &"ERROR".into())
                );
                assert_eq!(first["text"], forged, "and nothing is lost");
            }
        }
    }

    /// Where nobody collects spans, there are none.
    #[test]
    fn a_span_costs_nothing_where_it_is_not_collected() {
        let text = written(LogFormat::Json, false, || {
            assert!(!tracing::span_enabled!(target: TARGET, tracing::Level::INFO));
            let span = tracing::span!(target: TARGET, tracing::Level::INFO, "post");
            assert!(span.is_disabled());
        });
        assert_eq!(text, "");
    }
}
