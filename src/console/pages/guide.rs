//! `GET /guides/{preset}`: how to set a platform up, as `docs/presets` says it in the reader's
//! language, with the gateway's own address and, with `?source=`, the source's name filled in.

use std::cmp::Reverse;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::assets;
use super::sign_in::asked;
use super::visit::{Refusal, Visit};
use crate::preset::built_in_guide;
use crate::source::Source;

/// The host of the guides' examples.
const EXAMPLE_BASE: &str = "https://leads.example.vn";

#[derive(Template)]
#[template(path = "guide.html")]
struct Page<'a> {
    v: &'a Visit,
    title: String,
    /// Made by [`written`], which lets no markup of the text through.
    guide: String,
    source: Option<String>,
}

pub(super) async fn show(
    visit: Visit,
    request: HttpRequest,
    preset: web::Path<String>,
) -> HttpResponse {
    let Some(guide) = built_in_guide(&preset) else { return visit.refuse(&Refusal::Missing) };
    let text = visit.language.either(guide.english, guide.vietnamese);
    let id = asked(&request, "source").and_then(|id| id.parse().ok());
    let source = id.and_then(|id| visit.console.sources.get(&id));
    let source = source.filter(|source| source.preset.id == *preset);
    let public = visit.console.server.public_url.as_ref().map(|url| url.as_str());
    let filling = Filling::of(text, source.map(|source| &**source), public);
    visit.page(&Page {
        v: &visit,
        title: title(text).unwrap_or(&preset).to_owned(),
        guide: written(text, &filling),
        source: source.map(|source| source.id.to_string()),
    })
}

fn title(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("# "))
}

/// What stands in a guide's examples, and what is put there.
struct Filling(Vec<(String, String)>);

impl Filling {
    /// The example's source is the one that the guide sends a sample to at its end.
    fn of(text: &str, source: Option<&Source>, public: Option<&str>) -> Self {
        let mut pairs = Vec::new();
        let example = text.lines().find_map(|line| line.strip_prefix("leadgate send "));
        if let (Some(source), Some(example)) = (source, example) {
            let id = source.id.as_str();
            pairs.push((format!("{EXAMPLE_BASE}/in/{example}"), source.endpoint.to_string()));
            pairs.push((format!("/in/{example}"), format!("/in/{id}")));
            pairs.push((format!("[sources.{example}"), format!("[sources.{id}")));
            pairs.push((format!("leadgate send {example}"), format!("leadgate send {id}")));
            let destination = format!("destination = \"{}\"", source.destination);
            pairs.push(("destination = \"main\"".to_owned(), destination));
        }
        if let Some(public) = public {
            pairs.push((EXAMPLE_BASE.to_owned(), public.trim_end_matches('/').to_owned()));
        }
        Self(pairs)
    }

    fn fill<'a>(&self, text: CowStr<'a>) -> CowStr<'a> {
        let mut filled = String::new();
        let mut rest = &*text;
        let next = |rest: &str| {
            let found = self.0.iter().filter_map(|(example, own)| {
                Some((whole_word(rest, example)?, example.len(), own))
            });
            // What is put in is not looked at again.
            found.min_by_key(|(at, length, _)| (*at, Reverse(*length)))
        };
        while let Some((at, length, own)) = next(rest) {
            let Some((before, behind)) = rest.split_at_checked(at) else { break };
            filled.push_str(before);
            filled.push_str(own);
            rest = behind.get(length..).unwrap_or_default();
        }
        if filled.is_empty() {
            return text;
        }
        filled.push_str(rest);
        filled.into()
    }
}

/// Where `wanted` stands in a text, and not as the beginning of a longer name.
fn whole_word(text: &str, wanted: &str) -> Option<usize> {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_whole = |(at, _): &(usize, &str)| {
        let behind = text.get(at + wanted.len()..).unwrap_or_default();
        !behind.starts_with(goes_on)
    };
    text.match_indices(wanted).find(is_whole).map(|(at, _)| at)
}

/// The guide as HTML: no markup of its own, links to guides and to the web alone, and nothing that
/// the pages' policy forbids.
fn written(text: &str, filling: &Filling) -> String {
    let mut links = Vec::new();
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(|event| {
        Some(match event {
            Event::Text(text) => Event::Text(filling.fill(text)),
            Event::Code(text) => Event::Code(filling.fill(text)),
            Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
            Event::Start(Tag::Link { dest_url, .. }) => {
                let link = address(&dest_url);
                links.push(link.is_some());
                Event::Html(format!("<a href=\"{}\" rel=\"noreferrer\">", link?).into())
            }
            Event::End(TagEnd::Link) => {
                let is_one = links.pop().unwrap_or_default();
                return is_one.then_some(Event::Html("</a>".into()));
            }
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => return None,
            // Alignment would be an inline style.
            Event::Start(Tag::Table(columns)) => {
                Event::Start(Tag::Table(vec![pulldown_cmark::Alignment::None; columns.len()]))
            }
            // It scrolls, so the keyboard has to reach it.
            Event::Start(Tag::CodeBlock(_)) => Event::Html("<pre tabindex=\"0\"><code>".into()),
            Event::End(TagEnd::CodeBlock) => Event::Html("</code></pre>\n".into()),
            other => other,
        })
    });
    let mut guide = String::with_capacity(text.len() * 2);
    html::push_html(&mut guide, events);
    guide
}

/// Where a link of a guide leads to, escaped; `None` where there is nothing here.
fn address(link: &str) -> Option<String> {
    let guide = link.strip_suffix(".md").filter(|name| built_in_guide(name).is_some());
    let address = match guide {
        Some(name) => format!("/guides/{name}"),
        None => url::Url::parse(link).ok().filter(|url| url.scheme() == "https")?.to_string(),
    };
    Some(address.replace('&', "&amp;").replace(['"', '<', '>', '\''], ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::built_in_names;

    fn plain(text: &str) -> String {
        written(text, &Filling(Vec::new()))
    }

    #[test]
    fn no_markup_of_a_text_comes_through() {
        let made = plain(
            "a <script>x</script> [b](javascript:x) ![c](https://x.example/y.png)\n\n<b onclick=x>\n\n\
             [d](https://x.example/?a=1&b=2) [e](tally.md) [f](../other.md)\n\n|a|\n|:-:|\n|1|\n",
        );
        for forbidden in ["<script", "<b ", "javascript", "<img", "style", "other.md"] {
            assert!(!made.contains(forbidden), "{forbidden} in {made}");
        }
        assert!(made.contains("&lt;script&gt;"), "{made}");
        assert!(made.contains("href=\"https://x.example/?a=1&amp;b=2\""), "{made}");
        assert!(made.contains("href=\"/guides/tally\"") && made.contains("<td>1</td>"), "{made}");
        assert_eq!(made.matches("<a ").count(), made.matches("</a>").count());
    }

    #[test]
    fn what_is_put_in_is_not_replaced_again() {
        let pairs = [("/in/web", "/in/web2"), ("https://a.vn/in/web", "https://b.vn/in/web2")];
        let filling = Filling(pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        let filled = |text: &str| filling.fill(text.to_owned().into()).to_string();
        assert_eq!(filled("https://a.vn/in/web, /in/web."), "https://b.vn/in/web2, /in/web2.");
        assert_eq!(filled("/in/website /in/web-form /in/we"), "/in/website /in/web-form /in/we");
    }

    #[test]
    fn every_guide_is_written_and_names_its_own_example() {
        for name in built_in_names() {
            let guide = built_in_guide(name).unwrap();
            for text in [guide.english, guide.vietnamese] {
                assert!(title(text).is_some(), "{name}");
                assert!(text.contains("\nleadgate send "), "{name}");
                let filling = Filling(vec![(EXAMPLE_BASE.into(), "https://own.example.vn".into())]);
                let made = written(text, &filling);
                assert!(!made.contains("leads.example.vn") && made.contains("<h2>"), "{name}");
                assert!(!made.contains(" style="), "{name}");
            }
        }
    }
}
