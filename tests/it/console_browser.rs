//! The console in a real browser: an operator's morning, without an error and within the policy.

use leadgate::config::Config;
use leadgate::sandbox::Options;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chromium::{Chromium, Tab};
use crate::gateway::{
    ADMIN_TOKEN, Backing, CareSoft, Gateway, configuration, eventually, over_every_store,
};

over_every_store!(an_operators_morning,);

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
    let night = Gateway::run(&mistaken(&config, NO_SERVICE), TempDir::new().unwrap()).await;
    let mut dead = Vec::new();
    for number in 1..=4 {
        let person =
            json!({"phone": format!("090000000{number}"), "name": format!("Thử {number}")});
        dead.push(night.submit(person).await);
    }
    for id in &dead {
        night.settled(id, &["dead"]).await;
    }
    night.stop().await;

    let gateway = Gateway::run(&mistaken(&config, 1244), TempDir::new().unwrap()).await;
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
    desk.tab.fill("#correct-phone", "09000000").await;
    desk.tab.follow("#correct").await;
    assert!(desk.text("#refused").await.as_str().unwrap().contains("phone"));
    desk.open(&format!("/leads/{id}")).await;
    desk.tab.click("#correct-open").await;
    desk.tab.fill("#correct-phone", "0900 000 011").await;
    desk.tab.fill("#correct-name", "Thử Một").await;
    desk.tab.follow("#correct").await;
    let record = desk.gateway.settled(id, &["created"]).await;
    assert_eq!(record["lead"]["name"], "Thử Một");
    assert_eq!(record["lead"]["phone"], "+84900000011");
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
    for path in ["/", "/leads", &format!("/leads/{id}"), "/trouble", "/sources", "/attribution"] {
        desk.open(path).await;
        let width = desk.tab.run("document.documentElement.scrollWidth").await;
        assert!(width.as_u64().unwrap() <= 360, "{path}: {width}");
    }
    desk.assert_no_faults().await;
    desk.tab.without_scripts().await;
    desk.open("/leads").await;
    desk.tab.follow("[data-reveal] button").await;
    assert!(desk.tab.url().await.ends_with(&format!("/leads/{id}/reveal")));
    gateway.stop().await;
}
