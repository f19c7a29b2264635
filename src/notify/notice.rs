//! What the operator is told: seven things, none with a person's data in it.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::config::NotifyEvent;
use crate::lead::{DestinationId, SourceId, Timestamp, Upstream};
use crate::store::Lease;

/// How a lane's gate stands, for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// In a word of [`crate::delivery::LANE_STATES`].
    pub state: &'static str,
    /// Whether leads wait until something is mended, or somebody goes on. A pause that CareSoft
    /// asked for is none.
    pub is_stopped: bool,
    /// When it is looked whether it can go on.
    pub until: Option<Timestamp>,
}

/// One signal, ready to be posted.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    /// What it tells.
    pub event: NotifyEvent,
    /// `webhook-id`: the same for the same thing, whoever tells it, how often ever.
    pub id: String,
    /// JSON: `type`, `timestamp`, `data`.
    pub body: Bytes,
}

impl Notice {
    pub(super) fn created(lead: &Settling<'_>, upstream: Upstream, at: Timestamp) -> Self {
        let ids = json!({ "lead_id": upstream.lead_id, "requester_id": upstream.requester_id });
        let data = lead.data("created", at, ("upstream", ids));
        Self::new(NotifyEvent::LeadCreated, lead.signal_id("created"), at, &data)
    }

    /// `reason` is one that may be shown: CareSoft's words have phones and addresses masked.
    pub(super) fn dead(lead: &Settling<'_>, reason: &str, at: Timestamp) -> Self {
        let data = lead.data("dead", at, ("reason", json!(reason)));
        Self::new(NotifyEvent::LeadDead, lead.signal_id("dead"), at, &data)
    }

    /// What it is to the operator that the shared gate of `lane` became `after`, as its version
    /// `version`: nothing, mostly.
    pub(super) fn moved(
        lane: &DestinationId,
        version: u64,
        before: Standing,
        after: Standing,
        at: Timestamp,
    ) -> Option<Self> {
        let (event, word, stop) = match (before.is_stopped, after.is_stopped) {
            (true, true) if before.state == after.state => return None,
            (_, true) => (NotifyEvent::LaneStopped, after.state, after),
            (true, false) => (NotifyEvent::LaneResumed, "resumed", before),
            (false, false) => return None,
        };
        // A store that has lost its gates counts their versions anew; a moment does not come again.
        let which = stop.until.map_or_else(|| version.to_string(), |at| at.as_millis().to_string());
        let id = format!("lane_{word}_{lane}_{which}");
        let data = json!({ "destination": lane, "state": after.state, "until": after.until });
        Some(Self::new(event, id, at, &data))
    }

    pub(super) fn silent(source: &SourceId, last_received_at: Timestamp, at: Timestamp) -> Self {
        let id = format!("silent_{source}_{}", last_received_at.as_millis());
        let data = json!({ "source": source, "last_received_at": last_received_at });
        Self::new(NotifyEvent::SourceSilent, id, at, &data)
    }

    /// `reason` holds words of ours and the platform's codes.
    pub(super) fn source_stopped(
        source: &SourceId,
        whose: Option<&str>,
        reason: &str,
        until: Timestamp,
        at: Timestamp,
    ) -> Self {
        let id = fetching_id("stopped", source, whose, at);
        let reason = whose.map_or_else(|| reason.to_owned(), |whose| format!("{whose}: {reason}"));
        let data = json!({ "source": source, "reason": reason, "until": until });
        Self::new(NotifyEvent::SourceStopped, id, at, &data)
    }

    pub(super) fn source_resumed(source: &SourceId, whose: Option<&str>, at: Timestamp) -> Self {
        let id = fetching_id("resumed", source, whose, at);
        let data = json!({ "source": source, "reason": whose, "until": null });
        Self::new(NotifyEvent::SourceResumed, id, at, &data)
    }

    fn new(event: NotifyEvent, id: String, at: Timestamp, data: &Value) -> Self {
        let body = json!({ "type": event.as_str(), "timestamp": at, "data": data });
        Self { event, id, body: body.to_string().into() }
    }
}

/// What stops at the same moment for several of one source are several signals.
fn fetching_id(word: &str, source: &SourceId, whose: Option<&str>, at: Timestamp) -> String {
    let whose = whose.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric);
    let whose: String = whose.collect();
    let apart = if whose.is_empty() { "" } else { "_" };
    format!("source_{word}_{source}{apart}{whose}_{}", at.as_millis())
}

/// The submission that is being settled.
#[derive(Debug, Clone, Copy)]
pub struct Settling<'a> {
    /// By which it is.
    pub lease: &'a Lease,
    /// Where it came from.
    pub source: &'a SourceId,
    /// When it was accepted.
    pub received_at: Timestamp,
}

impl Settling<'_> {
    /// A lead can die, be replayed and die again: each lease of it has a number of its own.
    fn signal_id(&self, word: &str) -> String {
        format!("lead_{word}_{}_{}", self.lease.id, self.lease.fence)
    }

    /// What every signal about a lead holds, and `(key, value)`.
    fn data(&self, state: &str, settled_at: Timestamp, (key, value): (&str, Value)) -> Value {
        let mut data = json!({
            "id": self.lease.id,
            "source": self.source,
            "destination": self.lease.lane,
            "state": state,
            "received_at": self.received_at,
            "settled_at": settled_at,
        });
        data[key] = value;
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_425_302_000);
    const LATER: Timestamp = Timestamp::from_millis(1_795_425_317_000);

    const OPEN: Standing = Standing { state: "open", is_stopped: false, until: None };
    const THROTTLED: Standing =
        Standing { state: "throttled", is_stopped: false, until: Some(LATER) };
    const FAILING: Standing = Standing { state: "failing", is_stopped: true, until: Some(LATER) };
    const PAUSED: Standing = Standing { state: "paused", is_stopped: true, until: None };

    fn told(before: Standing, after: Standing) -> Option<(String, Value)> {
        let lane = "main".parse().unwrap();
        let notice = Notice::moved(&lane, 7, before, after, NOW)?;
        Some((notice.id, serde_json::from_slice(&notice.body).unwrap()))
    }

    #[test]
    fn a_lane_is_told_of_when_it_stops_and_when_it_goes_on() {
        let (id, body) = told(OPEN, FAILING).unwrap();
        assert_eq!(id, "lane_failing_main_1795425317000");
        let expected = json!({
            "type": "lane.stopped",
            "timestamp": "2026-11-23T09:15:02.000Z",
            "data": { "destination": "main", "state": "failing", "until": "2026-11-23T09:15:17.000Z" },
        });
        assert_eq!(body, expected);
        let (id, body) = told(FAILING, OPEN).unwrap();
        assert_eq!(id, "lane_resumed_main_1795425317000");
        assert_eq!(body["type"], "lane.resumed");
        assert_eq!(body["data"], json!({ "destination": "main", "state": "open", "until": null }));
    }

    #[test]
    fn a_pause_of_caresofts_is_no_stop_and_a_stop_is_told_once() {
        assert_eq!(told(OPEN, THROTTLED), None);
        assert_eq!(told(THROTTLED, OPEN), None);
        let failing_still = Standing { until: Some(NOW), ..FAILING };
        assert_eq!(told(FAILING, failing_still), None, "a probe has failed");
        let (id, body) = told(FAILING, THROTTLED).unwrap();
        assert_eq!(
            (id.as_str(), &body["type"]),
            ("lane_resumed_main_1795425317000", &json!("lane.resumed"))
        );
        assert_eq!(body["data"]["state"], "throttled");
        let (id, body) = told(FAILING, PAUSED).unwrap();
        assert_eq!((id.as_str(), &body["type"]), ("lane_paused_main_7", &json!("lane.stopped")));
    }
}
