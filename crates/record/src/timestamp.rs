//! Writes and reads a time as records spell it: UTC with nanoseconds, within protobuf's calendar.
//!
//! It reads no clock. The rule: times outside of the calendar are clamped to its ends.

use customs_engine::time::UnixNanos;

const BILLION: i64 = 1_000_000_000;

/// The first second that protobuf's calendar has: 0001-01-01T00:00:00Z.
const EARLIEST: i64 = -62_135_596_800;

/// The last one: 9999-12-31T23:59:59Z.
const LATEST: i64 = 253_402_300_799;

/// Returns a time as seconds since 1970 and nanoseconds.
pub fn seconds_and_nanos(time: UnixNanos) -> (i64, u32) {
    let nanos = |rest: i64| u32::try_from(rest).unwrap_or_default();
    match i64::try_from(time.0) {
        Ok(time) => (time.div_euclid(BILLION), nanos(time.rem_euclid(BILLION))),
        Err(_) => match i64::try_from(time.0.div_euclid(i128::from(BILLION))) {
            Ok(seconds @ EARLIEST..=LATEST) => {
                let rest = time.0.rem_euclid(i128::from(BILLION));
                (seconds, u32::try_from(rest).unwrap_or_default())
            }
            _ if time.0 < 0 => (EARLIEST, 0),
            _ => (LATEST, 999_999_999),
        },
    }
}

/// Returns a time as a text.
pub fn text(time: UnixNanos) -> String {
    let mut out = Vec::with_capacity(30);
    rfc3339(&mut out, time);
    // The bytes are digits and punctuation only.
    String::from_utf8(out).unwrap_or_default()
}

/// Reads a time of this spelling, `None` for every other one.
pub(super) fn read(text: &str) -> Option<UnixNanos> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00.000000000Z";
    let has_shape = text.len() == SHAPE.len()
        && text.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            mark => byte == *mark,
        });
    // A leap second has no number of its own, and protobuf's calendar begins with the year 1.
    let is_odd = text.get(17..19) == Some("60") || text.starts_with("0000");
    let time = (has_shape && !is_odd).then(|| text.parse::<jiff::Timestamp>());
    Some(UnixNanos(time?.ok()?.as_nanosecond()))
}

/// Appends a number in decimal digits, padded with zeros to `width`.
pub(super) fn digits(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let mut buffer = [b'0'; 20];
    let mut from = buffer.len();
    for (place, digit) in buffer.iter_mut().enumerate().rev() {
        if value == 0 {
            break;
        }
        // A remainder of ten is a digit.
        *digit += u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        from = place;
    }
    let from = from.min(buffer.len().saturating_sub(width));
    out.extend_from_slice(buffer.get(from..).unwrap_or_default());
}

/// Appends a time, always 30 characters.
pub(super) fn rfc3339(out: &mut Vec<u8>, time: UnixNanos) {
    const DAY: i64 = 24 * 60 * 60;
    let (seconds, nanos) = seconds_and_nanos(time);
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    let mut part = |value: i64, width, behind: u8| {
        digits(out, value.unsigned_abs(), width);
        out.push(behind);
    };
    part(year, 4, b'-');
    part(month, 2, b'-');
    part(day, 2, b'T');
    part(of_day / 3600, 2, b':');
    part(of_day / 60 % 60, 2, b':');
    part(of_day % 60, 2, b'.');
    part(nanos.into(), 9, b'Z');
}

/// Returns year, month and day of a day counted from 1970-01-01. A year begins in March here, so
/// that a leap day is its last one; every 400 years have the same number of days.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let since_march_of_year_0 = days + 719_468;
    let day = since_march_of_year_0.rem_euclid(DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year =
        year + 400 * since_march_of_year_0.div_euclid(DAYS_OF_400_YEARS) + i64::from(month <= 2);
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_written_with_nanoseconds() {
        for (nanos, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_000, "1970-01-01T00:00:00.000001000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
            (i128::from(i64::MAX) + 1, "2262-04-11T23:47:16.854775808Z"),
            (i128::MIN, "0001-01-01T00:00:00.000000000Z"),
            (i128::MAX, "9999-12-31T23:59:59.999999999Z"),
        ] {
            let time = UnixNanos(nanos);
            assert_eq!(written(|out| rfc3339(out, time)), expected);
            // jiff's own calendar ends a little earlier, and what it cannot read is not guessed.
            let is_clamped = expected.starts_with("0001") || expected.starts_with("9999");
            let expected = (!is_clamped).then_some(time);
            assert_eq!(read(&text(time)).filter(|_| !is_clamped), expected);
        }
    }

    #[test]
    fn another_spelling_is_not_read() {
        for other in [
            "",
            "2026-11-23T12:00:00Z",
            "2026-11-23T12:00:00.123456789+",
            "2026-11-23t12:00:00.123456789Z",
            "2026-11-23T12:00:60.123456789Z",
            "2026-02-30T12:00:00.123456789Z",
            "2026-11-23T24:00:00.123456789Z",
            "0000-11-23T12:00:00.123456789Z",
            "2026-11-23T12:00:00.12345678\u{665}",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn every_day_of_the_calendar_is_the_one_that_a_calendar_says() {
        let first = jiff::civil::date(1, 1, 1);
        let mut day = first;
        for days in EARLIEST / 86_400..LATEST / 86_400 {
            let expected = (day.year().into(), day.month().into(), day.day().into());
            assert_eq!(date(days), expected, "{days}");
            day = day.tomorrow().unwrap();
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_displayed() {
        for value in [
            0,
            1,
            9,
            10,
            99,
            1_000_000_007,
            u64::from(u32::MAX),
            u64::MAX,
        ] {
            assert_eq!(written(|out| digits(out, value, 1)), value.to_string());
            assert_eq!(written(|out| digits(out, value, 9)), format!("{value:09}"));
        }
    }
}
