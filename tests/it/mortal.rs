//! A gateway that may die at any moment, and what must be true of it after all.
//!
//! It is the real binary. Its clock and the simulator's go ahead together, between its lives: what
//! it would do in some minutes it does when it is started the next time.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use leadgate::fail_point::FailPoint;
use leadgate::lead::{Clock, Hand};
use leadgate::sandbox::{LogEntry, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{Backing, CareSoft, http_client, id_of, toml_of};
use crate::load::{assert_kept, assert_nobody_twice};
use crate::served::{Served, figure, leadgate};
use crate::servers::Redis;

/// Longer than a lane is busy without getting anything done, unless it waits for its clock. Shorter
/// only costs a life more.
const STALL: Duration = Duration::from_millis(1_200);

/// A chore's lease, which is the longest that anything waits for by its clock while all is well.
pub const LEASE: Duration = Duration::from_secs(200);

/// After a crash a lead is unknown, looked for twice, and sent again; a comment that was on its way
/// waits for its lease. No road is longer.
const LIVES_MAX: u32 = 12;

const LONG_MEMORY: &str = r#"
[dedup]
window = "300d"
"#;

/// A source whose leads are fetched from the simulator.
const NOTICING: &str = r#"
[sources.ads]
preset = "meta-lead-ads"
destination = "main"
api_base = "{api}"
secrets = { token = "t", page_token = "t" }
"#;

/// As many requests as a failure shows.
const REQUESTS_SHOWN: usize = 40;

/// No request is on its way for longer on a slow machine, nor an answer.
const ON_ITS_WAY_MAX: Duration = Duration::from_millis(500);

/// Nor is the store told of a lock-out later, nor a death noticed.
const UNTOLD_MAX: Duration = Duration::from_millis(500);

/// The first id of a lead that notice is given of: nobody who posts has that phone.
const NOTICED_FROM: usize = 500_000;

/// What abort() ends a process with.
const SIGABRT: i32 = 6;

/// A post that was answered 202.
#[derive(Clone)]
struct Promise {
    id: String,
    phone: String,
    message: String,
}

/// See the module.
pub struct Mortal {
    pub store: Backing,
    pub caresoft: CareSoft,
    /// The gateway, while it lives.
    pub served: Option<Served>,
    /// How often it died without being asked to stop.
    pub deaths: usize,
    /// How often of these at which point.
    pub deaths_at: BTreeMap<&'static str, usize>,
    /// What it was started to die at.
    armed: Option<FailPoint>,
    /// How long nothing may get done before there is nothing to wait for in this life.
    pub stall: Duration,
    folder: TempDir,
    hand: Hand,
    ahead: Duration,
    http: reqwest::Client,
    posts: usize,
    promises: Vec<Promise>,
    /// Whose leads its platform has given notice of, and was answered.
    noticed: Vec<usize>,
    /// When it was found dead, or killed.
    ends: Vec<Instant>,
}

impl Mortal {
    /// None lives yet. `change` is done to the configuration's text.
    pub fn new(store: Backing, change: impl FnOnce(String) -> String) -> Self {
        let (clock, hand) = Clock::with_hand();
        let caresoft = CareSoft::start(Options {
            clock,
            rate_per_second: 2_000,
            rate_per_hour: 7_200_000,
            ..Options::default()
        });
        let folder = TempDir::new().unwrap();
        let text = toml_of(&store.toml(folder.path()), caresoft.address, "");
        let fast = "rate = { per_second = 500, per_hour = 1_000_000 }";
        let text = text.replace("rate = { per_second = 15, per_hour = 54000 }", fast);
        assert!(text.contains(fast));
        // However often the clock goes ahead: nobody is given up, forgotten, or new again.
        let patient = text.replace("give_up_after = \"1h\"", "give_up_after = \"300d\"");
        assert!(patient.contains("300d"));
        let noticing = NOTICING.replace("{api}", &format!("http://{}", caresoft.address));
        let configuration = change(format!("{patient}{LONG_MEMORY}{noticing}"));
        std::fs::write(folder.path().join("leadgate.toml"), configuration).unwrap();
        Self {
            store,
            caresoft,
            served: None,
            deaths: 0,
            deaths_at: BTreeMap::new(),
            armed: None,
            stall: STALL,
            folder,
            hand,
            ahead: Duration::ZERO,
            http: http_client(),
            posts: 0,
            promises: Vec::new(),
            noticed: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Starts it, to die at that pass through that point. It may be dead before it is ready.
    pub async fn start(&mut self, point: Option<(FailPoint, u32)>) {
        assert!(self.served.is_none(), "one lives");
        self.armed = point.map(|(point, _)| point);
        let mut command = leadgate(self.folder.path());
        command.args(["serve", "--config", "leadgate.toml"]);
        command.env("LEADGATE_CLOCK_AHEAD", format!("{}ms", self.ahead.as_millis()));
        if let Some((point, pass)) = point {
            command.env("LEADGATE_FAIL_POINT", format!("{}:{pass}", point.name()));
        }
        match Served::try_spawn(command).await {
            Ok(served) => self.served = Some(served),
            Err((status, told)) => {
                assert!(point.is_some(), "it ended with {status}: {told}");
                self.died(status, &told);
            }
        }
    }

    /// Whether it has died at the point that it was started with.
    pub fn is_dead(&mut self) -> bool {
        let Some(served) = &mut self.served else { return true };
        let Some(status) = served.status() else { return false };
        let told = served.log();
        self.served = None;
        self.died(status, &told);
        true
    }

    fn died(&mut self, status: ExitStatus, told: &str) {
        assert_eq!(status.signal(), Some(SIGABRT), "it ended with {status}: {told}");
        let point = self.armed.expect("it has a point to die at").name();
        *self.deaths_at.entry(point).or_default() += 1;
        assert!(!told.contains("panicked"), "{told}");
        self.has_died();
    }

    fn has_died(&mut self) {
        self.deaths += 1;
        self.ends.push(Instant::now());
    }

    /// SIGKILL, unless it is dead.
    pub async fn kill(&mut self) {
        if self.is_dead() {
            return;
        }
        if let Some(served) = self.served.take() {
            served.signal("-KILL");
            let (_, told) = served.ended().await;
            assert!(!told.contains("panicked"), "{told}");
            self.has_died();
        }
    }

    /// SIGTERM, unless it is dead. It may die at its point even now.
    pub async fn terminate(&mut self) {
        if self.is_dead() {
            return;
        }
        if let Some(served) = self.served.take() {
            let (code, told) = served.terminate().await;
            assert!(matches!(code, Some(0) | None), "{code:?}: {told}");
            assert!(!told.contains("panicked"), "{told}");
            if code.is_none() {
                self.has_died();
            }
        }
    }

    /// How many posts were answered 202.
    pub fn promises(&self) -> usize {
        self.promises.len()
    }

    /// Its Redis.
    pub fn redis(&mut self) -> &mut Redis {
        match &mut self.store {
            Backing::Redis(redis) => redis,
            Backing::Sqlite => panic!("there is no Redis"),
        }
    }

    /// One lane, as `GET /api/lanes` shows it; `None` when nobody answers.
    pub async fn lane(&self) -> Option<Value> {
        let lanes = self.served.as_ref()?.admin_get("/api/lanes").await?;
        let mut lanes: Value = lanes.error_for_status().ok()?.json().await.ok()?;
        Some(lanes["lanes"][0].take())
    }

    /// For a failure: the last requests that CareSoft saw, and what the gateway has logged.
    pub fn told(&self) -> String {
        let log = self.caresoft.sandbox.log();
        let last: Vec<_> = log[log.len().saturating_sub(REQUESTS_SHOWN)..]
            .iter()
            .map(|entry| {
                let LogEntry { at, route, status, lead_id, during_lockout, .. } = entry;
                format!("{at} {route:?} {status:?} {lead_id:?} silence: {during_lockout}")
            })
            .collect();
        let logged = self.served.as_ref().map(Served::log).unwrap_or_default();
        format!("{}\n{logged}", last.join("\n"))
    }

    /// Puts all clocks forward, while none lives.
    pub fn skip(&mut self, duration: Duration) {
        assert!(self.served.is_none(), "its clock is read at its start");
        self.hand.skip(duration);
        self.ahead += duration;
    }

    /// Posts for a person, each time with another message; whether it was answered 202.
    pub async fn post(&mut self, person: usize) -> bool {
        self.post_at_once(&[person]).await == 1
    }

    /// Posts for each of these at once; how many were answered 202.
    pub async fn post_at_once(&mut self, persons: &[usize]) -> usize {
        let Some(served) = &self.served else { return 0 };
        let endpoint = served.endpoint("website");
        let posts = persons.iter().map(|person| {
            self.posts += 1;
            let phone = format!("090{person:07}");
            let message = format!("lời nhắn thử số {}.", self.posts);
            let sent = self.http.post(&endpoint).json(&json!({"phone": phone, "message": message}));
            async move {
                let answer = sent.send().await.ok()?;
                let is_taken = answer.status() == 202;
                is_taken.then_some(Promise { id: id_of(answer).await, phone, message })
            }
        });
        let posts: Vec<_> = posts.collect();
        let answered = futures_util::future::join_all(posts).await;
        let before = self.promises.len();
        self.promises.extend(answered.into_iter().flatten());
        self.promises.len() - before
    }

    /// Its platform gives notice of a person's lead; whether it was answered.
    pub async fn notice(&mut self, person: usize) -> bool {
        let Some(served) = &self.served else { return false };
        let endpoint = format!("{}?token=t", served.endpoint("ads"));
        let value = json!({"leadgen_id": NOTICED_FROM + person, "page_id": 1});
        let changes = json!([{"field": "leadgen", "value": value}]);
        let body = json!({"object": "page", "entry": [{"id": 1, "changes": changes}]});
        let answer = self.http.post(endpoint).json(&body).send().await;
        let is_taken = answer.is_ok_and(|answer| answer.status() == 200);
        if is_taken {
            self.noticed.push(person);
        }
        is_taken
    }

    /// How much there is left to do; `None` when nobody answers.
    async fn left(&self) -> Option<u64> {
        let served = self.served.as_ref()?;
        let lane = self.lane().await?;
        let queued = ["pending", "unknown", "comments"].iter().map(|key| lane[key].as_u64());
        let metrics = served.admin_get("/metrics").await?.text().await.ok()?;
        let spooled = figure(&metrics, "leadgate_spool_depth");
        Some(queued.sum::<Option<u64>>()? + spooled as u64)
    }

    /// Waits until nothing is left to do, or nothing is done any more; whether nothing is left.
    pub async fn settles(&mut self) -> bool {
        let (mut least, mut since) = (u64::MAX, Instant::now());
        loop {
            match self.left().await {
                Some(0) => return true,
                Some(left) if left < least => (least, since) = (left, Instant::now()),
                _ => {}
            }
            if since.elapsed() > self.stall {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await; // between two looks
        }
    }

    /// Kills and starts it anew until everything is done that can be, `step` later each time, and half as
    /// much again each further time.
    pub async fn come_to_rest(&mut self, mut step: Duration) {
        for _ in 0..LIVES_MAX {
            self.kill().await;
            self.skip(step);
            self.start(None).await;
            if self.settles().await {
                return;
            }
            step = step * 3 / 2;
        }
        panic!("{:?} left after {LIVES_MAX} lives\n{}", self.left().await, self.told());
    }

    /// Invariants 1, 2, 4 and 5, once all is at rest: what got a 202 is in the ledger, its person
    /// has one lead, and what each of them said is in that lead once.
    pub async fn assert_whole(&self) {
        let served = self.served.as_ref().expect("it lives");
        let ids: Vec<_> = self.promises.iter().map(|promise| promise.id.clone()).collect();
        assert_kept(served, &ids).await;
        assert_nobody_twice(&self.caresoft);
        for person in &self.noticed {
            // The simulator's people have the numbers of their ids.
            let leads = self.caresoft.leads_of(&format!("0900{}", NOTICED_FROM + person));
            assert_eq!(leads.len(), 1, "{person}");
        }
        for Promise { id, phone, message } in &self.promises {
            let record = served.record(id).await.expect("a record");
            let is_told = ["created", "merged"].iter().any(|state| record["state"] == *state);
            assert!(is_told, "{record:#}");
            let leads = self.caresoft.leads_of(phone);
            assert_eq!(leads.len(), 1, "{record:#}");
            let upstream = &record["upstream"]["lead_id"];
            assert!(record["state"] == "merged" || *upstream == leads[0].id, "{record:#}");
            let comments = leads[0].comments.iter().map(|comment| comment.body.as_str());
            let comments = comments.collect::<Vec<_>>().join("\n");
            let said = comments.matches(message.as_str()).count();
            assert_eq!(said, 1, "times that {message} stands in {comments}\n{record:#}");
        }
    }

    /// No request came during a lock-out, but for two kinds that cannot be helped: what was on its
    /// way when it began; and, where the process died with the news before it had told the store,
    /// what the next life sends until it hears of it again.
    pub fn assert_silent(&self) {
        let mut heard: Option<Instant> = None;
        for LogEntry { at, arrived, status, during_lockout, .. } in self.caresoft.sandbox.log() {
            if !during_lockout {
                heard = (status == Some(404)).then_some(arrived);
                continue;
            }
            let news = heard.expect("a lock-out has a beginning");
            let is_on_its_way = arrived - news < ON_ITS_WAY_MAX;
            let untold = news..(news + UNTOLD_MAX).min(arrived);
            if !is_on_its_way && self.ends.iter().any(|end| untold.contains(end)) {
                heard = Some(arrived);
            } else {
                assert!(is_on_its_way, "a request at {at}\n{}", self.told());
            }
        }
    }
}
