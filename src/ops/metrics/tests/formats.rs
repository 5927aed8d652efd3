//! Both formats, read as a scraper reads them.

use super::*;
use customs_tls::certificate::CertificateSummary;

/// Parses a text as a scraper does: the name and the type of each family, and the names of its
/// series. Every series follows the two lines of its family, every family appears once, and labels
/// are quoted.
fn families(text: &str) -> Vec<(String, String, BTreeSet<String>)> {
    let mut families: Vec<(String, String, BTreeSet<String>)> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split_once(' ').expect("a family has words").0;
            let kind = lines
                .next()
                .and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")))
                .expect("a type comes next");
            assert!(
                families.iter().all(|(other, ..)| other != name),
                "{name} appears twice"
            );
            families.push((name.to_owned(), kind.to_owned(), BTreeSet::new()));
        } else if line == "# EOF" {
            assert_eq!(lines.peek(), None, "the end mark is the end");
        } else {
            let end = line
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .expect("a series has a value");
            let (name, rest) = line.split_at(end);
            let value = match rest.strip_prefix('{') {
                Some(labels) => after_labels(labels).unwrap_or_else(|| panic!("labels of {line}")),
                None => rest,
            };
            assert!(
                value
                    .strip_prefix(' ')
                    .is_some_and(|value| value.parse::<f64>().is_ok()),
                "{line}"
            );
            families
                .last_mut()
                .expect("a family comes first")
                .2
                .insert(name.to_owned());
        }
    }
    families
}

/// Returns the text after the labels, which are `name="value"` separated by commas and end with a
/// brace.
fn after_labels(mut rest: &str) -> Option<&str> {
    loop {
        let (name, value) = rest.split_once("=\"")?;
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{name}"
        );
        let mut escaped = false;
        let end = value.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        rest = value.get(end + 1..)?;
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return rest.strip_prefix('}'),
        }
    }
}

#[test]
fn both_formats_name_each_family_as_they_must_and_agree() {
    let metrics = Metrics::new();
    metrics.observe_decision(
        &decision(Reason::DefaultAllow, Reason::DefaultAllow, 1),
        "shop",
    );
    metrics.set_expirations(expirations());
    metrics.set_reads(vec![("policies".into(), UnixNanos(0))]);
    metrics.watch_audit(|| {
        let sink = "file:/odd \"name\" \\ {a=\"b\"}\n".to_owned();
        vec![Reading {
            sink,
            written: 7,
            failures: 2,
            queued: 3,
            queued_bytes: 9,
            lost: Loss::default(),
            healthy: true,
            withholding: false,
            problem: String::new(),
        }]
    });
    metrics.watch_connections(|| vec![("checks", 3)]);
    metrics.watch_certificates(|| {
        let time = jiff::Timestamp::UNIX_EPOCH;
        vec![CertificatesReading {
            address: "listen".to_owned(),
            certificate: CertificateSummary {
                serial: "01".to_owned(),
                names: Vec::new(),
                not_before: time,
                not_after: time,
            },
            client_ca_not_after: Some(time),
            refused: None,
            expiring: Vec::new(),
            replaced: 1,
            refusals: 2,
        }]
    });
    let [classic, open] = [Exposition::Classic, Exposition::OpenMetrics]
        .map(|format| metrics.encode(UnixNanos(0), format));
    let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    for (name, kind, series) in families(&classic) {
        assert!(names.contains(name.as_str()), "{name}");
        let expected: BTreeSet<String> = match kind.as_str() {
            "counter" | "gauge" => [name.clone()].into(),
            "histogram" => ["bucket", "sum", "count"]
                .map(|part| format!("{name}_{part}"))
                .into(),
            other => panic!("the classic format has no type {other}"),
        };
        assert_eq!(series, expected);
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
    }
    for (name, kind, series) in families(&open) {
        let expected: BTreeSet<String> = match kind.as_str() {
            "counter" => [format!("{name}_total")].into(),
            "info" => [format!("{name}_info")].into(),
            "gauge" => [name.clone()].into(),
            "histogram" => ["bucket", "sum", "count"]
                .map(|part| format!("{name}_{part}"))
                .into(),
            other => panic!("no metric is of type {other}"),
        };
        assert_eq!(series, expected);
    }
    assert_eq!(families(&classic).len(), METRICS.len());
    assert!(!classic.contains("# EOF") && open.ends_with("\n# EOF\n"));
    let series = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(series(&classic), series(&open));
}
