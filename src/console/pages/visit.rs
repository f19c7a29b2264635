//! One request of somebody who is signed in, and how it is answered.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload as Stream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderValue, LOCATION,
    ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::web::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use askama::Template;
use secrecy::{ExposeSecret, SecretString};

use super::access::{SESSION, Session};
use super::words::{Language, Words};
use super::{assets, reasons};
use crate::console::Console;
use crate::credentials::equal;
use crate::current::Current;
use crate::lead::Timestamp;

pub(super) const SESSION_COOKIE: &str = "leadgate_session";
pub(super) const LANGUAGE_COOKIE: &str = "leadgate_language";

/// Everything from here, nothing inline: what a stranger typed into a form stays text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A form of these pages holds a correction at most.
const FORM_BYTES_MAX: usize = 128 * 1024;
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// A request of somebody who is signed in. A handler that takes one answers nobody else.
pub(super) struct Visit {
    pub(super) console: Current<Console>,
    pub(super) language: Language,
    /// What the pages say in it.
    pub(super) w: &'static Words,
    pub(super) now: Timestamp,
    /// Where the request was for, without its query.
    pub(super) path: String,
    pub(super) session: Session,
    /// What each form carries.
    form_token: SecretString,
    /// Whether the request comes from a page of ours, as far as the browser says.
    is_ours: bool,
}

/// Not signed in: to be sent there.
#[derive(Debug)]
pub(super) struct SignInFirst {
    /// Where to go on afterwards; `None` after a post.
    next: Option<String>,
}

impl std::fmt::Display for SignInFirst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not signed in")
    }
}

impl ResponseError for SignInFirst {
    fn status_code(&self) -> StatusCode {
        StatusCode::SEE_OTHER
    }

    fn error_response(&self) -> HttpResponse {
        let path = self.next.as_deref().filter(|path| *path != "/");
        let next = path.map(|path| {
            let query = url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
            format!("/sign-in?next={query}")
        });
        see_other(next.as_deref().unwrap_or("/sign-in"))
    }
}

impl FromRequest for Visit {
    type Error = SignInFirst;
    type Future = Ready<Result<Self, SignInFirst>>;

    fn from_request(request: &HttpRequest, _: &mut Stream) -> Self::Future {
        let next = (request.method() == "GET").then(|| request.path().to_owned());
        ready(Self::of(request).ok_or(SignInFirst { next }))
    }
}

impl Visit {
    fn of(request: &HttpRequest) -> Option<Self> {
        let console = Current::<Console>::of(request)?;
        let now = console.clock.now();
        let session = session(request, &console).or_else(|| reading(request, &console, now))?;
        let language = language(request);
        Some(Self {
            form_token: session.form_token(&console.token),
            console,
            language,
            w: language.words(),
            now,
            path: request.path().to_owned(),
            session,
            is_ours: is_ours(request),
        })
    }

    /// What each form carries.
    pub(super) fn form_token(&self) -> &str {
        self.form_token.expose_secret()
    }

    /// Whether a page of the bar is the one that is shown, for `aria-current`.
    pub(super) fn is_at(&self, path: &str) -> bool {
        match path {
            "/" => self.path == "/",
            "/sources" if self.path.starts_with("/guides/") => true,
            path => self.path.starts_with(path),
        }
    }

    /// The page that a form which was refused is on.
    pub(super) fn way_back(&self) -> &str {
        let page = self.path.rsplit_once('/').map_or("/", |(page, _)| page);
        let is_page =
            ["/leads/", "/trouble/", "/sources/"].iter().any(|room| page.starts_with(room));
        if is_page { page } else { "/" }
    }

    /// Why something is as it is, in this language as far as the words are ours.
    pub(super) fn reason<'a>(&self, reason: &'a str) -> std::borrow::Cow<'a, str> {
        reasons::told(reason, self.language)
    }

    /// The other language.
    pub(super) fn other_language(&self) -> &'static str {
        self.language.either("vi", "en")
    }

    /// The fields of a form that a page of this session made.
    ///
    /// # Errors
    /// 403 for a form that was made elsewhere, or what is wrong with its body.
    pub(super) async fn posted(&self, payload: Payload) -> Result<Posted, Refusal> {
        let posted = Posted::read(payload).await?;
        let presented = posted.get("form_token").unwrap_or_default();
        if self.is_ours && equal(presented.as_bytes(), &self.form_token) {
            return Ok(posted);
        }
        Err(Refusal::Stale)
    }

    /// A page.
    pub(super) fn page(&self, page: &impl Template) -> HttpResponse {
        html(StatusCode::OK, page)
    }

    /// What was done is told on the page that is gone to.
    pub(super) fn done(&self, path: &str, done: &str) -> HttpResponse {
        see_other(&format!("{path}?done={done}"))
    }

    /// A page that says why not.
    pub(super) fn refuse(&self, refusal: &Refusal) -> HttpResponse {
        let (status, why) = match refusal {
            Refusal::Stale => (StatusCode::FORBIDDEN, self.w.stale_form.to_owned()),
            Refusal::Malformed => (StatusCode::BAD_REQUEST, self.w.stale_form.to_owned()),
            Refusal::Missing => (StatusCode::NOT_FOUND, self.w.not_found.to_owned()),
            Refusal::Store => (StatusCode::SERVICE_UNAVAILABLE, self.w.store_away.to_owned()),
            Refusal::Conflict(why) => (StatusCode::CONFLICT, why.clone()),
        };
        html(status, &RefusedPage { v: self, why })
    }

    /// A handler's result as an answer.
    pub(super) fn answer(&self, result: Result<HttpResponse, Refusal>) -> HttpResponse {
        result.unwrap_or_else(|refusal| self.refuse(&refusal))
    }
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    v: &'a Visit,
    why: String,
}

/// Why something is not done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The form is of no page of this session.
    Stale,
    /// No form, too long, too slow.
    Malformed,
    /// There is no such thing.
    Missing,
    /// The store does not answer; that is logged.
    Store,
    /// It cannot be done to this one as it is; why, for people.
    Conflict(String),
}

impl From<crate::store::StoreError> for Refusal {
    fn from(error: crate::store::StoreError) -> Self {
        tracing::error!(%error, "the store did not answer the console");
        Self::Store
    }
}

/// The fields of a form.
pub(super) struct Posted(Vec<(String, String)>);

impl Posted {
    /// Reads one, whoever made it.
    ///
    /// # Errors
    /// Too long, too slow, broken off.
    pub(super) async fn read(payload: Payload) -> Result<Self, Refusal> {
        let read = tokio::time::timeout(FORM_TIMEOUT, payload.to_bytes_limited(FORM_BYTES_MAX));
        let Ok(Ok(Ok(bytes))) = read.await else { return Err(Refusal::Malformed) };
        Ok(Self(url::form_urlencoded::parse(&bytes).into_owned().collect()))
    }

    #[cfg(test)]
    pub(super) fn of(fields: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(fields.iter().map(owned).collect())
    }

    /// A field, without the white space around it; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.typed(name).filter(|value| !value.is_empty())
    }

    /// A field, without the white space around it, be it empty; `None` where the form has none.
    pub(super) fn typed(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.trim())
    }
}

/// The session of a request, if it has one that holds.
pub(super) fn session(request: &HttpRequest, console: &Console) -> Option<Session> {
    let cookie = cookie(request, SESSION_COOKIE)?;
    console.pages.access.session(cookie, &console.token, console.clock.now())
}

/// A program that bears the admin token reads the pages as it reads the API, without a session that
/// lasts; to change something it has the API.
fn reading(request: &HttpRequest, console: &Console, now: Timestamp) -> Option<Session> {
    let may = request.method().is_safe() && console.authorise(request).is_ok();
    may.then(|| Session::begin(now).ok()).flatten()
}

/// Whether the browser says that a page of this origin sent the request; one that says nothing is
/// old or no browser, and has the form's token to show.
pub(super) fn is_ours(request: &HttpRequest) -> bool {
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    if header("sec-fetch-site").is_some_and(|site| site != b"same-origin") {
        return false;
    }
    let Some(origin) = header(ORIGIN.as_str()) else { return true };
    let host = header(HOST.as_str()).unwrap_or_default();
    [&b"http://"[..], b"https://"].iter().any(|scheme| origin.strip_prefix(*scheme) == Some(host))
}

/// A cookie's value, as ours are: without quotes.
pub(super) fn cookie<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let headers = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    let mut cookies = headers.flat_map(|cookies| cookies.split(';'));
    cookies.find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The language of a request: the one that was chosen, or the browser's.
pub(super) fn language(request: &HttpRequest) -> Language {
    let chosen = cookie(request, LANGUAGE_COOKIE).and_then(Language::parse);
    let accepted = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    chosen.unwrap_or_else(|| Language::accepted(accepted.unwrap_or_default()))
}

/// `Set-Cookie` of a session. No script reads it, and no other site's link or form brings it along.
pub(super) fn session_cookie(value: &str, request: &HttpRequest) -> String {
    let seconds = if value.is_empty() { 0 } else { SESSION.as_secs() };
    let secure = if request.connection_info().scheme() == "https" { "; Secure" } else { "" };
    format!(
        "{SESSION_COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    )
}

/// Goes to another page.
pub(super) fn see_other(path: &str) -> HttpResponse {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((LOCATION, path)).insert_header((CACHE_CONTROL, "no-store"));
    response.finish()
}

/// A page, with the headers of every page.
pub(super) fn html(status: StatusCode, page: &impl Template) -> HttpResponse {
    let Ok(text) = page.render() else {
        tracing::error!("a page of the console could not be written");
        return HttpResponse::InternalServerError().finish();
    };
    guarded(&mut HttpResponse::build(status)).content_type("text/html; charset=utf-8").body(text)
}

/// The headers of everything that is shown to a person.
pub(super) fn guarded(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        // A post to ourselves says its Origin; nobody else is told anything.
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"))
        .insert_header((CACHE_CONTROL, "no-store"))
}
