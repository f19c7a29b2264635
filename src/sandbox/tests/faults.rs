use super::*;

#[tokio::test]
async fn each_fault_and_what_it_leaves_behind() {
    let bench = Bench::roomy(Options::default());
    #[rustfmt::skip]
    let rows = [
        // What the client makes of it, how many leads there are afterwards.
        ("commit_no_answer", "ambiguous", None, 1),
        ("commit_reset", "ambiguous", None, 1),
        ("no_answer", "ambiguous", None, 0),
        ("reset", "ambiguous", None, 0),
        ("commit_500", "ambiguous", Some(500), 1),
        ("commit_502", "ambiguous", Some(502), 1),
        ("error_500", "ambiguous", Some(500), 0),
        ("commit_empty", "ambiguous", Some(200), 1),
        ("commit_cut_json", "ambiguous", Some(200), 1),
        ("commit_torn", "ambiguous", Some(200), 1),
        ("commit_without_id", "ambiguous", Some(200), 1),
        ("slow:50", "created", Some(200), 1),
        ("unauthorized", "configuration", Some(401), 0),
        ("too_many_requests", "throttled", Some(429), 0),
        ("unavailable", "ambiguous", Some(503), 0),
        ("duplicate", "created", Some(200), 2),
        ("lock_out", "locked_out", Some(404), 0),
    ];
    for (kind, expected, status, leads) in rows {
        let before = bench.sandbox.leads().len();
        assert!(bench.sandbox.inject(Fault::once(Route::CreateLead, kind.parse().unwrap())));
        let exchange = bench.client.create_lead(&new_lead()).await;
        let found = exchange.result.as_ref().map_or_else(|failure| failure.kind(), |_| "created");
        assert_eq!((found, exchange.status), (expected, status), "{kind}: {:?}", exchange.result);
        assert_eq!(bench.sandbox.leads().len() - before, leads, "{kind}");
        assert_eq!(bench.sandbox.log().last().unwrap().status, status, "{kind}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let bench = Bench::roomy(Options::default());
    let mut stream = TcpStream::connect(&bench.primary_address).await.unwrap();
    let request = "GET /sandbox/api/v1/groups HTTP/1.1\r\nHost: sandbox\r\n\
                   Authorization: Bearer sandbox-token\r\nX-Sandbox-Fault: reset\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let error = stream.read_to_end(&mut answer).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(answer.is_empty());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_silence() {
    let bench = Bench::roomy(Options::default());
    bench.sandbox.inject(Fault::always(None, FaultKind::NoAnswer));
    let mut stream = TcpStream::connect(&bench.primary_address).await.unwrap();
    let request = "GET /sandbox/api/v1/groups HTTP/1.1\r\nHost: sandbox\r\n\
                   Authorization: Bearer sandbox-token\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    while bench.sandbox.log().is_empty() {
        tokio::task::yield_now().await;
    }
    let stopped = tokio::time::timeout(Duration::from_secs(4), bench.stop()).await;
    assert!(stopped.is_ok(), "held for longer than the stop's grace");
}

#[tokio::test]
async fn the_primary_may_be_down_alone_and_a_list_on_one_page() {
    let bench = Bench::roomy(Options { list_lag: Duration::ZERO, ..Options::default() });
    let down = Fault { host: Some(Host::Primary), ..Fault::always(None, FaultKind::Unavailable) };
    bench.sandbox.inject(down);
    assert_eq!(bench.client.groups().await.status, Some(503));
    assert_eq!(bench.standby.groups().await.status, Some(200));
    bench.sandbox.clear_faults();

    let torn = Fault { page: Some(2), ..Fault::always(Some(Route::Leads), FaultKind::Error500) };
    bench.sandbox.inject(torn);
    for (path, status) in [("leads", 200), ("leads?page=1", 200), ("leads?page=2", 500)] {
        assert_eq!(bench.json("GET", path, &Value::Null).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn faults_come_over_http_too() {
    let bench = Bench::roomy(Options::default());
    let inject = |body: &'static str| bench.raw("POST", "/sandbox/faults", "", body);
    let one = r#"{"route":"groups","kind":"error_500","times":1}"#;
    assert_eq!(inject(one).await.0, 204);
    assert_eq!(bench.client.groups().await.status, Some(500));
    assert_eq!(bench.client.groups().await.status, Some(200));
    let two = r#"[{"kind":"slow:1","probability":0.5,"seed":3},{"kind":"unauthorized","skip":1}]"#;
    assert_eq!(inject(two).await.0, 204);
    let (_, listed) = bench.raw("GET", "/sandbox/faults", "", "").await;
    assert!(listed.contains("slow:1") && listed.contains("unauthorized"), "{listed}");
    for wrong in ["", "{}", r#"{"kind":"fire"}"#, r#"{"kind":"reset","typo":1}"#] {
        assert_eq!(inject(wrong).await.0, 400, "{wrong}");
    }
    assert_eq!(bench.raw("DELETE", "/sandbox/faults", "", "").await.0, 204);
    assert_eq!(bench.client.groups().await.status, Some(200));
    let groups = format!("{API}/groups");
    let header = "X-Sandbox-Fault: commit_502\r\n";
    assert_eq!(bench.raw("GET", &groups, header, "").await.0, 502);
    assert_eq!(bench.raw("GET", &groups, "X-Sandbox-Fault: fire\r\n", "").await.0, 400);
}
