//! What every store must do, as one suite: each behaviour is a function of a fresh store, and
//! [`conformance!`] makes one test of each for one implementation.
//!
//! ```ignore
//! async fn open() -> Bed { … } // a fresh store, opened with `options()` or `options_with_secret()`
//! conformance!(crate::store::sqlite::tests::open);
//! ```

mod form;

pub(crate) mod admission;
pub(crate) mod afterlife;
pub(crate) mod chance;
pub(crate) mod chores;
pub(crate) mod forgetting;
pub(crate) mod lanes;
pub(crate) mod listing;
pub(crate) mod looking;
pub(crate) mod notices;
pub(crate) mod queue;
pub(crate) mod rotation;

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::form::{Form, NOTICE, at, body, email, form, phone};
use super::{Options, Outcome, Query, Retention, Settled, Store, Task, Wanted, Work};
use crate::lead::{DestinationId, Event, Record, State, SubmissionId, Timestamp, Upstream};

/// What the suite expects a store to be opened with.
pub(crate) fn options() -> Options {
    Options {
        dedup_window: WINDOW,
        idempotency_window: REMEMBERED,
        comments: true,
        secrets: vec![],
    }
}

/// The same with a secret: what is stored is sealed, and nothing else is different.
pub(crate) fn options_with_secret() -> Options {
    Options { secrets: vec!["a secret of some length".into()], ..options() }
}

/// How long a person's first submission claims them.
pub(crate) const WINDOW: Duration = Duration::from_secs(3600);
/// How long a delivery is remembered.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(600);
/// How long the suite leases for.
pub(crate) const TERM: Duration = Duration::from_secs(30);
/// And for anything else than a create.
pub(crate) const OTHER_TERM: Duration = Duration::from_secs(60);

/// Up to `max`, whatever they are.
pub(crate) const fn up_to(max: usize) -> Wanted {
    Wanted { max, chores: max, create_term: TERM, chore_term: OTHER_TERM }
}

/// A store under test, and whatever must live as long as it does.
pub(crate) struct Bed {
    store: Arc<dyn Store>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Bed {
    /// A fresh store; `keep` is dropped after it.
    pub(crate) fn new(store: Arc<dyn Store>, keep: impl Any + Send + Sync) -> Self {
        Self { store, _keep: Box::new(keep) }
    }
}

impl Deref for Bed {
    type Target = dyn Store;

    fn deref(&self) -> &dyn Store {
        &*self.store
    }
}

/// One test per behaviour, on stores that `$open` (an async function that gives a [`Bed`]) opens.
macro_rules! conformance {
    ($open:path) => {
        $crate::store::conformance::conformance! { @tests $open;
            admission: accepted_is_durable_and_readable, verdicts_come_in_order,
                a_trace_is_kept_until_the_record_is_erased,
                many_posts_of_one_person_at_once_make_one_lead, a_phone_wins_over_an_email,
                a_known_person_brings_a_new_identity, a_link_ends_with_the_first_leads_window,
                a_window_ends, a_batch_sees_itself, a_repeated_delivery_writes_nothing,
                a_delivery_is_forgotten_after_its_window,
                a_delivery_may_have_a_window_of_its_own, deliveries_are_known_within_a_source,
                destinations_do_not_share_persons, quarantined_and_test_are_kept_and_never_sent,
                admitting_wakes_a_lane;
            queue: invariant_7_fresh_ones_come_first_and_in_order, invariant_7_later_ones_get_one_place_in_four,
                a_retry_waits_until_it_is_due, a_postponed_one_keeps_its_place,
                retries_spend_attempts_and_postponing_does_not, an_old_fence_is_refused,
                a_settled_lease_is_over, created_says_what_caresoft_calls_it,
                an_expired_lease_makes_unknown,
                a_late_created_is_believed_until_somebody_leases_anew,
                a_lane_leases_its_own_only, history_is_kept_and_bounded, depth_counts_what_waits,
                nobody_is_leased_twice_at_once;
            chores: unknown_is_leased_to_be_looked_for, a_look_in_vain_is_made_again,
                what_was_surely_not_made_is_sent_again_as_later, what_is_found_is_created,
                what_is_not_cleared_up_dies, an_expired_look_goes_back,
                created_is_believed_while_somebody_looks, a_replay_ends_the_looking,
                what_joined_a_waiting_lead_goes_into_its_create,
                what_joins_while_it_is_sent_is_told_after, what_joins_a_created_lead_is_told,
                what_says_the_same_is_not_told, a_comment_is_tried_again,
                a_comment_on_a_lead_that_is_gone_is_given_up,
                a_replay_that_joins_a_created_lead_is_told, the_forgotten_have_no_chores,
                invariant_7_chores_take_turns_behind_the_fresh, depth_counts_chores, no_more_chores_than_wanted;
            afterlife: dead_releases_its_claims, dead_releases_what_others_brought_it,
                a_different_follower_of_the_dead_is_promoted,
                an_equal_follower_of_the_dead_is_not_promoted,
                a_follower_that_belongs_to_another_lead_joins_it, replay_puts_the_dead_back,
                replay_joins_the_lead_that_came_meanwhile, replay_refuses_what_is_under_way,
                replay_takes_a_correction, forgetting_erases_a_person,
                forgetting_frees_whoever_was_linked,
                forgetting_frees_what_the_erased_brought, sweeping_keeps_what_is_wanted,
                sweeping_leaves_claims_alone, a_closed_store_says_so;
            notices: a_notice_is_pending_and_leased_by_itself, a_filled_notice_is_a_fresh_lead,
                a_filled_notice_joins_the_lead_of_its_person, a_notice_may_be_a_test_or_unusable,
                a_fetch_is_tried_again_and_postponed, a_notice_has_no_other_end,
                an_expired_fetch_goes_back, an_old_fence_fills_nothing,
                a_dead_notice_is_replayed_and_fetched, what_is_quarantined_is_read_anew,
                a_body_is_kept_until_it_is_not_needed, a_deletion_erases_what_it_is_of,
                a_deletion_comes_first_and_its_lead_is_repeated,
                late_fills_of_one_person_are_one_lead, a_deletion_loses_nobody_elses_lead,
                what_was_on_its_way_when_it_was_deleted_is_looked_for,
                a_deletion_loses_nobody_elses_comment,
                a_deletion_finds_its_lead_at_another_destination;
            forgetting: what_is_fetched_of_the_forgotten_is_erased, the_forgotten_are_so_everywhere,
                the_forgotten_are_known_as_such_for_ninety_days,
                a_body_that_turns_out_to_be_of_the_forgotten_is_erased, one_record_is_erased_alone;
            looking: a_list_is_newest_first_and_filtered, pages_stay_while_records_arrive,
                pages_leave_nobody_out,
                a_search_finds_by_any_name, the_unknown_is_not_found, health_names_its_worth;
            listing: every_filter_is_exact;
            lanes: places_come_one_after_another, lanes_do_not_share_a_pace_or_a_gate,
                a_far_place_is_refused, a_used_up_hour_says_later,
                an_old_gate_takes_no_place_and_learns_the_new_one,
                many_movers_at_once_and_one_wins, moving_a_gate_wakes_the_lanes;
            chance: the_ledger_sums_whatever_happens;
        }
    };
    (@tests $open:path; $($area:ident: $($behaviour:ident),+;)+) => {
        $($(
            #[tokio::test]
            async fn $behaviour() {
                let bed = $open().await;
                $crate::store::conformance::$area::$behaviour(&*bed).await;
            }
        )+)+
    };
}
pub(crate) use conformance;

pub(crate) fn lane() -> DestinationId {
    "main".parse().unwrap()
}

/// Leases up to `max` of the suite's lane.
pub(crate) async fn lease(store: &dyn Store, max: usize, now: Timestamp) -> Vec<Work> {
    store.lease(&lane(), up_to(max), now).await.unwrap().work
}

/// Leases one, which must be `id`.
pub(crate) async fn lease_one(store: &dyn Store, id: SubmissionId, now: Timestamp) -> Work {
    let work = lease(store, 1, now).await.pop().expect("something to lease");
    assert_eq!(work.lease.id, id);
    work
}

/// Settles with an event that suits the outcome.
pub(crate) async fn settle(
    store: &dyn Store,
    work: &Work,
    now: Timestamp,
    outcome: Outcome,
) -> Settled {
    let event =
        Event { outcome: Some(outcome.word().into()), ..Event::plain(now, work.task.word()) };
    store.settle(&work.lease, now, outcome, event).await.unwrap()
}

pub(crate) fn created(lead_id: u64) -> Outcome {
    Outcome::Created(Upstream { lead_id, requester_id: Some(lead_id + 1) })
}

pub(crate) fn dead() -> Outcome {
    Outcome::Dead { reason: "phone is invalid".into() }
}

pub(crate) fn unknown() -> Outcome {
    Outcome::Unknown { reason: "timed out".into() }
}

/// Leases `id`, which must be next, and lets it die.
pub(crate) async fn kill(store: &dyn Store, id: SubmissionId, now: Timestamp) {
    let work = lease_one(store, id, now).await;
    assert_eq!(settle(store, &work, now, dead()).await, Settled::Done);
}

pub(crate) async fn record(store: &dyn Store, id: SubmissionId) -> Record {
    store.find(id).await.unwrap().expect("the record")
}

pub(crate) async fn state(store: &dyn Store, id: SubmissionId) -> State {
    record(store, id).await.state
}

/// The names of a record's events.
pub(crate) async fn events(store: &dyn Store, id: SubmissionId) -> Vec<String> {
    record(store, id).await.history.into_iter().map(|event| event.event).collect()
}

/// The ids of a list, which must fit on one page.
pub(crate) async fn listed(store: &dyn Store, query: Query) -> Vec<SubmissionId> {
    let limit = Query::LIMIT_MAX;
    let page = store.list(Query { limit, ..query }).await.unwrap();
    assert_eq!(page.next, None);
    page.records.into_iter().map(|record| record.id).collect()
}

/// Sweeps until nothing is left to sweep; answers how many went.
pub(crate) async fn sweep(store: &dyn Store, now: Timestamp, retention: &Retention) -> u64 {
    let mut all = 0;
    loop {
        let some = store.sweep(now, retention, 3).await.unwrap();
        assert!(some <= 3, "no more at once than was asked for");
        if some == 0 {
            return all;
        }
        all += some;
    }
}
