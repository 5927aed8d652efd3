//! The ports of the server: for checks, for operators, and of each tail. It joins their slots with
//! what observes them; [`slots`] says how many connections each may have, and [`refusals`] where
//! refusals go.

pub(super) mod refusals;
pub(super) mod slots;

use std::sync::Arc;

use super::decision_log::AuditedDecisionLog;
use super::settings::Resolved;
use super::tls_addresses::{ADMIN, LISTEN, TlsAddresses};
use customs_audit::config::Target;
use customs_net::{ConnectionSlots, Port, SlotLimits};
use refusals::{PortKind, PortRefusals};

/// The ports of one server.
#[derive(Debug)]
pub(super) struct Ports {
    /// All addresses for checks.
    pub(super) checks: Port<PortRefusals>,
    /// The address for operators.
    pub(super) admin: Port<PortRefusals>,
    /// The addresses of tails, in their order.
    pub(super) tails: Vec<Port<PortRefusals>>,
}

impl Ports {
    /// Creates the ports. Their addresses are bound and the audit log is started by then, so what
    /// is open then is not available for connections.
    pub(super) fn new(
        settings: &Resolved,
        log: &AuditedDecisionLog,
        tls: &TlsAddresses,
        (has_admin, tails): (bool, usize),
    ) -> Ports {
        let threads = settings.threads.get();
        let limits = settings.slots.fit(threads, has_admin, tails);
        let port = |limits: SlotLimits, kind| {
            let observer = Arc::new(PortRefusals::new(log, kind));
            // The first byte is the beginning of the handshake, whose deadline is the same.
            let timeout = settings.connections.handshake_timeout;
            Port::new(ConnectionSlots::new(limits), timeout, observer)
        };
        let ports = Ports {
            checks: port(limits.checks, PortKind::Checks).with_tls(tls.config(LISTEN)),
            admin: port(limits.admin, PortKind::Admin).with_tls(tls.config(ADMIN)),
            tails: settings
                .audit
                .sinks
                .iter()
                .filter(|sink| matches!(sink.target, Target::Tail(_)))
                .map(|sink| port(limits.tail, PortKind::Tail).with_tls(tls.config(&sink.name())))
                .collect(),
        };
        ports.show_in(log);
        ports
    }

    /// Makes the metrics show how many connections are open.
    fn show_in(&self, log: &AuditedDecisionLog) {
        let (checks, admin) = (self.checks.slots().clone(), self.admin.slots().clone());
        let of_tails = self.tails.iter().map(|port| port.slots().clone());
        let tails: Vec<ConnectionSlots> = of_tails.collect();
        log.metrics.watch_connections(move || {
            let of_tails = tails.iter().map(ConnectionSlots::open).sum();
            vec![
                (PortKind::Checks.as_str(), checks.open()),
                (PortKind::Admin.as_str(), admin.open()),
                (PortKind::Tail.as_str(), of_tails),
            ]
        });
    }
}
