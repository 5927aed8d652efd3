//! A steady, open load of checks over few connections: each check is sent when it is due, whatever
//! happened to the checks before it.
//!
//! h2load sends what is due every ten milliseconds, so over one connection ten checks would arrive
//! together, and one wake-up of the server would serve all of them. Here one thread sends, check by
//! check, and one thread for each connection receives. The client knows just enough of HTTP/2 for
//! that: its header blocks refer to no table, and it never fills a window. The rule: a check that
//! was not answered, or a connection that the server complains about, is an error.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::frames::{
    self, ACK, DATA, END_HEADERS, END_STREAM, FIRST_WINDOW, GOAWAY, HEAD, HEADERS, MORE_WINDOW,
    PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};

/// How long the client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub connections: usize,
    /// Checks a second, over all connections.
    pub rate: u64,
    pub checks: u64,
}

/// Sends the load to a server, and returns how long each check took, in nanoseconds and in the
/// order of sending. `message` is the check with the five bytes that gRPC puts before it.
pub(crate) fn run(port: u16, message: &[u8], load: Load) -> io::Result<Vec<u64>> {
    let block = header_block(port);
    let connections: Vec<Connection> = (0..load.connections)
        .map(|_| Connection::open(port))
        .collect::<io::Result<_>>()?;
    let checks = usize::try_from(load.checks).map_err(io::Error::other)?;
    let sent: Vec<AtomicU64> = (0..checks).map(|_| AtomicU64::new(0)).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        let receivers: Vec<_> = connections
            .iter()
            .enumerate()
            .map(|(place, connection)| {
                // Checks go over the connections in turn.
                let sent = sent.iter().skip(place).step_by(load.connections);
                scope.spawn(move || connection.receive(start, sent.collect()))
            })
            .collect();
        let sending = send(&connections, &block, message, load, start, &sent);
        if sending.is_err() {
            // Receivers would wait for answers that never come.
            connections.iter().for_each(Connection::close);
        }
        let mut took = vec![0; checks];
        for (place, receiver) in receivers.into_iter().enumerate() {
            let received = receiver
                .join()
                .map_err(|_| io::Error::other("a receiver panicked"))?;
            sending
                .as_ref()
                .map_err(|why| io::Error::other(why.to_string()))?;
            let places = took.iter_mut().skip(place).step_by(load.connections);
            places.zip(received?).for_each(|(place, one)| *place = one);
        }
        Ok(took)
    })
}

/// Sends every check when it is due, and notes when.
fn send(
    connections: &[Connection],
    block: &[u8],
    message: &[u8],
    load: Load,
    start: Instant,
    sent: &[AtomicU64],
) -> io::Result<()> {
    let gap = Duration::from_secs(1) / u32::try_from(load.rate).map_err(io::Error::other)?;
    let (mut due, mut stream) = (start, 1);
    for round in sent.chunks(connections.len()) {
        for (at, connection) in round.iter().zip(connections) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            at.store(nanos(start), Relaxed);
            connection.send(stream, block, message)?;
            due += gap;
        }
        stream += 2;
    }
    Ok(())
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A connection whose sides are used by two threads.
struct Connection {
    stream: TcpStream,
    /// Frames are written whole.
    writing: Mutex<()>,
    /// How much the server still takes.
    window: AtomicI64,
}

impl Connection {
    /// Connects, and leaves everything that the server sends to the receiver.
    fn open(port: u16) -> io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let connection = Connection {
            stream,
            writing: Mutex::new(()),
            window: AtomicI64::new(FIRST_WINDOW.into()),
        };
        let mut beginning = PREFACE.to_vec();
        frames::write((SETTINGS, 0, 0, &[]), &mut beginning);
        let window = MORE_WINDOW.to_be_bytes();
        frames::write((WINDOW_UPDATE, 0, 0, &window), &mut beginning);
        connection.write(&beginning)?;
        Ok(connection)
    }

    fn close(&self) {
        // Fails if the server has closed it.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let _whole = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        (&self.stream).write_all(bytes)
    }

    /// Sends one check, in one write as proxies do.
    fn send(&self, stream: u32, block: &[u8], message: &[u8]) -> io::Result<()> {
        let length = i64::try_from(message.len()).map_err(io::Error::other)?;
        if self.window.fetch_sub(length, Relaxed) < length {
            return Err(io::Error::other("the server's window is full"));
        }
        let mut bytes = Vec::with_capacity(2 * HEAD + block.len() + message.len());
        frames::write((HEADERS, END_HEADERS, stream, block), &mut bytes);
        frames::write((DATA, END_STREAM, stream, message), &mut bytes);
        self.write(&bytes)
    }

    /// Receives the answers to the checks that are sent at these times, and returns how long each
    /// took.
    fn receive(&self, start: Instant, sent: Vec<&AtomicU64>) -> io::Result<Vec<u64>> {
        let (mut took, mut left) = (vec![0; sent.len()], sent.len());
        let (mut buffer, mut held) = (vec![0; 64 << 10], 0);
        while left > 0 {
            let room = buffer.get_mut(held..).unwrap_or_default();
            let read = (&self.stream).read(room)?;
            if read == 0 {
                return Err(io::Error::other("the server closed the connection"));
            }
            let now = nanos(start);
            held += read;
            let mut rest = buffer.get(..held).unwrap_or_default();
            while let Some((kind, flags, stream, payload)) = frames::next(&mut rest) {
                if !self.takes_end(kind, flags, stream, payload)? {
                    continue;
                }
                let place = usize::try_from(stream / 2).map_err(io::Error::other)?;
                let (Some(at), Some(took)) = (sent.get(place), took.get_mut(place)) else {
                    return Err(io::Error::other(format!("an answer on stream {stream}")));
                };
                *took = now.saturating_sub(at.load(Relaxed));
                left -= 1;
            }
            let begun = held - rest.len();
            buffer.copy_within(begun..held, 0);
            held -= begun;
        }
        Ok(took)
    }

    /// Handles a frame; returns whether it ends an answer.
    fn takes_end(&self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<bool> {
        match kind {
            DATA | HEADERS => return Ok(flags & END_STREAM != 0),
            RST_STREAM | GOAWAY => {
                let what = format!("the server sent a frame of type {kind}: {payload:?}");
                return Err(io::Error::other(what));
            }
            SETTINGS | PING if flags & ACK == 0 => {
                let body = if kind == PING { payload } else { &[] };
                let mut answer = Vec::new();
                frames::write((kind, ACK, 0, body), &mut answer);
                self.write(&answer)?;
            }
            WINDOW_UPDATE if stream == 0 => {
                let more = payload
                    .first_chunk()
                    .map_or(0, |more| u32::from_be_bytes(*more));
                self.window.fetch_add(i64::from(more), Relaxed);
            }
            _ => {}
        }
        Ok(false)
    }
}

/// Returns the headers that Envoy's gRPC client sends, as HPACK literals that no table keeps
/// (RFC 7541, 6.2.2). The deadline is one of them: a server may set a timer for it.
fn header_block(port: u16) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` of the static table.
    let mut block = vec![0x83, 0x86];
    let mut text = |name: &[u8], value: &str| {
        block.extend_from_slice(name);
        frames::text(value, &mut block);
    };
    // Names of the static table: `:path`, `:authority`, `content-type`. The last two are spelt.
    text(&[0x04], "/envoy.service.auth.v3.Authorization/Check");
    text(&[0x01], &format!("127.0.0.1:{port}"));
    text(&[0x0f, 0x10], "application/grpc");
    text(b"\x00\x02te", "trailers");
    text(b"\x00\x0cgrpc-timeout", "500m");
    block
}
