//! Whatever happens, in whatever order: the laws hold after every step.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::*;
use crate::store::{Content, Notice, Verdict};

/// Steps in one run. The suite's window is longer than they take.
const STEPS: i64 = 600;

/// The same numbers every time (xorshift64*).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    pub(crate) fn one_of<T: Clone>(&mut self, things: &[T]) -> Option<T> {
        let count = u64::try_from(things.len()).unwrap();
        (count > 0).then(|| things[usize::try_from(self.below(count)).unwrap()].clone())
    }
}

/// A store's life by chance, and what is known of it without asking.
pub(crate) struct Run {
    chance: Chance,
    step: i64,
    ids: Vec<SubmissionId>,
    /// Who is in which form, to tell whether two leads are one person's.
    persons: HashMap<SubmissionId, Vec<String>>,
    leased: Vec<Work>,
    noticed: Vec<Notice>,
    seen: BTreeSet<State>,
}

/// Invariants 2, 3, 4 and 5.
pub(crate) async fn the_ledger_sums_whatever_happens(store: &dyn Store) {
    let mut run = Run::new(0x1EAD_6A7E);
    for _ in 0..STEPS {
        run.step(store).await;
        run.check(store).await;
    }
    assert_eq!(run.seen, State::ALL.into(), "the run came by every state");
}

impl Run {
    /// A run that goes the same way every time.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: Chance(seed),
            step: 0,
            ids: Vec::new(),
            persons: HashMap::new(),
            leased: Vec::new(),
            noticed: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// The time it is.
    pub(crate) fn now(&self) -> Timestamp {
        at(self.step)
    }

    /// Lets something happen.
    pub(crate) async fn step(&mut self, store: &dyn Store) {
        self.step += 1;
        match self.chance.below(23) {
            0..=8 => self.post(store).await,
            9..=11 => self.lease(store).await,
            12..=16 => self.settle(store).await,
            17 => drop(store.expire_leases(self.now()).await.unwrap()),
            18 => self.replay(store).await,
            19 => self.lease_notices(store).await,
            20 | 21 => self.fill(store).await,
            _ if self.chance.below(4) == 0 => self.forget(store).await,
            _ => {}
        }
    }

    /// Somebody; the same one is likely to come again soon.
    fn somebody(&mut self) -> u32 {
        u32::try_from(self.step / 12).unwrap() + u32::try_from(self.chance.below(6)).unwrap()
    }

    /// A form that somebody has filled in, and who that is.
    fn filled_in(&mut self) -> (Form, Vec<String>) {
        let mut form = form().at(self.now()).source(["website", "landing"][self.at_most_one()]);
        let mut persons = Vec::new();
        let number = self.somebody();
        if self.chance.below(3) > 0 {
            form = form.phone(number);
            persons.push(format!("phone {number}"));
        }
        if persons.is_empty() || self.chance.below(2) > 0 {
            let name = format!("thu{}", self.somebody());
            form = form.email(&name);
            persons.push(name);
        }
        (form, persons)
    }

    async fn post(&mut self, store: &dyn Store) {
        let (mut form, mut persons) = self.filled_in();
        form = match self.chance.below(16) {
            0 => form.test(),
            12..=14 => {
                persons.clear(); // nobody knows yet
                form.external_id(&format!("n-{}", self.chance.below(20))).notice()
            }
            15 => form.external_id(&format!("n-{}", self.chance.below(20))).deletion(),
            1 => form.quarantined(),
            2 => form.delivery(&format!("evt-{}", self.chance.below(4))),
            3..=6 => form.says(&format!("message {}", self.chance.below(3))),
            _ => form,
        };
        let (id, verdict) = form.send(store).await;
        if !matches!(verdict, Verdict::Repeated { .. }) {
            self.ids.push(id);
            self.persons.insert(id, persons);
        }
    }

    async fn lease(&mut self, store: &dyn Store) {
        let max = 1 + self.at_most_one() * 3;
        for work in lease(store, max, self.now()).await {
            let holder = self.leased.iter().position(|held| held.lease.id == work.lease.id);
            if let Some(holder) = holder {
                let before = self.leased.swap_remove(holder);
                assert!(before.lease.fence < work.lease.fence, "a fence rises");
            }
            self.leased.push(work);
        }
    }

    async fn settle(&mut self, store: &dyn Store) {
        let Some(work) = self.chance.one_of(&self.leased) else { return };
        let due = self.now().plus(Duration::from_secs(self.chance.below(9)));
        let outcome = match (&work.task, self.chance.below(8)) {
            (Task::Create { .. } | Task::Comment { .. }, 0) => Outcome::Retry { due },
            (_, 1) => Outcome::Postponed { due },
            (Task::Create { .. }, 2) => unknown(),
            (Task::Look(unsure), 2) => Outcome::Look { due, looks: unsure.looks + 1 },
            (Task::Look(_), 3) => Outcome::SendAgain { due },
            (Task::Comment { .. }, _) => Outcome::Told,
            (_, 3..=5) => dead(),
            _ => created(self.chance.below(1000)),
        };
        settle(store, &work, self.now(), outcome).await; // stale, as often as not
    }

    async fn lease_notices(&mut self, store: &dyn Store) {
        let leased = store.lease_notices(&lane(), 3, OTHER_TERM, self.now()).await.unwrap();
        self.noticed.extend(leased.notices);
    }

    /// What a notice spoke of was fetched, or not.
    async fn fill(&mut self, store: &dyn Store) {
        let Some(Notice { lease, .. }) = self.chance.one_of(&self.noticed) else { return };
        let (now, event) = (self.now(), Event::plain(self.now(), "fetch"));
        let due = now.plus(Duration::from_secs(self.chance.below(9)));
        let ended = match self.chance.below(8) {
            0 => Some(Outcome::Retry { due }),
            1 => Some(Outcome::Postponed { due }),
            2 => Some(dead()),
            _ => None,
        };
        if let Some(outcome) = ended {
            store.settle(&lease, now, outcome, event).await.unwrap();
            return;
        }
        let (form, persons) = self.filled_in();
        let form = match self.chance.below(6) {
            0 => form.test(),
            1 => form.quarantined(),
            _ => form,
        };
        let content: Content = form.admission().content;
        if store.fill(&lease, now, content, event).await.unwrap() == Settled::Done {
            self.persons.insert(lease.id, persons);
        }
    }

    async fn replay(&mut self, store: &dyn Store) {
        let Some(id) = self.chance.one_of(&self.ids) else { return };
        store.replay(id, self.now(), None).await.unwrap();
    }

    async fn forget(&mut self, store: &dyn Store) {
        let identity = phone(self.somebody());
        store.forget(vec![identity], self.now()).await.unwrap();
    }

    fn at_most_one(&mut self) -> usize {
        usize::try_from(self.chance.below(2)).unwrap()
    }

    async fn check(&mut self, store: &dyn Store) {
        let step = self.step;
        let ledger = store.ledger().await.unwrap();
        assert_eq!(ledger.residue(), 0, "step {step}");
        assert_eq!(ledger.accepted(), self.ids.len() as u64, "step {step}");

        let query = Query { limit: Query::LIMIT_MAX, ..Query::default() };
        let records = store.list(query).await.unwrap().records;
        assert_eq!(records.len(), self.ids.len());
        let mut counted = BTreeMap::<State, u64>::new();
        for record in &records {
            *counted.entry(record.state).or_default() += 1;
        }
        self.seen.extend(counted.keys());
        for state in State::ALL {
            let count = counted.get(&state).copied().unwrap_or_default();
            assert_eq!(ledger.count(state), count, "step {step}: {state}");
        }
        let depth = store.depth(&lane()).await.unwrap();
        assert_eq!(depth.pending, ledger.count(State::Pending), "step {step}");
        assert_eq!(depth.unknown, ledger.count(State::Unknown), "step {step}");
        assert!(depth.comments <= ledger.count(State::Merged), "step {step}");
        self.one_person_one_lead(&records, step);
        nobody_is_lost(&records, step);
    }

    fn one_person_one_lead(&self, records: &[Record], step: i64) {
        let mut leads = HashMap::new();
        for record in records {
            if matches!(record.state, State::Pending | State::Unknown | State::Created) {
                for person in &self.persons[&record.id] {
                    let other = leads.insert(person, record.id);
                    assert_eq!(other, None, "step {step}: {person} has two leads");
                }
            }
        }
    }
}

/// Whoever joined a lead is in a lead that lives, or said no more than a dead one.
fn nobody_is_lost(records: &[Record], step: i64) {
    let by_id: HashMap<_, _> = records.iter().map(|record| (record.id, record)).collect();
    for record in records.iter().filter(|record| record.state == State::Merged) {
        let lead = by_id[&record.duplicate_of.expect("merged into something")];
        match lead.state {
            State::Pending | State::Unknown | State::Created | State::Erased => {}
            State::Dead => assert!(lead.lead == record.lead, "step {step}: somebody is lost"),
            other => panic!("step {step}: merged into {other}"),
        }
    }
}
