//! The gate of one replica, and of two that share a store.

mod pause;

use tempfile::TempDir;

use super::state::MISCONFIGURED_PROBE;
use super::*;
use crate::config::{self, Breaker};
use crate::lead::Clock;
use crate::notify;
use crate::store::Options;
use crate::store::sqlite::Sqlite;
use crate::telemetry::Metrics;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const SECOND: Duration = Duration::from_secs(1);
const LOCKOUT: Duration = Duration::from_secs(600);
const PROBE_TERM: Duration = Duration::from_secs(25);

/// A store, and the folder it is in.
struct Bed {
    store: Arc<dyn Store>,
    folder: TempDir,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: Self::open(&folder), folder }
    }

    fn open(folder: &TempDir) -> Arc<dyn Store> {
        let options = Options {
            dedup_window: SECOND,
            idempotency_window: SECOND,
            comments: true,
            secrets: vec![],
        };
        Arc::new(Sqlite::open(&folder.path().join("leads.db"), options).unwrap())
    }

    /// The gate of one more replica.
    fn gate(&self) -> Gate {
        let breaker = Breaker { failures: 3, probe_every: SECOND * 15 };
        let rules = Rules { breaker, lockout: LOCKOUT, probe_term: PROBE_TERM };
        Gate::new(lane(), Arc::clone(&self.store), rules)
    }

    async fn shared(&self) -> SharedGate {
        self.store.gate(&lane()).await.unwrap()
    }
}

fn lane() -> DestinationId {
    "main".parse().unwrap()
}

/// A turn to send, a probe's if it has to be.
async fn turn(gate: &Gate, now: Timestamp) -> Turn {
    match gate.enter(now) {
        Permission::Go { turn, alone: false } => turn,
        Permission::Go { turn, alone: true } => {
            gate.claim(turn, now).await.unwrap().expect("a probe")
        }
        other => panic!("no turn: {other:?}"),
    }
}

/// What an answer does: it applies, and is shared.
async fn leave(gate: &Gate, turn: Turn, signal: Signal, now: Timestamp) {
    gate.leave(turn, signal, now, Duration::ZERO);
    gate.share(now).await.unwrap();
}

#[tokio::test]
async fn the_first_429_closes_and_one_probe_opens() {
    let bed = Bed::new();
    let gate = bed.gate();
    let (first, second) = (turn(&gate, NOW).await, turn(&gate, NOW).await);
    gate.leave(first, Signal::Throttled(None), NOW, Duration::ZERO);
    let until = NOW.plus(SECOND);
    assert_eq!((gate.name(), gate.enter(NOW)), ("throttled", Permission::Closed(until)));
    gate.leave(second, Signal::Fine, NOW, Duration::ZERO);
    assert_eq!(gate.enter(NOW), Permission::Closed(until), "sent before");
    assert!(!gate.holds(second), "what waits for its place does not go out");

    assert_eq!(bed.shared().await.version, 0, "it ruled before the store was asked");
    gate.share(NOW).await.unwrap();
    assert_eq!(bed.shared().await.version, 1);
    let probe = turn(&gate, until).await;
    let deadline = until.plus(PROBE_TERM);
    assert_eq!((gate.name(), gate.enter(until)), ("probing", Permission::Probing(deadline)));
    leave(&gate, probe, Signal::Throttled(None), until).await;
    let doubled = until.plus(SECOND * 2);
    assert_eq!(gate.enter(until), Permission::Closed(doubled));

    let probe = turn(&gate, doubled).await;
    leave(&gate, probe, Signal::Fine, doubled).await;
    assert_eq!(gate.name(), "open");
    assert!(matches!(gate.enter(doubled), Permission::Go { alone: false, .. }));
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let gate = Bed::new().gate();
    let asked = Signal::Throttled(Some(SECOND * 30));
    gate.leave(turn(&gate, NOW).await, asked, NOW, Duration::ZERO);
    assert_eq!(gate.enter(NOW), Permission::Closed(NOW.plus(SECOND * 30)));
}

#[tokio::test]
async fn a_lockout_is_silence_for_its_whole_length() {
    let gate = Bed::new().gate();
    leave(&gate, turn(&gate, NOW).await, Signal::LockedOut(None), NOW).await;
    let end = NOW.plus(LOCKOUT);
    assert_eq!(gate.enter(end.minus(Duration::from_millis(1))), Permission::Closed(end));
    assert!(matches!(gate.enter(end), Permission::Go { alone: true, .. }));
}

#[tokio::test]
async fn a_lockout_is_as_long_as_configured_and_longer_where_caresoft_says_so() {
    for (told, silence) in [(1, LOCKOUT), (15 * 60, LOCKOUT), (30 * 60, SECOND * 30 * 60)] {
        let told = SECOND * told;
        let gate = Bed::new().gate();
        leave(&gate, turn(&gate, NOW).await, Signal::LockedOut(Some(told)), NOW).await;
        assert_eq!(gate.enter(NOW), Permission::Closed(NOW.plus(silence)), "{told:?}");
    }
}

#[tokio::test]
async fn a_lockout_counts_even_from_a_request_that_was_sent_before_the_gate_closed() {
    let gate = Bed::new().gate();
    let (first, second) = (turn(&gate, NOW).await, turn(&gate, NOW).await);
    gate.leave(first, Signal::Throttled(None), NOW, Duration::ZERO);
    gate.leave(second, Signal::LockedOut(None), NOW, Duration::ZERO);
    assert_eq!(gate.enter(NOW), Permission::Closed(NOW.plus(LOCKOUT)));
    // A shorter one that comes after a longer one does not end it.
    gate.leave(first, Signal::LockedOut(None), NOW.minus(SECOND), Duration::ZERO);
    assert_eq!(gate.enter(NOW), Permission::Closed(NOW.plus(LOCKOUT)));
}

#[tokio::test]
async fn the_breaker_opens_after_failures_in_a_row_only() {
    let bed = Bed::new();
    let gate = bed.gate();
    for signal in [Signal::Failing, Signal::Failing, Signal::Fine, Signal::Failing] {
        leave(&gate, turn(&gate, NOW).await, signal, NOW).await;
    }
    assert_eq!(gate.name(), "open");
    assert_eq!(bed.shared().await, SharedGate::default(), "while it is open nothing is written");
    leave(&gate, turn(&gate, NOW).await, Signal::Failing, NOW).await;
    leave(&gate, turn(&gate, NOW).await, Signal::Failing, NOW).await;
    assert_eq!(gate.name(), "failing");
    let later = NOW.plus(SECOND * 15);
    leave(&gate, turn(&gate, later).await, Signal::Failing, later).await;
    assert_eq!(gate.name(), "failing", "one failed probe closes it again");
}

#[tokio::test]
async fn an_unused_probe_is_handed_back() {
    let bed = Bed::new();
    let (gate, other) = (bed.gate(), bed.gate());
    leave(&gate, turn(&gate, NOW).await, Signal::Misconfigured, NOW).await;
    let later = NOW.plus(MISCONFIGURED_PROBE);
    let probe = turn(&gate, later).await;
    assert!(matches!(gate.enter(later), Permission::Probing(_)));
    drop(gate.keep(probe));
    gate.sync(later).await.unwrap();
    other.sync(later).await.unwrap();
    for gate in [gate, other] {
        assert!(matches!(gate.enter(later), Permission::Go { alone: true, .. }));
    }
}

#[tokio::test]
async fn what_one_replica_is_told_stops_all() {
    for (signal, state) in [
        (Signal::Throttled(None), "throttled"),
        (Signal::LockedOut(None), "locked_out"),
        (Signal::Misconfigured, "misconfigured"),
    ] {
        let bed = Bed::new();
        let (one, other) = (bed.gate(), bed.gate());
        let before = turn(&other, NOW).await;
        leave(&one, turn(&one, NOW).await, signal, NOW).await;

        let moved = other.moved();
        other.sync(NOW).await.unwrap();
        moved.await;
        assert_eq!((other.name(), other.enter(NOW)), (state, one.enter(NOW)));
        assert!(!other.holds(before), "what waits for its place there does not go out");
        // Nor does a replica that is started now.
        let late = bed.gate();
        late.sync(NOW).await.unwrap();
        assert_eq!(late.name(), state);
    }
}

#[tokio::test]
async fn one_of_all_replicas_probes_and_the_others_hear_how_it_ended() {
    let bed = Bed::new();
    let gates = [bed.gate(), bed.gate(), bed.gate()];
    leave(&gates[0], turn(&gates[0], NOW).await, Signal::Throttled(None), NOW).await;
    let mut now = NOW.plus(SECOND);
    for (end, state) in [(Signal::Throttled(None), "throttled"), (Signal::Fine, "open")] {
        let mut alone = Vec::new();
        for gate in &gates {
            gate.sync(now).await.unwrap();
            let Permission::Go { turn, alone: true } = gate.enter(now) else { panic!("no turn") };
            alone.push(gate.claim(turn, now));
        }
        let claimed = futures_util::future::join_all(alone).await;
        let probes: Vec<_> = claimed.into_iter().map(Result::unwrap).zip(&gates).collect();
        assert_eq!(probes.iter().filter(|(probe, _)| probe.is_some()).count(), 1);
        for gate in &gates {
            let deadline = now.plus(PROBE_TERM);
            assert_eq!(gate.enter(now), Permission::Probing(deadline), "who lost has learnt it");
        }
        let (probe, prober) = probes.into_iter().find(|(probe, _)| probe.is_some()).unwrap();
        leave(prober, probe.unwrap(), end, now).await;
        for gate in &gates {
            gate.sync(now).await.unwrap();
            assert_eq!(gate.name(), state);
        }
        now = now.plus(SECOND * 2);
    }
}

/// A replica that dies while it probes does not keep the lane closed for ever.
#[tokio::test]
async fn a_probe_that_does_not_end_is_followed_by_another() {
    let bed = Bed::new();
    let (gone, other) = (bed.gate(), bed.gate());
    leave(&gone, turn(&gone, NOW).await, Signal::Throttled(None), NOW).await;
    let began = NOW.plus(SECOND);
    let late = turn(&gone, began).await;
    other.sync(began).await.unwrap();
    let deadline = began.plus(PROBE_TERM);
    let just_before = deadline.minus(Duration::from_millis(1));
    assert_eq!(other.enter(just_before), Permission::Probing(deadline));
    let probe = turn(&other, deadline).await;

    // Its answer comes after all: it is stale, whatever it says.
    leave(&gone, late, Signal::Fine, deadline).await;
    assert_eq!((gone.name(), other.name()), ("probing", "probing"));
    leave(&other, probe, Signal::Fine, deadline).await;
    gone.sync(deadline).await.unwrap();
    assert_eq!(gone.name(), "open");
}

#[tokio::test]
async fn what_is_stale_against_the_newer_gate_says_nothing_but_for_a_lockout() {
    let bed = Bed::new();
    let (one, other) = (bed.gate(), bed.gate());
    let (throttled, locked_out) = (turn(&other, NOW).await, turn(&other, NOW).await);
    // The first replica's gate has closed and opened again, which the other does not know.
    leave(&one, turn(&one, NOW).await, Signal::Throttled(None), NOW).await;
    let later = NOW.plus(SECOND);
    leave(&one, turn(&one, later).await, Signal::Fine, later).await;

    leave(&other, throttled, Signal::Throttled(Some(SECOND * 60)), later).await;
    assert_eq!((other.name(), bed.shared().await.version), ("open", 3));
    leave(&other, locked_out, Signal::LockedOut(None), later).await;
    one.sync(later).await.unwrap();
    for gate in [one, other] {
        assert_eq!(gate.enter(later), Permission::Closed(later.plus(LOCKOUT)));
    }
}

/// Two replicas are locked out, and a third one's probe is under way: the silence is the longest.
#[tokio::test]
async fn a_lockout_ends_a_probe_of_others() {
    let bed = Bed::new();
    let (one, other) = (bed.gate(), bed.gate());
    let before = turn(&other, NOW).await;
    leave(&one, turn(&one, NOW).await, Signal::Throttled(None), NOW).await;
    let later = NOW.plus(SECOND);
    let probe = turn(&one, later).await;
    leave(&other, before, Signal::LockedOut(None), later).await;
    leave(&one, probe, Signal::Fine, later).await;
    assert_eq!(one.enter(later), Permission::Closed(later.plus(LOCKOUT)));
}

#[tokio::test]
async fn a_store_that_is_away_delays_the_news_and_nothing_else() {
    let bed = Bed::new();
    let gate = bed.gate();
    let out = turn(&gate, NOW).await;
    bed.store.close().await;
    gate.leave(out, Signal::Throttled(None), NOW, Duration::ZERO);
    assert!(gate.share(NOW).await.is_err() && gate.sync(NOW).await.is_err());
    let until = NOW.plus(SECOND);
    assert_eq!(gate.enter(NOW), Permission::Closed(until), "what is known here rules");
    // And nobody probes while nobody can know who else does.
    let again = until.plus(SHARE_AGAIN);
    assert_eq!(gate.enter(until), Permission::Closed(again));

    let Bed { store, folder } = bed;
    drop(store);
    let store = Bed::open(&folder);
    let gate = Gate { store, ..gate };
    gate.sync(until).await.unwrap();
    assert_eq!(gate.store.gate(&lane()).await.unwrap().version, 1, "shared later");
    turn(&gate, until).await;
}

/// A regression: the lane's watch saw the probe in the store before its claim was answered, and
/// the probe was taken for one that nobody had heard of.
#[tokio::test]
async fn a_probe_is_its_owners_whoever_is_told_first() {
    let bed = Bed::new();
    let gate = bed.gate();
    leave(&gate, turn(&gate, NOW).await, Signal::Throttled(None), NOW).await;
    let later = NOW.plus(SECOND);
    let Permission::Go { turn, alone: true } = gate.enter(later) else { panic!("no turn") };
    let mut claiming = Box::pin(gate.claim(turn, later));
    let early = tokio::select! {
        biased;
        claimed = &mut claiming => Some(claimed),
        () = std::future::ready(()) => None,
    };
    let mut arrivals = bed.store.arrivals();
    arrivals.wait_for(|count| *count >= 2).await.unwrap();
    gate.sync(later).await.unwrap();
    let claimed = match early {
        Some(claimed) => claimed,
        None => claiming.await,
    };
    let probe = claimed.unwrap().expect("a probe");
    assert!(gate.holds(probe));
    assert!(matches!(gate.enter(later), Permission::Probing(_)));
    leave(&gate, probe, Signal::Fine, later).await;
    assert_eq!((gate.name(), bed.shared().await.version), ("open", 3));
}

/// That a probe was begun was written, and the answer lost.
#[tokio::test]
async fn a_probe_that_was_begun_unheard_is_begun_again() {
    let bed = Bed::new();
    let gate = bed.gate();
    leave(&gate, turn(&gate, NOW).await, Signal::Throttled(None), NOW).await;
    let later = NOW.plus(SECOND);
    let unheard = State::read(&bed.shared().await.state, NOW);
    let unheard = unheard.probed_by(&gate.owner, later.plus(PROBE_TERM)).write();
    bed.store.move_gate(&lane(), 1, unheard).await.unwrap();
    gate.sync(later).await.unwrap();
    assert_eq!(gate.name(), "probing");
    turn(&gate, later).await;
    assert!(matches!(gate.enter(later), Permission::Probing(_)));
}

/// A store that was put back to an older state, or made anew, does not undo a lock-out.
#[tokio::test]
async fn what_the_store_has_lost_is_told_again() {
    let bed = Bed::new();
    let gate = bed.gate();
    leave(&gate, turn(&gate, NOW).await, Signal::LockedOut(None), NOW).await;
    gate.learn(1, &SharedGate::default(), NOW);
    assert_eq!(gate.enter(NOW), Permission::Closed(NOW.plus(LOCKOUT)));
    assert!(!gate.is_shared());

    let gate = Gate { store: Bed::new().store, ..gate };
    gate.sync(NOW).await.unwrap();
    let told = gate.store.gate(&lane()).await.unwrap();
    assert_eq!((told.version, State::read(&told.state, NOW).name()), (1, "locked_out"));
}

#[tokio::test]
async fn a_gate_that_cannot_be_read_is_closed_for_a_while() {
    let bed = Bed::new();
    let gate = bed.gate();
    bed.store.move_gate(&lane(), 0, r#"{"closed":"by a later version"}"#.into()).await.unwrap();
    gate.sync(NOW).await.unwrap();
    assert_eq!(gate.enter(NOW), Permission::Closed(NOW.plus(MISCONFIGURED_PROBE)));
    let later = NOW.plus(MISCONFIGURED_PROBE);
    leave(&gate, turn(&gate, later).await, Signal::Fine, later).await;
    assert_eq!(bed.shared().await, SharedGate { version: 3, state: State::default().write() });
}

#[test]
fn a_gate_reads_back_what_it_writes() {
    let breaker = Breaker { failures: 1, probe_every: SECOND };
    let rules = Rules { breaker, lockout: LOCKOUT, probe_term: PROBE_TERM };
    let mut state = State::default();
    for signal in
        [Signal::Throttled(None), Signal::LockedOut(None), Signal::Misconfigured, Signal::Failing]
    {
        state = state.after(signal, 1, &rules, NOW, Duration::ZERO);
        for state in [state.clone(), state.probed_by("me", NOW.plus(SECOND))] {
            assert_eq!(State::read(&state.write(), NOW), state);
        }
    }
    let probed = state.probed_by("me", Timestamp::from_millis(2_000_000)).write();
    let expected = concat!(
        r#"{"closed":{"cause":"failing","until":"1970-01-01T00:16:41.000Z","#,
        r#""probe":{"owner":"me","deadline":"1970-01-01T00:33:20.000Z"}},"throttled_in_a_row":1}"#,
    );
    assert_eq!(probed, expected, "replicas of two versions read each other's");
}

/// What somebody tells the operator through, and what counts it: nobody posts it.
fn desk() -> (Notifier, Arc<Metrics>) {
    let settings = config::Notify {
        url: config::HookUrl("http://127.0.0.1:9/".parse().unwrap()),
        keys: Vec::new(),
        events: config::NotifyEvent::ALL.into(),
        silent_after: None,
        timeout: SECOND,
    };
    let metrics = Arc::<Metrics>::default();
    let clock = Clock::from_fn(|| NOW);
    let (notifier, courier) = notify::open(&settings, Arc::clone(&metrics), clock).unwrap();
    drop(courier); // what is told is counted at once
    (notifier, metrics)
}

/// Whether the operator was told of that, once.
fn is_told(metrics: &Metrics, event: &str) -> bool {
    let line = format!("leadgate_notifications_total{{type=\"{event}\",outcome=\"dropped\"}} 1");
    metrics.render().lines().filter(|found| found.contains(event)).eq([line.as_str()])
}

/// The watch and whoever sends share at the same time, and other replicas hear of it.
#[tokio::test]
async fn a_stop_is_told_of_once_by_who_has_moved_the_gate() {
    let (notifier, metrics) = desk();
    let told = |event: &str| is_told(&metrics, event);
    let bed = Bed::new();
    let [gate, other] = [(); 2].map(|()| bed.gate().notifying(notifier.clone()));
    gate.leave(turn(&gate, NOW).await, Signal::Misconfigured, NOW, Duration::ZERO);
    let shared = tokio::join!(gate.share(NOW), gate.sync(NOW), gate.share(NOW), other.sync(NOW));
    assert!(matches!(shared, (Ok(()), Ok(()), Ok(()), Ok(()))));
    other.sync(NOW).await.unwrap();
    assert!(told("lane.stopped"), "{}", metrics.render());

    // The other one's probe finds it mended.
    let later = NOW.plus(MISCONFIGURED_PROBE);
    let probe = turn(&other, later).await;
    other.leave(probe, Signal::Fine, later, Duration::ZERO);
    let shared = tokio::join!(other.share(later), other.sync(later), gate.sync(later));
    assert!(matches!(shared, (Ok(()), Ok(()), Ok(()))));
    gate.sync(later).await.unwrap();
    assert!(told("lane.resumed") && told("lane.stopped"), "{}", metrics.render());
}
