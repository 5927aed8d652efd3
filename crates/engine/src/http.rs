//! What of HTTP a rule may look at: the headers in the form in which they were sent, and the few
//! attributes beside them.
//!
//! Nothing here is interpreted; [`header_values`](super::header_values) says what a header holds.

use std::borrow::Cow;

/// The headers of a request, in the form in which they were sent.
pub trait Headers: std::fmt::Debug {
    /// Visits every value of a header, in order. `name` is in lower case; names are compared in any
    /// case.
    fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(Cow<'s, str>));

    /// Visits every header with its name as it was sent. The values of one name come in the order
    /// in which [`visit`](Self::visit) gives them.
    fn visit_all<'s>(&'s self, each: &mut dyn FnMut(&'s str, Cow<'s, str>));

    /// Returns whether repeated headers were joined with commas, so that one value may be several.
    fn are_joined(&self) -> bool {
        true
    }
}

/// Pairs of names and values, in order.
impl Headers for Vec<(String, String)> {
    fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(Cow<'s, str>)) {
        self.iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .for_each(|(_, value)| each(value.into()));
    }

    fn visit_all<'s>(&'s self, each: &mut dyn FnMut(&'s str, Cow<'s, str>)) {
        self.iter().for_each(|(key, value)| each(key, value.into()));
    }
}

/// No headers at all.
pub(crate) const NO_HEADERS: &Vec<(String, String)> = &Vec::new();

/// Returns the last value of a header.
pub fn last_value<'s>(headers: &'s dyn Headers, name: &str) -> Option<Cow<'s, str>> {
    let mut last = None;
    headers.visit(name, &mut |value| last = Some(value));
    last
}

/// The HTTP attributes that rules use.
#[derive(Clone, Copy, Debug)]
pub struct Http<'a> {
    /// The method, as sent; empty is unknown.
    pub method: &'a str,
    /// The path with its query, as sent; empty is unknown.
    pub path: &'a str,
    /// The authority, as sent.
    pub authority: &'a str,
    /// The scheme that the client claims; only conditions on that header use it.
    pub scheme: &'a str,
    /// The headers.
    pub headers: &'a dyn Headers,
}
