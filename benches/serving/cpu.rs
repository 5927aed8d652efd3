//! The cost of a check for a server: the processor time of all its threads, with 256 checks in
//! flight.
//!
//! The rule: work after the answer, such as writing the record, belongs to the check.

use anyhow::{Context, Result};

use crate::customs_server::{self, CustomsServer, FEW, MANY, Record};
use crate::floor::{Kind, Layout};
use crate::load::{self, Shape};
use crate::server::Server;
use crate::session::{Session, order};
use customs_test_support::bench_report::findings::Findings;

const SHAPES: [Shape; 3] = [
    Shape {
        connections: 1,
        streams: 256,
    },
    Shape {
        connections: 2,
        streams: 128,
    },
    Shape {
        connections: 4,
        streams: 64,
    },
];

/// The shape that lines are about: as many connections as a gateway with four workers opens.
pub(crate) const USUAL: Shape = Shape {
    connections: 4,
    streams: 64,
};

const LAYOUTS: [Layout; 2] = [Layout::PerCore, Layout::Stealing];

/// The records of which each is compared with that of an earlier build.
const RECORDS: [Record; 3] = [Record::Off, Record::File, Record::Protobuf];

/// How much more than the earlier build a check may cost.
const TO_EARLIER: f64 = 1.03;

/// Rounds and checks of the short measurement.
const LOOK: (usize, u64) = (3, 50_000);

pub(crate) fn measure(session: &mut Session) -> Result<Findings> {
    let mut findings = Findings::new("cpu", "µs of CPU a check", how(session));
    let (floors, customs) = (start_floors(session)?, start_customs(session)?);
    let servers: Vec<&Server> = floors
        .iter()
        .chain(customs.iter().map(|it| &it.server))
        .collect();
    for shape in SHAPES {
        ask_in_turn(
            session,
            &mut findings,
            &servers,
            shape,
            (session.sizes.rounds, session.sizes.checks),
        )?;
    }
    let layout = cheaper(&findings)?;
    session.cheaper = Some(layout);
    draw_lines(&mut findings, &Kind::Tonic.name(layout));
    if session.earlier.is_some() {
        draw_lines_to_earlier(&mut findings);
    }
    Ok(findings)
}

fn how(session: &Session) -> String {
    let (rounds, checks) = (
        session.sizes.rounds,
        customs_test_support::bench_report::document::count(session.sizes.checks as f64),
    );
    format!(
        "{rounds} rounds of {checks} checks to each server. `4x64` means 4 connections with 64 checks in flight on each. \
         Servers have a runtime for each processor unless their name says otherwise."
    )
}

fn start_floors(session: &Session) -> Result<Vec<Server>> {
    let kinds = [
        (Kind::Tonic, Layout::PerCore),
        (Kind::Tonic, Layout::Stealing),
        (Kind::TonicBytes, Layout::PerCore),
        (Kind::Hyper, Layout::PerCore),
    ];
    kinds
        .into_iter()
        .map(|(kind, layout)| Server::floor(session, kind, layout))
        .collect()
}

fn start_customs(session: &Session) -> Result<Vec<CustomsServer>> {
    let kinds = [
        (FEW, Record::Off),
        (MANY, Record::Off),
        (MANY, Record::File),
        (MANY, Record::Protobuf),
    ];
    let mut servers: Vec<CustomsServer> = kinds
        .into_iter()
        .map(|(rules, record)| CustomsServer::start(session, rules, record))
        .collect::<Result<_>>()?;
    servers.extend(CustomsServer::start_earlier(session, MANY, &RECORDS)?);
    Ok(servers)
}

/// Runs the rounds after the first, which warms up.
fn ask_in_turn(
    session: &Session,
    findings: &mut Findings,
    servers: &[&Server],
    shape: Shape,
    (rounds, checks): (usize, u64),
) -> Result<()> {
    for round in 0..=rounds {
        for server in order(servers.len(), round).filter_map(|index| servers.get(index)) {
            let ask = || load::closed(session, server.endpoint.port, shape, checks);
            let spent = server.cpu_per_check(checks, ask)?;
            if round > 0 {
                findings.record(&server.name, &shape.name(), spent);
            }
        }
    }
    Ok(())
}

/// Returns the layout of the floor: what [`measure`] found, or the result of a short measurement.
pub(crate) fn floor_layout(session: &mut Session) -> Result<Layout> {
    let layout = match session.cheaper {
        Some(layout) => layout,
        None => cheaper_layout(session)?,
    };
    session.cheaper = Some(layout);
    Ok(layout)
}

/// Returns the layout in which tonic costs less, by a short measurement.
fn cheaper_layout(session: &Session) -> Result<Layout> {
    let mut findings = Findings::new("look", "µs", "");
    let floors = LAYOUTS
        .into_iter()
        .map(|layout| Server::floor(session, Kind::Tonic, layout));
    let floors: Vec<Server> = floors.collect::<Result<_>>()?;
    ask_in_turn(
        session,
        &mut findings,
        &floors.iter().collect::<Vec<_>>(),
        USUAL,
        LOOK,
    )?;
    cheaper(&findings)
}

fn cheaper(findings: &Findings) -> Result<Layout> {
    let cost = |layout: &Layout| {
        findings
            .estimate(&Kind::Tonic.name(*layout), &USUAL.name())
            .map(|it| it.median)
    };
    let costs = LAYOUTS
        .into_iter()
        .filter_map(|layout| Some((layout, cost(&layout)?)));
    let least = costs.min_by(|one, other| one.1.total_cmp(&other.1));
    Ok(least.context("no floor was measured")?.0)
}

fn draw_lines(findings: &mut Findings, floor: &str) {
    let name = |rules, record| customs_server::name(rules, record);
    let (few, many) = (name(FEW, Record::Off), name(MANY, Record::Off));
    let (json, protobuf) = (name(MANY, Record::File), name(MANY, Record::Protobuf));
    for (one, other, bound) in [
        (&many, floor, 0.7),
        (&json, floor, 0.85),
        (&protobuf, floor, 0.85),
        (&many, &few, 1.1),
    ] {
        let says = format!("CPU a check at {}: {one} / {other}", USUAL.name());
        findings.draw_line(says, bound, &USUAL.name(), [one, other]);
    }
    findings.add_fact("the floor", floor);
}

fn draw_lines_to_earlier(findings: &mut Findings) {
    for record in RECORDS {
        let now = customs_server::name(MANY, record);
        let earlier = customs_server::earlier_name(MANY, record);
        let says = format!("CPU a check at {}: {now} / the earlier build", USUAL.name());
        findings.draw_line(says, TO_EARLIER, &USUAL.name(), [&now, &earlier]);
    }
}
