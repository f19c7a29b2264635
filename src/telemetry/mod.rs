//! What Leadgate says of itself while it runs: logs and metrics. Neither ever holds a person's
//! data.

pub mod log;
pub mod metrics;

pub use metrics::Metrics;
