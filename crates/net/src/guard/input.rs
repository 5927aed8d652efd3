//! The bytes that a client sent, on their way to the transport: first those that may pass, then
//! those that were not inspected yet.
//!
//! It knows nothing about frames except the position of their length. A connection that sends
//! nothing has no buffer.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// How many bytes are read at once: some fifteen checks, where the transport by itself would read
/// four. The longest frame of headers also fits.
pub(super) const READ_BUFFER: usize = 32 << 10;

/// How many bytes are read at first, before a connection has a buffer: enough for a client's
/// beginning.
const FIRST_READ: usize = 512;

/// The bytes that were read: first what may pass, then what was not inspected yet. A connection
/// that sends nothing has no buffer.
pub(super) struct Input {
    buffer: Box<[u8]>,
    passing: Range<usize>,
    end: usize,
    /// Bytes that pass before those of the buffer, and how many of them have passed.
    exchanged: Vec<u8>,
    exchanged_taken: usize,
}

impl Input {
    pub(super) fn new() -> Input {
        Input {
            buffer: Box::default(),
            passing: 0..0,
            end: 0,
            exchanged: Vec::new(),
            exchanged_taken: 0,
        }
    }

    /// Appends input to what was read. No bytes may be waiting to pass.
    pub(super) fn read<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.buffer.is_empty() {
            let mut room = ReadBuf::new(self.room());
            ready!(Pin::new(io).poll_read(context, &mut room))?;
            let count = room.filled().len();
            self.end += count;
            return Poll::Ready(Ok(count));
        }
        let mut first = [0; FIRST_READ];
        let mut room = ReadBuf::new(&mut first);
        ready!(Pin::new(io).poll_read(context, &mut room))?;
        let read = room.filled();
        if !read.is_empty() {
            self.buffer = vec![0; READ_BUFFER].into_boxed_slice();
            if let Some(place) = self.buffer.get_mut(..read.len()) {
                place.copy_from_slice(read);
                self.end = read.len();
            }
        }
        Poll::Ready(Ok(read.len()))
    }

    pub(super) fn passing(&self) -> &[u8] {
        if let Some(rest) = self.exchanged.get(self.exchanged_taken..)
            && !rest.is_empty()
        {
            return rest;
        }
        self.buffer.get(self.passing.clone()).unwrap_or_default()
    }

    pub(super) fn unseen(&self) -> &[u8] {
        self.buffer
            .get(self.passing.end..self.end)
            .unwrap_or_default()
    }

    /// Lets `count` bytes pass.
    pub(super) fn pass(&mut self, count: usize) {
        self.passing.end = (self.passing.end + count).min(self.end);
    }

    /// Removes `count` bytes that were not inspected. No bytes may be waiting to pass.
    pub(super) fn drop(&mut self, count: usize) {
        self.pass(count);
        self.passing.start = self.passing.end;
    }

    /// Lets other bytes pass instead of the next `count` that were not inspected. No bytes may be
    /// waiting to pass.
    pub(super) fn exchange(&mut self, count: usize, others: &[u8]) {
        self.drop(count);
        self.exchanged.clear();
        self.exchanged.extend_from_slice(others);
        self.exchanged_taken = 0;
    }

    /// Removes `count` bytes that have passed.
    pub(super) fn taken(&mut self, count: usize) {
        if self.exchanged_taken < self.exchanged.len() {
            self.exchanged_taken += count;
            return;
        }
        self.passing.start = (self.passing.start + count).min(self.passing.end);
    }

    /// Returns the free space after what was read. No bytes may be waiting to pass.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let begin = self.passing.end;
        if begin > 0 {
            if begin < self.end {
                self.buffer.copy_within(begin..self.end, 0);
            }
            self.end -= begin;
            self.passing = 0..0;
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Writes a text over a longer one. `place` is counted from the first byte that was not
    /// inspected.
    pub(super) fn replace(&mut self, place: Range<usize>, text: &[u8]) {
        let (start, behind) = (self.passing.end + place.start, self.passing.end + place.end);
        let end = start + text.len();
        if let Some(room) = self.buffer.get_mut(start..end) {
            room.copy_from_slice(text);
        }
        if end < behind && behind <= self.end {
            self.buffer.copy_within(behind..self.end, end);
            self.end -= behind - end;
        }
    }

    /// Writes the length of the next frame.
    pub(super) fn set_length(&mut self, length: usize) {
        let bytes = u32::try_from(length).unwrap_or_default().to_be_bytes();
        let place = self
            .buffer
            .get_mut(self.passing.end..)
            .and_then(|rest| rest.first_chunk_mut::<3>());
        if let (Some(place), Some(bytes)) = (place, bytes.last_chunk::<3>()) {
            *place = *bytes;
        }
    }
}
