//! A record's history in a column: all but the first event, which `began` and `received_at` tell,
//! so that accepting a submission writes none.

use super::fault::Fault;
use crate::lead::{Event, State, Timestamp};

/// How many events of one record are kept: the first, and the newest of the others. A lead that
/// is retried for 72 hours, ten minutes apart, has 432; nobody reads the middle.
pub(super) const EVENTS_MAX: usize = 64;

/// An event without its field names: at (ms), event, outcome, status, ms, detail.
type Line = (i64, String, Option<String>, Option<u16>, Option<u64>, Option<String>);

/// The column with one event more.
pub(super) fn append(column: Option<&str>, event: Event) -> Result<String, Fault> {
    let mut lines = parse(column)?;
    let Event { at, event, outcome, status, ms, detail } = event;
    lines.push((at.as_millis(), event, outcome, status, ms, detail));
    let excess = lines.len().saturating_sub(EVENTS_MAX - 1);
    Ok(write(&lines[excess..]))
}

/// The column without what may speak of the person.
pub(super) fn without_details(column: Option<&str>) -> Result<Option<String>, Fault> {
    let mut lines = parse(column)?;
    for line in &mut lines {
        line.5 = None;
    }
    Ok((!lines.is_empty()).then(|| write(&lines)))
}

/// The history, oldest first.
pub(super) fn whole(
    received_at: Timestamp,
    began: State,
    column: Option<&str>,
) -> Result<Vec<Event>, Fault> {
    let first = match began {
        State::Pending => "accepted",
        other => other.as_str(),
    };
    let later = parse(column)?.into_iter().map(|(at, event, outcome, status, ms, detail)| {
        let at = Timestamp::from_millis(at);
        Event { at, event, outcome, status, ms, detail }
    });
    Ok(std::iter::once(Event::plain(received_at, first)).chain(later).collect())
}

fn parse(column: Option<&str>) -> Result<Vec<Line>, Fault> {
    let Some(text) = column else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|_| Fault::Unreadable("a record's history"))
}

fn write(lines: &[Line]) -> String {
    serde_json::to_string(lines).expect("texts and numbers, which JSON can hold")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: i64) -> Event {
        Event {
            outcome: Some("retry".into()),
            status: Some(503),
            ms: Some(12),
            detail: Some("busy".into()),
            ..Event::plain(Timestamp::from_millis(number), "attempt")
        }
    }

    #[test]
    fn the_first_and_the_newest_events_are_kept() {
        let mut column = None;
        for number in 1..=100 {
            column = Some(append(column.as_deref(), event(number)).unwrap());
        }
        let all = whole(Timestamp::from_millis(0), State::Pending, column.as_deref()).unwrap();
        assert_eq!(all.len(), EVENTS_MAX);
        assert_eq!(all[0], Event::plain(Timestamp::from_millis(0), "accepted"));
        assert_eq!(all[1], event(38));
        assert_eq!(all[63], event(100));
    }

    #[test]
    fn details_can_be_taken_out() {
        let column = append(None, event(1)).unwrap();
        let column = without_details(Some(&column)).unwrap();
        let all = whole(Timestamp::from_millis(0), State::Merged, column.as_deref()).unwrap();
        assert_eq!(all[0].event, "merged");
        assert_eq!(all[1], Event { detail: None, ..event(1) });
        assert_eq!(without_details(None).unwrap(), None);
    }
}
