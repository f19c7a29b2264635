//! Lists, searches, health.

use super::*;
use crate::store::Match;

pub(crate) async fn a_list_is_newest_first_and_filtered(store: &dyn Store) {
    let lead = form().phone(11).at(at(1)).accepted(store).await;
    let merged = form().phone(11).at(at(2)).merged(store, lead).await;
    let (trial, _) = form().test().source("landing").at(at(3)).send(store).await;
    let other = form().phone(11).destination("other").at(at(4)).accepted(store).await;
    let all = Query::default;

    assert_eq!(listed(store, all()).await, [other, trial, merged, lead]);
    let states = vec![State::Merged, State::Test];
    assert_eq!(listed(store, Query { states, ..all() }).await, [trial, merged]);
    let states = vec![State::Pending, State::Merged];
    assert_eq!(listed(store, Query { states, ..all() }).await, [other, merged, lead]);
    let source = Some("landing".parse().unwrap());
    assert_eq!(listed(store, Query { source, ..all() }).await, [trial]);
    let destination = Some("other".parse().unwrap());
    assert_eq!(listed(store, Query { destination, ..all() }).await, [other]);
    let window = Query { since: Some(at(2)), until: Some(at(4)), ..all() };
    assert_eq!(listed(store, window).await, [trial, merged]);
    let both = Query { states: vec![State::Pending], until: Some(at(4)), ..all() };
    assert_eq!(listed(store, both).await, [lead]);

    let page = store.list(Query { limit: 1, ..all() }).await.unwrap();
    assert!(page.records[0].history.is_empty(), "a list has no histories");
    assert!(page.records[0].lead.is_some());
}

pub(crate) async fn pages_stay_while_records_arrive(store: &dyn Store) {
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.insert(0, form().phone(number).accepted(store).await);
    }
    let mut seen = Vec::new();
    let mut query = Query { limit: 3, ..Query::default() };
    loop {
        let page = store.list(query.clone()).await.unwrap();
        assert!(page.records.len() <= 3);
        seen.extend(page.records.iter().map(|record| record.id));
        form().phone(50 + u32::try_from(seen.len()).unwrap()).accepted(store).await;
        let Some(next) = page.next else { break };
        query.cursor = Some(next);
    }
    assert_eq!(seen, expected);

    let exactly = Query { limit: 10, ..Query::default() };
    let page = store.list(exactly).await.unwrap();
    assert_eq!((page.records.len(), page.next), (10, None), "a full last page is the last");
    let none = Query { limit: 0, ..Query::default() };
    assert_eq!(store.list(none).await.unwrap().records.len(), 1, "a page is never empty for ever");
    let many = Query { limit: usize::MAX, ..Query::default() };
    assert_eq!(store.list(many).await.unwrap().records.len(), 10);
}

/// A regression: posts at the same time are stored in another order than they were received in, and
/// one that fell between two pages was on neither.
pub(crate) async fn pages_leave_nobody_out(store: &dyn Store) {
    let mut expected = Vec::new();
    for (number, second) in [5, 3, 4, 1, 2, 9, 0, 7].into_iter().enumerate() {
        let destination = if number % 3 == 2 { "other" } else { "main" };
        let form = form().phone(u32::try_from(number).unwrap()).destination(destination);
        expected.push(form.at(at(second)).accepted(store).await);
    }
    let mut seen = Vec::new();
    let mut query = Query { limit: 2, ..Query::default() };
    loop {
        let page = store.list(query.clone()).await.unwrap();
        seen.extend(page.records.iter().map(|record| record.id));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, expected, "each of them once");
}

pub(crate) async fn a_search_finds_by_any_name(store: &dyn Store) {
    let lead = form().phone(11).email("thu").external_id("f-1").accepted(store).await;
    let merged = form().phone(11).merged(store, lead).await;
    let other = form().phone(12).external_id("f-2").accepted(store).await;
    let work = lease(store, 2, at(1)).await;
    settle(store, &work[0], at(2), created(414)).await;
    settle(store, &work[1], at(2), created(415)).await;

    let search =
        async |matching: Vec<Match>| listed(store, Query { matching, ..Query::default() }).await;
    assert_eq!(search(vec![Match::Identity(phone(11))]).await, [merged, lead]);
    assert_eq!(search(vec![Match::Identity(email("thu"))]).await, [lead]);
    assert_eq!(search(vec![Match::Id(lead)]).await, [merged, lead]);
    assert_eq!(search(vec![Match::Id(merged)]).await, [merged]);
    assert_eq!(search(vec![Match::UpstreamLead(415)]).await, [other]);
    assert_eq!(search(vec![Match::ExternalId("f-2".into())]).await, [other]);
    let any = vec![Match::ExternalId("f-2".into()), Match::Identity(email("thu"))];
    assert_eq!(search(any).await, [other, lead]);

    let narrowed = Query {
        matching: vec![Match::Identity(phone(11))],
        states: vec![State::Created],
        ..Query::default()
    };
    assert_eq!(listed(store, narrowed).await, [lead]);
}

pub(crate) async fn the_unknown_is_not_found(store: &dyn Store) {
    let nobody = |matching| Query { matching: vec![matching], ..Query::default() };
    assert!(listed(store, nobody(Match::Identity(phone(11)))).await.is_empty());
    form().phone(12).accepted(store).await;
    assert_eq!(store.find(SubmissionId::generate()).await.unwrap(), None);
    for matching in [
        Match::Identity(phone(11)),
        Match::Id(SubmissionId::generate()),
        Match::UpstreamLead(u64::MAX),
        Match::ExternalId("' OR 1 = 1 --".into()),
    ] {
        assert!(listed(store, nobody(matching)).await.is_empty());
    }
    assert_eq!(store.forget(vec![phone(11)], at(1)).await.unwrap(), 0);
}

pub(crate) async fn health_names_its_worth(store: &dyn Store) {
    let health = store.health().await.unwrap();
    assert!(!health.kind.is_empty() && !health.durability.is_empty());
}
