//! The certificates of the addresses with TLS, and of the sinks that present one, as operators see
//! them: what is in use, until when, and what is wrong with the files.
//!
//! It reads no file. The rules: what is wrong is logged once, and stays in the status until it is
//! over; and a certificate that nobody renews is reported before it expires.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use customs_audit::sinks::SinkCertificateReading;
use customs_tls::certificate::{CertificateExpiry as Expiry, CertificateSummary};
use customs_tls::server::{InUse, ServerRefresh};

/// The certificates of one address, and what happened to them.
#[derive(Debug)]
pub struct AddressCertificates {
    address: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    in_use: InUse,
    refused: Option<String>,
    certificate: Expiry,
    client_ca: Expiry,
    replaced: u64,
    refusals: u64,
}

/// What operators see of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatesReading {
    /// The address, by the name of its setting, or the sink.
    pub address: String,
    /// The certificate in use.
    pub certificate: CertificateSummary,
    /// When the first of the authorities of clients expires that was valid when they were read.
    pub client_ca_not_after: Option<Timestamp>,
    /// Why the files were refused, if they were.
    pub refused: Option<String>,
    /// What expires soon, or has expired.
    pub expiring: Vec<String>,
    /// How often other certificates came into use.
    pub replaced: u64,
    /// How often files were refused.
    pub refusals: u64,
}

impl AddressCertificates {
    /// Begins with what the files held at the start.
    pub fn new(address: impl Into<String>, in_use: InUse, now: Timestamp) -> AddressCertificates {
        let address = address.into();
        let CertificateSummary {
            serial,
            names,
            not_after,
            ..
        } = &in_use.certificate;
        tracing::info!(address, ?names, serial, %not_after, "serving TLS");
        let certificates = AddressCertificates {
            address,
            state: Mutex::new(State {
                in_use,
                refused: None,
                certificate: Expiry::Far,
                client_ca: Expiry::Far,
                replaced: 0,
                refusals: 0,
            }),
        };
        certificates
            .state()
            .report_expiry(&certificates.address, now);
        certificates
    }

    /// Notes what reading the files has found, and logs what is new.
    pub fn observe(&self, refresh: &ServerRefresh, in_use: &InUse, now: Timestamp) {
        let (mut state, address) = (self.state(), &self.address);
        match refresh {
            ServerRefresh::Unchanged => {
                if state.refused.take().is_some() {
                    tracing::info!(address, "the certificates in use are in their files again");
                }
            }
            ServerRefresh::Replaced => {
                let CertificateSummary {
                    serial,
                    names,
                    not_after,
                    ..
                } = &in_use.certificate;
                tracing::info!(address, ?names, serial, %not_after, "other certificates are in use");
                state.in_use = in_use.clone();
                state.refused = None;
                state.replaced += 1;
                (state.certificate, state.client_ca) = (Expiry::Far, Expiry::Far);
            }
            ServerRefresh::Refused(why) => {
                state.refusals += 1;
                let problem = why.to_string();
                if state.refused.as_ref() != Some(&problem) {
                    tracing::error!(address, problem, "certificates refused; those in use stay");
                    state.refused = Some(problem);
                }
            }
            ServerRefresh::StillRefused => {}
            ServerRefresh::Restless => {
                let problem =
                    "the files change at each read; find out which process writes them".to_owned();
                if state.refused.as_ref() != Some(&problem) {
                    tracing::error!(address, problem, "certificates not read; those in use stay");
                    state.refused = Some(problem);
                }
            }
        }
        state.report_expiry(address, now);
    }

    /// Returns what operators see now.
    pub fn reading(&self) -> CertificatesReading {
        let state = self.state();
        let InUse {
            certificate,
            client_authorities_end,
        } = state.in_use.clone();
        let expiring = [
            (
                state.certificate,
                "the certificate",
                Some(certificate.not_after),
            ),
            (
                state.client_ca,
                "an authority of clients",
                client_authorities_end,
            ),
        ];
        let expiring = expiring
            .into_iter()
            .filter_map(|(expiry, what, at)| expiry_text(expiry, what, at?));
        CertificatesReading {
            address: self.address.clone(),
            expiring: expiring.collect(),
            certificate,
            client_ca_not_after: client_authorities_end,
            refused: state.refused.clone(),
            replaced: state.replaced,
            refusals: state.refusals,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Logs each expiration when it becomes near, and when it is over.
    fn report_expiry(&mut self, address: &str, now: Timestamp) {
        let not_after = self.in_use.certificate.not_after;
        let expiry = self.in_use.certificate.expiry(now);
        let before = std::mem::replace(&mut self.certificate, expiry);
        log_expiry(address, "the certificate", not_after, (before, expiry));
        if let Some(end) = self.in_use.client_authorities_end {
            let expiry = Expiry::of(None, end, now);
            let before = std::mem::replace(&mut self.client_ca, expiry);
            log_expiry(address, "an authority of clients", end, (before, expiry));
        }
    }
}

/// Returns what operators read about something that expires soon, or has expired.
fn expiry_text(expiry: Expiry, what: &str, at: Timestamp) -> Option<String> {
    let verb = match expiry {
        Expiry::Far => return None,
        Expiry::Near => "expires",
        Expiry::Over => "expired",
    };
    Some(format!("{what} {verb} at {at}: renew it"))
}

/// Returns what operators see of the certificate that a sink presents. The sink itself logs what is
/// new about it.
pub fn of_sink(reading: SinkCertificateReading, now: Timestamp) -> CertificatesReading {
    let SinkCertificateReading {
        sink,
        certificate,
        refused,
        replaced,
        refusals,
    } = reading;
    let expiry = certificate.expiry(now);
    let expiring = expiry_text(expiry, "the client certificate", certificate.not_after);
    CertificatesReading {
        address: sink,
        client_ca_not_after: None,
        refused,
        expiring: expiring.into_iter().collect(),
        replaced,
        refusals,
        certificate,
    }
}

fn log_expiry(address: &str, what: &str, not_after: Timestamp, (before, now): (Expiry, Expiry)) {
    match now {
        now if now == before => {}
        Expiry::Far => {}
        Expiry::Near => tracing::warn!(
            address,
            %not_after,
            "{what} expires soon, and its file has no newer one: renew it"
        ),
        Expiry::Over => tracing::error!(
            address,
            %not_after,
            "{what} has expired, and its file has no newer one: renew it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_tls::pem::CredentialsError;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn in_use(not_before: &str, not_after: &str, client_ca: Option<&str>) -> InUse {
        InUse {
            certificate: CertificateSummary {
                serial: "01".into(),
                names: vec!["customs.example".into()],
                not_before: at(not_before),
                not_after: at(not_after),
            },
            client_authorities_end: client_ca.map(at),
        }
    }

    fn refused(path: &str) -> ServerRefresh {
        ServerRefresh::Refused(CredentialsError::Encrypted { path: path.into() })
    }

    #[test]
    fn what_was_refused_is_seen_until_it_is_over_and_counted() {
        let (first, now) = (
            in_use("2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z", None),
            at("2030-02-01T00:00:00Z"),
        );
        let certificates = AddressCertificates::new("listen", first.clone(), now);
        certificates.observe(&refused("a"), &first, now);
        certificates.observe(&ServerRefresh::StillRefused, &first, now);
        certificates.observe(&refused("b"), &first, now);
        let reading = certificates.reading();
        assert!(reading.refused.unwrap().contains("`b` is encrypted"));
        assert_eq!((reading.refusals, reading.replaced), (2, 0));
        certificates.observe(&ServerRefresh::Unchanged, &first, now);
        assert_eq!(certificates.reading().refused, None);

        certificates.observe(&ServerRefresh::Restless, &first, now);
        assert!(certificates.reading().refused.is_some());
        let second = in_use("2030-01-01T00:00:00Z", "2032-01-01T00:00:00Z", None);
        certificates.observe(&ServerRefresh::Replaced, &second, now);
        let reading = certificates.reading();
        assert_eq!((reading.refused, reading.replaced), (None, 1));
        assert_eq!(reading.certificate, second.certificate);
    }

    #[test]
    fn a_sink_s_certificate_is_seen_as_one_of_an_address() {
        let certificate = in_use("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z", None).certificate;
        let seen = |now: &str| {
            let reading = SinkCertificateReading {
                sink: "otlp:https://a:1".into(),
                certificate: certificate.clone(),
                refused: Some("no".into()),
                replaced: 1,
                refusals: 2,
            };
            of_sink(reading, at(now))
        };
        let reading = seen("2030-01-01T12:00:00Z");
        assert_eq!((reading.replaced, reading.refusals), (1, 2));
        assert_eq!(reading.address, "otlp:https://a:1");
        assert_eq!(reading.refused.as_deref(), Some("no"));
        assert_eq!(reading.expiring, Vec::<String>::new());
        for (now, verb) in [
            ("2030-01-01T23:00:00Z", "expires"),
            ("2030-01-03T00:00:00Z", "expired"),
        ] {
            assert_eq!(
                seen(now).expiring,
                [format!(
                    "the client certificate {verb} at 2030-01-02T00:00:00Z: renew it"
                )]
            );
        }
    }

    #[test]
    fn what_expires_is_seen_until_it_is_renewed() {
        let old = in_use(
            "2030-01-01T00:00:00Z",
            "2030-01-02T00:00:00Z",
            Some("2030-01-20T00:00:00Z"),
        );
        let certificates =
            AddressCertificates::new("admin", old.clone(), at("2030-01-01T23:00:00Z"));
        assert_eq!(
            certificates.reading().expiring,
            ["the certificate expires at 2030-01-02T00:00:00Z: renew it"]
        );
        certificates.observe(&ServerRefresh::Unchanged, &old, at("2030-01-15T00:00:00Z"));
        assert_eq!(
            certificates.reading().expiring,
            [
                "the certificate expired at 2030-01-02T00:00:00Z: renew it",
                "an authority of clients expires at 2030-01-20T00:00:00Z: renew it"
            ]
        );
        let new = in_use("2030-01-15T00:00:00Z", "2031-01-02T00:00:00Z", None);
        certificates.observe(&ServerRefresh::Replaced, &new, at("2030-01-15T00:00:00Z"));
        assert_eq!(certificates.reading().expiring, Vec::<String>::new());
    }
}
