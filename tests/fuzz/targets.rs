//! What must hold of any bytes at all: one function for each way into the gateway that strangers
//! choose the bytes of. They panic where it does not hold.

use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::FutureExt;
use leadgate::config::PhoneOutput;
use leadgate::lead::Attribution;
use leadgate::normalise::attribution::{Evidence, attribute, click_id_name, utm_name};
use leadgate::normalise::fold::fold;
use leadgate::normalise::{Draft, phone as phones, ref_url as ref_urls};
use leadgate::preset::{FIELDS_MAX, Meaning, Preset, TooMany, built_in_names, flatten};
use leadgate::source::decode::decode as decode_body;
use serde_json::Value;
use url::Url;

/// What is tried with any bytes.
pub type Target = fn(&[u8]);

/// The targets by their names.
pub const ALL: [(&str, Target); 4] =
    [("decode", decode), ("extract", extract), ("phone", phone), ("ref_url", ref_url)];

/// What a body may be announced as; the first byte of an input chooses.
const CONTENT_TYPES: [Option<&str>; 6] = [
    Some("application/json"),
    Some("application/x-www-form-urlencoded"),
    Some("multipart/form-data; boundary=------------------------jotformtestboundary"),
    Some("multipart/form-data; boundary=b"),
    Some("text/plain;charset=UTF-8"),
    None,
];

/// The place of a form's among them.
const URLENCODED: usize = 1;

/// As many documents as one array may hold.
const DOCUMENTS_MAX: usize = 100;

/// As deep as serde_json reads.
const DEPTH_MAX: usize = 128;

/// The length of a `ref_url` that is not attribution's alone.
const REF_URL_BYTES_MAX: usize = 2000;

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    built_in_names().into_iter().map(|name| Preset::load(name, []).expect("built in")).collect()
});

fn documents(choice: u8, body: &[u8]) -> Vec<Value> {
    let content_type = CONTENT_TYPES[usize::from(choice) % CONTENT_TYPES.len()];
    let body = Bytes::copy_from_slice(body);
    let decoded = decode_body(content_type, &body).now_or_never().expect("nothing to wait for");
    decoded.unwrap_or_default()
}

/// What is decoded is bounded, consists of objects, and is the same when it is written as JSON and
/// read again: no digit and no name is lost. A form's document has as many values as the form.
pub fn decode(input: &[u8]) {
    let Some((choice, body)) = input.split_first() else { return };
    let found = documents(*choice, body);
    assert!(found.len() <= DOCUMENTS_MAX, "{} documents", found.len());
    for document in found {
        let map = document.as_object().expect("an object");
        assert!(depth(&document) <= DEPTH_MAX, "too deep");
        let written = document.to_string();
        assert!(leaves(&document) <= body.len().max(1), "more values than bytes");
        let without_mark = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let is_json = matches!(without_mark.trim_ascii_start().first(), Some(b'{' | b'['));
        assert!(is_json || map.len() <= FIELDS_MAX, "more fields than a form may have");
        if !is_json && usize::from(*choice) % CONTENT_TYPES.len() == URLENCODED {
            let pairs = url::form_urlencoded::parse(body.trim_ascii());
            let named = pairs.filter(|(name, _)| !matches!(&**name, "" | "[]")).count();
            assert_eq!(leaves(&document), named, "a value of the form is lost");
        }
        assert_eq!(documents(0, written.as_bytes()), [document], "read again");
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Object(map) => map.values().map(leaves).sum(),
        _ => 1,
    }
}

/// Every document is leads, unusable or passed over by every preset, and no field of a flat form is
/// lost: what is not dropped by its name stands in the draft.
pub fn extract(input: &[u8]) {
    let [which, choice, body @ ..] = input else { return };
    let preset = &PRESETS[usize::from(*which) % PRESETS.len()];
    for document in documents(*choice, body) {
        let items = preset.items(document.clone());
        let count = items.leads.len() + items.unusable.len() + items.ignored;
        assert!(count > 0, "{}: a document vanished", preset.id);
        for item in items.leads {
            let extracted = preset.extract(item, None);
            assert!(
                extracted.is_ok_and(|found| found.draft.phones.len() <= 10) || is_large(&document),
                "{}: refused though it is small",
                preset.id
            );
        }
        nothing_is_lost(document);
    }
}

fn is_large(document: &Value) -> bool {
    leaves(document) > FIELDS_MAX
}

/// By the preset that takes the whole document for one form.
fn nothing_is_lost(document: Value) {
    let is_flat = document.as_object().is_some_and(|map| {
        map.values().all(|value| match value {
            Value::Object(_) => false,
            Value::Array(items) => items.iter().all(|item| !item.is_array() && !item.is_object()),
            _ => true,
        })
    });
    let (true, Ok(fields)) = (is_flat, flatten(document.clone())) else { return };
    let web_form = PRESETS.iter().find(|preset| preset.id == "web-form").expect("built in");
    let draft = match web_form.extract(document, None) {
        Ok(extracted) => extracted.draft,
        Err(TooMany) => panic!("fields that can be counted were refused"),
    };
    let kept = texts(&draft);
    for field in fields {
        if web_form.meaning(&fold(&field.label)) == Meaning::Dropped {
            continue;
        }
        let values = field.values.iter().map(|value| value.trim());
        for value in values.filter(|value| !value.is_empty()) {
            let is_kept = kept.iter().any(|text| text.contains(value));
            assert!(is_kept, "{:?}: {value:?} is lost", field.label);
        }
    }
}

/// Everything that a draft holds.
fn texts(draft: &Draft) -> Vec<&str> {
    let evidence = &draft.evidence;
    let one = [
        &draft.name,
        &draft.first_name,
        &draft.last_name,
        &draft.message,
        &evidence.page_url,
        &evidence.referrer,
    ];
    let several = draft.phones.iter().chain(&draft.emails).chain(draft.fields.values());
    let pairs = evidence.explicit_utm.iter().chain(&evidence.explicit_click_ids);
    let several = several.chain(pairs.map(|(_, value)| value));
    let answers = draft.answers.iter().map(|answer| &answer.value);
    one.into_iter().flatten().chain(several).chain(answers).map(String::as_str).collect()
}

/// What is read as a phone number is written in E.164, and read as itself again in either form.
pub fn phone(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for region in ["VN", "US"] {
        let Ok(found) = phones::parse(&text, region) else { continue };
        let e164 = found.e164();
        let digits = e164.strip_prefix('+').expect("E.164 begins with a plus");
        assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{text:?}: {e164}");
        assert!((7..=15).contains(&digits.len()) && !digits.starts_with('0'), "{text:?}: {e164}");
        assert_eq!(phones::parse(e164, region).as_ref(), Ok(&found), "{text:?}: {e164}");
        let national = phones::output(&found, PhoneOutput::National);
        assert_eq!(phones::parse(&national, "VN").as_ref(), Ok(&found), "{text:?}: {national}");
    }
}

/// Names of an input's values, by the first byte of each.
const NAMES: [&str; 12] = [
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "utm_Đại lý",
    "utmId",
    "gclid",
    "fbclid",
    "ttclid",
    "zarsrc",
    "_fbc",
];

/// Every value of a submission's attribution is read back from its `ref_url` byte for byte, once,
/// and the URL is only longer than its bound where attribution alone is. An input is lines: the
/// page, then values, whose names their first bytes choose.
pub fn ref_url(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let page = lines.next().unwrap_or_default();
    let mut evidence = Evidence { page_url: Some(page.to_owned()), ..Evidence::default() };
    for line in lines {
        let Some(first) = line.chars().next() else { continue };
        let name = NAMES[first as usize % NAMES.len()];
        let pair = (name.to_owned(), line[first.len_utf8()..].to_owned());
        match click_id_name(name) {
            Some(_) => evidence.explicit_click_ids.push(pair),
            None => evidence.explicit_utm.push(pair),
        }
    }
    let attribution = attribute(evidence);
    let endpoint = Url::parse("https://leads.example.vn/in/website").expect("a URL");
    let Some(built) = ref_urls::build(&attribution, None, &endpoint) else {
        assert!(attribution.utm.is_empty() && attribution.click_ids.is_empty(), "no URL");
        return;
    };
    let url = Url::parse(&built).expect("a URL");
    assert!(built.is_ascii() && url.fragment().is_none(), "{built}");
    values_are_read_back(&attribution, &url);
    let is_attribution = |name: &str| utm_name(name).is_some() || click_id_name(name).is_some();
    let others = url.query_pairs().filter(|(name, _)| !is_attribution(name)).count();
    assert!(built.len() <= REF_URL_BYTES_MAX || others == 0, "{} bytes", built.len());
}

fn values_are_read_back(attribution: &Attribution, url: &Url) {
    let utm = attribution.utm.iter().map(|(name, value)| (format!("utm_{name}"), value));
    let ids = attribution.click_ids.iter().map(|(name, value)| (name.clone(), value));
    for (name, value) in utm.chain(ids) {
        let read = url.query_pairs().filter(|(found, _)| *found == name);
        let read: Vec<_> = read.map(|(_, value)| value).collect();
        assert_eq!(read, [value.as_str()], "{name} in {url}");
    }
}
