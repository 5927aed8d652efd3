//! What a check costs at most, in counted steps: whatever a client sends, it costs what it takes to read it and to ask the
//! rules about it, and never the product of both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::borrow::Cow;
use std::cell::Cell;

use customs_engine::request::{Attributes, CLIENT_CERTIFICATE, Headers, HttpAttributes};
use customs_engine::settings::{DefaultEffect, Settings};
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_engine::work_count::counted;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};
use customs_record::{DecisionRecord, Occasion};

const HEADS: [&str; 2] = [
    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: NAME, namespace: istio-system}\n",
    "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: NAME, namespace: istio-system}\n",
];

fn snapshot(documents: &[String]) -> Snapshot {
    let settings = Settings {
        default_effect: DefaultEffect::Deny,
        trusted_hops: Some(1),
        ..Settings::default()
    };
    let file = |(number, text): (usize, &String)| PolicyFile {
        name: format!("{number}.yaml"),
        bytes: text.as_bytes().into(),
    };
    let files = documents.iter().enumerate().map(file).collect();
    let loaded = source::load(
        &Source {
            name: "p".into(),
            files,
            ..Source::default()
        },
        &settings,
    );
    match compile::compile(&[loaded], &settings) {
        Ok(compiled) => compiled.snapshot,
        Err(problems) => panic!("{problems:?}"),
    }
}

fn istio(name: &str, action: &str, rules: &str) -> String {
    format!(
        "{}spec:\n  action: {action}\n  rules:\n{rules}",
        HEADS[0].replace("NAME", name)
    )
}

fn egress(name: &str, spec: &str) -> String {
    format!(
        "{}spec:\n  subjects: [{{namespaces: ['**']}}]\n{spec}",
        HEADS[1].replace("NAME", name)
    )
}

/// As many rules as Istio takes in one policy.
const OF_POLICY: usize = 500;

/// Policies of rules about headers of one host, with patterns of every kind.
fn header_policies(
    action: &str,
    count: usize,
    lists: &[&str],
    name: &dyn Fn(usize) -> String,
) -> Vec<String> {
    policies_of(
        action,
        count,
        lists,
        name,
        &|rule, value, at| match (rule + value + at) % 4 {
            0 => format!("'v{value}'"),
            1 => format!("'r{rule}x{value}'"),
            2 => format!("'r{rule}p{value}*'"),
            _ => format!("'*s{rule}y{value}'"),
        },
    )
}

/// The same with patterns that have commas, of every number that is compared and of one more.
fn comma_policies(action: &str, count: usize) -> Vec<String> {
    policies_of(
        action,
        count,
        &["values"],
        &|_| "x-role".to_owned(),
        &|rule, value, _| {
            let parts = vec!["v"; value % 9 + 1].join(",");
            match (rule + value) % 4 {
                0 => format!("'{parts},v'"),
                1 => format!("'{parts},r{rule}x{value}'"),
                2 => format!("'{parts},r{rule}p{value}*'"),
                _ => format!("'*s{rule}y{value},{parts}'"),
            }
        },
    )
}

fn policies_of(
    action: &str,
    count: usize,
    lists: &[&str],
    name: &dyn Fn(usize) -> String,
    pattern: &dyn Fn(usize, usize, usize) -> String,
) -> Vec<String> {
    let list = |rule: usize, (at, list): (usize, &&str)| {
        let value = |value: usize| pattern(rule, value, at);
        format!(
            "{list}: [{}]",
            (0..10).map(value).collect::<Vec<_>>().join(", ")
        )
    };
    let rule = |rule: &usize| {
        let lists: Vec<String> = lists
            .iter()
            .enumerate()
            .map(|named| list(*rule, named))
            .collect();
        format!(
            "  - to: [{{operation: {{hosts: ['www.example.com']}}}}]\n    when: [{{key: 'request.headers[{}]', {}}}]\n",
            name(*rule),
            lists.join(", ")
        )
    };
    let rules: Vec<usize> = (0..count).collect();
    let policies = rules.chunks(OF_POLICY).enumerate();
    policies
        .map(|(at, rules)| {
            istio(
                &format!("p{at}"),
                action,
                &rules.iter().map(rule).collect::<String>(),
            )
        })
        .collect()
}

/// Rules about other hosts.
fn others(count: usize) -> String {
    let deny: String = (0..count)
        .map(|at| format!("  - {{name: o{at}, hosts: ['h{at}.other.example']}}\n"))
        .collect();
    egress("others", &format!("  deny:\n{deny}"))
}

fn sets() -> Vec<(&'static str, Vec<String>)> {
    let one_name = |_: usize| "x-role".to_owned();
    let paths = |count: usize, each: &dyn Fn(usize, usize) -> String| -> String {
        (0..count)
            .map(|rule| {
                let paths: Vec<String> = (0..10)
                    .map(|path| format!("'{}'", each(rule, path)))
                    .collect();
                format!(
                    "  - {{name: e{rule}, hosts: [www.example.com], paths: [{}]}}\n",
                    paths.join(", ")
                )
            })
            .collect()
    };
    vec![
        (
            "1,000 denies by one header",
            header_policies("DENY", 1_000, &["values"], &one_name),
        ),
        (
            "1,000 denies by what it lacks",
            header_policies("DENY", 1_000, &["notValues"], &one_name),
        ),
        (
            "1,000 allows by one header",
            header_policies("ALLOW", 1_000, &["values", "notValues"], &one_name),
        ),
        (
            "1,000 audits by one header",
            header_policies("AUDIT", 1_000, &["values"], &one_name),
        ),
        (
            "1,000 denies by values with commas",
            comma_policies("DENY", 1_000),
        ),
        (
            "1,000 allows by values with commas",
            comma_policies("ALLOW", 1_000),
        ),
        (
            "1,000 denies by a pseudo-header",
            header_policies("DENY", 1_000, &["values"], &|_| ":path".to_owned()),
        ),
        (
            "1,000 denies by the host",
            header_policies("DENY", 1_000, &["values"], &|_| "host".to_owned()),
        ),
        (
            "1,000 denies by 1,000 headers",
            header_policies("DENY", 1_000, &["values"], &|rule| format!("x-{rule}")),
        ),
        (
            "100 denies of 10 templates",
            vec![egress(
                "e",
                &format!(
                    "  deny:\n{}",
                    paths(100, &|rule, path| format!("/{{**}}/p{rule}/q{path}"))
                ),
            )],
        ),
        (
            "100 denies of 10 templates with segments",
            vec![egress(
                "e",
                &format!(
                    "  deny:\n{}",
                    paths(100, &|rule, path| format!("/{{*}}/{{*}}/p{rule}/q{path}"))
                ),
            )],
        ),
        (
            "100 grants of 10 paths",
            vec![egress(
                "e",
                &format!(
                    "  allow:\n{}",
                    paths(100, &|rule, path| format!("/p{rule}/q{path}/*"))
                ),
            )],
        ),
        (
            "namespaces with stars",
            vec![istio(
                "n",
                "DENY",
                "  - from: [{source: {notNamespaces: ['a*b*c*d*e']}}]\n    to: [{operation: {hosts: ['*']}}]\n",
            )],
        ),
    ]
}

struct Sent {
    host: String,
    path: String,
    headers: Vec<(String, String)>,
}

fn requests() -> Vec<(&'static str, Sent)> {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let sent = |path: String, headers: Vec<(String, String)>| Sent {
        host: "www.example.com".into(),
        path,
        headers,
    };
    let values = |text: &dyn Fn(usize) -> String, count: usize| -> String {
        (0..count).map(text).collect::<Vec<String>>().join(",")
    };
    let matching = |part: usize| match part % 3 {
        0 => format!("r{part}x0"),
        1 => format!("r{part}p1tail"),
        _ => format!("heads{part}y2"),
    };
    vec![
        ("plain", sent("/".into(), Vec::new())),
        (
            "a path of tricks",
            sent(format!("/{}", "%2e;/%2f\\..".repeat(740)), Vec::new()),
        ),
        (
            "a path of tricks that are all different",
            sent(
                format!("/{}", "a;%2f/%2e%2e;b/..%5cc;/./".repeat(320)),
                Vec::new(),
            ),
        ),
        (
            "a path of dots",
            sent(format!("/{}", "a/../".repeat(1_600)), Vec::new()),
        ),
        (
            "a path of one long segment",
            sent(format!("/;{}", "a".repeat(8_000)), Vec::new()),
        ),
        (
            "a path of many segments",
            sent("/a".repeat(4_000), Vec::new()),
        ),
        (
            "a path of 60 KiB",
            sent(format!("/{}", "a".repeat(60_000)), Vec::new()),
        ),
        (
            "a header of commas",
            sent("/".into(), vec![header("x-role", ",".repeat(55_000))]),
        ),
        (
            "a header of 1,023 commas",
            sent("/".into(), vec![header("x-role", ",".repeat(1_023))]),
        ),
        (
            "a header of 27,000 values",
            sent("/".into(), vec![header("x-role", "v,".repeat(27_500))]),
        ),
        (
            "a header of 1,024 values",
            sent(
                "/".into(),
                vec![header("x-role", values(&|part| format!("no{part}"), 1_024))],
            ),
        ),
        (
            "a header of 1,024 values that match",
            sent("/".into(), vec![header("x-role", values(&matching, 1_024))]),
        ),
        (
            "a header of as many runs as are compared",
            sent(
                "/".into(),
                vec![header("x-role", values(&|_| "v".into(), 129))],
            ),
        ),
        (
            "a header of runs as long as are compared",
            sent(
                "/".into(),
                vec![header("x-role", values(&|_| "v".repeat(340), 128))],
            ),
        ),
        (
            "a header of shorter runs, of every number of commas",
            sent(
                "/".into(),
                vec![header("x-role", values(&|_| "v".repeat(27), 128))],
            ),
        ),
        (
            "a header whose runs match",
            sent(
                "/".into(),
                vec![header(
                    "x-role",
                    values(
                        &|part| {
                            if part % 9 == 8 {
                                matching(part)
                            } else {
                                "v".into()
                            }
                        },
                        1_024,
                    ),
                )],
            ),
        ),
        (
            "a header of one long value",
            sent("/".into(), vec![header("x-role", "r1p2".repeat(15_000))]),
        ),
        (
            "1,000 headers",
            sent(
                "/".into(),
                (0..1_000)
                    .map(|at| header(&format!("X-{at}"), "v".repeat(40)))
                    .collect(),
            ),
        ),
        (
            "1,000 headers of one name",
            sent(
                "/".into(),
                (0..1_000)
                    .map(|at| header("x-role", format!("r{at}x1")))
                    .collect(),
            ),
        ),
        (
            "20,000 headers of one name",
            sent(
                "/".into(),
                (0..20_000)
                    .map(|at| header("x-role", format!("{at}")))
                    .collect(),
            ),
        ),
        (
            "20,000 paths",
            sent(
                "/".into(),
                (0..20_000)
                    .map(|at| header(":path", format!("/{at}")))
                    .collect(),
            ),
        ),
        (
            "20,000 times the path",
            sent(
                "/".into(),
                (0..20_000).map(|_| header(":path", "/".into())).collect(),
            ),
        ),
        (
            "20,000 times the host",
            sent(
                "/".into(),
                (0..20_000)
                    .map(|_| header("host", "www.example.com".into()))
                    .collect(),
            ),
        ),
        (
            "20,000 times the authority",
            sent(
                "/".into(),
                (0..20_000)
                    .map(|_| header(":authority", "www.example.com".into()))
                    .collect(),
            ),
        ),
        (
            "a certificate of quotes",
            sent(
                "/".into(),
                vec![header(CLIENT_CERTIFICATE, "a=\"b\",".repeat(9_000))],
            ),
        ),
        (
            "30,000 addresses",
            sent(
                "/".into(),
                vec![header("x-forwarded-for", "1,".repeat(30_000))],
            ),
        ),
        (
            "a host of 120 labels",
            Sent {
                host: ["a"; 120].join("."),
                ..sent("/".into(), Vec::new())
            },
        ),
    ]
}

/// Decides and records, as a server does.
fn work(snapshot: &Snapshot, principal: &str, sent: &Sent, headers: &dyn Headers) -> usize {
    let http = HttpAttributes {
        method: "GET",
        path: &sent.path,
        host: &sent.host,
        headers,
        ..HttpAttributes::default()
    };
    let attributes = Attributes {
        source_principal: principal,
        http: Some(http),
        has_address: true,
        ..Attributes::default()
    };
    let work = || {
        let request = attributes.normalise(snapshot.settings());
        let decision = snapshot.decide(&request, UnixNanos(0));
        let occasion = Occasion {
            time: UnixNanos(0),
            duration_micros: 0,
            decision_id: "",
            decision_number: 1,
            told_headers: &["x-role".to_owned()],
        };
        DecisionRecord::of(&attributes, &request, &decision, snapshot, occasion)
    };
    counted(work).1
}

/// A step takes some nanoseconds: a comparison mostly fewer than 10, a rule that is asked fewer than 50. So many stay below
/// a millisecond.
const MOST: usize = 60_000;

#[test]
fn no_request_costs_the_product_of_its_parts_and_the_rules() {
    let mut largest = 0;
    for (set, documents) in sets() {
        let snapshot = snapshot(&documents);
        for (name, sent) in &requests() {
            for principal in ["spiffe://cluster.local/ns/web/sa/app", ""] {
                let steps = work(&snapshot, principal, sent, &sent.headers);
                assert!(steps <= MOST, "{set}, {name}, {principal:?}: {steps} steps");
                largest = largest.max(steps);
            }
        }
    }
    assert!(largest > 2_000, "nothing was counted");
}

#[test]
fn rules_about_other_hosts_cost_a_check_nothing() {
    let beside = |count| {
        let mut documents = header_policies("DENY", 100, &["values"], &|_| "x-role".to_owned());
        documents.push(others(count));
        snapshot(&documents)
    };
    let (few, many) = (beside(10), beside(3_000));
    for (name, sent) in &requests() {
        let of = |snapshot| {
            work(
                snapshot,
                "spiffe://cluster.local/ns/web/sa/app",
                sent,
                &sent.headers,
            )
        };
        assert_eq!(of(&few), of(&many), "{name}");
    }
}

/// Headers that count how often they are asked for.
#[derive(Debug)]
struct Asked<'h>(&'h Vec<(String, String)>, Cell<usize>);

impl Headers for Asked<'_> {
    fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(Cow<'s, str>)) {
        self.1.set(self.1.get() + 1);
        self.0.visit(name, each);
    }

    fn visit_all<'s>(&'s self, each: &mut dyn FnMut(&'s str, Cow<'s, str>)) {
        self.1.set(self.1.get() + 1);
        self.0.visit_all(each);
    }
}

#[test]
fn headers_are_read_as_often_for_a_thousand_rules_as_for_one() {
    let set = |count, name: &dyn Fn(usize) -> String| {
        snapshot(&header_policies("DENY", count, &["values"], name))
    };
    let one = |_: usize| "x-role".to_owned();
    let sets = [
        set(1, &one),
        set(1_000, &one),
        set(1_000, &|rule| format!("x-{rule}")),
    ];
    for (name, sent) in &requests() {
        let [first, more, names] = [0, 1, 2].map(|at| {
            let asked = Asked(&sent.headers, Cell::new(0));
            work(
                &sets[at],
                "spiffe://cluster.local/ns/web/sa/app",
                sent,
                &asked,
            );
            asked.1.get()
        });
        assert_eq!(first, more, "{name}");
        assert!(names <= first + 1, "{name}: {names} {first}");
    }
}
