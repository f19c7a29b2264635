//! The console as a program meets it: who may look, what a form must carry, what a page may hold.

use std::collections::BTreeSet;

use leadgate::sandbox::Options;
use reqwest::header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{RequestBuilder, Response};
use serde_json::json;
use tempfile::TempDir;

use crate::gateway::{
    ADMIN_TOKEN, Backing, CareSoft, Gateway, configuration, eventually, http_client,
};
use crate::served::{Served, leadgate};

/// Every page that somebody who has signed in can go to.
const PAGES: [&str; 5] = ["/", "/leads", "/trouble", "/sources", "/attribution"];

/// Somebody who has signed in, without a browser.
struct Operator<'a> {
    gateway: &'a Gateway,
    cookie: String,
    form_token: String,
}

impl<'a> Operator<'a> {
    async fn sign_in(gateway: &'a Gateway) -> Self {
        let response = try_token(gateway, ADMIN_TOKEN).await;
        assert_eq!((response.status().as_u16(), location(&response)), (303, "/"));
        let set = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        for said in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
            assert!(set.contains(said), "{said} in {set}");
        }
        assert!(!set.contains(ADMIN_TOKEN));
        let cookie = set.split(';').next().unwrap().to_owned();
        let page = get(gateway, "/").header(COOKIE, &cookie).send().await.unwrap();
        let page = page.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
        let form_token = rest.split('"').next().unwrap().to_owned();
        assert!(form_token.len() == 64 && !cookie.contains(&form_token));
        Self { gateway, cookie, form_token }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        get(self.gateway, path).header(COOKIE, &self.cookie)
    }

    async fn page(&self, path: &str) -> String {
        let response = self.get(path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// A post with what `fields` holds and nothing else.
    fn bare_post(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        post(self.gateway, path, fields).header(COOKIE, &self.cookie)
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let own = [("form_token", self.form_token.as_str())];
        let fields: Vec<_> = own.into_iter().chain(fields.iter().copied()).collect();
        self.bare_post(path, &fields).send().await.unwrap()
    }
}

fn get(gateway: &Gateway, path: &str) -> RequestBuilder {
    gateway.http.get(format!("http://{}{path}", gateway.admin))
}

fn post(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let body = form.extend_pairs(fields).finish();
    let request = gateway.http.post(format!("http://{}{path}", gateway.admin));
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

async fn try_token(gateway: &Gateway, token: &str) -> Response {
    post(gateway, "/sign-in", &[("token", token)]).send().await.unwrap()
}

fn location(response: &Response) -> &str {
    response.headers().get(LOCATION).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn nobody_sees_anything_before_signing_in() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let id = gateway.submit(json!({"phone": "0900000001", "name": "Thử"})).await;
    let lead = format!("/leads/{id}");
    for path in PAGES.into_iter().chain([lead.as_str(), "/attribution.csv", "/trouble/0123"]) {
        for cookie in ["", "leadgate_session=1795425302123.00.00"] {
            let response = get(&gateway, path).header(COOKIE, cookie).send().await.unwrap();
            assert_eq!(response.status(), 303, "{path}");
            assert!(location(&response).starts_with("/sign-in"), "{path}");
            assert_eq!(response.text().await.unwrap(), "");
        }
    }
    for path in ["/lanes/main/pause", &format!("{lead}/forget"), &format!("{lead}/raw"), "/leads"] {
        let response = post(&gateway, path, &[("sure", "yes")]).send().await.unwrap();
        assert_eq!((response.status().as_u16(), location(&response)), (303, "/sign-in"), "{path}");
    }
    gateway.settled(&id, &["created"]).await;
    gateway.stop().await;
}

#[tokio::test]
async fn wrong_tokens_are_limited_and_a_session_is_not_touched_by_that() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    for token in ["", "admin", "admin-token-of-a-tesT", "x", "y"] {
        let response = try_token(&gateway, token).await;
        assert_eq!(response.status(), 401);
        assert!(response.headers().get(SET_COOKIE).is_none());
    }
    for token in ["z", ADMIN_TOKEN] {
        assert_eq!(try_token(&gateway, token).await.status(), 429, "the right one as well");
    }
    operator.page("/").await;
    let out = operator.post("/sign-out", &[]).await;
    assert_eq!(location(&out), "/sign-in");
    let after = operator.get("/").send().await.unwrap();
    assert_eq!(after.status(), 303, "the cookie is worth nothing, whoever has kept it");
    gateway.stop().await;
}

#[tokio::test]
async fn a_form_from_elsewhere_does_nothing() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    let token = operator.form_token.clone();
    let own = format!("http://{}", gateway.admin);
    let path = "/lanes/main/pause";
    let right = [("form_token", token.as_str())];
    for request in [
        operator.bare_post(path, &[]),
        operator.bare_post(path, &[("form_token", "0000")]),
        operator.bare_post(path, &right).header("origin", "https://evil.example"),
        operator.bare_post(path, &right).header("origin", "null"),
        operator.bare_post(path, &right).header("sec-fetch-site", "cross-site"),
        operator.bare_post(path, &right).header("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 403);
    }
    let from_elsewhere = post(&gateway, "/sign-in", &[("token", ADMIN_TOKEN)]);
    let from_elsewhere = from_elsewhere.header("origin", "https://evil.example");
    assert_eq!(from_elsewhere.send().await.unwrap().status(), 403);
    let lanes = gateway.admin_get("/api/lanes").await.text().await.unwrap();
    assert!(lanes.contains("\"paused\":false"), "{lanes}");
    let ours = operator.bare_post(path, &right).header("origin", own);
    assert_eq!(ours.header("sec-fetch-site", "same-origin").send().await.unwrap().status(), 303);
    let lanes = gateway.admin_get("/api/lanes").await.text().await.unwrap();
    assert!(lanes.contains("\"paused\":true"), "{lanes}");
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_stranger_typed_stays_text_on_every_page() {
    const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "invalid = \"quarantine\"").await;
    let id = gateway.submit(json!({
        "name": SCRIPT, "phone": "0900000001", "message": SCRIPT, "utm_source": SCRIPT,
        "utm_campaign": "=1+1", SCRIPT: SCRIPT, "page_url": "https://shop.example.vn/\"><script>",
    }))
    .await;
    let unusable = gateway.submit(json!({"name": SCRIPT, "phone": SCRIPT})).await;
    gateway.settled(&id, &["created"]).await;
    let operator = Operator::sign_in(&gateway).await;
    let mut texts = Vec::new();
    for path in PAGES.into_iter().map(str::to_owned).chain([
        format!("/leads/{id}"),
        format!("/leads/{unusable}"),
        "/attribution?touch=first".to_owned(),
    ]) {
        texts.push(operator.page(&path).await);
    }
    for (id, what) in [(&id, "reveal"), (&id, "request"), (&unusable, "raw")] {
        let revealed = operator.post(&format!("/leads/{id}/{what}"), &[]).await;
        assert_eq!(revealed.status(), 200);
        let policy = revealed.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        for said in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(said), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
        texts.push(revealed.text().await.unwrap());
    }
    for text in &texts {
        for forbidden in ["<script>", "<img", " style=", "<style", "onclick"] {
            assert!(!text.contains(forbidden), "{forbidden} in {text}");
        }
    }
    let told = texts.iter().filter(|text| text.contains("alert(1)")).count();
    assert!(told >= 6, "the pages hold what was typed: {told}");
    let csv = operator.page("/attribution.csv").await;
    assert!(csv.contains("\"'=1+1\""), "{csv}");
    gateway.stop().await;
}

/// The list masks a person; who looks is logged by the lead's id. A search is in no address.
#[tokio::test]
async fn a_person_is_masked_until_somebody_asks() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let person =
        json!({"phone": "0900000001", "email": "thu.nguyen@example.vn", "ghi_chu": "Gọi sau 5h"});
    let id = gateway.submit(person).await;
    gateway.settled(&id, &["created"]).await;
    let operator = Operator::sign_in(&gateway).await;
    let lead = format!("/leads/{id}");
    for path in ["/leads", &lead] {
        let page = operator.page(path).await;
        assert!(page.contains("+84 ••••• 001") && page.contains("t•••@example.vn"), "{page}");
        for hidden in ["+84900000001", "thu.nguyen", "Gọi sau"] {
            assert!(!page.contains(hidden), "{hidden} in {path}");
        }
    }
    let revealed = operator.post(&format!("{lead}/reveal"), &[]).await.text().await.unwrap();
    for shown in ["+84900000001", "thu.nguyen@example.vn", "Gọi sau 5h"] {
        assert!(revealed.contains(shown), "{shown}");
    }
    let request = operator.post(&format!("{lead}/request"), &[]).await.text().await.unwrap();
    assert!(request.contains("&#34;phone&#34;: &#34;0900000001&#34;"), "{request}");
    for (q, count) in [("0900 000 001", 1), ("thu.nguyen@example.vn", 1), ("0900000002", 0)] {
        let found = operator.post("/leads", &[("q", q)]).await.text().await.unwrap();
        assert!(found.contains(&format!("id=\"found\">{count}<")), "{q}: {found}");
        assert!(!found.contains("0900 000 001"), "a search is not repeated");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn every_page_speaks_both_languages() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    let mut titles = BTreeSet::new();
    for path in PAGES {
        for (language, said) in [("vi-VN,vi;q=0.9", "lang=\"vi\""), ("en", "lang=\"en\"")] {
            let request = operator.get(path).header(ACCEPT_LANGUAGE, language);
            let page = request.send().await.unwrap().text().await.unwrap();
            assert!(page.contains(&format!("<html {said}>")), "{path}");
            let title = page.split_once("<title>").unwrap().1.split_once('<').unwrap().0;
            titles.insert(title.to_owned());
        }
    }
    assert_eq!(titles.len(), 2 * PAGES.len(), "{titles:?}");
    let chosen = operator.get("/language/vi?next=//evil.example").send().await.unwrap();
    assert_eq!(location(&chosen), "/");
    let chosen = operator.get("/language/vi?next=/leads").send().await.unwrap();
    assert_eq!(location(&chosen), "/leads");
    assert!(chosen.headers()[SET_COOKIE].to_str().unwrap().starts_with("leadgate_language=vi;"));
    gateway.stop().await;
}

/// The preview tries what is kept against the mapping as it is now; a bulk replay takes what is of use.
#[tokio::test]
async fn what_was_quarantined_is_tried_live_and_replayed() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let quarantine = "invalid = \"quarantine\"";
    let mut config = configuration(&Backing::Sqlite, &folder, caresoft.address, quarantine);
    let before = Gateway::run(&config, TempDir::new().unwrap()).await;
    let useful = before.submit(json!({"goi_lai_cho": "0900000003"})).await;
    let useless = before.submit(json!({"dich_vu": "A"})).await;
    let operator = Operator::sign_in(&before).await;
    assert!(operator.page(&group(&operator).await).await.contains("0/2"));
    let refused = operator.post(&format!("/leads/{useful}/replay"), &[]).await;
    assert_eq!(refused.status(), 409);
    before.stop().await;

    for source in config.sources.values_mut() {
        source.fields.insert("phone".into(), vec!["goi_lai_cho".into()]);
    }
    let gateway = Gateway::run(&config, TempDir::new().unwrap()).await;
    let operator = Operator::sign_in(&gateway).await;
    let group = group(&operator).await;
    let preview = operator.page(&group).await;
    assert!(preview.contains("1/2") && preview.contains("id=\"number\">2<"), "{preview}");
    let done = operator.post(&format!("{group}/replay"), &[]).await;
    assert_eq!(location(&done), "/trouble?done=replayed-1");
    assert!(operator.page("/trouble?done=replayed-1").await.contains("Replayed: 1"));
    gateway.settled(&useful, &["created"]).await;
    assert_eq!(gateway.record(&useless).await["state"], "quarantined");
    assert_eq!(caresoft.leads_of("0900000003").len(), 1);
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

/// The address of the only group of what is to be mended.
async fn group(operator: &Operator<'_>) -> String {
    let page = operator.page("/trouble").await;
    let (_, rest) = page.split_once("href=\"/trouble/").unwrap();
    format!("/trouble/{}", rest.split('"').next().unwrap())
}

/// The link that a fresh machine's start line tells signs in, once.
#[tokio::test]
async fn the_start_line_signs_in_once() {
    let folder = TempDir::new().unwrap();
    let mut command = leadgate(folder.path());
    command.arg("serve");
    let served = Served::spawn(command).await;
    let link = eventually("the link", async || {
        let output = served.output();
        let line = output.lines().find(|line| line.trim_start().starts_with("console"))?;
        line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned)
    })
    .await;
    assert!(link.starts_with(&format!("http://{}/sign-in?code=", served.admin)), "{link}");
    let http = http_client();
    let first = http.get(&link).send().await.unwrap();
    assert_eq!((first.status().as_u16(), location(&first)), (303, "/"));
    let cookie = first.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let overview = http.get(format!("http://{}/", served.admin)).header(COOKIE, cookie);
    assert_eq!(overview.send().await.unwrap().status(), 200);
    let second = http.get(&link).send().await.unwrap();
    assert_eq!(second.status(), 401);
    assert!(second.headers().get(SET_COOKIE).is_none());
    served.terminate().await;
}

/// The stream of changes is for programs with the token and for pages of ours; a cookie is good for
/// nothing else of the API, and a session that has ended is told nothing more.
#[tokio::test]
async fn a_session_hears_what_happens_and_nothing_else_of_the_api() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    let own = format!("http://{}", gateway.admin);
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.example"),
    ] {
        let refused = operator.get("/api/events").header(header, value).send().await.unwrap();
        assert_eq!(refused.status(), 401, "{header}: {value}");
    }
    for path in ["/api/leads", "/api/lanes", "/api/stats"] {
        assert_eq!(operator.get(path).send().await.unwrap().status(), 401, "{path}");
    }
    let request = operator.get("/api/events").header("origin", own);
    let mut stream = request.header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let ready = stream.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&ready).contains("event: ready"));
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    let told = stream.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&told).contains(&id));
    gateway.settled(&id, &["created"]).await;
    operator.post("/sign-out", &[]).await;
    let late = gateway.submit(json!({"phone": "0900000002"})).await;
    gateway.settled(&late, &["created"]).await;
    while let Some(told) = stream.chunk().await.unwrap() {
        assert!(!String::from_utf8_lossy(&told).contains(&late));
    }
    assert_eq!(operator.get("/api/events").send().await.unwrap().status(), 401);
    gateway.stop().await;
}

#[tokio::test]
async fn a_sample_goes_the_road_of_every_post() {
    let caresoft = CareSoft::start(Options::default());
    let more = r#"
secrets = { token = "a-secret-of-a-test" }
[sources.closed]
preset = "web-form"
destination = "main"
challenge = { kind = "turnstile", secret = "a-secret-of-a-test" }
[sources.signed]
preset = "standard-webhooks"
destination = "main"
secrets = { secret = "whsec_ZGV2ZWxvcG1lbnQtc2VjcmV0" }
"#;
    let folder = TempDir::new().unwrap();
    let text =
        crate::gateway::toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, more);
    let environment = leadgate::config::MapEnvironment::default();
    let known = ["web-form", "standard-webhooks"];
    let config = leadgate::config::parse(&text, "test.toml", &environment, &known).unwrap().config;
    let gateway = Gateway::run(&config, folder).await;
    let operator = Operator::sign_in(&gateway).await;
    for source in ["website", "signed"] {
        let path = format!("/sources/{source}/sample");
        assert!(operator.page(&path).await.contains(&caresoft.address.to_string()));
        let forged = operator.bare_post(&path, &[]).send().await.unwrap();
        assert_eq!(forged.status(), 403);
        let sent = operator.post(&path, &[]).await;
        let place = location(&sent).to_owned();
        let id = place.strip_prefix("/leads/").and_then(|rest| rest.strip_suffix("?done=sampled"));
        gateway.settled(id.expect(&place), &["created", "merged"]).await;
        let line = format!("leadgate_submissions_total{{source=\"{source}\",outcome=\"");
        let counted = gateway.metrics().await;
        assert!(counted.contains(&line), "{counted}");
    }
    let refused = operator.post("/sources/closed/sample", &[]).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("only a visitor"));
    assert_eq!(operator.post("/sources/none/sample", &[]).await.status(), 404);
    let sources = operator.page("/sources").await;
    assert!(sources.contains("1 (100 %)"), "the refusal and its share: {sources}");
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_guide_has_the_sources_own_address_in_it() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    assert!(operator.page("/sources").await.contains("/guides/web-form?source=website"));
    let page = operator.page("/guides/tally").await;
    assert!(page.contains("https://leads.example.vn/in/tally") && page.contains("<h1>"), "{page}");
    for nothing in ["/guides/none", "/guides/..%2FREADME"] {
        assert_eq!(operator.get(nothing).send().await.unwrap().status(), 404);
    }
    let nobody = get(&gateway, "/guides/tally").send().await.unwrap();
    assert_eq!(nobody.status(), 303);
    gateway.stop().await;
}

/// The switch of the language leads back to the guide of the same source.
#[tokio::test]
async fn a_guide_is_in_the_language_of_the_pages() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let operator = Operator::sign_in(&gateway).await;
    let english = operator.page("/guides/web-form?source=website").await;
    let switch = "/language/vi?next=/guides/web-form%3Fsource%3Dwebsite";
    assert!(english.contains(&format!("href=\"{switch}\"")), "{english}");
    let chosen = operator.get(switch).send().await.unwrap();
    let request = get(&gateway, location(&chosen));
    let cookie = chosen.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let cookie = format!("{}; {cookie}", operator.cookie);
    let vietnamese = request.header(COOKIE, cookie).send().await.unwrap().text().await.unwrap();
    for (page, own, others) in [
        (&english, "<h2>Set it up</h2>", "<h2>Thiết lập</h2>"),
        (&vietnamese, "<h2>Thiết lập</h2>", "<h2>Set it up</h2>"),
    ] {
        assert!(page.contains(own) && !page.contains(others), "{page}");
        assert!(page.contains("leadgate send website"), "{page}");
    }
    gateway.stop().await;
}

/// The gateway's own words are the reader's; a source is silent when its notice would say so.
#[tokio::test]
async fn reasons_are_told_in_vietnamese() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "invalid = \"quarantine\"").await;
    let id = gateway.submit(json!({"name": "Thử"})).await;
    let operator = Operator::sign_in(&gateway).await;
    for path in ["/leads".to_owned(), format!("/leads/{id}"), "/trouble".to_owned()] {
        let request = operator.get(&path).header(ACCEPT_LANGUAGE, "vi");
        let page = request.send().await.unwrap().text().await.unwrap();
        assert!(page.contains("không có số điện thoại hay e-mail nào dùng được"), "{path}");
        assert!(!page.contains("neither a phone number"), "{path}");
        let english = operator.page(&path).await;
        assert!(english.contains("neither a phone number"), "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn silence_is_what_the_configuration_says() {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let text = crate::gateway::toml_of(&Backing::Sqlite.toml(folder.path()), caresoft.address, "");
    let notify = "[notify]\nurl = \"http://127.0.0.1:9/\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
                  silent_after = \"1h\"\nevents = [\"lead.dead\"]\n";
    let environment = leadgate::config::MapEnvironment::default();
    let text = format!("{notify}{text}");
    let loaded = leadgate::config::parse(&text, "test.toml", &environment, &["web-form"]);
    let (clock, hand) = leadgate::lead::Clock::with_hand();
    let gateway = Gateway::run_by(clock, &loaded.unwrap().config, folder).await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    gateway.settled(&id, &["created"]).await;
    let operator = Operator::sign_in(&gateway).await;
    assert!(!operator.page("/").await.contains("has sent nothing since"));
    hand.skip(std::time::Duration::from_secs(3601));
    assert!(operator.page("/").await.contains("has sent nothing since"));
    assert!(operator.page("/sources").await.contains(">silent<"));
    gateway.stop().await;
}

#[tokio::test]
async fn every_lane_shows_what_it_uses_of_its_pace() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start_with(&caresoft, "", |config| {
        let (id, other) = ("other".parse().unwrap(), config.destinations.values().next().cloned());
        config.destinations.insert(id, other.unwrap());
    })
    .await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    gateway.settled(&id, &["created"]).await;
    let operator = Operator::sign_in(&gateway).await;
    let page = operator.page("/").await;
    for used in ["1&nbsp;<small>per minute", "0&nbsp;<small>per minute"] {
        assert!(page.contains(used), "{used}: {page}");
    }
    gateway.stop().await;
}
