//! What a person does: pausing a lane, replaying, correcting, forgetting. Each is a post that
//! carries its session's proof, is logged without anybody's data, and leads to a page.

use actix_web::web::Payload;
use actix_web::{HttpResponse, web};

use super::lead::find;
use super::trouble::MENDABLE;
use super::visit::{Posted, Refusal, Visit};
use crate::console::api::forget::{erase, erase_unreadable};
use crate::console::api::replay::{Anew, anew, corrected};
use crate::delivery::{Order, give_order};
use crate::lead::{Identity, Record, State};
use crate::normalise::correct::{Correction, Entries};
use crate::normalise::email;
use crate::problem::Problem;
use crate::store::{Content, Replayed};

/// The utm values that the form of a correction has.
const UTM: [&str; 3] = ["source", "medium", "campaign"];

pub(super) async fn order(
    visit: Visit,
    path: web::Path<(String, String)>,
    payload: Payload,
) -> HttpResponse {
    let (lane, order) = path.into_inner();
    visit.answer(ordered(&visit, &lane, &order, payload).await)
}

async fn ordered(
    visit: &Visit,
    lane: &str,
    order: &str,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    visit.posted(payload).await?;
    let console = &visit.console;
    let order = match order {
        "pause" => Order::Pause,
        "resume" => Order::Resume,
        _ => return Err(Refusal::Missing),
    };
    let known = lane.parse().ok().and_then(|lane| console.destinations.get_key_value(&lane));
    let (lane, _) = known.ok_or(Refusal::Missing)?;
    let standing = give_order(&*console.store, lane, order, &console.notifier, visit.now).await?;
    let state = standing.state;
    match order {
        Order::Pause => tracing::warn!(%lane, state, "a person has paused the lane"),
        Order::Resume => tracing::warn!(%lane, state, "a person lets the lane go on"),
    }
    Ok(visit.done("/", if order == Order::Pause { "paused" } else { "resumed" }))
}

pub(super) async fn replay(visit: Visit, id: web::Path<String>, payload: Payload) -> HttpResponse {
    let replayed = async {
        visit.posted(payload).await?;
        let record = mendable(&visit, &id).await?;
        let content = match anew(&visit.console, &record).await? {
            Anew::AsItIs => None,
            Anew::Read(content) => Some(*content),
            Anew::Unusable(why) => {
                return Err(Refusal::Conflict(format!(
                    "{} {}",
                    visit.w.mapping_fails,
                    visit.reason(&why)
                )));
            }
        };
        put_back(&visit, &record, content).await
    };
    visit.answer(replayed.await)
}

pub(super) async fn correct(visit: Visit, id: web::Path<String>, payload: Payload) -> HttpResponse {
    let replayed = async {
        let posted = visit.posted(payload).await?;
        let record = mendable(&visit, &id).await?;
        let correction = correction(&posted);
        let content = corrected(&visit.console, record.clone(), correction);
        let content = content.map_err(|problem| Refusal::Conflict(in_words(&problem)))?;
        put_back(&visit, &record, Some(content)).await
    };
    visit.answer(replayed.await)
}

/// A record that can be replayed.
async fn mendable(visit: &Visit, id: &str) -> Result<Record, Refusal> {
    let record = find(visit, id).await?;
    match MENDABLE.contains(&record.state) {
        true => Ok(record),
        false => Err(not_replayable(visit, record.state)),
    }
}

fn not_replayable(visit: &Visit, state: State) -> Refusal {
    Refusal::Conflict(format!("{}: {}.", visit.w.not_replayable, visit.w.state(state)))
}

async fn put_back(
    visit: &Visit,
    record: &Record,
    content: Option<Content>,
) -> Result<HttpResponse, Refusal> {
    match visit.console.store.replay(record.id, visit.now, content).await? {
        Replayed::Refused(state) => Err(not_replayable(visit, state)),
        Replayed::Forgotten => Err(not_replayable(visit, State::Erased)),
        Replayed::Missing => Err(Refusal::Missing),
        Replayed::Queued | Replayed::Merged { .. } | Replayed::Test | Replayed::Quarantined => {
            let trace_id = record.trace_id.map(tracing::field::display);
            tracing::info!(lead_id = %record.id, trace_id, "a person has replayed a lead");
            visit.console.pages.forget_figures();
            Ok(visit.done(&format!("/leads/{}", record.id), "replayed"))
        }
    }
}

/// What was changed in the form. A field that showed something and was emptied is removed; what is
/// as it was shown, or was shown empty and left so, stays as it is.
fn correction(posted: &Posted) -> Correction {
    let text = |name: &str| {
        let now = posted.typed(name)?;
        let shown = posted.typed(&format!("shown_{name}")).unwrap_or_default();
        // A text area's line ends are a browser's.
        (now.replace("\r\n", "\n") != shown.replace("\r\n", "\n")).then(|| now.to_owned())
    };
    let utm = UTM.into_iter().filter_map(|name| {
        let value = text(&format!("utm_{name}"))?;
        Some((name.to_owned(), value))
    });
    let utm: Vec<_> = utm.collect();
    Correction {
        name: text("name"),
        phone: text("phone"),
        email: text("email"),
        message: text("message"),
        page_url: text("page_url"),
        utm: (!utm.is_empty()).then_some(Entries { clear: false, values: utm }),
        ..Correction::default()
    }
}

fn in_words(problem: &Problem) -> String {
    let errors = problem.errors().iter();
    let errors: Vec<_> =
        errors.map(|error| format!("{}: {}", error.field, error.message)).collect();
    if errors.is_empty() { problem.detail().to_owned() } else { errors.join("; ") }
}

pub(super) async fn forget(visit: Visit, id: web::Path<String>, payload: Payload) -> HttpResponse {
    visit.answer(forgotten(&visit, &id, payload).await)
}

async fn forgotten(visit: &Visit, id: &str, payload: Payload) -> Result<HttpResponse, Refusal> {
    let posted = visit.posted(payload).await?;
    if posted.get("sure") != Some("yes") {
        return Err(Refusal::Malformed);
    }
    let record = find(visit, id).await?;
    let identities = identities(&record);
    let receipt = match identities.is_empty() {
        false => erase(&visit.console, identities).await?,
        true if record.unreadable => erase_unreadable(&visit.console, record.id).await?,
        true => return Err(Refusal::Missing),
    };
    visit.console.pages.forget_figures();
    let done = format!("forgotten-{}", receipt.carried());
    Ok(visit.done(&format!("/leads/{}", record.id), &done))
}

/// What the record's person is known by.
fn identities(record: &Record) -> Vec<Identity> {
    let Some(lead) = &record.lead else { return Vec::new() };
    let phone = lead.phone.clone().map(Identity::Phone);
    let email = lead.email.as_deref().and_then(|address| email::parse(address).ok());
    phone.into_iter().chain(email.map(|email| Identity::Email(email.key))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_is_what_was_changed_in_the_form() {
        let posted = Posted::of(&[
            ("name", "Thử Hai"),
            ("shown_name", "Thử Một"),
            ("phone", "+84900000001"),
            ("shown_phone", "+84900000001"),
            ("email", ""),
            ("shown_email", "thu@example.vn"),
            ("message", "a\r\nb"),
            ("shown_message", "a\nb"),
            ("page_url", ""),
            ("utm_source", ""),
            ("shown_utm_source", "fb"),
            ("utm_medium", "cpc"),
        ]);
        let text = |text: &str| Some(text.to_owned());
        let values = [("source", ""), ("medium", "cpc")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let expected = Correction {
            name: text("Thử Hai"),
            email: text(""),
            utm: Some(Entries { clear: false, values: values.into() }),
            ..Correction::default()
        };
        assert!(correction(&posted) == expected);
    }
}
