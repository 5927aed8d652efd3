//! What a hostile client does now and then beside a mixed load. Each act is short, and over a
//! connection of its own: with the certificate of a gateway, with that of a workload, which the
//! server does not accept, or in plain text.

use std::sync::Arc;
use std::time::{Duration, Instant};

use customs_test_support::audited_server::check;
use customs_test_support::http2::{
    Call, DATA, END_HEADERS, HEADERS, PING, PREFACE, RST_STREAM, frame, message,
};
use prost::Message;
use tokio_rustls::rustls::ClientConfig;

use crate::connection::{Connection, opening};

/// The certificates that a hostile client has.
pub(super) struct Stolen {
    pub(super) accepted: Arc<ClientConfig>,
    pub(super) unlisted: Arc<ClientConfig>,
}

impl Stolen {
    /// Returns what it presents in the act of this number: mostly what is accepted, so that it gets
    /// as far as HTTP/2.
    fn presents(&self, number: u64) -> Option<&Arc<ClientConfig>> {
        match number / ACTS % 4 {
            0 | 1 => Some(&self.accepted),
            2 => Some(&self.unlisted),
            _ => None,
        }
    }
}

/// How many acts there are.
const ACTS: u64 = 9;

/// Does the act of this number, and leaves. What the server does about it is its own affair.
pub(super) fn act(port: u16, stolen: &Stolen, number: u64) {
    let call = Call::default();
    let head = frame(HEADERS, END_HEADERS, 1, &call.head());
    let whole = message(&check("www.aliyun.com").encode_to_vec());
    let noise: Vec<u8> = (0..200 + number % 100)
        .map(|n| (((number + 1) * 6_364_136_223 * (n + 7)) >> 9).to_le_bytes()[0])
        .collect();
    let bytes = match number % ACTS {
        0 => [&opening()[..], &call.with(1, &message(&noise))].concat(),
        1 => [&opening()[..], &call.with(1, &noise)].concat(),
        2 => [
            &opening()[..],
            &head,
            &frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
        ]
        .concat(),
        3 => [&opening()[..], &frame(PING, 0, 0, b"customs!").repeat(50)].concat(),
        4 => [
            &opening()[..],
            &head,
            &frame(DATA, 0, 1, &whole[..whole.len() / 2]),
        ]
        .concat(),
        5 => PREFACE[..10].to_vec(),
        6 => noise,
        // A check whose caller leaves before the answer.
        7 => [&opening()[..], &call.with(1, &whole)].concat(),
        _ => Vec::new(),
    };
    let Ok(mut connection) = Connection::silent(port, stolen.presents(number)) else {
        return;
    };
    let _ = connection.send(&bytes);
    if !number.is_multiple_of(3) {
        let deadline = Instant::now() + Duration::from_millis(20);
        while connection.frame(deadline).is_ok() {}
    }
}
