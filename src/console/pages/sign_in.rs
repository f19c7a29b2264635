//! Signing in and out, and the language.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::StatusCode;
use actix_web::http::header::SET_COOKIE;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::access::Session;
use super::assets;
use super::visit::{
    LANGUAGE_COOKIE, Posted, SESSION_COOKIE, Visit, cookie, html, is_ours, language, see_other,
    session_cookie,
};
use super::words::{Language, Words};
use crate::console::Console;
use crate::credentials::equal;
use crate::current::Current;

/// A year.
const LANGUAGE_SECONDS: u32 = 31_536_000;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    w: &'static Words,
    language: Language,
    other_language: &'static str,
    wrong: Option<&'static str>,
    next: String,
}

fn page(
    request: &HttpRequest,
    status: StatusCode,
    wrong: Option<&'static str>,
    next: &str,
) -> HttpResponse {
    let language = language(request);
    let (w, other_language) = (language.words(), language.either("vi", "en"));
    html(status, &Page { w, language, other_language, wrong, next: next.to_owned() })
}

/// A value of the request's query.
pub(super) fn asked(request: &HttpRequest, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// A path of ours to go on at, with the source that a guide is read for: nothing that a browser
/// could take for another host.
fn own_path(next: Option<&str>) -> &str {
    let is_own = |next: &&str| {
        let (path, source) = next.split_once("?source=").unwrap_or((next, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        path.starts_with('/')
            && !path.starts_with("//")
            && path.chars().all(|c| c == '/' || plain(c))
            && source.chars().all(plain)
    };
    next.filter(is_own).unwrap_or("/")
}

/// `GET /sign-in`: the form; with `?code=` it signs in, if that is the one-time link.
pub(super) async fn show(request: HttpRequest, console: Current<Console>) -> HttpResponse {
    let next = asked(&request, "next");
    let Some(code) = asked(&request, "code") else {
        return page(&request, StatusCode::OK, None, own_path(next.as_deref()));
    };
    let w = language(&request).words();
    let (address, now) = (address(&request), console.clock.now());
    let access = &console.pages.access;
    if !access.may_try(address, now) {
        return page(&request, StatusCode::TOO_MANY_REQUESTS, Some(w.too_many_tries), "/");
    }
    if access.use_code(&code, now) {
        return signed_in(&request, &console, "/");
    }
    access.failed(address, now);
    page(&request, StatusCode::UNAUTHORIZED, Some(w.link_over), "/")
}

/// `POST /sign-in`
pub(super) async fn sign_in(
    request: HttpRequest,
    console: Current<Console>,
    payload: Payload,
) -> HttpResponse {
    let w = language(&request).words();
    if !is_ours(&request) {
        return page(&request, StatusCode::FORBIDDEN, Some(w.stale_form), "/");
    }
    let Ok(posted) = Posted::read(payload).await else {
        return page(&request, StatusCode::BAD_REQUEST, Some(w.stale_form), "/");
    };
    let next = own_path(posted.get("next"));
    let (address, now) = (address(&request), console.clock.now());
    let access = &console.pages.access;
    if !access.may_try(address, now) {
        return page(&request, StatusCode::TOO_MANY_REQUESTS, Some(w.too_many_tries), next);
    }
    if equal(posted.get("token").unwrap_or_default().as_bytes(), &console.token) {
        return signed_in(&request, &console, next);
    }
    access.failed(address, now);
    tracing::warn!("somebody gave the console a wrong token");
    page(&request, StatusCode::UNAUTHORIZED, Some(w.wrong_token), next)
}

fn signed_in(request: &HttpRequest, console: &Console, next: &str) -> HttpResponse {
    let Ok(session) = Session::begin(console.clock.now()) else {
        tracing::error!("the system gives no random bytes: nobody can sign in");
        return HttpResponse::InternalServerError().finish();
    };
    tracing::info!("somebody has signed in to the console");
    with_cookie(see_other(next), session_cookie(&session.cookie(&console.token), request))
}

/// `POST /sign-out`
pub(super) async fn sign_out(visit: Visit, request: HttpRequest, payload: Payload) -> HttpResponse {
    if let Err(refusal) = visit.posted(payload).await {
        return visit.refuse(&refusal);
    }
    visit.console.pages.access.end(visit.session.clone(), visit.now);
    with_cookie(see_other("/sign-in"), session_cookie("", &request))
}

/// `GET /language/{code}`: from now on in that, and back to where the link was.
pub(super) async fn choose_language(request: HttpRequest, code: web::Path<String>) -> HttpResponse {
    let next = asked(&request, "next");
    let next = match cookie(&request, SESSION_COOKIE) {
        Some(_) => own_path(next.as_deref()),
        None => "/sign-in",
    };
    let Some(language) = Language::parse(&code) else { return see_other(next) };
    let language = language.code();
    let cookie = format!(
        "{LANGUAGE_COOKIE}={language}; Path=/; Max-Age={LANGUAGE_SECONDS}; HttpOnly; SameSite=Lax"
    );
    with_cookie(see_other(next), cookie)
}

fn with_cookie(mut response: HttpResponse, cookie: String) -> HttpResponse {
    if let Ok(cookie) = cookie.parse() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Whose tries are counted. Nobody is believed about a proxy: the admin listener is not public.
fn address(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_ours_is_gone_on_at() {
        for (next, expected) in [
            (
                Some("/leads/01938d5f-0000-7000-8000-000000000000"),
                "/leads/01938d5f-0000-7000-8000-000000000000",
            ),
            (Some("//evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("https://evil.example"), "/"),
            (Some("/a?b"), "/"),
            (Some("/guides/tally?source=tally-2"), "/guides/tally?source=tally-2"),
            (Some("/a?source=b&c"), "/"),
            (Some("//evil.example?source=b"), "/"),
            (Some("/a?source=/b"), "/"),
            (None, "/"),
        ] {
            assert_eq!(own_path(next), expected);
        }
    }
}
