//! A steady, open load of checks over few connections: each check is sent when it is due, whatever
//! happened to the checks before it.
//!
//! h2load sends what is due every ten milliseconds, so over one connection ten checks would arrive
//! together, and one wake-up of the server would serve all of them. Here one thread sends, check by
//! check, and one thread for each connection receives. The rule: a check that was not answered is
//! an error.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::{Check, Connection, Endpoint, Inbox};

/// A load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub connections: usize,
    /// Checks a second, over all connections.
    pub rate: u64,
    pub checks: u64,
}

/// Sends the load to a server, and returns how long each check took, in nanoseconds and in the
/// order of sending.
pub(crate) fn run(endpoint: &Endpoint, load: Load) -> io::Result<Vec<u64>> {
    let check = Check::captured(endpoint.port)?;
    let connections: Vec<Connection> = (0..load.connections)
        .map(|_| Connection::open(endpoint))
        .collect::<io::Result<_>>()?;
    let checks = usize::try_from(load.checks).map_err(io::Error::other)?;
    let sent: Vec<AtomicU64> = (0..checks).map(|_| AtomicU64::new(0)).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        let receivers: Vec<_> = connections
            .iter()
            .enumerate()
            .map(|(place, connection)| {
                // Checks go over the connections in turn.
                let sent = sent.iter().skip(place).step_by(load.connections);
                scope.spawn(move || receive(connection, start, sent.collect()))
            })
            .collect();
        let sending = send(&connections, &check, load, start, &sent);
        if sending.is_err() {
            // Receivers would wait for answers that never come.
            connections.iter().for_each(Connection::close);
        }
        let mut took = vec![0; checks];
        for (place, receiver) in receivers.into_iter().enumerate() {
            let received = receiver
                .join()
                .map_err(|_| io::Error::other("a receiver panicked"))?;
            sending
                .as_ref()
                .map_err(|why| io::Error::other(why.to_string()))?;
            let places = took.iter_mut().skip(place).step_by(load.connections);
            places.zip(received?).for_each(|(place, one)| *place = one);
        }
        Ok(took)
    })
}

/// Sends every check when it is due, and notes when.
fn send(
    connections: &[Connection],
    check: &Check,
    load: Load,
    start: Instant,
    sent: &[AtomicU64],
) -> io::Result<()> {
    let gap = Duration::from_secs(1) / u32::try_from(load.rate).map_err(io::Error::other)?;
    let (mut due, mut stream) = (start, 1);
    for round in sent.chunks(connections.len()) {
        for (at, connection) in round.iter().zip(connections) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            at.store(nanos(start), Relaxed);
            connection.send(stream, check)?;
            due += gap;
        }
        stream += 2;
    }
    Ok(())
}

/// Receives the answers to the checks that are sent at these times, and returns how long each took.
fn receive(connection: &Connection, start: Instant, sent: Vec<&AtomicU64>) -> io::Result<Vec<u64>> {
    let (mut took, mut left) = (vec![0; sent.len()], sent.len());
    let mut inbox = Inbox::new();
    while left > 0 {
        connection.receive(&mut inbox, |stream| {
            let now = nanos(start);
            let place = usize::try_from(stream / 2).map_err(io::Error::other)?;
            let (Some(at), Some(took)) = (sent.get(place), took.get_mut(place)) else {
                return Err(io::Error::other(format!("an answer on stream {stream}")));
            };
            *took = now.saturating_sub(at.load(Relaxed));
            left -= 1;
            Ok(())
        })?;
    }
    Ok(took)
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
