//! A closed load: each connection has the same number of checks in flight, and sends another one
//! for each answer.
//!
//! It is h2load's load, from a client that can present a certificate. The rule: what is sent for
//! the answers of one read is written at once.

use std::io;
use std::thread;

use crate::connection::{Check, Connection, Endpoint, Inbox};
use crate::load::Shape;

/// Sends `checks` checks as fast as answers arrive.
pub(crate) fn run(endpoint: &Endpoint, shape: Shape, checks: u64) -> io::Result<()> {
    let check = Check::captured(endpoint.port)?;
    let each = u32::try_from(checks / shape.connections).map_err(io::Error::other)?;
    let in_flight = u32::try_from(shape.streams).map_err(io::Error::other)?;
    thread::scope(|scope| {
        let asking: Vec<_> = (0..shape.connections)
            .map(|_| scope.spawn(|| ask(endpoint, &check, in_flight, each)))
            .collect();
        for one in asking {
            let done = one
                .join()
                .map_err(|_| io::Error::other("a client panicked"))?;
            done?;
        }
        Ok(())
    })
}

fn ask(endpoint: &Endpoint, check: &Check, in_flight: u32, checks: u32) -> io::Result<()> {
    let connection = Connection::open(endpoint)?;
    let (mut inbox, mut out) = (Inbox::new(), Vec::new());
    let (mut begun, mut answered) = (0, 0);
    while answered < checks {
        while begun < checks.min(answered + in_flight)
            && connection.put(2 * begun + 1, check, &mut out)?
        {
            begun += 1;
        }
        if !out.is_empty() {
            connection.write(&out)?;
            out.clear();
        }
        connection.receive(&mut inbox, |_| {
            answered += 1;
            Ok(())
        })?;
    }
    connection.finish()
}
