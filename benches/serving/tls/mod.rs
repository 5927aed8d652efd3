//! What TLS costs: customs and the floor, each in plain text and with mutual TLS.
//!
//! Both have TLS 1.3 by rustls with the same files, and the same client asks all of them. Servers
//! have one processor; the load has the others. customs compares the client's SPIFFE id with its
//! list as well, which the floor does not. The rule: whatever is measured with TLS is measured
//! without it in the same round, so the difference is what TLS adds.

mod closed;
pub(crate) mod credentials;
mod new_connections;

use anyhow::{Context, Result};
use tokio_rustls::rustls::HandshakeKind;

use crate::connection::Endpoint;
use crate::cpu::{self, USUAL};
use crate::customs_server::{self, CustomsServer, MANY, Record};
use crate::floor::{Kind, Layout, Tickets};
use crate::light::{self, RATE};
use crate::server::Server;
use crate::session::{Session, order};
use credentials::Credentials;
use customs_test_support::bench_report::document::{count, number};
use customs_test_support::bench_report::findings::Findings;
use customs_test_support::bench_report::statistics::Estimate;

/// What is measured of each server.
const BUSY: &str = "4x64: CPU a check, µs";
const LIGHT: &str = "1,000/s: CPU a check, µs";
const LIGHT_P50: &str = "1,000/s: p50, µs";
const LIGHT_P99: &str = "1,000/s: p99, µs";
const CONNECTION: &str = "a new connection: CPU, µs";
const RATE_OF_CONNECTIONS: &str = "new connections a second";

/// How much customs with TLS may take, compared with the floor with TLS.
const TO_FLOOR: f64 = 1.05;

/// How many checks there are for each new connection.
const CHECKS_PER_CONNECTION: u64 = 100;

/// A server, and the part of the measurements in which it takes part.
struct Subject<'s> {
    name: String,
    server: &'s Server,
    endpoint: Endpoint,
    /// The kind of each handshake.
    kind: Option<HandshakeKind>,
    /// It is asked for many checks over a connection, not only for connections.
    is_asked_for_checks: bool,
}

pub(crate) fn measure(session: &mut Session) -> Result<Findings> {
    // The short measurement is that of `cpu`, so it is made where that is.
    let layout = cpu::floor_layout(session)?;
    session.separate_processors()?;
    let found = measure_apart(session, layout);
    session.join_processors()?;
    found
}

fn measure_apart(session: &Session, layout: Layout) -> Result<Findings> {
    let mut findings = Findings::new("tls", "", how(session));
    let credentials = Credentials::make(&session.folder("tls")?)?;
    let floor = Server::floor(session, Kind::Tonic, layout)?;
    let floor_tls = [Tickets::None, Tickets::Default]
        .map(|tickets| Server::floor_with_tls(session, Kind::Tonic, layout, &credentials, tickets));
    let [floor_tls, floor_tickets] = floor_tls;
    let (floor_tls, floor_tickets) = (floor_tls?, floor_tickets?);
    let customs = CustomsServer::start(session, MANY, Record::Off)?;
    let customs_tls = CustomsServer::start_with_tls(session, MANY, &credentials)?;
    let earlier_tls = CustomsServer::start_earlier_with_tls(session, MANY, &credentials)?;
    let mut subjects = vec![
        Subject::new(&floor, true),
        Subject::new(&floor_tls, true),
        Subject::new(&customs.server, true),
        Subject::new(&customs_tls.server, true),
        Subject::new(&floor_tickets, false),
        Subject::resuming(&floor_tickets, &credentials),
    ];
    subjects.extend(earlier_tls.iter().map(|it| Subject::new(&it.server, true)));
    for round in 0..=session.sizes.rounds {
        for subject in order(subjects.len(), round).filter_map(|index| subjects.get(index)) {
            let mut unused = Findings::new("", "", "");
            let into = match round {
                0 => &mut unused,
                _ => &mut findings,
            };
            subject
                .measure(session, into)
                .with_context(|| format!("{} was asked", subject.name))?;
        }
    }
    draw_lines(&mut findings, &floor.name, &floor_tls.name);
    Ok(findings)
}

fn how(session: &Session) -> String {
    format!(
        "{} rounds; in each, every server gets {} checks with 64 in flight on each of 4 connections, \
         {} checks a second over one connection for {} s, and {} new connections, each with one \
         check, 8 at a time. Servers have one processor and the load another. `no tickets`: the \
         server offers no resumption, as customs; `resumed`: every connection resumes a session.",
        session.sizes.rounds,
        count(session.sizes.checks as f64),
        count(RATE as f64),
        session.sizes.seconds,
        count((session.sizes.checks / CHECKS_PER_CONNECTION) as f64)
    )
}

impl<'s> Subject<'s> {
    fn new(server: &'s Server, is_asked_for_checks: bool) -> Subject<'s> {
        Subject {
            name: server.name.clone(),
            server,
            endpoint: server.endpoint.clone(),
            kind: server.endpoint.tls.as_ref().map(|_| HandshakeKind::Full),
            is_asked_for_checks,
        }
    }

    fn resuming(server: &'s Server, credentials: &Credentials) -> Subject<'s> {
        Subject {
            name: format!("{}, resumed", server.name),
            server,
            endpoint: Endpoint {
                tls: Some(credentials.resuming.clone()),
                ..server.endpoint
            },
            kind: Some(HandshakeKind::Resumed),
            is_asked_for_checks: false,
        }
    }

    fn measure(&self, session: &Session, findings: &mut Findings) -> Result<()> {
        if self.is_asked_for_checks {
            self.measure_checks(session, findings)?;
        }
        if self.kind == Some(HandshakeKind::Resumed) {
            new_connections::collect_sessions(&self.endpoint)?;
        }
        let connections = session.sizes.checks / CHECKS_PER_CONNECTION;
        let mut took = None;
        let spent = self.server.cpu_per_check(connections, || {
            took = Some(new_connections::run(
                &self.endpoint,
                self.kind,
                connections,
            )?);
            Ok(())
        })?;
        let took = took.context("no connection was opened")?.as_secs_f64();
        findings.record(&self.name, CONNECTION, spent);
        let rate = connections as f64 / took;
        findings.record(&self.name, RATE_OF_CONNECTIONS, rate);
        Ok(())
    }

    fn measure_checks(&self, session: &Session, findings: &mut Findings) -> Result<()> {
        let checks = session.sizes.checks;
        let spent = self
            .server
            .cpu_per_check(checks, || Ok(closed::run(&self.endpoint, USUAL, checks)?))?;
        findings.record(&self.name, BUSY, spent);
        let seen = light::ask(session, self.server, 1)?;
        findings.record(&self.name, LIGHT, seen.cpu);
        findings.record(&self.name, LIGHT_P50, seen.p50);
        findings.record(&self.name, LIGHT_P99, seen.p99);
        Ok(())
    }
}

fn draw_lines(findings: &mut Findings, floor: &str, floor_tls: &str) {
    let customs = customs_server::name(MANY, Record::Off);
    let customs_tls = customs_server::name_with_tls(MANY);
    for (what, condition) in [
        ("CPU a check at 4x64", BUSY),
        ("CPU a check at 1,000/s over 1", LIGHT),
        ("CPU of a new connection", CONNECTION),
    ] {
        let says = format!("{what}: {customs_tls} / {floor_tls}");
        findings.draw_line(says, TO_FLOOR, condition, [&customs_tls, floor_tls]);
        let pairs = [[floor, floor_tls], [&customs, &customs_tls]];
        let [of_floor, of_customs] = pairs.map(|pair| added(findings, condition, pair));
        let about = format!("TLS adds to {what}");
        findings.add_fact(about, format!("customs {of_customs}, the floor {of_floor}"));
    }
}

/// Describes what TLS adds, with its interval: the differences of each round.
fn added(findings: &Findings, condition: &str, [plain, tls]: [&str; 2]) -> String {
    let [plain, tls] = [plain, tls].map(|name| findings.rounds(name, condition));
    let differences: Vec<f64> = tls
        .iter()
        .zip(plain)
        .map(|(tls, plain)| tls - plain)
        .collect();
    match Estimate::of(&differences) {
        None => "was not measured".to_owned(),
        Some(Estimate { low, median, high }) => {
            let [low, median, high] = [low, median, high].map(number);
            format!("{median} µs ({low} to {high})")
        }
    }
}
