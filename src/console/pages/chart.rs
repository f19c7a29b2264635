//! A bar chart of hours, made here: nothing is drawn in the browser, and nothing is styled in line.

use std::collections::BTreeMap;

use super::figures::Day;
use super::format;
use super::words::{Language, Words};
use crate::lead::{SourceId, Timestamp};

/// Sources that have a colour of their own; the others share one.
const SERIES_MAX: usize = 5;

const HOURS: i64 = 24;
const HOUR_MS: i64 = 3_600_000;

/// In units of the drawing, which is scaled to the page.
const HEIGHT: u64 = 120;
const STEP: u64 = 30;
const BAR: u64 = 22;

/// What the template draws.
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    pub(super) ticks: Vec<Tick>,
    pub(super) series: Vec<Series>,
    /// The highest bar, in words.
    pub(super) top: String,
    /// Where nothing came at all.
    pub(super) is_empty: bool,
}

/// A part of a bar.
pub(super) struct Bar {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: u64,
    pub(super) height: u64,
    /// From 0: the colour.
    pub(super) series: usize,
    /// Hour, source and number, for who points at it.
    pub(super) title: String,
}

/// An hour that is written below.
pub(super) struct Tick {
    pub(super) x: u64,
    pub(super) text: String,
}

/// A source in the legend.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) total: String,
    pub(super) series: usize,
}

impl Chart {
    /// The last 24 hours, the current one at the right.
    pub(super) fn of(day: &Day, now: Timestamp, language: Language, w: &Words) -> Self {
        let totals = totals(day);
        let place = |source: &SourceId| {
            totals.iter().take(SERIES_MAX).position(|(known, _)| *known == source)
        };
        let highest = day.hours.values().map(|hour| hour.values().sum::<u64>()).max().unwrap_or(0);
        let last = super::figures::hour(now);
        let (mut bars, mut ticks) = (Vec::new(), Vec::new());
        for (column, hour) in (last - HOURS + 1..=last).enumerate() {
            let x = STEP * u64::try_from(column).unwrap_or(0);
            let clock = format::hour_of_day(Timestamp::from_millis(hour * HOUR_MS));
            if clock % 3 == 0 {
                ticks.push(Tick { x: x + BAR / 2, text: format!("{clock}h") });
            }
            let mut parts: BTreeMap<usize, u64> = BTreeMap::new();
            for (source, number) in day.hours.get(&hour).into_iter().flatten() {
                *parts.entry(place(source).unwrap_or(SERIES_MAX)).or_default() += number;
            }
            let mut y = HEIGHT;
            for (series, number) in parts {
                let height = (number * HEIGHT / highest.max(1)).max(1).min(y);
                y -= height;
                let name = totals.get(series).filter(|_| series < SERIES_MAX);
                let name = name.map_or(w.other, |(source, _)| source.as_str());
                let number = format::count(number, language);
                let title = format!("{clock}:00 · {name}: {number}");
                bars.push(Bar { x, y, width: BAR, height, series, title });
            }
        }
        Self {
            is_empty: bars.is_empty(),
            bars,
            ticks,
            series: legend(&totals, language, w),
            top: format::count(highest, language),
        }
    }
}

/// The sources, the busiest first.
fn totals(day: &Day) -> Vec<(&SourceId, u64)> {
    let mut totals: Vec<(&SourceId, u64)> =
        day.sources.iter().map(|(source, states)| (source, states.values().sum())).collect();
    totals.sort_by(|(a, many), (b, few)| few.cmp(many).then_with(|| a.cmp(b)));
    totals
}

fn legend(totals: &[(&SourceId, u64)], language: Language, w: &Words) -> Vec<Series> {
    let (named, others) = totals.split_at(totals.len().min(SERIES_MAX));
    let named = named.iter().enumerate().map(|(series, (source, total))| Series {
        name: source.to_string(),
        total: format::count(*total, language),
        series,
    });
    let rest: u64 = others.iter().map(|(_, total)| total).sum();
    let other = (rest > 0).then(|| Series {
        name: w.other.to_owned(),
        total: format::count(rest, language),
        series: SERIES_MAX,
    });
    named.chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::State;

    #[test]
    fn bars_stand_on_each_other_and_within_the_drawing() {
        let now = Timestamp::from_millis(1_795_425_302_123);
        let mut day = Day::default();
        for (number, hours_ago) in [(0_u64, 0), (1, 0), (2, 0), (3, 5), (4, 23), (5, 1), (6, 1)] {
            let source: SourceId = format!("s{number}").parse().unwrap();
            let hour = super::super::figures::hour(now) - hours_ago;
            day.hours.entry(hour).or_default().insert(source.clone(), 10 + number);
            day.sources.insert(source, [(State::Created, 10 + number)].into());
        }
        let words = Language::English.words();
        let chart = Chart::of(&day, now, Language::English, words);
        assert!(
            chart
                .bars
                .iter()
                .all(|bar| bar.y + bar.height <= HEIGHT && bar.x < HOURS as u64 * STEP)
        );
        let right: Vec<_> = chart.bars.iter().filter(|bar| bar.x == 23 * STEP).collect();
        let stacked: u64 = right.iter().map(|bar| bar.height).sum();
        assert_eq!(right.iter().map(|bar| bar.y).min(), Some(HEIGHT - stacked));
        assert_eq!(chart.top, "33");
        let legend: Vec<_> =
            chart.series.iter().map(|s| (s.name.as_str(), s.total.as_str())).collect();
        assert_eq!(legend[0], ("s6", "16"));
        assert_eq!(legend[5], ("other", "21"));
        assert!(!chart.is_empty && chart.ticks.len() == 8);
    }
}
