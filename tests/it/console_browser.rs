//! The console in a real browser: an operator's morning, without an error and within the policy.

use std::time::Duration;

use leadgate::config::{Config, LeadUrl};
use leadgate::lead::Clock;
use leadgate::sandbox::Options;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checkout::script;
use crate::chromium::{Chromium, Tab};
use crate::gateway::{
    ADMIN_TOKEN, Backing, CareSoft, Gateway, configuration, eventually, over_every_store,
};

over_every_store!(an_operators_morning, a_lead_arrives_by_the_stream_alone);

/// CareSoft knows no such service: whoever is sent there dies.
const NO_SERVICE: u64 = 999_999;

/// What a page must not do, remembered over all pages of a tab.
const WATCH: &str = "
    const note = (what) => sessionStorage.setItem('faults', (sessionStorage.getItem('faults') || '') + what + '\\n');
    addEventListener('error', (event) => note('error: ' + event.message), true);
    addEventListener('unhandledrejection', (event) => note('rejection: ' + event.reason));
    document.addEventListener('securitypolicyviolation', (event) => note('policy: ' + event.violatedDirective + ' ' + event.blockedURI));
    const error = console.error;
    console.error = (...words) => { note('console: ' + words.join(' ')); error(...words); };
";

/// A browser's tab at a gateway's console.
struct Desk<'a> {
    gateway: &'a Gateway,
    tab: Tab,
}

impl Desk<'_> {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.admin)
    }

    async fn open(&self, path: &str) {
        self.tab.open(&self.url(path)).await;
    }

    async fn text(&self, selector: &str) -> Value {
        self.tab.run(&format!("document.querySelector('{selector}')?.textContent.trim()")).await
    }

    async fn sees(&self, script: &str) {
        self.tab.sees(&format!("({script}) || null")).await;
    }

    async fn assert_no_faults(&self) {
        let faults = self.tab.run("sessionStorage.getItem('faults')").await;
        assert!(faults.is_null(), "{faults}");
    }
}

/// A clock by which it is nine in the morning in Vietnam: no midnight is near, of today or of tomorrow.
fn forenoon() -> Clock {
    let (clock, hand) = Clock::with_hand();
    let day = Duration::from_secs(24 * 3600).as_millis() as i64;
    let to_nine = (2 * 3_600_000 - clock.now().as_millis()).rem_euclid(day); // 02:00 UTC
    hand.skip(Duration::from_millis(to_nine.unsigned_abs()));
    clock
}

fn mistaken(config: &Config, service: u64) -> Config {
    let mut config = config.clone();
    for source in config.sources.values_mut() {
        source.lead.service_id = Some(service);
    }
    config
}

async fn an_operators_morning(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let config = configuration(&store, &folder, caresoft.address, "");
    let clock = forenoon();
    let wrong = mistaken(&config, NO_SERVICE);
    let night = Gateway::run_by(clock.clone(), &wrong, TempDir::new().unwrap()).await;
    let mut dead = Vec::new();
    for number in 1..=4 {
        let person = json!({"phone": format!("090000000{number}"), "name": format!("Thử {number}"), "utm_source": "fb", "utm_campaign": "tet"});
        dead.push(night.submit(person).await);
    }
    for id in &dead {
        night.settled(id, &["dead"]).await;
    }
    night.stop().await;

    let right = mistaken(&config, 1244);
    let gateway = Gateway::run_by(clock, &right, TempDir::new().unwrap()).await;
    let chromium = Chromium::start();
    let tab = chromium.tab().await;
    tab.before_scripts(WATCH).await;
    let desk = Desk { gateway: &gateway, tab };
    sign_in(&desk).await;
    pause_and_resume(&desk).await;
    watch_a_lead_arrive(&desk).await;
    find_and_correct(&desk, &dead[0]).await;
    assert_eq!(caresoft.leads_of("0900000011").len(), 1);
    replay_the_rest(&desk).await;
    for (id, number) in dead.iter().zip(1..).skip(1) {
        gateway.settled(id, &["created"]).await;
        assert_eq!(caresoft.leads_of(&format!("090000000{number}")).len(), 1);
    }
    forget(&desk, &dead[1]).await;
    switch_the_language(&desk).await;
    desk.tab.follow("#sign-out").await;
    desk.tab.arrives_at(&desk.url("/sign-in")).await;
    desk.assert_no_faults().await;
    gateway.assert_ledger_sums().await;
    gateway.stop().await;
}

async fn sign_in(desk: &Desk<'_>) {
    desk.open("/leads").await;
    assert!(desk.tab.url().await.contains("/sign-in?next="), "{}", desk.tab.url().await);
    desk.tab.fill("#token", "a wrong one").await;
    desk.tab.follow("#enter").await;
    assert!(!desk.text("#wrong").await.is_null());
    desk.tab.fill("#token", ADMIN_TOKEN).await;
    desk.tab.follow("#enter").await;
    desk.open("/").await;
    desk.sees("document.querySelector('[data-today=accepted]')?.textContent == '4'").await;
    assert_eq!(desk.text("[data-today=dead]").await, "4");
    desk.sees("document.querySelector('.needs li.bad')?.textContent.includes('4 dead')").await;
    assert_eq!(desk.tab.run("document.cookie").await, "", "no script reads a cookie");
}

async fn pause_and_resume(desk: &Desk<'_>) {
    for (state, id) in [("paused", "dead"), ("open", "dead")] {
        desk.tab.follow("[data-lane=main]").await;
        desk.tab.arrives_at(&desk.url("/?done=")).await;
        let shown = format!("document.querySelector('[data-lane-state={state}]')");
        desk.sees(&format!("!!{shown}")).await;
        assert_eq!(desk.text(&format!("[data-today={id}]")).await, "4");
    }
}

async fn watch_a_lead_arrive(desk: &Desk<'_>) {
    desk.open("/leads").await;
    let rows = "document.querySelectorAll('[data-row]').length";
    assert_eq!(desk.tab.run(rows).await, 4);
    let person = json!({"phone": "0900000007", "name": "<script>document.title = 'x'</script>"});
    desk.gateway.submit(person).await;
    desk.sees(&format!("{rows} == 5")).await;
    desk.sees("document.querySelector('[data-row] .name').textContent.includes('<script>')").await;
    assert_ne!(desk.tab.run("document.title").await, "x");
    desk.tab.click("[data-row] [data-reveal] button").await;
    let told = "document.querySelector('[data-row] [data-contact=phone]').textContent";
    desk.sees(&format!("{told} == '+84900000007'")).await;
}

async fn find_and_correct(desk: &Desk<'_>, id: &str) {
    desk.tab.fill("#q", "0900 000 001").await;
    desk.tab.follow("#find").await;
    assert_eq!(desk.text("#found").await, "1");
    assert!(!desk.tab.url().await.contains("0900"), "nobody is in an address");
    desk.tab.follow("[data-row] .name a").await;
    assert_eq!(desk.tab.url().await, desk.url(&format!("/leads/{id}")));
    desk.tab.follow("#reveal").await;
    assert_eq!(desk.text("dd[data-contact=phone]").await, "+84900000001");
    desk.tab.retype("#correct-phone", "09000000").await;
    desk.tab.follow("#correct").await;
    assert!(desk.text("#refused").await.as_str().unwrap().contains("phone"));
    desk.open(&format!("/leads/{id}")).await;
    desk.tab.follow("#reveal").await;
    desk.tab.retype("#correct-phone", "0900 000 011").await;
    desk.tab.retype("#correct-name", "Thử Một").await;
    desk.tab.retype("#correct-utm_source", "").await;
    desk.tab.follow("#correct").await;
    let record = desk.gateway.settled(id, &["created"]).await;
    assert_eq!(record["lead"]["name"], "Thử Một");
    assert_eq!(record["lead"]["phone"], "+84900000011");
    let utm = &record["lead"]["utm"];
    assert_eq!(*utm, json!({"campaign": "tet"}), "an emptied field is removed, another one stays");
}

async fn replay_the_rest(desk: &Desk<'_>) {
    desk.open("/trouble").await;
    desk.tab.follow("[data-group]").await;
    assert_eq!(desk.text("#number").await, "3");
    desk.tab.follow("#replay-all").await;
    desk.tab.arrives_at(&desk.url("/trouble?done=replayed-3")).await;
    desk.sees("!document.querySelector('[data-group]')").await;
}

async fn forget(desk: &Desk<'_>, id: &str) {
    desk.open(&format!("/leads/{id}")).await;
    desk.tab.click("#forget-open").await;
    desk.tab.click("#forget-sure").await;
    desk.tab.follow("#forget").await;
    let done = desk.text("#done").await;
    assert!(done.to_string().contains("erasure-"), "{done}");
    assert_eq!(desk.tab.run("document.querySelector('#state').dataset.state").await, "erased");
    let erased = eventually("it is erased", async || {
        Some(desk.gateway.record(id).await).filter(|record| record["state"] == "erased")
    });
    assert!(erased.await["lead"].is_null());
}

async fn switch_the_language(desk: &Desk<'_>) {
    let language = "document.documentElement.lang";
    assert_eq!(desk.tab.run(language).await, "en");
    desk.tab.follow("#language").await;
    assert_eq!(desk.tab.run(language).await, "vi");
    for path in ["/", "/sources", "/attribution", "/trouble", "/leads"] {
        desk.open(path).await;
        assert_eq!(desk.tab.run(language).await, "vi", "{path}");
    }
}

/// What the pages do without a script, and that a phone's width is enough for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_a_phone_and_need_no_script() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let id =
        gateway.submit(json!({"phone": "0900000001", "name": "Thử", "utm_source": "fb"})).await;
    gateway.settled(&id, &["created"]).await;
    let chromium = Chromium::start();
    let tab = chromium.tab().await;
    tab.before_scripts(WATCH).await;
    let width = json!({"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true});
    tab.call("Emulation.setDeviceMetricsOverride", width).await;
    let desk = Desk { gateway: &gateway, tab };
    desk.open("/sign-in").await;
    desk.tab.fill("#token", ADMIN_TOKEN).await;
    desk.tab.follow("#enter").await;
    for path in [
        "/",
        "/leads",
        &format!("/leads/{id}"),
        "/trouble",
        "/sources",
        "/attribution",
        "/sources/website/sample",
        "/guides/meta-lead-ads",
    ] {
        desk.open(path).await;
        let width = desk.tab.run("document.documentElement.scrollWidth").await;
        assert!(width.as_u64().unwrap() <= 360, "{path}: {width}");
    }
    desk.tab.follow("#language").await;
    assert!(desk.tab.url().await.ends_with("/guides/meta-lead-ads"));
    let heading = desk.tab.run("document.querySelector('.guide h2').textContent").await;
    assert_eq!(heading, "Thiết lập");
    let width = desk.tab.run("document.documentElement.scrollWidth").await;
    assert!(width.as_u64().unwrap() <= 360, "in Vietnamese: {width}");
    desk.assert_no_faults().await;
    desk.tab.without_scripts().await;
    desk.open("/leads").await;
    desk.tab.follow("[data-reveal] button").await;
    assert!(desk.tab.url().await.ends_with(&format!("/leads/{id}/reveal")));
    gateway.stop().await;
}

/// Has a page of nothing but what it is told: whatever it would do by itself after four seconds it does not.
const NEVER_LOOKS_BY_ITSELF: &str = "
    const later = window.setTimeout;
    window.setTimeout = (what, after, ...more) => after > 3500 ? 0 : later(what, after, ...more);
";

/// When the page has fetched itself anew, in milliseconds.
const FETCHES: &str = "performance.getEntriesByType('resource')
    .filter((entry) => entry.initiatorType == 'fetch').map((entry) => entry.startTime)";

async fn a_lead_arrives_by_the_stream_alone(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let chromium = Chromium::start();
    let tab = chromium.tab().await;
    tab.before_scripts(WATCH).await;
    tab.before_scripts(NEVER_LOOKS_BY_ITSELF).await;
    let desk = Desk { gateway: &gateway, tab };
    enter(&desk).await;
    desk.open("/leads").await;
    desk.tab.run("document.body.dataset.unloaded = 'no'").await;
    let rows = "document.querySelectorAll('[data-row]').length";
    for number in 1..=40 {
        let phone = format!("09000000{number:02}");
        gateway.submit(json!({ "phone": phone })).await;
    }
    desk.sees(&format!("{rows} == 40")).await;
    desk.sees("document.querySelectorAll('[data-state=created]').length == 40").await;
    assert_eq!(desk.tab.run("document.body.dataset.unloaded").await, "no", "it was not reloaded");
    let fetches = desk.tab.run(FETCHES).await;
    let fetches: Vec<f64> = fetches.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    assert!(fetches.len() > 1, "{fetches:?}");
    for pair in fetches.windows(2) {
        assert!(pair[1] - pair[0] >= 990.0, "once a second at most: {fetches:?}");
    }
    desk.assert_no_faults().await;
    gateway.stop().await;
}

/// Where the stream does not come through, the page looks for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_hears_nothing_looks_for_itself() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "").await;
    let chromium = Chromium::start();
    let tab = chromium.tab().await;
    tab.call("Network.setBlockedURLs", json!({ "urls": ["*/api/events"] })).await;
    let desk = Desk { gateway: &gateway, tab };
    enter(&desk).await;
    desk.open("/leads").await;
    gateway.submit(json!({"phone": "0900000001"})).await;
    desk.sees("document.querySelectorAll('[data-row]').length == 1").await;
    let tab = desk.tab;
    gateway.stop().await;
    tab.sees("document.getElementById('stale').hidden === false || null").await;
}

async fn enter(desk: &Desk<'_>) {
    desk.open("/sign-in").await;
    desk.tab.fill("#token", ADMIN_TOKEN).await;
    desk.tab.follow("#enter").await;
}

/// A sample is one button and one question away, and its lead is shown; a lead links to where
/// CareSoft shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_is_sent_from_the_page_of_sources() {
    let caresoft = CareSoft::start(Options::default());
    let shown = format!("http://{}/#lead-{{id}}", caresoft.address);
    let gateway = Gateway::start_with(&caresoft, "", |config| {
        for destination in config.destinations.values_mut() {
            destination.lead_url = Some(LeadUrl::parse(&shown).unwrap());
        }
    })
    .await;
    let chromium = Chromium::start();
    let tab = chromium.tab().await;
    tab.before_scripts(WATCH).await;
    let desk = Desk { gateway: &gateway, tab };
    enter(&desk).await;
    desk.open("/sources").await;
    desk.tab.follow("[data-sample=website]").await;
    let said = desk.text("#real").await;
    assert!(said.as_str().unwrap().contains(&caresoft.address.to_string()), "{said}");
    assert_eq!(caresoft.sandbox.leads().len(), 0, "nothing is sent before it is said");
    desk.tab.follow("#send-sample").await;
    desk.tab.arrives_at(&desk.url("/leads/")).await;
    assert!(desk.text("#done").await.as_str().unwrap().contains("sample"));
    let url = desk.tab.url().await;
    let id = url.rsplit_once('/').unwrap().1.split('?').next().unwrap().to_owned();
    let record = gateway.settled(&id, &["created"]).await;
    desk.open(&format!("/leads/{id}")).await;
    let lead = record["upstream"]["lead_id"].as_u64().unwrap();
    let link = desk.tab.run("document.querySelector('#upstream a').href").await;
    assert_eq!(link, format!("http://{}/#lead-{lead}", caresoft.address));
    let anchor = desk
        .tab
        .run("[...document.querySelectorAll('#upstream a')].map((a) => a.target + ' ' + a.rel)[0]")
        .await;
    assert_eq!(anchor, "_blank noreferrer");
    desk.assert_no_faults().await;
    let page = gateway.http.get(format!("http://{}/", caresoft.address)).send().await.unwrap();
    assert!(page.text().await.unwrap().contains(&format!("<tr id=lead-{lead}>")));
    gateway.stop().await;
}

/// What axe-core finds that is serious, as one line each.
const AXE: &str = "axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations
    .filter((one) => ['serious', 'critical'].includes(one.impact))
    .map((one) => one.id + ': ' + one.nodes.map((node) => node.target + ' ' + (node.any[0]?.message || '')).join(' | ')))";

/// Every page, light and dark, on a phone and on a desk: nobody is kept out, and nothing is at fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_kept_out_of_any_page() {
    let found = script("axe").output().expect("bash");
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let file = String::from_utf8(found.stdout).expect("a path");
    let axe = std::fs::read_to_string(file.trim()).expect("axe-core");
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::start(&caresoft, "invalid = \"quarantine\"").await;
    let person = json!({"phone": "0900000001", "name": "Thử", "utm_source": "fb", "ghi_chu": "x"});
    let id = gateway.submit(person).await;
    gateway.settled(&id, &["created"]).await;
    let unusable = gateway.submit(json!({"name": "Thử"})).await;
    let chromium = Chromium::start();
    let tab = chromium.tab().await;
    tab.before_scripts(WATCH).await;
    let desk = Desk { gateway: &gateway, tab };
    desk.open("/sign-in").await;
    desk.tab.run(&format!("{axe}; document.body.append(new Image())")).await;
    assert_ne!(desk.tab.awaits(AXE).await, json!([]), "a picture without words is found");
    desk.open("/sign-in").await;
    assert_accessible(&desk, &axe, "/sign-in").await;
    enter(&desk).await;
    desk.open("/trouble").await;
    let group = desk.tab.run("document.querySelector('[data-group]').pathname").await;
    let (lead, quarantined) = (format!("/leads/{id}"), format!("/leads/{unusable}"));
    for path in [
        "/",
        "/leads",
        &lead,
        &quarantined,
        "/trouble",
        group.as_str().unwrap(),
        "/sources",
        "/sources/website/sample",
        "/guides/web-form?source=website",
        "/attribution",
    ] {
        desk.open(path).await;
        assert_accessible(&desk, &axe, path).await;
    }
    desk.open(&quarantined).await;
    desk.tab.follow("#reveal").await;
    assert_accessible(&desk, &axe, "a revealed lead").await;
    desk.assert_no_faults().await;
    gateway.stop().await;
}

/// The page that is shown, in each of its looks.
async fn assert_accessible(desk: &Desk<'_>, axe: &str, page: &str) {
    desk.tab.run(&format!("{axe}; null")).await;
    for (width, scheme) in [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")] {
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        desk.tab.call("Emulation.setDeviceMetricsOverride", size).await;
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        desk.tab.call("Emulation.setEmulatedMedia", json!({ "features": feature })).await;
        let found = desk.tab.awaits(AXE).await;
        assert_eq!(found, json!([]), "{page}, {width} px, {scheme}");
    }
}
