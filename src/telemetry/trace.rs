//! The spans of a submission, from its post to its lead, in whichever processes. Where nobody
//! collects them there are none, and each of these functions costs a look at a flag.
//!
//! ```text
//! post                    a request: hangs where its `traceparent` says
//! └ admit                 a submission of it; its id is made of the submission's
//!   ├ fetch               of a notice: a platform is asked for what it speaks of
//!   └ attempt|look|comment  from the lease to the end
//!     ├ create_lead, …    a request to CareSoft
//!     └ settle            writes down how it ended
//! ```
//!
//! A record keeps the trace's id alone. Attributes hold ids, names of the configuration, words of
//! ours and numbers, and never a person.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, TraceId as OtelTraceId};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use super::ids::{self, Next};
use super::traceparent::TraceParent;
use crate::lead::{DestinationId, SourceId, SubmissionId, TraceId};

/// What tells these spans from whatever a library makes of its own.
pub const TARGET: &str = "leadgate::trace";

/// Anybody may post, and a span costs some microseconds and some memory: beyond this many posts a
/// second the others have no spans of their own. What delivery does is traced always, since
/// CareSoft's pace bounds it.
const POSTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(200).expect("not 0");

/// One post may hold thousands of submissions; so many have a span of their own.
const ADMISSIONS_MAX: usize = 100;

/// A span of ours.
macro_rules! ours {
    (parent: $parent:expr, $name:literal, $($fields:tt)*) => {
        tracing::span!(target: TARGET, parent: $parent, tracing::Level::INFO, $name, $($fields)*)
    };
}

/// Begins the traces of posts.
pub struct Posts {
    allowance: DefaultDirectRateLimiter,
}

impl Default for Posts {
    fn default() -> Self {
        Self { allowance: RateLimiter::direct(Quota::per_second(POSTS_PER_SECOND)) }
    }
}

impl Posts {
    /// A post came to `source`. `caller` is where it hangs, as its sender says: no more than the
    /// ids are believed.
    pub fn begin(&self, source: &SourceId, caller: Option<TraceParent>) -> Post {
        let trace = caller.map_or_else(TraceId::generate, |caller| caller.trace);
        let is_collected = tracing::span_enabled!(target: TARGET, tracing::Level::INFO);
        if !is_collected || self.allowance.check().is_err() {
            return Post { trace, span: Span::none() };
        }
        let span = ours!(
            parent: None,
            "post",
            otel.kind = "server",
            http.request.method = "POST",
            http.route = "/in/{source}",
            %source,
            http.response.status_code = Empty,
            submissions = Empty,
            outcome = Empty,
            otel.status_code = Empty,
        );
        start(&span, trace, caller.map(|caller| caller.span), None);
        Post { trace, span }
    }
}

/// A post that is being answered.
pub struct Post {
    trace: TraceId,
    span: Span,
}

impl Post {
    /// Its trace, whether that is collected or not.
    pub fn trace(&self) -> TraceId {
        self.trace
    }

    /// Its submissions are about to be stored.
    pub fn admit(&self, ids: &[SubmissionId], destination: &DestinationId) -> Vec<Admit> {
        if self.span.is_disabled() {
            return Vec::new();
        }
        self.span.record("submissions", ids.len());
        let begin = |id: &SubmissionId| {
            let span = ours!(
                parent: &self.span,
                "admit",
                lead_id = %id,
                %destination,
                outcome = Empty,
                otel.status_code = Empty,
            );
            ids::begin(&span, Next { trace: None, span: Some(span_of(*id)) });
            Admit(span)
        };
        ids.iter().take(ADMISSIONS_MAX).map(begin).collect()
    }

    /// It is answered with `status`.
    pub fn answered(&self, status: u16, outcome: &'static str) {
        self.span.record("http.response.status_code", status);
        self.span.record("outcome", outcome);
        if status >= 500 {
            fail(&self.span);
        }
    }
}

/// A submission that is being stored.
pub struct Admit(Span);

impl Admit {
    /// What the store decided, in a word.
    pub fn decided(self, verdict: &'static str) {
        self.0.record("outcome", verdict);
    }

    /// It could not be stored.
    pub fn failed(self) {
        fail(&self.0);
    }
}

/// A record that a lane, or what fetches, has leased.
pub struct Leased<'a> {
    /// The record.
    pub id: SubmissionId,
    /// Its trace, where it has one.
    pub trace: Option<TraceId>,
    /// Where it came from.
    pub source: &'a SourceId,
    /// Where it goes.
    pub destination: &'a DestinationId,
    /// What is done: `attempt`, `look`, `comment`, `fetch`.
    pub task: &'static str,
    /// How many attempts have been spent on it.
    pub attempts: u32,
}

impl Leased<'_> {
    /// The record's trace; of one that is older than traces, its own id.
    pub fn trace(&self) -> TraceId {
        self.trace.unwrap_or_else(|| TraceId::of(self.id))
    }

    /// Work on it begins.
    pub fn begin(&self) -> Span {
        let Self { id, source, destination, task, attempts, .. } = self;
        let span = ours!(
            parent: None,
            "work",
            otel.name = task,
            otel.kind = "consumer",
            lead_id = %id,
            %source,
            %destination,
            attempts,
            outcome = Empty,
            otel.status_code = Empty,
        );
        let parent = self.trace.map(|_| span_of(self.id));
        start(&span, self.trace(), parent, None);
        span
    }
}

/// A request to CareSoft, within the work that is going on.
pub struct Request {
    span: Span,
    parent: TraceParent,
}

impl Request {
    /// It is about to go out.
    pub fn begin(trace: TraceId, host: Option<&str>) -> Self {
        let work = Span::current();
        let span = if is_ours(&work) {
            ours!(
                parent: &work,
                "request",
                otel.kind = "client",
                server.address = host,
                http.response.status_code = Empty,
                outcome = Empty,
                otel.status_code = Empty,
            )
        } else {
            Span::none()
        };
        let is_sampled = !span.is_disabled();
        let id = Some(random_span()).filter(|_| is_sampled);
        ids::begin(&span, Next { trace: None, span: id });
        let parent = TraceParent { trace, span: id.unwrap_or_else(random_span), is_sampled };
        Self { span, parent }
    }

    /// What it says of itself: `traceparent`.
    pub fn parent(&self) -> TraceParent {
        self.parent
    }

    /// It ended: which call it was, the answer's status where one came, and what it means.
    pub fn ended(
        self,
        call: &'static str,
        status: Option<u16>,
        outcome: &'static str,
        is_error: bool,
    ) {
        if !self.span.is_disabled() {
            self.span.context().span().update_name(call);
        }
        self.span.record("http.response.status_code", status);
        self.span.record("outcome", outcome);
        if is_error {
            fail(&self.span);
        }
    }
}

/// Writing down how work ended, within that work.
pub fn settle(outcome: &'static str) -> Span {
    let work = Span::current();
    if is_ours(&work) { ours!(parent: &work, "settle", outcome,) } else { Span::none() }
}

/// Work ended so.
pub fn worked(outcome: &str, is_failure: bool) {
    let work = Span::current();
    if is_ours(&work) {
        work.record("outcome", outcome);
        if is_failure {
            fail(&work);
        }
    }
}

fn is_ours(span: &Span) -> bool {
    span.metadata().is_some_and(|metadata| metadata.target() == TARGET)
}

fn fail(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// The id of the span in which a submission was admitted: the half of its own that is by chance.
fn span_of(id: SubmissionId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *id.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1)
}

fn random_span() -> u64 {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    low // says its variant, so it is never 0
}

/// Gives a span its place: in this trace, under this span of another process, with this id.
fn start(span: &Span, trace: TraceId, parent: Option<u64>, id: Option<u64>) {
    if span.is_disabled() {
        return;
    }
    if let Some(parent) = parent {
        let trace = OtelTraceId::from_bytes(*trace.as_bytes());
        let parent = SpanId::from(parent);
        let flags = TraceFlags::SAMPLED;
        let parent = SpanContext::new(trace, parent, flags, true, TraceState::NONE);
        // Fails where nobody collects: then there is nothing to hang.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    ids::begin(span, Next { trace: Some(trace), span: id });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who floods a source costs no more spans than the allowance, and still gets traces.
    #[test]
    fn posts_have_spans_up_to_a_rate() {
        let posts = Posts::default();
        let source: SourceId = "website".parse().unwrap();
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let began = std::time::Instant::now();
            let collected = (0..5_000)
                .map(|_| posts.begin(&source, TraceParent::read(caller)))
                .inspect(|post| assert_eq!(post.trace().to_string(), caller[3..35]))
                .filter(|post| !post.span.is_disabled())
                .count();
            let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
            assert!((200..=200 * seconds).contains(&collected), "{collected}");
            let id = SubmissionId::generate();
            let lane: DestinationId = "main".parse().unwrap();
            let post = Post { trace: TraceId::generate(), span: Span::none() };
            assert!(post.admit(&[id], &lane).is_empty());
            let span = tracing::span!(target: TARGET, tracing::Level::INFO, "post");
            let post = Post { trace: TraceId::generate(), span };
            assert_eq!(post.admit(&vec![id; 5_000], &lane).len(), ADMISSIONS_MAX);
        });
    }

    #[test]
    fn spans_of_submissions_are_told_apart() {
        let mut spans: Vec<_> = (0..10_000).map(|_| span_of(SubmissionId::generate())).collect();
        spans.sort_unstable();
        spans.dedup();
        assert_eq!(spans.len(), 10_000);
    }
}
