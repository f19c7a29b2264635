//! Every address that is answered is in the book, with its method, and every one in the book is answered.

use std::collections::BTreeSet;

use leadgate::sandbox::Options;
use serde_json::Value;

use super::{Page, page, pages};
use crate::checkout::file;
use crate::gateway::{CareSoft, Gateway};

const POSTS: &str = "docs/posting.md";
const CONSOLE: &str = "docs/console.md";
const API: &str = "docs/admin-api.md";

/// Addresses of others that pages name.
const OTHERS: [&str; 2] = ["POST /{page-id}/subscribed_apps", "POST /rest/leadNotifications"];

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "OPTIONS"];

/// `GET /api/stats?window=24h` is `GET /api/stats`.
fn routes(page: &Page) -> BTreeSet<String> {
    let is_route =
        |code: &&String| code.split_once(" /").is_some_and(|(method, _)| METHODS.contains(&method));
    let routes = page.code.iter().filter(is_route);
    routes.map(|route| route.split('?').next().unwrap_or_default().to_owned()).collect()
}

/// What stands in the quotes of `const NAME: &str = "…"`.
fn constant(path: &str, name: &str) -> String {
    let text = file(path);
    let (_, rest) = text.split_once(&format!("const {name}: &str = \"")).expect(name);
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_api_is_documented_whole() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let document = gateway.http.get(format!("http://{}/openapi.json", gateway.admin));
    let document: Value = document.send().await.unwrap().json().await.unwrap();
    let mut answered = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            answered.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    assert_eq!(routes(&page(API)), answered);
}

#[test]
fn the_console_is_documented_whole() {
    let text = file("src/console/pages/mod.rs");
    let given = text.split(".route(\"").skip(1).filter_map(|rest| {
        let (path, rest) = rest.split_once("\", web::")?;
        let (method, _) = rest.split_once("()")?;
        Some(format!("{} {path}", method.to_uppercase()))
    });
    let given: BTreeSet<String> = given.collect();
    assert!(given.len() > 20, "{given:?}");
    assert_eq!(routes(&page(CONSOLE)), given);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_listener_is_documented_whole() {
    let text = file("src/intake/mod.rs");
    let places = text.split("web::resource(").chain(text.split(".route(")).filter_map(|rest| {
        let place = rest.split([',', ')']).next()?;
        match place {
            "embed::PATH" => Some(constant("src/intake/embed.rs", "PATH")),
            "page::THANKS_PATH" => Some(constant("src/intake/page.rs", "THANKS_PATH")),
            literal => literal.strip_prefix('"')?.strip_suffix('"').map(str::to_owned),
        }
    });
    let given: BTreeSet<String> = places.collect();
    let documented = routes(&page(POSTS));
    let paths = documented.iter().filter_map(|route| route.split_once(' '));
    let paths: BTreeSet<String> = paths.map(|(_, path)| path.to_owned()).collect();
    assert_eq!(paths, given);

    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    for route in documented.iter().filter(|route| *route != "GET /") {
        let (method, path) = route.split_once(' ').unwrap();
        let url = gateway.url(&path.replace("{source}", "website"));
        let method: reqwest::Method = method.parse().unwrap();
        let answer = gateway.http.request(method, url).send().await.unwrap();
        assert_ne!(answer.status(), 404, "{route}");
    }
}

#[test]
fn addresses_that_pages_name_are_answered() {
    let documented = [POSTS, CONSOLE, API].map(|path| routes(&page(path)));
    let known: BTreeSet<String> = documented.into_iter().flatten().collect();
    let paths: BTreeSet<&str> =
        known.iter().filter_map(|route| route.split_once(' ').map(|(_, path)| path)).collect();
    for page in pages() {
        for route in routes(&page) {
            let is_known = known.contains(&route) || OTHERS.contains(&route.as_str());
            assert!(is_known, "{}: {route}", page.path);
        }
        for code in page.code.iter().filter(|code| code.starts_with('/') && !code.contains(' ')) {
            let path = code.split('?').next().unwrap_or_default().trim_end_matches('/');
            let is_source = path.starts_with("/in/") || path == "/in";
            let is_answered = match path.strip_suffix('*') {
                Some(start) => paths.iter().any(|path| path.starts_with(start)),
                None => paths.contains(path),
            };
            assert!(is_source || is_answered, "{}: {code}", page.path);
        }
    }
}
