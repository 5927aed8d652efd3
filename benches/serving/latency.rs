//! How long a client waits at rates below what a server can do.
//!
//! h2load sends at a steady rate and records each answer. The rule: the first and last moments of a
//! run, in which not all connections are open, do not count.

use anyhow::{Context, Result};

use crate::cpu;
use crate::customs_server::{self, CustomsServer, MANY, Record};
use crate::floor::Kind;
use crate::load;
use crate::server::Server;
use crate::session::{Session, order};
use customs_test_support::bench_report::document::count;
use customs_test_support::bench_report::findings::Findings;
use customs_test_support::bench_report::h2load_output::{
    Request, first_sent, last_sent, latencies,
};
use customs_test_support::bench_report::statistics::percentile;

/// Checks a second.
const RATES: [u64; 3] = [1_000, 5_000, 10_000];
/// The rate that lines are about.
pub(crate) const USUAL_RATE: u64 = 5_000;

/// Percentiles, each of a thousand, by name.
pub(crate) const PERCENTILES: [(&str, usize); 3] = [("p50", 500), ("p99", 990), ("p99.9", 999)];

/// What does not count at the beginning and at the end, in microseconds.
const EDGE: u64 = 200_000;

pub(crate) fn measure(session: &mut Session) -> Result<Findings> {
    let how = format!(
        "{} rounds of {} s to each server at each rate, in checks per second, sent when due over 10 connections.",
        session.sizes.rounds, session.sizes.seconds
    );
    let mut findings = Findings::new("latency", "µs until the answer", how);
    let layout = cpu::floor_layout(session)?;
    let customs = CustomsServer::start(session, MANY, Record::File)?;
    let floor = Server::floor(session, Kind::Tonic, layout)?;
    let earlier = CustomsServer::start_earlier(session, MANY, &[Record::File])?;
    let mut servers = vec![&floor, &customs.server];
    servers.extend(earlier.iter().map(|it| &it.server));
    for rate in RATES {
        ask_in_turn(session, &mut findings, &servers, rate)?;
    }
    let (name, p99) = (
        customs_server::name(MANY, Record::File),
        condition(USUAL_RATE, "p99"),
    );
    let says = format!("{p99}: {name} / {}", floor.name);
    findings.draw_line(says, 1.2, &p99, [&name, &floor.name]);
    for earlier in &earlier {
        let says = format!("{p99}: {name} / the earlier build");
        findings.draw_line(says, 1.03, &p99, [&name, &earlier.server.name]);
    }
    Ok(findings)
}

fn ask_in_turn(
    session: &Session,
    findings: &mut Findings,
    servers: &[&Server],
    rate: u64,
) -> Result<()> {
    for round in 0..=session.sizes.rounds {
        for server in order(servers.len(), round).filter_map(|index| servers.get(index)) {
            let requests =
                load::steady(session, server.endpoint.port, rate, session.sizes.seconds)?;
            server.settle()?;
            if round > 0 {
                let (from, to) = counted(&requests)?;
                record(
                    findings,
                    &server.name,
                    |name| condition(rate, name),
                    &latencies(&requests, from, to),
                )?;
            }
        }
    }
    Ok(())
}

/// Returns from when to when requests count: from shortly after the first one to shortly before the
/// last.
pub(crate) fn counted(requests: &[Request]) -> Result<(u64, u64)> {
    let (first, last) = first_sent(requests)
        .zip(last_sent(requests))
        .context("no request was sent")?;
    Ok((first + EDGE, last.saturating_sub(EDGE)))
}

/// Records one round's percentiles.
pub(crate) fn record(
    findings: &mut Findings,
    subject: &str,
    condition: impl Fn(&str) -> String,
    sorted: &[u64],
) -> Result<()> {
    for (name, of_thousand) in PERCENTILES {
        let value = percentile(sorted, of_thousand)
            .context("no request was answered in the time that counts")?;
        findings.record(subject, &condition(name), value as f64);
    }
    Ok(())
}

fn condition(rate: u64, percentile: &str) -> String {
    format!("{percentile} at {}/s", count(rate as f64))
}
