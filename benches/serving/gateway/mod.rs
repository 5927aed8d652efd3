//! The cost of ext_authz in a real Envoy, next to the cost of its own RBAC: the same requests
//! through Envoys that differ only in their authorization filters.
//!
//! Clients use mutual TLS over HTTP/1.1 and keep their connections; Envoy answers by itself. The
//! rule: every Envoy runs for the whole part, and *added* is the difference to the Envoy without a
//! filter in the same round.

pub(crate) mod certificates;
pub(crate) mod client;
mod compare;
pub(crate) mod config;
pub(crate) mod filters;
mod rbac;
pub(crate) mod setup;

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::cpu;
use crate::customs_server::{CustomsServer, MANY, Record};
use crate::floor::Kind;
use crate::server::Server;
use crate::session::{Session, order};
use certificates::Certificates;
use client::Clients;
use customs_test_support::bench_report::findings::Findings;
use customs_test_support::bench_report::gateway::{
    ALL_CPU, BARE, CUSTOMS, ENVOY_CPU, FLOOR, NONE, P50, P99, RBAC_SIZES, RbacKind, SERVER_CPU,
};
use customs_test_support::bench_report::proc::CpuTime;
use customs_test_support::bench_report::statistics::percentile;
use setup::Setup;

pub(crate) fn measure(session: &mut Session) -> Result<Findings> {
    let how = format!(
        "{} rounds of {} s through each Envoy (one worker), over {} connections with one request at a time on each; figures \
         are of one request. Envoy's RBAC denies other callers than the measured one, so every policy is evaluated.",
        session.sizes.rounds, session.sizes.seconds, session.sizes.connections
    );
    let mut findings = Findings::new("envoy", "a request", how);
    let layout = cpu::floor_layout(session)?;
    let floor = Server::floor(session, Kind::Tonic, layout)?;
    let customs = CustomsServer::start(session, MANY, Record::File)?;
    let certificates = Certificates::make(&session.folder("certificates")?)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let bare = CustomsServer::start(session, MANY, Record::FileWithoutMetadata)?;
    let plans = plans(&floor, &customs.server, &bare.server).into_iter();
    let mut setups: Vec<Setup<'_>> = plans
        .map(|plan| start(session, &certificates, plan, &runtime))
        .collect::<Result<_>>()?;
    for round in 0..=session.sizes.rounds {
        for index in order(setups.len(), round) {
            let Some(setup) = setups.get_mut(index) else {
                continue;
            };
            let seen = ask(session, setup, &runtime)?;
            if round > 0 {
                seen.record(&mut findings, &setup.name);
            }
        }
    }
    for setup in &setups {
        setup.must_have_filtered()?;
    }
    compare::compare(&mut findings);
    Ok(findings)
}

/// An Envoy to start: its name, its filters, and the server that they ask.
type Plan<'s> = (String, Vec<Value>, Option<&'s Server>);

fn plans<'s>(floor: &'s Server, customs: &'s Server, bare: &'s Server) -> Vec<Plan<'s>> {
    let mut plans = vec![
        (NONE.to_owned(), vec![], None),
        (FLOOR.to_owned(), filters::asking(), Some(floor)),
        (CUSTOMS.to_owned(), filters::asking(), Some(customs)),
        (BARE.to_owned(), filters::asking(), Some(bare)),
    ];
    for kind in RbacKind::ALL {
        plans
            .extend(RBAC_SIZES.map(|size| (kind.name(size), vec![rbac::filter(kind, size)], None)));
    }
    plans
}

/// Starts an Envoy, and sends one request over each connection.
fn start<'s>(
    session: &Session,
    certificates: &Certificates,
    (name, filters, server): Plan<'s>,
    runtime: &Runtime,
) -> Result<Setup<'s>> {
    let envoy = config::start(
        session,
        certificates,
        &name,
        filters,
        server.map(|server| server.endpoint.port),
    )?;
    let clients = Clients::connect(envoy.port, certificates, session.sizes.connections);
    let clients = runtime.block_on(clients).with_context(|| name.clone())?;
    Ok(Setup {
        name,
        envoy,
        server,
        clients,
        requests: 0,
    })
}

/// The measurements of one Envoy in one round.
struct RoundFigures {
    p50: f64,
    p99: f64,
    envoy: f64,
    server: Option<f64>,
}

fn ask(session: &Session, setup: &mut Setup<'_>, runtime: &Runtime) -> Result<RoundFigures> {
    let (envoy, server) = (setup.envoy.cpu()?, setup.server_cpu()?);
    let duration = Duration::from_secs(session.sizes.seconds);
    let took = runtime
        .block_on(setup.clients.ask_for(duration))
        .with_context(|| setup.name.clone())?;
    if let Some(server) = setup.server {
        server.settle()?;
    }
    setup.requests += took.len() as u64;
    let each = |now: CpuTime, before: &CpuTime| now.since(before) as f64 / 1e3 / took.len() as f64;
    let latency = |of_thousand| percentile(&took, of_thousand).unwrap_or_default() as f64 / 1e3;
    Ok(RoundFigures {
        p50: latency(500),
        p99: latency(990),
        envoy: each(setup.envoy.cpu()?, &envoy),
        server: setup
            .server_cpu()?
            .zip(server.as_ref())
            .map(|(now, before)| each(now, before)),
    })
}

impl RoundFigures {
    fn record(&self, findings: &mut Findings, name: &str) {
        findings.record(name, P50, self.p50);
        findings.record(name, P99, self.p99);
        findings.record(name, ALL_CPU, self.envoy + self.server.unwrap_or_default());
        findings.record(name, ENVOY_CPU, self.envoy);
        if let Some(server) = self.server {
            findings.record(name, SERVER_CPU, server);
        }
    }
}
