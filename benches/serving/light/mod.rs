//! The cost of a check when little happens: a thousand checks a second, each of which wakes a
//! server that sleeps.
//!
//! Servers are asked directly, and through a real Envoy each. They have one processor; Envoy and
//! the load have the others. The rule: every check comes alone, so nothing that a server does for
//! several checks at once makes one of them cheaper.

mod envoy;
mod paced;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::customs_server::{self, CustomsServer, MANY, Record};
use crate::floor::{Kind, Layout};
use crate::server::Server;
use crate::session::{Session, order};
use customs_test_support::bench_report::findings::Findings;
use customs_test_support::bench_report::statistics::percentile;

/// Checks a second, over all connections.
pub(crate) const RATE: u64 = 1_000;

/// How many connections carry them: one, and as many as a gateway with four workers opens.
const CONNECTIONS: [usize; 2] = [1, 4];

/// What is measured of each server.
const CPU: &str = "CPU, µs";
const WAKES: &str = "wake-ups";
const P50: &str = "p50, µs";
const P99: &str = "p99, µs";

/// What each check may cost, compared with the floor, and with the earlier build.
const TO_FLOOR: f64 = 1.0;
const TO_EARLIER: f64 = 0.4;

pub(crate) fn measure(session: &mut Session) -> Result<Findings> {
    session.separate_processors()?;
    let found = measure_apart(session);
    session.join_processors()?;
    found
}

fn measure_apart(session: &Session) -> Result<Findings> {
    let mut findings = Findings::new("light", "a check", how(session));
    let (floors, customs) = (start_floors(session)?, start_customs(session)?);
    let servers: Vec<&Server> = floors
        .iter()
        .chain(customs.iter().map(|it| &it.server))
        .collect();
    for connections in CONNECTIONS {
        for round in 0..=session.sizes.rounds {
            for server in order(servers.len(), round).filter_map(|index| servers.get(index)) {
                let seen = ask(session, server, connections)?;
                if round > 0 {
                    seen.record(&mut findings, &server.name, connections);
                }
            }
        }
    }
    let floor = cheaper(&findings)?;
    draw_lines(&mut findings, &floor, session.earlier.is_some());
    findings.add_fact("the floor", &floor);
    let through: Vec<&Server> = floors
        .iter()
        .filter(|server| server.name == floor)
        .chain(customs.iter().map(|it| &it.server))
        .collect();
    envoy::measure(session, &mut findings, &through)?;
    Ok(findings)
}

fn how(session: &Session) -> String {
    format!(
        "{} rounds of {} s to each server, {} checks a second, each sent when due; `4 x` means over 4 connections in turn. \
         Servers have one processor. A wake-up is a thread that had waited and runs again. `via Envoy` means as many \
         connections of clients to an Envoy with one worker, and figures of one request.",
        session.sizes.rounds,
        session.sizes.seconds,
        customs_test_support::bench_report::document::count(RATE as f64)
    )
}

fn start_floors(session: &Session) -> Result<Vec<Server>> {
    let kinds = [
        (Kind::Tonic, Layout::PerCore),
        (Kind::Tonic, Layout::Stealing),
        (Kind::Hyper, Layout::PerCore),
        (Kind::Sockets, Layout::PerCore),
    ];
    kinds
        .into_iter()
        .map(|(kind, layout)| Server::floor(session, kind, layout))
        .collect()
}

fn start_customs(session: &Session) -> Result<Vec<CustomsServer>> {
    let records = [Record::Off, Record::File, Record::Protobuf];
    let mut servers: Vec<CustomsServer> = records
        .into_iter()
        .map(|record| CustomsServer::start(session, MANY, record))
        .collect::<Result<_>>()?;
    let earlier = CustomsServer::start_earlier(session, MANY, &[Record::Off, Record::File])?;
    servers.extend(earlier);
    Ok(servers)
}

/// The measurements of one server in one round.
pub(crate) struct RoundFigures {
    pub cpu: f64,
    wakes: f64,
    pub p50: f64,
    pub p99: f64,
}

/// Sends the load of one round to a server.
pub(crate) fn ask(session: &Session, server: &Server, connections: usize) -> Result<RoundFigures> {
    let load = paced::Load {
        connections,
        rate: RATE,
        checks: RATE * session.sizes.seconds,
    };
    let (cpu, waits) = (server.cpu()?, server.waits()?);
    let took =
        paced::run(&server.endpoint, load).with_context(|| format!("{} was asked", server.name))?;
    let each = |count: u64| count as f64 / load.checks as f64;
    let (cpu, wakes) = (
        each(server.cpu()?.since(&cpu)) / 1e3,
        each(server.waits()?.since(&waits)),
    );
    server.settle()?;
    let (p50, p99) = percentiles(took)?;
    Ok(RoundFigures {
        cpu,
        wakes,
        p50,
        p99,
    })
}

/// Returns the median and the 99th percentile, in microseconds, without the first tenth, in which
/// connections are new.
fn percentiles(took: Vec<u64>) -> Result<(f64, f64)> {
    let first = took.len() / 10;
    let mut sorted: Vec<u64> = took.into_iter().skip(first).collect();
    sorted.sort_unstable();
    let of = |of_thousand| {
        percentile(&sorted, of_thousand)
            .map(|nanos| Duration::from_nanos(nanos).as_secs_f64() * 1e6)
            .context("nothing was asked")
    };
    Ok((of(500)?, of(990)?))
}

impl RoundFigures {
    fn record(&self, findings: &mut Findings, name: &str, connections: usize) {
        for (figure, value) in [
            (CPU, self.cpu),
            (WAKES, self.wakes),
            (P50, self.p50),
            (P99, self.p99),
        ] {
            findings.record(name, &condition(connections, figure), value);
        }
    }
}

fn condition(connections: usize, figure: &str) -> String {
    format!("{connections} x: {figure}")
}

/// Returns the name of the floor that costs less over four connections.
fn cheaper(findings: &Findings) -> Result<String> {
    let [_, usual] = CONNECTIONS;
    let floors = [Layout::PerCore, Layout::Stealing].map(|layout| Kind::Tonic.name(layout));
    let costs = floors.into_iter().filter_map(|name| {
        let cost = findings.estimate(&name, &condition(usual, CPU))?.median;
        Some((name, cost))
    });
    let least = costs.min_by(|one, other| one.1.total_cmp(&other.1));
    Ok(least.context("no floor was measured")?.0)
}

fn draw_lines(findings: &mut Findings, floor: &str, has_earlier: bool) {
    let name = |record| customs_server::name(MANY, record);
    for connections in CONNECTIONS {
        let (cpu, p99) = (condition(connections, CPU), condition(connections, P99));
        let says = |what: &str, one: &str, other: &str| {
            format!("{what} at 1,000/s over {connections}: {one} / {other}")
        };
        for record in [Record::Off, Record::File, Record::Protobuf] {
            let customs = name(record);
            let line = says("CPU a check", &customs, floor);
            findings.draw_line(line, TO_FLOOR, &cpu, [&customs, floor]);
        }
        let customs = name(Record::Off);
        if has_earlier {
            let earlier = customs_server::earlier_name(MANY, Record::Off);
            let line = says("CPU a check", &customs, &earlier);
            findings.draw_line(line, TO_EARLIER, &cpu, [&customs, &earlier]);
            let line = says("p99", &customs, &earlier);
            findings.draw_line(line, 1.0, &p99, [&customs, &earlier]);
        } else {
            let line = says("p99", &customs, floor);
            findings.draw_line(line, 1.0, &p99, [&customs, floor]);
        }
    }
}
