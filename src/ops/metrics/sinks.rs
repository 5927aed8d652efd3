//! The metrics of the audit log's sinks, read at each scrape.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use customs_audit::recorder::Reading;
use customs_policy::printable;
use customs_record::Loss;

/// The classes of dropped records, in the order of [`Loss`].
pub(super) const CLASSES: [&str; 5] = ["allow", "deny", "differing", "withheld", "event"];

/// One metric of a sink.
type Number = fn(&Reading) -> u64;

/// Encodes the metrics of every sink. The settings name the sinks, so the labels are a closed list.
pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, readings: &[Reading]) -> fmt::Result {
    let counters: [(&str, &str, Number); 2] = [
        (
            "customs_audit_records",
            "Records delivered to the sink",
            |reading| reading.written,
        ),
        (
            "customs_audit_write_failures",
            "Writes that failed",
            |reading| reading.failures,
        ),
    ];
    for (name, help, number) in counters {
        let family: Family<SinkLabels, Counter> = Family::default();
        for reading in readings {
            family
                .get_or_create_owned(&labelled(reading))
                .inc_by(number(reading));
        }
        family.encode(encoder.encode_descriptor(name, help, None, family.metric_type())?)?;
    }
    let dropped: Family<Vec<(&'static str, String)>, Counter> = Family::default();
    for reading in readings {
        // Destructured completely, so that a new class is not forgotten here.
        let Loss {
            allows,
            denials,
            differing,
            withheld,
            events,
        } = reading.lost;
        let counts = [allows, denials, differing, withheld, events];
        for (class, count) in CLASSES.into_iter().zip(counts) {
            let labels = vec![
                ("sink", printable::line(&reading.sink).into_owned()),
                ("class", class.to_owned()),
            ];
            dropped.get_or_create_owned(&labels).inc_by(count);
        }
    }
    let help = "Records dropped before the sink";
    dropped.encode(encoder.encode_descriptor(
        "customs_audit_dropped",
        help,
        None,
        dropped.metric_type(),
    )?)?;
    let gauges: [(&str, &str, Number); 4] = [
        (
            "customs_audit_queue_records",
            "Records waiting for the sink",
            |reading| reading.queued,
        ),
        (
            "customs_audit_queue_bytes",
            "Approximate bytes of memory held by records waiting for the sink",
            |reading| reading.queued_bytes,
        ),
        (
            "customs_audit_healthy",
            "1 if the sink accepts records",
            |reading| u64::from(reading.healthy),
        ),
        (
            "customs_audit_withholding",
            "1 if answers are withheld because the sink cannot record them",
            |reading| u64::from(reading.withholding),
        ),
    ];
    for (name, help, number) in gauges {
        let family: Family<SinkLabels, Gauge> = Family::default();
        for reading in readings {
            family
                .get_or_create_owned(&labelled(reading))
                .set(i64::try_from(number(reading)).unwrap_or(i64::MAX));
        }
        family.encode(encoder.encode_descriptor(name, help, None, family.metric_type())?)?;
    }
    Ok(())
}

/// The label of a sink's series.
type SinkLabels = Vec<(&'static str, String)>;

fn labelled(reading: &Reading) -> SinkLabels {
    vec![("sink", printable::line(&reading.sink).into_owned())]
}
