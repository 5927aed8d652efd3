//! The listeners of `tail:` sinks: their addresses are bound before anything starts, and they are
//! served until the audit log has ended, so that subscribers get its last records.

mod connection;

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ports::Ports;
use super::ports::refusals::PortRefusals;
use connection::TailService;
use customs_audit::config::{SinkConfig, Target};
use customs_audit::tail::{Tail, TailServer};
use customs_net::{Address, BindError, ConnectionLimits, Listener, Port, RuntimeTasks};

/// How long subscribers may take to read the last records.
const END_BOUND: Duration = Duration::from_secs(2);

/// Listeners for tails, in the order of the settings.
#[derive(Debug)]
pub(super) struct Bound(Vec<Listener>);

/// Tails that are being served.
#[derive(Debug)]
pub(super) struct Tails {
    tasks: JoinSet<Result<()>>,
    stop: CancellationToken,
}

/// Binds the addresses of all tails among the sinks.
///
/// # Errors
/// Returns which address cannot be used, and what to do.
pub(super) async fn bind(sinks: &[SinkConfig]) -> Result<Bound> {
    let mut bound = Vec::new();
    for sink in sinks {
        let Target::Tail(address) = &sink.target else {
            continue;
        };
        let address: Address = address
            .parse()
            .map_err(|why| anyhow!("--audit {sink}: {why}"))?;
        bound.push(
            address
                .bind()
                .await
                .map_err(|problem| cannot_bind(&problem))?,
        );
    }
    Ok(Bound(bound))
}

fn cannot_bind(problem: &BindError) -> anyhow::Error {
    let (address, why) = (problem.address(), problem.cause());
    anyhow!(
        "cannot listen on {address} (--audit tail:{address}): {why}; choose another address of this machine, or `tail:unix:PATH`"
    )
}

impl Bound {
    /// Serves the tails, which are in the order of the listeners, each on its port.
    ///
    /// # Errors
    /// If reflection cannot be built, which only a broken build causes.
    pub(super) fn serve(
        self,
        tails: &[Tail],
        ports: &Ports,
        limits: &ConnectionLimits,
    ) -> Result<Tails> {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for ((listener, tail), port) in self.0.into_iter().zip(tails).zip(&ports.tails) {
            tracing::info!(
                address = listener.local(),
                "serving subscribers of the audit log"
            );
            let server = TailServer::new(tail)?;
            tasks.spawn(serve(server, listener, port.clone(), *limits, stop.clone()));
        }
        Ok(Tails { tasks, stop })
    }
}

async fn serve(
    server: TailServer,
    listener: Listener,
    port: Port<PortRefusals>,
    limits: ConnectionLimits,
    stop: CancellationToken,
) -> Result<()> {
    let service = TailService::new(server.routes(), limits, port.observer().clone());
    let end = stop.clone();
    let connect = move |connection| service.clone().serve(connection, stop.clone());
    let served = port
        .serve(listener, RuntimeTasks::default(), end, connect)
        .await;
    served.context("the listener failed")
}

impl Tails {
    /// Waits until one ends by itself, which none should, and returns why; never returns without a
    /// tail.
    pub(super) async fn ended(&mut self) -> String {
        match self.tasks.join_next().await {
            None => std::future::pending().await,
            Some(Ok(Ok(()))) => "a tail of the audit log".to_owned(),
            Some(Ok(Err(why))) => {
                format!(
                    "a tail of the audit log failed ({}) and",
                    super::with_causes(&why)
                )
            }
            Some(Err(why)) => format!("a task of a tail of the audit log failed ({why}) and"),
        }
    }

    /// Lets subscribers read the last records, and then ends them. A slow subscriber is
    /// disconnected: it loses nothing that is stored elsewhere, and the process does not wait for
    /// it.
    pub(super) async fn finish(mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(END_BOUND, all).await.is_err() {
            tracing::warn!(
                "subscribers of the audit log did not read its end in time; they are disconnected"
            );
        }
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
