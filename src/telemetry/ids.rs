//! The ids of spans. A trace's id is in the record and in answers before anybody collects it, and
//! a submission's span is found again by another process: so we choose them, where OpenTelemetry
//! asks a generator for each.

use std::cell::Cell;

use opentelemetry::TraceId as OtelTraceId;
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::lead::TraceId;

/// What the next span gets, where that is not left to chance.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Next {
    /// Of one that hangs nowhere.
    pub(super) trace: Option<TraceId>,
    pub(super) span: Option<u64>,
}

thread_local! {
    /// A span begins in the call that asks for its ids, on the same thread.
    static NEXT: Cell<Next> = Cell::new(Next::default());
}

/// Begins a span that was just made, with these ids.
pub(super) fn begin(span: &Span, next: Next) {
    if !span.is_disabled() {
        NEXT.set(next);
        let _ = span.context(); // begins it
        NEXT.set(Next::default());
    }
}

/// Gives what [`begin`] was given, and chance numbers otherwise.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> OtelTraceId {
        let given = NEXT.get().trace.map(|trace| OtelTraceId::from_bytes(*trace.as_bytes()));
        given.unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        let given = NEXT.get().span.map(SpanId::from);
        given.unwrap_or_else(|| self.0.new_span_id())
    }
}
