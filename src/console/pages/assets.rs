//! The pages' own style sheet and script: files of this binary, cached for good under an address
//! that changes with what they are.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};

use crate::preset::Algorithm;

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");

/// What both are known by.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut version = Algorithm::Sha256.hex([STYLE, SCRIPT].concat().as_bytes());
    version.truncate(16);
    version
});

/// What both are known by, for the addresses in the pages.
pub(super) fn version() -> &'static str {
    &VERSION
}

pub(super) async fn style() -> HttpResponse {
    file("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script() -> HttpResponse {
    file("text/javascript; charset=utf-8", SCRIPT)
}

fn file(content_type: &str, text: &'static str) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response.content_type(content_type).body(text)
}
