//! An OpenTelemetry collector: it takes OTLP over HTTP and keeps what it was sent.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Held;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use prost::Message;

/// A span, as a person reads it: ids in hexadecimal digits, values as text.
#[derive(Debug, Clone)]
pub struct Span {
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty where it hangs nowhere.
    pub parent: String,
    /// 2 server, 3 client, 5 consumer, 1 internal.
    pub kind: i32,
    pub is_error: bool,
    pub began: u64,
    pub ended: u64,
    pub attributes: BTreeMap<String, String>,
    /// `service.instance.id`: each process has its own.
    pub process: String,
}

#[derive(Default)]
struct State {
    spans: Vec<Span>,
    bytes: Vec<u8>,
    requests: usize,
    refuses: bool,
}

/// A collector at work, on a port of its own.
pub struct Collector {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    handle: ServerHandle,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = web::Data::from(Arc::clone(&state));
        let app = move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::PayloadConfig::new(16 * 1024 * 1024))
                .route("/v1/traces", web::post().to(take))
        };
        let server = HttpServer::new(app).workers(1).shutdown_timeout(0).disable_signals();
        let server = server.listen(listener).expect("a listener").run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { address, state, handle }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it answers 503, or takes what comes again.
    pub fn refuse(&self, refuses: bool) {
        locked(&self.state).refuses = refuses;
    }

    /// How many batches came, refused ones among them.
    pub fn requests(&self) -> usize {
        locked(&self.state).requests
    }

    /// Every span of a trace so far, in the order that they began.
    pub fn spans_of(&self, trace: &str) -> Vec<Span> {
        let mut spans = locked(&self.state).spans.clone();
        spans.retain(|span| span.trace == trace);
        spans.sort_by_key(|span| span.began);
        spans
    }

    /// Whether `text` is anywhere in what was sent.
    pub fn was_told(&self, text: &str) -> bool {
        let state = locked(&self.state);
        state.bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.handle.stop(false)); // told at once, whoever waits for it
    }
}

async fn take(
    request: HttpRequest,
    body: web::Bytes,
    state: web::Data<Mutex<State>>,
) -> HttpResponse {
    let mut state = locked(&state);
    state.requests += 1;
    if state.refuses {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let kind = request.headers().get("content-type").expect("a content type");
    assert_eq!(kind, "application/x-protobuf");
    let sent = ExportTraceServiceRequest::decode(body.clone()).expect("OTLP");
    for spans in sent.resource_spans {
        let resource = spans.resource.expect("a resource").attributes;
        let resource = texts(resource);
        assert_eq!(resource["service.name"], "leadgate");
        let process = resource["service.instance.id"].clone();
        let spans = spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
        state.spans.extend(spans.map(|sent| span(sent, &process)));
    }
    state.bytes.extend_from_slice(&body);
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

fn span(sent: Sent, process: &str) -> Span {
    assert!(sent.events.is_empty() && sent.links.is_empty(), "{sent:?}");
    Span {
        name: sent.name,
        trace: digits(&sent.trace_id),
        id: digits(&sent.span_id),
        parent: digits(&sent.parent_span_id),
        kind: sent.kind,
        is_error: sent.status.is_some_and(|status| status.code == 2),
        began: sent.start_time_unix_nano,
        ended: sent.end_time_unix_nano,
        attributes: texts(sent.attributes),
        process: process.to_owned(),
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Held::StringValue(text)) => text,
        Some(Held::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no test panics in here")
}
