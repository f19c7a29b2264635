//! A lead that a person corrects: what is given replaces what is there, read as intake reads it.

use std::collections::BTreeMap;
use std::fmt;

use super::attribution::{Evidence, click_id_name, page_url_of, utm_name, weigh, with_prefix};
use super::{
    Fault, Rules, Usable, email, name, nobody, phone, read_email, read_phone, ref_url, tidy,
};
use crate::lead::{Answer, Email, Identity, Lead, Phone};

/// What a person changes in a lead: raw text. `None` leaves a field as it is, an empty text
/// removes it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Correction {
    /// The whole name.
    pub name: Option<String>,
    /// The phone number.
    pub phone: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// What the person wrote.
    pub message: Option<String>,
    /// The page that held the form.
    pub page_url: Option<String>,
    /// The page before it.
    pub referrer: Option<String>,
    /// `utm_*` values by name, with or without `utm_`.
    pub utm: Option<Entries>,
    /// Click ids by name.
    pub click_ids: Option<Entries>,
    /// Everything else the form held, all of it anew.
    pub answers: Option<Vec<Answer>>,
}

impl fmt::Debug for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Correction(…)") // a person's: never in a log by accident
    }
}

/// Changes to values that have names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Whether all that is there goes first.
    pub clear: bool,
    /// Name and value; an empty value removes it.
    pub values: Vec<(String, String)>,
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entries({})", self.values.len()) // a stranger's words
    }
}

/// Corrects a lead; answers it with who the person is, the phone number first.
///
/// What the person of the form typed into the corrected fields is corrected along, since custom
/// fields are fed from it. `ref_url` is made anew where the attribution changes.
///
/// # Errors
/// Every field that gives nothing usable, and a lead without phone number and e-mail address.
pub fn correct(
    mut lead: Lead,
    correction: Correction,
    rules: &Rules,
) -> Result<(Lead, Vec<Identity>), Vec<Fault>> {
    let mut faults = Vec::new();
    if let Some(answers) = &correction.answers {
        lead.answers = answers.iter().filter_map(given).collect();
    }
    if let Some(text) = &correction.name {
        correct_name(&mut lead, text, &mut faults);
    }
    if let Some(text) = &correction.phone {
        correct_phone(&mut lead, text, rules.region, &mut faults);
    }
    if let Some(text) = &correction.email {
        correct_email(&mut lead, text, &mut faults);
    }
    if let Some(text) = &correction.message {
        let before = std::mem::replace(&mut lead.message, tidy(text.clone()));
        retype(&mut lead.fields, text, |typed| before.is_some() && tidy(typed.into()) == before);
    }
    correct_attribution(&mut lead, correction, rules, &mut faults);
    let identities = identities(&lead);
    if identities.is_empty() && faults.is_empty() {
        faults = nobody();
    }
    if faults.is_empty() { Ok((lead, identities)) } else { Err(faults) }
}

/// An answer that has something in it.
fn given(answer: &Answer) -> Option<Answer> {
    let value = answer.value.trim();
    (!value.is_empty()).then(|| Answer { value: value.to_owned(), ..answer.clone() })
}

fn correct_name(lead: &mut Lead, text: &str, faults: &mut Vec<Fault>) {
    let after = name::clean(text);
    if after.is_none() && !text.trim().is_empty() {
        return faults.push(unusable("name", "there is no name in this text"));
    }
    let before = std::mem::replace(&mut lead.name, after);
    retype(&mut lead.fields, text, |typed| before.is_some() && name::clean(typed) == before);
}

fn correct_phone(lead: &mut Lead, text: &str, region: &str, faults: &mut Vec<Fault>) {
    let Some(after) = read("phone", text, |text| read_phone(text, region), faults) else { return };
    let after: Option<Phone> = keep_rest(lead, text, after);
    let before = std::mem::replace(&mut lead.phone, after);
    retype(&mut lead.fields, text, |typed| {
        before.is_some() && phone::parse(typed, region).ok() == before
    });
}

fn correct_email(lead: &mut Lead, text: &str, faults: &mut Vec<Fault>) {
    let Some(after) = read("email", text, read_email, faults) else { return };
    let after: Option<Email> = keep_rest(lead, text, after);
    let before = std::mem::replace(&mut lead.email, after.map(|email| email.address));
    retype(&mut lead.fields, text, |typed| {
        before.is_some() && email::parse(typed).ok().map(|email| email.address) == before
    });
}

/// A corrected text as it reads: `Some(None)` where it is removed, `None` where it is at fault.
fn read<T>(
    field: &'static str,
    text: &str,
    read: impl Fn(&str) -> Result<Usable<T>, (&'static str, String)>,
    faults: &mut Vec<Fault>,
) -> Option<Option<(&'static str, Usable<T>)>> {
    if text.trim().is_empty() {
        return Some(None);
    }
    match read(text) {
        Ok(usable) => Some(Some((field, usable))),
        Err((code, message)) => {
            faults.push(Fault { field, code, message });
            None
        }
    }
}

/// The value; what else its text says is kept as an answer, as intake keeps it.
fn keep_rest<T>(lead: &mut Lead, text: &str, read: Option<(&'static str, Usable<T>)>) -> Option<T> {
    let (label, usable) = read?;
    if usable.says_more {
        let (label, value) = (label.to_owned(), text.trim().to_owned());
        lead.answers.push(Answer { label, value, key: None });
    }
    Some(usable.value)
}

/// The form's own field that gave the value before gives the corrected one.
fn retype(
    fields: &mut BTreeMap<String, String>,
    text: &str,
    gave_the_value_before: impl Fn(&str) -> bool,
) {
    for typed in fields.values_mut().filter(|typed| gave_the_value_before(typed)) {
        text.trim().clone_into(typed);
    }
    fields.retain(|_, typed| !typed.is_empty());
}

fn correct_attribution(
    lead: &mut Lead,
    correction: Correction,
    rules: &Rules,
    faults: &mut Vec<Fault>,
) {
    let Correction { page_url, referrer, utm, click_ids, .. } = correction;
    if page_url.is_none() && referrer.is_none() && utm.is_none() && click_ids.is_none() {
        return;
    }
    let before = lead.attribution.clone();
    let (utm, wanted_utm) = changed(before.utm, utm, |name| {
        utm_name(&with_prefix(name)).map(std::borrow::Cow::into_owned)
    });
    let (click_ids, wanted_ids) =
        changed(before.click_ids, click_ids, |name| click_id_name(name).map(str::to_owned));
    let wanted_referrer = referrer.as_deref().is_some_and(|text| !text.trim().is_empty());
    if page_url.as_deref().is_some_and(|t| !t.trim().is_empty() && page_url_of(t).is_none()) {
        faults.push(unusable("page_url", "expected a web address with http:// or https://"));
    }
    let evidence = Evidence {
        explicit_utm: utm.into_iter().collect(),
        explicit_click_ids: click_ids.into_iter().collect(),
        page_url: page_url.or(before.page_url),
        referrer: referrer.or(before.referrer),
        referer_header: None,
    };
    let (attribution, page) = weigh(evidence);
    if wanted_referrer && attribution.referrer.is_none() {
        faults.push(unusable("referrer", "this is no address, or too long for one"));
    }
    for (field, wanted, there) in
        [("utm", wanted_utm, &attribution.utm), ("click_ids", wanted_ids, &attribution.click_ids)]
    {
        if !wanted.iter().all(|(name, value)| there.get(name) == Some(value)) {
            faults.push(unusable(field, "a name is unknown, or a value is void or too long"));
        }
    }
    lead.ref_url =
        ref_url::on_page(page.as_ref().or(rules.source_page), &attribution, rules.endpoint);
    lead.attribution = attribution;
}

/// What the values are after the change, and what the change wants to be there: by the names that
/// they are kept by, or by none where a name cannot be kept.
fn changed(
    mut values: BTreeMap<String, String>,
    change: Option<Entries>,
    kept_name: impl Fn(&str) -> Option<String>,
) -> (BTreeMap<String, String>, Vec<(String, String)>) {
    let Entries { clear, values: changes } = change.unwrap_or_default();
    if clear {
        values.clear();
    }
    let mut wanted = Vec::new();
    for (name, value) in changes {
        let name = kept_name(&name).unwrap_or_default();
        values.remove(&name);
        if !value.is_empty() {
            if !name.is_empty() {
                values.insert(name.clone(), value.clone());
            }
            wanted.push((name, value));
        }
    }
    (values, wanted)
}

fn identities(lead: &Lead) -> Vec<Identity> {
    let phone = lead.phone.clone().map(Identity::Phone);
    let email = lead.email.as_deref().and_then(|address| email::parse(address).ok());
    phone.into_iter().chain(email.map(|email| Identity::Email(email.key))).collect()
}

fn unusable(field: &'static str, message: &str) -> Fault {
    Fault { field, code: "unusable", message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::config::NameOrder;
    use crate::lead::Attribution;

    fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn lead() -> Lead {
        Lead {
            name: Some("Nguyễn Thử".into()),
            phone: Some("+84900000001".parse().unwrap()),
            email: Some("t.hu@gmail.com".into()),
            message: Some("xin gọi".into()),
            ref_url: Some("https://shop.example.vn/?utm_source=fb&fbclid=F".into()),
            attribution: Attribution {
                page_url: Some("https://shop.example.vn/".into()),
                referrer: None,
                utm: pairs(&[("source", "fb")]),
                click_ids: pairs(&[("fbclid", "F")]),
            },
            answers: vec![answer("Thành phố", "Huế")],
            fields: pairs(&[("sdt", "0900 000 001"), ("ten", " Nguyễn  Thử"), ("loai", "mua")]),
        }
    }

    fn answer(label: &str, value: &str) -> Answer {
        Answer { label: label.into(), value: value.into(), key: None }
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn entries(clear: bool, values: &[(&str, &str)]) -> Option<Entries> {
        let values = values.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Some(Entries { clear, values: values.collect() })
    }

    fn corrected(correction: Correction) -> Result<(Lead, Vec<Identity>), Vec<Fault>> {
        let endpoint = Url::parse("https://leads.example.vn/in/website").unwrap();
        let rules = Rules {
            region: "VN",
            name_order: NameOrder::FamilyFirst,
            source_page: None,
            endpoint: &endpoint,
        };
        correct(lead(), correction, &rules)
    }

    fn faults(correction: Correction) -> Vec<(&'static str, &'static str)> {
        let faults = corrected(correction).expect_err("faults");
        faults.into_iter().map(|fault| (fault.field, fault.code)).collect()
    }

    #[test]
    fn nothing_corrected_is_the_lead_as_it_is() {
        let (same, identities) = corrected(Correction::default()).unwrap();
        assert_eq!(same, lead());
        let phone = Identity::Phone("+84900000001".parse().unwrap());
        assert_eq!(identities, [phone, Identity::Email("thu@gmail.com".into())]);
    }

    #[test]
    fn what_is_given_is_read_as_intake_reads_it() {
        let (after, identities) = corrected(Correction {
            name: text(" Trần\u{a0} Thử "),
            phone: text("(+84) 0900.000.002 gọi sau 18h"),
            email: text(""),
            message: text("  "),
            answers: Some(vec![answer("Thành phố", " Đà Nẵng "), answer("loai", "")]),
            ..Correction::default()
        })
        .unwrap();
        assert_eq!(after.name.as_deref(), Some("Trần Thử"));
        let phone: Phone = "+84900000002".parse().unwrap();
        assert_eq!((after.phone.as_ref(), after.email, after.message), (Some(&phone), None, None));
        let remark = answer("phone", "(+84) 0900.000.002 gọi sau 18h");
        assert_eq!(after.answers, [answer("Thành phố", "Đà Nẵng"), remark]);
        assert_eq!(identities, [Identity::Phone(phone)]);
        assert_eq!(after.ref_url, lead().ref_url, "the attribution is as it was");
        let typed =
            [("sdt", "(+84) 0900.000.002 gọi sau 18h"), ("ten", "Trần\u{a0} Thử"), ("loai", "mua")];
        assert_eq!(after.fields, pairs(&typed), "custom fields are fed with it");
    }

    #[test]
    fn what_cannot_be_used_is_named_field_by_field() {
        let wrong = Correction {
            name: text("???"),
            phone: text("09000000"),
            email: text("thu@"),
            page_url: text("shop.example.vn"),
            referrer: text("null"),
            utm: entries(false, &[("source", "{{campaign.name}}")]),
            click_ids: entries(false, &[("clickid", "x")]),
            ..Correction::default()
        };
        let expected = [
            ("name", "unusable"),
            ("phone", "too_short"),
            ("email", "malformed_domain"),
            ("page_url", "unusable"),
            ("referrer", "unusable"),
            ("utm", "unusable"),
            ("click_ids", "unusable"),
        ];
        assert_eq!(faults(wrong), expected);
        let nobody = Correction { phone: text(" "), email: text(""), ..Correction::default() };
        assert_eq!(faults(nobody), [("phone", "missing"), ("email", "missing")]);
    }

    #[test]
    fn attribution_is_merged_and_the_ref_url_made_anew() {
        let (after, _) = corrected(Correction {
            page_url: text("https://shop.example.vn/lp?a=1&utm_medium=cpc"),
            utm: entries(false, &[("utm_source", "google"), ("campaign", "Tết & 1")]),
            click_ids: entries(false, &[("fbclid", ""), ("gclid", "G")]),
            ..Correction::default()
        })
        .unwrap();
        let expected = pairs(&[("source", "google"), ("campaign", "Tết & 1"), ("medium", "cpc")]);
        assert_eq!(after.attribution.utm, expected);
        assert_eq!(after.attribution.click_ids, pairs(&[("gclid", "G")]));
        assert_eq!(
            after.ref_url.as_deref(),
            Some(
                "https://shop.example.vn/lp?a=1&utm_medium=cpc&utm_campaign=T%E1%BA%BFt%20%26%201&utm_source=google&gclid=G"
            )
        );
        let (after, _) = corrected(Correction {
            page_url: text(""),
            utm: entries(true, &[]),
            click_ids: entries(true, &[]),
            ..Correction::default()
        })
        .unwrap();
        assert_eq!(after.attribution, Attribution::default());
        assert_eq!(after.ref_url, None);
    }
}
