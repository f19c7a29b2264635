//! `GET /embed.js`: the script that a web page includes, and the id that it gives a submission.

use std::sync::LazyLock;

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, ETAG, EntityTag, Header as _, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use crate::preset::Algorithm;

/// Where the script is.
pub const PATH: &str = "/embed.js";

/// The field in which the script sends a submission's id: the same on each try of the same content.
/// No answer of the person's (`config/field-names.toml` drops it).
const ID_FIELD: &str = "leadgate_id";

/// A page learns of a new version within the hour, and waits for none.
const CACHING: &str = "public, max-age=3600, stale-while-revalidate=86400";

/// What a line may end with so that its end says nothing; each of the script's statements ends with a
/// semicolon or a block.
const GOES_ON: [char; 6] = [';', '{', '}', ',', '(', '['];

/// What is served, and the tag of it.
static SCRIPT: LazyLock<(String, EntityTag)> = LazyLock::new(|| {
    let script = bare(include_str!("embed.js"));
    let mut tag = Algorithm::Sha256.hex(script.as_bytes());
    tag.truncate(32);
    (script, EntityTag::new_strong(tag))
});

/// The source without its comments, which fill their lines, its indentation, the spaces beside
/// punctuation, and the ends of lines after which a statement or a list surely goes on.
fn bare(source: &str) -> String {
    let lines = source.lines().map(str::trim_start);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    let mut script = String::new();
    for line in lines {
        tighten(line, &mut script);
        if !line.ends_with(GOES_ON) {
            script.push('\n');
        }
    }
    script
}

/// Only a space between two words says something: no text of the script has another one.
fn tighten(line: &str, out: &mut String) {
    let in_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$');
    let mut before = '(';
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_in_word = letters.peek().is_some_and(|next| in_word(*next));
        if letter != ' ' || (in_word(before) && next_in_word) {
            out.push(letter);
            before = letter;
        }
    }
}

/// The script; 304 for who has it.
pub(super) async fn script(request: HttpRequest) -> HttpResponse {
    let (script, tag) = &*SCRIPT;
    let known = match IfNoneMatch::parse(&request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, tag.clone()))
        .insert_header((CACHE_CONTROL, CACHING))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        // Any page may include it, also one that asks for CORS or isolates itself.
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"));
    if known {
        return response.finish();
    }
    response.content_type("application/javascript; charset=utf-8").body(script.as_str())
}

/// The id that the script gave a submission. One that is too short to be nobody else's is none.
pub(super) fn submission_id(item: &Value) -> Option<String> {
    let id = item.get(ID_FIELD)?.as_str()?;
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    ((16..=64).contains(&id.len()) && id.bytes().all(is_ours)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::http::header::IF_NONE_MATCH;
    use actix_web::test::TestRequest;
    use serde_json::json;

    use super::*;
    use crate::normalise::attribution::CLICK_IDS;
    use crate::preset::{Meaning, Preset};

    /// What a page has to load for it.
    const BYTES_MAX: usize = 4 * 1000;

    #[test]
    fn the_script_is_small_and_minds_a_strict_policy() {
        let (script, _) = &*SCRIPT;
        assert!(script.len() < BYTES_MAX, "{} bytes", script.len());
        for forbidden in
            ["eval", "Function(", "innerHTML", "document.write", "cookie", "style", "//"]
        {
            assert!(!script.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn the_script_knows_the_click_ids_that_the_gateway_knows() {
        let (script, _) = &*SCRIPT;
        let (_, known) = script.split_once(r"utm_\w{1,40}|").unwrap();
        let (known, _) = known.split_once(")$/").unwrap();
        assert_eq!(known.split('|').collect::<Vec<_>>(), CLICK_IDS);
    }

    /// The first touch is told beside the last, never in its place.
    #[test]
    fn what_the_script_sends_means_what_it_should() {
        let preset = Preset::load("web-form", []).unwrap();
        for name in CLICK_IDS.into_iter().chain(["utm_source", "utm_agency"]) {
            assert!(matches!(preset.meaning(name), Meaning::Utm | Meaning::ClickId), "{name}");
            assert_eq!(preset.meaning(&format!("first_{name}")), Meaning::Answer, "{name}");
        }
        for name in ["first_landing_page", "last_landing_page", "first_referrer"] {
            assert_eq!(preset.meaning(name), Meaning::Answer, "{name}");
        }
        assert_eq!(preset.meaning(ID_FIELD), Meaning::Dropped);
    }

    #[tokio::test]
    async fn who_has_the_script_is_not_sent_it_again() {
        let first = script(TestRequest::default().to_http_request()).await;
        let tag = first.headers().get(ETAG).unwrap().clone();
        let kind = first.headers().get("content-type").unwrap();
        assert_eq!(kind, "application/javascript; charset=utf-8");
        assert_eq!(to_bytes(first.into_body()).await.unwrap(), SCRIPT.0.as_bytes());
        let again = TestRequest::default().insert_header((IF_NONE_MATCH, tag)).to_http_request();
        let again = script(again).await;
        assert_eq!(again.status(), 304);
        assert!(to_bytes(again.into_body()).await.unwrap().is_empty());
        let older = TestRequest::default().insert_header((IF_NONE_MATCH, "\"older\""));
        assert_eq!(script(older.to_http_request()).await.status(), 200);
    }

    #[test]
    fn an_id_that_others_may_give_as_well_is_none() {
        let id = |id: &str| submission_id(&json!({ ID_FIELD: id }));
        let given = "3735928559-1-4294967295-7";
        assert_eq!(id(given).as_deref(), Some(given));
        for weak in ["", "1", "0000-1111-2222-ế", &"1".repeat(65)] {
            assert_eq!(id(weak), None, "{weak}");
        }
        assert_eq!(submission_id(&json!([given])), None);
    }
}
