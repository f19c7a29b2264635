//! Where outcome signals are posted to, and what it answers.
//!
//! Included by `#[path]` both in `tests/it` and in the unit tests of the library.

#![allow(dead_code, reason = "each place that includes this uses a part of it")]

use std::collections::VecDeque;
use std::sync::Mutex;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::stub::{self, Stub, locked};

/// What a receiver does with a post.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// Answers with this status.
    Status(u16),
    /// Answers 429 with `Retry-After`, in seconds.
    Later(u64),
    /// Answers 302 to itself.
    Redirect,
    /// Answers 200 with a body that does not end.
    Endless,
    /// Says nothing while it lives.
    Never,
}

/// A post that came.
#[derive(Debug, Clone)]
pub struct Post {
    pub id: String,
    /// Seconds since the Unix epoch.
    pub timestamp: i64,
    pub signatures: Vec<String>,
    pub body: Value,
    raw: Vec<u8>,
}

impl Post {
    /// `type` of the body.
    pub fn event(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }

    /// Whether one of its signatures is right, as a receiver that has `key` would look.
    pub fn is_signed_with(&self, key: &[u8]) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
        mac.update(format!("{}.{}.", self.id, self.timestamp).as_bytes());
        mac.update(&self.raw);
        let right = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        self.signatures.iter().any(|signature| signature.strip_prefix("v1,") == Some(&right))
    }
}

#[derive(Default)]
struct State {
    posts: Vec<Post>,
    script: VecDeque<Reply>,
}

/// A receiver at work, on a port of its own.
pub struct Receiver(Stub<State>);

impl Receiver {
    /// The n-th post is answered by the n-th of `script`, all others with 204.
    pub fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let script = script.into_iter().collect();
        Self(Stub::start(State { script, ..State::default() }, |app| {
            app.route("/hook", web::post().to(take));
        }))
    }

    pub fn url(&self) -> String {
        format!("{}/hook", self.0.url())
    }

    /// Every post so far, in the order that they came in.
    pub fn posts(&self) -> Vec<Post> {
        self.0.noted().posts.clone()
    }

    /// The posts of one type.
    pub fn posts_of(&self, event: &str) -> Vec<Post> {
        let mut posts = self.posts();
        posts.retain(|post| post.event() == event);
        posts
    }
}

async fn take(
    request: HttpRequest,
    body: web::Bytes,
    state: web::Data<Mutex<State>>,
) -> HttpResponse {
    let header = |name: &str| stub::header(&request, name);
    let post = Post {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().unwrap_or_default(),
        signatures: header("webhook-signature").split(' ').map(str::to_owned).collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        raw: body.to_vec(),
    };
    let reply = {
        let mut state = locked(&state);
        state.posts.push(post);
        state.script.pop_front().unwrap_or(Reply::Status(204))
    };
    let status = |code| HttpResponse::build(StatusCode::from_u16(code).expect("a status"));
    match reply {
        Reply::Status(code) => status(code).finish(),
        Reply::Later(seconds) => status(429).insert_header(("Retry-After", seconds)).finish(),
        Reply::Redirect => status(302).insert_header(("Location", "/hook")).finish(),
        Reply::Endless => {
            let chunk = || web::Bytes::from_static(&[b'x'; 1024]);
            let chunks =
                futures_util::stream::repeat_with(move || Ok::<_, actix_web::Error>(chunk()));
            status(200).streaming(chunks)
        }
        Reply::Never => std::future::pending().await,
    }
}
