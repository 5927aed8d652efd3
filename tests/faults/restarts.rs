//! Rolling restarts of two replicas behind a real Envoy under a steady load: every answer is the
//! policy's.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use customs_test_support::audited_server::size;

use crate::http_load::HttpLoad;
use crate::replicas::{Discovery, HOSTS, Replicas};

/// How long a replica stays after it was told to end. Envoy checks health every 100 ms, and learns
/// of new endpoints as soon as their file has changed.
const DRAIN_DELAY: Duration = Duration::from_millis(1200);

/// Restarts one replica after the other, and expects that every answer is the policy's.
fn restart_in_turn(discovery: Discovery) -> Result<()> {
    let restarts = size("CUSTOMS_FAULTS_RESTARTS", 3);
    let mut replicas = Replicas::start(discovery, DRAIN_DELAY, 1)?;
    let rate = u32::try_from(size("CUSTOMS_FAULTS_RATE", 200)).unwrap();
    let load = HttpLoad::start(replicas.port, rate, HOSTS);
    thread::sleep(Duration::from_millis(500));
    for restart in 0..restarts {
        let (one, other) = if restart % 2 == 0 { (0, 1) } else { (1, 0) };
        replicas.customs[one].signal("TERM")?;
        if let Discovery::Late(late) = discovery {
            thread::sleep(late);
            replicas.announce(&[other])?;
        }
        let status = replicas.customs[one].end()?;
        ensure!(
            status.success(),
            "{status}: {}",
            replicas.customs[one].last_words()
        );
        replicas.customs[one].start()?;
        if let Discovery::Late(_) = discovery {
            replicas.announce(&[0, 1])?;
        }
        replicas.seen(one, "healthy")?;
        thread::sleep(Duration::from_millis(300));
    }
    let tally = load.end();
    ensure!(
        tally.others.is_empty(),
        "{} of {} answers are not the policy's: {:#?}",
        tally.others.len(),
        tally.others.len() as u64 + tally.right,
        tally.others
    );
    // Without a steady load the restarts would prove nothing.
    ensure!(tally.right > restarts * u64::from(rate) / 2, "{tally:?}");
    println!(
        "{discovery:?}: {restarts} restarts, {} answers, 0 not the policy's",
        tally.right
    );
    Ok(())
}

#[test]
fn restarts_lose_no_answer_if_envoy_checks_health() -> Result<()> {
    restart_in_turn(Discovery::HealthChecks)
}

#[test]
fn restarts_lose_no_answer_if_envoy_learns_late_of_endpoints() -> Result<()> {
    restart_in_turn(Discovery::Late(Duration::from_millis(500)))
}
