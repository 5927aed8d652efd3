//! A client of HTTP/2 that writes frames by hand, so that it can do what no library does.

use std::time::Duration;

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::OTHER;
use crate::rig::{Rig, http};

pub(crate) const BOUND: Duration = Duration::from_secs(10);
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    assert!(text.len() < 127, "{text}");
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// The beginning of a call, where it differs from Envoy's.
pub(crate) struct Call<'c> {
    pub(crate) method: &'c [u8],
    pub(crate) path: &'c str,
    pub(crate) authority: Vec<u8>,
    pub(crate) content_type: Option<&'c str>,
    pub(crate) more: Vec<u8>,
}

impl Default for Call<'_> {
    fn default() -> Self {
        let authority = [&[0x01][..], &text("customs")].concat();
        Call {
            method: &[0x83],
            path: CHECK,
            authority,
            content_type: Some("application/grpc"),
            more: Vec::new(),
        }
    }
}

impl Call<'_> {
    pub(crate) fn head(&self) -> Vec<u8> {
        let content_type = self
            .content_type
            .map(|value| literal("content-type", value))
            .unwrap_or_default();
        let path = [&[0x04][..], &text(self.path)].concat();
        [
            self.method,
            &[0x86],
            &path,
            &self.authority,
            &content_type,
            &literal("te", "trailers"),
            &self.more,
        ]
        .concat()
    }

    pub(crate) fn with(&self, stream: u32, body: &[u8]) -> Vec<u8> {
        let head = frame(HEADERS, END_HEADERS, stream, &self.head());
        let data: Vec<u8> = body
            .chunks(16_000)
            .flat_map(|chunk| frame(DATA, 0, stream, chunk))
            .collect();
        [head, data, frame(DATA, END_STREAM, stream, &[])].concat()
    }
}

pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    [
        &[0][..],
        &u32::try_from(bytes.len()).unwrap().to_be_bytes(),
        bytes,
    ]
    .concat()
}

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
            let mut more = [0; 16 << 10];
            match self.socket.read(&mut more).await {
                Ok(0) | Err(_) => return Came { gone: true, ..came },
                Ok(count) => self.read.extend(&more[..count]),
            }
        }
    }

    pub(crate) fn next_frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let head = self.read.get(..9)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags, of) = (
            head[3],
            head[4],
            u32::from_be_bytes(head[5..9].try_into().unwrap()),
        );
        let payload = self.read.get(9..9 + length)?.to_vec();
        self.read.drain(..9 + length);
        Some((kind, flags, of, payload))
    }
}
