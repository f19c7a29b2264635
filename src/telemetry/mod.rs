//! What Leadgate says of itself while it runs: logs, metrics and traces. None of them ever holds a
//! person's data.

mod collector;
mod counted;
mod ids;
pub mod log;
pub mod metrics;
mod one_line;
pub mod trace;
pub mod traceparent;

pub use collector::Traces;
pub use metrics::Metrics;
pub use traceparent::TraceParent;
