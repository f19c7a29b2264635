//! How long a platform asks to wait, in a header of its own.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::super::path::{self, Path};

/// A header of JSON that tells how long to wait.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackoffHeader {
    /// Its name.
    pub name: String,
    /// Where in it the lengths are: the longest counts.
    path: Path,
    #[serde(default)]
    unit: Unit,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Min,
    #[default]
    S,
}

impl BackoffHeader {
    /// How long to wait, by the header's value; `None` where it does not say.
    pub fn wait(&self, value: &str) -> Option<Duration> {
        let told: Value = serde_json::from_str(value).ok()?;
        let number = |value: &Value| path::scalar(value)?.parse::<u64>().ok();
        let longest = self.path.all(&told).into_iter().filter_map(number).max()?;
        let seconds = match self.unit {
            Unit::Min => longest.saturating_mul(60),
            Unit::S => longest,
        };
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}
