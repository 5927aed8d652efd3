//! The numbers of customs' `/metrics`, as far as they are compared here.
//!
//! It reads the text format of Prometheus, and of OpenMetrics. The rule: a line that it does not
//! understand is left out, because a newer version may have others.

use std::collections::BTreeMap;

/// One series with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name of the metric.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// The metrics of one server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CustomsMetrics {
    series: Vec<Series>,
}

/// A text that is not the metrics of customs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has no metric of customs: is it the answer to `GET /metrics` of its --admin address?")]
pub struct CustomsMetricsError;

impl CustomsMetrics {
    /// Reads the body of an answer to `GET /metrics`.
    ///
    /// # Errors
    /// If there is no metric of customs.
    pub fn read(text: &str) -> Result<CustomsMetrics, CustomsMetricsError> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series: Vec<_> = lines.filter_map(series).collect();
        match series
            .iter()
            .any(|series| series.name.starts_with("customs_"))
        {
            true => Ok(CustomsMetrics { series }),
            false => Err(CustomsMetricsError),
        }
    }

    /// Returns what was counted after `before`; `None` if the counters were reset in between.
    /// A metric that is no counter has no meaning in the result.
    pub fn since(&self, before: &CustomsMetrics) -> Option<CustomsMetrics> {
        if self.decisions() < before.decisions() {
            return None;
        }
        let series = self.series.iter().map(|series| {
            let is_same =
                |other: &&Series| other.name == series.name && other.labels == series.labels;
            let old = before.series.iter().find(is_same);
            Series {
                value: series.value - old.map_or(0.0, |old| old.value),
                ..series.clone()
            }
        });
        Some(CustomsMetrics {
            series: series.collect(),
        })
    }

    /// Returns the sum of the series of a metric that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |series: &&Series| {
            let is = |(key, value): &(&str, &str)| {
                series.labels.get(*key).is_some_and(|found| found == value)
            };
            series.name == name && labels.iter().all(is)
        };
        whole(
            self.series
                .iter()
                .filter(has)
                .map(|series| series.value)
                .sum(),
        )
    }

    /// Returns the number of decisions by the value of a label.
    pub fn decisions_by(&self, label: &str) -> BTreeMap<&str, u64> {
        self.by(DECISIONS, label)
    }

    /// Returns the sums of a metric by the value of a label.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<&str, u64> {
        let mut found = BTreeMap::new();
        let all = self.series.iter();
        for series in all.filter(|series| series.name == name) {
            if let Some(value) = series.labels.get(label) {
                let sum: &mut u64 = found.entry(value.as_str()).or_default();
                *sum = sum.saturating_add(whole(series.value));
            }
        }
        found
    }

    /// Returns the number of decisions.
    pub fn decisions(&self) -> u64 {
        self.sum(DECISIONS, &[])
    }

    /// Returns how many checks took longer than a time, as far as the histogram tells, and how many
    /// there were.
    pub fn slower_than(&self, seconds: f64) -> Option<(u64, u64)> {
        let all = self.sum("customs_check_duration_seconds_count", &[]);
        let buckets = self.series.iter().filter_map(|series| {
            let is_bucket = series.name == "customs_check_duration_seconds_bucket";
            let bound: f64 = series.labels.get("le")?.parse().ok()?;
            (is_bucket && bound >= seconds).then_some((bound, series.value))
        });
        let first = buckets.min_by(|a, b| a.0.total_cmp(&b.0))?;
        Some((all.saturating_sub(whole(first.1)), all))
    }
}

const DECISIONS: &str = "customs_decisions_total";

/// Returns a counter as a whole number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(value: f64) -> u64 {
    // A value below zero or not a number becomes 0, and one that is too large the largest.
    value as u64
}

/// Reads one line: `name{a="b"} 1`.
fn series(line: &str) -> Option<Series> {
    let line = line.trim();
    let (name, labels, rest) = match line.split_once('{') {
        Some((name, rest)) => {
            let (labels, rest) = labels(rest)?;
            (name, labels, rest)
        }
        None => {
            let (name, rest) = line.split_once(' ')?;
            (name, BTreeMap::new(), rest)
        }
    };
    // A time or an exemplar may follow the value.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Series {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Reads labels up to the closing brace, and returns what follows.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (key, after) = rest.split_once("=\"")?;
        let (mut value, mut characters) = (String::new(), after.chars());
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(match characters.next()? {
                    'n' => '\n',
                    other => other,
                }),
                other => value.push(other),
            }
        }
        labels.insert(key.trim().to_owned(), value);
        rest = characters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP customs_decisions Checks.
# TYPE customs_decisions counter
customs_decisions_total{effect="deny",dry_run="deny",reason="denied_by_rule",identity="valid"} 6
customs_decisions_total{effect="allow",dry_run="deny",reason="default_allow",identity="unauthenticated"} 4
customs_rule_hits_total{rule="a\"b,c}\\d\ne"} 3
customs_check_duration_seconds_count 10
customs_check_duration_seconds_bucket{le="0.25"} 8
customs_check_duration_seconds_bucket{le="0.5"} 9 # {trace_id="x"} 0.3
customs_check_duration_seconds_bucket{le="+Inf"} 10
customs_future{} nonsense
nonsense
# EOF
"#;

    #[test]
    fn series_are_read_with_their_labels() {
        let metrics = CustomsMetrics::read(TEXT).unwrap();
        assert_eq!(metrics.decisions(), 10);
        assert_eq!(metrics.sum(DECISIONS, &[("effect", "deny")]), 6);
        assert_eq!(
            metrics.sum(DECISIONS, &[("effect", "deny"), ("identity", "x")]),
            0
        );
        let by = metrics.decisions_by("identity");
        assert_eq!(by, BTreeMap::from([("unauthenticated", 4), ("valid", 6)]));
        assert_eq!(
            metrics.sum("customs_rule_hits_total", &[("rule", "a\"b,c}\\d\ne")]),
            3
        );
    }

    #[test]
    fn what_was_counted_in_between_is_the_difference() {
        let text = |deny: u64, allow: u64| {
            let text = format!(
                "customs_decisions_total{{effect=\"deny\"}} {deny}\ncustoms_decisions_total{{effect=\"allow\"}} {allow}\n"
            );
            CustomsMetrics::read(&text).unwrap()
        };
        let none = CustomsMetrics::read("customs_ready 1\n").unwrap();
        let since = text(7, 5).since(&text(4, 5)).unwrap();
        assert_eq!(
            since.decisions_by("effect"),
            BTreeMap::from([("allow", 0), ("deny", 3)])
        );
        assert_eq!(text(7, 5).since(&none).unwrap().decisions(), 12);
        assert_eq!(text(1, 0).since(&text(4, 5)), None);
    }

    #[test]
    fn checks_above_a_time_are_counted_by_the_next_bound() {
        let metrics = CustomsMetrics::read(TEXT).unwrap();
        for (seconds, expected) in [
            (0.1, Some((2, 10))),
            (0.25, Some((2, 10))),
            (0.3, Some((1, 10))),
            (600.0, Some((0, 10))),
        ] {
            assert_eq!(metrics.slower_than(seconds), expected, "{seconds}");
        }
        let without = CustomsMetrics::read("customs_ready 1\n").unwrap();
        assert_eq!(without.slower_than(0.1), None);
    }

    #[test]
    fn a_text_without_our_metrics_is_refused() {
        for text in ["", "<html>", "up 1\n", "{}", "server.live: 1\n"] {
            assert!(CustomsMetrics::read(text).is_err(), "{text}");
        }
    }
}
