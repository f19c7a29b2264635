//! Where a submission came from: the evidence, and what it comes to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use url::{Url, form_urlencoded};

use super::fold::fold;
use crate::lead::Attribution;

/// The `utm_*` names that Google Analytics knows, without `utm_`. Any other `utm_*` counts too.
pub const UTM: [&str; 9] = [
    "source",
    "medium",
    "campaign",
    "term",
    "content",
    "id",
    "source_platform",
    "creative_format",
    "marketing_tactic",
];

/// Click ids of ad platforms. Meta's `fbp` is none: it names a browser, not a click.
pub const CLICK_IDS: [&str; 15] = [
    "gclid",
    "gbraid",
    "wbraid",
    "dclid",
    "gad_source",
    "gad_campaignid",
    "fbclid",
    "fbc",
    "ttclid",
    "msclkid",
    "twclid",
    "li_fat_id",
    "zarsrc",
    "srsltid",
    "yclid",
];

/// A campaign uses up to nine; the rest is room for an agency's own `utm_*`.
const MOST_UTM_VALUES: usize = 64;
/// `utm_` and a word or three.
const LONGEST_NAME: usize = 64;
/// What browsers and servers agree to carry; a longer URL is kept without its query.
const LONGEST_URL: usize = 4096;

/// The name of a `utm_*` field without `utm_`: `utmSource`, `utm.source` and `UTM_SOURCE` are
/// `source`.
pub fn utm_name(name: &str) -> Option<Cow<'_, str>> {
    Some(match fold(name) {
        Cow::Borrowed(folded) => Cow::Borrowed(without_utm(folded)?),
        Cow::Owned(folded) => Cow::Owned(without_utm(&folded)?.to_owned()),
    })
}

fn without_utm(folded: &str) -> Option<&str> {
    let name = folded.strip_prefix("utm")?;
    let name = match name.strip_prefix('_') {
        Some(name) => name,
        None => UTM.into_iter().find(|known| *known == name)?, // utmsource
    };
    (!name.is_empty() && name.chars().count() <= LONGEST_NAME).then_some(name)
}

/// The name of a click id in the platform's spelling: `fbClid` and `_fbc` are `fbclid` and `fbc`.
pub fn click_id_name(name: &str) -> Option<&'static str> {
    let folded = fold(name);
    let letters = |name: &'static str| name.bytes().filter(|byte| *byte != b'_');
    let wanted = || folded.bytes().filter(|byte| *byte != b'_');
    CLICK_IDS.into_iter().find(|known| letters(known).eq(wanted()))
}

/// Whether a value says nothing: empty, a word for nothing, a placeholder, or a macro that the
/// platform should have replaced.
pub fn is_void(value: &str) -> bool {
    let value = value.trim();
    let is_word_for_nothing = [
        "",
        "(none)",
        "(not set)",
        "(not provided)",
        "null",
        "undefined",
        "[object object]", // what JavaScript writes for a value that is no text
    ]
    .iter()
    .any(|nothing| value.eq_ignore_ascii_case(nothing));
    is_word_for_nothing || is_placeholder(value) || is_only_macros(value)
}

/// `xxxxx`: what form builders show where a hidden field was not filled.
fn is_placeholder(value: &str) -> bool {
    value.len() >= 5 && value.bytes().all(|byte| byte.eq_ignore_ascii_case(&b'x'))
}

/// `{{campaign.name}}`, `{campaignid}`, `${id}`, `__CAMPAIGN_NAME__`, and several of them with
/// punctuation between. Where other text stands beside a macro, that text says something.
fn is_only_macros(value: &str) -> bool {
    let says_nothing = |text: &str| !text.chars().any(char::is_alphanumeric);
    let mut rest = value;
    while let Some((before, length)) = next_macro(rest) {
        if !says_nothing(&rest[..before]) {
            return false;
        }
        rest = &rest[before + length..];
    }
    rest.len() < value.len() && says_nothing(rest)
}

/// Where the next macro begins, and how long it is.
fn next_macro(text: &str) -> Option<(usize, usize)> {
    let braces = text.find('{').and_then(|start| {
        let inner = text[start..].find('}')?;
        let closing = text[start + inner..].bytes().take_while(|byte| *byte == b'}').count();
        Some((start, inner + closing))
    });
    let underscores = text.find("__").and_then(|start| {
        let length = text[start + 2..].find("__").filter(|length| *length > 0)?;
        let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let named = text[start + 2..start + 2 + length].bytes().all(is_name);
        named.then_some((start, length + 4))
    });
    [braces, underscores].into_iter().flatten().min()
}

/// Everything a submission says about where it came from, as it said it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Fields named like `utm_source`, in the payload's order; names with or without `utm_`.
    pub explicit_utm: Vec<(String, String)>,
    /// Fields named like a click id.
    pub explicit_click_ids: Vec<(String, String)>,
    /// The page that held the form, as the payload says.
    pub page_url: Option<String>,
    /// The page before it, as the payload says.
    pub referrer: Option<String>,
    /// The request's `Referer`: when a browser posts a form, the page that holds it.
    pub referer_header: Option<String>,
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Evidence(…)") // URLs hold what people typed
    }
}

/// Weighs the evidence: an explicit field before the page URL's query before the `Referer`'s;
/// within each the first value that is not void. Values stay as they were sent.
///
/// Zalo stamps `utm_source=zalo&utm_medium=zalo&utm_campaign=zalo` on every link that is opened
/// in it, beside `zarsrc`. Such values only fill what no other evidence tells.
pub fn attribute(evidence: Evidence) -> Attribution {
    weigh(evidence).0
}

/// As [`attribute`], and the page's URL once more as the `Url` that it has been read as.
pub(super) fn weigh(evidence: Evidence) -> (Attribution, Option<Url>) {
    let Evidence { explicit_utm, explicit_click_ids, page_url, referrer, referer_header } =
        evidence;
    let explicit_utm = explicit_utm.into_iter().map(|(name, value)| (with_prefix(&name), value));
    let mut weighed = Weighed::default();
    weighed.take(explicit_utm.chain(explicit_click_ids));
    let mut page = None;
    for text in [page_url, referer_header].into_iter().flatten() {
        if let Some(url) = page_url_of(&text) {
            weighed.take(query_of(&url));
            page = page.or_else(|| within_length(text.trim(), url));
        }
    }
    weighed.fill_gaps();
    let (page_url, page) = page.unzip();
    let attribution = Attribution {
        page_url,
        referrer: referrer.map(|text| text.trim().to_owned()).filter(|text| {
            !is_void(text) && text.len() <= LONGEST_URL && !text.contains(char::is_control)
        }),
        utm: weighed.utm,
        click_ids: weighed.click_ids,
    };
    (attribution, page)
}

pub(super) fn with_prefix(name: &str) -> String {
    if utm_name(name).is_some() { name.to_owned() } else { format!("utm_{name}") }
}

/// A page's URL: `http` or `https`, with a host. Anything else is none.
pub fn page_url_of(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

fn within_length(text: &str, mut url: Url) -> Option<(String, Url)> {
    if text.len() <= LONGEST_URL {
        return Some((text.to_owned(), url));
    }
    url.set_query(None);
    url.set_fragment(None);
    (url.as_str().len() <= LONGEST_URL).then(|| (url.to_string(), url))
}

/// The query's values, then those of a query inside the fragment (`#/dang-ky?utm_source=fb`:
/// pages that route by it).
fn query_of(url: &Url) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let in_fragment = url.fragment().and_then(|fragment| fragment.split_once('?'));
    let in_fragment = in_fragment.map_or("", |(_, query)| query);
    url.query_pairs().chain(form_urlencoded::parse(in_fragment.as_bytes()))
}

#[derive(Default)]
struct Weighed {
    utm: BTreeMap<String, String>,
    click_ids: BTreeMap<String, String>,
    stamped_by_zalo: Vec<(String, String)>,
}

impl Weighed {
    /// Takes what one piece of evidence says and none before it said.
    fn take<T>(&mut self, values: impl Iterator<Item = (T, T)>)
    where
        T: AsRef<str> + Into<String>,
    {
        let mut utm = Vec::new();
        let mut has_zarsrc = false;
        for (name, value) in values {
            let (name, text) = (name.as_ref(), value.as_ref());
            if is_void(text) {
                continue;
            }
            if let Some(name) = utm_name(name) {
                utm.push((name.into_owned(), value.into()));
            } else if let Some(name) = click_id_name(name) {
                has_zarsrc |= name == "zarsrc";
                self.click_ids.entry(name.to_owned()).or_insert_with(|| value.into());
            }
        }
        let says_zalo =
            |wanted: &str| utm.iter().any(|(name, value)| name == wanted && is_zalo(value));
        let is_stamped = has_zarsrc || STAMPED_BY_ZALO.into_iter().all(says_zalo);
        for (name, value) in utm {
            if is_stamped && is_zalo(&value) && STAMPED_BY_ZALO.contains(&name.as_str()) {
                self.stamped_by_zalo.push((name, value));
            } else {
                self.insert(name, value);
            }
        }
    }

    fn fill_gaps(&mut self) {
        for (name, value) in std::mem::take(&mut self.stamped_by_zalo) {
            self.insert(name, value);
        }
    }

    fn insert(&mut self, name: String, value: String) {
        if self.utm.len() < MOST_UTM_VALUES {
            self.utm.entry(name).or_insert(value);
        }
    }
}

/// The `utm_*` values that Zalo sets to `zalo`.
const STAMPED_BY_ZALO: [&str; 3] = ["source", "medium", "campaign"];

fn is_zalo(value: &str) -> bool {
    value.trim().eq_ignore_ascii_case("zalo")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn map(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs(list).into_iter().collect()
    }

    fn on_page(url: &str) -> Evidence {
        Evidence { page_url: Some(url.to_owned()), ..Evidence::default() }
    }

    #[test]
    fn void_values_say_nothing() {
        let void = "| |(none)|(Not Set)|null|undefined|xxxxx|XXXXXX|{{campaign.name}}|{campaignid}|\
            {{campaign.name}} - {{adset.name}}|__CAMPAIGN_NAME__|__AID____CID__|${id}|{}|[object Object]";
        for value in void.split('|') {
            assert!(is_void(value), "{value}");
        }
        for value in
            "fb|none|xxx|tết|{{campaign.name}} tet|[tet]|__tet__|a__B__c|0|nullable|}{".split('|')
        {
            assert!(!is_void(value), "{value}");
        }
    }

    #[test]
    fn names_in_every_spelling() {
        for name in
            ["utm_source", "utmSource", "utm.source", "UTM_SOURCE", "utm[source]", "utmsource"]
        {
            assert_eq!(utm_name(name).as_deref(), Some("source"), "{name}");
        }
        assert_eq!(utm_name("utm_agency").as_deref(), Some("agency"));
        assert_eq!(utm_name("utm_"), None);
        assert_eq!(utm_name("utmost"), None);
        for (name, id) in
            [("GCLID", "gclid"), ("gclId", "gclid"), ("liFatId", "li_fat_id"), ("_fbc", "fbc")]
        {
            assert_eq!(click_id_name(name), Some(id));
        }
        assert_eq!(click_id_name("_fbp"), None);
    }

    #[test]
    fn an_explicit_field_then_the_page_then_the_referer_header() {
        let attribution = attribute(Evidence {
            explicit_utm: pairs(&[
                ("source", ""),
                ("source", "google"),
                ("utm_source", "facebook"),
            ]),
            explicit_click_ids: pairs(&[("gclid", "null"), ("fbclid", "IwAR")]),
            page_url: Some(
                " https://shop.example.vn/lp?utm_source=x&utm_medium=%63pc&gclid=G ".into(),
            ),
            referrer: Some("https://www.example.com/".into()),
            referer_header: Some(
                "https://shop.example.vn/?utm_medium=y&utm_campaign=Tết+ 1".into(),
            ),
        });
        assert_eq!(
            attribution.utm,
            map(&[("source", "google"), ("medium", "cpc"), ("campaign", "Tết  1")])
        );
        assert_eq!(attribution.click_ids, map(&[("gclid", "G"), ("fbclid", "IwAR")]));
        let page = "https://shop.example.vn/lp?utm_source=x&utm_medium=%63pc&gclid=G";
        assert_eq!(attribution.page_url.as_deref(), Some(page));
        assert_eq!(attribution.referrer.as_deref(), Some("https://www.example.com/"));
    }

    #[test]
    fn the_referer_header_is_the_page_where_the_payload_names_none() {
        for page_url in [
            "",
            "/lp",
            "shop.example.vn",
            "android-app://vn.example",
            "javascript:alert(1)",
            "https://",
        ] {
            let attribution = attribute(Evidence {
                referer_header: Some("https://shop.example.vn/lp#/a?utm_source=fb".into()),
                ..on_page(page_url)
            });
            assert_eq!(
                attribution.page_url.as_deref(),
                Some("https://shop.example.vn/lp#/a?utm_source=fb")
            );
            assert_eq!(
                attribution.utm,
                map(&[("source", "fb")]),
                "a query inside the fragment counts"
            );
        }
    }

    #[test]
    fn what_zalo_stamps_fills_gaps_only() {
        let stamped =
            "https://shop.example.vn/?zarsrc=30&utm_source=zalo&utm_medium=zalo&utm_campaign=zalo";
        let alone = attribute(on_page(stamped));
        assert_eq!(alone.utm, map(&[("source", "zalo"), ("medium", "zalo"), ("campaign", "zalo")]));
        assert_eq!(alone.click_ids, map(&[("zarsrc", "30")]));

        let behind = attribute(Evidence {
            referer_header: Some("https://shop.example.vn/?utm_source=fb&utm_campaign=tet".into()),
            ..on_page(stamped)
        });
        assert_eq!(behind.utm, map(&[("source", "fb"), ("medium", "zalo"), ("campaign", "tet")]));

        let before = attribute(on_page(&format!("{stamped}&utm_source=fb")));
        assert_eq!(before.utm["source"], "fb");
    }

    #[test]
    fn a_chosen_utm_source_of_zalo_is_a_value_like_any_other() {
        let chosen = attribute(Evidence {
            explicit_utm: pairs(&[("source", "zalo"), ("medium", "cpc")]),
            ..on_page("https://shop.example.vn/?utm_source=fb")
        });
        assert_eq!(chosen.utm, map(&[("source", "zalo"), ("medium", "cpc")]));
    }

    #[test]
    fn everything_has_a_bound() {
        let long = "x1".repeat(30_000);
        let many = (0..100).map(|n| (format!("n{n}"), "v".to_owned()));
        let attribution = attribute(Evidence {
            explicit_utm: [("source".to_owned(), long.clone())].into_iter().chain(many).collect(),
            ..on_page(&format!("https://shop.example.vn/lp?a={long}{long}&utm_source=fb"))
        });
        assert_eq!(attribution.utm.len(), MOST_UTM_VALUES);
        assert_eq!(attribution.utm["source"], long, "no value is dropped for its length");
        assert_eq!(attribution.page_url.as_deref(), Some("https://shop.example.vn/lp"));
    }
}
