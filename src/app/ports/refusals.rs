//! Connects the ports with the audit log and the metrics: what they refuse is counted, logged and
//! recorded as every refusal before a check.

use std::fmt;
use std::sync::Arc;

use crate::app::decision_log::AuditedDecisionLog;
use crate::ops::metrics::Metrics;
use crate::ops::refusals::Refusals;
use customs_net::{ConnectionPeer, HandshakeRefusal, PortObserver, PortRefusal};
use customs_record::clock::now;
use customs_record::{PeerAddress, RefusalCause};

/// A kind of port, as metrics and examples name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum PortKind {
    /// The addresses of `listen`.
    Checks,
    /// The address of `admin`.
    Admin,
    /// The addresses of `tail:` sinks.
    Tail,
}

impl PortKind {
    /// Returns the word in metrics and examples.
    pub(in crate::app) fn as_str(self) -> &'static str {
        match self {
            PortKind::Checks => "checks",
            PortKind::Admin => "admin",
            PortKind::Tail => "tail",
        }
    }
}

/// Reports the refusals of one port. It does not keep the audit log open.
#[derive(Debug)]
pub(in crate::app) struct PortRefusals {
    metrics: Arc<Metrics>,
    refusals: Arc<Refusals>,
    kind: PortKind,
}

impl PortRefusals {
    pub(in crate::app) fn new(log: &AuditedDecisionLog, kind: PortKind) -> PortRefusals {
        PortRefusals::of(log.metrics.clone(), log.refusals.clone(), kind)
    }

    pub(in crate::app) fn of(
        metrics: Arc<Metrics>,
        refusals: Arc<Refusals>,
        kind: PortKind,
    ) -> PortRefusals {
        PortRefusals {
            metrics,
            refusals,
            kind,
        }
    }

    /// Counts what a connection of the port is refused or ended for.
    pub(in crate::app) fn refuse(
        &self,
        peer: &ConnectionPeer,
        cause: RefusalCause,
        example: &dyn fmt::Display,
    ) {
        let example = PortExample {
            kind: self.kind,
            peer,
            example,
        };
        self.metrics.observe_refusals(cause, 1);
        let address = peer.ip().map_or(PeerAddress::Unix, PeerAddress::Ip);
        self.refusals.add(address, cause, &example, now());
    }
}

impl PortObserver for PortRefusals {
    fn refused(&self, peer: &ConnectionPeer, refusal: PortRefusal) {
        self.refuse(peer, cause(refusal), &refusal);
    }

    fn handshake_refused(
        &self,
        peer: &ConnectionPeer,
        refusal: HandshakeRefusal,
        example: &dyn fmt::Display,
    ) {
        self.refuse(peer, handshake_cause(refusal), example);
    }
}

fn handshake_cause(refusal: HandshakeRefusal) -> RefusalCause {
    match refusal {
        HandshakeRefusal::PlainText => RefusalCause::TlsPlainText,
        HandshakeRefusal::ApplicationProtocol => RefusalCause::TlsApplicationProtocol,
        HandshakeRefusal::NoCertificate => RefusalCause::TlsNoCertificate,
        HandshakeRefusal::UnknownAuthority => RefusalCause::TlsUnknownAuthority,
        HandshakeRefusal::CertificateExpired => RefusalCause::TlsCertificateExpired,
        HandshakeRefusal::CertificateInvalid => RefusalCause::TlsCertificateInvalid,
        HandshakeRefusal::NotPermitted => RefusalCause::TlsNotPermitted,
        HandshakeRefusal::ServerCertificateRejected => RefusalCause::TlsServerCertificateRejected,
        HandshakeRefusal::Failed => RefusalCause::TlsHandshake,
    }
}

fn cause(refusal: PortRefusal) -> RefusalCause {
    match refusal {
        PortRefusal::TooManyConnections(_) => RefusalCause::TooManyConnections,
        PortRefusal::TooManyConnectionsOfPeer(_) => RefusalCause::TooManyConnectionsOfPeer,
        PortRefusal::GaveWay => RefusalCause::ConnectionGaveWay,
        PortRefusal::Silent(_) | PortRefusal::HandshakeLate(_) => RefusalCause::HandshakeTimeout,
        PortRefusal::UserNotAllowed => RefusalCause::UserNotAllowed,
    }
}

/// What was refused, and where.
struct PortExample<'p> {
    kind: PortKind,
    peer: &'p ConnectionPeer,
    example: &'p dyn fmt::Display,
}

impl fmt::Display for PortExample<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PortExample {
            kind,
            peer,
            example,
        } = self;
        write!(f, "{}: {example}", kind.as_str())?;
        match peer {
            ConnectionPeer::Unix(_) => write!(f, " ({peer})"),
            ConnectionPeer::Tcp(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use customs_net::UnixUser;

    #[test]
    fn an_example_names_the_port_and_the_user() {
        let (uid, gid, pid) = (1001, 7, None);
        let user = ConnectionPeer::Unix(Some(UnixUser { uid, gid, pid }));
        let address = ConnectionPeer::Tcp("10.0.0.1:5".parse().unwrap());
        for (kind, peer, refusal, expected) in [
            (
                PortKind::Checks,
                user,
                PortRefusal::UserNotAllowed,
                "checks: a user that the address does not list in `peers` (the user 1001)",
            ),
            (
                PortKind::Admin,
                address,
                PortRefusal::TooManyConnections(64),
                "admin: one connection more than 64, each of which is in use",
            ),
            (
                PortKind::Tail,
                address,
                PortRefusal::Silent(Duration::from_secs(5)),
                "tail: a connection on which nothing was sent for 5s",
            ),
        ] {
            let example = PortExample {
                kind,
                peer: &peer,
                example: &refusal,
            };
            assert_eq!(example.to_string(), expected);
        }
    }
}
