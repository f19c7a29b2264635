//! An OpenTelemetry collector: it takes OTLP over HTTP and keeps what it was sent.

use std::collections::BTreeMap;
use std::sync::Mutex;

use actix_web::{HttpRequest, HttpResponse, web};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Held;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use prost::Message;

use crate::stub::{Stub, header, locked};

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
    /// The headers of each request.
    requests: Vec<BTreeMap<String, String>>,
    refuses: bool,
    rejects: i64,
}

/// A collector at work, on a port of its own.
pub struct Collector(Stub<State>);

impl Collector {
    pub fn start() -> Self {
        Self(Stub::start(State::default(), |app| {
            app.route("/v1/traces", web::post().to(take));
        }))
    }

    pub fn url(&self) -> String {
        self.0.url()
    }

    /// From now on it answers 503, or takes what comes again.
    pub fn refuse(&self, refuses: bool) {
        self.0.noted().refuses = refuses;
    }

    /// From now on it says of each batch that it has taken all but so many of its spans.
    pub fn reject(&self, spans: i64) {
        self.0.noted().rejects = spans;
    }

    /// How many batches came, refused ones among them.
    pub fn requests(&self) -> usize {
        self.0.noted().requests.len()
    }

    /// What each request so far had as that header.
    pub fn headers(&self, name: &str) -> Vec<Option<String>> {
        let state = self.0.noted();
        state.requests.iter().map(|headers| headers.get(name).cloned()).collect()
    }

    /// Every span of a trace so far, in the order that they began.
    pub fn spans_of(&self, trace: &str) -> Vec<Span> {
        let mut spans = self.0.noted().spans.clone();
        spans.retain(|span| span.trace == trace);
        spans.sort_by_key(|span| span.began);
        spans
    }

    /// Whether `text` is anywhere in what was sent.
    pub fn was_told(&self, text: &str) -> bool {
        let state = self.0.noted();
        state.bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }
}

async fn take(
    request: HttpRequest,
    body: web::Bytes,
    state: web::Data<Mutex<State>>,
) -> HttpResponse {
    let mut state = locked(&state);
    let headers = request.headers().iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    state.requests.push(headers.collect());
    if state.refuses {
        return HttpResponse::ServiceUnavailable().finish();
    }
    assert_eq!(header(&request, "content-type"), "application/x-protobuf");
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
    let partial_success = (state.rejects > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: state.rejects,
        error_message: "some are too long".to_owned(),
    });
    let answer = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    HttpResponse::Ok().content_type("application/x-protobuf").body(answer)
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
