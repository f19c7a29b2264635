//! What an `[enrich]` asks, and what it makes of a refusal.

use serde_json::json;
use url::Url;

use super::*;

const TEXT: &str = r#"
    secret = "page_token"
    error = { code = "error.code", subcode = "error.error_subcode" }
    backoff_header = { name = "X-Usage", path = "*[*].regain", unit = "min" }
    [on]
    "190" = "alert"
    "200-299" = "alert"
    "100" = "park"
    "100/33" = "few_then_park"
    "http:418" = "backoff"
    [[fetch]]
    name = "lead"
    url = "https://graph.example/v1/{body:notice.id}?fields=a,b"
    [[fetch]]
    name = "form"
    url = "https://graph.example/v1/forms/{body:lead.form|after:form:|before:,}"
    cache = "1h"
"#;

fn enrich(text: &str) -> Result<Enrich, String> {
    let enrich: Enrich = toml::from_str(text).map_err(|error| error.to_string())?;
    enrich.fault().map_or(Ok(enrich), |(_, problem)| Err(problem))
}

#[test]
fn addresses_are_made_of_what_is_known_and_cannot_be_led_elsewhere() {
    let enrich = enrich(TEXT).unwrap();
    let address =
        |nth: usize, element: Value| enrich.fetch[nth].address(&element, None).map(String::from);
    let lead = |id: &str| address(0, json!({"notice": {"id": id}}));
    let expected = "https://graph.example/v1/77?fields=a,b";
    assert_eq!(address(0, json!({"notice": {"id": 77}})).as_deref(), Some(expected));
    let odd = lead("../me?access_token=x#");
    let expected = "https://graph.example/v1/..%2Fme%3Faccess_token%3Dx%23?fields=a,b";
    assert_eq!(odd.as_deref(), Some(expected));
    for id in ["..", ".", "", &"1".repeat(257)] {
        assert_eq!(lead(id), None, "{id}");
    }
    let form = address(1, json!({"notice": {}, "lead": {"form": "v:(form:12, 3)"}}));
    assert_eq!(form.as_deref(), Some("https://graph.example/v1/forms/12"));
    let base = Url::parse("http://127.0.0.1:9/graph/").unwrap();
    let address = enrich.fetch[0].address(&json!({"notice": {"id": 1}}), Some(&base)).unwrap();
    assert_eq!(address.as_str(), "http://127.0.0.1:9/graph/v1/1?fields=a,b");
}

#[test]
fn a_refusal_is_judged_by_its_code_then_by_its_status() {
    let enrich = enrich(TEXT).unwrap();
    let judged = |status: u16, body: Value| {
        let refused = enrich.refused(status, &body);
        (refused.remedy, refused.told)
    };
    let error = |code: Value, subcode: Value| json!({"error": {"code": code, "error_subcode": subcode, "message": "Nguyễn Thử"}});
    for (status, body, remedy, told) in [
        (400, error(json!(190), json!(463)), Remedy::Alert, "400, code 190/463"),
        (400, error(json!(230), Value::Null), Remedy::Alert, "400, code 230"),
        (400, error(json!(100), json!(33)), Remedy::FewThenPark, "400, code 100/33"),
        (400, error(json!(100), json!(34)), Remedy::Park, "400, code 100/34"),
        (400, error(json!("Nguyễn Thử"), Value::Null), Remedy::Park, "400"),
        (418, Value::Null, Remedy::Backoff, "418"),
        (401, Value::Null, Remedy::Alert, "401"),
        (404, Value::Null, Remedy::FewThenPark, "404"),
        (429, Value::Null, Remedy::Backoff, "429"),
        (422, Value::Null, Remedy::Park, "422"),
        (500, Value::Null, Remedy::Retry, "500"),
        (302, Value::Null, Remedy::Retry, "302"),
    ] {
        assert_eq!(judged(status, body), (remedy, told.to_owned()));
    }
    let header = enrich.backoff_header.as_ref().unwrap();
    let usage = r#"{"77":[{"regain":3},{"regain":"12"}],"78":[{"regain":0}]}"#;
    assert_eq!(header.wait(usage), Some(Duration::from_secs(720)));
    assert_eq!(header.wait(r#"{"77":[{"regain":0}]}"#), None);
    assert_eq!(header.wait("soon"), None);
}

#[test]
fn an_element_is_a_notice_until_everything_is_there() {
    let enrich = enrich(TEXT).unwrap();
    assert!(enrich.lacks(&json!({"notice": {}})));
    assert!(enrich.lacks(&json!({"notice": {}, "lead": {}, "form": null})));
    assert!(enrich.lacks(&json!([1])));
    assert!(!enrich.lacks(&json!({"notice": {}, "lead": {}, "form": {}})));
}

#[test]
fn what_cannot_be_fetched_so_is_refused() {
    for (wrong, right, word) in [
        ("http://graph.example/v1/{body:n", "https://graph.example/v1/{body:n", "https://"),
        ("https://{body:notice.host}/v1/{body:n", "https://graph.example/v1/{body:n", "host"),
        ("https://a:b@graph.example/v1/{body:n", "https://graph.example/v1/{body:n", "host"),
        ("{secret:page_token}", "{body:notice.id}", "no values but"),
        ("{body:form.id}", "{body:notice.id}", "not there yet"),
        ("name = \"notice\"", "name = \"lead\"", "taken"),
        ("name = \"lead\"", "name = \"form\"", "taken"),
        ("\"http:20\"", "\"http:418\"", "a status"),
        ("\"shrug\"", "\"park\"", "unknown variant"),
        ("secret = \"page_token\"\ntimeout = \"2h\"", "secret = \"page_token\"", "60s"),
        (
            "secret = \"page_token\"\nheaders = { Authorization = \"x\" }",
            "secret = \"page_token\"",
            "Authorization",
        ),
    ] {
        assert!(TEXT.contains(right), "{right}");
        let error = enrich(&TEXT.replacen(right, wrong, 1)).unwrap_err();
        assert!(error.contains(word), "{wrong}: {error}");
    }
}
