//! From one element of a post to what is stored of it.

use std::time::Duration;

use serde_json::Value;

use super::Source;
use super::stored::element_body;
use crate::config::Invalid;
use crate::lead::RawBody;
use crate::normalise::fold::fold;
use crate::normalise::{Draft, Fault, Normalised, Rules, normalise};
use crate::preset::{Algorithm, Meaning, TooMany};
use crate::store::{Content, Idempotency};

/// What the request that brought an element tells beside its body.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// `Referer`: the page that held the form, where nothing better says it.
    pub referer: Option<&'a str>,
    /// The query of the endpoint, as it came: utm values and click ids in it are weaker than the
    /// body's.
    pub query: &'a str,
    /// A header's value by its name in any case.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// An id that its sender gave it, which counts where the platform gives none.
    pub given_id: Option<&'a str>,
}

impl Beside<'_> {
    /// Nothing: the request is long gone, or there was none.
    pub const NOTHING: Self = Self { referer: None, query: "", header: &|_| None, given_id: None };
}

/// Where an element stood: what is kept of it when no lead can be made of it.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// Alone in its post, which is kept as it came.
    Alone(&'a dyn Fn() -> RawBody),
    /// One of several, from 0: each is kept by itself, and a batch not whole once for each of it.
    Nth(usize),
    /// By itself, in no post: it was fetched or stored.
    Itself,
}

/// Why nothing is stored of an element; with the element by itself, unless it was alone.
#[derive(Debug)]
pub enum Unkept {
    /// The honeypot is filled in: a bot's.
    Trapped,
    /// Whoever sent it can be told what is wrong with it.
    Refused(Vec<Fault>, Option<RawBody>),
    /// More than 1000 fields.
    TooMany(Option<RawBody>),
}

impl Unkept {
    /// Why, in words of ours.
    const fn reason(&self) -> &'static str {
        match self {
            Self::Trapped => "its honeypot is filled in",
            Self::Refused(..) => NOBODY,
            Self::TooMany(_) => "more than 1000 fields",
        }
    }
}

/// What is stored of an element.
#[derive(Debug)]
pub struct Kept {
    /// The platform's own id of it.
    pub external_id: Option<String>,
    /// What it is known by when it comes again.
    pub idempotency: Option<Idempotency>,
    /// What it holds.
    pub content: Content,
}

/// A delivery that is known by what it holds.
fn of_content(content: &[u8], window: Duration) -> Idempotency {
    let digest = Algorithm::Sha256.hex(content);
    Idempotency { key: format!("content:{digest}"), window: Some(window) }
}

/// What is of no use and comes again within this is kept once.
const SAME_WITHIN: Duration = Duration::from_secs(600);

impl Kept {
    /// What no lead can be made of; why, in words of ours.
    pub fn unusable(external_id: Option<String>, reason: &str, raw: RawBody) -> Self {
        let content = Content::Quarantined { reason: reason.to_owned(), lead: None, raw };
        let by_id = external_id.as_ref().map(Idempotency::of_id);
        Self { idempotency: by_id.or_else(|| known_by_its_body(&content)), external_id, content }
    }
}

/// What is of no use is known by its body, where nothing better is there.
fn known_by_its_body(content: &Content) -> Option<Idempotency> {
    match content {
        Content::Quarantined { raw, .. } => Some(of_content(&raw.bytes, SAME_WITHIN)),
        _ => None,
    }
}

impl Source {
    /// What is stored of an element of a post.
    ///
    /// # Errors
    /// Why nothing is.
    pub fn read(
        &self,
        element: Value,
        place: Place<'_>,
        beside: &Beside<'_>,
    ) -> Result<Kept, Unkept> {
        let preset = &self.preset;
        let external_id = preset.external_id(&element, beside.header);
        let external_id = external_id.or_else(|| beside.given_id.map(str::to_owned));
        let external_id = external_id.map(|id| match place {
            // One delivery, several people.
            Place::Nth(place) if preset.id_is_of_the_post() => format!("{id}.{place}"),
            _ => id,
        });
        // No id, or one that another site may give as well: the same content within a while is the
        // same submission.
        let by_content =
            preset.same_within.map(|window| of_content(element.to_string().as_bytes(), window));
        let content = match self.known_at_once(&element, external_id.is_some()) {
            Some(content) => content,
            None => self.extracted(element, place, beside)?,
        };
        let by_id = |id: &String| match &content {
            // Not known by the same as what it is of.
            Content::Deletion => Idempotency::of_id(format!("deleted {id}")),
            _ => Idempotency::of_id(id),
        };
        let idempotency = by_content.or_else(|| external_id.as_ref().map(by_id));
        let idempotency = idempotency.or_else(|| known_by_its_body(&content));
        Ok(Kept { external_id, idempotency, content })
    }

    /// An element that stands by itself, with everything that was fetched for it. It is always kept:
    /// there is nobody to be told what is wrong with it.
    pub fn read_itself(&self, element: Value) -> Kept {
        let raw = element_body(&element);
        let external_id = self.preset.external_id(&element, Beside::NOTHING.header);
        match self.read(element, Place::Itself, &Beside::NOTHING) {
            Ok(kept) => kept,
            Err(unkept) => Kept::unusable(external_id, unkept.reason(), raw),
        }
    }

    /// An element that would be refused alone, and came with others that are taken: nobody could be
    /// told of it alone, so it is kept.
    pub fn keep_refused(unkept: Unkept) -> Option<Kept> {
        let reason = unkept.reason();
        match unkept {
            Unkept::Refused(_, itself) | Unkept::TooMany(itself) => {
                itself.map(|itself| Kept::unusable(None, reason, itself))
            }
            Unkept::Trapped => None,
        }
    }

    /// What needs no look at the person's data: that it is to be fetched, or to be erased.
    fn known_at_once(&self, element: &Value, has_id: bool) -> Option<Content> {
        let preset = &self.preset;
        if preset.is_deletion(element) {
            return Some(match has_id {
                true => Content::Deletion,
                false => Content::Quarantined {
                    reason: "it asks to erase a lead and does not say which".to_owned(),
                    lead: None,
                    raw: element_body(element),
                },
            });
        }
        preset.is_notice(element).then(|| Content::Notice { notice: element_body(element) })
    }

    fn extracted(
        &self,
        element: Value,
        place: Place<'_>,
        beside: &Beside<'_>,
    ) -> Result<Content, Unkept> {
        let preset = &self.preset;
        let itself = match place {
            Place::Alone(whole) => Raw::Whole(whole),
            Place::Nth(_) | Place::Itself => Raw::Element(element_body(&element)),
        };
        let extracted = preset.extract(element, self.honeypot.as_deref());
        let extracted = match extracted {
            Ok(extracted) => extracted,
            Err(TooMany) => return Err(Unkept::TooMany(itself.element())),
        };
        if extracted.trapped {
            return Err(Unkept::Trapped);
        }
        let mut draft = extracted.draft;
        self.add_evidence(&mut draft, beside);
        let test_region = preset.test_region.as_deref().filter(|_| extracted.is_test);
        let rules = Rules {
            region: test_region.unwrap_or(&self.region),
            name_order: self.name_order,
            source_page: self.page_url.as_ref(),
            endpoint: &self.endpoint,
        };
        let Normalised { lead, identities, faults } = normalise(draft, &rules);
        if extracted.is_test {
            return Ok(Content::Test { lead });
        }
        if !identities.is_empty() {
            return Ok(Content::Lead { lead, identities });
        }
        if self.invalid == Invalid::Reject {
            return Err(Unkept::Refused(faults, itself.element()));
        }
        let raw = match itself {
            Raw::Whole(whole) => whole(),
            Raw::Element(element) => element,
        };
        Ok(Content::Quarantined { reason: NOBODY.to_owned(), lead: Some(lead), raw })
    }

    /// What the request tells of where the submission came from: the page in `Referer`, and utm
    /// values and click ids in the endpoint's own query, weaker than the payload's.
    fn add_evidence(&self, draft: &mut Draft, beside: &Beside<'_>) {
        draft.evidence.referer_header = beside.referer.map(str::to_owned);
        for (name, value) in url::form_urlencoded::parse(beside.query.as_bytes()) {
            let name = fold(&name);
            match (self.preset.meaning(&name), name.strip_prefix("utm_")) {
                (Meaning::Utm, Some(utm)) => {
                    draft.evidence.explicit_utm.push((utm.to_owned(), value.into_owned()));
                }
                (Meaning::ClickId, _) => {
                    draft.evidence.explicit_click_ids.push((name.into_owned(), value.into_owned()));
                }
                _ => {}
            }
        }
    }
}

/// What is kept of an element that is of no use.
enum Raw<'a> {
    Whole(&'a dyn Fn() -> RawBody),
    Element(RawBody),
}

impl Raw<'_> {
    /// The element by itself, where it is not the whole post.
    fn element(self) -> Option<RawBody> {
        match self {
            Self::Whole(_) => None,
            Self::Element(element) => Some(element),
        }
    }
}

/// Why a lead without an identity is of no use.
const NOBODY: &str = "neither a phone number nor an e-mail address could be used";
