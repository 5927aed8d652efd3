//! What the real Envoy makes of an authorizer that is down, hangs, or answers something that is not
//! an answer of customs: never a pass, and an answer in time.
//!
//! Some messages pass that no policy allowed: Envoy takes a `CheckResponse` without a status for an
//! allow, and so every message that has no status where Envoy looks for it.
//! [`what_envoy_takes_for_an_allow`] shows that this is so, and the tests of the response builder show
//! that customs never writes one.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use customs_test_support::envoy::Envoys;
use customs_test_support::http2::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
    frame, literal, message, take_frame,
};
use customs_test_support::process::Guard;
use customs_test_support::{http, ports, tools};

use crate::gateway::{
    Asks, Endpoints, configuration, customs_cluster, http_listener, plain_cluster, tcp_listener,
};
use crate::http_load::{HttpAnswer, ask};
use crate::tcp::{Origin, reaches_origin};

/// How long the gateway waits for an answer.
const TIMEOUT: Duration = Duration::from_millis(400);
/// How much later an answer may arrive on a busy machine.
const MARGIN: Duration = Duration::from_millis(1500);

/// A `CheckResponse` that allows, as customs writes it: a status of 0, and an OK response that changes
/// nothing.
const ALLOW: &[u8] = &[0x0a, 4, 8, 0, 0x12, 0, 0x1a, 0];
/// One that denies: status 7, and an HTTP response with 403.
const DENY: &[u8] = &[0x0a, 2, 8, 7, 0x12, 5, 0x0a, 3, 8, 0x93, 3];

/// How an authorizer behaves.
#[derive(Clone)]
enum Behaviour {
    /// Nothing listens there.
    Down,
    /// Accepts connections and neither reads nor writes.
    Hangs,
    /// Closes each connection at once.
    Closes,
    /// Sends these bytes whatever the client says.
    Sends(Vec<u8>),
    /// Talks HTTP/2, and writes these frames once a call has arrived. The stream of a frame is
    /// filled in. Then it keeps the connection, or closes it.
    Replies(Vec<Frame>, Then),
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Keep,
    Close,
}

#[derive(Clone)]
struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

/// The headers of an answer: a status of HTTP, and the type of gRPC.
fn head(status: u8, flags: u8, more: &[(&str, &str)]) -> Frame {
    let more = more.iter().flat_map(|(name, value)| literal(name, value));
    let payload = [status].into_iter();
    let payload = payload.chain(literal("content-type", "application/grpc"));
    Frame {
        kind: HEADERS,
        flags: END_HEADERS | flags,
        payload: payload.chain(more).collect(),
    }
}

/// HPACK's index of `:status: 200`, and of 500.
const OK_200: u8 = 0x88;
const ERROR_500: u8 = 0x8e;

fn data(bytes: &[u8], flags: u8) -> Frame {
    Frame {
        kind: DATA,
        flags,
        payload: bytes.to_vec(),
    }
}

fn trailers(status: &str) -> Frame {
    Frame {
        kind: HEADERS,
        flags: END_HEADERS | END_STREAM,
        payload: literal("grpc-status", status),
    }
}

/// A whole answer of gRPC with this message.
fn answers(bytes: &[u8]) -> Behaviour {
    answers_framed(&message(bytes))
}

/// A whole answer with these bytes, which may be no message.
fn answers_framed(framed: &[u8]) -> Behaviour {
    let frames = vec![head(OK_200, 0, &[]), data(framed, 0), trailers("0")];
    Behaviour::Replies(frames, Then::Keep)
}

fn replies(frames: impl Into<Vec<Frame>>) -> Behaviour {
    Behaviour::Replies(frames.into(), Then::Keep)
}

/// Bytes that look random and are the same in each run.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..count).map(next).collect()
}

/// Every behaviour that must not let anything pass, as a sentence about the authorizer.
fn cases() -> Vec<(String, Behaviour)> {
    let mut cases: Vec<(String, Behaviour)> = Vec::new();
    let mut case = |sentence: &str, behaviour| cases.push((sentence.to_owned(), behaviour));
    case("nothing listens", Behaviour::Down);
    case("it accepts and never reads", Behaviour::Hangs);
    case("it closes each connection", Behaviour::Closes);
    case("it reads each call and never answers", replies([]));
    case("it sends random bytes", Behaviour::Sends(noise(4096)));
    case("it sends a settings frame and then random bytes", {
        Behaviour::Sends([frame(SETTINGS, 0, 0, &[]), noise(4096)].concat())
    });
    let http1 = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    case("it answers in HTTP/1.1", Behaviour::Sends(http1.to_vec()));
    case("it asks every client to go", {
        let goaway = frame(GOAWAY, 0, 0, &[0; 8]);
        Behaviour::Sends([frame(SETTINGS, 0, 0, &[]), goaway].concat())
    });
    case("its message is random bytes", answers(&noise(100)));
    case(
        "its bytes are no message of gRPC",
        answers_framed(&noise(100)),
    );
    case("it answers with headers only, and stays silent", {
        replies([head(OK_200, 0, &[])])
    });
    case("it sends half a message and stays silent", {
        replies([head(OK_200, 0, &[]), data(&message(ALLOW)[..6], 0)])
    });
    let half = vec![head(OK_200, 0, &[]), data(&message(ALLOW)[..6], 0)];
    case("it sends half a message and closes", {
        Behaviour::Replies(half.clone(), Then::Close)
    });
    case("it sends half a message and says OK", {
        replies([&half[..], &[trailers("0")]].concat())
    });
    let reset = Frame {
        kind: RST_STREAM,
        flags: 0,
        payload: vec![0, 0, 0, 8],
    };
    case("it sends half a message and resets the call", {
        replies([&half[..], std::slice::from_ref(&reset)].concat())
    });
    case("it sends an allow and resets the call", {
        replies([head(OK_200, 0, &[]), data(&message(ALLOW), 0), reset])
    });
    case("it sends an allow and closes before the status", {
        let frames = vec![head(OK_200, 0, &[]), data(&message(ALLOW), 0)];
        Behaviour::Replies(frames, Then::Close)
    });
    case("it sends an allow and ends without a status", {
        replies([head(OK_200, 0, &[]), data(&message(ALLOW), END_STREAM)])
    });
    case("it sends an allow and then an error", {
        replies([
            head(OK_200, 0, &[]),
            data(&message(ALLOW), 0),
            trailers("13"),
        ])
    });
    case("it sends an allow under the HTTP status 500", {
        replies([
            head(ERROR_500, 0, &[]),
            data(&message(ALLOW), 0),
            trailers("0"),
        ])
    });
    case("it claims that an allow is compressed", {
        let mut framed = message(ALLOW);
        framed[0] = 1;
        answers_framed(&framed)
    });
    case("it says OK without a message", {
        replies([head(OK_200, 0, &[]), trailers("0")])
    });
    case("it says OK at once, in headers alone", {
        replies([head(OK_200, END_STREAM, &[("grpc-status", "0")])])
    });
    case("it says that it has no such method", {
        replies([head(OK_200, END_STREAM, &[("grpc-status", "12")])])
    });
    case("it is shutting down", {
        replies([head(OK_200, END_STREAM, &[("grpc-status", "14")])])
    });
    case("it is overloaded", {
        replies([head(OK_200, END_STREAM, &[("grpc-status", "8")])])
    });
    case(
        "its answer is of another type: a text where the status is",
        answers(b"\x0a\x05hello"),
    );
    case("it denies, and the rest is of a later version", {
        answers(&[DENY, &[0xfa, 0x07, 2, 8, 0]].concat())
    });
    case("its status is one that Envoy does not know", {
        answers(&[0x0a, 3, 8, 0xe7, 7])
    });
    for cut in 1..DENY.len() {
        case(&format!("its denial ends after {cut} bytes"), {
            answers(&DENY[..cut])
        });
    }
    cases
}

/// Runs one authorizer for the rest of the process, and returns its port.
fn serve(behaviour: Behaviour) -> Result<u16> {
    if let Behaviour::Down = behaviour {
        return ports::free();
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let mut hung = Vec::new();
        for stream in listener.incoming().flatten() {
            match &behaviour {
                Behaviour::Down | Behaviour::Closes => {}
                Behaviour::Hangs => hung.push(stream),
                behaviour => {
                    let behaviour = behaviour.clone();
                    thread::spawn(move || talk(stream, &behaviour));
                }
            }
        }
    });
    Ok(port)
}

/// Talks to one client until it is gone.
fn talk(mut stream: TcpStream, behaviour: &Behaviour) -> Option<()> {
    let (frames, then) = match behaviour {
        Behaviour::Replies(frames, then) => (frames, *then),
        Behaviour::Sends(bytes) => {
            stream.write_all(bytes).ok()?;
            // It stays, so that what Envoy sees is the bytes and not the end.
            let _ = stream.read_to_end(&mut Vec::new());
            return None;
        }
        _ => return None,
    };
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).ok()?;
    let mut read = Vec::new();
    while read.len() < PREFACE.len() {
        receive(&mut stream, &mut read)?;
    }
    read.drain(..PREFACE.len());
    loop {
        while let Some((kind, flags, call, payload)) = take_frame(&mut read) {
            match kind {
                SETTINGS if flags & ACK == 0 => {
                    stream.write_all(&frame(SETTINGS, ACK, 0, &[])).ok()?;
                }
                PING if flags & ACK == 0 => {
                    stream.write_all(&frame(PING, ACK, 0, &payload)).ok()?;
                }
                DATA | HEADERS if flags & END_STREAM != 0 => {
                    let reply: Vec<u8> = frames
                        .iter()
                        .flat_map(|it| frame(it.kind, it.flags, call, &it.payload))
                        .collect();
                    stream.write_all(&reply).ok()?;
                    if then == Then::Close {
                        return None;
                    }
                }
                _ => {}
            }
        }
        receive(&mut stream, &mut read)?;
    }
}

/// Reads more; `None` at the end.
fn receive(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<()> {
    let mut more = [0; 4096];
    let count = stream.read(&mut more).ok().filter(|count| *count > 0)?;
    read.extend(&more[..count]);
    Some(())
}

/// A gateway with a pair of listeners for each authorizer. Fields are dropped in this order.
struct Scene {
    _gateway: customs_test_support::process::Process,
    origin: Origin,
    /// The sentence, and the ports of the listeners for HTTP and TCP.
    cases: Vec<(String, u16, u16)>,
    _scratch: tempfile::TempDir,
}

impl Scene {
    fn start(cases: Vec<(String, Behaviour)>, fails_open: bool) -> Result<Scene> {
        let scratch = tempfile::Builder::new()
            .prefix("customs-fail-safe-")
            .tempdir()?;
        let guard = Guard::over(scratch.path())?;
        let origin = Origin::start()?;
        let (mut listeners, mut clusters) =
            (Vec::new(), vec![plain_cluster("origin", origin.port)]);
        let mut served = Vec::new();
        for (number, (sentence, behaviour)) in cases.into_iter().enumerate() {
            let (name, port) = (format!("authorizer-{number}"), serve(behaviour)?);
            let (http, tcp) = (ports::free()?, ports::free()?);
            clusters.push(customs_cluster(&name, &Endpoints::Fixed(&[port]), false));
            let asks = Asks {
                cluster: &name,
                timeout: TIMEOUT,
                fails_open,
            };
            listeners.push(http_listener(http, asks));
            listeners.push(tcp_listener(tcp, asks, "origin"));
            served.push((sentence, http, tcp));
        }
        let admin = ports::free()?;
        let path = scratch.path().join("gateway.json");
        fs::write(
            &path,
            configuration(admin, &listeners, &clusters).to_string(),
        )?;
        let envoys = Envoys {
            binary: tools::envoy()?.path,
            scratch: scratch.path().to_path_buf(),
            guard: Arc::clone(&guard),
            words: Default::default(),
        };
        Ok(Scene {
            _gateway: envoys.run("gateway", &path, admin)?,
            origin,
            cases: served,
            _scratch: scratch,
        })
    }

    /// Asks every authorizer over HTTP and TCP at once.
    fn ask_all(&self) -> Result<Vec<Asked<'_>>> {
        thread::scope(|scope| {
            let asked: Vec<_> = self
                .cases
                .iter()
                .map(|case| scope.spawn(|| ask_once(case).with_context(|| case.0.clone())))
                .collect();
            asked
                .into_iter()
                .map(|asked| asked.join().unwrap())
                .collect()
        })
    }
}

/// What became of a request over HTTP and of a connection over TCP.
struct Asked<'c> {
    sentence: &'c str,
    answer: HttpAnswer,
    tcp_passes: bool,
    /// The longer of the times that they took.
    took: Duration,
}

fn ask_once((sentence, http_port, tcp_port): &(String, u16, u16)) -> Result<Asked<'_>> {
    let begun = Instant::now();
    let answer = ask(&mut http::connect(*http_port)?, "ok.example")?;
    let (took, begun) = (begun.elapsed(), Instant::now());
    let tcp_passes = reaches_origin(*tcp_port, "ok.example", TIMEOUT + MARGIN)?;
    Ok(Asked {
        sentence,
        answer,
        tcp_passes,
        took: took.max(begun.elapsed()),
    })
}

#[test]
fn nothing_passes_an_authorizer_that_gives_no_answer() -> Result<()> {
    let scene = Scene::start(cases(), false)?;
    let mut slowest = Duration::ZERO;
    for round in 0..3 {
        for asked in scene.ask_all()? {
            let Asked {
                sentence,
                answer,
                tcp_passes,
                took,
            } = asked;
            ensure!(
                [403, 503].contains(&answer.status) && !answer.passed(),
                "{sentence}, round {round}: {answer:?}"
            );
            ensure!(
                !tcp_passes,
                "{sentence}, round {round}: a TCP connection passes"
            );
            ensure!(
                took < TIMEOUT + MARGIN,
                "{sentence}, round {round}: answered after {took:?}"
            );
            slowest = slowest.max(took);
        }
    }
    ensure!(
        scene.origin.reached() == 0,
        "the origin has received a client's bytes"
    );
    let count = scene.cases.len();
    println!("{count} behaviours, thrice, none passed; refused after {slowest:?} of {TIMEOUT:?}");
    Ok(())
}

#[test]
fn what_envoy_takes_for_an_allow() -> Result<()> {
    let empty = "its message is empty";
    let unknown = "its message has only fields that Envoy does not know";
    // The number of its only field is that of the status, and its kind is another.
    let other = "its message is that of a health check: SERVING";
    let cases = [
        ("it allows", answers(ALLOW)),
        (empty, answers(&[])),
        (unknown, answers(&[0xfa, 0x07, 2, 8, 7])),
        (other, answers(&[8, 1])),
        ("it denies", answers(DENY)),
    ];
    let expected = [true, true, true, true, false];
    passes(
        cases.map(|(sentence, behaviour)| (sentence.to_owned(), behaviour)),
        &expected,
        false,
    )
}

/// A gateway with `failOpen: true` lets pass whatever was not answered. So customs answers with a
/// denial where it can, also if it fails by itself, and with an error only where it cannot.
#[test]
fn a_gateway_that_fails_open_lets_errors_pass_and_no_denial() -> Result<()> {
    let internal = [head(OK_200, END_STREAM, &[("grpc-status", "13")])];
    let reset = Frame {
        kind: RST_STREAM,
        flags: 0,
        payload: vec![0, 0, 0, 8],
    };
    let cases = [
        ("it denies", answers(DENY)),
        ("nothing listens", Behaviour::Down),
        ("it reads each call and never answers", replies([])),
        ("it reports an internal error", replies(internal)),
        ("it resets each call", replies([reset])),
    ];
    let expected = [false, true, true, true, true];
    passes(
        cases.map(|(sentence, behaviour)| (sentence.to_owned(), behaviour)),
        &expected,
        true,
    )
}

/// Expects of each case whether it passes, over HTTP and TCP alike.
fn passes<const CASES: usize>(
    cases: [(String, Behaviour); CASES],
    expected: &[bool; CASES],
    fails_open: bool,
) -> Result<()> {
    let scene = Scene::start(cases.into(), fails_open)?;
    for (asked, expected) in scene.ask_all()?.into_iter().zip(*expected) {
        // If this ever fails, Envoy behaves otherwise than the documents say.
        let passes = (asked.answer.passed(), asked.tcp_passes);
        ensure!(
            passes == (expected, expected),
            "{}: {passes:?} over HTTP and TCP",
            asked.sentence
        );
    }
    Ok(())
}
