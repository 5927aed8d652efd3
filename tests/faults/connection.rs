//! A connection to customs that sends what it is given, so that it can behave as no library does.
//!
//! It blocks, with a time limit for everything. It is plain text, or TLS if a test asks for that.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use customs_test_support::http2::{
    ACK, Call, DATA, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, frame, message, take_frame,
};
use customs_test_support::tls_files::server_name;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use prost::Message;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, Stream};

/// How long an answer may take on a machine that is busy with an attack.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A setting without a table, and with room for every answer of a test.
pub(crate) fn opening() -> Vec<u8> {
    let settings = [
        &[0, 1, 0, 0, 0, 0][..],
        &[0, 4],
        &(1_u32 << 30).to_be_bytes(),
    ]
    .concat();
    let window = (1_u32 << 30).to_be_bytes();
    [
        PREFACE,
        &frame(SETTINGS, 0, 0, &settings),
        &frame(WINDOW_UPDATE, 0, 0, &window),
    ]
    .concat()
}

pub(crate) struct Connection {
    socket: TcpStream,
    /// TLS, if the connection has it.
    session: Option<Box<ClientConnection>>,
    read: Vec<u8>,
    next_stream: u32,
    /// Whether the server has asked the client to open nothing more, without any error.
    pub(crate) is_leaving: bool,
}

/// What became of a call.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// gRPC OK with a message.
    Answered(Box<CheckResponse>),
    /// The call has no message: it was refused, reset, or the connection was closed.
    Refused(String),
}

impl Outcome {
    /// Returns the status of a response: 0 is an allow.
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Outcome::Answered(response) => response.status.as_ref().map(|status| status.code),
            Outcome::Refused(_) => None,
        }
    }
}

impl Connection {
    /// Connects, over TLS if there is a configuration, and sends nothing. A handshake takes place at
    /// the first bytes.
    pub(crate) fn silent(port: u16, tls: Option<&Arc<ClientConfig>>) -> io::Result<Connection> {
        let address = ([127, 0, 0, 1], port).into();
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(Duration::from_secs(2)))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let session = tls.map(|config| {
            let session = ClientConnection::new(config.clone(), server_name());
            Box::new(session.expect("a name and a configuration that fit"))
        });
        Ok(Connection {
            socket,
            session,
            read: Vec::new(),
            next_stream: 1,
            is_leaving: false,
        })
    }

    /// Connects and begins HTTP/2.
    pub(crate) fn open(port: u16) -> io::Result<Connection> {
        Connection::open_over(port, None)
    }

    /// Connects, over TLS if there is a configuration, and begins HTTP/2.
    pub(crate) fn open_over(port: u16, tls: Option<&Arc<ClientConfig>>) -> io::Result<Connection> {
        let mut connection = Connection::silent(port, tls)?;
        connection.send(&opening())?;
        Ok(connection)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.session {
            None => self.socket.write_all(bytes),
            Some(session) => {
                let mut stream = Stream::new(&mut **session, &mut self.socket);
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    fn receive(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &mut self.session {
            None => self.socket.read(bytes),
            Some(session) => Stream::new(&mut **session, &mut self.socket).read(bytes),
        }
    }

    /// Returns the number of the next stream.
    pub(crate) fn stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// Returns the next frame before a deadline, after it has answered what HTTP/2 asks of a client.
    ///
    /// # Errors
    /// If the connection is closed, or nothing arrives in time (`TimedOut`).
    pub(crate) fn frame(&mut self, deadline: Instant) -> io::Result<(u8, u8, u32, Vec<u8>)> {
        loop {
            if let Some((kind, flags, stream, payload)) = take_frame(&mut self.read) {
                if kind == SETTINGS && flags & ACK == 0 {
                    self.send(&frame(SETTINGS, ACK, 0, &[]))?;
                } else if kind == PING && flags & ACK == 0 {
                    self.send(&frame(PING, ACK, 0, &payload))?;
                }
                return Ok((kind, flags, stream, payload));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
            let mut more = [0; 16 << 10];
            match self.receive(&mut more) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.read.extend(&more[..count]),
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// Waits for the end of a call.
    ///
    /// # Errors
    /// As for [`frame`](Self::frame), and if the server asks the client to go (`ConnectionAborted`).
    pub(crate) fn outcome(&mut self, of: u32, patience: Duration) -> io::Result<Outcome> {
        let deadline = Instant::now() + patience;
        let mut data = Vec::new();
        loop {
            let (kind, flags, stream, payload) = self.frame(deadline)?;
            if kind == GOAWAY {
                self.is_leaving = true;
                if payload[4..8] != [0; 4] {
                    let why = String::from_utf8_lossy(&payload[8..]).into_owned();
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, why));
                }
            }
            if stream != of {
                continue;
            }
            match kind {
                DATA => data.extend(payload),
                RST_STREAM => return Ok(Outcome::Refused(format!("reset {payload:?}"))),
                _ => {}
            }
            if flags & END_STREAM != 0 && (kind == HEADERS || kind == DATA) {
                let Some(bytes) = data.get(5..) else {
                    return Ok(Outcome::Refused("a status without a message".into()));
                };
                // Of a response that is no message, every property of an answer must fail.
                let response = CheckResponse::decode(bytes).expect("a CheckResponse");
                return Ok(Outcome::Answered(Box::new(response)));
            }
        }
    }

    /// Makes a call with this message, whatever it is, and waits for its end.
    ///
    /// # Errors
    /// As for [`outcome`](Self::outcome).
    pub(crate) fn call(&mut self, bytes: &[u8]) -> io::Result<Outcome> {
        self.call_within(bytes, PATIENCE)
    }

    fn call_within(&mut self, bytes: &[u8], patience: Duration) -> io::Result<Outcome> {
        let stream = self.stream();
        self.send(&Call::default().with(stream, &message(bytes)))?;
        self.outcome(stream, patience)
    }

    pub(crate) fn check(&mut self, check: &CheckRequest) -> io::Result<Outcome> {
        self.check_within(check, PATIENCE)
    }

    pub(crate) fn check_within(
        &mut self,
        check: &CheckRequest,
        patience: Duration,
    ) -> io::Result<Outcome> {
        self.call_within(&check.encode_to_vec(), patience)
    }
}
