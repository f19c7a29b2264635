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

/// Every combination of filters, page by page, while records arrive: the same as looking at each
/// record.
pub(crate) async fn a_list_is_what_looking_at_each_record_says(store: &dyn Store) {
    let all_of_them = async || {
        let mut records: Vec<Record> = Vec::new();
        let mut query = Query { limit: 500, ..Query::default() };
        loop {
            let page = store.list(query.clone()).await.unwrap();
            records.extend(page.records);
            query.cursor = page.next;
            if query.cursor.is_none() {
                return records;
            }
        }
    };
    for number in 0..36 {
        let form = form().phone(number % 20).at(at(i64::from(number * 7 % 36)));
        let form = form.source(["landing", "zalo", "shop"][number as usize % 3]);
        let form = form.destination(if number % 4 == 0 { "other" } else { "main" });
        match number % 9 {
            7 => form.test().send(store).await,
            8 => form.quarantined().send(store).await,
            _ => form.send(store).await,
        };
    }
    for (place, work) in lease(store, 9, at(40)).await.iter().enumerate() {
        let outcomes = [created(place as u64 + 1), dead(), unknown()];
        settle(store, work, at(41), outcomes[place % 3].clone()).await;
    }
    store.forget(vec![phone(1), phone(2)], at(42)).await.unwrap();

    let records = all_of_them().await;
    assert_eq!(records.len(), 36);
    let mut arriving = 1000;
    let states = State::ALL.map(|state| vec![state]).into_iter();
    for states in states.chain([vec![], vec![State::Pending, State::Dead, State::Test]]) {
        for source in [None, Some("landing"), Some("shop"), Some("absent")] {
            for destination in [None, Some("main"), Some("other"), Some("nowhere")] {
                for (since, until) in
                    [(None, None), (Some(9), None), (None, Some(5)), (Some(8), Some(20))]
                {
                    let mut query = Query {
                        states: states.clone(),
                        source: source.map(|name| name.parse().unwrap()),
                        destination: destination.map(|name| name.parse().unwrap()),
                        since: since.map(at),
                        until: until.map(at),
                        limit: 4,
                        ..Query::default()
                    };
                    let mut wanted: Vec<_> = records
                        .iter()
                        .filter(|record| {
                            (query.states.is_empty() || query.states.contains(&record.state))
                                && query.source.as_ref().is_none_or(|it| *it == record.source)
                                && query
                                    .destination
                                    .as_ref()
                                    .is_none_or(|it| *it == record.destination)
                                && query.since.is_none_or(|since| record.received_at >= since)
                                && query.until.is_none_or(|until| record.received_at < until)
                        })
                        .map(|record| record.id)
                        .collect();
                    let mut seen = Vec::new();
                    for turned in 0.. {
                        let page = store.list(query.clone()).await.unwrap();
                        let old =
                            page.records.iter().filter(|record| record.source.as_str() != "late");
                        seen.extend(old.map(|record| record.id));
                        query.cursor = page.next;
                        if query.cursor.is_none() {
                            break;
                        }
                        if turned == 0 && arriving < 1020 {
                            arriving += 1;
                            // Of a day that no window here reaches, so that it is in none of them.
                            form()
                                .source("late")
                                .phone(arriving)
                                .at(at(90_000))
                                .accepted(store)
                                .await;
                        }
                    }
                    if destination.is_none() {
                        // Two logs are merged by time, and a page may part what is close together.
                        seen.sort_unstable();
                        wanted.sort_unstable();
                    }
                    assert_eq!(seen, wanted, "{query:?}");
                }
            }
        }
    }
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
