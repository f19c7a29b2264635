//! Many clients that post at once, and what must be true of everything they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::gateway::{CareSoft, eventually, http_client, id_of};
use crate::served::Served;

/// How many post at once.
pub const CLIENTS: u32 = 8;

/// The most that one client posts.
const POSTS_MAX: u32 = 20_000;

/// Clients that post without a pause.
pub struct Load {
    accepted: Arc<AtomicU32>,
    refused: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

/// What a client does when it is not answered 202.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refused {
    Leave,
    PostAgain,
}

impl Load {
    /// Each client leaves when the gateway takes nothing more from it.
    pub fn start(url: &str, round: u32) -> Self {
        Self::begin(&[url.to_owned()], round, Refused::Leave, None)
    }

    /// Clients that post to these URLs in turn, until they are told to stop, whatever they are
    /// answered.
    pub fn keep_on(urls: &[String], round: u32) -> Self {
        Self::begin(urls, round, Refused::PostAgain, None)
    }

    /// As [`Load::keep_on`], to one URL, and each client posts once in every `period`.
    pub fn paced(url: &str, period: Duration) -> Self {
        Self::begin(&[url.to_owned()], 0, Refused::PostAgain, Some(period))
    }

    /// Every client of every round posts other persons than the others, each of them twice.
    fn begin(urls: &[String], round: u32, refused: Refused, period: Option<Duration>) -> Self {
        let accepted = Arc::<AtomicU32>::default();
        let failed = Arc::<AtomicU32>::default();
        let stop = Arc::<AtomicBool>::default();
        let client = |client: u32| {
            let (urls, http) = (urls.to_vec(), http_client());
            let (accepted, stop) = (Arc::clone(&accepted), Arc::clone(&stop));
            let failed = Arc::clone(&failed);
            let mut pace = period.map(tokio::time::interval);
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for number in 0..POSTS_MAX {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if let Some(pace) = &mut pace {
                        pace.tick().await;
                    }
                    let person = (round * CLIENTS + client) * (POSTS_MAX / 2) + number / 2;
                    let body = json!({"phone": format!("090{person:07}")});
                    let url = &urls[number as usize % urls.len()];
                    match http.post(url).json(&body).send().await {
                        Ok(answer) if answer.status() == 202 => {
                            ids.push(id_of(answer).await);
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                        answer => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            if refused == Refused::Leave {
                                break;
                            }
                            if period.is_some() {
                                println!("refused: {:?}", answer.map(|answer| answer.status()));
                            }
                            tokio::task::yield_now().await;
                        }
                    }
                }
                ids
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { clients, accepted, refused: failed, stop }
    }

    /// How many posts were answered 202 so far.
    pub fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How many were answered anything else, or nothing.
    pub fn refused(&self) -> u32 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until so many were.
    pub async fn has_accepted(&self, enough: u32) {
        eventually("a good many are accepted", || async {
            (self.accepted() >= enough).then_some(())
        })
        .await;
    }

    /// The ids of every 202, once all clients have ended.
    pub async fn ids(self) -> Vec<String> {
        let mut ids = Vec::new();
        for client in self.clients {
            ids.extend(client.await.expect("a client"));
        }
        ids
    }

    /// Lets the clients end; the ids of every 202.
    pub async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.ids().await
    }
}

/// Asserts that the ledger sums and holds every one of `ids`.
pub async fn assert_kept(served: &Served, ids: &[String]) {
    for id in ids {
        let found = served.admin_get(&format!("/api/leads/{id}")).await.expect("an answer");
        assert_eq!(found.status(), StatusCode::OK, "{id} got a 202 and is gone");
    }
    let metrics = served.metrics().await;
    assert!(metrics.lines().any(|line| line == "leadgate_ledger_residue 0"), "{metrics}");
}

/// Asserts that nobody became two leads.
pub fn assert_nobody_twice(caresoft: &CareSoft) {
    let leads = caresoft.sandbox.leads();
    let mut phones: Vec<_> = leads.iter().map(|lead| lead.received["phone"].to_string()).collect();
    phones.sort();
    phones.dedup();
    assert_eq!(phones.len(), leads.len(), "somebody became two leads");
}

/// Waits until a line is in a gateway's metrics.
pub async fn until_metric(served: &Served, line: &str) {
    until_metric_within(crate::gateway::PATIENCE, served, line).await;
}

/// As [`until_metric`], for what takes a slow machine longer.
pub async fn until_metric_within(patience: std::time::Duration, served: &Served, line: &str) {
    crate::gateway::eventually_within(patience, line, || async {
        served.metrics().await.lines().any(|found| found == line).then_some(())
    })
    .await;
}
