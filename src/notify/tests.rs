//! A courier against a real receiver, and what a notifier and a look for silence do by themselves.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

#[path = "../../tests/servers/receiver.rs"]
mod receiver;

use self::receiver::{Receiver, Reply};
use super::*;
use crate::config::{HookUrl, SigningKey};
use crate::lead::{Hand, Identity, Lead, Phone, SubmissionId};
use crate::store::sqlite::Sqlite;
use crate::store::{Admission, Content, Options, Store};

/// Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Timestamp = Timestamp::from_millis(1_795_425_302_000);

/// Waits until `probe` answers something.
async fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await; // between two looks
    }
}

fn settings(url: &str) -> Notify {
    Notify {
        url: HookUrl(url.parse().unwrap()),
        keys: vec![SigningKey(b"a key of a test".to_vec().into())],
        events: NotifyEvent::ALL.into(),
        silent_after: None,
        timeout: Duration::from_secs(10),
    }
}

/// A notifier whose courier is at work, by a clock with a hand.
struct Service {
    notifier: Notifier,
    metrics: Arc<Metrics>,
    clock: Clock,
    hand: Hand,
    close: watch::Sender<Option<Duration>>,
    courier: JoinHandle<()>,
}

impl Service {
    fn start(settings: &Notify) -> Self {
        let metrics = Arc::<Metrics>::default();
        let (clock, hand) = Clock::with_hand();
        let (notifier, courier) = open(settings, Arc::clone(&metrics), clock.clone()).unwrap();
        let (close, closing) = watch::channel(None);
        let courier = tokio::spawn(courier.run(closing));
        Self { notifier, metrics, clock, hand, close, courier }
    }

    /// Tells that the n-th source is silent.
    fn tell(&self, number: usize) {
        self.notifier.silent(&format!("form-{number}").parse().unwrap(), MOMENT, MOMENT);
    }

    /// What is to be tried again next is due now.
    fn skip_to_next(&self) {
        if let Some(next) = self.hand.next() {
            self.hand.skip(next.since(self.clock.now()));
        }
    }

    fn count(&self, outcome: &str) -> u64 {
        counted(&self.metrics, outcome)
    }

    /// Ends it; what waits has `chance`.
    async fn stop(self, chance: Duration) -> Arc<Metrics> {
        self.close.send(Some(chance)).unwrap();
        self.courier.await.unwrap();
        self.metrics
    }
}

/// How many signals of silent sources ended so.
fn counted(metrics: &Metrics, outcome: &str) -> u64 {
    let name = "leadgate_notifications_total";
    let line = format!("{name}{{type=\"source.silent\",outcome=\"{outcome}\"}} ");
    let text = metrics.render();
    text.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_told() {
    let receiver = Receiver::start([]);
    let mut settings = settings(&receiver.url());
    settings.events = [NotifyEvent::SourceSilent].into();
    let service = Service::start(&settings);
    let open = Standing { state: "open", is_stopped: false, until: None };
    let failing = Standing { state: "failing", is_stopped: true, until: Some(MOMENT) };
    service.notifier.lane_moved(&"main".parse().unwrap(), 1, open, failing, MOMENT);
    service.tell(1);
    Notifier::default().silent(&"nobody".parse().unwrap(), MOMENT, MOMENT);
    let metrics = service.stop(PATIENCE).await;
    assert_eq!(counted(&metrics, DELIVERED), 1);
    let ids: Vec<_> = receiver.posts().into_iter().map(|post| post.id).collect();
    assert_eq!(ids, ["silent_form-1_1795425302000"]);
}

#[tokio::test]
async fn a_full_queue_drops_what_is_new_and_counts_it() {
    let metrics = Arc::<Metrics>::default();
    let clock = Clock::from_fn(|| MOMENT);
    let (notifier, courier) =
        open(&settings("http://127.0.0.1:9/"), Arc::clone(&metrics), clock).unwrap();
    let source = "form".parse().unwrap();
    for _ in 0..KEPT_MAX + 3 {
        notifier.silent(&source, MOMENT, MOMENT);
    }
    assert_eq!(counted(&metrics, DROPPED), 3);
    drop(courier); // and what was kept is counted when it is lost
    assert_eq!(counted(&metrics, DROPPED), KEPT_MAX as u64 + 3);
    notifier.silent(&source, MOMENT, MOMENT);
    assert_eq!(counted(&metrics, DROPPED), KEPT_MAX as u64 + 4);
}

#[tokio::test]
async fn a_signal_is_tried_again_with_its_id_for_so_long_and_no_longer() {
    let receiver = Receiver::start(vec![Reply::Status(500); 20]);
    let service = Service::start(&settings(&receiver.url()));
    service.tell(1);
    eventually("the signal is given up", || {
        service.skip_to_next();
        (service.count(FAILED) == 1).then_some(())
    })
    .await;
    let posts = receiver.posts();
    assert_eq!(posts.len(), 8);
    assert!(posts.iter().all(|post| post.id == posts[0].id && post.body == posts[0].body));
    assert!(posts.iter().all(|post| post.is_signed_with(b"a key of a test")));
    let timestamps: Vec<_> = posts.iter().map(|post| post.timestamp).collect();
    assert!(timestamps.is_sorted() && timestamps.first() < timestamps.last(), "{timestamps:?}");
    assert_eq!((service.count(DELIVERED), service.count(DROPPED)), (0, 0));
}

#[tokio::test]
async fn what_the_receiver_asks_for_is_waited_for() {
    let receiver = Receiver::start([Reply::Later(3600)]);
    let service = Service::start(&settings(&receiver.url()));
    let told = Clock::system().now();
    service.tell(1);
    // Backoff alone would be half a minute.
    let due = eventually("it waits", || service.hand.next()).await;
    assert!((HOUR..HOUR * 2).contains(&due.since(told)), "{:?}", due.since(told));
    service.hand.skip(HOUR + PATIENCE);
    eventually("it is delivered", || (service.count(DELIVERED) == 1).then_some(())).await;
    assert_eq!(receiver.posts().len(), 2);
}

#[tokio::test]
async fn what_would_be_refused_again_is_not_tried_again_and_what_may_pass_is() {
    let replies = [400, 410, 404, 408, 425, 429, 500, 301].map(Reply::Status);
    let receiver = Receiver::start(replies.into_iter().chain([Reply::Redirect]));
    let service = Service::start(&settings(&receiver.url()));
    for number in 0..9 {
        service.tell(number);
        eventually("one more post", || (receiver.posts().len() > number).then_some(())).await;
    }
    eventually("three are given up", || (service.count(FAILED) == 3).then_some(())).await;
    eventually("the others are delivered", || {
        service.skip_to_next();
        (service.count(DELIVERED) == 6).then_some(())
    })
    .await;
    assert_eq!((receiver.posts().len(), service.count(FAILED)), (15, 3));
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_one() {
    let receiver = Receiver::start([Reply::Endless]);
    let service = Service::start(&settings(&receiver.url()));
    service.tell(1);
    eventually("it is delivered", || (service.count(DELIVERED) == 1).then_some(())).await;
}

#[tokio::test]
async fn at_a_stop_what_waits_has_one_more_try() {
    let receiver = Receiver::start([Reply::Status(503), Reply::Status(503)]);
    let service = Service::start(&settings(&receiver.url()));
    service.tell(0);
    eventually("it is to be tried again", || service.hand.next()).await;
    for number in 1..50 {
        service.tell(number);
    }
    let metrics = service.stop(PATIENCE).await;
    let counts = [DELIVERED, FAILED, DROPPED].map(|outcome| counted(&metrics, outcome));
    assert_eq!(counts.iter().sum::<u64>(), 50, "each is counted once: {counts:?}");
    assert!(counts[0] >= 49, "all but the one that was refused in the end: {counts:?}");
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_holds_up_no_stop() {
    let receiver = Receiver::start([Reply::Never; 100]);
    let service = Service::start(&settings(&receiver.url()));
    for number in 0..50 {
        service.tell(number);
    }
    eventually("as many posts are under way as can be", || {
        (receiver.posts().len() == 8).then_some(())
    })
    .await;
    let began = Instant::now();
    let metrics = service.stop(Duration::from_millis(50)).await;
    assert!(began.elapsed() < Duration::from_secs(8), "less than a post may take");
    assert_eq!((counted(&metrics, DROPPED), receiver.posts().len()), (50, 8));
}

/// A submission of somebody new, accepted then.
fn submission(number: u32, source: &SourceId, received_at: Timestamp) -> Admission {
    let phone: Phone = format!("+8490000{number:04}").parse().unwrap();
    Admission {
        id: SubmissionId::generate(),
        source: source.clone(),
        destination: "main".parse().unwrap(),
        received_at,
        trace_id: None,
        external_id: None,
        idempotency: None,
        content: Content::Lead {
            identities: vec![Identity::Phone(phone.clone())],
            lead: Lead { phone: Some(phone), ..Lead::default() },
        },
    }
}

#[tokio::test]
async fn a_silence_is_told_once_and_the_next_one_again() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { dedup_window: HOUR, idempotency_window: HOUR, comments: true, secrets: vec![] };
    let store: Arc<dyn Store> =
        Arc::new(Sqlite::open(&folder.path().join("leads.db"), options).unwrap());
    let receiver = Receiver::start([]);
    let service = Service::start(&settings(&receiver.url()));
    let (clock, hand) = Clock::with_hand();
    let [form, other, never]: [SourceId; 3] =
        ["form", "other", "never"].map(|id| id.parse().unwrap());
    let first = clock.now();
    let admit = |number, source: &SourceId| {
        let (store, admission) = (Arc::clone(&store), submission(number, source, clock.now()));
        async move { store.admit(vec![admission]).await.unwrap() }
    };
    admit(1, &form).await;

    let sources = [form.clone(), other.clone(), never];
    let notifier = service.notifier.clone();
    let mut silence = Silence::new(Arc::clone(&store), notifier, sources, HOUR, clock.clone());
    silence.look().await.unwrap();
    hand.skip(HOUR);
    admit(2, &other).await;
    silence.look().await.unwrap();
    silence.look().await.unwrap(); // told already
    hand.skip(HOUR / 2);
    let second = clock.now();
    admit(3, &form).await;
    silence.look().await.unwrap();
    hand.skip(HOUR / 2);
    silence.look().await.unwrap(); // the other one, meanwhile
    hand.skip(HOUR / 2);
    silence.look().await.unwrap();

    service.stop(PATIENCE).await;
    let mut told: Vec<_> =
        receiver.posts().into_iter().map(|post| post.body["data"].clone()).collect();
    told.retain(|data| data["source"] == "form");
    let (first, second) = (first.as_millis(), second.as_millis());
    let since = |data: &serde_json::Value| {
        data["last_received_at"].as_str().unwrap().parse::<Timestamp>().unwrap().as_millis()
    };
    assert_eq!(told.len(), 2, "{told:?}");
    assert!((first..first + 60_000).contains(&since(&told[0])), "{told:?}");
    assert!((second..second + 60_000).contains(&since(&told[1])), "{told:?}");
    assert_eq!(receiver.posts().len(), 3, "and the other form, once; never who has not sent yet");
}

/// Another configuration: what waits is not lost, and is posted as that says.
#[tokio::test]
async fn what_waits_goes_where_the_newest_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { dedup_window: HOUR, idempotency_window: HOUR, comments: true, secrets: vec![] };
    let store: Arc<dyn Store> =
        Arc::new(Sqlite::open(&folder.path().join("leads.db"), options).unwrap());
    let (metrics, (clock, hand)) = (Arc::<Metrics>::default(), Clock::with_hand());
    let (_stop, stopping) = watch::channel(false);
    let notifier = Notifier::default();
    let wired = (notifier.clone(), Arc::clone(&metrics), clock.clone());
    let mut signals = Signals::new(wired.0, store, wired.1, wired.2, stopping);
    let plan = |settings: Option<Notify>| {
        let text = "[admin]\ntoken = \"token-of-a-test\"\n";
        let parsed =
            crate::config::parse(text, "test", &crate::config::MapEnvironment::default(), &[]);
        let mut config = parsed.unwrap().config;
        config.notify = settings;
        Plan::of(&config).unwrap()
    };
    let tell = |number: u32| {
        notifier.silent(&format!("form-{number}").parse().unwrap(), MOMENT, MOMENT);
    };

    tell(1); // nobody wants it
    let receiver = Receiver::start([]);
    signals.follow(plan(Some(settings("http://127.0.0.1:9/"))).as_ref()); // nothing listens there
    tell(2);
    eventually("it waits to be tried again", || hand.next()).await;
    let mut other = settings(&receiver.url());
    other.events = [NotifyEvent::SourceSilent].into();
    signals.follow(plan(Some(other)).as_ref());
    notifier.source_resumed(&"form".parse().unwrap(), None, MOMENT); // not wanted any more
    tell(3);
    let both = eventually("both are posted", || {
        if let Some(next) = hand.next() {
            hand.skip(next.since(clock.now()));
        }
        Some(receiver.posts()).filter(|posts| posts.len() == 2)
    })
    .await;
    let mut sources: Vec<_> =
        both.iter().map(|post| post.body["data"]["source"].to_string()).collect();
    sources.sort();
    assert_eq!(sources, ["\"form-2\"", "\"form-3\""]);

    signals.follow(plan(None).as_ref());
    tell(4);
    signals.stop(PATIENCE).await;
    assert_eq!((receiver.posts().len(), counted(&metrics, DELIVERED)), (2, 2));
}
