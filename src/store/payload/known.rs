//! What a payload holds already when a text comes, so that the text need not be stored. All of it
//! is part of the stored format, and so nothing here follows the rules that submissions are read by.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::lead::{Lead, Phone};

/// The first of the bytes that stand for a text, and with which no UTF-8 begins.
pub(super) const TOKENS: u8 = 0x80;

/// What a parameter of a URL is called when it is a click id.
const CLICK_IDS: [&str; 12] = [
    "fbc",
    "fbclid",
    "gad_campaignid",
    "gad_source",
    "gbraid",
    "gclid",
    "msclkid",
    "srsltid",
    "ttclid",
    "twclid",
    "wbraid",
    "zarsrc",
];

/// What a person typed is most often what the lead holds already.
pub(super) struct Known<'a> {
    texts: [Option<&'a str>; 7],
    /// Of a Vietnamese phone, what follows the country code: typed as `0900000001`.
    national: Option<&'a str>,
}

impl<'a> Known<'a> {
    pub(super) fn of(lead: &'a Lead) -> Self {
        let e164 = lead.phone.as_ref().map(Phone::e164);
        Self {
            texts: [
                lead.name.as_deref(),
                e164,
                lead.email.as_deref(),
                lead.message.as_deref(),
                lead.attribution.page_url.as_deref(),
                lead.attribution.referrer.as_deref(),
                lead.ref_url.as_deref(),
            ],
            national: e164.and_then(|e164| e164.strip_prefix("+84")),
        }
    }

    pub(super) fn token(&self, value: &str) -> Option<u8> {
        if self.national.is_some() && value.strip_prefix('0') == self.national {
            return Some(TOKENS);
        }
        let place = self.texts.iter().position(|text| *text == Some(value))?;
        Some(TOKENS + 1 + u8::try_from(place).ok()?)
    }

    pub(super) fn text(&self, token: u8) -> Option<String> {
        match token - TOKENS {
            0 => self.national.map(|rest| format!("0{rest}")),
            place => self.texts.get(usize::from(place) - 1)?.map(str::to_owned),
        }
    }
}

/// What the `ref_url` tells of the attribution.
pub(super) struct Told<'a> {
    pub(super) utm: Parameters<'a>,
    pub(super) click_ids: Parameters<'a>,
}

impl<'a> Told<'a> {
    pub(super) fn by(url: &'a str) -> Self {
        let mut told = Self { utm: Parameters(Vec::new()), click_ids: Parameters(Vec::new()) };
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let query = query.split_once('#').map_or(query, |(query, _)| query);
        for parameter in query.split('&') {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            if let Some(name) = name.strip_prefix("utm_") {
                told.utm.0.push((name, value));
            } else if CLICK_IDS.contains(&name) {
                told.click_ids.0.push((name, value));
            }
        }
        told
    }
}

/// Names, and values as they are written in a URL.
pub(super) struct Parameters<'a>(Vec<(&'a str, &'a str)>);

impl Parameters<'_> {
    /// Whether [`Parameters::values`] gives exactly these; without making them.
    pub(super) fn is(&self, values: &BTreeMap<String, String>) -> bool {
        let holds = |name: &str, value: &str| {
            self.0.iter().any(|(other, written)| *other == name && decoded(written) == value)
        };
        // As many, and each of them: so none is there twice.
        let as_many = self.0.len() == values.len() && values.len() <= COMPARED_MAX;
        as_many && !values.is_empty() && values.iter().all(|(name, value)| holds(name, value))
    }

    pub(super) fn values(&self) -> BTreeMap<String, String> {
        let values = self.0.iter();
        values.map(|(name, value)| ((*name).to_owned(), decoded(value).into_owned())).collect()
    }
}

/// More values than this are compared with nothing: the time to do so grows with their square.
const COMPARED_MAX: usize = 64;

fn decoded(value: &str) -> Cow<'_, str> {
    if !value.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return value.into();
    }
    let spaced = value.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned().into()
}
