//! A roll-out, rehearsed with real processes behind a real proxy: every replica is replaced under load, as Kubernetes
//! does it, and nobody who posts notices.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::fleet::{BACKLOG_PATIENCE, NOTHING_WAITS, appending, configuration, fast};
use crate::gateway::{CareSoft, eventually, http_client};
use crate::haproxy::{Backend, Haproxy, LOOK};
use crate::load::{CLIENTS, Load, assert_kept, assert_nobody_twice, until_metric_within};
use crate::served::{Served, figure, leadgate};
use crate::servers::{Port, Redis};

/// What CareSoft is asked at most by the fleet, in a second.
const RATE: u32 = 500;

/// Each client's; all of them together post 160 times a second.
const PERIOD: Duration = Duration::from_millis(50);

/// Long enough for the proxy to look twice, on a slow machine.
const DRAIN: &str = "2s";

/// A name, a place and a volume that one process after the other has.
struct Pod<'f> {
    role: &'static str,
    public: Port,
    admin: Port,
    folder: TempDir,
    fleet: &'f Fleet,
    served: Option<Served>,
}

/// What all pods have in common.
struct Fleet {
    caresoft: CareSoft,
    redis: Redis,
    drain: &'static str,
}

impl Fleet {
    fn new(drain: &'static str) -> Self {
        Self { caresoft: fast(), redis: appending(), drain }
    }

    async fn pod(&self, role: &'static str) -> Pod<'_> {
        let folder = TempDir::new().unwrap();
        let text = configuration(&self.redis.url(), folder.path(), &self.caresoft, RATE);
        std::fs::write(folder.path().join("leadgate.toml"), text).unwrap();
        let (public, admin) = (Port::claim(), Port::claim());
        let mut pod = Pod { role, public, admin, folder, fleet: self, served: None };
        pod.start().await;
        pod
    }
}

impl Pod<'_> {
    async fn start(&mut self) {
        let mut command = leadgate(self.folder.path());
        command.args(["serve", "--config", "leadgate.toml", "--role", self.role]);
        command.env("LEADGATE__SERVER__LISTEN", format!("127.0.0.1:{}", self.public.number()));
        command.env("LEADGATE__SERVER__ADMIN_LISTEN", format!("127.0.0.1:{}", self.admin.number()));
        command.env("LEADGATE__SERVER__DRAIN_DELAY", self.fleet.drain);
        self.served = Some(Served::spawn(command).await);
    }

    fn served(&self) -> &Served {
        self.served.as_ref().expect("it runs")
    }

    /// SIGTERM, and a clean end.
    async fn end(&mut self) {
        let (code, log) = self.served.take().expect("it runs").terminate().await;
        assert_eq!(code, Some(0), "{log}");
    }

    fn backend(&self) -> Backend {
        let address = |port: &Port| ([127, 0, 0, 1], port.number()).into();
        Backend { public: address(&self.public), admin: address(&self.admin) }
    }

    /// Waits until it has taken posts.
    async fn takes_its_share(&self) {
        eventually("it takes its share", || async {
            let metrics = self.served().metrics().await;
            let taken = ["accepted", "merged"].map(|outcome| {
                figure(
                    &metrics,
                    &format!(
                        "leadgate_submissions_total{{source=\"website\",outcome=\"{outcome}\"}}"
                    ),
                )
            });
            (taken.iter().sum::<f64>() >= 20.0).then_some(())
        })
        .await;
    }
}

async fn proxy_of(intake: &[Pod<'_>]) -> Haproxy {
    let proxy = Haproxy::start(&intake.iter().map(Pod::backend).collect::<Vec<_>>());
    eventually("the proxy is there", || async {
        http_client()
            .get(proxy.url("/livez"))
            .send()
            .await
            .ok()?
            .status()
            .is_success()
            .then_some(())
    })
    .await;
    proxy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_replica_is_replaced_under_load_and_nobody_notices() {
    let fleet = Fleet::new(DRAIN);
    let mut intake =
        [fleet.pod("intake").await, fleet.pod("intake").await, fleet.pod("intake").await];
    let mut workers = [fleet.pod("worker").await, fleet.pod("worker").await];
    let proxy = proxy_of(&intake).await;
    let began = Instant::now();
    let load = Load::paced(&proxy.url("/in/website"), PERIOD);
    for pod in &mut intake {
        pod.takes_its_share().await;
        pod.end().await; // as in a StatefulSet the new one comes after it
        pod.start().await;
        pod.takes_its_share().await;
    }
    for pod in &mut workers {
        let next = fleet.pod("worker").await; // as in a Deployment that surges the new one comes before
        pod.end().await;
        *pod = next;
    }
    let so_far = load.accepted();
    load.has_accepted(so_far + 100).await; // all of it by those that came
    let (refused, took) = (load.refused(), began.elapsed());
    let accepted = load.stop().await;
    println!("{} posts in {took:?}, {refused} of them failed", accepted.len());
    assert_eq!(refused, 0, "posts failed");

    until_metric_within(BACKLOG_PATIENCE, workers[0].served(), NOTHING_WAITS).await;
    assert_kept(intake[0].served(), &accepted).await;
    assert_nobody_twice(&fleet.caresoft);
    let metrics = workers[1].served().metrics().await;
    let created = figure(&metrics, r#"leadgate_records{state="created"}"#);
    let merged = figure(&metrics, r#"leadgate_records{state="merged"}"#);
    assert_eq!(created as usize, fleet.caresoft.sandbox.leads().len());
    assert_eq!(
        (created + merged) as usize,
        accepted.len(),
        "each is a lead, or of a person who has one"
    );
    for state in ["pending", "unknown", "dead", "quarantined"] {
        let count = figure(&metrics, &format!("leadgate_records{{state=\"{state}\"}}"));
        assert_eq!(count, 0.0, "{state}: workers hand over what they have not sent");
    }
}

/// That the rehearsal would see it: without the delay the proxy goes on sending to one that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_drain_delay_posts_fail() {
    let fleet = Fleet::new("0s");
    let mut intake = [fleet.pod("intake").await, fleet.pod("intake").await];
    let proxy = proxy_of(&intake).await;
    let load = Load::paced(&proxy.url("/in/website"), PERIOD);
    intake[0].takes_its_share().await;
    intake[0].end().await;
    let within = LOOK.as_millis() / PERIOD.as_millis() * u128::from(CLIENTS);
    eventually("a post fails", || async { (load.refused() > 0).then_some(()) }).await;
    println!("{} failed of some {within} until the proxy looks", load.refused());
    load.stop().await;
}
