//! Invariant 10 over the whole road: every utm value and click id that arrived is readable from
//! the `ref_url` that CareSoft was sent.

use std::collections::HashMap;

use leadgate::sandbox::Options;
use serde_json::json;
use url::Url;

use crate::gateway::{Backing, CareSoft, Gateway, over_every_store};

over_every_store!(invariant_10_attribution_survives_byte_for_byte,);

async fn invariant_10_attribution_survives_byte_for_byte(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let gateway = Gateway::over(&store, &caresoft, "").await;
    let values = [
        ("utm_source", "Tết & xuân=2026?"),
        ("utm_medium", "CPC+banner %20"),
        ("utm_campaign", "chiến dịch #1"),
        ("utm_content", "日本語/🎉\"'<>"),
        ("utm_id", "000123"),
        ("fbclid", "IwAR0_x-Y~z.=="),
        ("gclid", "Cj0KCQ+/="),
    ];
    let mut body = json!({
        "phone": "0900000001",
        "page_url": "https://shop.example.vn/lp?color=đỏ&utm_source=page&utm_term=only-in-page#form",
    });
    for (name, value) in values {
        body[name] = json!(value);
    }
    let id = gateway.submit(body).await;
    gateway.settled(&id, &["created"]).await;
    let leads = caresoft.leads_of("0900000001");
    let sent = leads[0].ref_url.clone().expect("a ref_url");
    let url = Url::parse(&sent).expect("a URL");
    let parsed: HashMap<_, _> = url.query_pairs().into_owned().collect();
    for (name, value) in values {
        assert_eq!(parsed[name], value, "{name} in {sent}");
        assert_eq!(url.query_pairs().filter(|(found, _)| found == name).count(), 1, "{name}");
    }
    assert_eq!((&*parsed["utm_term"], &*parsed["color"]), ("only-in-page", "đỏ"));
    assert_eq!((url.host_str(), url.path()), (Some("shop.example.vn"), "/lp"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_post_without_a_page_uses_the_sources_page_or_the_endpoint() {
    let caresoft = CareSoft::start(Options::default());
    let with_page =
        Gateway::start(&caresoft, "page_url = \"https://shop.example.vn/dang-ky\"").await;
    let id = with_page.submit(json!({"phone": "0900000001", "utm_source": "zalo_oa"})).await;
    assert_eq!(
        with_page.record(&id).await["lead"]["ref_url"],
        "https://shop.example.vn/dang-ky?utm_source=zalo_oa"
    );
    with_page.stop().await;
    let without = Gateway::start(&caresoft, "").await;
    let id = without.submit(json!({"phone": "0900000002", "utm_source": "zalo_oa"})).await;
    assert_eq!(
        without.record(&id).await["lead"]["ref_url"],
        "https://leads.example.vn/in/website?utm_source=zalo_oa"
    );
    let id = without.submit(json!({"phone": "0900000003"})).await;
    assert_eq!(without.record(&id).await["lead"]["ref_url"], json!(null));
    without.stop().await;
}
