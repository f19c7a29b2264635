//! `GET /api/events`: what becomes of submissions, as server-sent events, as it happens.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::stream;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::console::Console;
use crate::console::pages::{Pages, Session};
use crate::credentials::equal;
use crate::current::Current;
use crate::problem::Problem;
use crate::store::changes::{News, Reading, Told};

/// A comment goes out after so long without news: proxies close what is silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// After so many milliseconds a browser comes back when the stream has ended.
const RETRY_MS: u32 = 2000;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// nginx holds a stream back until it is told not to.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Every change of a submission's state, as server-sent events, as it happens.
///
/// `change` has as its data `id`, `state`, `event` (what happened, by its name in a history),
/// `outcome` (of an attempt), `source`, `destination` and `at`. First comes `ready`, or `gap` where
/// something was missed since `Last-Event-ID`; a later `gap` says that changes may be missing there.
/// A comment comes every 15 seconds. Who reads too slowly is dropped, and may come back. The pages of
/// the console read it with their session's cookie, and are told nothing any more when that ends.
#[utoipa::path(
    get, path = "/api/events", tag = "ledger",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen, to go on after it")),
    responses((status = 200, description = "A stream that ends with the gateway", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn stream(request: HttpRequest, console: Current<Console>) -> HttpResponse {
    streamed(&request, &console).unwrap_or_else(|problem| problem.respond())
}

fn streamed(request: &HttpRequest, console: &Current<Console>) -> Result<HttpResponse, Problem> {
    let reader = Reader::of(request, console)?;
    let after = request.headers().get(LAST_EVENT_ID).map(HeaderValue::to_str);
    // What is no text is no place of ours.
    let reading = console.changes.read(after.map(|place| place.unwrap_or_default()));
    let reading = reading.map_err(|_| {
        let detail = "too many read the events already; close one, or ask again in a while";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    })?;
    let in_force = request.app_data::<InForce>().cloned();
    Ok(answer(reading, reader, in_force))
}

/// The console that is in force at any time: a stream outlasts the one that it began with.
type InForce = web::Data<ArcSwap<Console>>;

/// Who reads.
struct Reader {
    /// The admin token by which it was let in.
    token: SecretString,
    /// Of a page of somebody who has signed in; a program has the token itself.
    session: Option<Session>,
}

impl Reader {
    fn of(request: &HttpRequest, console: &Console) -> Result<Self, Problem> {
        let session = Pages::listener(request, console);
        if session.is_none() {
            console.authorise(request)?;
        }
        Ok(Self { token: console.token.clone(), session })
    }

    /// Whether it may be told still: another admin token ends everything that the one before let in.
    fn may_hear(&self, in_force: Option<&InForce>) -> bool {
        let Some(console) = in_force.map(|console| console.load()) else { return false };
        let holds = |session| console.pages.holds(session, console.clock.now());
        equal(self.token.expose_secret().as_bytes(), &console.token)
            && self.session.as_ref().is_none_or(holds)
    }
}

/// The stream of a reading.
fn answer(reading: Reading, reader: Reader, in_force: Option<InForce>) -> HttpResponse {
    let first = beginning(&reading);
    let state = (Some(first), reading, reader, in_force);
    let frames = stream::unfold(state, async |(first, mut reading, reader, in_force)| {
        let frame = match first {
            Some(first) => first,
            None => match tokio::time::timeout(HEARTBEAT, reading.next()).await {
                Ok(Some(told)) => frame(&reading, &told),
                Ok(None) => return None,
                Err(_) => Bytes::from_static(b":\n\n"),
            },
        };
        // Who has signed out meanwhile hears nothing more.
        let may_hear = reader.may_hear(in_force.as_ref());
        may_hear.then_some((Ok::<_, actix_web::Error>(frame), (None, reading, reader, in_force)))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((ACCEL_BUFFERING, "no"))
        .streaming(frames)
}

/// `ready`, or `gap` where what was missed is not remembered: at once, so that a reader knows that
/// it is heard, and has a place to come back to.
fn beginning(reading: &Reading) -> Bytes {
    let event = if reading.is_cut() { "gap" } else { "ready" };
    let place = reading.beginning();
    Bytes::from(format!("retry: {RETRY_MS}\nid: {place}\nevent: {event}\ndata: {{}}\n\n"))
}

fn frame(reading: &Reading, told: &Told) -> Bytes {
    let place = reading.place(told);
    let (event, data) = match &told.news {
        News::Change(change) => ("change", json!(change)),
        News::Gap => ("gap", json!({})),
    };
    Bytes::from(format!("id: {place}\nevent: {event}\ndata: {data}\n\n"))
}
