//! A request under judgement: the request, and what is worked out of it only when some rule asks.

use std::cell::OnceCell;

use super::path::Readings;
use super::request::Request;

/// A request under judgement, with what is worked out only when a rule asks for it.
#[derive(Debug)]
pub struct Question<'q> {
    /// The request.
    pub request: &'q Request<'q>,
    readings: OnceCell<Readings<'q>>,
}

impl<'q> Question<'q> {
    /// Nothing is worked out yet.
    pub fn new(request: &'q Request<'q>) -> Self {
        Question { request, readings: OnceCell::new() }
    }

    /// The readings of the path, made when they are first asked for.
    pub fn readings(&self) -> &Readings<'q> {
        self.readings.get_or_init(|| match self.request.http {
            Some(http) => Readings::of(http.path),
            None => Readings::Unknown,
        })
    }
}
