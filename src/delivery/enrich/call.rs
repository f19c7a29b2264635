//! One request to a platform, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::Response;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use super::EnrichError;
use crate::http_client;
use crate::lead::SourceId;
use crate::preset::{Enrich, Refused, Remedy};
use crate::telemetry::Metrics;

/// A longer answer is not read to its end.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than any server's keep-alive.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// What came of a request. None of it holds what the platform said in words: that may name a person.
#[derive(Debug)]
pub(super) enum Called {
    Document(Value),
    Refused {
        refused: Refused,
        /// How long to wait, where it told.
        wait: Option<Duration>,
    },
    NoAnswer(&'static str),
}

/// What asks for one source.
pub(super) struct Caller {
    http: reqwest::Client,
    source: SourceId,
    metrics: Arc<Metrics>,
}

pub(super) fn http_client() -> Result<reqwest::Client, EnrichError> {
    let builder = http_client::builder().map_err(|error| EnrichError::Setup(error.to_string()))?;
    builder
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .build()
        .map_err(|error| EnrichError::Setup(error.to_string()))
}

impl Caller {
    pub(super) fn new(http: reqwest::Client, source: SourceId, metrics: Arc<Metrics>) -> Self {
        Self { http, source, metrics }
    }

    /// Asks once.
    pub(super) async fn call(
        &self,
        address: &Url,
        token: Option<&HeaderValue>,
        enrich: &Enrich,
    ) -> Called {
        let called = self.ask(address, token, enrich).await;
        let word = match &called {
            Called::Document(_) => "document",
            Called::NoAnswer(_) => "no_answer",
            Called::Refused { refused, .. } => refused.remedy.word(),
        };
        self.metrics.enrich(&self.source, word);
        called
    }

    async fn ask(&self, address: &Url, token: Option<&HeaderValue>, enrich: &Enrich) -> Called {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in &enrich.headers {
            let header =
                HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::from_str(value).ok());
            headers.extend(header);
        }
        headers.extend(token.map(|token| (AUTHORIZATION, token.clone())));
        let request = self.http.get(address.clone()).timeout(enrich.timeout).headers(headers);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Called::NoAnswer(no_answer(&error)),
        };
        let status = response.status().as_u16();
        let asked_to_wait = wait(response.headers(), enrich);
        match (body(response).await, status) {
            (Ok(document), 200..300) if document.is_object() && !enrich.is_error(&document) => {
                Called::Document(document)
            }
            (Ok(Value::Null), 200..300) => Called::NoAnswer("the answer is no JSON"),
            (Ok(body), _) => {
                let refused = enrich.refused(status, &body);
                let wait = asked_to_wait.filter(|_| refused.remedy == Remedy::Backoff);
                Called::Refused { refused, wait }
            }
            (Err(why), _) => Called::NoAnswer(why),
        }
    }
}

/// How long the platform asks to wait, the longer of what it says.
fn wait(headers: &HeaderMap, enrich: &Enrich) -> Option<Duration> {
    let own = enrich
        .backoff_header
        .as_ref()
        .and_then(|header| header.wait(headers.get(header.name.as_str())?.to_str().ok()?));
    own.max(http_client::retry_after(headers))
}

/// In words of ours: the error's own have the address in them.
fn no_answer(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "could not connect"
    } else {
        "the connection broke"
    }
}

/// The body as JSON; null where it is none.
async fn body(mut response: Response) -> Result<Value, &'static str> {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_BYTES_MAX => {
                return Err("an answer of more than 256 KiB");
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(serde_json::from_slice(&body).unwrap_or(Value::Null)),
            Err(error) => return Err(no_answer(&error)),
        }
    }
}
