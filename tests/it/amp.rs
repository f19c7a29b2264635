//! Forms of AMP pages.

use leadgate::sandbox::Options;
use reqwest::Response;
use serde_json::{Value, json};

use crate::gateway::{CareSoft, Gateway, id_of};

const ENDPOINT: &str = "/in/website?__amp_source_origin=https%3A%2F%2Fsite.example.vn";
const CACHE: &str = "https://site-example-vn.cdn.ampproject.org";

async fn post(gateway: &Gateway, body: &'static str) -> Response {
    let request = gateway.http.post(gateway.url(ENDPOINT)).header("Origin", CACHE).body(body);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    // AMP asks for JSON; an answer in HTML would be an error whatever it asked for.
    request.header("Accept", "text/html").send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

async fn gateway(caresoft: &CareSoft) -> Gateway {
    let extra = "cors = { origins = [\"https://site.example.vn\"] }\n\
        thank_you_url = \"https://site.example.vn/cam-on\"";
    Gateway::start(caresoft, extra).await
}

#[tokio::test]
async fn a_form_that_was_taken_is_led_to_the_thank_you_page() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = gateway(&caresoft).await;
    let response = post(&gateway, "name=Amp+Th%E1%BB%AD&phone=0900000001").await;
    assert_eq!(response.status(), 202);
    for (name, value) in [
        ("Access-Control-Allow-Origin", CACHE),
        ("Access-Control-Allow-Credentials", "true"),
        ("AMP-Access-Control-Allow-Source-Origin", "https://site.example.vn"),
        ("AMP-Redirect-To", "https://site.example.vn/cam-on"),
        (
            "Access-Control-Expose-Headers",
            "AMP-Access-Control-Allow-Source-Origin, AMP-Redirect-To",
        ),
    ] {
        assert_eq!(header(&response, name), Some(value), "{name}");
    }
    let record = gateway.record(&id_of(response).await).await;
    assert_eq!(record["lead"]["phone"], "+84900000001");
    gateway.stop().await;
}

#[tokio::test]
async fn a_form_that_was_refused_is_told_why_in_amps_words() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = gateway(&caresoft).await;
    let response = post(&gateway, "phone=0900").await;
    assert_eq!(response.status(), 422);
    assert_eq!(header(&response, "AMP-Redirect-To"), None);
    assert_eq!(header(&response, "Access-Control-Allow-Origin"), Some(CACHE));
    let told: Value = response.json().await.unwrap();
    assert_eq!(told["verifyErrors"][0]["name"], "phone");
    assert_eq!(told["verifyErrors"][0]["message"], told["errors"][0]["message"]);
    gateway.stop().await;
}

/// AMP may send what a visitor has typed so far, to have it looked at.
#[tokio::test]
async fn a_form_that_is_not_sent_yet_is_looked_at_and_not_stored() {
    let caresoft = CareSoft::start(Options::default());
    let gateway = gateway(&caresoft).await;
    let good = post(&gateway, "phone=0900000001&__amp_form_verify=true").await;
    assert_eq!((good.status().as_u16(), header(&good, "AMP-Redirect-To")), (200, None));
    assert_eq!(good.json::<Value>().await.unwrap(), json!({}));
    let bad = post(&gateway, "phone=0900&__amp_form_verify=true").await;
    assert_eq!(bad.status(), 422);
    let listed: Value = gateway.admin_get("/api/leads").await.json().await.unwrap();
    assert_eq!(listed["leads"], json!([]));
    gateway.stop().await;
}
