//! A load that does not wait for the server: checks are sent when they are due, whatever happened
//! to the earlier ones, and each has a deadline.
//!
//! It measures what callers see and draws no conclusion. It uses no HTTP/2 library, so that one
//! thread can offer several times what a server can answer: the bytes of a check are made once, and
//! only its stream id is written again. The rule: a check counts from the moment at which it was
//! due, so the time that it spends in the client counts as well.

mod connection;
mod frames;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use connection::Connection;

/// What is sent, and how.
#[derive(Clone, Debug)]
pub struct OfferedLoad {
    pub address: SocketAddr,
    pub connections: usize,
    pub pace: Pace,
    /// How long checks are sent.
    pub duration: Duration,
    /// How long a caller waits.
    pub deadline: Duration,
    /// The CheckRequest, encoded.
    pub check: Vec<u8>,
    pub client: Client,
}

/// When the next check is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many a second, whatever the server does.
    Open(f64),
    /// As soon as an answer arrives, with so many in flight on each connection. It measures how
    /// much the server can answer.
    Closed(usize),
}

/// What the clients do that differs from client to client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client {
    /// Opens more calls than the server's `max_concurrent_streams`, instead of keeping checks in a
    /// queue of its own.
    pub ignores_stream_limit: bool,
    /// Resets a call whose deadline has passed, as Envoy does.
    pub resets: bool,
    /// Adds a header to each call that changes the table of headers, as a proxy does that traces.
    pub traces: bool,
}

/// What became of the checks.
#[derive(Clone, Debug, Default)]
pub struct OfferedResult {
    /// Checks that were due.
    pub offered: u64,
    /// Answered before the deadline, with the allow or the denial of a policy.
    pub allowed: u64,
    pub denied: u64,
    /// Answered after the deadline.
    pub late: u64,
    /// Ended with `RESOURCE_EXHAUSTED`.
    pub refused: u64,
    /// Ended with another gRPC status.
    pub failed: u64,
    /// Ended with RST_STREAM.
    pub reset: u64,
    /// Given up before they were sent: the client's own queue was too long.
    pub unsent: u64,
    /// Sent, and neither answered nor refused at all.
    pub unanswered: u64,
    /// Connections that the server ended.
    pub disconnected: u64,
    /// The time until each answer in time, and until each refusal, in microseconds, sorted.
    pub answer_times: Vec<u32>,
    pub refusal_times: Vec<u32>,
    /// How long checks were sent.
    pub took: Duration,
}

impl OfferedResult {
    /// Returns how many checks were answered in time.
    pub fn answered(&self) -> u64 {
        self.allowed + self.denied
    }

    /// Returns how many checks were answered in time, per second.
    pub fn answered_a_second(&self) -> f64 {
        self.answered() as f64 / self.took.as_secs_f64()
    }
}

/// Returns the value that `of_thousand` in a thousand sorted values do not exceed.
pub fn quantile(sorted: &[u32], of_thousand: usize) -> Option<u32> {
    let place = (sorted.len() * of_thousand / 1000).min(sorted.len().checked_sub(1)?);
    sorted.get(place).copied()
}

impl OfferedLoad {
    /// Sends the load, and waits for the last answers, but not longer than the deadline.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub fn run(&self) -> io::Result<OfferedResult> {
        let connect = |_| Connection::connect(self);
        let mut connections: Vec<Connection> = (0..self.connections.max(1))
            .map(connect)
            .collect::<Result<_, _>>()?;
        let mut result = OfferedResult::default();
        let start = Instant::now();
        let mut next = 0;
        loop {
            let now = start.elapsed();
            if now >= self.duration {
                break;
            }
            match self.pace {
                Pace::Open(rate) => {
                    let due = (now.as_secs_f64() * rate) as u64;
                    for number in result.offered..due {
                        let due_at = Duration::from_secs_f64(number as f64 / rate);
                        connections[next].offer(micros(due_at));
                        next = (next + 1) % connections.len();
                    }
                    result.offered = due;
                }
                Pace::Closed(in_flight) => {
                    for connection in &mut connections {
                        while connection.open() < in_flight {
                            connection.offer(micros(now));
                            result.offered += 1;
                        }
                    }
                }
            }
            for connection in &mut connections {
                connection.work(micros(start.elapsed()), &mut result);
            }
        }
        result.took = start.elapsed();
        while start.elapsed() < result.took + self.deadline
            && connections.iter().any(|connection| connection.open() > 0)
        {
            for connection in &mut connections {
                connection.work(micros(start.elapsed()), &mut result);
            }
        }
        for connection in connections {
            connection.finish(&mut result);
        }
        result.answer_times.sort_unstable();
        result.refusal_times.sort_unstable();
        Ok(result)
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
