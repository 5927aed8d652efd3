//! Resident memory of customs with 100,000 rules, and of the floor, at rest and under load.
//!
//! The rule: under load means the largest of many samples while checks are in flight; the peak is
//! the kernel's own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cpu;
use crate::customs_server::{CustomsServer, MANY, Record};
use crate::floor::Kind;
use crate::load::{self, Shape};
use crate::server::Server;
use crate::session::Session;
use customs_test_support::bench_report::findings::{Findings, Line};

const SHAPE: Shape = Shape {
    connections: 4,
    streams: 64,
};
const BOUND: f64 = 120.0;
/// The interval between samples.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Each round has a process of its own, since peaks are of a process's whole life, so there are
/// fewer rounds.
const ROUNDS: usize = 6;

pub(crate) fn measure(session: &mut Session) -> Result<Findings> {
    let checks = session.sizes.checks;
    let how = format!(
        "New processes in each round, {} checks to each: at rest once ready, under load, and the peak until then; for customs \
         also the peak once every policy file has changed under load.",
        customs_test_support::bench_report::document::count(checks as f64)
    );
    let mut findings = Findings::new("memory", "MiB resident", how);
    let layout = cpu::floor_layout(session)?;
    let mut under_load = Vec::new();
    for _round in 0..session.sizes.rounds.min(ROUNDS) {
        look(
            session,
            &mut findings,
            &Server::floor(session, Kind::Tonic, layout)?,
        )?;
        let mut customs = CustomsServer::start(session, MANY, Record::File)?;
        under_load.push(look(session, &mut findings, &customs.server)?);
        customs.change_all_policies()?;
        let peak = customs.server.memory()?.peak;
        findings.record(&customs.server.name, "peak with a change", peak);
    }
    findings.lines.push(Line::new(
        "memory of customs with 100,000 rules under load",
        "MiB",
        BOUND,
        under_load,
    ));
    Ok(findings)
}

/// Samples one process, and returns how much it holds under load.
fn look(session: &Session, findings: &mut Findings, server: &Server) -> Result<f64> {
    findings.record(&server.name, "at rest", server.memory()?.now);
    let over = AtomicBool::new(false);
    let most = thread::scope(|scope| -> Result<f64> {
        let looking = scope.spawn(|| most_until(server, &over));
        let asked = load::closed(session, server.endpoint.port, SHAPE, session.sizes.checks);
        over.store(true, Ordering::Relaxed);
        asked?;
        looking.join().ok().context("the look panicked")?
    })?;
    findings.record(&server.name, "under load", most);
    findings.record(&server.name, "peak", server.memory()?.peak);
    Ok(most)
}

fn most_until(server: &Server, over: &AtomicBool) -> Result<f64> {
    let mut most = 0.0_f64;
    while !over.load(Ordering::Relaxed) {
        most = most.max(server.memory()?.now);
        thread::sleep(LOOK_EVERY);
    }
    Ok(most)
}
