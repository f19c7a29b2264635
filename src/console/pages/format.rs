//! How times, spans, numbers and persons are written for people.

use std::time::Duration;

use super::words::Language;
use crate::lead::Timestamp;

/// Vietnam's clock is seven hours ahead of UTC, and has been since 1975: CareSoft's is the same.
const OFFSET: Duration = Duration::from_secs(7 * 3600);

const DAY_MS: i64 = 24 * 3600 * 1000;

/// A moment on Vietnam's clock.
fn on_the_wall(at: Timestamp) -> Timestamp {
    at.plus(OFFSET)
}

/// The midnight before `now`, in Vietnam.
pub(super) fn midnight(now: Timestamp) -> Timestamp {
    let wall = on_the_wall(now).as_millis();
    Timestamp::from_millis(wall - wall.rem_euclid(DAY_MS)).minus(OFFSET)
}

/// `14:32` today, `23/11 14:32` on another day.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> String {
    let wall = on_the_wall(at).to_string(); // 2026-11-23T16:15:02.123Z
    let (Some(day), Some(month), Some(clock)) = (wall.get(8..10), wall.get(5..7), wall.get(11..16))
    else {
        return wall;
    };
    match midnight(at) == midnight(now) {
        true => clock.to_owned(),
        false => format!("{day}/{month} {clock}"),
    }
}

/// `23/11/2026 16:15:02`
pub(super) fn exactly(at: Timestamp) -> String {
    let wall = on_the_wall(at).to_string();
    let part = |range| wall.get(range).unwrap_or_default();
    format!("{}/{}/{} {}", part(8..10), part(5..7), part(0..4), part(11..19))
}

/// The hour of a moment: `9`.
pub(super) fn hour_of_day(at: Timestamp) -> i64 {
    on_the_wall(at).as_millis().rem_euclid(DAY_MS) / 3_600_000
}

/// `320 ms`, `4.2 s`, `3 min`, `2 h 5 min`, `3 d`.
pub(super) fn span(span: Duration, language: Language) -> String {
    let (hours, days) = language.either(("h", "d"), ("giờ", "ngày"));
    let minutes = language.either("min", "phút");
    let seconds = language.either("s", "giây");
    match span.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        ms @ 1000..10_000 => {
            let tenths = format!("{}.{}", ms / 1000, ms % 1000 / 100);
            format!("{} {seconds}", language.either(tenths.clone(), tenths.replace('.', ",")))
        }
        ms @ 10_000..60_000 => format!("{} {seconds}", ms / 1000),
        ms @ 60_000..3_600_000 => format!("{} {minutes}", ms / 60_000),
        ms @ 3_600_000..86_400_000 => match ms % 3_600_000 / 60_000 {
            0 => format!("{} {hours}", ms / 3_600_000),
            rest => format!("{} {hours} {rest} {minutes}", ms / 3_600_000),
        },
        ms => format!("{} {days}", ms / 86_400_000),
    }
}

/// `12,345`, and `12.345` in Vietnamese.
pub(super) fn count(number: u64, language: Language) -> String {
    let digits = number.to_string();
    let mut told = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            told.push(language.either(',', '.'));
        }
        told.push(digit);
    }
    told
}

/// A share in whole percent; nothing of nothing is nothing.
pub(super) fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "–".to_owned(),
        whole => format!("{} %", (part * 100 + whole / 2) / whole),
    }
}

/// A phone number that only who knows it recognises: `+84 ••••• 001`.
pub(super) fn masked_phone(e164: &str) -> String {
    let (head, tail) = (e164.get(..3), e164.len().checked_sub(3).and_then(|at| e164.get(at..)));
    match (head, tail) {
        (Some(head), Some(tail)) if e164.len() >= 8 => format!("{head} ••••• {tail}"),
        _ => "•••••".to_owned(),
    }
}

/// An address of which the first letter and the domain are told: `n•••@example.vn`.
pub(super) fn masked_email(address: &str) -> String {
    let first = address.chars().next().filter(|first| first.is_alphanumeric());
    match (first, address.rsplit_once('@')) {
        (Some(first), Some((local, domain))) if local.chars().count() > 1 => {
            format!("{first}•••@{domain}")
        }
        _ => "•••".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T09:15:02.123Z: 16:15 in Vietnam.
    const NOW: Timestamp = Timestamp::from_millis(1_795_425_302_123);

    #[test]
    fn times_are_vietnams() {
        assert_eq!(moment(NOW, NOW), "16:15");
        assert_eq!(moment(NOW.minus(Duration::from_secs(17 * 3600)), NOW), "22/11 23:15");
        assert_eq!(exactly(NOW), "23/11/2026 16:15:02");
        assert_eq!(midnight(NOW).to_string(), "2026-11-22T17:00:00.000Z");
        assert_eq!(hour_of_day(NOW), 16);
    }

    #[test]
    fn spans_and_numbers_are_short() {
        let told = |ms| span(Duration::from_millis(ms), Language::English);
        let spans = [0, 999, 1234, 59_999, 125_000, 3_600_000, 7_500_000, 200_000_000].map(told);
        assert_eq!(spans, ["0 ms", "999 ms", "1.2 s", "59 s", "2 min", "1 h", "2 h 5 min", "2 d"]);
        assert_eq!(span(Duration::from_millis(1234), Language::Vietnamese), "1,2 giây");
        let numbers = [0, 999, 1000, 1_234_567].map(|number| count(number, Language::Vietnamese));
        assert_eq!(numbers, ["0", "999", "1.000", "1.234.567"]);
        assert_eq!((percent(1, 3), percent(0, 0)), ("33 %".into(), "–".into()));
    }

    #[test]
    fn a_person_is_masked() {
        assert_eq!(masked_phone("+84900000001"), "+84 ••••• 001");
        assert_eq!(masked_phone("+123"), "•••••");
        assert_eq!(masked_email("nam.thu@example.vn"), "n•••@example.vn");
        for short in ["a@example.vn", "", "@", "é"] {
            assert_eq!(masked_email(short), "•••", "{short}");
        }
    }
}
