use super::*;

#[tokio::test]
async fn both_hosts_share_one_limit_and_the_429_is_no_json() {
    let bench = Bench::start(Options::default());
    for n in 0..15 {
        let client = if n % 2 == 0 { &bench.client } else { &bench.standby };
        assert!(client.groups().await.result.is_ok(), "{n}");
    }
    let refused = bench.standby.create_lead(&new_lead()).await;
    assert_eq!(refused.status, Some(429));
    let failure = refused.result.unwrap_err();
    assert_eq!((failure.kind(), failure.retry_after()), ("throttled", None));
    let (status, body) = bench.raw("GET", &format!("{API}/groups"), "", "").await;
    assert_eq!((status, body.as_str()), (429, r#"{code:"errors",message:"Too Many Attempts."}"#));
    bench.pass(Duration::from_secs(1));
    assert!(bench.client.create_lead(&new_lead()).await.result.is_ok());
    assert_eq!(bench.sandbox.leads().len(), 1);
    assert_eq!(bench.sandbox.longest_run_of_429(), 2);
    let log = bench.sandbox.log();
    assert_eq!((log[0].host, log[1].host), (Host::Primary, Host::Standby));
    let last = log.last().unwrap();
    assert_eq!((last.route, last.method, last.status), (Route::CreateLead, "POST", Some(200)));
    assert_eq!(last.lead_id, Some(414_856_017));
    bench.stop().await;
}

#[tokio::test]
async fn more_than_20_in_a_row_lock_the_account_out() {
    let options = Options { rate_per_second: 1, send_retry_after: true, ..Options::default() };
    let bench = Bench::start(options);
    let mut kinds = Vec::new();
    for _ in 0..23 {
        kinds.push(bench.client.groups().await.result.err().map(|failure| failure.kind()));
    }
    assert_eq!(kinds[0], None);
    assert_eq!(kinds[1..21], [Some("throttled"); 20]);
    assert_eq!(kinds[21..], [Some("locked_out"); 2]);
    let (status, body) = bench.raw("GET", &format!("{API}/groups"), "", "").await;
    let words = r#"{"code": "errors", "message": "Domain incorrect too many times , retry after 15 minutes "}"#;
    assert_eq!((status, body.as_str()), (404, words));
    assert_eq!(bench.sandbox.longest_run_of_429(), 20);
    // The one that began it could not know.
    assert_eq!(bench.sandbox.requests_during_lockout(), 2);
    bench.pass(Duration::from_secs(15 * 60));
    assert!(bench.client.groups().await.result.is_ok());
    let failure = bench.client.groups().await.result.unwrap_err();
    assert_eq!(failure.retry_after(), Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn the_429_may_be_json() {
    let options = Options { rate_per_second: 0, throttled_as_json: true, ..Options::default() };
    let bench = Bench::start(options);
    let answer = bench.get("groups").await;
    assert_eq!(answer, json!({"code": "errors", "message": "Too Many Attempts."}));
}

#[tokio::test]
async fn a_wrong_domain_and_a_wrong_token() {
    let bench = Bench::roomy(Options::default());
    let nobody = client(&bench.primary_address, "Sandbox", "sandbox-token");
    for n in 0..22 {
        let expected = if n < 20 { "configuration" } else { "locked_out" };
        assert_eq!(nobody.groups().await.result.unwrap_err().kind(), expected, "{n}");
    }
    // The lock-out is the mistyped domain's own.
    assert!(bench.client.groups().await.result.is_ok());

    bench.sandbox.swap_token("another");
    let refused = bench.client.create_lead(&new_lead()).await;
    assert_eq!((refused.status, refused.result.unwrap_err().kind()), (Some(401), "configuration"));
    let renewed = client(&bench.primary_address, "sandbox", "another");
    assert!(renewed.create_lead(&new_lead()).await.result.is_ok());
    assert_eq!(bench.sandbox.leads().len(), 1);
}

#[tokio::test]
async fn unknown_domains_need_not_count() {
    let options = Options { unknown_domain_counts: false, ..Options::default() };
    let bench = Bench::roomy(options);
    let nobody = client(&bench.primary_address, "nobody", "x");
    for _ in 0..30 {
        assert_eq!(nobody.groups().await.result.unwrap_err().kind(), "configuration");
    }
}
