//! Abuse of the addresses for operators: the admin address and the tail of the audit log. It must
//! not reach the checks.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use customs_test_support::http2::{
    Call, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame, message,
};

use super::Attack;
use super::holders::hold;

fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Sends a request over a fresh connection and reads the answer, from so many clients at once, again
/// and again.
fn hammer(attack: &Attack, clients: usize, request: &[u8]) {
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while !attack.is_over() {
                    if exchange(attack.port, request).is_err() {
                        attack.cut();
                        thread::sleep(Duration::from_millis(5));
                    }
                }
            });
        }
    });
}

fn exchange(port: u16, request: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    stream.set_write_timeout(Some(Duration::from_millis(500)))?;
    stream.write_all(request)?;
    let mut read = [0; 64 << 10];
    match stream.read(&mut read)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

pub(super) fn slow_requests(attack: &Attack) {
    hold(
        attack,
        200,
        b"GET /status HTTP/1.1\r\nhost: x\r\nx-a: ",
        b"a",
    );
}

pub(super) fn unread(attack: &Attack) {
    let requests = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50);
    let mut open = Vec::new();
    for _ in 0..100 {
        match TcpStream::connect(("127.0.0.1", attack.port)) {
            Ok(mut stream) => {
                stream.set_nonblocking(true).unwrap();
                let _ = stream.write(&requests);
                open.push(stream);
            }
            Err(_) => attack.cut(),
        }
    }
    while !attack.is_over() {
        thread::sleep(Duration::from_millis(20));
    }
}

const QUESTION: &str = r#"{"from": "shop/web", "to": "http://www.aliyun.com/"}"#;

pub(super) fn questions(attack: &Attack) {
    hammer(attack, 16, &post("/explain", QUESTION));
}

/// A path with many readings, and many headers with many values.
pub(super) fn large_questions(attack: &Attack) {
    let path = r"a%2e;b\\/../".repeat(700);
    let mut headers = String::new();
    for n in 0..280 {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(headers, "{comma}\"x-{n}\": \"{}\"", "a,".repeat(400));
    }
    let body = format!(
        r#"{{"from": "shop/web", "to": "http://www.aliyun.com/{path}", "headers": {{{headers}}}}}"#
    );
    hammer(attack, 8, &post("/explain", &body));
}

pub(super) fn too_large_bodies(attack: &Attack) {
    hammer(attack, 4, &post("/explain", &"x".repeat(10 << 20)));
}

pub(super) fn slow_bodies(attack: &Attack) {
    let whole = post("/explain", &"x".repeat(200_000));
    let begun = &whole[..whole.len() - 199_990];
    hold(attack, 200, begun, b" ");
}

pub(super) fn status(attack: &Attack) {
    hammer(attack, 16, b"GET /status HTTP/1.1\r\nhost: x\r\n\r\n");
}

pub(super) fn metrics(attack: &Attack) {
    hammer(attack, 16, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
}

/// The frames of subscriptions, one a stream.
fn subscriptions(streams: impl Iterator<Item = u32>) -> Vec<u8> {
    let call = Call {
        path: "/customs.audit.v1.AuditService/Tail",
        ..Call::default()
    };
    let head = call.head();
    let body = message(&[]);
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])].concat();
    for stream in streams {
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &head));
        bytes.extend(frame(DATA, END_STREAM, stream, &body));
    }
    bytes
}

pub(super) fn unread_tails(attack: &Attack) {
    let opening = subscriptions([1].into_iter());
    let mut open = Vec::new();
    for _ in 0..100 {
        let stream = TcpStream::connect(("127.0.0.1", attack.port));
        match stream.and_then(|mut stream| stream.write_all(&opening).map(|()| stream)) {
            Ok(stream) => open.push(stream),
            Err(_) => attack.cut(),
        }
    }
    while !attack.is_over() {
        thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn many_tails(attack: &Attack) {
    let bytes = subscriptions((0..4000).map(|n| 2 * n + 1));
    while !attack.is_over() {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", attack.port)) else {
            attack.cut();
            continue;
        };
        let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
        if stream.write_all(&bytes).is_err() {
            attack.cut();
        }
        thread::sleep(Duration::from_millis(100));
    }
}
