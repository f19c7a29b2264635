//! Spans on their way to an OpenTelemetry collector: OTLP over HTTP, as protobuf. Batched on a
//! thread of its own, within bounds; what the collector does not take is dropped, and no lead
//! waits for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use prost::Message;
use tokio::runtime::Handle;
use url::Url;
use uuid::Uuid;

use super::Metrics;
use super::counted::{CountedExporter, CountedProcessor, Tally};
use super::ids::Ids;
use crate::http_client;

/// A few minutes of CareSoft's pace, some megabytes. What is more is dropped.
const WAITING_MAX: usize = 4096;
const BATCH_MAX: usize = 512;
const EVERY: Duration = Duration::from_secs(1);

/// For one batch, with the tries again of a collector that is busy.
const TIMEOUT: Duration = Duration::from_secs(5);
/// For one request of it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// A collector says hardly anything.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Traces that are collected, until they are closed.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends spans to the collector at `endpoint`, over `runtime`, and counts them in `metrics`.
    ///
    /// # Errors
    /// TLS, the client or the exporter that cannot be set up.
    pub fn open(endpoint: &Url, runtime: Handle, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let client = http_client::builder()?.timeout(REQUEST_TIMEOUT).build()?;
        let tally = Arc::new(Tally::new(metrics, WAITING_MAX));
        let is_failing = AtomicBool::new(false);
        let client = Collector { client, runtime, is_failing, tally: Arc::clone(&tally) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(address(endpoint))
            .with_timeout(TIMEOUT)
            .build()?;
        let exporter = CountedExporter { exporter, tally: Arc::clone(&tally) };
        let bounds = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(EVERY)
            .build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(bounds).build();
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", "leadgate"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
        ]);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(CountedProcessor { batches, tally })
            // What to trace is decided where spans are made, not by the flag of whoever calls.
            .with_sampler(Sampler::AlwaysOn)
            .with_id_generator(Ids::default())
            .with_resource(resource.build());
        Ok(Self(Some(provider.build())))
    }

    /// What makes spans; `None` where nobody collects them.
    pub(super) fn tracer(&self) -> Option<SdkTracer> {
        self.0.as_ref().map(|provider| provider.tracer("leadgate"))
    }

    /// Sends what waits, for as long as that, and ends.
    pub async fn close(self, within: Duration) {
        let Some(provider) = self.0 else { return };
        // Whatever fails was told by the client.
        let closing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(within));
        let _ = tokio::time::timeout(within, closing).await;
    }
}

/// Where traces are posted under `endpoint`, as OpenTelemetry's page on exporters has it.
fn address(endpoint: &Url) -> String {
    const PATH: &str = "/v1/traces";
    let base = endpoint.as_str().trim_end_matches('/');
    if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }
}

/// The collector. Our client, so that its precautions hold here as well: no proxy, no redirects,
/// the roots that are compiled in.
struct Collector {
    client: reqwest::Client,
    /// Batches are sent by a thread that has no runtime.
    runtime: Handle,
    is_failing: AtomicBool,
    tally: Arc<Tally>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector(…)") // headers from the environment may hold a token
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = self.runtime.spawn(send(self.client.clone(), request));
        let answered = sending.await.map_err(HttpError::from).and_then(|answered| answered);
        match &answered {
            Ok(answer) if answer.status().is_success() => {
                let rejected = rejected(answer.body());
                self.tally.rejected(rejected);
                if rejected > 0 {
                    self.fails(&format!("it has rejected {rejected} of a batch's spans"));
                } else if self.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("traces are collected again");
                }
            }
            Ok(answer) => self.fails(&format!("HTTP {}", answer.status().as_u16())),
            Err(error) => self.fails(&error.to_string()),
        }
        answered
    }
}

impl Collector {
    /// Told once, until it works again.
    fn fails(&self, why: &str) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(why, "traces are not collected: they are dropped until they are");
        }
    }
}

/// How many spans a collector that takes a batch says that it did not keep. What it says besides
/// is told nowhere: it may repeat what it was sent.
fn rejected(answer: &Bytes) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer.clone()).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    u64::try_from(partial.rejected_spans).unwrap_or(0)
}

async fn send(
    client: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let request = reqwest::Request::try_from(request)?;
    let sent = client.execute(request).await;
    let mut answer = sent.map_err(reqwest::Error::without_url)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err("the collector's answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.clone_from(answer.headers()); // Retry-After
    }
    Ok(response.body(body.into())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_the_root_or_the_whole_address() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://otlp.example.vn/of/us/", "https://otlp.example.vn/of/us/v1/traces"),
            ("https://otlp.example.vn/v1/traces", "https://otlp.example.vn/v1/traces"),
        ] {
            assert_eq!(address(&endpoint.parse().unwrap()), expected);
        }
    }
}
