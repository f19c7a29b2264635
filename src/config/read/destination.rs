//! `[destinations.X]`

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use super::field::Field;
use super::section::Section;
use super::{lead, secret};
use crate::config::LeadUrl;
use crate::config::model::{Breaker, Destination, Marker, Pace, Retry};

/// Each one is a lane with tasks and connections of its own.
pub(super) const DESTINATIONS_MAX: usize = 100;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

const PER_SECOND_MAX: u32 = 1000;
const PER_HOUR_MAX: u32 = PER_SECOND_MAX * 3600;
/// CareSoft docs, "Rate limit": 15 requests a second, 54,000 an hour, per domain.
const CARESOFT_PER_SECOND: u32 = 15;
const CARESOFT_PER_HOUR: u32 = 54_000;

const IN_FLIGHT: RangeInclusive<u64> = 1..=1000;
const TIMEOUT: RangeInclusive<Duration> = MILLISECOND..=MINUTE.saturating_mul(5);
const RETRY_INITIAL: RangeInclusive<Duration> = MILLISECOND..=HOUR;
const RETRY_MAX: RangeInclusive<Duration> = MILLISECOND..=HOUR.saturating_mul(24);
const GIVE_UP_AFTER: RangeInclusive<Duration> = MILLISECOND..=HOUR.saturating_mul(24 * 365);
const FAILURES_MAX: u32 = 1000;
const PROBE_EVERY: RangeInclusive<Duration> = MILLISECOND..=HOUR;
const LOCKOUT: RangeInclusive<Duration> = MILLISECOND..=HOUR.saturating_mul(24);

/// CareSoft's own names are a tenth of this.
const DOMAIN_MAX: usize = 100;

pub(super) fn destination(mut section: Section<'_>) -> Destination {
    let (base_url, fallback_url) = urls(&mut section);
    let destination = Destination {
        base_url,
        fallback_url,
        domain: section
            .require("domain", "it is the account's name: the path in its login URL")
            .map(domain)
            .unwrap_or_default(),
        token: section
            .require("token", r#"write token = { env = "CARESOFT_TOKEN" }"#)
            .map(secret::header_secret)
            .unwrap_or_default(),
        rate: pace(section.section("rate")),
        max_in_flight: section.read_or("max_in_flight", 32, |field| field.size(IN_FLIGHT)),
        timeout: section.read_or("timeout", SECOND * 15, |field| field.duration(TIMEOUT)),
        retry: retry(section.section("retry")),
        breaker: breaker(section.section("breaker")),
        lockout: section.read_or("lockout", MINUTE * 15, |field| field.duration(LOCKOUT)),
        marker: section.read_or("marker", Marker::Comment, marker),
        comment_author_id: section.take("comment_author_id").and_then(Field::id),
        lead_url: section.take("lead_url").and_then(lead_url),
        lead: lead::settings(section.section("lead")),
    };
    section.finish();
    destination
}

/// CareSoft's host and its standby. The standby goes with CareSoft's own host alone: leads that
/// are meant for another one must not reach CareSoft by default.
fn urls(section: &mut Section<'_>) -> (Url, Option<Url>) {
    let constant = |text| Url::parse(text).expect("a constant URL");
    let caresoft = constant("https://api.caresoft.vn");
    let base = section.read_or("base_url", caresoft.clone(), Field::root_url);
    let fallback = match section.take("fallback_url") {
        Some(field) => field.unless_empty().and_then(Field::root_url),
        None => (base == caresoft).then(|| constant("https://api2.caresoft.vn")),
    };
    (base, fallback)
}

/// It is not repeated in faults: it may hold a password.
fn lead_url(field: Field<'_>) -> Option<LeadUrl> {
    let field = field.unless_empty()?;
    let mark = field.mark();
    let read = LeadUrl::parse(&field.text());
    let problem = |problem| mark.fault(problem, r#"write "https://host/path/{id}""#);
    read.map_err(problem).ok()
}

/// A path segment that is sent exactly as given.
fn domain(field: Field<'_>) -> String {
    let mark = field.mark();
    let domain = field.short_text(DOMAIN_MAX);
    let unfit = |c: char| c.is_whitespace() || c.is_control() || "/\\?#%".contains(c);
    if matches!(domain.as_str(), "." | "..") || domain.contains(unfit) {
        let problem = "this is no account's name";
        mark.fault(problem, "expected the path in the account's login URL, without host and slash");
    }
    domain
}

fn pace(mut section: Section<'_>) -> Pace {
    let mut number = |key, default, most, caresoft: u32| {
        let default = NonZeroU32::new(default).unwrap_or(NonZeroU32::MIN);
        section.read_or(key, default, |field| {
            let mark = field.mark();
            let count = field.count(most)?;
            if count.get() > caresoft {
                let problem =
                    format!("CareSoft refuses more than {caresoft} and locks out who insists");
                mark.warn(problem, "stay below it, and leave room for other integrations");
            }
            Some(count)
        })
    };
    let pace = Pace {
        per_second: number("per_second", 12, PER_SECOND_MAX, CARESOFT_PER_SECOND),
        per_hour: number("per_hour", 50_000, PER_HOUR_MAX, CARESOFT_PER_HOUR),
    };
    section.finish();
    pace
}

fn retry(mut section: Section<'_>) -> Retry {
    let max = section.take("max").map_or(Some(MINUTE * 10), |field| field.duration(RETRY_MAX));
    // Where max alone is set, and low, the default of initial follows it.
    let initial = SECOND.min(max.unwrap_or(SECOND));
    let retry = Retry {
        initial: section.read_or("initial", initial, |field| field.duration(RETRY_INITIAL)),
        max: max.unwrap_or(*RETRY_MAX.end()),
        give_up_after: section
            .read_or("give_up_after", HOUR * 72, |field| field.duration(GIVE_UP_AFTER)),
    };
    if retry.initial > retry.max {
        section.fault("initial", "the first delay is longer than max, the longest", "lower it");
    }
    section.finish();
    retry
}

fn breaker(mut section: Section<'_>) -> Breaker {
    let breaker = Breaker {
        failures: section.read_or("failures", 5, |field| field.count(FAILURES_MAX).map(u32::from)),
        probe_every: section
            .read_or("probe_every", SECOND * 15, |field| field.duration(PROBE_EVERY)),
    };
    section.finish();
    breaker
}

fn marker(field: Field<'_>) -> Option<Marker> {
    let words =
        [("comment", Marker::Comment), ("subject", Marker::Subject), ("none", Marker::None)];
    field.choice(&words)
}
