//! `[sources.X]`

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::field::Field;
use super::section::Section;
use super::store::DAY;
use super::{challenge, lead, secret};
use crate::config::fault::{did_you_mean, quoted};
use crate::config::model::{Destination, Invalid, LeadSettings, NameOrder, Source};
use crate::lead::DestinationId;

pub(super) const SOURCES_MAX: usize = 1000;

const ORIGINS_MAX: usize = 100;
const NAMES_MAX: usize = 100;
const TEXT_MAX: usize = 1000;
const MAX_AGE: RangeInclusive<Duration> = Duration::ZERO..=DAY.saturating_mul(365);

/// The fields of a lead that a form's field can feed.
const FIELDS: [&str; 8] =
    ["name", "first_name", "last_name", "phone", "email", "message", "page_url", "referrer"];

/// The secrets that the built-in presets ask for.
const SECRETS: [&str; 9] = [
    "app_secret",
    "verify_token",
    "page_token",
    "google_key",
    "client_secret",
    "access_token",
    "oa_secret",
    "token",
    "secret",
];

/// Every preset there is to be; some come with later versions.
const PRESETS: [&str; 31] = [
    "web-form",
    "meta-lead-ads",
    "google-lead-form",
    "tiktok-lead",
    "zalo-oa",
    "ladipage",
    "linkedin-lead-sync",
    "elementor",
    "contact-form-7",
    "wpforms",
    "gravity-forms",
    "fluent-forms",
    "ninja-forms",
    "metform",
    "formidable",
    "typeform",
    "tally",
    "jotform",
    "webflow",
    "framer",
    "formspree",
    "calendly",
    "netlify-forms",
    "unbounce",
    "shopify-customer",
    "wix",
    "google-forms",
    "snapchat-lead",
    "zapier",
    "standard-webhooks",
    "signed-json",
];

pub(super) fn source(
    mut section: Section<'_>,
    destinations: &BTreeMap<DestinationId, Destination>,
) -> Source {
    let preset = section
        .require("preset", r#"write preset = "web-form", or the preset of the form's platform"#)
        .map(preset)
        .unwrap_or_default();
    let destination = section
        .require("destination", "name the destination that its leads go to")
        .and_then(|field| destination(field, destinations));
    let challenge = section
        .take("challenge")
        .and_then(|field| challenge::challenge(field, &preset, is_path(&preset)));
    let source = Source {
        secrets: secrets(&mut section, &preset, challenge.is_some()),
        invalid: section.take("invalid").and_then(|field| {
            field.choice(&[("reject", Invalid::Reject), ("quarantine", Invalid::Quarantine)])
        }),
        thank_you_url: section.take("thank_you_url").and_then(Field::url),
        page_url: section.take("page_url").and_then(Field::url),
        cors_origins: cors(section.section("cors")),
        honeypot: section.take("honeypot").map(|field| field.short_text(TEXT_MAX)),
        challenge,
        preset,
        max_age: section.take("max_age").and_then(|field| field.duration(MAX_AGE)),
        api_base: section.take("api_base").and_then(Field::root_url),
        name_order: section.take("name_order").and_then(name_order).unwrap_or_default(),
        fields: fields(section.section("fields")),
        lead: lead::settings(section.section("lead")),
        // A placeholder only beside a fault.
        destination: destination
            .clone()
            .unwrap_or_else(|| "faulty".parse().expect("six plain letters")),
    };
    if let Some(account) = destination.and_then(|id| destinations.get(&id)) {
        check_receiver(&section, &source.lead, &account.lead);
    }
    section.finish();
    source
}

/// CareSoft refuses a lead that nobody takes.
fn check_receiver(section: &Section<'_>, own: &LeadSettings, destination: &LeadSettings) {
    let named = |lead: &LeadSettings| {
        [lead.service_id, lead.group_id, lead.assignee_id].iter().any(Option::is_some)
    };
    if !named(own) && !named(destination) {
        section.fault(
            "lead",
            "nobody at CareSoft takes its leads",
            "set service_id, group_id or assignee_id here or in the destination's lead",
        );
    }
}

/// A built-in preset's name, or a file's path.
fn preset(field: Field<'_>) -> String {
    let mark = field.mark();
    let known = mark.reading().presets;
    let text = field.short_text(4096);
    if text.is_empty() || known.contains(&text.as_str()) {
        return text;
    }
    if is_path(&text) {
        mark.reading().named(Path::new(&text));
        if !Path::new(&text).is_file() {
            let problem = format!("there is no preset file {}", quoted(&text));
            mark.fault(problem, "the path is read from where the gateway is started");
        }
    } else if PRESETS.contains(&text.as_str()) {
        let advice = format!("there are {} so far", known.join(", "));
        mark.fault(format!("this version has no preset {text:?} yet"), advice);
    } else {
        let all = || format!("choose from {}, or name a file of your own", known.join(", "));
        let advice = did_you_mean(&text, known.iter().copied()).unwrap_or_else(all);
        mark.fault(format!("there is no preset {}", quoted(&text)), advice);
    }
    text
}

fn is_path(preset: &str) -> bool {
    preset.contains('/') || preset.ends_with(".toml")
}

fn destination(
    field: Field<'_>,
    destinations: &BTreeMap<DestinationId, Destination>,
) -> Option<DestinationId> {
    let mark = field.mark();
    let text = field.short_text(TEXT_MAX);
    if text.is_empty() {
        return None; // said already
    }
    let id = text.parse().ok().filter(|id| destinations.contains_key(id));
    if id.is_none() {
        let names: Vec<&str> = destinations.keys().map(DestinationId::as_str).collect();
        let all = || match names[..] {
            [] => "add [destinations.NAME]".to_owned(),
            [..] => format!("choose from {}", names.join(", ")),
        };
        let advice = did_you_mean(&text, names.iter().copied()).unwrap_or_else(all);
        mark.fault(format!("no destination is named {}", quoted(&text)), advice);
    }
    id
}

fn name_order(field: Field<'_>) -> Option<NameOrder> {
    field
        .choice(&[("family-first", NameOrder::FamilyFirst), ("given-first", NameOrder::GivenFirst)])
}

/// `sources.X.secrets`. A misspelt name would leave the source open, so only a preset of the
/// operator's own may ask for names that are not known here.
fn secrets(
    section: &mut Section<'_>,
    preset: &str,
    is_challenged: bool,
) -> BTreeMap<String, Vec<SecretString>> {
    let field = section.take("secrets");
    let mut all = BTreeMap::new();
    for (name, field) in field.into_iter().flat_map(|field| field.section().into_entries()) {
        if !is_path(preset) && !SECRETS.contains(&name.as_str()) {
            let listed = || format!("presets ask for {}", SECRETS.join(", "));
            let advice = did_you_mean(&name, SECRETS).unwrap_or_else(listed);
            field.fault("no preset asks for this secret", advice);
        }
        all.insert(name, secret::secrets(field));
    }
    if all.is_empty() && !is_challenged {
        let advice = r#"set secrets.token = { env = "…" }, unless that is meant"#;
        section.warn("secrets", "this source is open: anyone may post to it", advice);
    }
    all
}

/// `sources.X.fields`
fn fields(section: Section<'_>) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for (name, field) in section.into_entries() {
        if !FIELDS.contains(&name.as_str()) {
            let listed = || format!("choose from {}", FIELDS.join(", "));
            let advice = did_you_mean(&name, FIELDS).unwrap_or_else(listed);
            field.fault("a lead has no such field", advice);
        }
        let names = field.list(NAMES_MAX).into_iter().map(|item| item.short_text(TEXT_MAX));
        all.insert(name, names.collect());
    }
    all
}

/// `sources.X.cors`
fn cors(mut section: Section<'_>) -> Vec<String> {
    let items = section.take("origins").map(|field| field.list(ORIGINS_MAX)).unwrap_or_default();
    section.finish();
    items.into_iter().filter_map(|item| item.parsed(origin)).collect()
}

/// An origin as browsers write it in the `Origin` header, or `*` for every one.
fn origin(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str =
        r#"expected a scheme and a host without a path, such as "https://shop.example.vn""#;
    if text == "*" {
        return Ok(text.to_owned());
    }
    let url = Url::parse(text).map_err(|_| EXPECTED)?;
    let origin = url.origin().ascii_serialization();
    // Whatever else the URL holds shows in its own text, but for the slash that a root has.
    let bare = url.as_str().trim_end_matches('/') == origin;
    if bare && matches!(url.scheme(), "http" | "https") { Ok(origin) } else { Err(EXPECTED) }
}
