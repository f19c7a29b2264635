//! A platform's API: answers what a test tells it to, by path.
//!
//! Included by `#[path]` both in `tests/it` and in the unit tests of the library.

#![allow(dead_code, reason = "each place that includes this uses a part of it")]

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Mutex;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use crate::stub::{Stub, header, locked};

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string() }
    }

    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }
}

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub query: String,
    /// Of `Authorization: Bearer`.
    pub token: String,
    /// `LinkedIn-Version`
    pub version: String,
    pub traceparent: String,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    /// By path, and by token where that is not empty. The last one stays.
    answers: HashMap<(String, String), VecDeque<Answer>>,
}

/// A platform at work, on a port of its own.
pub struct Platform(Stub<State>);

impl Platform {
    /// Answers 404 to everything.
    pub fn start() -> Self {
        Self(Stub::start(State::default(), |app| {
            app.default_service(web::to(answer));
        }))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub fn url(&self) -> String {
        self.0.url()
    }

    /// The n-th request to `path` is answered by the n-th of `answers`, all others by the last.
    pub fn answers(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.answers_to("", path, answers);
    }

    /// The same to who has this token.
    pub fn answers_to(&self, token: &str, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers = answers.into_iter().collect();
        self.0.noted().answers.insert((path.to_owned(), token.to_owned()), answers);
    }

    /// Every request so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.noted().asked.clone()
    }
}

async fn answer(request: HttpRequest, state: web::Data<Mutex<State>>) -> HttpResponse {
    let token =
        header(&request, "authorization").strip_prefix("Bearer ").unwrap_or_default().to_owned();
    let (path, query) = (request.path().to_owned(), request.query_string().to_owned());
    let version = header(&request, "linkedin-version");
    let traceparent = header(&request, "traceparent");
    let mut state = locked(&state);
    state.asked.push(Asked {
        path: path.clone(),
        query,
        token: token.clone(),
        version,
        traceparent,
    });
    let keys = [(path.clone(), token), (path, String::new())];
    let key = keys.into_iter().find(|key| state.answers.contains_key(key));
    let answers = key.and_then(|key| state.answers.get_mut(&key));
    let answer = answers.and_then(|answers| match answers.len() {
        0 | 1 => answers.front().cloned(),
        _ => answers.pop_front(),
    });
    let Some(Answer { status, headers, body }) = answer else {
        return HttpResponse::NotFound().finish();
    };
    let status = StatusCode::from_u16(status).expect("a status");
    let mut response = HttpResponse::build(status);
    for (name, value) in headers {
        response.insert_header((name, value));
    }
    response.content_type("application/json").body(body)
}
