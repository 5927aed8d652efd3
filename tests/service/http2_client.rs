//! A client of HTTP/2 that writes frames by hand, so that it can do what no library does.

use std::time::Duration;

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) use customs_test_support::http2::*;

use crate::OTHER;
use crate::rig::{Rig, http};

pub(crate) const BOUND: Duration = Duration::from_secs(10);
pub(crate) fn check() -> Vec<u8> {
    http(OTHER, "www.example", "GET", "/").encode_to_vec()
}

/// What was received for one stream.
#[derive(Debug, Default)]
pub(crate) struct Came {
    /// The first byte of the answer's headers: its status, if it is in the table of HPACK.
    pub(crate) status: Option<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) reset: Option<u32>,
    pub(crate) gone: bool,
}

pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    pub(crate) read: Vec<u8>,
    pub(crate) announced: Option<u32>,
    pings: u64,
}

impl Client {
    pub(crate) async fn connect(rig: &Rig) -> Client {
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        let settings = frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
        // Room for all answers of a test.
        let window = frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
        socket
            .write_all(&[PREFACE, &settings, &window].concat())
            .await
            .unwrap();
        Client {
            socket,
            read: Vec::new(),
            announced: None,
            pings: 0,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Waits for the end of a stream, or of the connection.
    pub(crate) async fn answer(&mut self, stream: u32) -> Came {
        timeout(BOUND, self.until_the_end(stream))
            .await
            .expect("an answer")
    }

    pub(crate) async fn until_the_end(&mut self, stream: u32) -> Came {
        let mut came = Came::default();
        loop {
            while let Some((kind, flags, of, payload)) = self.next_frame() {
                if kind == SETTINGS && flags == 0 {
                    let setting = payload.chunks(6).find(|setting| setting[..2] == [0, 3]);
                    self.announced =
                        setting.map(|setting| u32::from_be_bytes(setting[2..].try_into().unwrap()));
                }
                came.gone |= kind == GOAWAY && payload[4..8] != [0; 4];
                if of == stream {
                    match kind {
                        HEADERS => {
                            // A change of the table's size may come first.
                            let mut bytes =
                                payload.iter().copied().skip_while(|byte| byte >> 5 == 1);
                            came.status = came.status.or(bytes.next());
                        }
                        DATA => came.data.extend(payload),
                        RST_STREAM => {
                            came.reset = Some(u32::from_be_bytes(payload[..4].try_into().unwrap()))
                        }
                        _ => {}
                    }
                    if came.reset.is_some()
                        || flags & END_STREAM != 0 && (kind == HEADERS || kind == DATA)
                    {
                        return came;
                    }
                }
            }
            if !self.receive().await {
                return Came { gone: true, ..came };
            }
        }
    }

    /// Waits until the server has read everything so far. Without it a client would send more than
    /// the window of the connection allows, which is an error.
    pub(crate) async fn until_read(&mut self) {
        self.pings += 1;
        let mark = self.pings.to_be_bytes();
        self.send(&frame(PING, 0, 0, &mark)).await;
        let acknowledged = async {
            loop {
                while let Some((kind, _, _, payload)) = self.next_frame() {
                    if kind == PING && payload == mark {
                        return;
                    }
                }
                assert!(self.receive().await, "the connection stays");
            }
        };
        timeout(BOUND, acknowledged).await.expect("an answer");
    }

    /// Reads more of what the server sends. Returns false if it has closed the connection.
    pub(crate) async fn receive(&mut self) -> bool {
        let mut more = [0; 16 << 10];
        match self.socket.read(&mut more).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.read.extend(&more[..count]);
                true
            }
        }
    }

    pub(crate) fn next_frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        take_frame(&mut self.read)
    }
}
