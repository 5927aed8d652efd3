//! Times on the command line: how `--since`, `--until` and `at TIME` spell a moment.
//!
//! The rule: every flag that names a moment of the record reads it here, and all flags of one
//! command line share one `now`. A time without an offset is UTC, as times in records are.

use std::sync::LazyLock;

use clap::Args;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

/// When the command began.
static NOW: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);

/// What a flag shows of the times that it reads.
pub(crate) const TIME: &str = "TIME";

/// A text that names no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseTimeError {
    /// It has none of the forms.
    #[error(
        "expected a time ago such as `2h` or `3d`, `now`, `today`, `yesterday`, `2026-12-31`, \
         `2026-12-31T10:00` (UTC) or `2026-12-31T10:00:00Z`"
    )]
    Form,
    /// It is a time ago that no calendar has.
    #[error("no calendar goes back that far")]
    TooLongAgo,
}

/// Reads a time, as seen from `now`.
///
/// # Errors
/// If the text names no time.
pub(crate) fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, ParseTimeError> {
    let text = text.trim();
    let midnight = |days: i64| {
        let day = TimeZone::UTC.to_datetime(now).date();
        let day = day.checked_sub(days.days()).ok()?;
        utc(day.to_datetime(jiff::civil::Time::midnight()))
    };
    let named = match text {
        "now" => Some(now),
        "today" => midnight(0),
        "yesterday" => midnight(1),
        _ => text.parse().ok().or_else(|| civil(text)),
    };
    match named {
        Some(time) => Ok(time),
        None => ago(text, now),
    }
}

/// Reads a time for a flag, as seen from the beginning of the command.
///
/// # Errors
/// If the text names no time.
pub(crate) fn time_argument(text: &str) -> Result<Timestamp, ParseTimeError> {
    parse_time(text, *NOW)
}

fn utc(time: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(time).ok()
}

/// Reads a date, or a date and a time, without an offset. An offset or a zone would be passed over,
/// so a text that has one is refused.
fn civil(text: &str) -> Option<Timestamp> {
    let is_plain = |c: char| c.is_ascii_digit() || "-T:.".contains(c);
    let is_civil = text.contains('-') && text.chars().all(is_plain);
    let time = text.split_once('T').map(|(_, time)| time);
    let has_offset = time.is_some_and(|time| time.contains('-'));
    (is_civil && !has_offset)
        .then(|| text.parse().ok().and_then(utc))
        .flatten()
}

/// Reads `2h`, `3d`, `1d12h` or `2h ago`.
fn ago(text: &str, now: Timestamp) -> Result<Timestamp, ParseTimeError> {
    let text = text.strip_suffix("ago").map_or(text, str::trim_end);
    let begins_well = text.starts_with(|c: char| c.is_ascii_digit());
    let span: Option<Span> = text.parse().ok().filter(|_| begins_well);
    let span = span.ok_or(ParseTimeError::Form)?;
    // A day is 24 hours: UTC has no other ones.
    let then = TimeZone::UTC.to_datetime(now).checked_sub(span);
    then.ok().and_then(utc).ok_or(ParseTimeError::TooLongAgo)
}

/// Which records are meant: those of a period.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Records")]
pub(crate) struct TimeArgs {
    /// Only records from this time on, such as 2h (ago) or yesterday
    ///
    /// The forms are: 2h or 3d (ago), now, today, yesterday, 2026-12-31, 2026-12-31T10:00 (UTC) and
    /// 2026-12-31T10:00:00Z.
    #[arg(long, value_name = TIME, value_parser = time_argument)]
    pub(crate) since: Option<Timestamp>,
    /// Only records before this time
    #[arg(long, value_name = TIME, value_parser = time_argument)]
    pub(crate) until: Option<Timestamp>,
}

/// A period that ends before it begins, and so has no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--since {since} is not before --until {until}: no record can be in between")]
pub(crate) struct EmptyPeriodError {
    since: Timestamp,
    until: Timestamp,
}

impl TimeArgs {
    /// Returns the period.
    ///
    /// # Errors
    /// If no record can be in it.
    pub(crate) fn period(&self) -> Result<Period, EmptyPeriodError> {
        match (self.since, self.until) {
            (Some(since), Some(until)) if since >= until => Err(EmptyPeriodError { since, until }),
            (since, until) => Ok(Period { since, until }),
        }
    }
}

/// A period: from `since` on, and before `until`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Period {
    /// Its beginning; `None` if it has none.
    pub(crate) since: Option<Timestamp>,
    /// Its end; `None` if it has none.
    pub(crate) until: Option<Timestamp>,
}

impl Period {
    /// Returns whether a record of this time is in it. A record without a time is outside of every
    /// period that has a beginning or an end.
    pub(crate) fn contains(self, time: Option<Timestamp>) -> bool {
        self.since
            .is_none_or(|since| time.is_some_and(|time| time >= since))
            && self
                .until
                .is_none_or(|until| time.is_some_and(|time| time < until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, ParseTimeError> {
        let now = "2026-11-30T14:15:16Z".parse().unwrap();
        parse_time(text, now).map(|time| time.to_string())
    }

    #[test]
    fn every_form_names_a_moment_in_utc() {
        for (text, expected) in [
            ("now", "2026-11-30T14:15:16Z"),
            ("today", "2026-11-30T00:00:00Z"),
            ("yesterday", "2026-11-29T00:00:00Z"),
            ("2h", "2026-11-30T12:15:16Z"),
            ("90m", "2026-11-30T12:45:16Z"),
            ("3d", "2026-11-27T14:15:16Z"),
            ("1d12h", "2026-11-29T02:15:16Z"),
            ("2w", "2026-11-16T14:15:16Z"),
            ("2h ago", "2026-11-30T12:15:16Z"),
            ("2 hours ago", "2026-11-30T12:15:16Z"),
            ("2026-11-24", "2026-11-24T00:00:00Z"),
            ("2026-11-24T10:00", "2026-11-24T10:00:00Z"),
            ("2026-11-24T10:00:30.5", "2026-11-24T10:00:30.5Z"),
            ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
            ("2026-11-24T10:00:00+02:00", "2026-11-24T08:00:00Z"),
            ("2026-11-24T10:00:00-05:00", "2026-11-24T15:00:00Z"),
            (" today ", "2026-11-30T00:00:00Z"),
        ] {
            assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_names_no_moment_is_refused_and_never_guessed() {
        for text in [
            "",
            "soon",
            "2",
            "-2h",
            "+2h",
            "ago",
            "tomorrow",
            "2026",
            "2026-13-01",
            "2026-11-24T25:00",
            "2026-11-24T10:00[Europe/Paris]",
            "10:00",
            "1795435200",
            "P-1D",
        ] {
            assert_eq!(read(text), Err(ParseTimeError::Form), "{text}");
        }
        assert_eq!(read("20000y"), Err(ParseTimeError::Form));
        assert_eq!(read("19000y"), Err(ParseTimeError::TooLongAgo));
    }

    #[test]
    fn a_period_that_ends_before_it_begins_is_refused() {
        let at = |hour: i64| Some(Timestamp::from_second(hour * 3600).unwrap());
        let period = |since, until| TimeArgs { since, until }.period();
        assert!(period(at(2), at(1)).is_err() && period(at(1), at(1)).is_err());
        let whole = period(None, None).unwrap();
        assert!(whole.contains(None) && whole.contains(at(1)));
        let part = period(at(1), at(3)).unwrap();
        let inside = [None, at(0), at(1), at(2), at(3)].map(|time| part.contains(time));
        assert_eq!(inside, [false, false, true, true, false]);
    }
}
