//! Input on the address of checks that is not a check, byte by byte: each is answered or ended as
//! in gRPC, and reported with its cause. And a check is answered, however a proxy spells its call.

use std::net::IpAddr;
use std::time::Duration;

use customs_engine::settings::Settings;
use customs_record::{PeerAddress, RefusalCause};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rig::{LIMITS, Rig, http};
use crate::{OTHER, SEED};

const BOUND: Duration = Duration::from_secs(10);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn text(text: &str) -> Vec<u8> {
    assert!(text.len() < 127, "{text}");
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// The beginning of a call, where it differs from Envoy's.
struct Call<'c> {
    method: &'c [u8],
    path: &'c str,
    authority: Vec<u8>,
    content_type: Option<&'c str>,
    more: Vec<u8>,
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
    fn head(&self) -> Vec<u8> {
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

    fn with(&self, stream: u32, body: &[u8]) -> Vec<u8> {
        let head = frame(HEADERS, END_HEADERS, stream, &self.head());
        let data: Vec<u8> = body
            .chunks(16_000)
            .flat_map(|chunk| frame(DATA, 0, stream, chunk))
            .collect();
        [head, data, frame(DATA, END_STREAM, stream, &[])].concat()
    }
}

fn message(bytes: &[u8]) -> Vec<u8> {
    [
        &[0][..],
        &u32::try_from(bytes.len()).unwrap().to_be_bytes(),
        bytes,
    ]
    .concat()
}

fn check() -> Vec<u8> {
    http(OTHER, "www.example", "GET", "/").encode_to_vec()
}

/// What was received for one stream.
#[derive(Debug, Default)]
struct Came {
    /// The first byte of the answer's headers: its status, if it is in the table of HPACK.
    status: Option<u8>,
    data: Vec<u8>,
    reset: Option<u32>,
    gone: bool,
}

struct Client {
    socket: TcpStream,
    read: Vec<u8>,
    announced: Option<u32>,
}

impl Client {
    async fn connect(rig: &Rig) -> Client {
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

    async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Waits for the end of a stream, or of the connection.
    async fn answer(&mut self, stream: u32) -> Came {
        timeout(BOUND, self.until_the_end(stream))
            .await
            .expect("an answer")
    }

    async fn until_the_end(&mut self, stream: u32) -> Came {
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

    fn next_frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
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

fn causes(rig: &Rig) -> Vec<RefusalCause> {
    let refusals = rig.log.refusals();
    let here = PeerAddress::Ip(IpAddr::from([127, 0, 0, 1]));
    assert!(
        refusals
            .iter()
            .all(|(peer, _, example)| *peer == here && !example.is_empty()),
        "{refusals:?}"
    );
    refusals.into_iter().map(|(_, cause, _)| cause).collect()
}

/// Waits until something was refused, and returns the causes.
async fn some_causes(rig: &Rig) -> Vec<RefusalCause> {
    let wait = async {
        loop {
            let causes = causes(rig);
            if !causes.is_empty() {
                return causes;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BOUND, wait).await.expect("it is reported")
}

#[tokio::test]
async fn a_check_is_answered_whatever_the_proxy_calls_its_cluster() {
    let rig = Rig::start(SEED, Settings::default()).await;
    for authority in [
        "customs",
        "extension/egress/customs",
        "outbound|9191||customs.egress.svc.cluster.local",
        "customs cluster",
        "customs%1",
        "a:b:c",
        "zürich",
    ] {
        let mut client = Client::connect(&rig).await;
        // First as a new entry of the table, then from the table, where it is the newest, and at
        // last without the table.
        let spelt = [
            [&[0x41][..], &text(authority)].concat(),
            vec![0x80 | 62],
            [&[0x11][..], &text(authority)].concat(),
        ];
        let streams = [1, 3, 5];
        for (stream, authority) in streams.into_iter().zip(spelt) {
            client
                .send(
                    &Call {
                        authority,
                        ..Call::default()
                    }
                    .with(stream, &message(&check())),
                )
                .await;
            let came = client.answer(stream).await;
            assert!(!came.data.is_empty() && !came.gone, "{stream}: {came:?}");
        }
    }
    assert_eq!((rig.log.entries().len(), causes(&rig)), (21, vec![]));
}

#[tokio::test]
async fn a_call_that_is_not_a_check_is_refused_with_its_cause() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let good = message(&check());
    let call = Call::default;
    let (ok, not_allowed, unsupported) = (0x88, b'4', b'4');
    for (name, call, body, status, cause) in [
        (
            "GET",
            Call {
                method: &[0x82],
                ..call()
            },
            good.clone(),
            not_allowed,
            RefusalCause::HttpMethod,
        ),
        (
            "text/plain",
            Call {
                content_type: Some("text/plain"),
                ..call()
            },
            good.clone(),
            unsupported,
            RefusalCause::ContentType,
        ),
        (
            "none",
            Call {
                content_type: None,
                ..call()
            },
            good.clone(),
            unsupported,
            RefusalCause::ContentType,
        ),
        (
            "json",
            Call {
                content_type: Some("application/grpc+json"),
                ..call()
            },
            good.clone(),
            unsupported,
            RefusalCause::ContentType,
        ),
        (
            "web",
            Call {
                content_type: Some("application/grpc-web"),
                ..call()
            },
            good.clone(),
            unsupported,
            RefusalCause::ContentType,
        ),
        (
            "path",
            Call {
                path: "/envoy.service.auth.v2.Authorization/Check",
                ..call()
            },
            good.clone(),
            ok,
            RefusalCause::UnknownMethod,
        ),
        (
            "method",
            Call {
                path: "/envoy.service.auth.v3.Authorization/Chek",
                ..call()
            },
            good.clone(),
            ok,
            RefusalCause::UnknownMethod,
        ),
        (
            "query",
            Call {
                path: "/envoy.service.auth.v3.Authorization/Check?x=1",
                ..call()
            },
            good.clone(),
            ok,
            RefusalCause::UnknownMethod,
        ),
        (
            "large",
            call(),
            vec![0, 0, 0x40, 0, 1],
            ok,
            RefusalCause::MessageTooLarge,
        ),
        (
            "compressed",
            call(),
            [&[1], &good[1..]].concat(),
            ok,
            RefusalCause::MessageCompressed,
        ),
        ("none", call(), vec![], ok, RefusalCause::MessageCount),
        (
            "two",
            call(),
            [good.clone(), good.clone()].concat(),
            ok,
            RefusalCause::MessageCount,
        ),
        (
            "short",
            call(),
            good[..9].to_vec(),
            ok,
            RefusalCause::MessageUnfinished,
        ),
        (
            "malformed",
            call(),
            message(&[0xff; 20]),
            ok,
            RefusalCause::MessageMalformed,
        ),
    ] {
        let mut client = Client::connect(&rig).await;
        client.send(&call.with(1, &body)).await;
        let came = client.answer(1).await;
        let first = came.status.unwrap();
        // The table of HPACK has 200. The others are spelt out after a name, and the causes
        // distinguish them.
        assert_eq!(first == ok, status == ok, "{name}: {came:?}");
        assert!(came.data.is_empty(), "{name}: {came:?}");
        assert_eq!(causes(&rig), [cause], "{name}");
    }
    assert_eq!(rig.log.entries().len(), 0, "none of them was decided");
}

#[tokio::test]
async fn a_client_without_http2_is_ended_and_reported() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let hello = [&[0x16, 3, 1, 0, 0x4a, 1, 0, 0, 0x46, 3, 3][..], &[0; 64]].concat();
    for (bytes, cause) in [
        (
            &b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"[..],
            RefusalCause::Http1,
        ),
        (
            b"POST /envoy.service.auth.v3.Authorization/Check HTTP/1.1\r\n\r\n",
            RefusalCause::Http1,
        ),
        (b"PRI * HTTP/1.1\r\n\r\n", RefusalCause::Http1),
        (&hello, RefusalCause::Tls),
        (b"SSH-2.0-OpenSSH_9.9\r\n", RefusalCause::OtherProtocol),
        (b"PING\r\n", RefusalCause::OtherProtocol),
        (&[0; 30], RefusalCause::OtherProtocol),
    ] {
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = timeout(BOUND, socket.read_to_end(&mut rest))
            .await
            .expect("it is ended");
        assert_eq!(
            some_causes(&rig).await,
            [cause],
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    // One connection ends within the preface. A connection that sends nothing, like a probe of the
    // port, is not reported.
    let mut socket = TcpStream::connect(rig.address).await.unwrap();
    socket.write_all(&PREFACE[..10]).await.unwrap();
    drop(socket);
    assert_eq!(some_causes(&rig).await, [RefusalCause::OtherProtocol]);
    drop(TcpStream::connect(rig.address).await.unwrap());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(causes(&rig), []);
}

#[tokio::test]
async fn headers_that_http2_refuses_are_reported() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let large: Vec<u8> = (0..200)
        .flat_map(|_| literal("x", &"y".repeat(120)))
        .collect();
    let half = large.len() / 2;
    let mut client = Client::connect(&rig).await;
    let head = Call {
        more: large[..half].to_vec(),
        ..Call::default()
    }
    .head();
    // Too large for one frame.
    client.send(&frame(HEADERS, 0, 1, &head)).await;
    client.send(&frame(9, END_HEADERS, 1, &large[half..])).await;
    let came = client.answer(1).await;
    assert!(came.data.is_empty() && !came.gone, "{came:?}");
    assert_eq!(some_causes(&rig).await, [RefusalCause::StreamRefused]);
    let empty = Call {
        authority: vec![0x01, 0],
        ..Call::default()
    };
    client.send(&empty.with(3, &message(&check()))).await;
    assert!(client.answer(3).await.reset.is_some());
    assert_eq!(some_causes(&rig).await, [RefusalCause::StreamRefused]);
    client
        .send(&Call::default().with(5, &message(&check())))
        .await;
    assert!(
        !client.answer(5).await.data.is_empty(),
        "others on the connection go on"
    );
}

#[tokio::test]
async fn a_call_abandoned_before_it_is_whole_is_reported() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut client = Client::connect(&rig).await;
    client
        .send(&frame(HEADERS, END_HEADERS, 1, &Call::default().head()))
        .await;
    client
        .send(&Call::default().with(3, &message(&check())))
        .await;
    assert!(!client.answer(3).await.data.is_empty());
    client
        .send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()))
        .await;
    assert_eq!(some_causes(&rig).await, [RefusalCause::Abandoned]);
    let hurried = Call {
        more: literal("grpc-timeout", "50m"),
        ..Call::default()
    };
    client
        .send(&frame(HEADERS, END_HEADERS, 5, &hurried.head()))
        .await;
    assert_eq!(
        client.answer(5).await.status,
        Some(0x88),
        "the deadline passes"
    );
    assert_eq!(some_causes(&rig).await, [RefusalCause::Abandoned]);
}

fn resets(first: u32, count: u32) -> Vec<u8> {
    let head = Call::default().head();
    let stream = |number| {
        let (stream, cancel) = (first + 2 * number, 8_u32.to_be_bytes());
        [
            frame(HEADERS, END_HEADERS, stream, &head),
            frame(RST_STREAM, 0, stream, &cancel),
        ]
        .concat()
    };
    (0..count).flat_map(stream).collect()
}

#[tokio::test]
async fn as_many_resets_as_a_stall_makes_are_forgiven() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut client = Client::connect(&rig).await;
    client.send(&resets(1, LIMITS.pending_resets)).await;
    client
        .send(&Call::default().with(1_001, &message(&check())))
        .await;
    let came = client.answer(1_001).await;
    assert!(!came.data.is_empty() && !came.gone, "{came:?}");
    assert_eq!(client.announced, Some(LIMITS.concurrent_streams));
    assert!(
        causes(&rig)
            .iter()
            .all(|cause| *cause == RefusalCause::Abandoned)
    );
}

#[tokio::test]
async fn a_flood_of_resets_is_cut_and_reported_once() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut client = Client::connect(&rig).await;
    let flood = resets(1, 20 * LIMITS.pending_resets);
    // The connection may be cut before all of it is written.
    let _ = client.socket.write_all(&flood).await;
    assert!(client.answer(99_999).await.gone);
    let cuts = some_causes(&rig)
        .await
        .into_iter()
        .filter(|cause| *cause != RefusalCause::Abandoned)
        .count();
    assert!(cuts <= 1, "one connection was cut");
    let mut other = Client::connect(&rig).await;
    other
        .send(&Call::default().with(1, &message(&check())))
        .await;
    assert!(
        !other.answer(1).await.data.is_empty(),
        "others are answered"
    );
}

#[tokio::test]
async fn a_slow_flood_of_resets_is_cut_as_well() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut client = Client::connect(&rig).await;
    let cut = async {
        // Few at a time, so that the server keeps up and none is ever waiting, but far more than
        // the budget regains over time.
        for round in 0.. {
            if client
                .socket
                .write_all(&resets(1 + 100 * round, 30))
                .await
                .is_err()
            {
                return;
            }
            let mut more = [0; 4096];
            if matches!(client.socket.try_read(&mut more), Ok(0)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(BOUND, cut).await.expect("it is cut");
    assert!(
        some_causes(&rig)
            .await
            .contains(&RefusalCause::ConnectionCut)
    );
}
