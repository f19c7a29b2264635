//! `POST /api/leads/{id}/replay` and `POST /api/replay`: another chance for what was given up.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;

use super::body::{self, Fields};
use super::shapes::{ReplayMany, ReplayOne, ReplayedMany, ReplayedOne};
use super::{Console, correction, leads, store_problem};
use crate::config::NameOrder;
use crate::current::Current;
use crate::lead::{Record, State, SubmissionId};
use crate::normalise::Rules;
use crate::normalise::correct::{Correction, correct};
use crate::problem::{FieldError, Problem};
use crate::store::{Content, Query, Replayed, StoreError};

/// Replays under way at once: enough for one commit to take many, few beside what intake asks.
const AT_ONCE: usize = 64;

/// Submissions that one call looks at: two hours of CareSoft's whole rate.
const LOOKED_AT_MAX: usize = 100_000;

/// A store that has too much to do is asked again so often, after so long each time.
const BUSY_TRIES: u32 = 10;
const BUSY_WAIT: Duration = Duration::from_millis(200);

/// What can be replayed.
const REPLAYABLE: [State; 3] = [State::Dead, State::Unknown, State::Quarantined];

/// Gives a dead, unknown or quarantined submission another chance, corrected where the body says so.
///
/// It goes behind fresh ones, at the lane's pace. One whose person has a lead meanwhile joins that.
#[utoipa::path(
    post, path = "/api/leads/{id}/replay", tag = "ledger",
    params(("id" = SubmissionId, Path, description = "The submission's id")),
    request_body(content = Option<ReplayOne>, description = "What is corrected; nothing without one"),
    responses(
        (status = 200, description = "It was replayed", body = ReplayedOne),
        (status = 400, description = "The body is no JSON", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such submission", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its `state` is against it, or no lead can be made of it", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too long", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Fields that cannot be used; `errors` says which", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn one(
    request: HttpRequest,
    console: Current<Console>,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let replayed = replay_one(&request, &console, &id, payload).await;
    replayed.unwrap_or_else(|problem| problem.respond())
}

async fn replay_one(
    request: &HttpRequest,
    console: &Console,
    id: &str,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    console.authorise(request)?;
    let id: SubmissionId = id.parse().map_err(|_| leads::missing())?;
    let correction = correction::read(body::read(payload).await?).map_err(body::invalid)?;
    let found = console.store.find(id).await.map_err(|error| store_problem(&error))?;
    let record = found.ok_or_else(leads::missing)?;
    if !REPLAYABLE.contains(&record.state) {
        return Err(refused(record.state));
    }
    let trace_id = record.trace_id;
    let content = match correction {
        Some(correction) => Some(corrected(console, record, correction)?),
        None => match anew(console, &record).await.map_err(|error| store_problem(&error))? {
            Anew::AsItIs => None,
            Anew::Read(content) => Some(*content),
            Anew::Unusable(why) => return Err(unusable(&why)),
        },
    };
    let replayed = console.store.replay(id, console.clock.now(), content).await;
    let merged_into = match replayed.map_err(|error| store_problem(&error))? {
        Replayed::Queued | Replayed::Test | Replayed::Quarantined => None,
        Replayed::Merged { into } => Some(into),
        Replayed::Refused(state) => return Err(refused(state)),
        Replayed::Forgotten => return Err(refused(State::Erased)),
        Replayed::Missing => return Err(leads::missing()),
    };
    let trace_id = trace_id.map(tracing::field::display);
    tracing::info!(lead_id = %id, trace_id, "a person has replayed a lead");
    Ok(HttpResponse::Ok().json(ReplayedOne { status: "replayed", id, merged_into }))
}

/// What a record holds when it is replayed without corrections.
pub(in crate::console) enum Anew {
    /// What it held.
    AsItIs,
    /// It was quarantined, and its body read as its source reads one now.
    Read(Box<Content>),
    /// No lead can be made of it, still; why.
    Unusable(String),
}

pub(in crate::console) async fn anew(
    console: &Console,
    record: &Record,
) -> Result<Anew, StoreError> {
    if record.state != State::Quarantined {
        return Ok(Anew::AsItIs);
    }
    let Some(body) = console.store.body(record.id).await? else {
        return Ok(Anew::Unusable("nothing of what was posted is kept".to_owned()));
    };
    let Some(source) = console.sources.get(&record.source) else {
        return Ok(Anew::Unusable("its source is not configured any more".to_owned()));
    };
    Ok(match source.read_stored(&body).await {
        Ok(kept) => Anew::Read(Box::new(kept.content)),
        Err(why) => Anew::Unusable(why.to_string()),
    })
}

/// The record's lead with its corrections, and who that is.
pub(in crate::console) fn corrected(
    console: &Console,
    record: Record,
    correction: Correction,
) -> Result<Content, Problem> {
    let Record { source, lead, .. } = record;
    let endpoint = console.server.endpoint(&source).map_err(|error| {
        let detail = format!("the gateway's own address cannot be written as a URL: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    })?;
    let rules = Rules {
        region: &console.region,
        name_order: NameOrder::FamilyFirst, // of names in parts; a corrected one is whole
        source_page: console.sources.get(&source).and_then(|source| source.page_url.as_ref()),
        endpoint: &endpoint,
    };
    let corrected = correct(lead.unwrap_or_default(), correction, &rules);
    let corrected = corrected.map(|(lead, identities)| Content::Lead { lead, identities });
    corrected.map_err(|faults| {
        let error = |fault: crate::normalise::Fault| FieldError {
            field: fault.field.into(),
            code: fault.code,
            message: fault.message,
        };
        body::invalid(faults.into_iter().map(error).collect())
    })
}

/// 409, with the state that stands in the way.
fn refused(state: State) -> Problem {
    let why = match state {
        State::Pending => "it is on its way already",
        State::Created => "CareSoft has its lead",
        State::Merged => "its person has a lead, which it has joined",
        State::Test => "it is a test, which is never sent",
        State::Erased => "nothing is left of it",
        State::Dead | State::Unknown | State::Quarantined => "it changed at this moment; try again",
    };
    let detail = format!("a submission that is {state} is not replayed: {why}");
    Problem::new(StatusCode::CONFLICT, "not-replayable", detail).with_state(state)
}

/// 409: it is read as it was read before.
fn unusable(why: &str) -> Problem {
    let detail = format!(
        "no lead can be made of it, still: {why}; mend the mapping of its source, or say in the \
         body what is corrected"
    );
    Problem::new(StatusCode::CONFLICT, "not-replayable", detail).with_state(State::Quarantined)
}

/// Replays all submissions of a state that match: newest first, 100,000 looked at in one call.
#[utoipa::path(
    post, path = "/api/replay", tag = "ledger", request_body = ReplayMany,
    responses(
        (status = 200, description = "How many were", body = ReplayedMany),
        (status = 400, description = "The body is no JSON", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too long", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Fields that cannot be used; `errors` says which", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn many(
    request: HttpRequest,
    console: Current<Console>,
    payload: web::Payload,
) -> HttpResponse {
    let replayed = replay_many(&request, &console, payload).await;
    replayed.unwrap_or_else(|problem| problem.respond())
}

async fn replay_many(
    request: &HttpRequest,
    console: &Console,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    console.authorise(request)?;
    let query = query(body::read(payload).await?).map_err(body::invalid)?;
    let states = query.states.iter().map(|state| state.as_str()).collect::<String>();
    let (replayed, ended) = replay_all(console, query).await;
    if replayed > 0 {
        tracing::info!(replayed, states, "a person has replayed leads");
    }
    match ended {
        Ok(more) => Ok(HttpResponse::Ok().json(ReplayedMany { replayed, more })),
        Err(error) => {
            let problem = store_problem(&error);
            let detail = "the store stopped answering; what is left is replayed by asking again";
            Err(problem.with_detail(format!("{replayed} were replayed, then {detail}")))
        }
    }
}

/// `{"state":"dead","source":…,"destination":…,"since":…,"until":…}`
fn query(body: Value) -> Result<Query, Vec<FieldError>> {
    let mut fields = Fields::of(body, "body");
    let state: Option<State> = fields.parsed("state");
    let query = Query {
        states: state.into_iter().collect(),
        source: fields.parsed("source"),
        destination: fields.parsed("destination"),
        since: fields.parsed("since"),
        until: fields.parsed("until"),
        limit: Query::LIMIT_MAX,
        ..Query::default()
    };
    let is_at_fault = |fields: &Fields| fields.errors.iter().any(|error| error.field == "state");
    match state {
        Some(state) if REPLAYABLE.contains(&state) => {}
        Some(_) => {
            fields.fault("state", "not_replayable", "expected dead, unknown or quarantined");
        }
        None if is_at_fault(&fields) => {}
        None => {
            let which = "say which to replay: dead, unknown or quarantined";
            fields.fault("state", "missing", which);
        }
    }
    let errors = fields.finish();
    if errors.is_empty() { Ok(query) } else { Err(errors) }
}

/// Replays what a query matches, newest first. How many were, and whether there may be more; or
/// why it ended early.
async fn replay_all(console: &Console, mut query: Query) -> (u64, Result<bool, StoreError>) {
    let (mut replayed, mut looked_at) = (0, 0);
    loop {
        let page = match console.store.list(query.clone()).await {
            Ok(page) => page,
            Err(error) => return (replayed, Err(error)),
        };
        looked_at += page.records.len();
        let records = stream::iter(page.records);
        let mut done = records.map(|record| patiently(console, record)).buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some(one) = done.next().await {
            match one {
                Ok(Replayed::Queued | Replayed::Merged { .. }) => replayed += 1,
                Ok(Replayed::Test | Replayed::Quarantined) => replayed += 1,
                // It changed meanwhile, or is of no more use than it was.
                Ok(Replayed::Refused(_) | Replayed::Forgotten | Replayed::Missing) => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = failed {
            return (replayed, Err(error));
        }
        query.cursor = page.next;
        if query.cursor.is_none() || looked_at >= LOOKED_AT_MAX {
            return (replayed, Ok(query.cursor.is_some()));
        }
    }
}

/// Forms go first: while the store has too much to do, a replay waits.
pub(in crate::console) async fn patiently(
    console: &Console,
    record: Record,
) -> Result<Replayed, StoreError> {
    let content = match anew(console, &record).await? {
        Anew::AsItIs => None,
        Anew::Read(content) => Some(*content),
        Anew::Unusable(_) => return Ok(Replayed::Refused(record.state)),
    };
    for _ in 0..BUSY_TRIES {
        match console.store.replay(record.id, console.clock.now(), content.clone()).await {
            Err(StoreError::Busy) => tokio::time::sleep(BUSY_WAIT).await,
            decided => return decided,
        }
    }
    Err(StoreError::Busy)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_says_which_state_and_nothing_unknown() {
        let body =
            json!({"state": "unknown", "source": "website", "since": "2026-11-23T09:00:00Z"});
        let asked = query(body).unwrap();
        assert_eq!(asked.states, [State::Unknown]);
        assert_eq!(asked.source, Some("website".parse().unwrap()));
        assert!(asked.since.is_some() && asked.until.is_none());
        let faults = |body: Value| -> Vec<_> {
            let errors = query(body).unwrap_err();
            errors.iter().map(|error| format!("{} {}", error.field, error.code)).collect()
        };
        assert_eq!(faults(Value::Null), ["state missing"]);
        assert_eq!(faults(json!({"state": "gone"})), ["state malformed"]);
        for state in ["created", "merged", "pending"] {
            assert_eq!(faults(json!({ "state": state })), ["state not_replayable"]);
        }
        let wrong = json!({"state": "dead", "since": "today", "sauce": "x", "source": "a b"});
        assert_eq!(faults(wrong), ["source malformed", "since malformed", "sauce unknown"]);
    }
}
