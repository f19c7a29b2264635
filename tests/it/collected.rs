//! What becomes of spans that go to a collector: it is let in, it is away, it does not keep all.

use leadgate::sandbox::Options;
use tempfile::TempDir;

use crate::collector::Collector;
use crate::gateway::{Backing, CareSoft, eventually, free_listener};
use crate::served::{Served, figure, leadgate};
use crate::traces::{CALLER, TRACE, post, start, traced};

/// How many spans a lead has that is created by the first request.
const SPANS: f64 = 5.0;

/// Nobody waits for a collector that is away, and a line tells it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_collector_costs_no_lead_and_one_line() {
    const FAILS: &str = "traces are not collected";
    const AGAIN: &str = "traces are collected again";
    let (caresoft, collector) = (CareSoft::start(Options::default()), Collector::start());
    collector.refuse(true);
    let folder = TempDir::new().unwrap();
    let store = Backing::Sqlite.toml(folder.path());
    let text = traced(&store, &caresoft, &collector.url());
    let served = start(folder.path(), &text, "all").await;
    let lines = |what: &str| served.log().lines().filter(|line| line.contains(what)).count();
    let parent = format!("00-{TRACE}-{CALLER}-01");
    for number in 0..3 {
        let before = collector.requests();
        let id = post(&served, &format!("090000007{number}"), &parent).await;
        served.settled(&id, "created").await;
        eventually("a batch is tried", || async { (collector.requests() > before).then_some(()) })
            .await;
    }
    eventually("the failure is told", || async { (lines(FAILS) > 0).then_some(()) }).await;
    assert_eq!((lines(FAILS), lines(AGAIN)), (1, 0), "{}", served.log());
    collector.refuse(false);
    let id = post(&served, "0900000079", &parent).await; // something to collect
    served.settled(&id, "created").await;
    eventually("it works again", || async { (lines(AGAIN) == 1).then_some(()) }).await;
    assert_eq!(lines(FAILS), 1, "{}", served.log());
    let (code, _) = served.terminate().await;
    assert_eq!(code, Some(0));

    // Nobody listens there at all, from the start to the end.
    let nobody = free_listener().local_addr().unwrap();
    let folder = TempDir::new().unwrap();
    let store = Backing::Sqlite.toml(folder.path());
    let text = traced(&store, &caresoft, &format!("http://{nobody}"));
    let served = start(folder.path(), &text, "all").await;
    let id = post(&served, "0900000099", &parent).await;
    served.settled(&id, "created").await;
    let (code, log) = served.terminate().await;
    assert_eq!(code, Some(0));
    assert_eq!(log.lines().filter(|line| line.contains(FAILS)).count(), 1, "{log}");
}

/// What the collector does not take is counted, and so is what it says that it did not keep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_spans_is_counted() {
    let (caresoft, collector) = (CareSoft::start(Options::default()), Collector::start());
    let folder = TempDir::new().unwrap();
    let store = Backing::Sqlite.toml(folder.path());
    let text = traced(&store, &caresoft, &collector.url());
    let served = start(folder.path(), &text, "all").await;
    let counted = async |outcome: &str| {
        let series = format!("leadgate_spans_total{{outcome=\"{outcome}\"}}");
        figure(&served.metrics().await, &series)
    };
    let one_more = async |phone: &str, outcomes: [&str; 2], sum: f64| {
        let id = post(&served, phone, &format!("00-{TRACE}-{CALLER}-01")).await;
        served.settled(&id, "created").await;
        eventually(&format!("{sum} spans are {outcomes:?}"), || async {
            let [one, other] = [counted(outcomes[0]).await, counted(outcomes[1]).await];
            (one + other == sum).then_some(())
        })
        .await;
    };
    one_more("0900000081", ["collected", "dropped"], SPANS).await;
    assert_eq!(counted("failed").await, 0.0);

    collector.refuse(true);
    one_more("0900000082", ["failed", "dropped"], SPANS).await;
    assert_eq!(counted("collected").await, SPANS);

    collector.refuse(false);
    one_more("0900000083", ["collected", "dropped"], 2.0 * SPANS).await;
    assert_eq!(counted("failed").await, SPANS);

    collector.reject(1);
    let before = collector.requests();
    one_more("0900000084", ["collected", "failed"], 4.0 * SPANS).await;
    let rejected = f64::from(u32::try_from(collector.requests() - before).unwrap());
    assert_eq!(counted("failed").await, SPANS + rejected, "one of each batch");
    assert_eq!(counted("dropped").await, 0.0, "so few find room");
    let (code, log) = served.terminate().await;
    assert_eq!(code, Some(0));
    assert!(
        log.contains("it has rejected 1 of a batch's spans") && !log.contains("too long"),
        "{log}"
    );
}

/// What a collector knows its senders by is in the environment, as OpenTelemetry's specification has
/// it, and nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_its_headers_from_the_environment() {
    let (caresoft, collector) = (CareSoft::start(Options::default()), Collector::start());
    let folder = TempDir::new().unwrap();
    let store = Backing::Sqlite.toml(folder.path());
    let text =
        traced(&store, &caresoft, &collector.url()).replace("[log]", "[log]\nlevel = \"trace\"");
    let file = folder.path().join("leadgate.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = leadgate(folder.path());
    let headers = "authorization=Bearer%20token-of-the-test,x-tenant=thu";
    command.args(["serve", "--config"]).arg(&file).env("OTEL_EXPORTER_OTLP_HEADERS", headers);
    let served = Served::spawn(command).await;
    let id = post(&served, "0900000085", &format!("00-{TRACE}-{CALLER}-01")).await;
    served.settled(&id, "created").await;
    let (code, log) = served.terminate().await;
    assert_eq!(code, Some(0));
    let requests = collector.requests();
    assert!(requests > 0);
    for (name, value) in [("authorization", "Bearer token-of-the-test"), ("x-tenant", "thu")] {
        let expected = vec![Some(value.to_owned()); requests];
        assert_eq!(collector.headers(name), expected, "{name}");
    }
    assert!(log.contains("TRACE") && !log.contains("token-of-the-test"), "the log names it");
}
