//! A gateway, a CareSoft and people, all by one clock, and a day as they live it.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use leadgate::lead::{Clock, Hand, Timestamp};
use leadgate::sandbox::{LogEntry, Options, Sandbox, StoredLead};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::day::{Day, Left, Primary, What};
use crate::gateway::{Backing, Gateway, Host, configuration, free_listener, leads_of};

/// Longer than a day takes on a slow machine; only a failing test lives it to its end.
const DAY_MAX: Duration = Duration::from_secs(120);

/// The gateway's pace and CareSoft's limit.
const PACE: u32 = 12;
const LIMIT: usize = 15;

/// Nothing may be under way for so many looks in a row before the clock is put forward.
const STILL: u32 = 5;
const LOOK: Duration = Duration::from_millis(12);

/// A lane pauses for a second at least when it is throttled: two 429s that are closer than this
/// were not a 429 and a probe.
const PAUSE_MIN: Duration = Duration::from_millis(900);

pub struct Bed {
    day: Day,
    began: Timestamp,
    clock: Clock,
    hand: Hand,
    sandbox: Sandbox,
    gateway: Gateway,
    hosts: Vec<Host>,
    primary: SocketAddr,
    came: Vec<Visit>,
    records: Vec<Value>,
    _store: Backing,
}

/// Somebody has filled in a form.
struct Visit {
    id: String,
    person: usize,
    message: String,
}

impl Bed {
    pub async fn set(day: Day, store: Backing) -> Self {
        let (clock, hand) = Clock::with_hand();
        let defaults = Options::default();
        let sandbox = Sandbox::new(Options {
            clock: clock.clone(),
            list_lag: day.caresoft.list_lag.unwrap_or(defaults.list_lag),
            filters_in_utc: day.caresoft.filters_in_utc,
            send_retry_after: day.caresoft.send_retry_after,
            update_resets_status: day.caresoft.update_resets_status,
            ..defaults
        });
        assert!(day.faults.iter().all(|fault| sandbox.inject(fault.clone())));

        let mut hosts = Vec::new();
        let listener = free_listener();
        let primary = listener.local_addr().unwrap();
        if day.primary == Primary::There {
            hosts.push(Host::primary(&sandbox, listener));
        } // else nothing listens there from now on
        let standby = day.standby.then(|| Host::standby(&sandbox, free_listener()));
        let folder = TempDir::new().unwrap();
        let mut config = configuration(&store, &folder, primary, "");
        let main = config.destinations.values_mut().next().unwrap();
        main.rate.per_second = PACE.try_into().unwrap();
        main.timeout = Duration::from_millis(500);
        main.retry.initial = Duration::from_secs(1);
        main.retry.max = Duration::from_secs(600);
        main.retry.give_up_after = Duration::from_secs(30 * 24 * 3600);
        main.marker = day.destination.marker.unwrap_or(main.marker);
        if let Some(standby) = &standby {
            main.fallback_url = Some(format!("http://{}", standby.address).parse().unwrap());
        }
        hosts.extend(standby);
        let began = clock.now();
        let gateway = Gateway::run_by(clock.clone(), &config, folder).await;
        let (came, records) = (Vec::new(), Vec::new());
        Self {
            day,
            began,
            clock,
            hand,
            sandbox,
            gateway,
            hosts,
            primary,
            came,
            records,
            _store: store,
        }
    }

    /// People come, things happen, and time passes until nothing is left to be done.
    pub async fn live(&mut self) {
        let deadline = Instant::now() + DAY_MAX;
        let steps = std::mem::take(&mut self.day.steps);
        let mut steps = steps
            .iter()
            .map(|step| (self.began.plus(step.after.unwrap_or_default()), step.what))
            .collect::<Vec<_>>()
            .into_iter()
            .peekable();
        while let Some((_, what)) = steps.next_if(|(at, _)| *at <= self.began) {
            self.happen(what).await;
        }
        self.come("hỏi giá").await;
        loop {
            self.until_still(deadline).await;
            let next = self.hand.next();
            let step = steps.peek().map(|(at, _)| *at);
            let Some(until) = next.into_iter().chain(step).min() else {
                if self.is_over() {
                    return;
                }
                continue;
            };
            self.hand.skip(until.since(self.clock.now()));
            if let Some((_, what)) = steps.next_if(|(at, _)| *at <= self.clock.now()) {
                self.happen(what).await;
            }
        }
    }

    async fn happen(&mut self, what: What) {
        match what {
            What::ClearFaults => self.sandbox.clear_faults(),
            What::RevokeToken => self.sandbox.swap_token("another"),
            What::RestoreToken => self.sandbox.swap_token(Options::default().token),
            What::PrimaryIsBack => {
                let listener = TcpListener::bind(self.primary).expect("its port is still free");
                self.hosts.push(Host::primary(&self.sandbox, listener));
            }
            What::PeopleComeAgain => self.come("hỏi thêm").await,
        }
    }

    /// Everybody fills in the form, with a message of their own.
    async fn come(&mut self, about: &str) {
        for person in 1..=self.day.people {
            let message = format!("{about} {person:03}");
            let mut form = json!({ "name": format!("Thử {person}"), "message": message });
            if !matches!(self.day.with, Left::Email) {
                form["phone"] = phone(person).into();
            }
            if !matches!(self.day.with, Left::Phone) {
                form["email"] = email(person).into();
            }
            let id = self.gateway.submit(form).await;
            self.came.push(Visit { id, person, message });
        }
    }

    /// Waits until nobody does anything but wait for the clock.
    async fn until_still(&mut self, deadline: Instant) {
        let mut before = None;
        let mut looks = 0;
        while looks < STILL {
            assert!(Instant::now() < deadline, "not over: {:#?}", self.records);
            tokio::time::sleep(LOOK).await; // between two looks
            self.look().await;
            let steps: usize = self.records.iter().map(|record| history(record).count()).sum();
            let seen = (self.sandbox.log().len(), steps, self.hand.next());
            let still = self.sandbox.under_way() == 0 && before == Some(seen);
            looks = if still { looks + 1 } else { 0 };
            before = Some(seen);
        }
    }

    async fn look(&mut self) {
        self.records.clear();
        for visit in &self.came {
            self.records.push(self.gateway.record(&visit.id).await);
        }
    }

    fn is_over(&self) -> bool {
        let is_settled = |record: &Value| match record["state"].as_str() {
            Some("merged") => history(record)
                .any(|outcome| ["added", "added_before", "with_lead"].contains(&outcome)),
            state => state != Some("pending") && state != Some("unknown"),
        };
        self.records.iter().all(is_settled)
    }

    /// The lead of a person, of which there is one.
    fn lead_of(&self, person: usize) -> StoredLead {
        let identity = match self.day.with {
            Left::Email => email(person),
            Left::Phone | Left::Both => phone(person),
        };
        let mut leads = leads_of(&self.sandbox, &identity);
        assert_eq!(leads.len(), 1, "leads of person {person}: {:#?}", self.records);
        leads.remove(0)
    }

    /// One lead per person with everything that the person has said, once; a ledger that sums;
    /// and never more than CareSoft allows.
    pub async fn assert_what_must_always_be(&self) {
        for visit in &self.came {
            let lead = self.lead_of(visit.person);
            let says =
                lead.comments.iter().map(|comment| comment.body.matches(&visit.message).count());
            assert_eq!(says.sum::<usize>(), 1, "“{}” in {:#?}", visit.message, lead.comments);
        }
        assert_eq!(self.sandbox.leads().len(), self.day.people);
        self.gateway.assert_ledger_sums().await;

        let log = self.sandbox.log();
        assert_eq!(self.sandbox.requests_during_lockout(), 0);
        let most = self.sandbox.max_in_any_second();
        assert!(most <= LIMIT, "{most} requests in one second");
        for pair in log.windows(2).filter(|pair| pair.iter().all(is_throttled)) {
            let pause = pair[1].at.since(pair[0].at);
            assert!(pause >= PAUSE_MIN, "a 429 {pause:?} after a 429");
        }
    }

    pub fn assert_the_end(&self) {
        let end = &self.day.end;
        let count =
            |state: &str| self.records.iter().filter(|record| record["state"] == state).count();
        assert_eq!((count("created"), count("merged")), (end.created, end.merged));
        assert_eq!(end.created + end.merged, self.came.len(), "nobody else has come");
        let events = self.records.iter().flat_map(history);
        let sent_again = events.filter(|outcome| *outcome == "send_again").count();
        if let Some(expected) = end.sent_again {
            assert_eq!(sent_again, expected, "sent again: {:#?}", self.records);
        }
        let took = self.clock.now().since(self.began);
        println!("it took {took:?} by its clock, and {} requests", self.sandbox.log().len());
        assert!(took >= end.at_least.unwrap_or_default(), "over after {took:?}");
        let log = self.sandbox.log();
        assert!(!log.iter().any(|entry| end.never.contains(&entry.route)), "{log:#?}");
    }

    pub async fn stop(self) {
        self.gateway.stop().await;
    }
}

fn is_throttled(entry: &LogEntry) -> bool {
    entry.status == Some(429)
}

/// The outcomes of a record's history.
fn history(record: &Value) -> impl Iterator<Item = &str> {
    record["history"].as_array().into_iter().flatten().filter_map(|event| event["outcome"].as_str())
}

fn phone(person: usize) -> String {
    format!("0900000{person:03}")
}

fn email(person: usize) -> String {
    format!("nguoi{person}@example.vn")
}
