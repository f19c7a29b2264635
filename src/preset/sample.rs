//! What a post of a platform looks like, filled in with people who do not exist: for trying a
//! source before the platform posts to it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde::Deserialize;
use url::form_urlencoded;

use super::verify::{Secrets, Unsignable};
use super::{Preset, TOKEN};
use crate::lead::{Malformed, Timestamp};

/// `[sample]` of a preset: a post as its platform makes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Section")]
pub struct Sample {
    content_type: String,
    headers: BTreeMap<String, Pattern>,
    query: BTreeMap<String, Pattern>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// As it stands.
    Body(Pattern),
    /// Fields, to be urlencoded.
    Form(BTreeMap<String, Pattern>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    /// Of the body; JSON without one.
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Pattern>,
    #[serde(default)]
    query: BTreeMap<String, Pattern>,
    #[serde(default)]
    body: Option<Pattern>,
    #[serde(default)]
    form: Option<BTreeMap<String, Pattern>>,
}

impl TryFrom<Section> for Sample {
    type Error = Malformed;

    fn try_from(section: Section) -> Result<Self, Malformed> {
        let (content, usual_type) = match (section.body, section.form) {
            (Some(body), None) => (Content::Body(body), "application/json"),
            (None, Some(form)) => (Content::Form(form), "application/x-www-form-urlencoded"),
            _ => return Err(Malformed("a sample: expected either body or form")),
        };
        Ok(Self {
            content_type: section.content_type.unwrap_or_else(|| usual_type.to_owned()),
            headers: section.headers,
            query: section.query,
            content,
        })
    }
}

/// A text with values put in: `{"phone":"${phone}"}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Value(Placeholder),
}

/// What differs from one person, or from one post, to the next.
#[derive(Debug, Clone, Copy)]
enum Placeholder {
    Name,
    FirstName,
    LastName,
    Phone,
    Subscriber,
    Email,
    Id,
    Serial,
    Seconds,
    Millis,
    Time,
}

impl TryFrom<String> for Pattern {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((plain, behind)) = rest.split_once("${") {
            let unclosed = Malformed("a sample: a ${ is not closed");
            let (name, behind) = behind.split_once('}').ok_or(unclosed)?;
            parts.push(Part::Text(plain.to_owned()));
            parts.push(Part::Value(Placeholder::parse(name)?));
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }
}

impl Placeholder {
    fn parse(name: &str) -> Result<Self, Malformed> {
        Ok(match name {
            "name" => Self::Name,
            "first_name" => Self::FirstName,
            "last_name" => Self::LastName,
            "phone" => Self::Phone,
            "subscriber" => Self::Subscriber,
            "email" => Self::Email,
            "id" => Self::Id,
            "serial" => Self::Serial,
            "seconds" => Self::Seconds,
            "millis" => Self::Millis,
            "time" => Self::Time,
            _ => {
                return Err(Malformed(
                    "a sample: expected ${name}, ${first_name}, ${last_name}, ${phone}, \
                     ${subscriber}, ${email}, ${id}, ${serial}, ${seconds}, ${millis} or ${time}",
                ));
            }
        })
    }
}

impl Pattern {
    fn filled(&self, person: &FakePerson) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => Cow::Owned(text.clone()),
            Part::Value(placeholder) => person.value(*placeholder),
        };
        self.0.iter().map(part).collect()
    }
}

/// Somebody who does not exist, and when he or she sends a form.
#[derive(Debug, Clone, Copy)]
pub struct FakePerson {
    number: u32,
    now: Timestamp,
}

impl FakePerson {
    /// The person of this number; below a million each has a phone number of his own.
    pub const fn new(number: u32, now: Timestamp) -> Self {
        Self { number, now }
    }

    /// The whole name.
    pub fn name(&self) -> String {
        format!("Nguyễn Văn Thử {}", self.number)
    }

    /// The phone number without its first 0: `900000007`.
    pub fn subscriber(&self) -> String {
        format!("900{:06}", self.number % 1_000_000)
    }

    fn value(&self, placeholder: Placeholder) -> Cow<'static, str> {
        let millis = self.now.as_millis();
        Cow::Owned(match placeholder {
            Placeholder::Name => self.name(),
            Placeholder::FirstName => format!("Thử {}", self.number),
            Placeholder::LastName => return Cow::Borrowed("Nguyễn Văn"),
            Placeholder::Phone => format!("0{}", self.subscriber()),
            Placeholder::Subscriber => self.subscriber(),
            Placeholder::Email => format!("thu.{}@example.vn", self.number),
            Placeholder::Id => format!("thu-{millis}-{}", self.number),
            // Longer than what a float holds, as the ids of ad platforms are.
            Placeholder::Serial => format!("{millis}{:06}", self.number % 1_000_000),
            Placeholder::Seconds => (millis / 1000).to_string(),
            Placeholder::Millis => millis.to_string(),
            Placeholder::Time => self.now.to_string(),
        })
    }
}

impl Sample {
    /// The post that this person makes, unsigned.
    pub fn post(&self, person: &FakePerson) -> Outgoing {
        let filled = |map: &BTreeMap<String, Pattern>| {
            let pairs = map.iter().map(|(name, pattern)| (name.clone(), pattern.filled(person)));
            pairs.collect::<Vec<_>>()
        };
        let body = match &self.content {
            Content::Body(body) => body.filled(person),
            Content::Form(form) => {
                form_urlencoded::Serializer::new(String::new()).extend_pairs(filled(form)).finish()
            }
        };
        Outgoing {
            content_type: self.content_type.clone(),
            headers: filled(&self.headers),
            query: filled(&self.query),
            body: body.into_bytes(),
        }
    }
}

impl Preset {
    /// Signs a post to `address` (the source's own, without a query) with a source's secrets, and
    /// gives it the source's token.
    ///
    /// # Errors
    /// The post lacks what is signed, or a secret is none of the preset's kind.
    pub fn sign(
        &self,
        post: &mut Outgoing,
        address: &str,
        secrets: &Secrets,
        now: Timestamp,
    ) -> Result<(), Unsignable> {
        self.verify.sign(post, address, secrets, now)?;
        if let Some(token) = secrets.get(TOKEN).and_then(|tokens| tokens.first()) {
            post.set_header("X-Leadgate-Token", token.expose_secret().to_owned());
        }
        Ok(())
    }
}

/// A post that is to be made. Not `Debug`: what is signed into it may be a secret.
pub struct Outgoing {
    /// Its content type.
    pub content_type: String,
    /// Its other headers.
    pub headers: Vec<(String, String)>,
    /// The query of its address, not encoded.
    pub query: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Outgoing {
    /// A post of this body and nothing else.
    pub fn new(content_type: &str, body: Vec<u8>) -> Self {
        Self { content_type: content_type.to_owned(), headers: Vec::new(), query: Vec::new(), body }
    }

    /// A header's value; names in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Gives a header this value alone.
    pub fn set_header(&mut self, name: &str, value: String) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value));
    }

    /// Gives a value of the query this value alone.
    pub fn set_query(&mut self, name: &str, value: String) {
        self.query.retain(|(known, _)| known != name);
        self.query.push((name.to_owned(), value));
    }

    /// The query, encoded.
    pub fn query_string(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);

    fn post(sample: &str, number: u32) -> Outgoing {
        let sample: Sample = toml::from_str(sample).unwrap();
        sample.post(&FakePerson::new(number, NOW))
    }

    #[test]
    fn each_person_is_another() {
        let sample = "body = '{\"n\":\"${name}\",\"p\":\"${phone}\",\"i\":${serial}}'\n\
                      headers = { id = '${id}', when = '${seconds}' }\nquery = { a = 'b c' }";
        let one = post(sample, 7);
        let body = r#"{"n":"Nguyễn Văn Thử 7","p":"0900000007","i":1760000000000000007}"#;
        assert_eq!(String::from_utf8(one.body).unwrap(), body);
        assert_eq!(one.content_type, "application/json");
        assert_eq!(one.headers[0].1, "thu-1760000000000-7");
        assert_eq!(one.headers[1].1, "1760000000");
        assert_eq!(post(sample, 7).query_string(), "a=b+c");
        assert_ne!(post(sample, 8).headers[0].1, post(sample, 7).headers[0].1);
    }

    #[test]
    fn a_form_is_urlencoded() {
        let form = post("form = { 'Số điện thoại' = '+84${subscriber}' }", 1);
        assert_eq!(form.content_type, "application/x-www-form-urlencoded");
        assert_eq!(
            String::from_utf8(form.body).unwrap(),
            "S%E1%BB%91+%C4%91i%E1%BB%87n+tho%E1%BA%A1i=%2B84900000001"
        );
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        for text in [
            "",
            "body = 'a'\nform = {}",
            "body = '${nobody}'",
            "body = '${name'",
            "body = 'a'\nother = 1",
        ] {
            assert!(toml::from_str::<Sample>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_header_has_one_value() {
        let mut post = Outgoing::new("text/plain", Vec::new());
        post.set_header("X-Time", "1".to_owned());
        post.set_header("x-time", "2".to_owned());
        assert_eq!((post.header("X-TIME"), post.headers.len()), (Some("2"), 1));
    }
}
