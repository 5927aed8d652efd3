//! The page of the metrics, from their table.

use super::markdown::{cell, code, codes, table};
use super::template::Slot;
use crate::ops::metrics::{LabelSpec, LabelValues, METRICS, MetricSpec};
use customs_record::RefusalCause;

pub(super) fn slots() -> Vec<Slot> {
    let rows: Vec<_> = METRICS.iter().map(metric).collect();
    let metrics = table(["metric", "type", "labels", "meaning"], &rows);
    vec![("metrics", metrics), ("labels", labels())]
}

/// Returns the tables of the page of the causes.
pub(super) fn causes() -> Vec<Slot> {
    let causes = RefusalCause::ALL.map(|cause| {
        [
            code(cause.as_str()),
            cell(cause.arrived()),
            cell(cause.answer()),
        ]
    });
    let remedies = RefusalCause::ALL.map(|cause| [code(cause.as_str()), cell(cause.remedy())]);
    let head = ["cause", "what arrived", "the answer"];
    vec![
        ("causes", table(head, &causes)),
        ("remedies", table(["cause", "remedy"], &remedies)),
    ]
}

fn metric(metric: &MetricSpec) -> [String; 4] {
    [
        code(metric.name),
        metric.kind.to_string(),
        codes(metric.labels.iter().map(|label| label.name)),
        cell(metric.meaning),
    ]
}

/// Returns the table of the labels: one row for each list of values.
fn labels() -> String {
    let mut rows: Vec<[String; 3]> = Vec::new();
    let all = METRICS
        .iter()
        .flat_map(|metric| metric.labels.iter().map(move |label| (metric.name, label)));
    for (metric, label) in all {
        let (name, values) = (code(label.name), values(label));
        let same = rows
            .iter_mut()
            .find(|[known, known_values, _]| *known == name && *known_values == values);
        match same {
            Some([_, _, metrics]) => metrics.push_str(&format!(", {}", code(metric))),
            None => rows.push([name, values, code(metric)]),
        }
    }
    table(["label", "values", "metrics"], &rows)
}

fn values(label: &LabelSpec) -> String {
    match (label.name, label.values) {
        ("reason", _) => "one of the [reasons](reasons.md)".to_owned(),
        ("cause", _) => "one of the [causes](refusal-causes.md)".to_owned(),
        (_, LabelValues::Open(text)) => cell(text),
        (_, LabelValues::Closed(values)) => codes(values()),
    }
}
