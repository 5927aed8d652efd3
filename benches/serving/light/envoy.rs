//! The same rate through a real Envoy in front of each server: what asking adds to a request, and
//! what it costs Envoy and the server.
//!
//! Clients are those of the part `envoy`, with a thread each. The rule: a request is sent when it
//! is due, or as soon as its connection has answered the one before, and its time counts from when
//! it was due.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{CONNECTIONS, CPU, P50, P99, RATE, condition, percentiles};
use crate::gateway::certificates::{Certificates, GATEWAY};
use crate::gateway::client::{self, REQUEST};
use crate::gateway::config;
use crate::gateway::filters;
use crate::gateway::setup::Envoy;
use crate::server::Server;
use crate::session::{Session, order};
use customs_test_support::bench_report::findings::Findings;

/// The Envoy that asks no server.
const NONE: &str = "no filter";
const ENVOY_CPU: &str = "CPU of Envoy, µs";

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An Envoy, and the server that it asks.
struct Setup<'s> {
    name: &'s str,
    envoy: Envoy,
    server: Option<&'s Server>,
}

/// Asks every server through an Envoy of its own, in turn, and adds the figures.
pub(super) fn measure(
    session: &Session,
    findings: &mut Findings,
    servers: &[&Server],
) -> Result<()> {
    let certificates = Certificates::make(&session.folder("light-certificates")?)?;
    let config = Arc::new(client::config(&certificates)?);
    let asked = servers.iter().copied().map(Some);
    let setups: Vec<Setup<'_>> = std::iter::once(None)
        .chain(asked)
        .map(|server| start(session, &certificates, server))
        .collect::<Result<_>>()?;
    for connections in CONNECTIONS {
        for round in 0..=session.sizes.rounds {
            for setup in order(setups.len(), round).filter_map(|index| setups.get(index)) {
                let mut unused = Findings::new("", "", "");
                let into = if round > 0 {
                    &mut *findings
                } else {
                    &mut unused
                };
                ask(session, setup, &config, connections, into)?;
            }
        }
    }
    Ok(())
}

fn start<'s>(
    session: &Session,
    certificates: &Certificates,
    server: Option<&'s Server>,
) -> Result<Setup<'s>> {
    let name = server.map_or(NONE, |server| &server.name);
    let filters = match server {
        Some(_) => filters::asking(),
        None => Vec::new(),
    };
    let port = server.map(|server| server.endpoint.port);
    let envoy = config::start(
        session,
        certificates,
        &format!("light {name}"),
        filters,
        port,
    )?;
    Ok(Setup {
        name,
        envoy,
        server,
    })
}

fn ask(
    session: &Session,
    setup: &Setup<'_>,
    config: &Arc<ClientConfig>,
    connections: usize,
    findings: &mut Findings,
) -> Result<()> {
    let requests = RATE * session.sizes.seconds;
    let clients: Vec<Client> = (0..connections)
        .map(|_| Client::connect(setup.envoy.port, config))
        .collect::<Result<_>>()
        .with_context(|| setup.name.to_owned())?;
    let (envoy, server) = (
        setup.envoy.cpu()?,
        setup.server.map(Server::cpu).transpose()?,
    );
    let took = ask_when_due(clients, requests).with_context(|| setup.name.to_owned())?;
    let each = |nanos: u64| nanos as f64 / 1e3 / requests as f64;
    let mut record = |figure: &str, value: f64| {
        let condition = format!("via Envoy, {}", condition(connections, figure));
        findings.record(setup.name, &condition, value);
    };
    record(ENVOY_CPU, each(setup.envoy.cpu()?.since(&envoy)));
    if let (Some(asked), Some(before)) = (setup.server, server) {
        record(CPU, each(asked.cpu()?.since(&before)));
        asked.settle()?;
    }
    let (p50, p99) = percentiles(took)?;
    record(P50, p50);
    record(P99, p99);
    Ok(())
}

/// Sends requests over the connections in turn, and returns how long each took, in nanoseconds.
fn ask_when_due(clients: Vec<Client>, requests: u64) -> Result<Vec<u64>> {
    let gap = Duration::from_secs(1) / u32::try_from(RATE)?;
    let (start, step) = (Instant::now() + gap, u32::try_from(clients.len())?);
    let each = requests / u64::from(step);
    thread::scope(|scope| {
        let asking: Vec<_> = (0..)
            .zip(clients)
            .map(|(place, client)| {
                scope.spawn(move || client.ask_when_due(start + gap * place, gap * step, each))
            })
            .collect();
        let mut all = Vec::new();
        for one in asking {
            all.extend(one.join().ok().context("a client panicked")??);
        }
        Ok(all)
    })
}

/// A connection with the workload's certificate.
struct Client(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    /// Connects, and sends one request.
    fn connect(port: u16, config: &Arc<ClientConfig>) -> Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let tls = ClientConnection::new(config.clone(), ServerName::try_from(GATEWAY)?)?;
        let mut client = Client(StreamOwned::new(tls, stream));
        client.ask()?;
        Ok(client)
    }

    fn ask_when_due(mut self, mut due: Instant, gap: Duration, requests: u64) -> Result<Vec<u64>> {
        let mut took = Vec::new();
        for _ in 0..requests {
            let early = due.saturating_duration_since(Instant::now());
            thread::sleep(early);
            // A thread that slept wakes a little late. The server did not cause that.
            let begun = if early.is_zero() { due } else { Instant::now() };
            self.ask()?;
            took.push(u64::try_from(begun.elapsed().as_nanos())?);
            due += gap;
        }
        Ok(took)
    }

    /// Sends one request and reads its answer.
    fn ask(&mut self) -> Result<()> {
        self.0.write_all(REQUEST.as_bytes())?;
        self.0.flush()?;
        let (mut buffer, mut held) = ([0; 4096], 0);
        loop {
            let read = self.0.read(buffer.get_mut(held..).unwrap_or_default())?;
            ensure!(read > 0, "Envoy closed the connection");
            held += read;
            let answer = buffer.get(..held).unwrap_or_default();
            if client::answer_length(answer)? == Some(held) {
                return Ok(());
            }
        }
    }
}
