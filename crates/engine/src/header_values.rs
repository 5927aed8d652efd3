//! The values of one header of a request, as conditions compare them (rule R8): each whole, each in its parts between
//! commas, and all of them joined, since Envoy joins repeated headers with commas unless it is told not to.
//!
//! A value may hold commas of its own. Joined with others it can no longer be told from several, so the broad match
//! compares a pattern that has commas with every run of neighbouring parts that has as many.
//!
//! A header is bounded: past [`MAX_PARTS`] parts or [`MAX_BYTES`] bytes its value is *unknown*, which satisfies a DENY and
//! no ALLOW. So a client cannot make a check cost more by sending more.
//!
//! Pseudo-headers are what Envoy holds under their names, also where a check carries them as attributes alone. `host` is
//! Envoy's other name of `:authority`.

use std::borrow::Cow;

use super::effect::Effect;
use super::field::Field;
use super::pattern::{Match, TextPattern};
use super::request::Http;
use super::work_count;

/// The most parts of a header, over all of its values, that are compared.
pub const MAX_PARTS: usize = 1_024;

/// The most bytes of a header, all of its values joined, that are compared.
pub const MAX_BYTES: usize = 64 * 1_024;

/// The most commas of a pattern that is compared with runs of parts.
pub const MAX_PATTERN_COMMAS: usize = 8;

/// The most runs that are compared with the patterns of one number of commas.
const MAX_RUNS: usize = 128;

/// The most bytes of a header that is compared with patterns of one comma and, in the runs of more, so many times fewer
/// that the runs of all numbers of commas together have no more than twice as many.
const MAX_RUN_BYTES: usize = 2 * MAX_BYTES;

/// The authority, as Envoy calls it among the headers.
pub const AUTHORITY: &str = ":authority";

/// The name under which Envoy holds a header: in lower case, and `:authority` for `host`.
pub fn header_name(text: &str) -> String {
    if is_host(text) {
        AUTHORITY.to_owned()
    } else {
        text.to_ascii_lowercase()
    }
}

/// Whether a name is Envoy's other one of `:authority`.
fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host")
}

/// What is known of a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValues<'a> {
    /// The header is not there.
    Absent,
    /// The header's value is not compared.
    Unknown(UnknownHeader),
    /// The header is there.
    Known(HeaderTexts<'a>),
}

/// Why a header's value is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownHeader {
    /// It has more than [`MAX_PARTS`] parts.
    TooManyParts,
    /// It has more than [`MAX_BYTES`] bytes.
    TooLong,
    /// Every request has it, and the check does not tell it.
    NotSent,
}

impl UnknownHeader {
    /// What a person is told, behind the header's name.
    pub fn in_words(self) -> String {
        match self {
            UnknownHeader::TooManyParts => {
                format!("has more than {MAX_PARTS} parts between commas")
            }
            UnknownHeader::TooLong => format!("has more than {} KiB", MAX_BYTES / 1_024),
            UnknownHeader::NotSent => "is not part of the check".to_owned(),
        }
    }
}

/// The values of a header that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTexts<'a> {
    /// At least one.
    values: Vec<Cow<'a, str>>,
    /// All of them, where they are several.
    joined: Option<String>,
    split: Split,
}

/// Where a value may be several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// Nowhere: a pseudo-header is never joined.
    Never,
    /// Only in the broad match: the values were sent apart.
    Broad,
    /// Everywhere: the values were joined.
    Always,
}

/// A header in its parts between commas, all values joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderParts<'t> {
    text: &'t str,
    /// Where its commas stand.
    commas: Vec<usize>,
}

/// The runs of neighbouring parts that a pattern with commas is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartRuns<'t> {
    /// These, each with as many commas as the pattern.
    Listed(Vec<&'t str>),
    /// More than are compared: no pattern with as many commas can be ruled out.
    TooMany,
}

/// A text that patterns are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderText<'t> {
    /// The text.
    pub text: &'t str,
    /// Whether the strict match asks for it; the broad one asks for every text.
    pub is_strict: bool,
}

impl<'a> Http<'a> {
    /// What is known of a header, whose name may be in any case.
    pub fn header_values(&self, name: &str) -> HeaderValues<'a> {
        let own = self.pseudo_header(name);
        let mut values: Vec<Cow<'a, str>> = Vec::new();
        values.extend(own.filter(|value| !value.is_empty()).map(Cow::Borrowed));
        let mut add = |value: Cow<'a, str>| {
            // Compared with one other alone, so that many values do not cost their square; with more than can be compared,
            // the rest changes nothing.
            if values.len() <= MAX_PARTS && (own.is_none() || !is_first(&values, &value)) {
                values.push(value);
            }
        };
        match own {
            None => self.headers.visit(name, &mut add),
            // What the proxy said by both names; where it is not the authority, the request is denied before.
            Some(_) if is_host(name) || name == AUTHORITY => {
                self.headers.visit(AUTHORITY, &mut add);
                self.headers.visit("host", &mut add);
            }
            Some(_) => self.headers.visit(name, &mut add),
        }
        match own {
            Some(_) if values.is_empty() && !(name == ":path" && self.method == "CONNECT") => {
                HeaderValues::Unknown(UnknownHeader::NotSent)
            }
            Some(_) => HeaderValues::of(values, Split::Never),
            None => HeaderValues::of_sent(values, self.headers.are_joined()),
        }
    }

    /// The attribute that is the value of a pseudo-header; empty where the check does not carry it.
    fn pseudo_header(&self, name: &str) -> Option<&'a str> {
        Some(match name {
            AUTHORITY => self.authority,
            ":method" => self.method,
            ":path" => self.path,
            ":scheme" => self.scheme,
            name if is_host(name) => self.authority,
            _ => return None,
        })
    }

    /// The last value of a header, whether or not it is compared.
    pub fn last_header_value(&self, name: &str) -> Option<Cow<'a, str>> {
        let own = self
            .pseudo_header(name)
            .filter(|value| !value.is_empty())
            .map(Cow::Borrowed);
        own.or_else(|| super::request::last_value(self.headers, name))
    }
}

/// Whether a value is the first of others.
fn is_first(values: &[Cow<'_, str>], value: &str) -> bool {
    work_count::steps(1);
    values.first().is_some_and(|first| first == value)
}

/// Whether a name is one of the pseudo-headers that a check carries as attributes.
pub fn is_attribute(name: &str) -> bool {
    matches!(name, AUTHORITY | ":method" | ":path" | ":scheme") || is_host(name)
}

impl<'a> HeaderValues<'a> {
    /// What is known of a header that was sent with these values.
    pub fn of_sent(values: Vec<Cow<'a, str>>, are_joined: bool) -> HeaderValues<'a> {
        HeaderValues::of(
            values,
            if are_joined {
                Split::Always
            } else {
                Split::Broad
            },
        )
    }

    fn of(values: Vec<Cow<'a, str>>, split: Split) -> HeaderValues<'a> {
        if values.is_empty() {
            return HeaderValues::Absent;
        }
        if values.len() > MAX_PARTS {
            return HeaderValues::Unknown(UnknownHeader::TooManyParts);
        }
        // With a comma between two.
        let bytes = values.len() - 1 + values.iter().map(|value| value.len()).sum::<usize>();
        if bytes > MAX_BYTES {
            return HeaderValues::Unknown(UnknownHeader::TooLong);
        }
        work_count::bytes(bytes);
        let commas = |value: &Cow<'_, str>| value.bytes().filter(|byte| *byte == b',').count();
        let more = if split == Split::Never {
            0
        } else {
            values.iter().map(commas).sum()
        };
        if values.len() + more > MAX_PARTS {
            return HeaderValues::Unknown(UnknownHeader::TooManyParts);
        }
        let joined = (values.len() > 1).then(|| values.join(","));
        HeaderValues::Known(HeaderTexts {
            values,
            joined,
            split,
        })
    }

    /// Whether a condition on the header holds.
    pub fn hold(&self, patterns: &Field<TextPattern>, effect: Effect) -> bool {
        match self {
            HeaderValues::Absent => patterns.holds(effect, |_, _| false),
            HeaderValues::Unknown(_) => patterns.holds_unknown(effect),
            HeaderValues::Known(texts) => {
                patterns.holds_by_lists(effect, |list, matching| texts.match_a(list, matching))
            }
        }
    }
}

impl HeaderTexts<'_> {
    /// Every text that is compared.
    pub fn texts(&self) -> impl Iterator<Item = HeaderText<'_>> {
        let all = self.values.iter().flat_map(|value| self.texts_of(value));
        all.chain(self.joined.iter().map(|text| HeaderText {
            text,
            is_strict: false,
        }))
    }

    /// A value, and its parts unless the value is its only one.
    fn texts_of<'t>(&self, value: &'t str) -> impl Iterator<Item = HeaderText<'t>> + use<'t> {
        let is_its_part = !value.contains(',') && trim_blanks(value) == value;
        let (are_parts_strict, has_parts) = (
            self.split == Split::Always,
            self.split != Split::Never && !is_its_part,
        );
        let whole = HeaderText {
            text: value,
            is_strict: !are_parts_strict || is_its_part,
        };
        let parts = has_parts.then(|| value.split(',')).into_iter().flatten();
        let part = move |text: &'t str| HeaderText {
            text: trim_blanks(text),
            is_strict: are_parts_strict,
        };
        std::iter::once(whole).chain(parts.map(part))
    }

    /// The header's parts, whose runs patterns with commas are compared with. `None` where it is never several values.
    pub fn parts(&self) -> Option<HeaderParts<'_>> {
        let text = self
            .joined
            .as_deref()
            .or(self.values.first().map(Cow::as_ref))?;
        (self.split != Split::Never).then(|| HeaderParts::of(text))
    }

    /// Whether a pattern matches some run of parts, or may.
    fn may_match_a_run(&self, pattern: &TextPattern) -> bool {
        let Some(parts) = self.parts() else {
            return false;
        };
        match parts.runs(pattern.commas()) {
            PartRuns::Listed(runs) => runs.into_iter().any(|run| pattern.matches(run)),
            PartRuns::TooMany => true,
        }
    }

    /// Whether a list of patterns matches: broad, some text does; strict, every text that the strict match asks for.
    fn match_a(&self, list: &[TextPattern], matching: Match) -> bool {
        match matching {
            Match::Broad => {
                self.texts().any(|text| value_matches(list, text.text))
                    || list
                        .iter()
                        .any(|pattern| pattern.commas() > 0 && self.may_match_a_run(pattern))
            }
            Match::Strict => self
                .texts()
                .filter(|text| text.is_strict)
                .all(|text| value_matches(list, text.text)),
        }
    }
}

impl<'t> HeaderParts<'t> {
    fn of(text: &'t str) -> HeaderParts<'t> {
        work_count::bytes(text.len());
        HeaderParts {
            text,
            commas: memchr::memchr_iter(b',', text.as_bytes()).collect(),
        }
    }

    /// The runs of parts that have so many commas, without the blanks around them.
    pub fn runs(&self, commas: usize) -> PartRuns<'t> {
        // As many runs as there are commas but those inside the first, and one.
        let Some(count) = (self.commas.len() + 1).checked_sub(commas) else {
            return PartRuns::Listed(Vec::new());
        };
        let is_long = |commas: usize| commas * (commas + 1) / 2 * self.text.len() > MAX_RUN_BYTES;
        if count > 0 && (commas > MAX_PATTERN_COMMAS || count > MAX_RUNS || is_long(commas)) {
            return PartRuns::TooMany;
        }
        let starts = std::iter::once(0).chain(self.commas.iter().map(|comma| comma + 1));
        let ends = self
            .commas
            .iter()
            .copied()
            .skip(commas)
            .chain([self.text.len()]);
        let runs = starts.zip(ends).take(count);
        PartRuns::Listed(
            runs.filter_map(|(start, end)| self.text.get(start..end))
                .map(trim_blanks)
                .collect(),
        )
    }
}

/// A part of a header without the blanks around it: spaces and tabs, which are all that HTTP has there (RFC 9110, 5.6.3).
pub fn trim_blanks(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Whether a text of a header matches; `*` asks only that the header is there.
fn value_matches(patterns: &[TextPattern], text: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| *pattern == TextPattern::Any || pattern.matches(text))
}

#[cfg(test)]
mod tests;
