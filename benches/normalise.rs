//! What one submission costs before the store sees it: nanoseconds per step, on one thread.
//!
//! `cargo bench --bench normalise` (a few seconds). The body is the one of the `accept` bench.
//! Each figure is the best of many short rounds: what the code costs, not what the machine adds.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod cost;

use bytes::Bytes;
use futures_util::FutureExt;
use leadgate::config::NameOrder;
use leadgate::intake::decode::decode;
use leadgate::normalise::fold::fold;
use leadgate::normalise::{Draft, Rules, attribution, email, name, normalise, phone, ref_url};
use leadgate::preset::Preset;
use serde_json::Value;
use url::Url;

use self::cost::cost;

const BODY: &str = r#"{"ho_ten":"Nguyễn Văn Thử 7","so_dien_thoai":"0900000007","email":"thu.7@example.vn","noi_dung":"Tôi muốn được tư vấn về căn hộ hai phòng ngủ, xin gọi lại sau 18 giờ.","thanh_pho":"Huế","san_pham":"Căn hộ 2PN","page_url":"https://shop.example.vn/du-an/can-ho?utm_source=facebook&utm_medium=cpc&utm_campaign=tet-2027&utm_content=video-1&fbclid=IwAR0abcdefghijklmnopqrstuvwxyz0123456789","referrer":"https://l.facebook.com/","utm_term":"can ho","consent":"Đồng ý nhận tin","filler":"0123456789012345678901234567"}"#;

/// Labels as form builders make them of what the page shows.
const LABELS: [&str; 12] = [
    "Họ và tên *",
    "Số điện thoại",
    "Email",
    "Lời nhắn",
    "Thành phố",
    "Sản phẩm quan tâm",
    "pageUrl",
    "utm_source",
    "utmCampaign",
    "Thời gian liên hệ",
    "your-name",
    "cf-turnstile-response",
];

fn main() {
    let body = Bytes::from_static(BODY.as_bytes());
    let preset = Preset::load("web-form", []).expect("a built-in preset");
    let endpoint = Url::parse("https://leads.example.vn/in/website").expect("a URL");
    let rules = Rules {
        region: "VN",
        name_order: NameOrder::FamilyFirst,
        source_page: None,
        endpoint: &endpoint,
    };
    let document = document(&body);
    let draft = draft(document.clone(), &preset);
    let lead = normalise(draft.clone(), &rules).lead;
    let keys: Vec<_> = document.as_object().expect("an object").keys().collect();
    let [document_copy, draft_copy, evidence_copy] =
        [cost(|| document.clone()), cost(|| draft.clone()), cost(|| draft.evidence.clone())];

    report("decode", cost(|| self::document(&body)));
    report("extract", cost(|| self::draft(document.clone(), &preset)) - document_copy);
    report("  fold, 11 keys", cost(|| keys.iter().map(|key| fold(key).len()).sum::<usize>()));
    report(
        "  fold, 12 labels",
        cost(|| LABELS.iter().map(|label| fold(label).len()).sum::<usize>()),
    );
    report("normalise", cost(|| normalise(draft.clone(), &rules)) - draft_copy);
    report("  name", cost(|| name::clean("Nguyễn Văn Thử 7")));
    report("  phone", cost(|| phone::parse("0900000007", "VN")));
    report("  e-mail", cost(|| email::parse("thu.7@example.vn")));
    let attribute = || attribution::attribute(draft.evidence.clone());
    report("  attribution", cost(attribute) - evidence_copy);
    report("  ref_url", cost(|| ref_url::build(&lead.attribution, None, &endpoint)));
    report("lead as JSON", cost(|| serde_json::to_vec(&lead)));
    let whole = || {
        let lead = normalise(self::draft(self::document(&body), &preset), &rules).lead;
        serde_json::to_vec(&lead)
    };
    report("whole", cost(whole));
}

fn document(body: &Bytes) -> Value {
    let decoded =
        decode(Some("application/json"), body).now_or_never().expect("nothing to wait for");
    decoded.expect("readable").remove(0)
}

fn draft(document: Value, preset: &Preset) -> Draft {
    preset.extract(document, None, &|_| None).expect("few fields").draft
}

fn report(step: &str, nanoseconds: f64) {
    println!("{step:20} {nanoseconds:8.0} ns");
}
