//! The OpenAPI document, made of the handlers and the types that they answer with, and the page
//! that shows it.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{events, forget, lanes, leads, replay, stats};
use crate::console::health;
use crate::problem::Problem;

const TOKEN: &str = "admin_token";

/// Nothing from anywhere else, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

/// Whoever opens the page after an upgrade sees the new one.
const FRESH: &str = "no-cache";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Leadgate admin API",
        description = "What became of every submission, and what an operator does about it. Errors are \
                       problem documents (RFC 9457).",
    ),
    paths(
        leads::list, leads::show, replay::one, replay::many, forget::forget, events::stream,
        stats::show, lanes::list, lanes::pause, lanes::resume,
        health::livez, health::readyz, health::metrics, openapi, docs, script, style,
    ),
    components(schemas(Problem)),
    tags(
        (name = "ledger", description = "Submissions: looked at, replayed, erased"),
        (name = "lanes", description = "How each CareSoft account is sent to"),
        (name = "machines", description = "Probes and figures, without a token"),
        (name = "document", description = "This document"),
    ),
    modifiers(&Common),
)]
struct Api;

/// What all operations under `/api` have in common.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let scheme = scheme.description(Some("The gateway's admin.token")).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme));
        for (path, item) in &mut document.paths.paths {
            if !path.starts_with("/api/") {
                continue;
            }
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                secure(operation);
            }
        }
    }
}

fn secure(operation: &mut Operation) {
    let none: [&str; 0] = [];
    operation.security = Some(vec![SecurityRequirement::new(TOKEN, none)]);
    let common = [
        ("401", "The token is missing or wrong"),
        ("503", "The store does not answer, or too much is asked of it"),
    ];
    for (status, description) in common {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new().description(description);
        let response = response.content("application/problem+json", content).build();
        operation.responses.responses.insert(status.to_owned(), response.into());
    }
}

/// The document, written once.
static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| Api::openapi().to_json().unwrap_or_else(|_| "{}".to_owned()));

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "document",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, FRESH))
        .body(DOCUMENT.as_str())
}

/// A page that shows this document, and tries what it describes.
#[utoipa::path(
    get, path = "/docs", tag = "document",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
)]
pub(super) async fn docs() -> HttpResponse {
    part("text/html; charset=utf-8", include_str!("docs/page.html"))
}

/// The page's script.
#[utoipa::path(
    get, path = "/docs.js", tag = "document",
    responses((status = 200, description = "A script", body = String, content_type = "text/javascript")),
)]
pub(super) async fn script() -> HttpResponse {
    part("text/javascript; charset=utf-8", include_str!("docs/page.js"))
}

/// The page's style sheet.
#[utoipa::path(
    get, path = "/docs.css", tag = "document",
    responses((status = 200, description = "A style sheet", body = String, content_type = "text/css")),
)]
pub(super) async fn style() -> HttpResponse {
    part("text/css; charset=utf-8", include_str!("docs/page.css"))
}

fn part(content_type: &str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((HeaderName::from_static("x-content-type-options"), "nosniff"))
        .insert_header((HeaderName::from_static("referrer-policy"), "no-referrer"))
        .insert_header((CACHE_CONTROL, FRESH))
        .body(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::endpoints;
    use super::*;
    use crate::console::api::shapes;
    use crate::console::tally::Tally;
    use crate::lead::Timestamp;

    #[test]
    fn every_route_is_in_the_document_and_nothing_else() {
        let document: Value = serde_json::from_str(&DOCUMENT).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let routes = endpoints().into_iter().map(|one| format!("{} {}", one.method, one.path));
        assert_eq!(described, routes.collect::<BTreeSet<_>>());
    }

    #[test]
    fn every_operation_says_what_it_is_and_what_it_may_answer() {
        let document: Value = serde_json::from_str(&DOCUMENT).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = format!("{method} {path}");
                let text = |key: &str| operation[key].as_str().is_some_and(|text| !text.is_empty());
                assert!(text("summary") && text("operationId"), "{name}: {operation}");
                let answers = operation["responses"].as_object().unwrap();
                assert!(answers.contains_key("200"), "{name}");
                let is_secured = operation["security"][0][TOKEN].is_array();
                assert_eq!(is_secured, path.starts_with("/api/"), "{name}");
                assert_eq!(answers.contains_key("401"), is_secured, "{name}");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    assert!(parameter["description"].is_string(), "{name}: {parameter}");
                }
                for (status, answer) in
                    answers.iter().filter(|(status, _)| status.as_str() >= "400")
                {
                    let problem = &answer["content"]["application/problem+json"]["schema"];
                    let is_problem = problem["$ref"] == "#/components/schemas/Problem";
                    assert!(is_problem || path == "/readyz", "{name} {status}: {answer}");
                }
            }
        }
    }

    #[test]
    fn the_figures_are_as_described() {
        let now = Timestamp::from_millis(1_795_425_302_000);
        let told = Tally::from(now).view(now);
        let read: shapes::Stats = serde_json::from_value(told).unwrap();
        assert_eq!((read.submissions, read.hours.len()), (0, 1));
        let _ = (read.since, read.until, read.truncated, read.states, read.sources);
        let _ = (read.latency_ms, read.attribution);
    }
}
