//! Writes metrics as OTLP does, from what Prometheus is shown.
//!
//! The names stay, so that a query works wherever the numbers come from: a counter has its
//! `_total`, an info is a gauge that is 1. The rule: sums are cumulative from the start of the
//! process, as Prometheus has them, so a number that is lost on the way changes no later one.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as ProtoExemplar, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::open_metrics::{self, Exemplar, Family, Labels, Sample};

/// The times of a request: from when the sums count, and now.
#[derive(Clone, Copy)]
struct Times {
    start: u64,
    now: u64,
}

/// Returns the scope of every metric.
pub(crate) fn scope(name: &str, version: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    }
}

/// Returns the request that sends the metrics of a text.
pub(crate) fn request(
    text: &str,
    resource: Resource,
    scope: InstrumentationScope,
    started: SystemTime,
    now: SystemTime,
) -> ExportMetricsServiceRequest {
    let times = Times {
        start: nanos(started),
        now: nanos(now),
    };
    let read = open_metrics::parse(text);
    if let Some(line) = read.unread.first() {
        // A test reads everything that customs writes.
        tracing::error!(
            line,
            "a metric cannot be sent; this is a bug, please report it"
        );
    }
    // A family without a series says nothing.
    let shown = read
        .families
        .iter()
        .filter(|family| !family.samples.is_empty());
    let metrics = shown.map(|family| metric(family, times));
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics: metrics.collect(),
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

fn metric(family: &Family, times: Times) -> Metric {
    let points = |start| {
        let samples = family.samples.iter();
        samples
            .map(|sample| point(sample, start, times.now))
            .collect()
    };
    let (suffix, data) = match family.kind.as_str() {
        "counter" => (
            "_total",
            Data::Sum(Sum {
                data_points: points(times.start),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            }),
        ),
        "histogram" => (
            "",
            Data::Histogram(Histogram {
                data_points: vec![histogram(&family.samples, times)],
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            }),
        ),
        kind => {
            let suffix = if kind == "info" { "_info" } else { "" };
            let data_points = points(0);
            (suffix, Data::Gauge(Gauge { data_points }))
        }
    };
    Metric {
        name: format!("{}{suffix}", family.name),
        description: family.help.clone(),
        // As the convention of Prometheus names it, at the end of the name.
        unit: match family.name.rsplit('_').next() {
            Some("seconds") => "s",
            Some("bytes") => "By",
            _ => "",
        }
        .to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn point(sample: &Sample, start: u64, now: u64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(&sample.labels),
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    }
}

/// Returns the only histogram of a family. OpenMetrics counts what is up to a bound, OTLP what is
/// between two.
fn histogram(samples: &[Sample], times: Times) -> HistogramDataPoint {
    let one = |suffix| samples.iter().find(|sample| sample.suffix == suffix);
    let (mut counts, mut bounds, mut before) = (Vec::new(), Vec::new(), 0);
    let buckets = samples.iter().filter(|sample| sample.suffix == "_bucket");
    for bucket in buckets.clone() {
        let bound = bucket.labels.iter().find(|(name, _)| name == "le");
        // The last one has no bound.
        if let Some(bound) = bound.and_then(|(_, text)| text.parse::<f64>().ok())
            && bound.is_finite()
        {
            bounds.push(bound);
        }
        let up_to = bucket.value as u64;
        counts.push(up_to.saturating_sub(before));
        before = up_to;
    }
    HistogramDataPoint {
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        count: one("_count").map_or(0, |sample| sample.value as u64),
        sum: one("_sum").map(|sample| sample.value),
        bucket_counts: counts,
        explicit_bounds: bounds,
        exemplars: buckets
            .filter_map(|bucket| exemplar(bucket.exemplar.as_ref()?, times.now))
            .collect(),
        ..HistogramDataPoint::default()
    }
}

/// Returns an exemplar with the trace that it names. `None` if it names none.
fn exemplar(exemplar: &Exemplar, now: u64) -> Option<ProtoExemplar> {
    let id = |name| {
        let (_, text) = exemplar.labels.iter().find(|(label, _)| label == name)?;
        bytes(text)
    };
    Some(ProtoExemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: exemplar.time.map_or(now, nanos),
        span_id: id("span_id")?,
        trace_id: id("trace_id")?,
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
    })
}

/// Reads hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let places = (0..text.len()).step_by(2);
    places
        .map(|place| u8::from_str_radix(text.get(place..place + 2)?, 16).ok())
        .collect()
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    let text = |(name, value): &(String, String)| KeyValue {
        key: name.clone(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.clone())),
        }),
        ..KeyValue::default()
    };
    labels.iter().map(text).collect()
}

fn nanos(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP none N.\n# TYPE none gauge\n# HELP a A.\n# TYPE a counter\na_total{x=\"y\"} 7\n\
                        # HELP b_seconds B.\n# TYPE b_seconds gauge\nb_seconds 1.5\n\
                        # HELP c C.\n# TYPE c info\nc_info{revision=\"r\"} 1\n\
                        # HELP h_seconds H.\n# TYPE h_seconds histogram\nh_seconds_sum 0.9\n\
                        h_seconds_count 4\nh_seconds_bucket{le=\"0.1\"} 1\n\
                        h_seconds_bucket{le=\"0.25\"} 3 # {trace_id=\"0aff\",span_id=\"01\"} 0.2 5.0\n\
                        h_seconds_bucket{le=\"+Inf\"} 4\n# EOF\n";

    fn metrics() -> Vec<Metric> {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let scope = scope("customs", "1");
        let request = request(TEXT, Resource::default(), scope, at(1), at(9));
        let mut of_resource = request.resource_metrics.into_iter();
        let mut of_scope = of_resource.next().unwrap().scope_metrics.into_iter();
        of_scope.next().unwrap().metrics
    }

    #[test]
    fn names_units_and_kinds_are_those_of_prometheus() {
        let shown: Vec<_> = metrics()
            .into_iter()
            .map(|metric| {
                let kind = match metric.data.unwrap() {
                    Data::Sum(sum) => {
                        assert!(sum.is_monotonic);
                        assert_eq!(sum.aggregation_temporality, 2, "cumulative");
                        "sum"
                    }
                    Data::Gauge(_) => "gauge",
                    Data::Histogram(_) => "histogram",
                    other => panic!("{other:?}"),
                };
                (metric.name, metric.unit, kind)
            })
            .collect();
        let expected = [
            ("a_total", "", "sum"),
            ("b_seconds", "s", "gauge"),
            ("c_info", "", "gauge"),
            ("h_seconds", "s", "histogram"),
        ];
        let expected = expected.map(|(name, unit, kind)| (name.to_owned(), unit.to_owned(), kind));
        assert_eq!(shown, expected);
    }

    #[test]
    fn sums_have_their_start_and_their_labels() {
        let Some(Data::Sum(sum)) = metrics().remove(0).data else {
            panic!("a counter is a sum")
        };
        let point = &sum.data_points[0];
        assert_eq!(point.start_time_unix_nano, 1_000_000_000);
        assert_eq!(point.time_unix_nano, 9_000_000_000);
        assert_eq!(point.value, Some(number_data_point::Value::AsDouble(7.0)));
        assert_eq!(point.attributes[0].key, "x");
    }

    #[test]
    fn a_histogram_counts_between_its_bounds_and_names_traces() {
        let Some(Data::Histogram(histogram)) = metrics().remove(3).data else {
            panic!("a histogram stays one")
        };
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum), (4, Some(0.9)));
        assert_eq!(point.explicit_bounds, [0.1, 0.25]);
        assert_eq!(point.bucket_counts, [1, 2, 1]);
        let exemplar = &point.exemplars[0];
        assert_eq!(
            (&exemplar.trace_id[..], &exemplar.span_id[..]),
            (&[0x0a, 0xff][..], &[1][..])
        );
        assert_eq!(exemplar.time_unix_nano, 5_000_000_000);
        assert_eq!(exemplar.value, Some(exemplar::Value::AsDouble(0.2)));
    }
}
