//! Faults on command: what a network, a proxy or a bad day do to a request.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Host;
use super::routes::Route;
use crate::lead::Malformed;

/// More faults than this are refused: a test that forgot to clear.
pub(super) const FAULTS_MAX: usize = 1_000;

const SLOW_MAX: Duration = Duration::from_secs(60);

/// What goes wrong. "Commit" means that the request is carried out all the same. Written as
/// `commit_reset`, `slow:1500` (milliseconds), ….
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Carried out, then silence until the client goes away.
    CommitNoAnswer,
    /// Carried out, then the connection is reset.
    CommitReset,
    /// Not carried out, silence.
    NoAnswer,
    /// Not carried out, the connection is reset.
    Reset,
    /// Carried out, then 500 with an HTML body.
    Commit500,
    /// Carried out, then 502 with an HTML body.
    Commit502,
    /// Not carried out, 500.
    Error500,
    /// Carried out, 200 without a body.
    CommitEmpty,
    /// Carried out, 200 with half of the JSON.
    CommitCutJson,
    /// Carried out; the answer's headers and half of its body come, then the connection is reset.
    CommitTorn,
    /// Carried out, 200 `code:"ok"` without an id.
    CommitWithoutId,
    /// Carried out and answered after a while, at most a minute.
    Slow(Duration),
    /// 401.
    Unauthorized,
    /// 429; counts towards the lock-out.
    TooManyRequests,
    /// The lock-out begins with this request.
    LockOut,
    /// 503; give it a host to let the standby live.
    Unavailable,
    /// Carried out twice, as by a proxy that repeats: two leads, the first one's answer.
    Duplicate,
}

impl FaultKind {
    const NAMED: [(&'static str, Self); 16] = [
        ("commit_no_answer", Self::CommitNoAnswer),
        ("commit_reset", Self::CommitReset),
        ("no_answer", Self::NoAnswer),
        ("reset", Self::Reset),
        ("commit_500", Self::Commit500),
        ("commit_502", Self::Commit502),
        ("error_500", Self::Error500),
        ("commit_empty", Self::CommitEmpty),
        ("commit_cut_json", Self::CommitCutJson),
        ("commit_torn", Self::CommitTorn),
        ("commit_without_id", Self::CommitWithoutId),
        ("unauthorized", Self::Unauthorized),
        ("too_many_requests", Self::TooManyRequests),
        ("lock_out", Self::LockOut),
        ("unavailable", Self::Unavailable),
        ("duplicate", Self::Duplicate),
    ];
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Slow(length) = self {
            return write!(f, "slow:{}", length.as_millis());
        }
        let named = Self::NAMED.iter().find(|(_, kind)| kind == self);
        f.write_str(named.map_or("slow", |(name, _)| name))
    }
}

impl FromStr for FaultKind {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Some(millis) = text.strip_prefix("slow:") {
            let millis = millis.parse().map_err(|_| Malformed("expected slow:MILLISECONDS"))?;
            return Ok(Self::Slow(Duration::from_millis(millis).min(SLOW_MAX)));
        }
        let named = Self::NAMED.iter().find(|(name, _)| *name == text);
        named.map(|(_, kind)| *kind).ok_or(Malformed(
            "expected commit_no_answer, commit_reset, no_answer, reset, commit_500, commit_502, \
             error_500, commit_empty, commit_cut_json, commit_torn, commit_without_id, \
             slow:MILLISECONDS, unauthorized, too_many_requests, lock_out, unavailable or duplicate",
        ))
    }
}

impl Serialize for FaultKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FaultKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A fault and which requests it befalls: `{"route":"create_lead","kind":"commit_reset","times":3}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Only requests of this route.
    #[serde(default)]
    pub route: Option<Route>,
    /// Only requests on this host.
    #[serde(default)]
    pub host: Option<Host>,
    /// Only requests for this page of a list.
    #[serde(default)]
    pub page: Option<u64>,
    /// Lets so many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// Ends after it has struck so often; `None`: never.
    #[serde(default)]
    pub times: Option<u32>,
    /// How likely it strikes, 0 to 1; always without one.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Where the dice of `probability` begin.
    #[serde(default)]
    pub seed: u64,
}

impl Fault {
    /// Befalls the next request of `route`, once.
    pub fn once(route: Route, kind: FaultKind) -> Self {
        Self { times: Some(1), ..Self::always(Some(route), kind) }
    }

    /// Befalls every request of `route` (or of any) until the faults are cleared.
    pub fn always(route: Option<Route>, kind: FaultKind) -> Self {
        Self {
            kind,
            route,
            host: None,
            page: None,
            skip: 0,
            times: None,
            probability: None,
            seed: 0,
        }
    }

    /// Whether it befalls this request; counts and rolls the dice.
    pub(super) fn strikes(&mut self, route: Route, host: Host, page: Option<u64>) -> bool {
        let elsewhere = self.route.is_some_and(|wanted| wanted != route)
            || self.host.is_some_and(|wanted| wanted != host)
            || self.page.is_some_and(|wanted| page != Some(wanted));
        if elsewhere || self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.probability.is_some_and(|likely| self.roll() >= likely) {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }

    /// SplitMix64: enough for dice, the same on every machine. 0 to 1.
    fn roll(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_what_it_writes() {
        let slow = FaultKind::Slow(Duration::from_millis(1_500));
        for kind in FaultKind::NAMED.iter().map(|(_, kind)| *kind).chain([slow]) {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("slow:x".parse::<FaultKind>().is_err() && "fire".parse::<FaultKind>().is_err());
    }

    #[test]
    fn a_fault_counts_skips_and_looks_where_it_is() {
        let mut fault = Fault { skip: 1, ..Fault::once(Route::CreateLead, FaultKind::Reset) };
        assert!(!fault.strikes(Route::Leads, Host::Primary, None));
        let struck: Vec<bool> =
            (0..3).map(|_| fault.strikes(Route::CreateLead, Host::Primary, None)).collect();
        assert_eq!(struck, [false, true, false]);
        let mut page = Fault { page: Some(2), ..Fault::always(None, FaultKind::Error500) };
        assert!(!page.strikes(Route::Leads, Host::Primary, Some(1)));
        assert!(page.strikes(Route::Leads, Host::Standby, Some(2)));
        page.host = Some(Host::Primary);
        assert!(!page.strikes(Route::Leads, Host::Standby, Some(2)));
    }

    #[test]
    fn the_dice_are_fair_and_repeat_themselves() {
        let roll = || {
            let always = Fault::always(None, FaultKind::Reset);
            let mut fault = Fault { probability: Some(0.25), seed: 7, ..always };
            (0..4_000).map(|_| fault.strikes(Route::Leads, Host::Primary, None)).collect()
        };
        let (first, second): (Vec<bool>, Vec<bool>) = (roll(), roll());
        assert_eq!(first, second);
        let struck = first.iter().filter(|struck| **struck).count();
        assert!((900..1_100).contains(&struck), "{struck}");
    }
}
