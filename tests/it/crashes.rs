//! The process dies between every two steps of accept and of delivery, and is started again.

use std::time::{Duration, Instant};

use leadgate::fail_point::FailPoint;
use leadgate::sandbox::{Fault, FaultKind, Route};

use crate::gateway::{Backing, PATIENCE, eventually, over_every_store};
use crate::mortal::{LEASE, Mortal};

over_every_store!(
    what_was_promised_is_kept_when_it_dies_while_it_takes,
    what_was_promised_is_kept_when_it_dies_while_it_sends,
    what_was_promised_is_kept_when_it_dies_while_it_probes,
    what_was_promised_is_kept_when_it_dies_while_it_looks,
    what_was_promised_is_kept_when_it_dies_while_it_comments,
    what_was_promised_is_kept_when_it_dies_while_it_fetches,
    what_was_promised_is_kept_when_it_dies_at_any_change_of_the_store,
    a_lead_that_was_not_made_is_made_once_though_it_dies_at_each_look,
    a_lock_out_outlives_who_has_shared_it,
);

/// How often the store changes from a start until a lead is made, and some more.
const CHANGES: u32 = 12;

/// Longer than a lock-out.
const SILENCE: Duration = Duration::from_secs(16 * 60);

/// So many times it dies in a row, before it lives.
const DEATHS_MAX: usize = 6;

/// Longer than a lane gets no work after a restart of Redis.
const HELD: Duration = Duration::from_secs(10);

/// What leads by a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Road {
    Taking,
    Changing,
    Spooling,
    Sending,
    Probing,
    Looking,
    Commenting,
    Fetching,
}

/// Every point is on a road: a new one has to be put on one, and is tested from then on.
fn road(point: FailPoint) -> Road {
    use FailPoint as P;
    match point {
        P::Decoded | P::Admitted => Road::Taking,
        P::Unwritten | P::Written => Road::Changing,
        P::Spooled | P::Unspooling => Road::Spooling,
        P::Leased | P::Placed | P::Due | P::Answered | P::Unsettled | P::Settled => Road::Sending,
        P::ProbeClaimed | P::GateMoved | P::GateShared => Road::Probing,
        P::FurtherRequest | P::Looked => Road::Looking,
        P::DetailRead | P::Commented => Road::Commenting,
        P::NoticeLeased | P::Fetched | P::Filled => Road::Fetching,
    }
}

async fn what_was_promised_is_kept_when_it_dies_while_it_takes(store: Backing) {
    survives(store, Road::Taking, &[1, 3]).await;
}

async fn what_was_promised_is_kept_when_it_dies_while_it_sends(store: Backing) {
    survives(store, Road::Sending, &[1, 3]).await;
}

async fn what_was_promised_is_kept_when_it_dies_while_it_probes(store: Backing) {
    survives(store, Road::Probing, &[1]).await;
}

async fn what_was_promised_is_kept_when_it_dies_while_it_looks(store: Backing) {
    survives(store, Road::Looking, &[1]).await;
}

async fn what_was_promised_is_kept_when_it_dies_while_it_comments(store: Backing) {
    survives(store, Road::Commenting, &[1, 2]).await;
}

async fn what_was_promised_is_kept_when_it_dies_while_it_fetches(store: Backing) {
    survives(store, Road::Fetching, &[1, 2]).await;
}

async fn what_was_promised_is_kept_when_it_dies_at_any_change_of_the_store(store: Backing) {
    let changes: Vec<_> = (1..=CHANGES).collect();
    survives(store, Road::Changing, &changes).await;
}

/// Only Redis has a spool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_promised_is_kept_when_it_dies_while_it_spools() {
    survives(Backing::redis(), Road::Spooling, &[1]).await;
}

/// A look that finds nothing is followed by another, and by the lead being sent again: it dies at
/// each end, before that is written down and after.
async fn a_lead_that_was_not_made_is_made_once_though_it_dies_at_each_look(store: Backing) {
    let mut mortal = Mortal::new(store, |text| text);
    unknown_lead(&mut mortal, 0, FaultKind::Reset).await;
    for _ in 0..3 {
        for point in [FailPoint::Unsettled, FailPoint::Settled] {
            mortal.start(Some((point, 1))).await;
            dies(&mut mortal, point).await;
            mortal.skip(LEASE);
        }
    }
    mortal.come_to_rest(LEASE).await;
    mortal.assert_whole().await;
}

/// A lock-out asks for a quarter of an hour of silence. What a gateway has shared of it rules after
/// its death. One that dies with the news has told nobody: it asks once more, and hears it again.
async fn a_lock_out_outlives_who_has_shared_it(store: Backing) {
    let mut mortal = Mortal::new(store, |text| text);
    let dies_with_the_news = [FailPoint::Answered, FailPoint::GateMoved];
    for (person, point) in [FailPoint::GateShared, FailPoint::Settled]
        .into_iter()
        .chain(dies_with_the_news)
        .enumerate()
    {
        println!("{}", point.name()); // seen when this fails
        mortal.caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::LockOut));
        let before = mortal.caresoft.sandbox.requests_during_lockout();
        mortal.start(Some((point, 1))).await;
        mortal.post(2 * person).await;
        dies(&mut mortal, point).await;
        mortal.start(None).await;
        assert!(mortal.post(2 * person + 1).await);
        eventually("it is silent", || async {
            (mortal.lane().await?["state"] == "locked_out").then_some(())
        })
        .await;
        let asked = mortal.caresoft.sandbox.requests_during_lockout() - before;
        let asked_max = usize::from(dies_with_the_news.contains(&point));
        assert!(asked <= asked_max, "{}: {asked}\n{}", point.name(), mortal.told());
        mortal.come_to_rest(SILENCE).await;
        mortal.assert_whole().await;
        mortal.kill().await;
    }
}

/// Dies at each point of a road, at each of these passes. What a life leaves undone the next ones
/// find, which die as well, elsewhere; then one lives until all is done.
async fn survives(store: Backing, taken: Road, passes: &[u32]) {
    let mut mortal = Mortal::new(store, |text| text);
    if taken == Road::Spooling {
        mortal.stall = HELD; // after a restart of Redis nothing is given out for a while
    }
    let mut person = 0;
    for point in FailPoint::ALL.iter().filter(|point| road(**point) == taken) {
        for passes in passes.chunks(DEATHS_MAX) {
            for pass in passes {
                println!("{}:{pass}", point.name()); // seen when this fails
                prepare(&mut mortal, taken, &mut person).await;
                mortal.start(Some((*point, *pass))).await;
                go(&mut mortal, taken, *point, &mut person).await;
                mortal.skip(LEASE);
            }
            mortal.come_to_rest(LEASE).await;
            mortal.assert_whole().await;
            mortal.kill().await;
        }
    }
    assert!(mortal.deaths > 0, "there are points on this road");
}

/// A lead whose create came to nothing that the gateway knows of, and the time to look for it.
async fn unknown_lead(mortal: &mut Mortal, person: usize, fault: FaultKind) {
    mortal.start(None).await;
    mortal.caresoft.sandbox.inject(Fault::once(Route::CreateLead, fault));
    assert!(mortal.post(person).await);
    eventually("its outcome is unknown", || async {
        (mortal.lane().await?["unknown"] == 1).then_some(())
    })
    .await;
    mortal.kill().await;
    mortal.skip(LEASE);
}

/// What has to be so before it is started with its point.
async fn prepare(mortal: &mut Mortal, road: Road, person: &mut usize) {
    match road {
        Road::Looking => {
            *person += 1;
            unknown_lead(mortal, *person, FaultKind::CommitReset).await;
        }
        Road::Probing => {
            let throttled = Fault::once(Route::CreateLead, FaultKind::TooManyRequests);
            mortal.caresoft.sandbox.inject(throttled);
        }
        _ => {}
    }
}

/// Does what leads to the point, until it has died.
async fn go(mortal: &mut Mortal, road: Road, point: FailPoint, person: &mut usize) {
    let (begun, mut pace) = (Instant::now(), tokio::time::interval(Duration::from_millis(50)));
    if road == Road::Spooling {
        mortal.redis().kill();
    }
    *person += 1;
    while !mortal.is_dead() {
        assert!(begun.elapsed() < PATIENCE, "{} is never reached", point.name());
        let is_taken = match road {
            Road::Fetching => mortal.notice(*person).await,
            _ => mortal.post(*person).await,
        };
        if road == Road::Spooling && is_taken && !mortal.redis().is_up() {
            mortal.redis().start_again();
        }
        if road != Road::Commenting {
            *person += 1; // a comment is of the same person
        }
        pace.tick().await; // a form now and then
    }
    if road == Road::Spooling && !mortal.redis().is_up() {
        mortal.redis().start_again();
    }
}

/// Waits for its death.
async fn dies(mortal: &mut Mortal, point: FailPoint) {
    eventually(&format!("it dies at {}", point.name()), || {
        let is_dead = mortal.is_dead();
        async move { is_dead.then_some(()) }
    })
    .await;
}
