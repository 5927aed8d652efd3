//! The addresses of a server: bound before anything is written, and opened once checks may be
//! answered.

use anyhow::anyhow;
use tokio::sync::watch;

use super::tasks::Tasks;
use crate::app::decision_log::AuditedDecisionLog;
use crate::app::opening;
use crate::app::ports::refusals::PortRefusals;
use crate::app::settings::Resolved;
use customs_extauthz::Services;
use customs_net::{Address, Listener, Port, Reserved, Workers};
use customs_sources::Status;

/// The addresses for checks and for operators.
pub(super) struct Addresses {
    pub(super) listeners: Vec<Reserved>,
    pub(super) admin: Option<Listener>,
}

impl Addresses {
    pub(super) async fn bind(settings: &Resolved) -> anyhow::Result<Addresses> {
        Ok(Addresses {
            listeners: bind(settings).await?,
            admin: bind_admin(settings.admin.as_ref()).await?,
        })
    }
}

async fn bind(settings: &Resolved) -> anyhow::Result<Vec<Reserved>> {
    let mut listeners = Vec::new();
    for address in &settings.listen {
        listeners.push(address.reserve().await?);
    }
    Ok(listeners)
}

async fn bind_admin(address: Option<&Address>) -> anyhow::Result<Option<Listener>> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = address.bind().await.map_err(|problem| {
        let why = problem.cause();
        anyhow!("cannot listen on {address} (--admin): {why}; choose another address, or `off`")
    })?;
    tracing::info!(address = listener.local(), "answering operators");
    Ok(Some(listener))
}

/// Addresses that are bound and not open yet, and the services that will answer there.
pub(super) struct Closed {
    pub(super) addresses: Vec<Reserved>,
    pub(super) services: Services<AuditedDecisionLog>,
    pub(super) port: Port<PortRefusals>,
    pub(super) workers: Workers,
}

impl Closed {
    /// Opens the addresses; connections are accepted once the sources were read for the first time.
    pub(super) fn open(
        self,
        checks: &mut Tasks,
        files: Option<&watch::Receiver<Status>>,
    ) -> anyhow::Result<()> {
        for address in self.addresses {
            let listener = address.open()?;
            let (services, port) = (self.services.clone(), self.port.clone());
            let (workers, files) = (self.workers.clone(), files.cloned());
            checks.spawn("a listener for checks", async move {
                if let Some(files) = files {
                    opening::first_round(files).await;
                }
                tracing::info!(address = listener.local(), "answering checks");
                services.serve(port, listener, workers).await
            });
        }
        Ok(())
    }
}
