//! A JSON object that is written straight into a buffer: names, texts, numbers and moments.
//!
//! It knows no record. The rules: everything is ASCII and nothing needs a buffer of its own; what is empty is left out, as
//! protobuf's JSON mapping leaves it out, and a field that may be absent (`optional_..`) is there exactly if it is set.

use crate::engine::time::UnixNanos;

const BILLION: i64 = 1_000_000_000;

/// The first second that protobuf's calendar has: 0001-01-01T00:00:00Z.
const EARLIEST: i64 = -62_135_596_800;

/// The last one: 9999-12-31T23:59:59Z.
const LATEST: i64 = 253_402_300_799;

/// A moment as seconds since 1970 and nanoseconds. Moments outside of the calendar are told as its ends.
pub(crate) fn seconds_and_nanos(time: UnixNanos) -> (i64, u32) {
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

/// A JSON object that is being written. Names are written as they are: they are this project's own.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    /// Begins an object; nothing ends it.
    pub(super) fn begin(out: &mut Vec<u8>) -> Object<'_> {
        out.push(b'{');
        Object { out, first: true }
    }

    /// Goes on with an object that has a field already.
    pub(super) fn go_on(out: &mut Vec<u8>) -> Object<'_> {
        Object { out, first: false }
    }

    // Names are literals: inlined, their copies are a few stores and no calls, a fifth of what a line costs.
    #[inline(always)]
    fn key(&mut self, key: &str) {
        let before: &[u8] = if std::mem::replace(&mut self.first, false) { b"\"" } else { b",\"" };
        self.out.extend_from_slice(before);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Text.
    #[inline(always)]
    pub(super) fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.optional_text(key, Some(value));
        }
    }

    /// Text that may be there and empty.
    #[inline(always)]
    pub(super) fn optional_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            quote(self.out, value);
        }
    }

    /// A number of at most 32 bits, which is a number in JSON.
    pub(super) fn number(&mut self, key: &str, value: u32) {
        self.optional_number(key, (value > 0).then_some(value));
    }

    /// The same, where nought is something else than nothing.
    pub(super) fn optional_number(&mut self, key: &str, value: Option<impl Into<u32>>) {
        if let Some(value) = value {
            self.key(key);
            digits(self.out, value.into().into(), 1);
        }
    }

    /// A number of 64 bits, which is text in JSON.
    pub(super) fn long(&mut self, key: &str, value: u64) {
        self.optional_long(key, (value > 0).then_some(value));
    }

    /// The same, where nought is something else than nothing.
    pub(super) fn optional_long(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.key(key);
            self.out.push(b'"');
            digits(self.out, value, 1);
            self.out.push(b'"');
        }
    }

    /// True, or nothing.
    pub(super) fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.key(key);
            self.out.extend_from_slice(b"true");
        }
    }

    /// A moment: UTC with nanoseconds, always 30 characters.
    pub(super) fn time(&mut self, key: &str, value: UnixNanos) {
        self.key(key);
        self.out.push(b'"');
        rfc3339(self.out, value);
        self.out.push(b'"');
    }

    /// A moment that may be absent.
    pub(super) fn optional_time(&mut self, key: &str, value: Option<UnixNanos>) {
        if let Some(value) = value {
            self.time(key, value);
        }
    }

    /// An object inside of this one.
    pub(super) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        fill(&mut Object::begin(self.out));
        self.out.push(b'}');
    }

    /// A list of texts, left out where it is empty.
    pub(super) fn texts<'v>(&mut self, key: &str, values: impl Iterator<Item = &'v str>) {
        self.list(key, values, quote);
    }

    /// A list of objects, left out where it is empty.
    pub(super) fn objects<T>(
        &mut self,
        key: &str,
        values: impl Iterator<Item = T>,
        mut fill: impl FnMut(&mut Object<'_>, T),
    ) {
        self.list(key, values, |out, value| {
            fill(&mut Object::begin(out), value);
            out.push(b'}');
        });
    }

    fn list<T>(&mut self, key: &str, values: impl Iterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return;
        }
        self.key(key);
        self.out.push(b'[');
        let mut first = true;
        for value in values {
            separate(self.out, &mut first);
            write(self.out, value);
        }
        self.out.push(b']');
    }
}

fn separate(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::replace(first, false) {
        out.push(b',');
    }
}

/// A number in decimal digits, with noughts before it up to `width`.
fn digits(out: &mut Vec<u8>, mut value: u64, width: usize) {
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

/// Appends a moment in UTC with nanoseconds, always 30 characters; moments outside of the calendar are told as its ends.
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

/// Year, month and day of a day counted from 1970-01-01. A year begins in March here, so that a leap day is its last one;
/// every 400 years have the same number of days.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let since_march_of_year_0 = days + 719_468;
    let day = since_march_of_year_0.rem_euclid(DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year + 400 * since_march_of_year_0.div_euclid(DAYS_OF_400_YEARS) + i64::from(month <= 2);
    (year, month, day_of_month)
}

/// Whether a byte stands for itself inside JSON text: printable ASCII but the quote and the backslash.
fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// A JSON text of ASCII characters only.
fn quote(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // Nearly every text is plain; looking at all of it without a branch is several times faster than byte by byte.
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.chars().for_each(|character| escape(out, character));
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        ' '..='~' => out.extend(u8::try_from(character)),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                let nibbles = [12, 8, 4, 0].map(|shift| u32::from(*unit) >> shift & 0xf);
                out.extend(nibbles.iter().filter_map(|nibble| u8::try_from(char::from_digit(*nibble, 16)?).ok()));
            }
        }
    }
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
    fn moments_are_told_with_nanoseconds() {
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
            assert_eq!(written(|out| rfc3339(out, UnixNanos(nanos))), expected);
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
        for value in [0, 1, 9, 10, 99, 1_000_000_007, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(written(|out| digits(out, value, 1)), value.to_string());
            assert_eq!(written(|out| digits(out, value, 9)), format!("{value:09}"));
        }
    }

    #[test]
    fn whatever_is_not_plain_is_escaped() {
        for (text, expected) in [
            ("plain ~", r#""plain ~""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("a\r\nb\tc", r#""a\r\nb\tc""#),
            ("\u{0}\u{1b}[31m\u{7f}", r#""\u0000\u001b[31m\u007f""#),
            ("\u{85}\u{2028}\u{202e}\u{feff}", r#""\u0085\u2028\u202e\ufeff""#),
            ("ä😀", r#""\u00e4\ud83d\ude00""#),
        ] {
            assert_eq!(written(|out| quote(out, text)), expected);
        }
    }

    #[test]
    fn what_is_empty_is_left_out_unless_it_may_be_absent() {
        let line = written(|out| {
            let mut object = Object::begin(out);
            object.text("a", "");
            object.number("b", 0);
            object.long("c", 0);
            object.flag("d", false);
            object.texts("e", std::iter::empty());
            object.optional_time("f", None);
            object.optional_text("g", Some(""));
            object.optional_number("h", Some(0_u32));
            object.optional_long("i", Some(0));
            object.object("j", |_| ());
        });
        assert_eq!(line, r#"{"g":"","h":0,"i":"0","j":{}"#);
    }
}
