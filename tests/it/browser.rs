//! A real browser and a page of another origin: what `embed.js` does there, and what the same form
//! does without it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;

use actix_web::{HttpRequest, HttpResponse, web};
use leadgate::sandbox::Options;
use serde_json::{Value, json};

use crate::chromium::{Chromium, SHOP, Tab};
use crate::gateway::{CareSoft, Gateway, eventually, free_listener};
use crate::stub::{Stub, locked};

/// A site of three pages; each includes the script and has the same form.
struct Shop(Stub<Pages>);

/// What the pages of a site are like.
struct Pages {
    policy: Option<String>,
    body: String,
}

impl Shop {
    fn open(listener: TcpListener, pages: Pages) -> Self {
        Self(Stub::on(listener, pages, |app| {
            app.default_service(web::to(page));
        }))
    }

    fn origin(&self) -> String {
        origin(self.0.address)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }
}

fn origin(shop: SocketAddr) -> String {
    format!("http://{SHOP}:{}", shop.port())
}

async fn page(request: HttpRequest, pages: web::Data<Mutex<Pages>>) -> HttpResponse {
    let pages = locked(&pages);
    let mut response = HttpResponse::Ok();
    response.content_type("text/html; charset=utf-8");
    // A form without a script has the page's whole address in the Referer then.
    response.insert_header(("Referrer-Policy", "no-referrer-when-downgrade"));
    if let Some(policy) = &pages.policy {
        response.insert_header(("Content-Security-Policy", policy.as_str()));
    }
    let page = format!("<!doctype html><html><head><title>{}</title></head>", request.path());
    response.body(format!("{page}<body>{}</body></html>", pages.body))
}

/// A gateway, its CareSoft, a site whose pages use it, and a browser.
struct Scene {
    caresoft: CareSoft,
    gateway: Gateway,
    shop: Shop,
    chromium: Chromium,
}

/// How a scene differs from the usual one.
#[derive(Default)]
struct Setting {
    /// Whether the gateway lets the site's scripts read its answers.
    is_stranger: bool,
    /// The pages' Content-Security-Policy; `{gateway}` is its origin.
    policy: Option<&'static str>,
    /// Where the gateway sends who was taken.
    has_thank_you_url: bool,
}

impl Scene {
    async fn set(setting: Setting) -> Self {
        let caresoft = CareSoft::start(Options::default());
        let listener = free_listener();
        let site = origin(listener.local_addr().unwrap());
        let mut extra = String::new();
        if !setting.is_stranger {
            extra.push_str(&format!("cors = {{ origins = [\"{site}\"] }}\n"));
        }
        if setting.has_thank_you_url {
            extra.push_str(&format!("thank_you_url = \"{site}/cam-on\"\n"));
        }
        let gateway = Gateway::start(&caresoft, &extra).await;
        let policy = setting.policy.map(|policy| policy.replace("{gateway}", &gateway.url("")));
        let endpoint = gateway.url("/in/website");
        let body = format!(
            r##"<script src="{}"></script><a id="next" href="/lien-he">Liên hệ</a>
            <form data-leadgate method="post" action="{endpoint}">
            <input name="ho_ten" required><input name="so_dien_thoai"><input type="hidden" name="utm_term">
            <textarea name="noi_dung"></textarea>
            <button>Gửi</button></form>"##,
            gateway.url("/embed.js")
        );
        let shop = Shop::open(listener, Pages { policy, body });
        Self { caresoft, gateway, shop, chromium: Chromium::start() }
    }

    /// A tab whose pages remember what the script told, and stay where they are when it sent.
    async fn watched_tab(&self) -> Tab {
        let tab = self.chromium.tab().await;
        tab.before_scripts(
            "window.told = []; for (const what of ['sent', 'failed', 'waiting'])
                addEventListener('leadgate:' + what, event => {
                    told.push({ what, ...event.detail });
                    if (what == 'sent') event.preventDefault();
                });",
        )
        .await;
        tab
    }

    async fn records(&self) -> Vec<Value> {
        let listed: Value =
            self.gateway.admin_get("/api/leads").await.json().await.expect("records");
        listed["leads"].as_array().expect("a list").clone()
    }

    /// The only record there is, once CareSoft has it.
    async fn the_lead(&self) -> Value {
        let records = eventually("a record", async || {
            Some(self.records().await).filter(|records| !records.is_empty())
        });
        let records = records.await;
        assert_eq!(records.len(), 1, "{records:?}");
        let record = self.gateway.settled(records[0]["id"].as_str().unwrap(), &["created"]).await;
        assert_eq!(self.caresoft.leads_of("0900000001").len(), 1);
        record
    }

    async fn posts(&self, outcome: &str) -> f64 {
        let line =
            format!("leadgate_submissions_total{{source=\"website\",outcome=\"{outcome}\"}}");
        self.gateway.metric(&line).await
    }
}

async fn fill_in(tab: &Tab) {
    tab.fill("[name=ho_ten]", "Nguyễn Văn Thử").await;
    tab.fill("[name=so_dien_thoai]", "0900 000 001").await;
}

async fn fill_in_and_send(tab: &Tab) {
    fill_in(tab).await;
    tab.click("button").await;
}

fn answers(record: &Value) -> BTreeMap<&str, &str> {
    let answers = record["lead"]["answers"].as_array().expect("answers").iter();
    answers
        .map(|answer| {
            let label = answer["label"].as_str().expect("a label");
            (label, answer["value"].as_str().expect("a value"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lead_has_its_first_touch_and_its_last() {
    let scene = Scene::set(Setting { has_thank_you_url: true, ..Setting::default() }).await;
    let tab = scene.chromium.tab().await;
    let shop = &scene.shop;
    tab.open(&shop.url("/?utm_source=facebook&utm_campaign=T%E1%BA%BFt+1&fbclid=F1&mail=a%40b"))
        .await;
    let medium = "cpc".repeat(200); // no value is dropped for its length
    tab.open(&shop.url(&format!("/lp?utm_source=google&utm_medium={medium}&gclid=G1"))).await;
    tab.follow("#next").await;
    assert_eq!(tab.url().await, shop.url("/lien-he"));
    fill_in_and_send(&tab).await;
    tab.arrives_at(&shop.url("/cam-on")).await;
    let record = scene.the_lead().await;
    let lead = &record["lead"];
    assert_eq!(lead["utm"], json!({"source": "google", "medium": medium}));
    assert_eq!(lead["click_ids"], json!({"gclid": "G1"}));
    assert_eq!(lead["page_url"], shop.url("/lien-he"));
    let expected = [
        ("first_utm_source", "facebook".to_owned()),
        ("first_utm_campaign", "Tết 1".to_owned()),
        ("first_fbclid", "F1".to_owned()),
        ("first_landing_page", shop.url("/")),
        ("last_landing_page", shop.url("/lp")),
    ];
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(label, value)| (*label, &**value)).collect();
    assert_eq!(answers(&record), expected, "and nothing else");
    assert_eq!(
        scene.caresoft.leads_of("0900000001")[0].ref_url.as_deref(),
        Some(&*shop.url(&format!("/lien-he?utm_medium={medium}&utm_source=google&gclid=G1")))
    );
    assert_eq!(scene.posts("accepted").await, 1.0);
    scene.gateway.stop().await;
}

/// What a visitor agreed to goes to CareSoft: in which words, given or not, when and on which page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_is_told_in_its_words_whether_it_was_given_or_not() {
    let scene = Scene::set(Setting::default()).await;
    let boxes = "document.forms[0].insertAdjacentHTML('beforeend',
        `<label><input type=checkbox name=dong_y> Tôi đồng ý
             <a href=/chinh-sach>nhận  tư vấn</a></label>
         <input type=checkbox name=newsletter id=n><label for=n>Nhận tin, ưu đãi</label>
         <input type=hidden name=gdpr value=0><input type=checkbox name=gdpr value=1>
         <input type=checkbox name=agree_disabled disabled>
         <label><input type=checkbox name=hop_dong_yeu_cau value=co checked> Hợp đồng</label>`)";
    let tab = scene.watched_tab().await;
    tab.open(&scene.shop.url("/lien-he?utm_source=facebook")).await;
    tab.run(boxes).await;
    tab.click("[name=dong_y]").await;
    tab.click("[type=checkbox][name=gdpr]").await;
    fill_in_and_send(&tab).await;
    let record = scene.the_lead().await;
    let expected = [
        ("consent dong_y", "true: Tôi đồng ý nhận tư vấn"),
        ("consent newsletter", "false: Nhận tin, ưu đãi"),
        ("consent gdpr", "true"),
        ("hop_dong_yeu_cau", "co"),
    ];
    let kept: BTreeMap<_, _> = answers(&record).into_iter().filter(told_by_hand).collect();
    assert_eq!(kept, BTreeMap::from(expected));
    let lead = &scene.caresoft.leads_of("0900000001")[0];
    let comment = lead.received_text("comment").unwrap();
    let page = scene.shop.url("/lien-he");
    let received_at = record["received_at"].as_str().unwrap();
    for (label, value) in &expected[..3] {
        let line = format!("{label}: {value} ({received_at}, {page})");
        assert!(comment.lines().any(|told| told == line), "{line} in {comment}");
    }
    assert!(comment.lines().any(|told| told == "hop_dong_yeu_cau: co"), "{comment}");
    scene.gateway.stop().await;
}

/// Not what the script fills in.
fn told_by_hand((label, _): &(&str, &str)) -> bool {
    !label.starts_with("first_") && !label.starts_with("last_")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_form_makes_its_lead_without_scripts() {
    let scene = Scene::set(Setting { has_thank_you_url: true, ..Setting::default() }).await;
    let tab = scene.chromium.tab().await;
    tab.without_scripts().await;
    tab.open(&scene.shop.url("/?utm_source=facebook&fbclid=F1")).await;
    fill_in_and_send(&tab).await;
    tab.arrives_at(&scene.shop.url("/cam-on")).await;
    let record = scene.the_lead().await;
    assert_eq!(record["lead"]["name"], "Nguyễn Văn Thử");
    assert_eq!(record["lead"]["utm"], json!({"source": "facebook"}));
    assert_eq!(record["external_id"], Value::Null, "no script was at work");
    scene.gateway.stop().await;
}

/// `default-src 'none'`: whatever the script did that such a page forbids would be refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_policy_allows_all_that_the_script_does() {
    let policy = "default-src 'none'; script-src {gateway}; connect-src {gateway}; \
        form-action 'none'; base-uri 'none'; require-trusted-types-for 'script'";
    let scene = Scene::set(Setting { policy: Some(policy), ..Setting::default() }).await;
    let tab = scene.watched_tab().await;
    tab.before_scripts("addEventListener('securitypolicyviolation', event => { window.violated = event.violatedDirective })").await;
    tab.open(&scene.shop.url("/?utm_source=facebook")).await;
    fill_in_and_send(&tab).await;
    let told = tab.sees("told[0]").await;
    let record = scene.the_lead().await;
    assert_eq!((&told["what"], &told["ids"]), (&json!("sent"), &json!([record["id"]])));
    assert_eq!(record["lead"]["utm"], json!({"source": "facebook"}));
    assert_eq!(tab.run("window.violated").await, Value::Null);
    assert_eq!(tab.url().await, scene.shop.url("/?utm_source=facebook"), "the page said to stay");
    assert_eq!(tab.run("document.forms[0].hasAttribute('aria-busy')").await, false);
    scene.gateway.stop().await;
}

/// Nothing can be sent by the script: the browser posts the form, with what the script filled in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_fetch_is_refused_or_missing_the_form_is_posted() {
    let policy = "default-src 'none'; script-src {gateway}";
    let scene = Scene::set(Setting { policy: Some(policy), ..Setting::default() }).await;
    let tab = scene.watched_tab().await;
    tab.open(&scene.shop.url("/?utm_source=facebook")).await;
    fill_in_and_send(&tab).await;
    tab.arrives_at(&scene.gateway.url("/thanks")).await;
    let record = scene.the_lead().await;
    assert_eq!(record["lead"]["utm"], json!({"source": "facebook"}));

    let tab = scene.chromium.tab().await;
    let without =
        "delete window.fetch; Object.defineProperty(window, 'localStorage', { get() { throw 1 } })";
    tab.before_scripts(without).await;
    tab.open(&scene.shop.url("/?utm_source=zalo")).await;
    tab.fill("[name=ho_ten]", "Trần Thị Thử").await;
    tab.fill("[name=so_dien_thoai]", "0900 000 002").await;
    tab.click("button").await;
    tab.arrives_at(&scene.gateway.url("/thanks")).await;
    let records = scene.records().await;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["lead"]["utm"], json!({"source": "zalo"}), "this page's own");
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_touch_is_forgotten_and_nonsense_is_none() {
    let scene = Scene::set(Setting::default()).await;
    let tab = scene.watched_tab().await;
    let value = async |name: &str| {
        tab.run(&format!("document.forms[0].elements.namedItem('{name}')?.value")).await
    };
    tab.open(&scene.shop.url("/?utm_source=facebook&utm_term=T")).await;
    tab.open(&scene.shop.url("/?utm_source=google")).await;
    assert_eq!(value("first_utm_source").await, "facebook");
    assert_eq!((value("utm_source").await, value("utm_term").await), (json!("google"), json!("")));

    let aged = "localStorage.leadgate = JSON.stringify(JSON.parse(localStorage.leadgate)
        .map(touch => ({ ...touch, t: touch.t - 91 * 24 * 3600 * 1000 })))";
    tab.run(aged).await;
    tab.open(&scene.shop.url("/")).await;
    assert_eq!(value("utm_source").await, Value::Null);
    tab.open(&scene.shop.url("/app#/lp?UTM_Source=zalo&utm_term=T&color=red")).await;
    assert_eq!(value("utm_source").await, "zalo", "a query behind the # counts");
    assert_eq!(value("first_utm_source").await, "zalo");
    assert_eq!(value("utm_term").await, "T", "into the field that the form has");
    assert_eq!(tab.run("document.getElementsByName('utm_term').length").await, 1);
    assert_eq!(value("color").await, Value::Null);

    for nonsense in ["nonsense", "null", "[null, {}]", r#"{"v": 1}"#, r#"[{"v": [], "t": 1}]"#] {
        tab.run(&format!("localStorage.leadgate = '{nonsense}'")).await;
        tab.open(&scene.shop.url("/lien-he")).await;
        assert_eq!(value("page_url").await, scene.shop.url("/lien-he"), "{nonsense}");
        assert_eq!(value("first_utm_source").await, Value::Null, "{nonsense}");
    }
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_may_say_where_it_is_sent_and_where_its_visitor_goes() {
    let scene = Scene::set(Setting { has_thank_you_url: true, ..Setting::default() }).await;
    let tab = scene.chromium.tab().await;
    tab.open(&scene.shop.url("/lp/")).await;
    tab.run(
        "const form = document.forms[0];
        form.dataset.leadgate = form.action;
        form.action = '/elsewhere';
        form.dataset.leadgateThanks = 'da-gui'",
    )
    .await;
    fill_in_and_send(&tab).await;
    tab.arrives_at(&scene.shop.url("/lp/da-gui")).await;
    scene.the_lead().await;
    scene.gateway.stop().await;
}

/// A page's script may send no more than 64 kB that outlive the page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_message_is_posted_by_the_browser() {
    let scene = Scene::set(Setting::default()).await;
    let tab = scene.watched_tab().await;
    tab.open(&scene.shop.url("/")).await;
    let long = "Nội dung ".repeat(5_000);
    tab.fill("[name=noi_dung]", &long).await;
    fill_in_and_send(&tab).await;
    tab.arrives_at(&scene.gateway.url("/thanks")).await;
    let record = scene.the_lead().await;
    assert_eq!(record["lead"]["message"], long.trim());
    assert!(record["external_id"].is_string(), "with the script's id");
    assert_eq!((scene.posts("accepted").await, scene.posts("repeated").await), (1.0, 0.0));
    scene.gateway.stop().await;
}

/// The script's post arrives, its answer cannot be read, and the form is posted again: it has the
/// same id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_is_sent_twice_is_one_submission() {
    let scene = Scene::set(Setting { is_stranger: true, ..Setting::default() }).await;
    let tab = scene.watched_tab().await;
    tab.open(&scene.shop.url("/")).await;
    fill_in_and_send(&tab).await;
    tab.arrives_at(&scene.gateway.url("/thanks")).await;
    let record = scene.the_lead().await;
    assert!(record["external_id"].is_string());
    assert_eq!((scene.posts("accepted").await, scene.posts("repeated").await), (1.0, 1.0));
    scene.gateway.assert_ledger_sums().await;
    scene.gateway.stop().await;
}

/// A page that loads no other one changes its address, and may send its form by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_may_change_its_address_and_send_its_form_itself() {
    let scene = Scene::set(Setting::default()).await;
    let tab = scene.watched_tab().await;
    tab.open(&scene.shop.url("/")).await;
    tab.run("history.pushState({}, '', '/san-pham')").await;
    fill_in_and_send(&tab).await;
    assert_eq!(tab.sees("told[0]").await["what"], "sent");
    let record = scene.the_lead().await;
    assert_eq!(record["lead"]["page_url"], scene.shop.url("/san-pham"));
    tab.fill("[name=noi_dung]", "Còn một câu hỏi").await;
    tab.run("document.forms[0].submit()").await;
    tab.arrives_at(&scene.gateway.url("/thanks")).await;
    eventually("another submission", async || (scene.posts("merged").await == 1.0).then_some(()))
        .await;
    assert_eq!(scene.posts("repeated").await, 0.0);
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_offline_goes_out_once_when_the_line_is_back() {
    let scene = Scene::set(Setting::default()).await;
    let tab = scene.watched_tab().await;
    tab.open(&scene.shop.url("/?utm_source=facebook")).await;
    tab.is_offline(true).await;
    fill_in_and_send(&tab).await;
    assert_eq!(tab.sees("told[0]").await["what"], "waiting");
    tab.click("button").await; // it is on its way already
    assert!(scene.records().await.is_empty());
    tab.is_offline(false).await;
    assert_eq!(tab.sees("told[1]").await["what"], "sent");
    scene.the_lead().await;
    assert_eq!(tab.run("told.length").await, 2);
    assert_eq!((scene.posts("accepted").await, scene.posts("repeated").await), (1.0, 0.0));
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_told_and_a_visitor_sees_what_is_wrong() {
    let scene = Scene::set(Setting::default()).await;
    let tab = scene.watched_tab().await;
    tab.open(&scene.shop.url("/")).await;
    tab.click("button").await; // the browser asks for the name first
    tab.run("document.forms[0].requestSubmit()").await;
    assert_eq!(tab.run("told.length").await, 0);
    fill_in(&tab).await;
    tab.run("for (const n of [1, 2]) document.forms[0].requestSubmit()").await;
    assert_eq!(tab.sees("told[0]").await["what"], "sent");
    scene.the_lead().await;
    assert_eq!((scene.posts("accepted").await, scene.posts("repeated").await), (1.0, 0.0));

    tab.before_scripts(
        "addEventListener('leadgate:failed', event => window.stays && event.preventDefault())",
    )
    .await;
    tab.open(&scene.shop.url("/")).await;
    tab.run("window.stays = true").await;
    tab.fill("[name=ho_ten]", "Nguyễn Văn Thử").await;
    tab.click("button").await;
    let told = tab.sees("told[0]").await;
    assert_eq!((&told["what"], &told["status"]), (&json!("failed"), &json!(422)));
    assert_eq!(told["errors"][0]["field"], "phone");
    assert_eq!(tab.url().await, scene.shop.url("/"), "the page shows it itself");
    tab.run("window.stays = false").await;
    tab.click("button").await;
    tab.arrives_at(&scene.gateway.url("/in/website")).await;
    let shown = tab.sees("document.querySelector('h1')?.textContent").await;
    assert!(shown.as_str().unwrap().contains("số điện thoại"), "{shown}");
    scene.gateway.stop().await;
}
