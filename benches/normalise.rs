//! What one submission costs before the store sees it: nanoseconds per step, on one thread.
//!
//! `cargo bench --bench normalise` (a few seconds). The body is the one of the `accept` bench.
//! Then a Typeform of 2 kB with a signature, which has to be verified and whose answers have to be
//! gathered first. Each figure is the best of many short rounds: what the code costs, not what the
//! machine adds.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod cost;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use leadgate::config::NameOrder;
use leadgate::lead::Clock;
use leadgate::normalise::fold::fold;
use leadgate::normalise::{Draft, Rules, attribution, email, name, normalise, phone, ref_url};
use leadgate::preset::{Heard, Preset, Secrets};
use leadgate::source::decode::decode;
use serde_json::Value;
use sha2::Sha256;
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

    let typeform = Typeform::new();
    println!("\na Typeform of {} bytes", typeform.body.len());
    let document = self::document(&typeform.body);
    let (draft, document_copy) = (typeform.draft(document.clone()), cost(|| document.clone()));
    let draft_copy = cost(|| draft.clone());
    report("verify", cost(|| typeform.verified()));
    report("decode", cost(|| self::document(&typeform.body)));
    report("extract", cost(|| typeform.draft(document.clone())) - document_copy);
    report("normalise", cost(|| normalise(draft.clone(), &rules)) - draft_copy);
    report("  phone", cost(|| phone::parse("+84900000007", "VN")));
    let whole = || {
        assert!(typeform.verified());
        normalise(typeform.draft(self::document(&typeform.body)), &rules)
    };
    report("whole", cost(whole));
}

/// The example of Typeform's own pages, in which a phone was left as well, and its signature.
struct Typeform {
    preset: Preset,
    body: Bytes,
    signature: String,
    secrets: Secrets,
}

impl Typeform {
    const SECRET: &str = "the secret of a benchmark";

    fn new() -> Self {
        let text = include_str!("../tests/fixtures/typeform/official_example_trimmed.json");
        let phone = r#"{"type":"phone_number","phone_number":"+84900000007","field":{"id":"KoJxDM3c6x8h","type":"phone_number"}}"#;
        let date =
            r#"{"type":"date","date":"2005-10-15","field":{"id":"KoJxDM3c6x8h","type":"date"}}"#;
        let body = Bytes::from(text.replace(date, phone));
        let mut mac = Hmac::<Sha256>::new_from_slice(Self::SECRET.as_bytes()).expect("any key");
        mac.update(&body);
        let signature = format!("sha256={}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        let secrets = [("secret".to_owned(), vec![Self::SECRET.to_owned().into()])].into();
        let preset = Preset::load("typeform", []).expect("a built-in preset");
        Self { preset, body, signature, secrets }
    }

    fn verified(&self) -> bool {
        let header = |name: &str| (name == "Typeform-Signature").then_some(&*self.signature);
        let url = "https://leads.example.vn/in/typeform";
        let heard = Heard::new("POST", url, "", &header, &self.body);
        self.preset.verify.passes(&heard, &self.secrets, Clock::system().now(), None) == Some(true)
    }

    fn draft(&self, document: Value) -> Draft {
        let item = self.preset.items(document).leads.remove(0);
        self.preset.extract(item, None).expect("few fields").draft
    }
}

fn document(body: &Bytes) -> Value {
    let decoded =
        decode(Some("application/json"), body).now_or_never().expect("nothing to wait for");
    decoded.expect("readable").remove(0)
}

fn draft(document: Value, preset: &Preset) -> Draft {
    preset.extract(document, None).expect("few fields").draft
}

fn report(step: &str, nanoseconds: f64) {
    println!("{step:20} {nanoseconds:8.0} ns");
}
