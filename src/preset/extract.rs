//! Which field of a document is the name, which the phone: a document becomes a draft of a lead.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::consent;
use super::field::{Field, TooMany};
use super::path::Path;
use super::template::Piece;
use super::{Meaning, Preset, Target};
use crate::lead::Answer;
use crate::normalise::attribution::{Evidence, is_void};
use crate::normalise::fold::fold;
use crate::normalise::{Draft, name};

/// What an element gave.
#[derive(Debug)]
pub struct Extracted {
    /// The draft.
    pub draft: Draft,
    /// A person leaves the honeypot empty; this one's is filled in.
    pub trapped: bool,
    /// The platform has marked it as a test.
    pub is_test: bool,
}

/// A longer id is none that a platform makes.
const EXTERNAL_ID_MAX: usize = 255;

impl Preset {
    /// Reads an element by the preset's names. What no name fits is kept as an answer.
    ///
    /// # Errors
    /// More than 1000 fields.
    pub fn extract(&self, item: Value, honeypot: Option<&str>) -> Result<Extracted, TooMany> {
        let honeypot = honeypot.map(fold);
        let mut collector = Collector::default();
        self.look_beside(&item, &mut collector.evidence);
        let is_test = self.test.any.iter().any(|filter| filter.holds(&item));
        let text =
            |(label, path): (&String, &Path)| Some((label.clone(), path.text(&item)?.into_owned()));
        let meta: Vec<_> = self.meta.iter().filter_map(text).collect();
        let mut trapped = false;
        for mut field in self.bags.fields(item)? {
            let whole = field.names.first().map(|path| fold(&joined(path)).into_owned());
            if honeypot.is_some() && honeypot.as_deref() == whole.as_deref() {
                trapped |= field.values.iter().any(|value| !value.trim().is_empty());
                continue;
            }
            let is_void =
                |value: &String| self.test.void.iter().any(|void| value.starts_with(void));
            field.values.retain(|value| !is_void(value));
            let (name, meaning) = self.meaning_of(&field);
            let name = name.into_owned();
            collector.take(field, &name, meaning);
        }
        for (label, value) in meta {
            collector.answer(&label, None, &[value]);
        }
        Ok(Extracted { draft: collector.into_draft(), trapped, is_test })
    }

    /// The platform's own id of what an element holds. `header` gives the value of one of the
    /// request's headers.
    pub fn external_id(
        &self,
        item: &Value,
        header: &dyn Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let id = self.external_id.as_ref()?.render(|piece| match piece {
            Piece::Header(name) => header(name).map(|value| Cow::Owned(value.into_bytes())),
            Piece::Body(path) => {
                path.text(item).map(|text| Cow::Owned(text.into_owned().into_bytes()))
            }
            _ => None,
        })?;
        let id = String::from_utf8(id).ok()?;
        let id = id.trim();
        (!id.is_empty() && id.len() <= EXTERNAL_ID_MAX).then(|| id.to_owned())
    }

    /// What stands beside the form's fields and tells where the lead came from.
    fn look_beside(&self, item: &Value, evidence: &mut Evidence) {
        let found =
            |(name, path): (&String, &Path)| Some((name.clone(), path.text(item)?.into_owned()));
        evidence.explicit_utm.extend(self.attribution.utm.iter().filter_map(found));
        evidence.explicit_click_ids.extend(self.attribution.click_ids.iter().filter_map(found));
        let page = self.attribution.page_url.as_ref().and_then(|path| path.text(item));
        evidence.page_url = page.map(|page| page.into_owned()).filter(|page| is_web_address(page));
    }

    /// What a field is, by its type, or by the best of its names that says something; and the name
    /// that said so.
    fn meaning_of<'a>(&self, field: &'a Field) -> (Cow<'a, str>, Meaning) {
        let mut unknown = None;
        let by_type = field.kind.as_deref().and_then(|kind| self.names.of_type(kind));
        for path in &field.names {
            let whole = fold_owned(&joined(path));
            if let Some(meaning) = by_type {
                return (whole, meaning);
            }
            match meaning(path, whole, self) {
                (name, Meaning::Answer) => unknown = unknown.or(Some(name)),
                known => return known,
            }
        }
        (unknown.unwrap_or_default(), by_type.unwrap_or(Meaning::Answer))
    }
}

fn fold_owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(fold(text).into_owned())
}

/// A path as one label: `utm.source`.
fn joined(path: &[String]) -> Cow<'_, str> {
    match path {
        [name] => Cow::Borrowed(name),
        names => Cow::Owned(names.join(".")),
    }
}

/// A value that a name of ours was found for.
struct Candidate {
    rank: usize,
    label: String,
    value: String,
}

#[derive(Default)]
struct Collector {
    /// By target.
    candidates: [Vec<Candidate>; Target::ALL.len()],
    evidence: Evidence,
    answers: Vec<Answer>,
    fields: BTreeMap<String, String>,
}

impl Collector {
    fn take(&mut self, field: Field, name: &str, meaning: Meaning) {
        if meaning == Meaning::Consent {
            return self.answers.push(consent::answer(&field));
        }
        let Field { names, label, kind: _, values } = field;
        if needs_its_own_name(meaning, &label, name) {
            self.fields.insert(label.clone(), values.join(", "));
        }
        match meaning {
            Meaning::Dropped | Meaning::Consent => {}
            Meaning::Answer => {
                let key = names.first().map(|path| joined(path));
                let key = key.filter(|key| **key != label);
                self.answer(&label, key.as_deref(), &values);
            }
            Meaning::Utm => {
                let name = name.strip_prefix("utm_").unwrap_or(name);
                let values = values.into_iter().map(|value| (name.to_owned(), value));
                self.evidence.explicit_utm.extend(values);
            }
            Meaning::ClickId => {
                let values = values.into_iter().map(|value| (name.to_owned(), value));
                self.evidence.explicit_click_ids.extend(values);
            }
            Meaning::Field(target, rank) => {
                let values = values.into_iter().filter(|value| !value.trim().is_empty());
                let candidate = |value| Candidate { rank, label: label.clone(), value };
                self.candidates[target as usize].extend(values.map(candidate));
            }
        }
    }

    /// Keeps an answer that has something in it; several values are one answer.
    fn answer(&mut self, label: &str, key: Option<&str>, values: &[String]) {
        let given: Vec<_> =
            values.iter().map(|value| value.trim()).filter(|value| !value.is_empty()).collect();
        if !given.is_empty() {
            let (label, value) = (label.to_owned(), given.join(", "));
            self.answers.push(Answer { label, value, key: key.map(str::to_owned) });
        }
    }

    /// The candidates for a target, the preferred first.
    fn ranked(&mut self, target: Target) -> Vec<Candidate> {
        let mut candidates = std::mem::take(&mut self.candidates[target as usize]);
        candidates.sort_by_key(|candidate| candidate.rank); // stable: the form's order among equals
        candidates
    }

    /// The preferred candidate that `usable` takes; the others stay answers.
    fn one(&mut self, target: Target, usable: impl Fn(&str) -> bool) -> Option<String> {
        let mut chosen = None;
        for candidate in self.ranked(target) {
            if chosen.is_none() && usable(&candidate.value) {
                chosen = Some(candidate.value);
            } else if chosen.as_ref() != Some(&candidate.value) {
                self.answer(&candidate.label, None, &[candidate.value]);
            }
        }
        chosen
    }

    /// The preferred candidates; beyond a few they stay answers.
    fn several(&mut self, target: Target) -> Vec<String> {
        let mut candidates = self.ranked(target);
        for more in candidates.split_off(candidates.len().min(CANDIDATES_MAX)) {
            self.answer(&more.label, None, &[more.value]);
        }
        candidates.into_iter().map(|candidate| candidate.value).collect()
    }

    fn into_draft(mut self) -> Draft {
        let full_name = self.one(Target::Name, |value| name::clean(value).is_some());
        let mut part = |target| {
            let value = self.one(target, |_| true)?;
            // A full name was given too: its parts are told only where they say something else.
            match &full_name {
                Some(whole) if fold(whole).contains(&*fold(&value)) => None,
                Some(_) => {
                    self.answer(target.as_str(), None, &[value]);
                    None
                }
                None => Some(value),
            }
        };
        let (first_name, last_name) = (part(Target::FirstName), part(Target::LastName));
        let page_url = self.one(Target::PageUrl, is_web_address);
        self.evidence.page_url = self.evidence.page_url.take().or(page_url);
        self.evidence.referrer = self.one(Target::Referrer, is_web_address);
        let phones = self.several(Target::Phone);
        let emails = self.several(Target::Email);
        Draft {
            name: full_name,
            first_name,
            last_name,
            phones,
            emails,
            message: self.one(Target::Message, |_| true),
            evidence: self.evidence,
            answers: self.answers,
            fields: self.fields,
        }
    }
}

/// What a field is, by its whole path or else by a shorter end of it, and the name that said so.
/// An outer field is preferred to an inner one; a list's elements are no fields of the person's.
fn meaning<'a>(path: &[String], whole: Cow<'a, str>, preset: &Preset) -> (Cow<'a, str>, Meaning) {
    let by_path = preset.meaning(&whole);
    let in_list = path.iter().any(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    if by_path != Meaning::Answer || in_list {
        return (whole, by_path);
    }
    for skipped in 1..path.len() {
        let name: Cow<str> = fold(&joined(&path[skipped..])).into_owned().into();
        match preset.meaning(&name) {
            Meaning::Answer => {}
            Meaning::Field(target, rank) => {
                return (name, Meaning::Field(target, rank + skipped * OUTER_BEFORE_INNER));
            }
            other => return (name, other),
        }
    }
    (whole, Meaning::Answer)
}

/// Whether a value would be lost under the name that the form gave it: what a person typed is
/// normalised, an oddly spelt utm value is renamed. Addresses of pages are only long.
fn needs_its_own_name(meaning: Meaning, label: &str, name: &str) -> bool {
    match meaning {
        Meaning::Field(Target::PageUrl | Target::Referrer, _) => false,
        Meaning::Field(..) => true,
        Meaning::Utm | Meaning::ClickId => label != name,
        Meaning::Dropped | Meaning::Consent | Meaning::Answer => false,
    }
}

/// So many phones, and so many e-mails, are read; nobody has more, and reading one takes time.
const CANDIDATES_MAX: usize = 10;

/// More than any preset has names, so that depth weighs more than rank.
const OUTER_BEFORE_INNER: usize = 10_000;

fn is_web_address(value: &str) -> bool {
    let value = value.trim();
    !is_void(value) && (value.starts_with("http://") || value.starts_with("https://"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn extracted(document: Value, honeypot: Option<&str>) -> Extracted {
        let preset = Preset::load("web-form", []).unwrap();
        preset.extract(document, honeypot).unwrap()
    }

    fn draft(document: Value) -> Draft {
        extracted(document, None).draft
    }

    fn answers(draft: &Draft) -> Vec<(&str, &str)> {
        draft.answers.iter().map(|answer| (&*answer.label, &*answer.value)).collect()
    }

    #[test]
    fn fields_are_found_and_the_rest_is_kept() {
        let draft = draft(json!({
            "Họ và tên": "Nguyễn Văn Thử", "SĐT": "0900 000 001", "Thành phố": "Huế",
            "dich_vu": ["A", "B"], "csrf_token": "x", "cf-turnstile-response": "y", "rỗng": " ",
        }));
        assert_eq!(draft.name.as_deref(), Some("Nguyễn Văn Thử"));
        assert_eq!(draft.phones, ["0900 000 001"]);
        assert_eq!(answers(&draft), [("Thành phố", "Huế"), ("dich_vu", "A, B")]);
        assert_eq!(draft.fields["SĐT"], "0900 000 001", "as it came");
    }

    #[test]
    fn a_box_to_consent_with_says_so() {
        let draft = draft(json!({
            "phone": "0900000001", "dong_y": "on", "Marketing Consent": false, "gdpr-consent": ["0", "1"],
            "agree": "true: Tôi đồng ý nhận tư vấn", "hop_dong_yeu_cau": "có",
        }));
        let expected = [
            ("consent dong_y", "true"),
            ("consent Marketing Consent", "false"),
            ("consent gdpr-consent", "true"),
            ("consent agree", "true: Tôi đồng ý nhận tư vấn"),
            ("hop_dong_yeu_cau", "có"),
        ];
        assert_eq!(answers(&draft), expected);
        assert_eq!(draft.answers[0].key.as_deref(), Some("dong_y"), "as configured fields name it");
    }

    #[test]
    fn nested_objects_count_by_path_then_by_its_end() {
        let draft = draft(json!({
            "contact": { "name": { "first": "Thử", "last": "Nguyễn" }, "phone": "0900000001" },
            "utm": { "source": "fb" }, "utmCampaign": "tet", "meta": { "url": "https://a.example.vn/x" },
        }));
        let parts = (draft.first_name.as_deref(), draft.last_name.as_deref());
        assert_eq!(parts, (Some("Thử"), Some("Nguyễn")));
        assert_eq!(draft.phones, ["0900000001"]);
        assert!(draft.answers.is_empty());
        let utm =
            [("source".to_owned(), "fb".to_owned()), ("campaign".to_owned(), "tet".to_owned())];
        assert_eq!(draft.evidence.explicit_utm, utm);
        assert_eq!(draft.evidence.page_url.as_deref(), Some("https://a.example.vn/x"));
    }

    #[test]
    fn a_full_name_wins_over_its_parts() {
        let whole =
            draft(json!({ "name": "Nguyễn Thử", "first_name": "Nguyễn", "last_name": "Thử" }));
        assert_eq!(whole.name.as_deref(), Some("Nguyễn Thử"));
        assert_eq!((whole.first_name, whole.answers.len()), (None, 0));
        let parts = draft(json!({ "ho": "Nguyễn", "ten": "Thử" }));
        assert_eq!(
            (parts.first_name.as_deref(), parts.last_name.as_deref()),
            (Some("Thử"), Some("Nguyễn"))
        );
    }

    #[test]
    fn what_loses_to_a_preferred_field_stays_an_answer() {
        let draft = draft(json!({ "note": "hai", "message": "một", "link": "không phải trang" }));
        assert_eq!(draft.message.as_deref(), Some("một"));
        assert_eq!(answers(&draft), [("link", "không phải trang"), ("note", "hai")]);
    }

    #[test]
    fn a_filled_honeypot_is_seen_and_never_an_answer() {
        let filled = extracted(json!({"website": "http://spam.example"}), Some("website"));
        assert!(filled.trapped);
        let empty = extracted(json!({"website": "", "phone": "1"}), Some("website"));
        assert!(!empty.trapped && empty.draft.answers.is_empty());
    }
}
