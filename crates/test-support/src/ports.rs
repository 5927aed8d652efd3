//! Free loopback ports, chosen in advance so that configurations that name each other can be
//! written before anything runs.
//!
//! Not a reservation: another program could take a port between the choice and its use. To make
//! that unlikely, the ports are below the range that the kernel uses for outgoing connections, and
//! each process begins at another place.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

const FIRST: u32 = 15_000;
const COUNT: u32 = 16_000;

static GIVEN: AtomicU32 = AtomicU32::new(0);

/// Returns a port on which nothing listens on 127.0.0.1, and that this process has not returned
/// before.
pub fn free() -> Result<u16> {
    // Spread by a large odd factor: processes started one after the other have neighbouring ids.
    let begin = std::process::id().wrapping_mul(7919);
    for _ in 0..COUNT {
        let step = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + begin.wrapping_add(step) % COUNT)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!(
        "no free port on 127.0.0.1 between {FIRST} and {}",
        FIRST + COUNT
    )
}
