//! `GET /api/events`: what becomes of submissions, as server-sent events, as it happens.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use crate::console::Console;
use crate::console::pages::{Pages, Session};
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
pub(super) async fn stream(request: HttpRequest, console: web::Data<Console>) -> HttpResponse {
    streamed(&request, &console).unwrap_or_else(|problem| problem.respond())
}

fn streamed(request: &HttpRequest, console: &web::Data<Console>) -> Result<HttpResponse, Problem> {
    let reader = Reader::of(request, console)?;
    let after = request.headers().get(LAST_EVENT_ID).map(HeaderValue::to_str);
    // What is no text is no place of ours.
    let reading = console.changes.read(after.map(|place| place.unwrap_or_default()));
    let reading = reading.map_err(|_| {
        let detail = "too many read the events already; close one, or ask again in a while";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    })?;
    Ok(answer(reading, reader, console.clone()))
}

/// Who reads.
enum Reader {
    /// A program that has the token.
    Program,
    /// A page of somebody who has signed in.
    Page(Session),
}

impl Reader {
    fn of(request: &HttpRequest, console: &Console) -> Result<Self, Problem> {
        match Pages::listener(request, console) {
            Some(session) => Ok(Self::Page(session)),
            None => console.authorise(request).map(|()| Self::Program),
        }
    }

    /// Whether it may be told still.
    fn may_hear(&self, console: &Console) -> bool {
        match self {
            Self::Program => true,
            Self::Page(session) => console.pages.holds(session, console.clock.now()),
        }
    }
}

/// The stream of a reading.
fn answer(reading: Reading, reader: Reader, console: web::Data<Console>) -> HttpResponse {
    let first = beginning(&reading);
    let state = (Some(first), reading, reader, console);
    let frames = stream::unfold(state, async |(first, mut reading, reader, console)| {
        let frame = match first {
            Some(first) => first,
            None => match tokio::time::timeout(HEARTBEAT, reading.next()).await {
                Ok(Some(told)) => frame(&reading, &told),
                Ok(None) => return None,
                Err(_) => Bytes::from_static(b":\n\n"),
            },
        };
        // Who has signed out meanwhile hears nothing more.
        let may_hear = reader.may_hear(&console);
        may_hear.then_some((Ok::<_, actix_web::Error>(frame), (None, reading, reader, console)))
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
