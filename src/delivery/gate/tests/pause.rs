//! A person stops a lane and lets it go on.

use super::*;

/// What a person says, at any replica; answers how the lane stands with it.
async fn order(bed: &Bed, order: Order, now: Timestamp) -> LaneStanding {
    give_order(&*bed.store, &lane(), order, &Notifier::default(), now).await.unwrap()
}

/// Nothing goes in, at whatever time; not even a probe.
fn assert_lets_nothing_through(gate: &Gate) {
    assert_eq!(gate.name(), "paused");
    for now in [NOW, NOW.plus(LOCKOUT * 2)] {
        assert!(matches!(gate.enter(now), Permission::Closed(until) if until > now));
    }
}

#[tokio::test]
async fn a_pause_stops_every_replica_and_outlives_them() {
    let bed = Bed::new();
    let gates = [bed.gate(), bed.gate()];
    let before = turn(&gates[0], NOW).await;
    let paused = order(&bed, Order::Pause, NOW).await;
    let expected = LaneStanding { state: "paused", paused: true, closed: None, until: None };
    assert_eq!(paused, expected);
    assert_eq!(lane_standing(&*bed.store, &lane(), NOW).await.unwrap(), expected);
    for gate in &gates {
        let moved = gate.moved();
        gate.sync(NOW).await.unwrap();
        moved.await;
        assert_lets_nothing_through(gate);
    }
    assert!(!gates[0].holds(before), "what waits for its place does not go out");

    bed.store.close().await;
    let Bed { store, folder } = bed;
    drop((store, gates));
    let bed = Bed { store: Bed::open(&folder), folder };
    let started_anew = bed.gate();
    started_anew.sync(NOW).await.unwrap();
    assert_lets_nothing_through(&started_anew);

    assert_eq!(order(&bed, Order::Resume, NOW).await.state, "open");
    started_anew.sync(NOW).await.unwrap();
    turn(&started_anew, NOW).await;
}

#[tokio::test]
async fn an_order_twice_is_an_order_once() {
    let bed = Bed::new();
    for (wanted, version) in
        [(Order::Resume, 0), (Order::Pause, 1), (Order::Pause, 1), (Order::Resume, 2)]
    {
        order(&bed, wanted, NOW).await;
        assert_eq!(bed.shared().await.version, version, "{wanted:?}");
    }
    assert_eq!(bed.shared().await.state, State::default().write());
}

/// Whatever was sent before the pause is answered during it.
#[tokio::test]
async fn answers_during_a_pause_count_and_none_ends_it() {
    for (signal, beneath) in [
        (Signal::Throttled(None), Some("throttled")),
        (Signal::LockedOut(None), Some("locked_out")),
        (Signal::Misconfigured, Some("misconfigured")),
        (Signal::Fine, None),
    ] {
        let bed = Bed::new();
        let (gate, other) = (bed.gate(), bed.gate());
        let out = turn(&gate, NOW).await;
        order(&bed, Order::Pause, NOW).await;
        gate.sync(NOW).await.unwrap();
        leave(&gate, out, signal, NOW).await;
        other.sync(NOW).await.unwrap();
        for gate in [&gate, &other] {
            assert_lets_nothing_through(gate);
        }
        let standing = lane_standing(&*bed.store, &lane(), NOW).await.unwrap();
        assert_eq!((standing.closed, standing.paused), (beneath, true), "{signal:?}");
    }
}

/// A probe is out when the lane is paused: its answer is believed, and another follows none.
#[tokio::test]
async fn a_probe_that_is_out_opens_the_gate_beneath_the_pause() {
    let bed = Bed::new();
    let gate = bed.gate();
    leave(&gate, turn(&gate, NOW).await, Signal::Misconfigured, NOW).await;
    let later = NOW.plus(MISCONFIGURED_PROBE);
    let probe = turn(&gate, later).await;
    order(&bed, Order::Pause, later).await;
    gate.sync(later).await.unwrap();
    assert_lets_nothing_through(&gate);
    leave(&gate, probe, Signal::Fine, later).await;
    assert_lets_nothing_through(&gate);
    assert_eq!(order(&bed, Order::Resume, later).await.state, "open");
}

/// Both replicas write the gate at the same time: neither's word is lost.
#[tokio::test]
async fn a_pause_and_an_answer_at_once_both_count() {
    let bed = Bed::new();
    let gate = bed.gate();
    let out = turn(&gate, NOW).await;
    order(&bed, Order::Pause, NOW).await;
    gate.leave(out, Signal::Throttled(None), NOW, Duration::ZERO);
    assert_eq!(gate.name(), "throttled", "it has not heard of the pause yet");
    gate.share(NOW).await.unwrap();
    assert_lets_nothing_through(&gate);
    let standing = lane_standing(&*bed.store, &lane(), NOW).await.unwrap();
    assert_eq!((standing.state, standing.closed), ("paused", Some("throttled")));

    // And the other way round: the lane goes on while a lock-out is told.
    let out = Turn { word: gate.view().word, ..out };
    order(&bed, Order::Resume, NOW).await;
    gate.leave(out, Signal::LockedOut(None), NOW, Duration::ZERO);
    gate.share(NOW).await.unwrap();
    assert_eq!(gate.enter(NOW), Permission::Closed(NOW.plus(LOCKOUT)));
    assert_eq!(lane_standing(&*bed.store, &lane(), NOW).await.unwrap().state, "locked_out");
}

#[tokio::test]
async fn going_on_makes_a_probe_due_but_ends_no_silence_that_caresoft_asked_for() {
    let failing = [Signal::Failing, Signal::Failing, Signal::Failing];
    for (signals, silence) in [
        (&[Signal::Misconfigured][..], None),
        (&failing[..], None),
        (&[Signal::Throttled(Some(SECOND * 30))][..], Some(SECOND * 30)),
        (&[Signal::LockedOut(None)][..], Some(LOCKOUT)),
    ] {
        let bed = Bed::new();
        let gate = bed.gate();
        for signal in signals {
            leave(&gate, turn(&gate, NOW).await, *signal, NOW).await;
        }
        order(&bed, Order::Pause, NOW).await;
        let later = NOW.plus(SECOND);
        order(&bed, Order::Resume, later).await;
        gate.sync(later).await.unwrap();
        match silence {
            None => _ = turn(&gate, later).await,
            Some(length) => {
                let end = NOW.plus(length);
                assert_eq!(gate.enter(later), Permission::Closed(end), "{signals:?}");
                turn(&gate, end).await; // which passed beneath the pause
            }
        }
        assert_eq!(gate.name(), "probing", "{signals:?}");
    }
}

/// Also where nobody had paused it.
#[tokio::test]
async fn going_on_is_a_persons_word_that_the_configuration_is_mended() {
    let bed = Bed::new();
    let gate = bed.gate();
    leave(&gate, turn(&gate, NOW).await, Signal::Misconfigured, NOW).await;
    assert_eq!(gate.enter(NOW), Permission::Closed(NOW.plus(MISCONFIGURED_PROBE)));
    let standing = order(&bed, Order::Resume, NOW).await;
    assert_eq!((standing.state, standing.until), ("misconfigured", Some(NOW)));
    gate.sync(NOW).await.unwrap();
    turn(&gate, NOW).await;
}

/// By the one that was asked, and by none that learns of it.
#[tokio::test]
async fn the_operator_is_told_of_a_pause_once() {
    let (notifier, metrics) = desk();
    let bed = Bed::new();
    let gates = [(); 2].map(|()| bed.gate().notifying(notifier.clone()));
    for (order, event) in [(Order::Pause, "lane.stopped"), (Order::Resume, "lane.resumed")] {
        for _ in 0..2 {
            give_order(&*bed.store, &lane(), order, &notifier, NOW).await.unwrap();
            for gate in &gates {
                gate.sync(NOW).await.unwrap();
            }
        }
        assert!(is_told(&metrics, event), "{}", metrics.render());
    }
    assert!(is_told(&metrics, "lane.stopped"), "once in all");
}

/// A store that was put back to an older state does not undo a pause.
#[tokio::test]
async fn a_pause_that_the_store_has_lost_is_told_again() {
    let bed = Bed::new();
    let gate = bed.gate();
    order(&bed, Order::Pause, NOW).await;
    gate.sync(NOW).await.unwrap();
    gate.learn(1, &SharedGate::default(), NOW);
    assert_lets_nothing_through(&gate);
    assert!(!gate.is_shared());
}

#[test]
fn a_pause_is_written_only_where_there_is_one() {
    let open = State::default();
    assert_eq!(open.write(), r#"{"throttled_in_a_row":0}"#);
    let paused = open.with_pause(true);
    assert_eq!(paused.write(), r#"{"throttled_in_a_row":0,"paused":true}"#);
    assert_eq!(State::read(&paused.write(), NOW), paused);
    assert_eq!(State::read(r#"{"throttled_in_a_row":0}"#, NOW), open);
}

#[test]
fn a_pause_is_a_stop_of_the_operators() {
    let paused = State::default().with_pause(true);
    let standing = |state, is_stopped| Standing { state, is_stopped, until: None };
    assert_eq!(paused.standing(), standing("paused", true));
    assert_eq!(paused.resumed(NOW).standing(), standing("open", false));
    let names = [paused.name(), paused.probed_by("me", NOW).name()];
    assert!(names.iter().all(|name| *name == "paused" && LANE_STATES.contains(name)));
}
