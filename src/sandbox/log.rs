//! What came, and the figures that tests and people ask for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Host;
use super::routes::Route;
use crate::lead::Timestamp;

/// Beyond so many requests the oldest are forgotten.
const ENTRIES_MAX: usize = 1_000_000;

/// One request to the API.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// By the simulator's clock.
    pub at: Timestamp,
    /// By the machine's monotonic clock: what the figures count with.
    pub arrived: Instant,
    /// On which of the two hosts.
    pub host: Host,
    /// As it came.
    pub domain: Arc<str>,
    /// `POST`, ….
    pub method: &'static str,
    /// What was asked for.
    pub route: Route,
    /// What was answered; `None` when an injected fault gave no answer.
    pub status: Option<u16>,
    /// The lead that was made, changed or shown.
    pub lead_id: Option<u64>,
    /// Whether it came while the account was locked out.
    pub during_lockout: bool,
    /// The header of that name, as it came.
    pub traceparent: Option<Box<str>>,
}

/// The requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct Log(VecDeque<LogEntry>);

impl Log {
    pub(super) fn add(&mut self, entry: LogEntry) {
        if self.0.len() >= ENTRIES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    pub(super) fn entries(&self) -> Vec<LogEntry> {
        self.0.iter().cloned().collect()
    }

    /// The most requests, admitted or refused, that came within one second.
    pub(super) fn max_in_any_second(&self) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (last, entry) in self.0.iter().enumerate() {
            while entry.arrived - self.0[first].arrived >= Duration::from_secs(1) {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }

    pub(super) fn longest_run_of_429(&self) -> usize {
        let mut run = 0;
        self.0
            .iter()
            .map(|entry| {
                run = if entry.status == Some(429) { run + 1 } else { 0 };
                run
            })
            .max()
            .unwrap_or(0)
    }

    pub(super) fn requests_during_lockout(&self) -> usize {
        self.0.iter().filter(|entry| entry.during_lockout).count()
    }

    /// The figures as JSON.
    pub(super) fn figures(&self) -> serde_json::Value {
        let mut by_status = std::collections::BTreeMap::<String, u64>::new();
        for entry in &self.0 {
            let status = entry.status.map_or("none".to_owned(), |status| status.to_string());
            *by_status.entry(status).or_default() += 1;
        }
        serde_json::json!({
            "requests": self.0.len(),
            "by_status": by_status,
            "max_in_any_second": self.max_in_any_second(),
            "longest_run_of_429": self.longest_run_of_429(),
            "requests_during_lockout": self.requests_during_lockout(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[(u64, u16)]) -> Log {
        let begun = Instant::now();
        let mut log = Log::default();
        for (millis, status) in entries {
            log.add(LogEntry {
                at: Timestamp::from_millis(0),
                arrived: begun + Duration::from_millis(*millis),
                host: Host::Primary,
                domain: "sandbox".into(),
                method: "POST",
                route: Route::CreateLead,
                status: Some(*status),
                lead_id: None,
                during_lockout: false,
                traceparent: None,
            });
        }
        log
    }

    #[test]
    fn the_figures_slide() {
        assert_eq!(log(&[]).max_in_any_second(), 0);
        let entries = [(0, 200), (500, 429), (999, 429), (1_000, 200), (1_400, 429), (3_000, 200)];
        assert_eq!(log(&entries).max_in_any_second(), 4);
        assert_eq!(log(&entries).longest_run_of_429(), 2);
        assert_eq!(log(&entries).figures()["by_status"]["429"], 3);
    }
}
