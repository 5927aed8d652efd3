//! The server's certificate, replaced while checks are asked: a pair that is good is presented soon,
//! and one that is not is reported and kept out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use customs_test_support::audited_server::Server;
use customs_test_support::tls_files::presented;
use customs_test_support::tls_rotation::{Replacement, RotatedPair};
use customs_test_support::wait_for;
use tokio_rustls::rustls::ClientConfig;

use super::Counts;

/// How long a pair is in use before the next one.
const PAUSE: Duration = Duration::from_millis(1500);

/// Replaces the pair until the end, and returns how many of the pairs were bad.
pub(super) fn rotate(
    server: &Server,
    pair: &mut RotatedPair,
    client: &Arc<ClientConfig>,
    counts: &Counts,
    stop: &AtomicBool,
) -> u64 {
    let mut bad = 0;
    while !stop.load(Relaxed) {
        let replacement = pair.replace();
        let is_known = || match replacement {
            Replacement::Good => {
                let is_presented = presented(server.port, client)
                    .is_ok_and(|certificate| certificate == Some(pair.in_use()));
                (is_presented && problems(server)? == 0).then_some(())
            }
            Replacement::Bad => (problems(server)? == 1).then_some(()),
        };
        if wait_for(is_known).is_none() {
            counts.wrong(format!("a {replacement:?} pair: no effect"));
        }
        if replacement == Replacement::Bad {
            bad += 1;
            match presented(server.port, client) {
                Ok(certificate) if certificate == Some(pair.in_use()) => {}
                other => counts.wrong(format!("beside a bad pair: {other:?} is presented")),
            }
        }
        counts.rotations.fetch_add(1, Relaxed);
        thread::sleep(PAUSE);
    }
    bad
}

/// Returns how many problems the server reports of the files.
fn problems(server: &Server) -> Option<usize> {
    let status: serde_json::Value = serde_json::from_str(&server.get("/status")?.1).ok()?;
    Some(status["tls"][0]["problems"].as_array()?.len())
}
