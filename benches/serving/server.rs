//! A measured server: a floor or a customs, as a process of its own.
//!
//! It knows the process from outside only. The rule: before anything is measured, a server must
//! have answered one check correctly, since h2load does not look into answers.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::value::Kind as ValueKind;
use prost::Message;

use crate::floor::{Kind, Layout};
use crate::session::{self, Session};
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
    pub port: u16,
    process: Process,
}

impl Server {
    pub(crate) fn new(name: String, port: u16, process: Process) -> Server {
        Server {
            name,
            port,
            process,
        }
    }

    /// Starts this binary again as a floor.
    pub(crate) fn floor(session: &Session, kind: Kind, layout: Layout) -> Result<Server> {
        let name = kind.name(layout);
        let log = session
            .folder("floors")?
            .join(format!("{}-{}.log", kind.word(), layout.word()));
        // Only the last start's port counts.
        let _ = std::fs::remove_file(&log);
        let mut command = session.command(&std::env::current_exe()?);
        command.args(["floor", kind.word(), layout.word()]);
        let mut process = Process::start(&name, &mut command, &log, &session.guard)?;
        let mut port = None;
        process.wait_until_ready(|| {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            port = text
                .split_once('\n')
                .and_then(|(line, _)| line.parse().ok());
            port.is_some()
        })?;
        let server = Server::new(name, port.context("a floor printed no port")?, process);
        server.must_allow("")?;
        Ok(server)
    }

    /// Sends the captured check once. It must be allowed, and for this reason if one is given.
    pub(crate) fn must_allow(&self, reason: &str) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let answer = runtime
            .block_on(ask(self.port))
            .with_context(|| self.name.clone())?;
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

async fn ask(port: u16) -> Result<CheckResponse> {
    let message = session::check_message()?;
    let mut client = AuthorizationClient::connect(format!("http://127.0.0.1:{port}")).await?;
    Ok(client
        .check(CheckRequest::decode(message.as_slice())?)
        .await?
        .into_inner())
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
