//! A person in few bytes: positions instead of field names, and nothing twice.
//!
//! A text ends with the byte `FF`, which no UTF-8 holds, so that the compressor finds a domain and
//! its end as one piece. Where a text may be one that is known already a single byte stands for it:
//! one of `80` to `BF`, with which no UTF-8 begins. Two flags at the front say what there is; what
//! the `ref_url` tells (page, utm values and click ids, all of them as a rule) is read out of it
//! again. All of this is part of the stored format.

use std::collections::BTreeMap;

use super::known::{Known, TOKENS, Told};
use super::{Payload, words};
use crate::lead::{Answer, Attribution, Lead, RawBody};

const END: u8 = 0xFF;

/// What there is, in the order in which it follows.
mod flag {
    pub(super) const EXTERNAL_ID: u16 = 1;
    pub(super) const LEAD: u16 = 1 << 1;
    pub(super) const NAME: u16 = 1 << 2;
    pub(super) const PHONE: u16 = 1 << 3;
    pub(super) const EMAIL: u16 = 1 << 4;
    pub(super) const MESSAGE: u16 = 1 << 5;
    pub(super) const REF_URL: u16 = 1 << 6;
    pub(super) const PAGE_URL: u16 = 1 << 7;
    /// The page's URL is the `ref_url`, and does not follow.
    pub(super) const PAGE_IS_REF: u16 = 1 << 8;
    pub(super) const REFERRER: u16 = 1 << 9;
    pub(super) const UTM: u16 = 1 << 10;
    /// The utm values are those in the `ref_url`, and do not follow.
    pub(super) const UTM_IN_REF: u16 = 1 << 11;
    pub(super) const CLICK_IDS: u16 = 1 << 12;
    /// The click ids are those in the `ref_url`, and do not follow.
    pub(super) const CLICK_IDS_IN_REF: u16 = 1 << 13;
    pub(super) const ANSWERS: u16 = 1 << 14;
    pub(super) const FIELDS: u16 = 1 << 15;
}

/// Appends a payload to `out`.
pub(super) fn write(external_id: Option<&str>, lead: Option<&Lead>, out: &mut Vec<u8>) {
    let mut writer = Writer::begin(out);
    if let Some(id) = external_id {
        writer.flags |= flag::EXTERNAL_ID;
        writer.text(id);
    }
    if let Some(lead) = lead {
        writer.flags |= flag::LEAD;
        writer.lead(lead);
    }
    writer.finish();
}

/// Appends a lead alone; two leads are equal when their bytes are.
pub(super) fn write_lead(lead: &Lead, out: &mut Vec<u8>) {
    let mut writer = Writer::begin(out);
    writer.flags |= flag::LEAD;
    writer.lead(lead);
    writer.finish();
}

/// Appends a request's body.
pub(super) fn write_body(body: &RawBody, out: &mut Vec<u8>) {
    let RawBody { content_type, bytes } = body;
    out.extend_from_slice(content_type.as_bytes());
    out.push(END);
    out.extend_from_slice(bytes);
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Where the flags go when all of them are known.
    begin: usize,
    flags: u16,
}

impl<'a> Writer<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Self {
        let begin = out.len();
        out.extend([0; 2]);
        Self { out, begin, flags: 0 }
    }

    fn finish(self) {
        self.out[self.begin..self.begin + 2].copy_from_slice(&self.flags.to_le_bytes());
    }

    fn lead(&mut self, lead: &Lead) {
        let Lead { name, phone, email, message, ref_url, attribution, answers, fields } = lead;
        self.optional(flag::NAME, name.as_deref());
        if let Some(phone) = phone {
            self.flags |= flag::PHONE;
            self.number(digits_as_number(phone.e164()));
        }
        self.optional(flag::EMAIL, email.as_deref());
        self.optional(flag::MESSAGE, message.as_deref());
        self.optional(flag::REF_URL, ref_url.as_deref());
        self.attribution(attribution, ref_url.as_deref());
        if !answers.is_empty() {
            self.flags |= flag::ANSWERS;
            self.answers(answers);
        }
        if !fields.is_empty() {
            self.flags |= flag::FIELDS;
            self.number(fields.len() as u64);
            let known = Known::of(lead);
            for (name, value) in fields {
                self.name(name);
                match known.token(value) {
                    Some(token) => self.out.push(token),
                    None => self.text(value),
                }
            }
        }
    }

    fn attribution(&mut self, attribution: &Attribution, ref_url: Option<&str>) {
        let Attribution { page_url, referrer, utm, click_ids } = attribution;
        if let Some(page) = page_url {
            self.flags |= flag::PAGE_URL;
            if Some(page.as_str()) == ref_url {
                self.flags |= flag::PAGE_IS_REF;
            } else {
                let shared = shared_length(page, ref_url.unwrap_or_default());
                self.number(shared as u64);
                self.text(&page[shared..]);
            }
        }
        self.optional(flag::REFERRER, referrer.as_deref());
        let told = Told::by(ref_url.unwrap_or_default());
        let (has_utm, has_ids) = (told.utm.is(utm), told.click_ids.is(click_ids));
        self.map(utm, flag::UTM, has_utm.then_some(flag::UTM_IN_REF));
        self.map(click_ids, flag::CLICK_IDS, has_ids.then_some(flag::CLICK_IDS_IN_REF));
    }

    fn map(&mut self, map: &BTreeMap<String, String>, there: u16, in_ref: Option<u16>) {
        if let Some(in_ref) = in_ref {
            self.flags |= in_ref;
        } else if !map.is_empty() {
            self.flags |= there;
            self.number(map.len() as u64);
            for (name, value) in map {
                self.name(name);
                self.text(value);
            }
        }
    }

    /// The lowest bit of their number says whether they have keys, which most have not.
    fn answers(&mut self, answers: &[Answer]) {
        let has_keys = answers.iter().any(|answer| answer.key.is_some());
        self.number((answers.len() as u64) << 1 | u64::from(has_keys));
        for Answer { label, value, key } in answers {
            self.name(label);
            self.text(value);
            match key {
                Some(key) => {
                    self.out.push(1);
                    self.name(key);
                }
                None if has_keys => self.out.push(0),
                None => {}
            }
        }
    }

    fn optional(&mut self, there: u16, text: Option<&str>) {
        if let Some(text) = text {
            self.flags |= there;
            self.text(text);
        }
    }

    fn name(&mut self, name: &str) {
        match words::number(name) {
            Some(number) => self.out.push(TOKENS + number),
            None => self.text(name),
        }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(END);
    }

    /// Seven bits a byte, the lowest first; the highest bit says that there is more.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }
}

/// The payload in these bytes, if [`write`] wrote them.
pub(super) fn read(bytes: &[u8]) -> Option<Payload> {
    let (flags, rest) = bytes.split_first_chunk()?;
    let mut reader = Reader { flags: u16::from_le_bytes(*flags), rest };
    let external_id = reader.optional(flag::EXTERNAL_ID)?;
    let lead = if reader.has(flag::LEAD) { Some(reader.lead()?) } else { None };
    reader.rest.is_empty().then_some(Payload { external_id, lead })
}

/// The body in these bytes, if [`write_body`] wrote them.
pub(super) fn read_body(bytes: &[u8]) -> Option<RawBody> {
    let mut reader = Reader { flags: 0, rest: bytes };
    let content_type = reader.text()?.to_owned();
    Some(RawBody { content_type, bytes: reader.rest.to_vec() })
}

struct Reader<'a> {
    flags: u16,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn lead(&mut self) -> Option<Lead> {
        let name = self.optional(flag::NAME)?;
        let phone = match self.has(flag::PHONE) {
            true => Some(number_as_digits(self.number()?)?.parse().ok()?),
            false => None,
        };
        let email = self.optional(flag::EMAIL)?;
        let message = self.optional(flag::MESSAGE)?;
        let ref_url = self.optional(flag::REF_URL)?;
        let attribution = self.attribution(ref_url.as_deref())?;
        let answers = if self.has(flag::ANSWERS) { self.answers()? } else { Vec::new() };
        let fields = BTreeMap::new();
        let mut lead = Lead { name, phone, email, message, ref_url, attribution, answers, fields };
        if self.has(flag::FIELDS) {
            lead.fields = self.fields(&Known::of(&lead))?;
        }
        Some(lead)
    }

    fn attribution(&mut self, ref_url: Option<&str>) -> Option<Attribution> {
        let page_url = match (self.has(flag::PAGE_URL), self.has(flag::PAGE_IS_REF)) {
            (false, _) => None,
            (true, true) => Some(ref_url?.to_owned()),
            (true, false) => {
                let shared = usize::try_from(self.number()?).ok()?;
                Some(ref_url.unwrap_or_default().get(..shared)?.to_owned() + self.text()?)
            }
        };
        let referrer = self.optional(flag::REFERRER)?;
        let told = Told::by(ref_url.unwrap_or_default());
        let utm = match self.has(flag::UTM_IN_REF) {
            true => told.utm.values(),
            false => self.map(flag::UTM)?,
        };
        let click_ids = match self.has(flag::CLICK_IDS_IN_REF) {
            true => told.click_ids.values(),
            false => self.map(flag::CLICK_IDS)?,
        };
        Some(Attribution { page_url, referrer, utm, click_ids })
    }

    fn map(&mut self, there: u16) -> Option<BTreeMap<String, String>> {
        let count = if self.has(there) { self.number()? } else { 0 };
        (0..count).map(|_| Some((self.name()?, self.text()?.to_owned()))).collect()
    }

    fn answers(&mut self) -> Option<Vec<Answer>> {
        let number = self.number()?;
        let has_keys = number & 1 == 1;
        // Not collected by its length: a count that nothing follows must reserve nothing.
        let mut answers = Vec::new();
        for _ in 0..number >> 1 {
            let (label, value) = (self.name()?, self.text()?.to_owned());
            let has_key = has_keys && self.byte()? == 1;
            let key = if has_key { Some(self.name()?) } else { None };
            answers.push(Answer { label, value, key });
        }
        Some(answers)
    }

    fn fields(&mut self, known: &Known<'_>) -> Option<BTreeMap<String, String>> {
        let count = self.number()?;
        let mut fields = BTreeMap::new();
        for _ in 0..count {
            let name = self.name()?;
            let value = match self.token() {
                Some(token) => known.text(token)?,
                None => self.text()?.to_owned(),
            };
            fields.insert(name, value);
        }
        Some(fields)
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The outer `None`: it should be there and is not.
    fn optional(&mut self, there: u16) -> Option<Option<String>> {
        match self.has(there) {
            true => Some(Some(self.text()?.to_owned())),
            false => Some(None),
        }
    }

    fn name(&mut self) -> Option<String> {
        match self.token() {
            Some(token) => words::name(token - TOKENS).map(str::to_owned),
            None => Some(self.text()?.to_owned()),
        }
    }

    fn token(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        let is_token = (TOKENS..0xC0).contains(first);
        is_token.then(|| {
            self.rest = rest;
            *first
        })
    }

    fn text(&mut self) -> Option<&'a str> {
        let end = self.rest.iter().position(|byte| *byte == END)?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        std::str::from_utf8(text).ok()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..9 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}

/// A phone's digits behind a 1, so that zeros at their front count.
fn digits_as_number(e164: &str) -> u64 {
    let digits = e164.bytes().filter(u8::is_ascii_digit);
    digits.fold(1, |number, digit| number * 10 + u64::from(digit - b'0'))
}

fn number_as_digits(number: u64) -> Option<String> {
    number.to_string().strip_prefix('1').map(|digits| format!("+{digits}"))
}

/// Bytes that two texts begin with alike, up to where a character ends.
fn shared_length(one: &str, other: &str) -> usize {
    if other.starts_with(one) {
        return one.len();
    }
    let pairs = one.bytes().zip(other.bytes());
    let mut length = pairs.take_while(|(one, other)| one == other).count();
    while !one.is_char_boundary(length) {
        length -= 1;
    }
    length
}
