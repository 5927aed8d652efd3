//! TLS of the addresses: its files are read before anything is served, and again whenever they
//! change.
//!
//! What a change means is decided by `customs_tls`, and what operators see of it by
//! [`certificates`]. The rule: at the start, files that cannot be used end the process with the
//! reason; later, the last good files stay in use.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::settings::Resolved;
use crate::ops::certificates::{self, AddressCertificates, CertificatesReading};
use customs_audit::sinks::SinkCertificate;
use customs_sources::{FileWatch, Trigger};
use customs_tls::pem::CredentialsError;
use customs_tls::server::{CurrentConfig, ServerOptions, ServerTls};

/// The name of the addresses for checks, as of their setting.
pub(super) const LISTEN: &str = "listen";
/// The name of the address for operators, as of its setting.
pub(super) const ADMIN: &str = "admin";

/// The pause between two reads that must agree: the settle time, within these bounds.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// The files of an address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve TLS at the address of `{address}`: {problem}")]
pub(super) struct OpenTlsError {
    address: String,
    #[source]
    problem: CredentialsError,
}

/// TLS of every address that has it, opened once.
#[derive(Debug, Default)]
pub(super) struct TlsAddresses {
    opened: Vec<OpenedTls>,
    /// The certificates that sinks present, which the sinks read themselves.
    sinks: Vec<SinkCertificate>,
}

#[derive(Debug)]
struct OpenedTls {
    address: String,
    tls: ServerTls,
    certificates: Arc<AddressCertificates>,
}

/// The certificates of all addresses and sinks, for operators.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    addresses: Arc<[Arc<AddressCertificates>]>,
    sinks: Arc<[SinkCertificate]>,
}

impl Certificates {
    /// Returns what operators see now.
    pub(super) fn readings(&self) -> Vec<CertificatesReading> {
        let of_sinks = self.sinks.iter().filter_map(SinkCertificate::reading);
        let of_sinks = of_sinks.map(|reading| certificates::of_sink(reading, Timestamp::now()));
        let of_addresses = self.addresses.iter().map(|one| one.reading());
        of_addresses.chain(of_sinks).collect()
    }
}

/// The tasks that read files again, each with the handle that asks it to do so now.
pub(super) struct TlsReload {
    tls: OpenedTls,
    watch: FileWatch,
    pause: Duration,
}

impl TlsAddresses {
    /// Reads all files. Blocks, and forever if a file system hangs.
    ///
    /// # Errors
    /// Returns which address cannot be served, why, and what to do.
    pub(super) fn open(settings: &Resolved) -> Result<TlsAddresses, OpenTlsError> {
        let mut addresses = TlsAddresses::default();
        for (address, options) in [(LISTEN, &settings.tls), (ADMIN, &settings.admin_tls)] {
            if let Some(options) = options {
                addresses.add(address, options)?;
            }
        }
        for sink in &settings.audit.sinks {
            if let Some(options) = sink.tail.tls() {
                addresses.add(&sink.name(), &options)?;
            }
        }
        Ok(addresses)
    }

    fn add(&mut self, address: &str, options: &ServerOptions) -> Result<(), OpenTlsError> {
        let address = address.to_owned();
        let tls = match ServerTls::open(options.clone()) {
            Ok(tls) => tls,
            Err(problem) => return Err(OpenTlsError { address, problem }),
        };
        let in_use = tls.in_use().clone();
        let certificates = AddressCertificates::new(&*address, in_use, Timestamp::now());
        self.opened.push(OpenedTls {
            address,
            tls,
            certificates: Arc::new(certificates),
        });
        Ok(())
    }

    /// Returns what an address uses for handshakes; `None` is plain text.
    pub(super) fn config(&self, address: &str) -> Option<CurrentConfig> {
        let mut opened = self.opened.iter();
        let found = opened.find(|one| one.address == address)?;
        Some(found.tls.config())
    }

    /// Adds the certificates that sinks present.
    pub(super) fn with_sinks(self, sinks: Vec<SinkCertificate>) -> TlsAddresses {
        TlsAddresses { sinks, ..self }
    }

    /// Returns the certificates of all addresses and sinks.
    pub(super) fn certificates(&self) -> Certificates {
        let addresses = self.opened.iter().map(|one| one.certificates.clone());
        Certificates {
            addresses: addresses.collect(),
            sinks: self.sinks.clone().into(),
        }
    }

    /// Returns the tasks that read the files again.
    pub(super) fn reloads(self, settings: &Resolved) -> Vec<TlsReload> {
        let opened = self.opened.into_iter();
        let reload = |tls: OpenedTls| {
            let files: Vec<PathBuf> = tls.tls.files().map(PathBuf::from).collect();
            TlsReload {
                watch: FileWatch::new(&files, settings.reload_settle, settings.reload_rescan),
                pause: settings.reload_settle.clamp(PAUSE.0, PAUSE.1),
                tls,
            }
        };
        opened.map(reload).collect()
    }
}

impl TlsReload {
    /// Returns the handle that asks for reading now.
    pub(super) fn trigger(&self) -> Trigger {
        self.watch.trigger()
    }

    /// Reads the files whenever they may have changed, until stopped.
    pub(super) async fn run(self, stop: CancellationToken) {
        let TlsReload { tls, watch, pause } = self;
        let OpenedTls {
            mut tls,
            certificates,
            ..
        } = tls;
        let read = move || {
            let refresh = tls.refresh(pause);
            certificates.observe(&refresh, tls.in_use(), Timestamp::now());
        };
        watch.run(read, stop).await;
    }
}
