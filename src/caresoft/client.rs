//! The client: one call, one request, one [`Exchange`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::answer::{self, Answer, understand};
use super::failure::{Call, Failure};
use super::lists::{
    Agent, Contact, CustomFieldDefinition, Group, Label, LeadStatus, Service, UnqualifiedReason,
};
use super::record::{CreatedLead, LeadDetail, LeadPage};
use super::wire::{LeadUpdate, LeadsQuery, NewLead};
use crate::config::Destination;
use crate::http_client;

/// A longer answer is not read to its end. A full page of 500 leads is about 400 KiB.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Name look-up, TCP and TLS together. Kept under the total timeout, so that a slow connection is
/// seen as "not sent" and not as "outcome unknown".
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// Shorter than any server's keep-alive (nginx 75 s, Apache 5 s): a connection that the server is
/// just closing takes a request with it, and then nobody knows whether it was carried out.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Why a destination's client cannot be made. All of these are the configuration's.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The root is no http or https address.
    #[error("base_url and fallback_url must be http:// or https:// addresses")]
    BaseUrl,
    /// The domain cannot be a path segment.
    #[error("domain must not be empty, \".\" or \"..\"")]
    Domain,
    /// The token cannot be a header's value.
    #[error("token must be printable ASCII and not empty")]
    Token,
    /// TLS or the HTTP client could not be set up.
    #[error("could not set up the HTTP client: {0}")]
    Setup(String),
}

/// One request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange<T> {
    /// Which endpoint.
    pub call: Call,
    /// What was asked for, or why there is none.
    pub result: Result<T, Failure>,
    /// The HTTP status, where an answer began to come.
    pub status: Option<u16>,
    /// From the first byte out to the last byte in.
    pub elapsed: Duration,
}

/// A client of one CareSoft account. Cheap to clone; clones share their connections.
///
/// It sends each request once: no retries, no redirects, no failover to another host. Proxies of
/// the environment (`HTTPS_PROXY`, …) are not used: persons' data go where the configuration says
/// and nowhere else. TLS trusts the roots that are compiled in, so it needs no CA files.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    domain: Arc<str>,
    token: SecretString,
    traceparent: Option<HeaderValue>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, {})", self.base, self.domain)
    }
}

impl Client {
    /// A client for `destination`'s `base_url`. Opens no connection yet.
    pub fn new(destination: &Destination) -> Result<Self, ClientError> {
        let base = root(&destination.base_url)?;
        if matches!(destination.domain.as_str(), "" | "." | "..") {
            return Err(ClientError::Domain);
        }
        Ok(Self {
            http: http_client(destination)?,
            base,
            domain: destination.domain.as_str().into(),
            token: destination.token.clone(),
            traceparent: None,
        })
    }

    /// The same account on `destination`'s `fallback_url`, where it has one.
    pub fn standby(&self, destination: &Destination) -> Result<Option<Self>, ClientError> {
        let base = destination.fallback_url.as_ref().map(root).transpose()?;
        Ok(base.map(|base| Self { base, ..self.clone() }))
    }

    /// The same client, whose requests say to which trace they belong: `traceparent` of W3C's Trace
    /// Context, one more header that CareSoft may read or pass over.
    #[must_use]
    pub fn traced(self, traceparent: &str) -> Self {
        Self { traceparent: HeaderValue::from_str(traceparent).ok(), ..self }
    }

    /// The host that is asked.
    pub fn host(&self) -> Option<&str> {
        self.base.host_str()
    }

    /// `POST lead`: makes a lead. CareSoft makes another one for every such request.
    pub async fn create_lead(&self, lead: &NewLead) -> Exchange<CreatedLead> {
        let request = Request::new(Call::CreateLead, Method::POST, &["lead"]).body(lead);
        self.exchange(request, answer::lead).await
    }

    /// `PUT lead/{id}`: changes a lead or adds a comment to it.
    pub async fn update_lead(&self, id: u64, update: &LeadUpdate) -> Exchange<CreatedLead> {
        let path = ["lead", &id.to_string()];
        let request = Request::new(Call::UpdateLead, Method::PUT, &path).body(update);
        self.exchange(request, answer::lead).await
    }

    /// `GET lead/{id}`: one lead, whole. CareSoft's answer has no `code` here.
    pub async fn lead(&self, id: u64) -> Exchange<LeadDetail> {
        let path = ["lead", &id.to_string()];
        self.exchange(Request::new(Call::Lead, Method::GET, &path), answer::lead).await
    }

    /// `GET leads`: one page of leads. A new lead may appear in it late.
    pub async fn leads(&self, query: &LeadsQuery) -> Exchange<LeadPage> {
        let pairs = query.pairs();
        let mut request = Request::new(Call::Leads, Method::GET, &["leads"]);
        request.query = pairs.iter().map(|(key, value)| (*key, value.as_ref())).collect();
        self.exchange(request, |json| {
            let leads = answer::rows(json, "leads")?;
            let num_found = super::tolerant::text_of(&json["numFound"]);
            Some(LeadPage { num_found: num_found.and_then(|text| text.parse().ok()), leads })
        })
        .await
    }

    /// `GET lead/status`
    pub async fn statuses(&self) -> Exchange<Vec<LeadStatus>> {
        self.list(Call::Statuses, &["lead", "status"], "data").await
    }

    /// `GET lead/unqualified-reason`
    pub async fn unqualified_reasons(&self) -> Exchange<Vec<UnqualifiedReason>> {
        self.list(Call::UnqualifiedReasons, &["lead", "unqualified-reason"], "data").await
    }

    /// The labels of leads. CareSoft's page prints a path without `/api/v1`, unlike all others:
    /// the usual path is tried first, and the printed one where that does not exist. That is two
    /// requests.
    pub async fn labels(&self) -> Exchange<Vec<Label>> {
        let usual: Exchange<Vec<Label>> =
            self.list(Call::Labels, &["lead", "labels"], "data").await;
        if !matches!(usual.result, Err(Failure::Rejected { status: 404, .. })) {
            return usual;
        }
        let mut printed = Request::new(Call::Labels, Method::GET, &["lead", "labels"]);
        printed.prefix = &[];
        let answered = self.exchange(printed, |json| answer::rows(json, "data")).await;
        Exchange { elapsed: usual.elapsed + answered.elapsed, ..answered }
    }

    /// `GET services`
    pub async fn services(&self) -> Exchange<Vec<Service>> {
        self.list(Call::Services, &["services"], "services").await
    }

    /// `GET groups`
    pub async fn groups(&self) -> Exchange<Vec<Group>> {
        self.list(Call::Groups, &["groups"], "groups").await
    }

    /// `GET agents`
    pub async fn agents(&self) -> Exchange<Vec<Agent>> {
        self.list(Call::Agents, &["agents"], "agents").await
    }

    /// `GET tickets/custom_fields`: the additional fields of tickets, which leads share.
    pub async fn ticket_custom_fields(&self) -> Exchange<Vec<CustomFieldDefinition>> {
        self.list(Call::TicketCustomFields, &["tickets", "custom_fields"], "custom_fields").await
    }

    /// `GET contacts/custom_fields`
    pub async fn contact_custom_fields(&self) -> Exchange<Vec<CustomFieldDefinition>> {
        self.list(Call::ContactCustomFields, &["contacts", "custom_fields"], "custom_fields").await
    }

    /// `GET contactsByPhone`: the person who has this phone, in the form CareSoft was sent it
    /// (`0900000027`). `Ok(None)`: CareSoft knows nobody by it.
    pub async fn contact_by_phone(&self, phone: &str) -> Exchange<Option<Contact>> {
        let mut request = Request::new(Call::ContactByPhone, Method::GET, &["contactsByPhone"]);
        request.query = vec![("phoneNo", phone)];
        let read = |json: &Value| serde::Deserialize::deserialize(json.get("contact")?).ok();
        let found: Exchange<Contact> = self.exchange(request, read).await;
        let result = match found.result {
            Ok(contact) => Ok(Some(contact)),
            // Client code has seen it as a 400 with these words.
            Err(Failure::Rejected { message, .. })
                if message.to_lowercase().starts_with("not found user") =>
            {
                Ok(None)
            }
            Err(failure) => Err(failure),
        };
        Exchange { call: found.call, result, status: found.status, elapsed: found.elapsed }
    }

    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        call: Call,
        path: &[&str],
        key: &str,
    ) -> Exchange<Vec<T>> {
        let request = Request::new(call, Method::GET, path);
        self.exchange(request, |json| answer::rows(json, key)).await
    }

    async fn exchange<T>(
        &self,
        request: Request<'_>,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Exchange<T> {
        let call = request.call;
        let begun = Instant::now();
        let answered = self.send(request).await;
        let elapsed = begun.elapsed();
        let status = answered.as_ref().ok().map(|answer| answer.status);
        let secret = self.token.expose_secret();
        let result = answered.and_then(|answer| understand(call, &answer, secret, read));
        Exchange { call, result, status, elapsed }
    }

    async fn send(&self, request: Request<'_>) -> Result<Answer, Failure> {
        let mut builder = self.http.request(request.method.clone(), self.address(&request));
        if let Some(body) = request.body {
            builder = builder.header("content-type", "application/json").body(body?);
        }
        if let Some(traceparent) = &self.traceparent {
            builder = builder.header("traceparent", traceparent);
        }
        let response = builder.send().await.map_err(|error| never_answered(&error))?;
        Ok(read_answer(response).await)
    }

    fn address(&self, request: &Request<'_>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(&self.domain);
            path.extend(request.prefix).extend(request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }
}

/// An address that paths can be put behind.
fn root(url: &Url) -> Result<Url, ClientError> {
    let mut base = url.clone();
    if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
        return Err(ClientError::BaseUrl);
    }
    base.set_query(None);
    base.set_fragment(None);
    Ok(base)
}

/// A request before it is sent.
struct Request<'a> {
    call: Call,
    method: Method,
    prefix: &'a [&'a str],
    path: &'a [&'a str],
    query: Vec<(&'a str, &'a str)>,
    body: Option<Result<Vec<u8>, Failure>>,
}

impl<'a> Request<'a> {
    fn new(call: Call, method: Method, path: &'a [&'a str]) -> Self {
        Self { call, method, prefix: &["api", "v1"], path, query: Vec::new(), body: None }
    }

    fn body(mut self, body: &impl Serialize) -> Self {
        let json = serde_json::to_vec(body);
        self.body = Some(json.map_err(|e| Failure::Unbuildable { message: e.to_string() }));
        self
    }
}

fn http_client(destination: &Destination) -> Result<reqwest::Client, ClientError> {
    let setup = |error: &dyn fmt::Display| ClientError::Setup(error.to_string());
    let token = destination.token.expose_secret();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ClientError::Token);
    }
    let mut bearer =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::Token)?;
    bearer.set_sensitive(true);
    http_client::builder()
        .map_err(|error| setup(&error))?
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
        .timeout(destination.timeout)
        .connect_timeout(CONNECT_TIMEOUT_MAX.min(destination.timeout / 2))
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(destination.max_in_flight)
        .build()
        .map_err(|error| setup(&error))
}

/// No answer began to come. Only a connection that never stood is proof that nothing was sent.
fn never_answered(error: &reqwest::Error) -> Failure {
    let message = causes(error);
    if error.is_connect() {
        Failure::NotSent { message }
    } else if error.is_builder() {
        Failure::Unbuildable { message }
    } else if error.is_timeout() {
        Failure::Ambiguous { message: "no answer in time".to_owned() }
    } else {
        Failure::Ambiguous { message }
    }
}

/// The innermost two causes, without the address: its query may hold a phone.
fn causes(error: &reqwest::Error) -> String {
    let mut chain: Vec<String> = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        chain.push(cause.to_string());
        source = cause.source();
    }
    let inner = chain.split_off(chain.len().saturating_sub(2));
    if inner.is_empty() { "the connection failed".to_owned() } else { inner.join(": ") }
}

async fn read_answer(mut response: Response) -> Answer {
    let status = response.status().as_u16();
    let retry_after = http_client::retry_after(response.headers());
    let mut body = BytesMut::new();
    let torn = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_BYTES_MAX => {
                break Some("more than 1 MiB".to_owned());
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break None,
            Err(error) if error.is_timeout() => break Some("no rest in time".to_owned()),
            Err(error) => break Some(format!("a torn answer ({})", causes(&error))),
        }
    };
    Answer { status, retry_after, body: body.freeze(), torn }
}
