//! The metrics of the certificates, read at each scrape.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::ops::certificates::CertificatesReading;
use customs_policy::printable;

/// Names and values of a series.
type Labels = Vec<(&'static str, String)>;

/// Encodes the metrics of every address with TLS. The settings name the addresses, so the labels
/// are a closed list.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    readings: &[CertificatesReading],
) -> fmt::Result {
    let ends: Family<Labels, Gauge<f64, AtomicU64>> = Family::default();
    let refused: Family<Labels, Gauge> = Family::default();
    let reloads: Family<Labels, Counter> = Family::default();
    for reading in readings {
        let address = || ("address", printable::line(&reading.address).into_owned());
        for (file, end) in [
            ("certificate", Some(reading.certificate.not_after)),
            ("client_ca", reading.client_ca_not_after),
        ] {
            let Some(end) = end else { continue };
            let labels = vec![address(), ("file", file.to_owned())];
            let seconds = end.as_duration().as_secs_f64();
            ends.get_or_create_owned(&labels).set(seconds);
        }
        let is_refused = i64::from(reading.refused.is_some());
        refused
            .get_or_create_owned(&vec![address()])
            .set(is_refused);
        for (outcome, count) in [
            ("replaced", reading.replaced),
            ("refused", reading.refusals),
        ] {
            let labels = vec![address(), ("outcome", outcome.to_owned())];
            reloads.get_or_create_owned(&labels).inc_by(count);
        }
    }
    let mut put = |name, help, metric: &dyn EncodeMetric| {
        metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
    };
    put(
        "customs_tls_certificate_not_after_timestamp_seconds",
        "When the certificate of an address expires, or the first authority of its clients",
        &ends,
    )?;
    put(
        "customs_tls_files_refused",
        "1 if the certificates of an address as last read are not in use",
        &refused,
    )?;
    put(
        "customs_tls_reloads",
        "Changes of the certificates of an address by outcome",
        &reloads,
    )
}
