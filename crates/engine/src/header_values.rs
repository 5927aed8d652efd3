//! The values of one header of a request, as conditions compare them (rule R8): each value whole,
//! each in its parts between commas, and all of them joined, since Envoy joins repeated headers
//! with commas unless it is configured not to.
//!
//! A value may contain commas of its own. Once joined with others it cannot be distinguished from
//! several values, so the broad match compares a pattern that has commas with every run of adjacent
//! parts that has the same number of commas.
//!
//! A header is bounded: past [`MAX_PARTS`] parts or [`MAX_BYTES`] bytes its value is *unknown*,
//! which satisfies a DENY and no ALLOW. So a client cannot make a check cost more by sending more.
//!
//! Pseudo-headers have the values that Envoy holds under their names, even if a check carries them
//! only as attributes. `host` is Envoy's other name for `:authority`.

use std::borrow::Cow;

use super::effect::Effect;
use super::field::Field;
use super::http::Http;
use super::pattern::{Match, TextPattern};
use super::work_count;

/// The most parts of a header, over all of its values, that are compared.
pub const MAX_PARTS: usize = 1_024;

/// The most bytes of a header, all of its values joined, that are compared.
pub const MAX_BYTES: usize = 64 * 1_024;

/// The most commas in a pattern that is compared with runs of parts.
pub(crate) const MAX_PATTERN_COMMAS: usize = 8;

/// The most runs that are compared with the patterns that have one particular number of commas.
const MAX_RUNS: usize = 128;

/// The most bytes of a header that is compared with patterns of one comma. With more commas the
/// bound is lower, so that the runs of all numbers of commas together have no more than twice as
/// many bytes.
const MAX_RUN_BYTES: usize = 2 * MAX_BYTES;

/// The authority's name among Envoy's headers.
pub const AUTHORITY: &str = ":authority";

/// Returns the name under which Envoy holds a header: in lower case, and `:authority` for `host`.
pub fn header_name(text: &str) -> String {
    if is_host(text) {
        AUTHORITY.to_owned()
    } else {
        text.to_ascii_lowercase()
    }
}

/// Returns whether a name is Envoy's other name for `:authority`.
fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host")
}

/// What is known about a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderValues<'a> {
    /// The header is absent.
    Absent,
    /// The header's value is not compared.
    Unknown(UnknownHeader),
    /// The header is present.
    Known(HeaderTexts<'a>),
}

/// Why a header's value is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownHeader {
    /// It has more than [`MAX_PARTS`] parts.
    TooManyParts,
    /// It has more than [`MAX_BYTES`] bytes.
    TooLong,
    /// Every request has the header, but the check does not carry it.
    NotSent,
}

impl UnknownHeader {
    /// Describes the cause for people, to follow the header's name.
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

/// The values of a header that is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderTexts<'a> {
    /// At least one.
    values: Vec<Cow<'a, str>>,
    /// All values joined, if there are several.
    joined: Option<String>,
    split: Split,
}

/// Where one value may be several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// Nowhere: a pseudo-header is never joined.
    Never,
    /// Only in the broad match: the values were sent separately.
    Broad,
    /// Everywhere: the values were joined.
    Always,
}

/// A header, all values joined, in its parts between commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderParts<'t> {
    text: &'t str,
    /// The positions of its commas.
    commas: Vec<usize>,
}

/// The runs of adjacent parts that a pattern with commas is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartRuns<'t> {
    /// These runs, each with as many commas as the pattern.
    Listed(Vec<&'t str>),
    /// More than are compared: no pattern with as many commas can be ruled out.
    TooMany,
}

/// A text that patterns are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderText<'t> {
    /// The text.
    pub text: &'t str,
    /// Whether the strict match compares it. The broad match compares every text.
    pub is_strict: bool,
}

impl<'a> Http<'a> {
    /// Returns what is known about a header. The name may be in any case.
    pub(crate) fn header_values(&self, name: &str) -> HeaderValues<'a> {
        let own = self.pseudo_header(name);
        let mut values: Vec<Cow<'a, str>> = Vec::new();
        values.extend(own.filter(|value| !value.is_empty()).map(Cow::Borrowed));
        let mut add = |value: Cow<'a, str>| {
            // Each value is compared with one other only, so that many values do not cost their
            // square. Past the limit the value is unknown anyway, so the comparison is skipped.
            if values.len() <= MAX_PARTS && (own.is_none() || !is_first(&values, &value)) {
                values.push(value);
            }
        };
        match own {
            None => self.headers.visit(name, &mut add),
            // What the proxy sent under both names. If a value is not the authority, the request is
            // denied earlier.
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

    /// Returns the attribute that is the value of a pseudo-header; empty if the check does not
    /// carry it.
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

    /// Returns the last value of a header, whether or not it is compared.
    pub fn last_header_value(&self, name: &str) -> Option<Cow<'a, str>> {
        let own = self
            .pseudo_header(name)
            .filter(|value| !value.is_empty())
            .map(Cow::Borrowed);
        own.or_else(|| super::http::last_value(self.headers, name))
    }
}

/// Returns whether `value` is the first of `values`.
fn is_first(values: &[Cow<'_, str>], value: &str) -> bool {
    work_count::steps(1);
    values.first().is_some_and(|first| first == value)
}

/// Returns whether a name is one of the pseudo-headers that a check carries as attributes.
pub(crate) fn is_attribute(name: &str) -> bool {
    matches!(name, AUTHORITY | ":method" | ":path" | ":scheme") || is_host(name)
}

impl<'a> HeaderValues<'a> {
    /// Returns what is known about a header that was sent with these values.
    pub(crate) fn of_sent(values: Vec<Cow<'a, str>>, are_joined: bool) -> HeaderValues<'a> {
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
        // One comma between every two values.
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

    /// Returns whether a condition on the header holds.
    pub(crate) fn hold(&self, patterns: &Field<TextPattern>, effect: Effect) -> bool {
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
    /// Returns every text that is compared.
    pub(crate) fn texts(&self) -> impl Iterator<Item = HeaderText<'_>> {
        let all = self.values.iter().flat_map(|value| self.texts_of(value));
        all.chain(self.joined.iter().map(|text| HeaderText {
            text,
            is_strict: false,
        }))
    }

    /// Returns a value, and its parts unless the value is its only part.
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

    /// Returns the header's parts, whose runs are compared with patterns that have commas. `None`
    /// if the header never has several values.
    pub(crate) fn parts(&self) -> Option<HeaderParts<'_>> {
        let text = self
            .joined
            .as_deref()
            .or(self.values.first().map(Cow::as_ref))?;
        (self.split != Split::Never).then(|| HeaderParts::of(text))
    }

    /// Returns whether a pattern matches some run of parts, or may.
    fn may_match_a_run(&self, pattern: &TextPattern) -> bool {
        let Some(parts) = self.parts() else {
            return false;
        };
        match parts.runs(pattern.commas()) {
            PartRuns::Listed(runs) => runs.into_iter().any(|run| pattern.matches(run)),
            PartRuns::TooMany => true,
        }
    }

    /// Returns whether a list of patterns matches. Broad: it matches some text. Strict: it matches
    /// every text that the strict match compares.
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

    /// Returns the runs of parts that have this many commas, without the blanks around them.
    pub(crate) fn runs(&self, commas: usize) -> PartRuns<'t> {
        // There are as many runs as commas, less those inside the first run, plus one.
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

/// Returns a part of a header without the spaces and tabs around it, which are the only blanks that
/// HTTP has there (RFC 9110, 5.6.3).
pub(crate) fn trim_blanks(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Returns whether a text of a header matches. `*` only requires that the header is present.
fn value_matches(patterns: &[TextPattern], text: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| *pattern == TextPattern::Any || pattern.matches(text))
}

#[cfg(test)]
mod tests;
