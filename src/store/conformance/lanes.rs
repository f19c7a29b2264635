//! The pace and the gate of a lane, over all replicas. A store may count by a clock of its own
//! and a test may be held up anywhere: nothing here says how soon something happens.

use std::time::Instant;

use futures_util::future::join_all;

use super::*;
use crate::store::{HourRule, PLACE_AHEAD_MAX, PaceRule, Paced, SharedGate};

/// How long something that comes is waited for; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a store that counts in milliseconds may round away.
const GRAIN: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

const FAST: PaceRule = PaceRule { between: Duration::from_millis(100), hour: None };
/// A place each hour: no test is slow enough to see the second one become due.
const SLOW: PaceRule = PaceRule { between: HOUR, hour: None };

fn other_lane() -> DestinationId {
    "other".parse().unwrap()
}

/// A place that was given: due not before the one and not after the other.
async fn place(store: &dyn Store, rule: &PaceRule) -> (Instant, Instant) {
    let asked = Instant::now();
    let Paced::Go(wait) = store.pace(&lane(), rule, 0).await.unwrap() else { panic!("no place") };
    assert!(wait <= PLACE_AHEAD_MAX, "{wait:?} ahead");
    (asked + wait, Instant::now() + wait)
}

pub(crate) async fn places_come_one_after_another(store: &dyn Store) {
    let mut places = vec![place(store, &FAST).await];
    for _ in 0..8 {
        places.push(place(store, &FAST).await);
    }
    for (count, (_, last)) in (1_u32..).zip(&places[1..]) {
        let apart = last.duration_since(places[0].0) + GRAIN * count;
        assert!(apart >= FAST.between * count, "{count} after the first: {apart:?}");
    }
    let asking = (0..8).map(|_| place(store, &FAST));
    let mut at_once = join_all(asking).await;
    at_once.sort();
    let apart = at_once[7].1.duration_since(places[0].0) + GRAIN * 16;
    assert!(apart >= FAST.between * 16, "eight at once share no place: {apart:?}");
}

pub(crate) async fn lanes_do_not_share_a_pace_or_a_gate(store: &dyn Store) {
    let now = Paced::Go(Duration::ZERO);
    assert_eq!(store.pace(&lane(), &SLOW, 0).await.unwrap(), now);
    let second = store.pace(&lane(), &SLOW, 0).await.unwrap();
    assert!(matches!(second, Paced::Go(wait) if wait > Duration::ZERO), "{second:?}");
    assert_eq!(store.pace(&other_lane(), &SLOW, 0).await.unwrap(), now);

    store.move_gate(&lane(), 0, "shut".into()).await.unwrap();
    assert_eq!(store.gate(&other_lane()).await.unwrap(), SharedGate::default());
}

/// A place is given away at most two seconds, or two steps, before it is due.
pub(crate) async fn a_far_place_is_refused(store: &dyn Store) {
    for step in 0..3 {
        let answer = store.pace(&lane(), &SLOW, 0).await.unwrap();
        assert!(matches!(answer, Paced::Go(wait) if wait <= HOUR * step), "{answer:?}");
    }
    for _ in 0..3 {
        let answer = store.pace(&lane(), &SLOW, 0).await.unwrap();
        let far = HOUR * 2..=HOUR * 3;
        assert!(matches!(&answer, Paced::Later(wait) if far.contains(wait)), "{answer:?}");
    }
}

pub(crate) async fn a_used_up_hour_says_later(store: &dyn Store) {
    let hour = HourRule { between: HOUR / 2, burst: 2 };
    let rule = PaceRule { between: Duration::from_millis(1), hour: Some(hour) };
    for _ in 0..2 {
        let answer = store.pace(&lane(), &rule, 0).await.unwrap();
        assert!(matches!(answer, Paced::Go(_)), "{answer:?}");
    }
    for _ in 0..3 {
        let answer = store.pace(&lane(), &rule, 0).await.unwrap();
        let until_one = Duration::ZERO..=hour.between + GRAIN;
        assert!(matches!(&answer, Paced::Later(wait) if until_one.contains(wait)), "{answer:?}");
    }
}

pub(crate) async fn an_old_gate_takes_no_place_and_learns_the_new_one(store: &dyn Store) {
    assert_eq!(store.gate(&lane()).await.unwrap(), SharedGate::default());
    let shut = SharedGate { version: 1, state: r#"{"closed":"Nguyễn"}"#.into() };
    assert_eq!(store.move_gate(&lane(), 0, shut.state.clone()).await.unwrap(), shut);
    assert_eq!(store.gate(&lane()).await.unwrap(), shut);

    for other in [0, 2] {
        let answer = store.pace(&lane(), &SLOW, other).await.unwrap();
        assert_eq!(answer, Paced::Moved(shut.clone()));
    }
    let first = store.pace(&lane(), &SLOW, 1).await.unwrap();
    assert_eq!(first, Paced::Go(Duration::ZERO), "no place was taken before");

    let open = SharedGate { version: 2, state: String::new() };
    assert_eq!(store.move_gate(&lane(), 0, "late".into()).await.unwrap(), shut);
    assert_eq!(store.move_gate(&lane(), 7, "early".into()).await.unwrap(), shut);
    assert_eq!(store.move_gate(&lane(), 1, open.state.clone()).await.unwrap(), open);
    assert_eq!(store.gate(&lane()).await.unwrap(), open);
}

pub(crate) async fn many_movers_at_once_and_one_wins(store: &dyn Store) {
    const MOVERS: u64 = 16;
    for from in 0..3 {
        let moving = (0..MOVERS).map(|mover| async move {
            let own = format!("{from} by {mover}");
            let told = store.move_gate(&lane(), from, own.clone()).await.unwrap();
            (told.state == own, told)
        });
        let answers = join_all(moving).await;
        assert_eq!(answers.iter().filter(|(won, _)| *won).count(), 1);
        let in_force = store.gate(&lane()).await.unwrap();
        assert_eq!(in_force.version, from + 1);
        assert!(answers.iter().all(|(_, told)| *told == in_force), "{answers:?}");
    }
}

pub(crate) async fn moving_a_gate_wakes_the_lanes(store: &dyn Store) {
    let mut arrivals = store.arrivals();
    arrivals.mark_unchanged();
    store.move_gate(&lane(), 0, "shut".into()).await.unwrap();
    tokio::time::timeout(PATIENCE, arrivals.changed()).await.expect("a wake-up").unwrap();
}
