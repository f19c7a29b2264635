//! `[notify]`

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretString};

use super::field::Field;
use super::secret;
use super::section::Section;
use super::store::DAY;
use crate::config::notify::{HookUrl, Notify, NotifyEvent, SigningKey};

const SILENT_AFTER: RangeInclusive<Duration> = Duration::ZERO..=DAY.saturating_mul(30);

/// A receiver that takes longer should queue what it is told.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);

/// Each event once, and some to spare.
const EVENTS_MAX: usize = 100;

/// A shorter key is found by trying. Standard Webhooks asks for 24 bytes.
const KEY_BYTES_WANTED: usize = 16;

/// Standard Webhooks: a secret that is base64 says so.
const BASE64_PREFIX: &str = "whsec_";

/// Some tools leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// None where `url = ""` turns it off, and beside a fault.
pub(super) fn notify(mut section: Section<'_>) -> Option<Notify> {
    let url = section
        .require("url", r#"name where signals are posted; "" turns them off"#)
        .and_then(Field::unless_empty)
        .and_then(url);
    let keys = section
        .require("secret", r#"write secret = { env = "LEADGATE_NOTIFY_SECRET" }"#)
        .map(keys)
        .unwrap_or_default();
    let all = BTreeSet::from(NotifyEvent::ALL);
    let events = section.read_or("events", all, |field| Some(events(field)));
    let silent_after = section.read_or("silent_after", DAY, |field| field.duration(SILENT_AFTER));
    let timeout =
        section.read_or("timeout", Duration::from_secs(10), |field| field.duration(TIMEOUT));
    section.finish();
    let silent_after = (!silent_after.is_zero()).then_some(silent_after);
    Some(Notify { url: url?, keys, events, silent_after, timeout })
}

fn url(field: Field<'_>) -> Option<HookUrl> {
    let mark = field.mark();
    let url = field.url()?;
    mark.warn_of_clear_text(&url, "signals cross the network in clear text");
    Some(HookUrl(url))
}

fn events(field: Field<'_>) -> BTreeSet<NotifyEvent> {
    let mark = field.mark();
    let items = field.list(EVENTS_MAX);
    if items.is_empty() {
        mark.fault("this list is empty", "name an event, or leave the key out for all of them");
    }
    let words = NotifyEvent::ALL.map(|event| (event.as_str(), event));
    items.into_iter().filter_map(|item| item.choice(&words)).collect()
}

fn keys(field: Field<'_>) -> Vec<SigningKey> {
    let mark = field.mark();
    secret::secrets(field).iter().filter_map(|secret| key(&mark, secret)).collect()
}

/// The bytes that a secret stands for; none when the fault is reported.
fn key(mark: &Field<'_>, secret: &SecretString) -> Option<SigningKey> {
    let text = secret.expose_secret();
    if text.is_empty() {
        return None; // said already
    }
    let bytes = match text.strip_prefix(BASE64_PREFIX) {
        Some(encoded) => BASE64.decode(encoded).ok(),
        None => Some(text.as_bytes().to_vec()),
    };
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
        mark.fault("what follows whsec_ is no base64", "look for what was copied along");
        return None;
    };
    if bytes.len() < KEY_BYTES_WANTED {
        let problem = "a secret this short can be found by trying";
        mark.warn(problem, "take whsec_ and 24 random bytes in base64");
    }
    Some(SigningKey(bytes.into()))
}
