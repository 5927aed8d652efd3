//! A load of new connections: each is opened, with its handshake, sends one check, and ends.
//!
//! The rule: a handshake of another kind than the one that is measured is an error.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::HandshakeKind;

use crate::connection::{Check, Connection, Endpoint};

/// How many connections are open at a time.
const AT_A_TIME: u64 = 8;

/// Opens `count` connections, and returns how long that took. `kind` is that of every handshake;
/// nothing without TLS.
pub(crate) fn run(
    endpoint: &Endpoint,
    kind: Option<HandshakeKind>,
    count: u64,
) -> io::Result<Duration> {
    let check = Check::captured(endpoint.port)?;
    let each = count / AT_A_TIME;
    let begun = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..AT_A_TIME)
            .map(|_| scope.spawn(|| (0..each).try_for_each(|_| one(endpoint, kind, &check))))
            .collect();
        for client in clients {
            let done = client
                .join()
                .map_err(|_| io::Error::other("a client panicked"))?;
            done?;
        }
        Ok(begun.elapsed())
    })
}

/// Opens connections until the client has sessions to resume, one for each that is open at a time.
pub(crate) fn collect_sessions(endpoint: &Endpoint) -> io::Result<()> {
    let check = Check::captured(endpoint.port)?;
    for _ in 0..2 * AT_A_TIME {
        let connection = Connection::open(endpoint)?;
        connection.ask(&check)?;
        connection.finish()?;
    }
    Ok(())
}

fn one(endpoint: &Endpoint, kind: Option<HandshakeKind>, check: &Check) -> io::Result<()> {
    let connection = Connection::open(endpoint)?;
    let seen = connection.handshake_kind();
    if seen != kind {
        let what = format!("expected a handshake of the kind {kind:?}, it was {seen:?}");
        return Err(io::Error::other(what));
    }
    connection.ask(check)?;
    connection.finish()
}
