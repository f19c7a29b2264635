//! The one URL that tells CareSoft where a lead came from.

use std::borrow::Cow;

use url::{Position, Url, form_urlencoded};

use super::attribution::{click_id_name, page_url_of, utm_name};
use crate::lead::Attribution;

/// In bytes, of a URL that is ASCII. CareSoft's documents name no limit; 2,000 is what every
/// browser, proxy and spreadsheet takes. A URL may still be longer: no attribution is dropped
/// for it, only the page's other parameters.
const LONGEST: usize = 2000;

/// The page's URL with its own query, and with every `utm_*` value and click id of `attribution`
/// in it exactly once, such that parsing the URL gives each back unchanged.
///
/// The page is the submission's, else `source_page`; where there is neither, `endpoint` (the
/// source's own address, `{public_url}/in/{source}`) carries the attribution. `None` with neither
/// page nor attribution.
///
/// The page's fragment is left behind: a reader that splits at `?` and `&` would take it for the
/// end of the last value.
pub fn build(
    attribution: &Attribution,
    source_page: Option<&Url>,
    endpoint: &Url,
) -> Option<String> {
    let page = attribution.page_url.as_deref().and_then(page_url_of);
    on_page(page.as_ref().or(source_page), attribution, endpoint)
}

/// As [`build`], where the page is read already.
pub(super) fn on_page(
    page: Option<&Url>,
    attribution: &Attribution,
    endpoint: &Url,
) -> Option<String> {
    let has_values = !attribution.utm.is_empty() || !attribution.click_ids.is_empty();
    let url = page.or(has_values.then_some(endpoint))?;
    let parameters = Parameters::of(url.query().unwrap_or_default(), attribution);

    let mut written = String::with_capacity(url.as_str().len() + 200);
    written.push_str(&url[..Position::BeforeUsername]);
    // Who opened the page with a password does not want it in a CRM.
    written.push_str(&url[Position::BeforeHost..Position::AfterPath]);
    let room = LONGEST.saturating_sub(written.len() + 1);
    for (place, parameter) in parameters.within(room).iter().enumerate() {
        written.push(if place == 0 { '?' } else { '&' });
        written.push_str(parameter);
    }
    Some(written)
}

/// A query's parameters in order, encoded; whether each is attribution.
struct Parameters<'a>(Vec<(Cow<'a, str>, bool)>);

impl<'a> Parameters<'a> {
    fn of(query: &'a str, attribution: &Attribution) -> Self {
        let wanted = wanted(attribution);
        let names: Vec<_> = wanted.iter().map(|(name, _)| Name::of(name)).collect();
        let mut missing: Vec<_> = wanted.iter().collect();
        let mut parameters = Vec::new();
        for written in query.split('&').filter(|part| !part.is_empty()) {
            let Some((name, value)) = form_urlencoded::parse(written.as_bytes()).next() else {
                continue;
            };
            if let Some(at) = missing.iter().position(|(n, v)| *n == name && *v == value) {
                missing.remove(at);
                parameters.push((written.into(), true)); // as the page wrote it
            } else if !names.contains(&Name::of(&name)) {
                parameters.push((written.into(), false));
            }
        }
        parameters.extend(missing.into_iter().map(|(name, value)| {
            let written = encode(name) + "=" + &encode(value);
            (written.into(), true)
        }));
        Self(parameters)
    }

    /// While longer than `room`, the last parameter that is no attribution is dropped.
    fn within(mut self, room: usize) -> Vec<Cow<'a, str>> {
        let mut length: usize = self.0.iter().map(|(written, _)| written.len() + 1).sum();
        while length > room + 1 {
            let Some(last) = self.0.iter().rposition(|(_, is_attribution)| !is_attribution) else {
                break;
            };
            length -= self.0.remove(last).0.len() + 1;
        }
        self.0.into_iter().map(|(written, _)| written).collect()
    }
}

/// The parameters that attribution comes to.
fn wanted(attribution: &Attribution) -> Vec<(String, &str)> {
    let utm = attribution.utm.iter().map(|(name, value)| (format!("utm_{name}"), value.as_str()));
    let ids = attribution.click_ids.iter().map(|(name, value)| (name.clone(), value.as_str()));
    utm.chain(ids).collect()
}

/// The same for every spelling of a parameter: `utmSource`, `utm_source`.
#[derive(PartialEq)]
enum Name<'a> {
    Utm(Cow<'a, str>),
    ClickId(&'static str),
    Other(&'a str),
}

impl<'a> Name<'a> {
    fn of(name: &'a str) -> Self {
        utm_name(name)
            .map(Self::Utm)
            .or_else(|| click_id_name(name).map(Self::ClickId))
            .unwrap_or(Self::Other(name))
    }
}

/// Percent-encodes everything but letters, digits and `*-._`. A space becomes `%20`: every
/// decoder reads that, while not every one reads `+`.
fn encode(text: &str) -> String {
    let pieces = form_urlencoded::byte_serialize(text.as_bytes());
    pieces.map(|piece| if piece == "+" { "%20" } else { piece }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;
    use crate::normalise::attribution::{Evidence, attribute};
    use crate::normalise::laws;

    fn endpoint() -> Url {
        Url::parse("https://leads.example.vn/in/website").unwrap()
    }

    fn from(page: Option<&str>, utm: &[(&str, &str)], ids: &[(&str, &str)]) -> Attribution {
        let pairs = |list: &[(&str, &str)]| {
            list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        Attribution {
            page_url: page.map(str::to_owned),
            referrer: None,
            utm: pairs(utm),
            click_ids: pairs(ids),
        }
    }

    fn built(attribution: &Attribution) -> String {
        build(attribution, None, &endpoint()).unwrap()
    }

    #[test]
    fn the_page_keeps_its_own_query_as_it_was_written() {
        let page = "https://shop.example.vn/lp?a=1&utm_source=f%62&b=x+y&c&gclid=";
        let attribution = from(Some(page), &[("source", "fb"), ("campaign", "Tết & 1+1")], &[]);
        assert_eq!(built(&attribution), format!("{page}&utm_campaign=T%E1%BA%BFt%20%26%201%2B1"));
        assert_eq!(built(&from(Some(page), &[], &[])), page);
    }

    #[test]
    fn an_explicit_value_replaces_the_urls() {
        let page = "https://shop.example.vn/?utm_source=old&utmSource=older&utm_source=&a=1#form";
        let attribution = from(Some(page), &[("source", "fb")], &[("fbclid", "IwAR")]);
        assert_eq!(built(&attribution), "https://shop.example.vn/?a=1&utm_source=fb&fbclid=IwAR");
    }

    #[test]
    fn the_base_is_the_page_then_the_sources_then_the_endpoint() {
        let source = Url::parse("https://shop.example.vn/?from=config").unwrap();
        let source = Some(&source);
        let page = from(Some("https://a.example.vn/x"), &[], &[]);
        assert_eq!(build(&page, source, &endpoint()).unwrap(), "https://a.example.vn/x");
        let no_page = from(Some("no page"), &[("id", "7")], &[]);
        assert_eq!(
            build(&no_page, source, &endpoint()).unwrap(),
            "https://shop.example.vn/?from=config&utm_id=7"
        );
        assert_eq!(built(&no_page), "https://leads.example.vn/in/website?utm_id=7");
        assert_eq!(build(&from(None, &[], &[]), None, &endpoint()), None);
    }

    #[test]
    fn credentials_and_fragment_stay_behind() {
        let attribution =
            from(Some("https://thu:mat-khau@shop.example.vn/#utm_source=x"), &[], &[]);
        assert_eq!(built(&attribution), "https://shop.example.vn/");
    }

    #[test]
    fn other_parameters_go_before_attribution_does() {
        let page = format!("https://shop.example.vn/?a=1&b={}&c=3", "x".repeat(1500));
        let campaign = "y".repeat(600);
        let url = built(&from(Some(&page), &[("campaign", &campaign)], &[]));
        assert_eq!(url, format!("https://shop.example.vn/?a=1&utm_campaign={campaign}"));

        let campaign = "y".repeat(LONGEST);
        let url = built(&from(Some(&page), &[("campaign", &campaign)], &[("gclid", "G")]));
        assert_eq!(url, format!("https://shop.example.vn/?utm_campaign={campaign}&gclid=G"));
    }

    #[test]
    fn a_url_of_just_the_longest_length_is_kept() {
        let base = "https://shop.example.vn/?b=";
        let page = format!("{base}{}", "x".repeat(LONGEST - base.len()));
        assert_eq!(built(&from(Some(&page), &[], &[])), page);
        assert_eq!(built(&from(Some(&format!("{page}x")), &[], &[])), "https://shop.example.vn/");
    }

    /// Every way to write a value into a page's query.
    fn query() -> impl Strategy<Value = String> {
        let name =
            prop_oneof!["utm_(source|medium|x)", "utmSource", "(gclid|fbclid|_fbc)", "[a-c]{1,2}"];
        let value = prop_oneof!["[a-z%+&=#]{0,6}", any::<String>(), Just("zalo".to_owned())];
        proptest::collection::vec((name, value, any::<bool>()), 0..6).prop_map(|pairs| {
            let written = pairs.into_iter().map(|(name, value, encoded)| match encoded {
                true => format!("{name}={}", encode(&value)),
                false => format!("{name}={value}"),
            });
            written.collect::<Vec<_>>().join("&")
        })
    }

    fn utm() -> impl Strategy<Value = BTreeMap<String, String>> {
        let name = prop_oneof!["source|medium|campaign|term|x", r"\PC{1,5}"];
        btree_map(name, any::<String>(), 0..6)
    }

    fn click_ids() -> impl Strategy<Value = BTreeMap<String, String>> {
        btree_map("gclid|fbclid|fbc|zarsrc", any::<String>(), 0..4)
    }

    proptest! {
        #![proptest_config(laws())]

        /// Invariant 10: attribution survives.
        #[test]
        fn every_value_parses_back_identical_exactly_once(
            utm in utm(), click_ids in click_ids(), page in proptest::option::of(query()),
        ) {
            let page_url = page.map(|query| format!("https://shop.example.vn/lp?{query}"));
            let attribution = Attribution { page_url, referrer: None, utm, click_ids };
            let Some(url) = build(&attribution, None, &endpoint()) else {
                prop_assert!(wanted(&attribution).is_empty());
                return Ok(());
            };
            let pairs: Vec<_> = Url::parse(&url).unwrap().query_pairs().into_owned().collect();
            for (name, value) in wanted(&attribution) {
                let found: Vec<_> = pairs.iter().filter(|(n, _)| *n == name).map(|(_, v)| v).collect();
                prop_assert_eq!(found, [value], "{}", name);
            }
        }

        /// What a submission says, its `ref_url` says; and building from that changes nothing.
        #[test]
        fn a_ref_url_is_evidence_of_the_same(explicit in utm(), click_ids in click_ids(), query in query()) {
            let attribution = attribute(Evidence {
                explicit_utm: explicit.into_iter().collect(),
                explicit_click_ids: click_ids.into_iter().collect(),
                page_url: Some(format!("https://shop.example.vn/lp?{query}")),
                ..Evidence::default()
            });
            let url = built(&attribution);
            let again = attribute(Evidence { page_url: Some(url.clone()), ..Evidence::default() });
            prop_assert_eq!(&again.utm, &attribution.utm);
            prop_assert_eq!(&again.click_ids, &attribution.click_ids);
            prop_assert_eq!(built(&again), url);
        }
    }
}
