//! What a path may mean: its readings (rule R7), and the templates that a policy writes.
//!
//! Servers differ in which parts of a path they decode, cut off and resolve, and in which order, so
//! one path has several readings. A denial matches if any reading does, a grant only if every
//! reading does. A path that cannot be read safely is *unknown*: it satisfies a path field of a
//! DENY and of no ALLOW. This module never decides which of the two applies.
//!
//! Each step reads a path once from front to back, and there are at most as many steps as there are
//! orders of them. So the readings of a path of 8 KiB cost a bounded time, whatever the path
//! contains.

use std::borrow::Cow;

use super::{ascii, work_count};

mod template;

pub(crate) use template::operators_match;
pub use template::{SegmentEnds, Template, TemplateError};

/// The longest path that is read, in bytes, without its query (rule R7).
pub(crate) const MAX_PATH: usize = 8 * 1024;

/// The distinct readings of one path; the first is the path as sent, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readings<'a> {
    /// A plain path, which every server reads the same way.
    One(&'a str),
    /// Several readings.
    Many(Vec<Cow<'a, str>>),
    /// The path is absent or cannot be read.
    Unknown,
}

/// The most readings that a path can have: itself, fifteen orders of one to three steps, and two
/// readings of its unreserved characters. Of these, twelve are normalised and may also lose their
/// last slash.
pub const MAX_READINGS: usize = 30;

/// Returns the path without its query.
pub fn without_query(path: &str) -> &str {
    // Most paths are short. Only long ones are worth the start of a search.
    let cut = if path.len() <= SHORT {
        ascii::split_once(path, b'?')
    } else {
        path.split_once('?')
    };
    cut.map_or(path, |(path, _)| path)
}

/// Up to this length, reading byte by byte is faster than starting a search.
const SHORT: usize = 128;

impl<'a> Readings<'a> {
    /// Makes every reading of `path`, which may still carry a query.
    pub fn of(path: &'a str) -> Readings<'a> {
        work_count::bytes(path.len());
        let raw = without_query(path);
        if raw.is_empty() || raw.len() > MAX_PATH || raw.contains('#') {
            return Readings::Unknown;
        }
        if is_plain(raw) {
            return Readings::One(raw);
        }
        // What cannot be decoded now cannot be decoded after another step either: no step joins or
        // cuts an escape or a letter.
        let Some(decoded) = percent_decode(raw, |_| true) else {
            return Readings::Unknown;
        };
        if decoded.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return Readings::Unknown;
        }
        let mut found = Found {
            all: vec![Cow::Borrowed(raw)],
            followed: Vec::new(),
        };
        found.follow(raw, &Step::ALL, false);
        if let Some(Cow::Owned(unreserved)) = percent_decode(raw, is_unreserved) {
            found.add(&unreserved, false);
            found.follow(&unreserved, &[Step::Normalise], false);
        }
        match found.all.len() {
            1 => Readings::One(raw),
            _ => Readings::Many(found.all),
        }
    }
}

/// What a server may do to a path, once each and in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Decodes `%XX`.
    Decode,
    /// Cuts each segment at its first `;`.
    CutParameters,
    /// Turns `\` into `/`, merges slashes, and resolves `.` and `..`.
    Normalise,
}

impl Step {
    const ALL: [Step; 3] = [Step::Decode, Step::CutParameters, Step::Normalise];

    /// Returns the changed path, or `None` if the step changes nothing.
    fn apply(self, path: &str) -> Option<String> {
        work_count::bytes(path.len());
        let next = match self {
            Step::Decode => percent_decode(path, |_| true)?.into_owned(),
            Step::CutParameters if path.contains(';') => without_parameters(path),
            Step::CutParameters => return None,
            Step::Normalise => normalise(path),
        };
        (next != path).then_some(next)
    }
}

/// The readings found so far.
struct Found<'a> {
    all: Vec<Cow<'a, str>>,
    /// What has been followed already: a reading by its number, the remaining steps, and whether a
    /// slash may go.
    followed: Vec<(usize, Vec<Step>, bool)>,
}

impl Found<'_> {
    /// Adds a reading and returns its number. If a dot segment ended the path, the reading without
    /// its last slash is added as well.
    fn add(&mut self, reading: &str, has_lost_dots: bool) -> usize {
        if let Some(bare) = reading
            .strip_suffix('/')
            .filter(|bare| has_lost_dots && !bare.is_empty())
        {
            self.number(bare);
        }
        self.number(reading)
    }

    fn number(&mut self, reading: &str) -> usize {
        work_count::bytes(reading.len());
        let known = self.all.iter().position(|known| known == reading);
        known.unwrap_or_else(|| {
            self.all.push(Cow::Owned(reading.to_owned()));
            self.all.len() - 1
        })
    }

    /// Follows a reading by each of the remaining steps, and each outcome by the steps that remain
    /// then. A step that changes nothing may be left out, since it still remains afterwards. What a
    /// later step makes of a path without its last slash is what it makes of the path, without its
    /// last slash.
    fn follow(&mut self, path: &str, left: &[Step], has_lost_dots: bool) {
        for step in left {
            let Some(next) = step.apply(path) else {
                continue;
            };
            let has_lost_dots = has_lost_dots || (*step == Step::Normalise && ends_with_dots(path));
            let number = self.add(&next, has_lost_dots);
            let left: Vec<Step> = left.iter().copied().filter(|other| other != step).collect();
            let way = (number, left, has_lost_dots);
            if !self.followed.contains(&way) {
                let left = way.1.clone();
                self.followed.push(way);
                self.follow(&next, &left, has_lost_dots);
            }
        }
    }
}

/// Returns whether the last segment is `.` or `..`.
fn ends_with_dots(path: &str) -> bool {
    matches!(path.rsplit(['/', '\\']).next(), Some("." | ".."))
}

/// Returns whether no step changes a path: nothing encoded, no parameters, no backslash or control
/// character, and no empty or dot segment except an empty last one.
fn is_plain(path: &str) -> bool {
    let (mut before, mut has_dot) = (0, false);
    for byte in path.bytes() {
        match (before, byte) {
            (_, b'%' | b';' | b'\\' | ..0x20 | 0x7f) | (b'/', b'/') => return false,
            (b'/', b'.') => has_dot = true,
            _ => {}
        }
        before = byte;
    }
    path.starts_with('/')
        && !(has_dot
            && path
                .split('/')
                .any(|segment| segment == "." || segment == ".."))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Decodes, once, each `%XX` whose byte `decode` accepts. `None` if a `%` is not followed by two
/// hex digits or the outcome is not UTF-8.
fn percent_decode(text: &str, decode: impl Fn(u8) -> bool) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (high, low) = (bytes.next()?, bytes.next()?);
        let value = hex(high)? << 4 | hex(low)?;
        if decode(value) {
            out.push(value);
        } else {
            out.extend([b'%', high, low]);
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

/// Cuts each segment at its first `;`.
fn without_parameters(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (number, segment) in path.split('/').enumerate() {
        if number > 0 {
            out.push('/');
        }
        out.push_str(ascii::split_once(segment, b';').map_or(segment, |(kept, _)| kept));
    }
    out
}

/// Turns `\` into `/`, merges slashes, and resolves `.` and `..` (RFC 3986, 5.2.4).
fn normalise(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 1);
    for segment in path.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            // Goes back over one segment, which was written once, so all steps back together are no
            // longer than the path.
            ".." => out.truncate(out.rfind('/').unwrap_or(0)),
            other => {
                out.push('/');
                out.push_str(other);
            }
        }
    }
    if out.is_empty() || path.ends_with(['/', '\\']) || ends_with_dots(path) {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests;
