//! How long a client waits while all policies change.
//!
//! Every policy file of 100,000 rules is rewritten while checks arrive at a steady rate. The rule:
//! a check counts only if it was sent between the first file's writing and the moment at which the
//! new set is known to be in force.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::cpu;
use crate::customs_server::{CustomsServer, MANY, Record};
use crate::floor::Kind;
use crate::latency::{self, USUAL_RATE};
use crate::load;
use crate::server::Server;
use crate::session::Session;
use customs_test_support::bench_report::findings::Findings;
use customs_test_support::bench_report::h2load_output::{last_sent, latencies};

/// How long the load lasts, in seconds; a reload must fit in.
const SECONDS: u64 = 8;
/// When the files change, after the load has begun.
const CHANGE_AFTER: Duration = Duration::from_millis(700);

const QUIET: &str = "customs, no change";
const CHANGED: &str = "customs, all policies change";

pub(crate) fn measure(session: &mut Session) -> Result<Findings> {
    let how = format!(
        "{} rounds at {}/s: the floor, customs with 100,000 rules and its record in a file, and the same customs from the \
         writing of 100 changed files until the new set is in force.",
        session.sizes.rounds,
        customs_test_support::bench_report::document::count(USUAL_RATE as f64)
    );
    let mut findings = Findings::new("reload", "µs until the answer, or s", how);
    let layout = cpu::floor_layout(session)?;
    let floor = Server::floor(session, Kind::Tonic, layout)?;
    let mut customs = CustomsServer::start(session, MANY, Record::File)?;
    for round in 0..=session.sizes.rounds {
        let counts = round > 0;
        let (quiet, idle) = (ask(session, &customs.server)?, ask(session, &floor)?);
        let (changed, took) = ask_during_change(session, &mut customs)?;
        if counts {
            for (subject, sorted) in [
                (floor.name.as_str(), idle),
                (QUIET, quiet),
                (CHANGED, changed),
            ] {
                latency::record(&mut findings, subject, str::to_owned, &sorted)?;
            }
            findings.record(CHANGED, "s until in force", took.as_secs_f64());
        }
    }
    let line = |other: &str| format!("p99 at 5,000/s while all policies change: customs / {other}");
    findings.draw_line(
        line("itself without a change"),
        2.0,
        "p99",
        [CHANGED, QUIET],
    );
    let to_floor = customs_test_support::bench_report::statistics::ratios(
        findings.rounds(CHANGED, "p99"),
        findings.rounds(&floor.name, "p99"),
    );
    let estimate = customs_test_support::bench_report::statistics::Estimate::of(&to_floor)
        .map(|it| customs_test_support::bench_report::document::number(it.median));
    findings.add_fact(
        line(&floor.name),
        format!("{} times", estimate.unwrap_or_default()),
    );
    Ok(findings)
}

/// Returns the latencies of a run without a change, sorted.
fn ask(session: &Session, server: &Server) -> Result<Vec<u64>> {
    let requests = load::steady(
        session,
        server.endpoint.port,
        USUAL_RATE,
        session.sizes.seconds,
    )?;
    server.settle()?;
    let (from, to) = latency::counted(&requests)?;
    Ok(latencies(&requests, from, to))
}

/// Returns the latencies from the first file's writing to the new set in force, sorted, and how
/// long that was.
fn ask_during_change(
    session: &Session,
    customs: &mut CustomsServer,
) -> Result<(Vec<u64>, Duration)> {
    let port = customs.server.endpoint.port;
    let (requests, from, to) = thread::scope(|scope| -> Result<_> {
        let asking = scope.spawn(|| load::steady(session, port, USUAL_RATE, SECONDS));
        thread::sleep(CHANGE_AFTER);
        let from = now()?;
        let changed = customs.change_all_policies();
        let to = now()?;
        let requests = asking.join().ok().context("the load panicked")??;
        changed?;
        Ok((requests, from, to))
    })?;
    customs.server.settle()?;
    ensure!(
        last_sent(&requests) > Some(to),
        "the new set was not in force before the load ended, after {SECONDS} s"
    );
    Ok((
        latencies(&requests, from, to),
        Duration::from_micros(to - from),
    ))
}

/// Returns microseconds since 1970, as h2load counts them.
fn now() -> Result<u64> {
    Ok(u64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros(),
    )?)
}
