//! One connection of HTTP/2 that sends checks, over TCP alone or over TLS.
//!
//! It knows just enough of HTTP/2 for that: its header blocks refer to no table, and it never fills
//! a window. Two threads may share it, one that sends and one that receives. The rule: an answer
//! without a message, a refused call, or a connection that the server complains about, is an error.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use customs_test_support::tls_files::server_name;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, HandshakeKind};

use crate::frames::{
    self, ACK, DATA, END_HEADERS, END_STREAM, FIRST_WINDOW, Frame, GOAWAY, HEAD, HEADERS,
    MORE_WINDOW, PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};

/// How long the client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many bytes are read at once.
const READ: usize = 64 << 10;

/// Where a server is, and how clients connect to it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub port: u16,
    /// What a client does in a handshake; without it there is none.
    pub tls: Option<Arc<ClientConfig>>,
}

/// A check as it is sent: the block of its headers, and its message with the five bytes that gRPC
/// puts before it.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    block: Vec<u8>,
    message: Vec<u8>,
}

/// A connection whose sides may be used by two threads.
pub(crate) struct Connection {
    socket: TcpStream,
    /// The session of TLS, if there is one. Its lock is held for each write as well, so that frames
    /// are written whole.
    session: Mutex<Option<Box<ClientConnection>>>,
    /// How much the server still takes.
    window: AtomicI64,
}

/// What has arrived over a connection.
pub(crate) struct Inbox {
    raw: Vec<u8>,
    /// Frames, the last of which may not be whole.
    frames: Vec<u8>,
    /// How many messages have arrived, and how many answers to the end.
    messages: u64,
    ended: u64,
}

impl Check {
    /// Reads the captured check, for this server.
    pub(crate) fn captured(port: u16) -> io::Result<Check> {
        Ok(Check {
            block: header_block(port),
            message: std::fs::read(crate::session::framed_check())?,
        })
    }
}

impl Connection {
    /// Connects, completes the handshake of TLS, and leaves everything that the server then sends
    /// to the receiver.
    pub(crate) fn open(endpoint: &Endpoint) -> io::Result<Connection> {
        let mut socket = TcpStream::connect(("127.0.0.1", endpoint.port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let session = match &endpoint.tls {
            None => None,
            Some(config) => {
                let session = ClientConnection::new(config.clone(), server_name());
                let mut session = Box::new(session.map_err(io::Error::other)?);
                while session.is_handshaking() {
                    session.complete_io(&mut socket)?;
                }
                Some(session)
            }
        };
        let connection = Connection {
            socket,
            session: Mutex::new(session),
            window: AtomicI64::new(FIRST_WINDOW.into()),
        };
        let mut beginning = PREFACE.to_vec();
        frames::write((SETTINGS, 0, 0, &[]), &mut beginning);
        let window = MORE_WINDOW.to_be_bytes();
        frames::write((WINDOW_UPDATE, 0, 0, &window), &mut beginning);
        connection.write(&beginning)?;
        Ok(connection)
    }

    /// Returns whether the handshake was a full one; nothing without TLS.
    pub(crate) fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.lock().as_ref()?.handshake_kind()
    }

    /// Ends the connection as clients do, so that the server need not guess.
    pub(crate) fn finish(self) -> io::Result<()> {
        if let Some(session) = &mut *self.lock() {
            session.send_close_notify();
            flush(session, &self.socket)?;
        }
        Ok(())
    }

    /// Ends the connection under a thread that waits for answers.
    pub(crate) fn close(&self) {
        // Fails if the server has closed it.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<ClientConnection>>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut session = self.lock();
        let Some(session) = &mut *session else {
            return (&self.socket).write_all(bytes);
        };
        while !bytes.is_empty() {
            let taken = session.writer().write(bytes)?;
            bytes = bytes.get(taken..).unwrap_or_default();
            flush(session, &self.socket)?;
        }
        Ok(())
    }

    /// Adds a check to bytes that will be written at once. Returns false if the server's window has
    /// no room for it.
    pub(crate) fn put(&self, stream: u32, check: &Check, out: &mut Vec<u8>) -> io::Result<bool> {
        let length = i64::try_from(check.message.len()).map_err(io::Error::other)?;
        if self.window.load(Relaxed) < length {
            return Ok(false);
        }
        self.window.fetch_sub(length, Relaxed);
        out.reserve(2 * HEAD + check.block.len() + check.message.len());
        frames::write((HEADERS, END_HEADERS, stream, &check.block), out);
        frames::write((DATA, END_STREAM, stream, &check.message), out);
        Ok(true)
    }

    /// Sends one check, in one write as proxies do.
    pub(crate) fn send(&self, stream: u32, check: &Check) -> io::Result<()> {
        let mut bytes = Vec::new();
        if !self.put(stream, check, &mut bytes)? {
            return Err(io::Error::other("the server's window is full"));
        }
        self.write(&bytes)
    }

    /// Waits for bytes, and reports the stream of every answer that has ended.
    pub(crate) fn receive(
        &self,
        inbox: &mut Inbox,
        mut ended: impl FnMut(u32) -> io::Result<()>,
    ) -> io::Result<()> {
        self.take_frames(inbox, |(_, flags, stream, _)| {
            match flags & END_STREAM != 0 {
                true => ended(stream),
                false => Ok(()),
            }
        })
    }

    /// Sends one check over a connection that has sent none, and returns the message of its answer.
    pub(crate) fn ask(&self, check: &Check) -> io::Result<Vec<u8>> {
        self.send(1, check)?;
        let (mut inbox, mut message, mut is_ended) = (Inbox::new(), Vec::new(), false);
        while !is_ended {
            self.take_frames(&mut inbox, |(kind, flags, _, payload)| {
                if kind == DATA {
                    message.extend_from_slice(payload);
                }
                is_ended |= flags & END_STREAM != 0;
                Ok(())
            })?;
        }
        Ok(message)
    }

    /// Waits for bytes, handles what concerns the connection, and passes on the frames of answers.
    fn take_frames(
        &self,
        inbox: &mut Inbox,
        mut take: impl FnMut(Frame<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.read(inbox)?;
        let mut rest = inbox.frames.as_slice();
        while let Some(frame) = frames::next(&mut rest) {
            let (kind, flags, stream, payload) = frame;
            match kind {
                DATA | HEADERS => {
                    inbox.messages += u64::from(kind == DATA && !payload.is_empty());
                    inbox.ended += u64::from(flags & END_STREAM != 0);
                    if inbox.ended > inbox.messages {
                        let what = format!("the answer on stream {stream} has no message");
                        return Err(io::Error::other(what));
                    }
                    take(frame)?;
                }
                _ => self.handle(kind, flags, stream, payload)?,
            }
        }
        let begun = inbox.frames.len() - rest.len();
        inbox.frames.drain(..begun);
        Ok(())
    }

    /// Waits until something has arrived that is not only of TLS.
    fn read(&self, inbox: &mut Inbox) -> io::Result<()> {
        let before = inbox.frames.len();
        while inbox.frames.len() == before {
            let count = (&self.socket).read(&mut inbox.raw)?;
            if count == 0 {
                return Err(io::Error::other("the server closed the connection"));
            }
            let bytes = inbox.raw.get(..count).unwrap_or_default();
            match &mut *self.lock() {
                None => inbox.frames.extend_from_slice(bytes),
                Some(session) => decrypt(session, bytes, &mut inbox.frames)?,
            }
        }
        Ok(())
    }

    /// Handles a frame that belongs to no answer.
    fn handle(&self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        match kind {
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
                self.window.fetch_add(more.into(), Relaxed);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        Inbox {
            raw: vec![0; READ],
            frames: Vec::new(),
            messages: 0,
            ended: 0,
        }
    }
}

/// Sends what a session has to send.
fn flush(session: &mut ClientConnection, mut socket: &TcpStream) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(&mut socket)?;
    }
    Ok(())
}

/// Appends the plain text of what arrived.
fn decrypt(
    session: &mut ClientConnection,
    mut bytes: &[u8],
    plain: &mut Vec<u8>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        session.read_tls(&mut bytes)?;
        let state = session.process_new_packets().map_err(io::Error::other)?;
        let count = u64::try_from(state.plaintext_bytes_to_read()).map_err(io::Error::other)?;
        session.reader().take(count).read_to_end(plain)?;
    }
    Ok(())
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
