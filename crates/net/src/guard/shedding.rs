//! Refuses calls before the transport sees them, while too many wait.
//!
//! Five times as many calls as the server can answer means four refusals for each answer. If the
//! transport did it, refusing would cost half as much as answering, and little would be answered.
//! Here a refusal costs a look at one frame of headers, and the answer is written in bytes that
//! were made beforehand: `RESOURCE_EXHAUSTED`, in gRPC's form for an answer without a message.
//!
//! It reads no header but the path. The rules that make it sound:
//!
//! - Both ends of a connection keep equal tables of headers. So the headers of every call are
//!   [read](super::header_table), and once the transport has missed some that changed the client's
//!   table, it gets the later ones written without a table. An answer is written here only once the
//!   transport has written one with the current size of its own table.
//! - The transport never sees a frame of a call that is refused here. The bytes of its messages are
//!   given back to the client's window of the connection.
//! - Answers are written between frames of the transport, and are bounded: a client that does not
//!   read them is not read either.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEAD, HEADERS, LONGEST, PUSH_PROMISE,
    RST_STREAM, WINDOW_UPDATE, write_frame,
};
use super::header_block::HeaderBlockError;
use super::header_table::{BlockSummary, ExpectedPath, HeaderTable};

/// The headers of a refusal: `:status` 200, `content-type`, `grpc-status` 8 and `grpc-message`, none
/// of which changes the client's table (RFC 7541, 6.2.2).
const REFUSAL: &[u8] =
    b"\x88\x0f\x10\x10application/grpc\x00\x0bgrpc-status\x018\x00\x0cgrpc-message\x0aoverloaded";

/// The headers of the answer to a call whose headers are too long: `:status` 431 (RFC 6585, 5), as
/// the transport answers it.
const TOO_LONG: &[u8] = b"\x08\x03431";

/// How many bytes of answers are written before more is read.
const WRITE: usize = 16 << 10;

/// How many refused calls may be unfinished by their client. Further ones are reset.
const MOST_UNFINISHED: usize = 1024;

/// How many bytes of messages are given back to the client's window at once.
const GIVE_BACK: u32 = 32 << 10;

/// What happens to headers.
#[derive(Debug)]
pub(super) enum HeaderFate {
    /// The transport gets them.
    Passes,
    /// The transport gets [others](Shedding::rewritten_headers), which mean the same.
    Rewritten,
    /// They began a call that was refused.
    Refused,
    /// They began a call that was refused because they are too long.
    TooLong(HeaderBlockError),
    /// They belong to a call that was refused before.
    Dropped,
    /// They make no sense, and the connection must end.
    Malformed(HeaderBlockError),
}

/// What headers are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewCall {
    /// They begin a call.
    pub(super) begins: bool,
    /// The call may wait for its turn.
    pub(super) is_admitted: bool,
    /// The highest stream that the client opened before.
    pub(super) last: u32,
}

/// The calls of one connection that are refused before the transport sees them.
pub(super) struct Shedding {
    path: Arc<ExpectedPath>,
    /// `None` once the client has sent headers that were not read, so that no call can be refused.
    table: Option<HeaderTable>,
    /// The longest block of headers.
    longest_block: usize,
    /// A block that the transport gets instead of the client's, and its frames.
    rewritten: Vec<u8>,
    rewritten_frames: Vec<u8>,
    /// The highest stream that the transport saw.
    passed: u32,
    /// Refused calls that their client has not finished, in the order of their streams.
    unfinished: VecDeque<u32>,
    /// Bytes of messages that are not given back to the window yet.
    dropped: u32,
    /// The client's settings that the transport has neither acknowledged nor written headers after.
    unsettled: u32,
    is_settled: bool,
    /// Answers, and how much of them is written.
    answers: Vec<u8>,
    written: usize,
    /// Refusals that are not reported yet.
    refused: u64,
}

impl Shedding {
    /// Prepares to refuse calls of a path. The transport accepts lists of headers of
    /// `header_list_size` bytes, which are longer than their blocks.
    pub(super) fn new(path: Arc<ExpectedPath>, header_list_size: u32) -> Shedding {
        Shedding {
            path,
            table: Some(HeaderTable::new()),
            longest_block: usize::try_from(header_list_size).unwrap_or(usize::MAX),
            rewritten: Vec::new(),
            rewritten_frames: Vec::new(),
            passed: 0,
            unfinished: VecDeque::new(),
            dropped: 0,
            unsettled: 0,
            is_settled: false,
            answers: Vec::new(),
            written: 0,
            refused: 0,
        }
    }

    /// Returns whether a frame that begins no call is of a call that was refused here, and so must
    /// not reach the transport. `last` is the highest stream that the client has opened.
    pub(super) fn is_of_refused(&mut self, frame: Frame, last: u32) -> bool {
        if frame.stream <= self.passed && self.unfinished.is_empty() || frame.stream > last {
            return false;
        }
        // Headers that follow nothing, or that a client may not send, which the transport judges.
        if matches!(frame.kind, CONTINUATION | PUSH_PROMISE) {
            return false;
        }
        let place = self.unfinished.binary_search(&frame.stream);
        if frame.stream <= self.passed && place.is_err() {
            return false;
        }
        if frame.kind == DATA {
            self.give_back(u32::try_from(frame.length).unwrap_or_default());
        }
        let is_last = matches!(frame.kind, DATA | HEADERS) && frame.has(END_STREAM);
        if let (true, Ok(place)) = (is_last || frame.kind == RST_STREAM, place) {
            self.unfinished.remove(place);
        }
        true
    }

    /// Notes settings of the client.
    pub(super) fn settings(&mut self) {
        self.unsettled = self.unsettled.saturating_add(1);
        self.is_settled = false;
    }

    /// Notes that the transport acknowledged settings.
    pub(super) fn acknowledged(&mut self) {
        self.unsettled = self.unsettled.saturating_sub(1);
    }

    /// Notes that the transport wrote headers, with a change of the table's size if there was one.
    pub(super) fn wrote_headers(&mut self) {
        self.is_settled = self.unsettled == 0;
    }

    /// Returns whether headers are read, so that calls can be refused.
    pub(super) fn reads_headers(&self) -> bool {
        self.table.is_some()
    }

    /// Notes the first frame of headers that are not read to their end.
    pub(super) fn unread_headers(&mut self, frame: Frame) -> HeaderFate {
        self.lose_table(frame, HeaderBlockError::Truncated)
    }

    /// Reads whole headers, which are these frames, and refuses the call if it may not wait.
    pub(super) fn headers(&mut self, frame: Frame, frames: &[u8], call: NewCall) -> HeaderFate {
        let Some(table) = &mut self.table else {
            return self.passes(frame);
        };
        let is_rewritten = table.is_detached();
        let whole;
        let block = if frame.has(END_HEADERS) {
            frame.block(frames).and_then(|block| frames.get(block))
        } else {
            whole = gather(frame, frames);
            whole.as_deref()
        };
        let Some(block) = block else {
            return self.lose_table(frame, HeaderBlockError::Truncated);
        };
        self.rewritten.clear();
        let read = if is_rewritten {
            table.rewrite(block, &self.path, self.longest_block, &mut self.rewritten)
        } else {
            table.read(block, &self.path)
        };
        let read = match read {
            Ok(read) => read,
            Err(problem @ HeaderBlockError::ExpandsTooFar { .. }) if call.begins => {
                self.answer(frame.stream, TOO_LONG);
                return HeaderFate::TooLong(problem);
            }
            Err(problem @ HeaderBlockError::EmptyName) => return HeaderFate::Malformed(problem),
            Err(problem) => return self.lose_table(frame, problem),
        };
        let refuses = call.begins
            && !call.is_admitted
            && read.is_path
            && self.is_settled
            && !frame.has(END_STREAM);
        if refuses {
            table.withhold(read);
            self.answer(frame.stream, REFUSAL);
            self.refused += 1;
            return HeaderFate::Refused;
        }
        if !call.begins && self.is_of_refused(frame, call.last) {
            self.withhold(read);
            return HeaderFate::Dropped;
        }
        if is_rewritten {
            self.write_rewritten(frame);
            self.passes(frame);
            return HeaderFate::Rewritten;
        }
        if frame.depends_on_itself(frames) {
            // The transport resets such a call, and does not read its headers.
            self.withhold(read);
        }
        self.passes(frame)
    }

    fn withhold(&mut self, read: BlockSummary) {
        if let Some(table) = &mut self.table {
            table.withhold(read);
        }
    }

    /// Notes headers that the transport gets.
    fn passes(&mut self, frame: Frame) -> HeaderFate {
        self.passed = self.passed.max(frame.stream);
        HeaderFate::Passes
    }

    /// Refuses no call any more, because the client's table is not known. If the transport does not
    /// know it either, the connection must end.
    fn lose_table(&mut self, frame: Frame, problem: HeaderBlockError) -> HeaderFate {
        if self.table.take().is_some_and(|table| table.is_detached()) {
            return HeaderFate::Malformed(problem);
        }
        self.passes(frame)
    }

    /// Writes the frames for the rewritten block.
    fn write_rewritten(&mut self, frame: Frame) {
        let (block, out) = (&self.rewritten, &mut self.rewritten_frames);
        out.clear();
        let count = block.len().div_ceil(LONGEST);
        for (place, part) in block.chunks(LONGEST).enumerate() {
            let (kind, mut flags) = match place {
                0 => (HEADERS, frame.flags & END_STREAM),
                _ => (CONTINUATION, 0),
            };
            if place + 1 == count {
                flags |= END_HEADERS;
            }
            write_frame(out, (kind, flags, frame.stream), part);
        }
    }

    /// Returns the frames that the transport gets instead of the last headers.
    pub(super) fn rewritten_headers(&self) -> &[u8] {
        &self.rewritten_frames
    }

    /// Answers a call that the transport does not see with these headers.
    fn answer(&mut self, stream: u32, headers: &[u8]) {
        write_frame(
            &mut self.answers,
            (HEADERS, END_HEADERS | END_STREAM, stream),
            headers,
        );
        if self.unfinished.len() >= MOST_UNFINISHED
            && let Some(oldest) = self.unfinished.pop_front()
        {
            write_frame(&mut self.answers, (RST_STREAM, 0, oldest), &[0; 4]);
        }
        self.unfinished.push_back(stream);
    }

    /// Returns how many calls were refused since the last time.
    pub(super) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    fn give_back(&mut self, bytes: u32) {
        self.dropped = self.dropped.saturating_add(bytes);
        if self.dropped >= GIVE_BACK {
            let bytes = std::mem::take(&mut self.dropped).to_be_bytes();
            write_frame(&mut self.answers, (WINDOW_UPDATE, 0, 0), &bytes);
        }
    }

    fn unwritten(&self) -> &[u8] {
        self.answers.get(self.written..).unwrap_or_default()
    }

    /// Returns whether answers wait.
    pub(super) fn has_answers(&self) -> bool {
        self.written < self.answers.len()
    }

    /// Returns whether so many answers wait that they are written before more is read.
    pub(super) fn is_full(&self) -> bool {
        self.unwritten().len() >= WRITE
    }

    /// Writes all answers, and then bytes of the transport if the socket takes more, in as few
    /// writes as possible. Returns how many of these bytes were written; there may be none at all.
    /// The transport must be between two frames.
    pub(super) fn poll_write_before<IO: AsyncWrite + Unpin>(
        &mut self,
        io: &mut IO,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        while self.has_answers() {
            let slices = [IoSlice::new(self.unwritten()), IoSlice::new(bytes)];
            let written = ready!(Pin::new(&mut *io).poll_write_vectored(context, &slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_answers = written.min(self.unwritten().len());
            self.written += of_answers;
            if written > of_answers {
                self.clear();
                return Poll::Ready(Ok(written - of_answers));
            }
        }
        self.clear();
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Pin::new(io).poll_write(context, bytes)
    }

    fn clear(&mut self) {
        self.answers.clear();
        self.written = 0;
    }
}

/// Returns the block of headers of several frames. `None` if the first is not well formed.
fn gather(first: Frame, frames: &[u8]) -> Option<Vec<u8>> {
    let (head, mut rest) = frames.split_at_checked(HEAD + first.length)?;
    let mut block = head.get(first.block(head)?)?.to_vec();
    while let Some(frame) = Frame::of(rest) {
        let (whole, behind) = rest.split_at_checked(HEAD + frame.length)?;
        block.extend_from_slice(whole.get(HEAD..)?);
        rest = behind;
    }
    Some(block)
}

#[cfg(test)]
mod tests;
