//! What a stored lead takes: bytes, and nanoseconds on one thread.
//!
//! `cargo bench --bench payload` (a few seconds). `form` is the lead that the `accept` bench posts;
//! `lead` what a landing page's form makes, `long` somebody who writes a lot. Each time is the best
//! of many short rounds: what the code costs, not what the machine adds.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod cost;

use leadgate::lead::Lead;
use leadgate::store::payload::{Payload, Vault};
use secrecy::SecretString;

use self::cost::cost;

const LEAD: &str = r#"{"name":"Nguyễn Văn Thử","phone":"+84900000001","email":"thu.nguyen88@example.vn","message":"Tôi muốn được tư vấn về căn hộ hai phòng ngủ","ref_url":"https://shop.example.vn/du-an/can-ho?utm_source=facebook&utm_medium=cpc&utm_campaign=tet-2027","page_url":"https://shop.example.vn/du-an/can-ho?utm_source=facebook&utm_medium=cpc&utm_campaign=tet-2027","referrer":null,"utm":{"campaign":"tet-2027","medium":"cpc","source":"facebook"},"click_ids":{},"answers":[],"fields":{"email":"thu.nguyen88@example.vn","ho_ten":"Nguyễn Văn Thử","noi_dung":"Tôi muốn được tư vấn về căn hộ hai phòng ngủ","so_dien_thoai":"0900 000 001"}}"#;

const FORM: &str = r#"{"name":"Nguyễn Văn Thử 7","phone":"+84900000007","email":"thu.7@example.vn","message":"Tôi muốn được tư vấn về căn hộ hai phòng ngủ, xin gọi lại sau 18 giờ.","ref_url":"https://shop.example.vn/du-an/can-ho?utm_source=facebook&utm_medium=cpc&utm_campaign=tet-2027&utm_content=video-1&fbclid=IwAR0abcdefghijklmnopqrstuvwxyz0123456789&utm_term=can%20ho","page_url":"https://shop.example.vn/du-an/can-ho?utm_source=facebook&utm_medium=cpc&utm_campaign=tet-2027&utm_content=video-1&fbclid=IwAR0abcdefghijklmnopqrstuvwxyz0123456789","referrer":"https://l.facebook.com/","utm":{"campaign":"tet-2027","content":"video-1","medium":"cpc","source":"facebook","term":"can ho"},"click_ids":{"fbclid":"IwAR0abcdefghijklmnopqrstuvwxyz0123456789"},"answers":[{"label":"thanh_pho","value":"Huế"},{"label":"san_pham","value":"Căn hộ 2PN"},{"label":"consent","value":"Đồng ý nhận tin"},{"label":"filler","value":"0123456789012345678901234567890123456789012345678901234567890123456"}],"fields":{"email":"thu.7@example.vn","ho_ten":"Nguyễn Văn Thử 7","noi_dung":"Tôi muốn được tư vấn về căn hộ hai phòng ngủ, xin gọi lại sau 18 giờ.","so_dien_thoai":"0900000007"}}"#;

const SENTENCE: &str = "Gia đình tôi có bốn người và đang tìm một căn hộ gần trường học của hai cháu, \
    ngân sách khoảng ba tỷ rưỡi, ưu tiên tầng trung và có ban công hướng đông nam. ";

fn main() {
    let lead: Lead = serde_json::from_str(LEAD).expect("a lead");
    let form: Lead = serde_json::from_str(FORM).expect("a lead");
    let long = Lead { message: Some(SENTENCE.repeat(12)), ..lead.clone() };
    let sealing = Vault::from_secret(&SecretString::from("a secret of some length"));
    let plain = Vault::from_random(&[7; 32]);
    println!(
        "      bytes: JSON  stored  sealed   ns: JSON   close  sealed    open  sealed  digest"
    );
    for (name, lead) in [("lead", lead), ("form", form), ("long", long)] {
        let payload = Payload { external_id: None, lead: Some(lead.clone()) };
        let json = serde_json::to_vec(&lead).expect("JSON");
        let [stored, sealed] = [plain.close(&payload), sealing.close(&payload)];
        print!("{name}  {:12} {:7} {:7}", json.len(), stored.len(), sealed.len());
        let costs = [
            cost(|| serde_json::to_vec(&lead)),
            cost(|| plain.close(&payload)),
            cost(|| sealing.close(&payload)),
            cost(|| plain.open(&stored)),
            cost(|| sealing.open(&sealed)),
            cost(|| sealing.key().content(&lead)),
        ];
        print!("   ");
        costs.iter().for_each(|cost| print!("{cost:8.0}"));
        println!();
    }
}
