//! What a server answers in time when more is asked than it can answer.
//!
//! Callers send checks when they are due, whatever happened to the earlier ones, and wait for half a
//! second. The rules: what a server can answer is measured in the same round, with the same clients;
//! servers have a processor for themselves, and the clients have another; an answer that is late is
//! no answer.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::cpu;
use crate::customs_server::{CustomsServer, FEW, Record};
use crate::floor::Kind;
use crate::server::Server;
use crate::session::{self, Session, order};
use customs_test_support::bench_report::document::count;
use customs_test_support::bench_report::findings::{Findings, Line};
use customs_test_support::offered_load::{Client, OfferedLoad, OfferedResult, Pace, quantile};

/// How long a caller waits.
const DEADLINE: Duration = Duration::from_millis(500);
const CONNECTIONS: usize = 8;
/// Checks in flight on each connection, while a server is asked for all that it can answer.
const STREAMS: usize = 32;
/// So many times what the server can answer.
const FACTORS: [f64; 3] = [1.0, 2.0, 5.0];
const MOST: f64 = 5.0;
/// How long the clients of one load rest before the next.
const REST: Duration = Duration::from_millis(600);

/// As Envoy does: it obeys the server's limit, and resets calls whose deadline has passed.
const USUAL: Client = Client {
    ignores_stream_limit: false,
    resets: true,
    traces: false,
};
/// The other clients, at [`MOST`] times.
const OTHERS: [(&str, Client, usize); 4] = [
    (
        "callers never reset",
        Client {
            resets: false,
            ..USUAL
        },
        CONNECTIONS,
    ),
    (
        "no limit is obeyed",
        Client {
            ignores_stream_limit: true,
            ..USUAL
        },
        CONNECTIONS,
    ),
    (
        "each call is traced",
        Client {
            traces: true,
            ..USUAL
        },
        CONNECTIONS,
    ),
    ("over 64 connections", USUAL, 64),
];

const GOODPUT: &str = "answered in time, of what it can";

pub(crate) fn measure(session: &mut Session) -> Result<Findings> {
    session.separate_processors()?;
    let findings = measure_apart(session);
    session.join_processors()?;
    findings
}

fn measure_apart(session: &mut Session) -> Result<Findings> {
    let how = format!(
        "{} rounds of {} s to each server, over {CONNECTIONS} connections unless said otherwise. Servers have one processor, and \
         the clients another. Checks are due at so many times the rate at which the server answered with {CONNECTIONS}x{STREAMS} \
         checks in flight, and count from then; callers wait for {} ms. `capacity / answered` is what it can answer over what \
         it answered in time.",
        session.sizes.rounds,
        session.sizes.seconds,
        DEADLINE.as_millis()
    );
    let mut findings = Findings::new("overload", "of what it can, ms, or MiB", how);
    let layout = cpu::floor_layout(session)?;
    let floor = Server::floor(session, Kind::Tonic, layout)?;
    let off = CustomsServer::start(session, FEW, Record::Off)?;
    let file = CustomsServer::start(session, FEW, Record::File)?;
    let servers = [&floor, &off.server, &file.server];
    for round in 0..=session.sizes.rounds {
        for server in order(servers.len(), round).filter_map(|index| servers.get(index)) {
            let counted = (round > 0).then_some(&mut findings);
            ask(session, server, counted)?;
        }
    }
    for server in [&off.server, &file.server] {
        draw_lines(&mut findings, &server.name);
    }
    Ok(findings)
}

/// Sends every load to a server.
fn ask(session: &Session, server: &Server, mut findings: Option<&mut Findings>) -> Result<()> {
    let usual = OfferedLoad {
        address: ([127, 0, 0, 1], server.endpoint.port).into(),
        connections: CONNECTIONS,
        pace: Pace::Closed(STREAMS),
        duration: Duration::from_secs(session.sizes.seconds),
        deadline: DEADLINE,
        check: session::check_message()?,
        client: USUAL,
    };
    let closed = usual.run()?;
    ensure!(
        closed.refused == 0,
        "{} refused checks without being overloaded",
        server.name
    );
    let capacity = closed.answered_a_second();
    let before = server.memory()?.now;
    let mut offer = |condition: &str, factor: f64, client, connections| -> Result<()> {
        // What the last load left must not be in the way of this one.
        thread::sleep(REST);
        server.settle()?;
        let pace = Pace::Open(factor * capacity);
        let load = OfferedLoad {
            pace,
            client,
            connections,
            ..usual.clone()
        };
        let result = load.run()?;
        if let Some(findings) = &mut findings {
            record(
                findings,
                &server.name,
                condition,
                (capacity, factor),
                &result,
            );
        }
        Ok(())
    };
    for factor in FACTORS {
        offer(&format!("{factor}x"), factor, USUAL, CONNECTIONS)?;
    }
    for (name, client, connections) in OTHERS {
        offer(&format!("{MOST}x, {name}"), MOST, client, connections)?;
    }
    let grown = server.memory()?.peak - before;
    if let Some(findings) = findings {
        findings.record(&server.name, "checks a second", capacity);
        findings.record(&server.name, "MiB grown", grown);
    }
    Ok(())
}

fn record(
    findings: &mut Findings,
    server: &str,
    condition: &str,
    (capacity, factor): (f64, f64),
    result: &OfferedResult,
) {
    let mut put =
        |what: &str, value: f64| findings.record(server, &format!("{condition}: {what}"), value);
    let goodput = result.answered_a_second() / capacity;
    put(GOODPUT, goodput);
    put("capacity / answered", 1.0 / goodput.max(f64::MIN_POSITIVE));
    // A client that cannot keep up offers less.
    put(
        "offered",
        result.offered as f64 / result.took.as_secs_f64() / capacity / factor,
    );
    put(
        "refused, of the offered",
        result.refused as f64 / result.offered.max(1) as f64,
    );
    for (what, times) in [
        ("answer", &result.answer_times),
        ("refusal", &result.refusal_times),
    ] {
        if let Some(time) = quantile(times, 990) {
            put(&format!("p99 ms until {what}"), f64::from(time) / 1e3);
        }
    }
}

fn draw_lines(findings: &mut Findings, server: &str) {
    let most = count(MOST);
    for (condition, bound, unit) in [
        ("capacity / answered", 1.25, "times"),
        ("p99 ms until refusal", 50.0, "ms"),
    ] {
        let condition = format!("{MOST}x: {condition}");
        let rounds = findings.rounds(server, &condition).to_vec();
        let says = format!("at {most} times what it can answer: {condition}, {server}");
        findings.lines.push(Line::new(says, unit, bound, rounds));
    }
    let rounds = findings.rounds(server, "MiB grown").to_vec();
    findings.lines.push(Line::new(
        format!("memory under overload: {server}"),
        "MiB",
        64.0,
        rounds,
    ));
}
