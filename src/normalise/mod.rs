//! What people type, made into what a CRM can use: pure functions, no I/O, no clock.
//!
//! Intake extracts a [`Draft`] (raw text, several candidates for a field); [`normalise`] makes a
//! [`Lead`] of it, tells who the person is, and which fields were of no use. Nothing is lost on
//! the way: what cannot be used stays in the lead as an answer.

pub mod attribution;
pub mod correct;
pub mod email;
pub mod fold;
pub mod name;
pub mod phone;
pub mod ref_url;

use std::collections::BTreeMap;
use std::fmt;

use unicode_normalization::UnicodeNormalization;
use url::Url;

use crate::config::NameOrder;
use crate::lead::{Answer, Email, Identity, Lead, Phone};
use attribution::{Evidence, is_void, weigh};

/// What intake found in a submission: raw text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The whole name.
    pub name: Option<String>,
    /// The given name, used where there is no whole one.
    pub first_name: Option<String>,
    /// The family name, used where there is no whole one.
    pub last_name: Option<String>,
    /// Candidates for the phone number, the preferred first.
    pub phones: Vec<String>,
    /// Candidates for the e-mail address, the preferred first.
    pub emails: Vec<String>,
    /// What the person wrote.
    pub message: Option<String>,
    /// Where the submission came from.
    pub evidence: Evidence,
    /// Everything else the form held.
    pub answers: Vec<Answer>,
    /// Which payload field became which of ours.
    pub fields: BTreeMap<String, String>,
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draft(…)") // a person's: never in a log by accident
    }
}

/// How a source's submissions are read.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The region of a phone number without a country code: `VN`.
    pub region: &'a str,
    /// How a name given in parts is put together.
    pub name_order: NameOrder,
    /// The base of `ref_url` when a submission names no page.
    pub source_page: Option<&'a Url>,
    /// The source's own address, `{public_url}/in/{source}`: the last resort for that base.
    pub endpoint: &'a Url,
}

/// What a draft comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalised {
    /// The lead.
    pub lead: Lead,
    /// Who the person is: the phone number first, then the e-mail address. Empty: nobody can
    /// be reached.
    pub identities: Vec<Identity>,
    /// The fields that gave nothing usable.
    pub faults: Vec<Fault>,
}

/// Why a field gave nothing usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `phone` or `email`; any field of a lead where a person corrects it.
    pub field: &'static str,
    /// The reason's name: `missing`, `unusable`, or the code of [`phone::NoPhone`] or
    /// [`email::NoEmail`].
    pub code: &'static str,
    /// The reason as a sentence, without what was typed.
    pub message: String,
}

/// Makes a lead of what intake found. Of several phone numbers or e-mail addresses the first
/// usable one counts; further ones, unusable ones, and remarks beside them become answers.
pub fn normalise(draft: Draft, rules: &Rules) -> Normalised {
    let Draft { name, first_name, last_name, phones, emails, message, evidence, answers, fields } =
        draft;
    let phone = first_usable(phones, |raw| read_phone(raw, rules.region));
    let email = first_usable(emails, read_email);
    let name = name
        .and_then(|name| name::clean(&name))
        .or_else(|| name::join(first_name.as_deref(), last_name.as_deref(), rules.name_order));
    let (attribution, page) = weigh(evidence);
    let ref_url =
        ref_url::on_page(page.as_ref().or(rules.source_page), &attribution, rules.endpoint);

    let mut identities = Vec::new();
    identities.extend(phone.value.clone().map(Identity::Phone));
    identities.extend(email.value.as_ref().map(|email| Identity::Email(email.key.clone())));
    let faults = faults(&phone, &email);
    let mut answers = answers;
    for (label, rest) in [("phone", phone.rest), ("email", email.rest)] {
        answers.extend(rest.into_iter().map(|value| Answer {
            label: label.to_owned(),
            value,
            key: None,
        }));
    }
    let lead = Lead {
        name,
        phone: phone.value,
        email: email.value.map(|email| email.address),
        message: message.and_then(tidy),
        ref_url,
        attribution,
        answers,
        fields,
    };
    Normalised { lead, identities, faults }
}

/// A raw text read as a phone number or an e-mail address.
struct Usable<T> {
    value: T,
    /// The text says more than the value.
    says_more: bool,
}

/// What the candidates for a field came to.
struct Found<T> {
    value: Option<T>,
    /// Why the preferred candidate is of no use, where none is of use.
    fault: Option<(&'static str, String)>,
    /// Raw texts that `value` does not tell whole.
    rest: Vec<String>,
}

fn first_usable<T: PartialEq>(
    raws: Vec<String>,
    read: impl Fn(&str) -> Result<Usable<T>, (&'static str, String)>,
) -> Found<T> {
    let mut found = Found { value: None, fault: None, rest: Vec::new() };
    let mut first_fault = None;
    for raw in raws.into_iter().filter(|raw| !is_void(raw)) {
        let keep = match (read(&raw), &found.value) {
            (Ok(usable), None) => {
                found.value = Some(usable.value);
                usable.says_more
            }
            (Ok(usable), Some(value)) => usable.says_more || usable.value != *value,
            (Err(fault), _) => {
                first_fault = first_fault.or(Some(fault));
                true
            }
        };
        let raw = raw.trim();
        if keep && !found.rest.iter().any(|kept| kept == raw) {
            found.rest.push(raw.to_owned());
        }
    }
    if found.value.is_none() {
        found.fault = first_fault;
    }
    found
}

fn read_phone(raw: &str, region: &str) -> Result<Usable<Phone>, (&'static str, String)> {
    phone::read(raw, region)
        .map(|reading| Usable { value: reading.phone, says_more: reading.remark })
        .map_err(|why| (why.code(), why.to_string()))
}

fn read_email(raw: &str) -> Result<Usable<Email>, (&'static str, String)> {
    email::read(raw)
        .map(|reading| Usable { value: reading.email, says_more: reading.another })
        .map_err(|why| (why.code(), why.to_string()))
}

/// Either field alone is enough, so an absent one is a fault only when both are absent.
fn faults(phone: &Found<Phone>, email: &Found<Email>) -> Vec<Fault> {
    let is_absent = phone.value.is_none() && phone.fault.is_none();
    if is_absent && email.value.is_none() && email.fault.is_none() {
        return nobody();
    }
    let fault = |field, fault: &Option<(&'static str, String)>| {
        fault.clone().map(|(code, message)| Fault { field, code, message })
    };
    [fault("phone", &phone.fault), fault("email", &email.fault)].into_iter().flatten().collect()
}

/// There is neither a phone number nor an e-mail address.
fn nobody() -> Vec<Fault> {
    let missing = |field, message: &str| Fault { field, code: "missing", message: message.into() };
    vec![
        missing("phone", "a phone number or an e-mail address is needed"),
        missing("email", "an e-mail address or a phone number is needed"),
    ]
}

/// A message in NFC, its lines kept, without control characters.
fn tidy(mut message: String) -> Option<String> {
    message.retain(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    let message = nfc(message);
    let message = message.trim();
    (!message.is_empty()).then(|| message.to_owned())
}

/// A text in NFC.
fn nfc(text: String) -> String {
    // Nothing below U+0300 and no ready-made Vietnamese letter combines with what is before it.
    let is_composed = |c| c < '\u{300}' || matches!(c, '\u{1ea0}'..='\u{1ef9}');
    if text.chars().all(is_composed) { text } else { text.nfc().collect() }
}

/// How a law is tried, here and in other rooms: the same cases in every run, nothing left on disk.
#[cfg(test)]
pub(crate) fn laws() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(2018),
        failure_persistence: None,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
