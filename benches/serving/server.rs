//! A measured server: a floor or a customs, as a process of its own.
//!
//! It knows the process from outside only. The rule: before anything is measured, a server must
//! have answered one check correctly, since h2load does not look into answers.

use std::ffi::OsString;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::google::protobuf::value::Kind as ValueKind;
use prost::Message;
use tokio_rustls::rustls::ClientConfig;

use crate::connection::{Check, Connection, Endpoint};
use crate::floor::{Kind, Layout, Tickets};
use crate::session::Session;
use crate::tls::credentials::Credentials;
use customs_test_support::bench_report::proc::{CpuTime, Memory, Waits};
use customs_test_support::process::Process;

/// A server is idle if its CPU time rises by less than this in [`PAUSE`].
const IDLE: Duration = Duration::from_micros(500);
const PAUSE: Duration = Duration::from_millis(50);
/// How long a server may continue to work after its last answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Server {
    /// The name in the tables.
    pub name: String,
    pub endpoint: Endpoint,
    process: Process,
}

impl Server {
    pub(crate) fn new(name: String, endpoint: Endpoint, process: Process) -> Server {
        Server {
            name,
            endpoint,
            process,
        }
    }

    /// Starts this binary again as a floor.
    pub(crate) fn floor(session: &Session, kind: Kind, layout: Layout) -> Result<Server> {
        let arguments = ["floor", kind.word(), layout.word()].map(OsString::from);
        Server::start_floor(session, kind.name(layout), &arguments, None)
    }

    /// Starts this binary again as a floor with mutual TLS.
    pub(crate) fn floor_with_tls(
        session: &Session,
        kind: Kind,
        layout: Layout,
        credentials: &Credentials,
        tickets: Tickets,
    ) -> Result<Server> {
        let name = tickets.name(&kind.name(layout));
        let mut arguments = ["floor", kind.word(), layout.word(), "--tickets"]
            .map(OsString::from)
            .to_vec();
        arguments.extend([tickets.word().into(), "--tls".into()]);
        arguments.push(credentials.folder().into());
        let client = credentials.full.clone();
        Server::start_floor(session, name, &arguments, Some(client))
    }

    fn start_floor(
        session: &Session,
        name: String,
        arguments: &[OsString],
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Server> {
        let log = session
            .folder("floors")?
            .join(format!("{}.log", name.replace(' ', "-")));
        // Only the last start's port counts.
        let _ = std::fs::remove_file(&log);
        let mut command = session.command(&std::env::current_exe()?);
        command.args(arguments);
        let mut process = Process::start(&name, &mut command, &log, &session.guard)?;
        let mut port = None;
        process.wait_until_ready(|| {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            port = text
                .split_once('\n')
                .and_then(|(line, _)| line.parse().ok());
            port.is_some()
        })?;
        let port = port.context("a floor printed no port")?;
        let server = Server::new(name, Endpoint { port, tls }, process);
        server.must_allow("")?;
        Ok(server)
    }

    /// Sends the captured check once. It must be allowed, and for this reason if one is given.
    pub(crate) fn must_allow(&self, reason: &str) -> Result<()> {
        let answer = ask(&self.endpoint).with_context(|| self.name.clone())?;
        let allowed = answer
            .status
            .as_ref()
            .is_some_and(|status| status.code == 0)
            && matches!(answer.http_response, Some(HttpResponse::OkResponse(_)));
        ensure!(
            allowed && reason_of(&answer) == reason,
            "{} must allow the check: {answer:?}",
            self.name
        );
        Ok(())
    }

    /// Returns the CPU time per check, in microseconds, over `checks` checks: of all threads,
    /// including work after the answers.
    pub(crate) fn cpu_per_check(
        &self,
        checks: u64,
        ask: impl FnOnce() -> Result<()>,
    ) -> Result<f64> {
        let before = self.cpu()?;
        ask().with_context(|| format!("{} was asked", self.name))?;
        self.settle()?;
        Ok(self.cpu()?.since(&before) as f64 / 1e3 / checks as f64)
    }

    /// Waits until it has nothing left to do, such as records to write.
    pub(crate) fn settle(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            let before = self.cpu()?;
            thread::sleep(PAUSE);
            if Duration::from_nanos(self.cpu()?.since(&before)) < IDLE {
                return Ok(());
            }
            ensure!(
                start.elapsed() < PATIENCE,
                "{} continues to work without being asked",
                self.name
            );
        }
    }

    pub(crate) fn cpu(&self) -> Result<CpuTime> {
        Ok(CpuTime::of(self.process.id())?)
    }

    pub(crate) fn waits(&self) -> Result<Waits> {
        Ok(Waits::of(self.process.id())?)
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        Ok(Memory::of(self.process.id())?)
    }
}

fn ask(endpoint: &Endpoint) -> Result<CheckResponse> {
    let connection = Connection::open(endpoint)?;
    let answer = connection.ask(&Check::captured(endpoint.port)?)?;
    connection.finish()?;
    let (_prefix, message) = answer
        .split_first_chunk::<5>()
        .context("the answer is too short")?;
    Ok(CheckResponse::decode(message)?)
}

/// Returns the reason in an answer of customs; floors send none.
fn reason_of(answer: &CheckResponse) -> &str {
    let fields = answer
        .dynamic_metadata
        .as_ref()
        .map(|metadata| &metadata.fields);
    match fields
        .and_then(|fields| fields.get("reason"))
        .and_then(|value| value.kind.as_ref())
    {
        Some(ValueKind::StringValue(reason)) => reason,
        _ => "",
    }
}
