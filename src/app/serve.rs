//! `customs serve`: connects the edges, starts them in order, and ends them in order.
//!
//! The start has four steps: bind the addresses, spawn the tasks, load the policies, open for
//! checks. The admin address and signals work while the policies are read, which may take long or
//! hang. Checks are answered as soon as the first read is complete, or after a short wait with
//! `no_policy` ([`opening`]); with `--require-policy` the addresses stay closed until a set is in
//! force. Every task is watched: the first that ends by itself ends the process. The end on a
//! signal has five steps: health reports NOT_SERVING, checks are answered through the drain delay,
//! listeners close, checks in flight finish within the drain timeout, the audit log is flushed.

mod addresses;
mod archiving;
mod readiness;
mod reloading;
mod tasks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use addresses::{Addresses, Closed};
use readiness::report_readiness;
use reloading::{reload_until, reloader};
use tasks::{Tasks, done};

use super::decision_log::AuditedDecisionLog;
use super::explain::server::ExplainServer;
use super::opening::{self, RequiredPolicyError};
use super::ports::Ports;
use super::settings::Resolved;
use super::shutdown::{self, EndSignal, Termination};
use super::status::Overview;
use super::tail_listeners::{self, Tails};
use super::telemetry;
use super::tls_addresses::{Certificates, TlsAddresses, TlsReload};
use crate::ops::admin::{self, AdminLimits, AdminState};
use crate::ops::health::{self, HealthHandle};
use crate::ops::metrics::Metrics;
use crate::ops::questions::Questions;
use crate::ops::refusals;
use customs_audit::recorder::Recorder;
use customs_audit::sinks::Reopen;
use customs_audit::start::{self as audit, AuditLog, Writers};
use customs_engine::snapshot::{Revision, Snapshot};
use customs_extauthz::{Checks, Services};
use customs_net::{Reserved, Workers};
use customs_policy::store;
use customs_record::clock::now;
use customs_record::{Entry, StartEntry, StopEntry};
use customs_sources::policy_archive::archiver::{Archiver, ArchiverStatus};
use customs_sources::{Reloader, SettingsFile, Trigger};
use customs_telemetry::{MetricsExport, Telemetry};

/// How long the tasks that do not answer checks may take to end.
const END_BOUND: Duration = Duration::from_secs(2);
/// How long flushing the audit log may take.
const FLUSH_BOUND: Duration = Duration::from_secs(5);

/// Why `serve` failed.
#[derive(Debug)]
pub(super) enum ServeError {
    /// Policies are required and do not load.
    Policy(RequiredPolicyError),
    /// Any other error.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for ServeError {
    fn from(why: E) -> ServeError {
        ServeError::Other(why.into())
    }
}

/// Serves until a signal ends it. The audit log is flushed in every case.
///
/// # Errors
/// Returns why it could not start, what ended by itself, or which time limit was exceeded while
/// ending.
pub(super) async fn serve(
    settings: Resolved,
    file: Option<SettingsFile>,
    telemetry: Option<&Telemetry>,
) -> Result<(), ServeError> {
    let mut termination = Termination::listen().context("cannot listen to signals")?;
    let hangups = shutdown::hangups().context("cannot listen to signals")?;
    // Addresses come first: if one of them cannot be bound, nothing has been written yet.
    let addresses = Addresses::bind(&settings).await?;
    let bound = tail_listeners::bind(&settings.audit.sinks).await?;
    let resolved = settings.clone();
    let opened = shutdown::unless_ended(&mut termination, move || TlsAddresses::open(&resolved));
    let tls = match opened.await? {
        Ok(opened) => opened?,
        Err(signal) => {
            tracing::info!(
                signal = signal.as_str(),
                "ended before the certificates were read"
            );
            return Ok(());
        }
    };
    let audit_log = settings.audit.clone();
    // Opening a file may hang forever on a broken file system.
    let AuditLog {
        recorder,
        writers,
        reopen,
        tails,
        certificates,
    } = match shutdown::unless_ended(&mut termination, move || audit::start(&audit_log)).await? {
        Ok(started) => started?,
        Err(signal) => {
            tracing::info!(
                signal = signal.as_str(),
                "ended before the audit was open; nothing was answered"
            );
            return Ok(());
        }
    };
    let tls = tls.with_sinks(certificates);
    let log = AuditedDecisionLog {
        recorder: recorder.clone(),
        metrics: metrics(&settings),
        refusals: Arc::default(),
        spans: telemetry.and_then(Telemetry::spans),
    };
    let exported = telemetry.and_then(Telemetry::metrics);
    let ports = Ports::new(
        &settings,
        &log,
        &tls,
        (addresses.admin.is_some(), tails.len()),
    );
    let mut record = (writers, bound.serve(&tails, &ports, &settings.connections)?);
    let started = Running::start(
        &settings,
        file,
        log,
        (hangups, reopen, exported),
        (addresses, ports, tls),
    );
    let served = match started.await {
        Ok(running) => {
            running
                .watch_and_end(&settings, &mut termination, &mut record)
                .await
        }
        Err(why) => {
            record_stop(&recorder, "the start failed", Revision::none().to_string()).await;
            Err(why)
        }
    };
    let (writers, tails) = record;
    let flushed = writers.finish(FLUSH_BOUND).await;
    // The end of the last writer has closed the streams of the subscribers.
    tails.finish().await;
    served?;
    flushed?;
    tracing::info!("ended");
    Ok(())
}

/// Everything that is running and must be ended.
struct Running {
    /// The listeners for checks, and the token that ends them.
    checks: (Tasks, CancellationToken),
    /// The listeners that open once a set is in force, if that is required.
    closed: Option<Closed>,
    /// All other tasks, and the token that ends them.
    others: (Tasks, CancellationToken),
    overview: Overview,
    health: HealthHandle,
    log: AuditedDecisionLog,
}

impl Running {
    /// Spawns everything. Checks are not answered yet, and no policy has been read.
    async fn start(
        settings: &Resolved,
        file: Option<SettingsFile>,
        log: AuditedDecisionLog,
        (hangups, reopen, exported): (Signal, Reopen, Option<MetricsExport>),
        (Addresses { listeners, admin }, ports, tls): (Addresses, Ports, TlsAddresses),
    ) -> Result<Running, ServeError> {
        watch_audit(&log);
        if let Some(spans) = log.spans.clone() {
            log.metrics.watch_spans(move || spans.dropped());
        }
        log.recorder.record(started(&listeners, settings)).await;

        let (mut others, stop) = (Tasks::default(), CancellationToken::new());
        let (changes, received) = mpsc::unbounded_channel();
        others.spawn(
            "the record of policy changes",
            done(record_changes(received, log.clone())),
        );
        let (publisher, reader) = store::cell(Snapshot::unloaded(settings.engine.clone()));
        let archiver = archiving::start(settings.policy_archive.as_deref(), &log.metrics)?;
        let archive = archiver.as_ref().map(Archiver::status);
        let reloader = reloader(settings, file, publisher, &log, changes, archiver);
        let overview = overview(&reloader, &log, tls.certificates(), archive);
        let certificates = tls.certificates();
        log.metrics
            .watch_certificates(move || certificates.readings());
        let (health, health_service) = health::service().await;
        health.set_ready(overview.is_ready()).await;
        let stop_checks = CancellationToken::new();
        let explainer = ExplainServer {
            reader: reader.clone(),
            log: log.clone(),
        };
        let service = Checks::new(
            reader,
            Arc::new(log.clone()),
            settings.responses.clone(),
            settings.recorded_headers.clone(),
        );
        let services = Services::new(
            service,
            health_service,
            settings.connections,
            stop_checks.clone(),
        )?;
        let mut checks = Tasks::default();
        let (workers, threads) = Workers::new(settings.threads);
        for thread in threads {
            checks.spawn("a thread that answers checks", thread.run());
        }
        let closed = Closed {
            addresses: listeners,
            services,
            port: ports.checks,
            workers,
        };
        // A client that connects waits a short time for the first policies. With `--require-policy`
        // no client can connect before.
        let closed = match settings.require_policy {
            true => Some(closed),
            false => {
                closed.open(&mut checks, Some(&overview.files))?;
                None
            }
        };
        let readiness =
            report_readiness(overview.clone(), health.clone(), log.clone(), stop.clone());
        others.spawn("readiness", done(readiness));
        others.spawn(
            "the record of refusals",
            done(record_refusals(log.clone(), stop.clone())),
        );
        let reloads = tls.reloads(settings);
        let mut triggers: Vec<Trigger> = reloads.iter().map(TlsReload::trigger).collect();
        triggers.push(reloader.trigger());
        for reload in reloads {
            let name = "the reload of certificates";
            others.spawn(name, done(reload.run(stop.clone())));
        }
        others.spawn(
            "the policy reload",
            done(reload_until(
                reloader,
                triggers,
                (hangups, reopen),
                stop.clone(),
            )),
        );
        if let Some(export) = exported {
            let export = telemetry::export_metrics(export, log.metrics.clone(), stop.clone());
            others.spawn("the export of metrics", done(export));
        }
        if let Some(listener) = admin {
            let report = overview.clone();
            let limits = AdminLimits::new(&settings.connections);
            let questions = Questions::new(limits.request_timeout, move |request| {
                Box::pin(explainer.clone().answer(request))
            });
            let status = Arc::new(move || report.report());
            let state = AdminState {
                metrics: log.metrics.clone(),
                status,
                questions,
            };
            let (files, stop) = (overview.files.clone(), stop.clone());
            others.spawn("the admin address", async move {
                opening::first_round(files).await;
                let router = admin::router(state);
                admin::serve(ports.admin, listener, router, limits, stop).await
            });
        }
        Ok(Running {
            checks: (checks, stop_checks),
            closed,
            others: (others, stop),
            overview,
            health,
            log,
        })
    }

    /// Waits for a signal, or for a task that ends by itself, and ends everything in order.
    async fn watch_and_end(
        mut self,
        settings: &Resolved,
        termination: &mut Termination,
        (writers, tails): &mut (Writers, Tails),
    ) -> Result<(), ServeError> {
        let required = self.closed.is_some().then(|| self.overview.files.clone());
        let mut policy = std::pin::pin!(opening::required_policy(required));
        let now = Duration::ZERO;
        let (cause, broken, delay) = loop {
            tokio::select! {
                signal = termination.next() => {
                    tracing::info!(signal = signal.as_str(), "shutting down: new checks are not wanted");
                    // A user who interrupts the process waits for its end; clients behind a proxy
                    // do not.
                    let delay = if signal == EndSignal::Terminate { settings.drain_delay } else { now };
                    break (signal.as_str(), None, delay);
                }
                name = self.checks.0.first_end() => break ("a listener ended", Some(name), now),
                name = self.others.0.first_end() => break ("a task ended", Some(name), now),
                () = writers.ended() => break ("the audit ended", Some("the audit".to_owned()), now),
                name = tails.ended() => break ("a tail ended", Some(name), now),
                loaded = &mut policy, if self.closed.is_some() => match (loaded, self.closed.take()) {
                    (Ok(()), Some(closed)) => {
                        if let Err(why) = closed.open(&mut self.checks.0, None) {
                            return self.give_up(why.into()).await;
                        }
                    }
                    (Ok(()), None) => {}
                    (Err(why), _) => return self.give_up(ServeError::Policy(why)).await,
                },
            }
        };
        self.overview.draining.store(true, Ordering::Relaxed);
        self.health.drain().await;
        self.log.metrics.set_ready(false);
        drain_delay(delay, termination).await;
        self.checks.1.cancel();
        let checks = end_checks(self.checks.0, &self.log, settings.drain_timeout).await;
        let (others, stop) = self.others;
        stop.cancel();
        let others_in_time = others.join(END_BOUND).await;
        archiving::finish(self.overview.archive.clone(), END_BOUND).await;
        // Includes the refusals of the last connections; those that cannot be recorded any more are
        // in the log and the metrics.
        let _ = timeout(END_BOUND, self.log.record_refusals()).await;
        let revision = self.overview.files.borrow().revision.to_string();
        record_stop(&self.log.recorder, cause, revision).await;
        match broken {
            Some(name) => Err(anyhow!("{name} ended by itself").into()),
            None if !others_in_time => Err(anyhow!("not everything ended in time").into()),
            None => Ok(checks?),
        }
    }
}

impl Running {
    /// Ends what was started before it answered a check; refusals are recorded by then.
    async fn give_up(self, why: ServeError) -> Result<(), ServeError> {
        self.checks.1.cancel();
        self.others.1.cancel();
        self.checks.0.join(END_BOUND).await;
        self.others.0.join(END_BOUND).await;
        record_stop(
            &self.log.recorder,
            "the start failed",
            Revision::none().to_string(),
        )
        .await;
        Err(why)
    }
}

/// Returns the first event of the process.
fn started(listeners: &[Reserved], settings: &Resolved) -> Entry {
    let listen = listeners.iter().map(Reserved::local).collect();
    let (version, enforcement) = (env!("CARGO_PKG_VERSION"), settings.engine.enforcement);
    Entry::Start(
        StartEntry {
            time: now(),
            version,
            listen,
            enforcement,
        }
        .into(),
    )
}

/// Records the last event of the process, unless a sink accepts no records for too long.
async fn record_stop(recorder: &Recorder, cause: &str, revision: String) {
    let (cause, decisions) = (cause.to_owned(), recorder.numbered());
    let stop = Entry::Stop(
        StopEntry {
            time: now(),
            cause,
            decisions,
            revision,
        }
        .into(),
    );
    if timeout(END_BOUND, recorder.record(stop)).await.is_err() {
        tracing::error!("a sink that accepts no records has no record of the stop");
    }
}

fn metrics(settings: &Resolved) -> Arc<Metrics> {
    let metrics = Metrics::new();
    metrics.set_enforcement(settings.engine.enforcement);
    Arc::new(metrics)
}

fn watch_audit(log: &AuditedDecisionLog) {
    // The metrics may read the numbers of the queue but must not keep it open.
    let recorder = log.recorder.clone();
    log.metrics.watch_audit(move || recorder.readings());
}

fn overview(
    reloader: &Reloader,
    log: &AuditedDecisionLog,
    certificates: Certificates,
    archive: Option<ArchiverStatus>,
) -> Overview {
    let recorder = log.recorder.clone();
    Overview {
        files: reloader.status(),
        draining: Arc::new(AtomicBool::new(false)),
        archive,
        recorder,
        certificates,
    }
}

/// Records what the reload reports, until the reload has ended.
async fn record_changes(mut entries: mpsc::UnboundedReceiver<Entry>, log: AuditedDecisionLog) {
    while let Some(entry) = entries.recv().await {
        log.recorder.record(entry).await;
    }
}

/// Records refusals from time to time, until stopped.
async fn record_refusals(log: AuditedDecisionLog, stop: CancellationToken) {
    while stop
        .run_until_cancelled(sleep(refusals::INTERVAL))
        .await
        .is_some()
    {
        log.record_refusals().await;
    }
}

/// Waits for the listeners' last connections.
///
/// # Errors
/// If some did not end in time: checks in flight, or a client that does not answer the GOAWAY.
async fn end_checks(
    mut checks: Tasks,
    log: &AuditedDecisionLog,
    bound: Duration,
) -> anyhow::Result<()> {
    if checks.wait(bound).await {
        return Ok(());
    }
    let unfinished = log.metrics.checks_in_flight();
    checks.abort().await;
    bail!(
        "the drain timeout passed with {unfinished} checks in flight; the remaining connections were closed"
    )
}

async fn drain_delay(delay: Duration, termination: &mut Termination) {
    if delay.is_zero() {
        return;
    }
    tokio::select! {
        () = sleep(delay) => {}
        signal = termination.next() => tracing::info!(signal = signal.as_str(), "shutting down without the rest of the drain delay"),
    }
}
