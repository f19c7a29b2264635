//! `GET /sources/{source}/sample`: what a sample is and where its lead would go, before anything is
//! sent; `POST` sends it, in this process and by the road of every other post.

use actix_web::web::Payload;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::assets;
use super::visit::{Refusal, Visit};
use crate::preset::FakePerson;
use crate::source::Source;

/// Samples are of so many people, with phone numbers that nobody has.
const PEOPLE: i64 = 100;

#[derive(Template)]
#[template(path = "sample.html")]
struct Page<'a> {
    v: &'a Visit,
    source: &'a Source,
    /// The host that the lead is made at.
    host: &'a str,
    has_sample: bool,
    takes_posts: bool,
}

impl Page<'_> {
    fn command(&self) -> String {
        let file = if self.has_sample { "" } else { " --file body.json" };
        format!("leadgate send {}{file}", self.source.id)
    }
}

pub(super) async fn ask(visit: Visit, source: web::Path<String>) -> HttpResponse {
    visit.answer(asked(&visit, &source))
}

fn asked(visit: &Visit, id: &str) -> Result<HttpResponse, Refusal> {
    let source = find(visit, id)?;
    let host = visit.console.destinations.get(&source.destination);
    Ok(visit.page(&Page {
        v: visit,
        source,
        host: host.map_or("", |outlet| &outlet.host),
        has_sample: source.preset.sample.is_some(),
        takes_posts: visit.console.intake.is_some(),
    }))
}

fn find<'a>(visit: &'a Visit, id: &str) -> Result<&'a Source, Refusal> {
    let id = id.parse().map_err(|_| Refusal::Missing)?;
    visit.console.sources.get(&id).map(|source| &**source).ok_or(Refusal::Missing)
}

pub(super) async fn send(
    visit: Visit,
    source: web::Path<String>,
    payload: Payload,
) -> HttpResponse {
    visit.answer(sent(&visit, &source, payload).await)
}

async fn sent(visit: &Visit, id: &str, payload: Payload) -> Result<HttpResponse, Refusal> {
    visit.posted(payload).await?;
    let (console, w) = (&visit.console, visit.w);
    let source = find(visit, id)?;
    let intake = console.intake.as_ref().ok_or(Refusal::Missing)?;
    let sample = source.preset.sample.as_ref().ok_or(Refusal::Missing)?;
    // Another person each second, so that not every sample is a duplicate of the one before.
    let number = u32::try_from(visit.now.as_millis() / 1000 % PEOPLE).unwrap_or_default();
    let mut post = sample.post(&FakePerson::new(number, visit.now));
    let signed =
        source.preset.sign(&mut post, source.endpoint.as_str(), &source.secrets, visit.now);
    let refused = |why: String| Refusal::Conflict(format!("{}: {why}", w.sample_refused));
    signed.map_err(|error| refused(error.to_string()))?;
    let taken = intake.take_own(&source.id, post).await.ok_or(Refusal::Missing)?;
    let ids = taken.map_err(|refusal| match refusal.word() {
        "challenge" => refused(w.sample_challenge.to_owned()),
        _ => refused(refusal.in_words()),
    })?;
    tracing::info!(source = %source.id, "a person has sent a sample");
    console.pages.forget_figures();
    let Some(id) = ids.first() else {
        return Err(Refusal::Conflict(w.sample_kept_nothing.to_owned()));
    };
    // What waits in the spool has no page yet.
    let page = match console.store.find(*id).await? {
        Some(record) => format!("/leads/{}", record.id),
        None => "/leads".to_owned(),
    };
    Ok(visit.done(&page, "sampled"))
}
