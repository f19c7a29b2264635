//! Bad days of CareSoft: each file of `tests/faults` is one, and is played over every store by a
//! clock that stands at whatever is waited for next, so that a day takes no time.

mod bed;
mod day;

use std::collections::BTreeSet;

use self::bed::Bed;
use self::day::Day;
use crate::gateway::{Backing, over_every_store};

/// A test of each of these files over every store, and of there being no other file.
macro_rules! days {
    ($($name:ident),+ $(,)?) => {
        $(async fn $name(store: Backing) {
            play(stringify!($name), store).await;
        })+

        over_every_store!($($name),+);

        #[test]
        fn every_file_is_played() {
            let played = BTreeSet::from([$(stringify!($name).to_owned()),+]);
            let files = std::fs::read_dir(Day::folder()).unwrap();
            let stem = |file: std::fs::DirEntry| {
                file.path().file_stem().unwrap().to_str().unwrap().to_owned()
            };
            let there: BTreeSet<_> = files.map(|file| stem(file.unwrap())).collect();
            assert_eq!(played, there);
        }
    };
}

days!(
    answer_lost_after_commit,
    clock_is_utc,
    comments_lost,
    connect_refused,
    cut_json_after_commit,
    everything_at_once,
    html_500_after_commit,
    list_lags,
    list_page_fails,
    locked_out,
    lost_before_commit,
    marker_in_subject,
    no_marker,
    ok_without_id,
    only_an_email,
    primary_down,
    primary_unavailable,
    reset_after_commit,
    reset_after_headers,
    slow_beyond_the_timeout,
    throttled,
    throttled_with_retry_after,
    token_revoked,
);

async fn play(name: &str, store: Backing) {
    let day = Day::read(name);
    println!("{name}: {}", day.about);
    let mut bed = Bed::set(day, store).await;
    bed.live().await;
    bed.assert_what_must_always_be().await;
    bed.assert_the_end();
    bed.stop().await;
}
