//! The calls that are open on the wire: their headers were read, and neither side has ended them.
//!
//! It holds the numbers of streams and nothing else. The rule: it is exact, so that what it counts
//! is what the transport holds.

use std::collections::VecDeque;

/// The open calls of a connection, by the numbers of their streams, in rising order.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    streams: VecDeque<u32>,
    /// The highest number so far.
    last: u32,
    /// The most that are held. The transport refuses calls before that.
    most: usize,
}

impl OpenCalls {
    /// Creates the list for a transport that allows `most` calls at once.
    pub(super) fn new(most: u32) -> OpenCalls {
        // The transport refuses a call with an answer that takes its time.
        let most = usize::try_from(most)
            .unwrap_or(usize::MAX)
            .saturating_mul(2);
        OpenCalls {
            most,
            ..OpenCalls::default()
        }
    }

    /// Adds a call. Returns false if its headers belong to an earlier call.
    pub(super) fn begin(&mut self, stream: u32) -> bool {
        if !self.begins(stream) {
            return false;
        }
        self.last = stream;
        if self.streams.len() < self.most {
            self.streams.push_back(stream);
        }
        true
    }

    /// Returns whether headers on a stream begin a call.
    pub(super) fn begins(&self, stream: u32) -> bool {
        stream > self.last
    }

    /// Notes a call that is over as soon as it begins.
    pub(super) fn skip(&mut self, stream: u32) {
        self.last = self.last.max(stream);
    }

    /// Removes a call, if it is open. The calls of a client that waits for its answers end about in
    /// the order in which they began, so the search is short.
    pub(super) fn end(&mut self, stream: u32) {
        if let Some(at) = self.streams.iter().position(|open| *open == stream) {
            self.streams.remove(at);
        }
    }

    /// Returns the highest number of a stream so far.
    pub(super) fn last(&self) -> u32 {
        self.last
    }

    /// Returns how many are open.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.streams.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_from_their_headers_to_their_end() {
        let mut open = OpenCalls::new(10);
        for stream in [1, 3, 5, 9] {
            assert!(open.begin(stream));
        }
        for (stream, count) in [(3, 3), (3, 3), (7, 3), (9, 2), (1, 1), (5, 0), (5, 0)] {
            open.end(stream);
            assert_eq!(open.count(), count, "{stream}");
        }
        assert_eq!(open.last(), 9);
    }

    #[test]
    fn headers_of_an_earlier_call_begin_none() {
        let mut open = OpenCalls::new(10);
        assert!(open.begin(5));
        for stream in [0, 1, 5] {
            assert!(!open.begin(stream), "{stream}");
        }
        assert_eq!(open.count(), 1);
    }

    #[test]
    fn a_call_that_is_over_at_once_is_not_counted() {
        let mut open = OpenCalls::new(10);
        assert!(open.begin(1));
        assert!(open.begins(3));
        open.skip(3);
        assert!(!open.begins(3));
        assert!(open.begin(5));
        assert_eq!((open.count(), open.last()), (2, 5));
    }

    #[test]
    fn calls_that_the_transport_ignores_take_no_memory() {
        let mut open = OpenCalls::new(10);
        (1..10_000).for_each(|stream| assert!(open.begin(stream)));
        assert_eq!(open.count(), 20);
    }
}
