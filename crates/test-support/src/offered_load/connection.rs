//! One connection of an offered load, which never blocks.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use super::frames::{
    self, ACK, DATA, END_STREAM, GOAWAY, HEAD, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use super::{Client, OfferedLoad, OfferedResult};

/// How many bytes may wait for the socket until checks wait in the client's queue.
const MOST_UNWRITTEN: usize = 256 << 10;
const READ: usize = 256 << 10;
/// RFC 9113, 7.
const NO_ERROR: u32 = 0;
const CANCEL: u32 = 8;
/// RFC 9113, 6.9.2.
const FIRST_WINDOW: i64 = 65_535;

pub(super) struct Connection {
    socket: Option<TcpStream>,
    client: Client,
    deadline: u32,
    head: Vec<u8>,
    message: Vec<u8>,
    stream_ids: Vec<usize>,
    unwritten: Vec<u8>,
    written: usize,
    read: Vec<u8>,
    filled: usize,
    /// Checks by stream, from stream 1 on.
    calls: Vec<Call>,
    /// The first call that may still be open. Calls before it are over.
    oldest: usize,
    open: usize,
    /// Checks that were due and are not sent, by the moment at which they were due.
    queue: VecDeque<u32>,
    /// Calls whose message waits for the server's window.
    without_message: VecDeque<usize>,
    window: i64,
    stream_limit: usize,
}

#[derive(Clone, Copy)]
struct Call {
    due: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// The first byte of the message of the answer has arrived; true for an allow.
    Answered(bool),
    /// Its deadline has passed, and an answer is counted as late.
    Late,
    Over,
    /// Reset by the client.
    Reset,
}

impl Connection {
    pub(super) fn connect(load: &OfferedLoad) -> io::Result<Connection> {
        let socket = TcpStream::connect(load.address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let message = frames::message(&load.check);
        Ok(Connection {
            socket: Some(socket),
            client: load.client,
            deadline: super::micros(load.deadline),
            head: frames::begin(load.deadline, load.client.traces),
            stream_ids: frames::stream_ids(&message),
            message,
            unwritten: frames::greeting(),
            written: 0,
            read: vec![0; READ],
            filled: 0,
            calls: Vec::new(),
            oldest: 0,
            open: 0,
            queue: VecDeque::new(),
            without_message: VecDeque::new(),
            window: FIRST_WINDOW,
            stream_limit: usize::MAX,
        })
    }

    /// Returns how many checks are neither answered nor given up.
    pub(super) fn open(&self) -> usize {
        self.open + self.queue.len()
    }

    /// Takes over a check that was due at a moment.
    pub(super) fn offer(&mut self, due: u32) {
        self.queue.push_back(due);
    }

    /// Writes and reads what is possible now.
    pub(super) fn work(&mut self, now: u32, result: &mut OfferedResult) {
        self.expire(now, result);
        self.send();
        if self.socket.is_some() && self.write().and_then(|()| self.read(now, result)).is_err() {
            result.disconnected += 1;
            self.socket = None;
        }
    }

    /// Counts what is left.
    pub(super) fn finish(mut self, result: &mut OfferedResult) {
        self.expire(u32::MAX, result);
    }

    fn expire(&mut self, now: u32, result: &mut OfferedResult) {
        let limit = now.saturating_sub(self.deadline);
        while self.queue.front().is_some_and(|due| *due < limit) {
            self.queue.pop_front();
            result.unsent += 1;
        }
        while let Some(call) = self.calls.get_mut(self.oldest) {
            if call.state == State::Waiting {
                if call.due >= limit {
                    break;
                }
                result.unanswered += 1;
                call.state = State::Late;
                self.open -= 1;
                if self.client.resets {
                    call.state = State::Reset;
                    self.unwritten.extend(reset(self.oldest, CANCEL));
                }
            }
            self.oldest += 1;
        }
    }

    fn send(&mut self) {
        let has_room = |unwritten: &[u8]| unwritten.len() < MOST_UNWRITTEN;
        let length = i64::try_from(self.message.len()).unwrap();
        while self.window >= length && has_room(&self.unwritten) {
            let Some(call) = self.without_message.pop_front() else {
                break;
            };
            match self.calls[call].state {
                State::Reset => {}
                // The server has answered without the message, so the call ends without it.
                State::Over => self.unwritten.extend(reset(call, NO_ERROR)),
                State::Waiting | State::Answered(_) | State::Late => self.send_message(call),
            }
        }
        while has_room(&self.unwritten)
            && (self.open < self.stream_limit || self.client.ignores_stream_limit)
        {
            let Some(due) = self.queue.pop_front() else {
                break;
            };
            let call = self.calls.len();
            self.calls.push(Call {
                due,
                state: State::Waiting,
            });
            self.open += 1;
            let at = self.unwritten.len();
            self.unwritten.extend_from_slice(&self.head);
            self.unwritten[at + 5..at + HEAD].copy_from_slice(&stream(call).to_be_bytes());
            if self.window >= length && self.without_message.is_empty() {
                self.send_message(call);
            } else {
                self.without_message.push_back(call);
            }
        }
    }

    fn send_message(&mut self, call: usize) {
        let at = self.unwritten.len();
        self.unwritten.extend_from_slice(&self.message);
        for place in &self.stream_ids {
            self.unwritten[at + place..at + place + 4].copy_from_slice(&stream(call).to_be_bytes());
        }
        self.window -= i64::try_from(self.message.len() - HEAD * self.stream_ids.len()).unwrap();
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        while self.written < self.unwritten.len() {
            match socket.write(&self.unwritten[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(problem) if problem.kind() == ErrorKind::WouldBlock => break,
                Err(problem) => return Err(problem),
            }
        }
        if self.written == self.unwritten.len() {
            self.unwritten.clear();
            self.written = 0;
        }
        Ok(())
    }

    fn read(&mut self, now: u32, result: &mut OfferedResult) -> io::Result<()> {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        match socket.read(&mut self.read[self.filled..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.filled += count,
            Err(problem) if problem.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(problem) => return Err(problem),
        }
        let bytes = std::mem::take(&mut self.read);
        let mut at = 0;
        while let Some(head) = bytes[..self.filled].get(at..at + HEAD) {
            let end = at + HEAD + frames::length(head);
            if end > self.filled {
                break;
            }
            self.receive(head, &bytes[at + HEAD..end], now, result);
            at = end;
        }
        self.read = bytes;
        self.read.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(())
    }

    fn receive(&mut self, head: &[u8], payload: &[u8], now: u32, result: &mut OfferedResult) {
        let (kind, flags, of) = (head[3], head[4], frames::number(&head[5..]));
        match kind {
            SETTINGS if flags & ACK == 0 => {
                for setting in payload
                    .chunks_exact(6)
                    .filter(|setting| setting[..2] == [0, 3])
                {
                    self.stream_limit = usize::try_from(frames::number(&setting[2..])).unwrap();
                }
                self.unwritten.extend(frames::frame(SETTINGS, ACK, 0, &[]));
            }
            PING if flags & ACK == 0 => self.unwritten.extend(frames::frame(PING, ACK, 0, payload)),
            WINDOW_UPDATE if of == 0 => self.window += i64::from(frames::number(payload)),
            GOAWAY => result.disconnected += 1,
            DATA | HEADERS | RST_STREAM if of != 0 => {
                let place = usize::try_from((of - 1) / 2).unwrap();
                self.receive_answer((kind, flags), place, payload, now, result);
            }
            _ => {}
        }
    }

    fn receive_answer(
        &mut self,
        (kind, flags): (u8, u8),
        place: usize,
        payload: &[u8],
        now: u32,
        result: &mut OfferedResult,
    ) {
        let Some(call) = self.calls.get_mut(place) else {
            return;
        };
        let took = now.saturating_sub(call.due);
        if kind == DATA {
            if call.state == State::Waiting {
                call.state = State::Answered(is_allow(payload));
            }
            return;
        }
        let is_over = kind == RST_STREAM || flags & END_STREAM != 0;
        if !is_over || matches!(call.state, State::Over | State::Reset) {
            return;
        }
        match call.state {
            State::Late => {
                result.late += 1;
                result.unanswered -= 1;
            }
            _ if kind == RST_STREAM => result.reset += 1,
            State::Answered(_) if took > self.deadline => result.late += 1,
            State::Answered(is_allowed) => {
                *if is_allowed {
                    &mut result.allowed
                } else {
                    &mut result.denied
                } += 1;
                result.answer_times.push(took);
            }
            _ if frames::grpc_status(payload) == Some(8) => {
                result.refused += 1;
                result.refusal_times.push(took);
            }
            _ => result.failed += 1,
        }
        if call.state != State::Late {
            self.open -= 1;
        }
        call.state = State::Over;
    }
}

/// Returns whether the beginning of an answer says allow, as everything does but a status with a
/// code above zero.
fn is_allow(payload: &[u8]) -> bool {
    !matches!(payload.get(5..), Some([0x0a, _, 0x08, code, ..]) if *code != 0)
}

fn reset(call: usize, code: u32) -> Vec<u8> {
    frames::frame(RST_STREAM, 0, stream(call), &code.to_be_bytes())
}

fn stream(call: usize) -> u32 {
    u32::try_from(call * 2 + 1).unwrap()
}
