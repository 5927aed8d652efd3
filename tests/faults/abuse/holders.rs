//! Many connections that do little: they say nothing, or half of something, and stay; or they come
//! and go as fast as they can.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use customs_test_support::audited_server::{check, size};
use customs_test_support::http2::{
    Call, DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, frame, message,
};
use prost::Message;

use super::Attack;

/// How many connections there are.
fn connections() -> usize {
    usize::try_from(size("CUSTOMS_FAULTS_CONNECTIONS", 200)).unwrap()
}

/// Opens connections that each send `opening`, and notes which of them the server closes. Each open
/// one sends `drip` once a second.
pub(super) fn hold(attack: &Attack, count: usize, opening: &[u8], drip: &[u8]) {
    let mut open = Vec::new();
    for _ in 0..count {
        if attack.is_over() {
            break;
        }
        let stream = TcpStream::connect(("127.0.0.1", attack.port));
        match stream.and_then(|mut stream| stream.write_all(opening).map(|()| stream)) {
            Ok(stream) => {
                stream.set_nonblocking(true).unwrap();
                open.push(stream);
            }
            Err(_) => attack.cut(),
        }
    }
    let mut ticks = 0;
    while !attack.is_over() {
        open.retain_mut(|stream| {
            let is_open = is_open(stream);
            if !is_open {
                attack.cut();
            }
            is_open
        });
        ticks += 1;
        if ticks % 50 == 0 && !drip.is_empty() {
            for stream in &mut open {
                let _ = stream.write(drip);
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Reads what there is; false at the end.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut read = [0; 4096];
    loop {
        match stream.read(&mut read) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(why) => return why.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

fn begin() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

fn head() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &Call::default().head())
}

/// A call whose message is to have 3000 bytes and has these.
fn part_of_a_check(bytes: &[u8]) -> Vec<u8> {
    let part = [&[0][..], &3000_u32.to_be_bytes(), bytes].concat();
    [begin(), head(), frame(DATA, 0, 1, &part)].concat()
}

pub(super) fn silent(attack: &Attack) {
    hold(attack, connections(), &[], &[]);
}

pub(super) fn begun(attack: &Attack) {
    hold(attack, connections(), &begin(), &[]);
}

pub(super) fn half_preface(attack: &Attack) {
    hold(attack, connections(), &PREFACE[..20], &[]);
}

pub(super) fn half_headers(attack: &Attack) {
    hold(
        attack,
        connections(),
        &[&begin()[..], &head()[..30]].concat(),
        &[],
    );
}

pub(super) fn half_bodies(attack: &Attack) {
    hold(attack, connections(), &part_of_a_check(&[b'x'; 100]), &[]);
}

pub(super) fn slow_bodies(attack: &Attack) {
    let drip = frame(DATA, 0, 1, b"x");
    hold(attack, connections(), &part_of_a_check(b"x"), &drip);
}

pub(super) fn after_a_check(attack: &Attack) {
    let body = message(&check("www.aliyun.com").encode_to_vec());
    let call = Call::default().with(1, &body);
    hold(attack, connections(), &[begin(), call].concat(), &[]);
}

pub(super) fn connects(attack: &Attack) {
    while !attack.is_over() {
        match TcpStream::connect(("127.0.0.1", attack.port)) {
            Ok(stream) => drop(stream.shutdown(Shutdown::Both)),
            Err(_) => attack.cut(),
        }
    }
}

/// A connection that is closed with unread bytes is reset.
pub(super) fn connects_with_reset(attack: &Attack) {
    while !attack.is_over() {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", attack.port)) else {
            attack.cut();
            continue;
        };
        let _ = stream.write_all(&begin());
        // The server's settings arrive and stay unread.
        let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
        let _ = stream.peek(&mut [0]);
    }
}
