//! A legitimate client beside a hostile one: it keeps one connection, opens fresh ones now and then,
//! and notes every check that is not answered as the policy says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use customs_test_support::audited_server;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;

use crate::connection::{Connection, Outcome};

/// How long it waits between two checks.
const PAUSE: Duration = Duration::from_millis(10);
/// After how many checks it opens a connection for one check.
const FRESH: u64 = 10;

/// What it received.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    pub(crate) right: u64,
    /// Checks without an answer, and denials of what is allowed.
    pub(crate) failed: Vec<String>,
    /// Allows of what is denied.
    pub(crate) wrong: Vec<String>,
    pub(crate) slowest: Duration,
}

pub(crate) struct Prober {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Probed>,
}

impl Prober {
    pub(crate) fn start(port: u16) -> Prober {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = stop.clone();
        let thread = thread::spawn(move || {
            let (allowed, denied) = (
                audited_server::check("api.example"),
                audited_server::check("www.aliyun.com"),
            );
            let mut probed = Probed::default();
            let mut kept = None;
            let mut number = 0;
            while !is_over.load(Relaxed) {
                number += 1;
                let (check, code) = match number % 2 {
                    0 => (&allowed, 0),
                    _ => (&denied, 7),
                };
                let begun = Instant::now();
                let answer = match number % FRESH {
                    0 => Connection::open(port).and_then(|mut fresh| fresh.check(check)),
                    _ => over(&mut kept, port, check),
                };
                probed.slowest = probed.slowest.max(begun.elapsed());
                match answer {
                    Ok(answer) if answer.code() == Some(code) => probed.right += 1,
                    Ok(answer) if answer.code() == Some(0) => {
                        probed.wrong.push(format!("{answer:?}"))
                    }
                    other => probed.failed.push(format!("check {number}: {other:?}")),
                }
                thread::sleep(PAUSE);
            }
            probed
        });
        Prober { stop, thread }
    }

    pub(crate) fn end(self) -> Probed {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

/// Sends a check over a connection that is kept while it works.
fn over(
    kept: &mut Option<Connection>,
    port: u16,
    check: &CheckRequest,
) -> std::io::Result<Outcome> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(port)?,
    };
    let answer = connection.check(check)?;
    *kept = (!connection.is_leaving).then_some(connection);
    Ok(answer)
}
