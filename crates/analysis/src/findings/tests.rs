//! Tables of findings: a set, and what is told of it as `code line -> the other rule`. Each kind has near misses that
//! must not be told.

use super::*;
use customs_engine::settings::Settings;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};

const NOW: UnixNanos = UnixNanos(1_795_392_000 * 1_000_000_000); // 2026-11-23T00:00:00Z

/// One policy a line: `ep NAMESPACE NAME SPEC` or `ap NAMESPACE NAME SPEC`.
fn set(lines: &str) -> Vec<u8> {
    let policy = |line: &str| {
        let mut words = line.trim().splitn(4, ' ');
        let mut word = || words.next().unwrap();
        let (kind, namespace, name, spec) = (word(), word(), word(), word());
        let (version, kind) = match kind {
            "ep" => ("egress.customs/v1alpha1", "EgressPolicy"),
            _ => ("security.istio.io/v1", "AuthorizationPolicy"),
        };
        format!(
            "{{apiVersion: {version}, kind: {kind}, metadata: {{name: {name}, namespace: {namespace}}}, spec: {spec}}}\n"
        )
    };
    lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(policy)
        .collect::<Vec<_>>()
        .join("---\n")
        .into_bytes()
}

fn problems(lines: &str, settings: &Settings, horizon: Horizon) -> Vec<Problem> {
    let file = PolicyFile {
        name: "p.yaml".into(),
        bytes: set(lines).into(),
    };
    let loaded = source::load(
        &Source {
            name: "d".into(),
            files: vec![file],
            ..Source::default()
        },
        settings,
    );
    let compiled = compile::compile(&[loaded], settings)
        .unwrap_or_else(|problems| panic!("{lines}\n{problems:#?}"));
    findings(&compiled.snapshot, horizon)
}

/// `code policy [-> other]`, the policy being the number of its line.
fn line(problem: &Problem) -> String {
    let mut ids = problem
        .text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| text.starts_with("ep:") || text.starts_with("ap:"));
    let other = ids.nth(1).map(|id| format!(" -> {id}")).unwrap_or_default();
    format!(
        "{} {}{other}",
        problem.code.as_str(),
        problem.place.line.div_ceil(2)
    )
}

#[track_caller]
fn tells(codes: &[Code], table: &[(&str, &[&str])]) {
    for (lines, expected) in table {
        let horizon = Horizon::at(NOW);
        let found = problems(lines, &Settings::default(), horizon);
        let told: Vec<String> = found
            .iter()
            .filter(|p| codes.contains(&p.code))
            .map(line)
            .collect();
        assert_eq!(told, *expected, "{lines}\n{found:#?}");
    }
}

#[test]
fn a_rule_within_another_is_covered() {
    tells(
        &[Code::Covered],
        &[
            (
                "ep web a {deny: [{name: x, hosts: ['*.example']}, {name: y, hosts: [a.example]}]}",
                &["covered 1 -> ep:web/a#x"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['*.a.example']}, {name: y, hosts: [a.example]}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [a.example]}, {name: y, hosts: [a.example]}]}",
                &["covered 1 -> ep:web/a#x"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [a.example], methods: [GET]}, {name: y, hosts: [a.example]}]}",
                &["covered 1 -> ep:web/a#y"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['*.example'], except: [{methods: [GET]}]}, {name: y, hosts: [a.example]}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['*.example'], mode: Report}, {name: y, hosts: [a.example]}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['*.example']}, {name: y, hosts: [a.example], mode: Report}]}",
                &["covered 1 -> ep:web/a#x"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [10.0.0.0/8]}]}\nep web b {deny: [{name: y, hosts: [10.1.2.3]}]}",
                &["covered 2 -> ep:web/a#x"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [10.0.0.0/8]}]}\nep web b {deny: [{name: y, hosts: [11.1.2.3]}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['**']}]}\nep shop b {deny: [{name: y, hosts: [a.example]}]}",
                &[],
            ),
            // The team's deny holds for callers without a valid identity too, unless a policy names them.
            (
                "ep istio-system r {subjects: [{namespaces: ['**']}], deny: [{name: x, hosts: ['*.example']}]}\n\
             ep web a {deny: [{name: y, hosts: [a.example]}]}",
                &["covered 2 -> ep:istio-system/r#x"],
            ),
            (
                "ep istio-system r {subjects: [{namespaces: [web-*]}], deny: [{name: x, hosts: ['*.example']}]}\n\
             ep web a {deny: [{name: y, hosts: [a.example]}]}",
                &[],
            ),
            (
                "ap istio-system d {action: DENY, rules: [{to: [{operation: {hosts: ['*.example']}}]}]}\n\
             ep web a {deny: [{name: y, hosts: [a.example]}]}",
                &["covered 2 -> ap:istio-system/d#0"],
            ),
            (
                "ap istio-system d {action: DENY, rules: [{to: [{operation: {hosts: ['*.example'], notPaths: ['/x']}}]}]}\n\
             ep web a {deny: [{name: y, hosts: [a.example]}]}",
                &[],
            ),
        ],
    );
}

#[test]
fn a_grant_within_another_is_covered_as_long_as_it_lasts() {
    let (soon, late) = ("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
    let grants = |one: &str, two: &str| {
        let entry = |name: &str, hosts: &str, end: &str| {
            let end = if end.is_empty() {
                String::new()
            } else {
                format!(", expires: '{end}'")
            };
            format!("{{name: {name}, hosts: ['{hosts}']{end}}}")
        };
        format!(
            "ep web a {{allow: [{}, {}]}}",
            entry("x", "*.example", one),
            entry("y", "a.example", two)
        )
    };
    for (one, two, expected) in [
        ("", "", 1),
        ("", soon, 1),
        (late, soon, 1),
        (soon, soon, 1),
        (soon, late, 0),
        (late, "", 0),
    ] {
        let expected = if expected == 1 {
            vec!["covered 1 -> ep:web/a#x"]
        } else {
            vec![]
        };
        tells(&[Code::Covered], &[(&grants(one, two), &expected)]);
    }
    tells(
        &[Code::Covered],
        &[
            (
                "ep web a {allow: [{name: x, hosts: [a.example]}, {name: y, hosts: ['a.example:443']}]}",
                &["covered 1 -> ep:web/a#x"],
            ),
            (
                "ep web a {allow: [{name: x, hosts: [a.example]}, {name: y, hosts: ['a.example:8443']}]}",
                &[],
            ),
            (
                "ep web a {allow: [{name: x, hosts: [a.example], paths: ['/v1*']}, {name: y, hosts: [a.example], paths: ['/v1/x']}]}",
                &["covered 1 -> ep:web/a#x"],
            ),
            (
                "ep web a {allow: [{name: x, hosts: [a.example], paths: ['/v1*']}, {name: y, hosts: [a.example]}]}",
                &["covered 1 -> ep:web/a#y"],
            ),
            // Of a connection that names no host only `**` is a grant, and of TCP none with a method.
            (
                "ep web a {allow: [{name: x, hosts: ['**'], methods: [GET]}, {name: y, hosts: ['*.example']}]}",
                &[],
            ),
            (
                "ap web a {rules: [{to: [{operation: {hosts: ['*']}}]}, {to: [{operation: {hosts: [a.example]}}]}]}",
                &["covered 1 -> ap:web/a#0"],
            ),
            (
                "ap web a {rules: [{to: [{operation: {hosts: ['*'], notHosts: [a.example]}}]}, {to: [{operation: {hosts: [b.example]}}]}]}",
                &[],
            ),
            // The second makes a trust domain accepted, which the first does not.
            (
                "ap web a {rules: [{from: [{source: {principals: ['*']}}]}, {from: [{source: {principals: ['x.td/ns/a/sa/b']}}]}]}",
                &[],
            ),
            (
                "ap web a {rules: [{from: [{source: {namespaces: ['w*']}}]}, {from: [{source: {namespaces: [web]}}]}]}",
                &["covered 1 -> ap:web/a#0"],
            ),
            (
                "ap web a {rules: [{from: [{source: {namespaces: ['w*'], ipBlocks: [10.0.0.0/8]}}]}, {from: [{source: {namespaces: [web]}}]}]}",
                &[],
            ),
        ],
    );
}

#[test]
fn a_grant_within_a_deny_is_always_denied() {
    let all = "subjects: [{namespaces: ['**']}]";
    tells(
        &[Code::AlwaysDenied],
        &[
            (
                &format!(
                    "ep istio-system r {{{all}, deny: [{{name: x, hosts: ['*.example']}}]}}\nep web a {{allow: [{{name: y, hosts: [a.example]}}]}}"
                ),
                &["always-denied 2 -> ep:istio-system/r#x"],
            ),
            (
                &format!(
                    "ep istio-system r {{{all}, deny: [{{name: x, hosts: ['*.example']}}]}}\nep web a {{allow: [{{name: y, hosts: [a.example, b.test]}}]}}"
                ),
                &[],
            ),
            (
                &format!(
                    "ep istio-system r {{{all}, mode: Report, deny: [{{name: x, hosts: ['*.example']}}]}}\nep web a {{allow: [{{name: y, hosts: [a.example]}}]}}"
                ),
                &[],
            ),
            // An exception that is for others opens nothing here; one for this caller or host may.
            (
                &format!(
                    "ep istio-system r {{{all}, deny: [{{name: x, hosts: ['*.example'], except: [{{subjects: [{{namespaces: [legal]}}]}}]}}]}}\nep web a {{allow: [{{name: y, hosts: [a.example]}}]}}"
                ),
                &["always-denied 2 -> ep:istio-system/r#x"],
            ),
            (
                &format!(
                    "ep istio-system r {{{all}, deny: [{{name: x, hosts: ['*.example'], except: [{{subjects: [{{namespaces: [web]}}]}}]}}]}}\nep web a {{allow: [{{name: y, hosts: [a.example]}}]}}"
                ),
                &[],
            ),
            (
                &format!(
                    "ep istio-system r {{{all}, deny: [{{name: x, hosts: ['*.example'], except: [{{hosts: [b.example]}}]}}]}}\nep web a {{allow: [{{name: y, hosts: [a.example]}}]}}"
                ),
                &["always-denied 2 -> ep:istio-system/r#x"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['*.example']}]}\nap web b {rules: [{from: [{source: {serviceAccounts: [app]}}], to: [{operation: {hosts: [a.example]}}]}]}",
                &["always-denied 2 -> ep:web/a#x"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['*.example']}]}\nap web b {rules: [{from: [{source: {namespaces: [web, shop]}}], to: [{operation: {hosts: [a.example]}}]}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['*.example']}]}\nap web b {rules: [{to: [{operation: {hosts: [a.example]}}]}]}",
                &[],
            ),
            (
                "ap web d {action: DENY, rules: [{from: [{source: {namespaces: [web]}}]}]}\nep web a {allow: [{name: y, hosts: [a.example]}]}",
                &["always-denied 2 -> ap:web/d#0"],
            ),
            (
                "ap web d {action: DENY, rules: [{from: [{source: {notNamespaces: [web]}}]}]}\nep web a {allow: [{name: y, hosts: [a.example]}]}",
                &[],
            ),
            // The deny with a method is wider on TCP, but the grant is for every method.
            (
                "ep web a {deny: [{name: x, hosts: [a.example], methods: [POST]}], allow: [{name: y, hosts: [a.example]}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [a.example], methods: [POST]}], allow: [{name: y, hosts: [a.example], methods: [POST]}]}",
                &["always-denied 1 -> ep:web/a#x"],
            ),
        ],
    );
}

#[test]
fn a_teams_deny_over_a_grant_of_root_is_told() {
    let root = "ep istio-system r {subjects: [{namespaces: ['**']}], isolate: false, allow: [{name: g, hosts: [a.example]}]}";
    for (team, expected) in [
        (
            "ep web a {deny: [{name: x, hosts: ['*.example']}]}",
            &["grant-overruled 2 -> ep:istio-system/r#g"][..],
        ),
        ("ep web a {deny: [{name: x, hosts: [b.example]}]}", &[]),
        (
            "ep web a {deny: [{name: x, hosts: [a.example], methods: [POST]}]}",
            &[],
        ),
        (
            "ep web a {mode: Report, deny: [{name: x, hosts: ['*.example']}]}",
            &[],
        ),
        (
            "ep web a {deny: [{name: x, hosts: ['*.example'], except: [{methods: [GET]}]}]}",
            &[],
        ),
    ] {
        tells(
            &[Code::GrantOverruled],
            &[(&format!("{root}\n{team}"), expected)],
        );
    }
    let other = root.replace("'**'", "shop");
    tells(
        &[Code::GrantOverruled],
        &[(
            &format!("{other}\nep web a {{deny: [{{name: x, hosts: ['**']}}]}}"),
            &[],
        )],
    );
}

#[test]
fn what_no_request_can_match_is_told() {
    let allow = |rule: &str| format!("ap web a {{rules: [{rule}]}}");
    for (rule, expected) in [
        (
            "{to: [{operation: {hosts: [a.example, b.example], notHosts: ['*.example']}}]}",
            true,
        ),
        (
            "{to: [{operation: {hosts: [a.example, b.test], notHosts: ['*.example']}}]}",
            false,
        ),
        (
            "{to: [{operation: {hosts: [a.example], notHosts: [a.example]}}]}",
            true,
        ),
        (
            "{to: [{operation: {hosts: [a.example], notHosts: [a.example]}}, {operation: {hosts: [b.example]}}]}",
            false,
        ),
        (
            "{to: [{operation: {hosts: ['a.example:*'], notHosts: ['a.example:443']}}]}",
            false,
        ),
        (
            "{to: [{operation: {methods: [GET], notMethods: [get]}}]}",
            true,
        ),
        (
            "{to: [{operation: {methods: [GET, PUT], notMethods: [GET]}}]}",
            false,
        ),
        (
            "{to: [{operation: {ports: ['443'], notPorts: ['443', '80']}}]}",
            true,
        ),
        (
            "{to: [{operation: {paths: ['/a'], notPaths: ['/*']}}]}",
            true,
        ),
        ("{to: [{operation: {paths: ['/a?x=1']}}]}", true),
        (
            "{to: [{operation: {paths: ['/a//b', '/a;c', '/%61']}}]}",
            true,
        ),
        ("{to: [{operation: {paths: ['/a//b', '/a']}}]}", false),
        ("{to: [{operation: {paths: ['/a//b', '/a/b']}}]}", false),
        ("{to: [{operation: {paths: ['/a%2fb', '/{*}/b']}}]}", false),
        ("{to: [{operation: {paths: ['/a%2fb', '/a;b']}}]}", true),
        (
            "{from: [{source: {namespaces: [web], notNamespaces: [web]}}]}",
            true,
        ),
        (
            "{from: [{source: {namespaces: ['web*'], notNamespaces: [web]}}]}",
            false,
        ),
        (
            "{from: [{source: {serviceAccounts: [app], notServiceAccounts: [web/app]}}]}",
            true,
        ),
        (
            "{from: [{source: {principals: [cluster.local/ns/web]}}]}",
            true,
        ),
        (
            "{from: [{source: {principals: ['cluster.local/ns/Web/*']}}]}",
            true,
        ),
        (
            "{from: [{source: {principals: ['cluster.local/ns/web/*']}}]}",
            false,
        ),
        ("{from: [{source: {principals: ['*/sa/app']}}]}", false),
        ("{from: [{source: {principals: ['x.td/ns/web/*']}}]}", false),
        ("{from: [{source: {trustDomains: ['*.nobody']}}]}", true),
        ("{from: [{source: {trustDomains: ['*.local']}}]}", false),
        (
            "{when: [{key: 'request.headers[x]', values: [a], notValues: ['*']}]}",
            true,
        ),
        (
            "{when: [{key: connection.sni, values: [a], notValues: [b]}]}",
            false,
        ),
        (
            "{when: [{key: destination.port, values: ['1'], notValues: ['1']}]}",
            true,
        ),
    ] {
        let expected = if expected {
            &["never-matches 1"][..]
        } else {
            &[]
        };
        tells(&[Code::NeverMatches], &[(&allow(rule), expected)]);
    }
    // What is not known satisfies a deny, which matches its hosts broadly and those it leaves out strictly.
    tells(
        &[Code::NeverMatches],
        &[
            (
                "ap web a {action: DENY, rules: [{to: [{operation: {hosts: [a.example], notHosts: [a.example]}}]}]}",
                &[],
            ),
            (
                "ap web a {action: DENY, rules: [{to: [{operation: {hosts: [a.example], notHosts: ['a.example:*']}}]}]}",
                &["never-matches 1"],
            ),
            (
                "ep web a {allow: [{name: x, hosts: [a.example], paths: ['/a;b']}]}",
                &["never-matches 1"],
            ),
            (
                "ep web a {allow: [{name: x, hosts: [a.example], paths: ['/a']}]}",
                &[],
            ),
        ],
    );
}

#[test]
fn an_exception_beside_its_deny_is_told() {
    let deny = |except: &str| {
        format!(
            "ep istio-system a {{subjects: [{{namespaces: [web-*]}}], deny: [{{name: x, hosts: ['*.example'], methods: [POST], except: [{except}]}}]}}"
        )
    };
    for (except, expected) in [
        ("{hosts: [a.test]}", true),
        ("{hosts: [a.test, a.example]}", false),
        ("{methods: [GET]}", true),
        ("{methods: [POST]}", false),
        ("{subjects: [{namespaces: [shop]}]}", true),
        ("{subjects: [{namespaces: [web-2]}]}", false),
        ("{subjects: [{namespaces: ['**']}]}", false),
        ("{subjects: [{serviceAccounts: [shop/app]}]}", true),
        ("{subjects: [{unauthenticated: true}]}", false),
    ] {
        let expected = if expected {
            &["never-matches 1 -> ep:istio-system/a#x"][..]
        } else {
            &[]
        };
        tells(&[Code::NeverMatches], &[(&deny(except), expected)]);
    }
}

#[test]
fn ends_are_told_ahead() {
    let policy = |end: &str| {
        format!("ep web a {{allow: [{{name: x, hosts: [a.example], expires: '{end}'}}]}}")
    };
    let told = |end: &str, horizon| {
        let found = problems(&policy(end), &Settings::default(), horizon);
        let ends = found
            .into_iter()
            .filter(|p| matches!(p.code, Code::Expired | Code::ExpiresSoon));
        ends.map(|p| p.text).collect::<Vec<_>>().join("\n")
    };
    for (end, days, expected) in [
        (
            "2026-11-23T00:00:00Z",
            14,
            "`ep:web/a#x` ended at 2026-11-23T00:00:00Z",
        ),
        (
            "2026-11-23T00:00:00Z",
            0,
            "`ep:web/a#x` ended at 2026-11-23T00:00:00Z",
        ),
        ("2026-11-23T00:00:01Z", 0, ""),
        (
            "2026-11-23T20:00:00Z",
            14,
            "`ep:web/a#x` ends in less than a day, at 2026-11-23T20:00:00Z",
        ),
        (
            "2026-11-24T20:00:00Z",
            14,
            "`ep:web/a#x` ends in a day, at 2026-11-24T20:00:00Z",
        ),
        (
            "2026-12-07T00:00:00Z",
            14,
            "`ep:web/a#x` ends in 14 days, at 2026-12-07T00:00:00Z",
        ),
        ("2026-12-07T00:00:01Z", 14, ""),
        (
            "2026-12-07T00:00:01Z",
            15,
            "`ep:web/a#x` ends in 14 days, at 2026-12-07T00:00:01Z",
        ),
    ] {
        assert_eq!(
            told(
                end,
                Horizon {
                    now: Some(NOW),
                    days
                }
            ),
            expected,
            "{end} {days}"
        );
    }
    assert_eq!(
        told(
            "2026-11-01T00:00:00Z",
            Horizon {
                now: None,
                days: 14
            }
        ),
        "",
        "without a clock nothing has ended"
    );
    tells(
        &[Code::Expired],
        &[(
            "ep web a {deny: [{name: x, hosts: [a.example], except: [{methods: [GET], expires: '2026-01-01T00:00:00Z'}]}]}",
            &["expired 1"],
        )],
    );
}

#[test]
fn a_grant_that_no_istio_allow_lets_through_is_told() {
    let grant = "ep web a {allow: [{name: x, hosts: [a.example]}]}";
    let with = |istio: &str| format!("{grant}\nap istio-system i {istio}");
    tells(
        &[Code::IstioGateClosed],
        &[
            (grant, &[]),
            (&with("{}"), &["istio-gate-closed 1"]),
            (&with("{rules: [{}]}"), &[]),
            (
                &with("{rules: [{to: [{operation: {hosts: ['*.example']}}]}]}"),
                &[],
            ),
            (
                &with("{rules: [{to: [{operation: {hosts: ['*.a.example']}}]}]}"),
                &["istio-gate-closed 1"],
            ),
            (
                &with("{rules: [{to: [{operation: {hosts: ['a.example:8443']}}]}]}"),
                &["istio-gate-closed 1"],
            ),
            (
                &with("{rules: [{from: [{source: {namespaces: [shop]}}]}]}"),
                &["istio-gate-closed 1"],
            ),
            (
                &with("{rules: [{from: [{source: {namespaces: [shop, 'w*']}}]}]}"),
                &[],
            ),
            (
                &with("{rules: [{from: [{source: {notNamespaces: [web]}}]}]}"),
                &["istio-gate-closed 1"],
            ),
            (
                &with(
                    "{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/app]}}]}]}",
                ),
                &["istio-gate-closed 1"],
            ),
            (
                &with("{rules: [{from: [{source: {principals: [cluster.local/ns/web/sa/app]}}]}]}"),
                &[],
            ),
            (&with("{action: DENY, rules: [{}]}"), &[]),
        ],
    );
    let found = problems(&with("{}"), &Settings::default(), Horizon::at(NOW));
    let hint = found
        .iter()
        .find(|p| p.code == Code::IstioGateClosed)
        .and_then(|p| p.hint.clone())
        .unwrap();
    let rule = hint.split('`').nth(1).unwrap().trim_start_matches("- ");
    tells(
        &[Code::IstioGateClosed],
        &[(&with(&format!("{{rules: [{rule}]}}")), &[])],
    );
}

#[test]
fn an_istio_allow_on_trial_counts_as_one_that_opens() {
    let lines = "ep web a {allow: [{name: x, hosts: [a.example]}]}\nap istio-system i {}\nap istio-system j {rules: [{}]}";
    let mut bytes = String::from_utf8(set(lines)).unwrap();
    bytes = bytes.replace("{name: j, namespace: istio-system}", DRY_RUN);
    let file = PolicyFile {
        name: "p.yaml".into(),
        bytes: bytes.into_bytes().into(),
    };
    let loaded = source::load(
        &Source {
            name: "d".into(),
            files: vec![file],
            ..Source::default()
        },
        &Settings::default(),
    );
    let compiled = compile::compile(&[loaded], &Settings::default()).unwrap();
    let found = findings(&compiled.snapshot, Horizon::at(NOW));
    assert!(
        found.iter().all(|p| p.code != Code::IstioGateClosed),
        "{found:#?}"
    );
}

const DRY_RUN: &str = "{name: j, namespace: istio-system, annotations: {istio.io/dry-run: 'true'}}";

#[test]
fn what_is_said_of_callers_without_an_identity() {
    let both = [Code::UnauthenticatedUnsaid, Code::UnauthenticatedFreer];
    let isolates = "ep web a {allow: [{name: x, hosts: [a.example]}]}";
    let with = |root: &str| format!("{isolates}\nep istio-system r {root}");
    let named = "subjects: [{unauthenticated: true}]";
    tells(
        &both,
        &[
            (isolates, &["unauthenticated-unsaid 1"]),
            (
                "ep web a {mode: Report, allow: [{name: x, hosts: [a.example]}]}",
                &[],
            ),
            ("ep web a {deny: [{name: x, hosts: [a.example]}]}", &[]),
            (&with(&format!("{{{named}, isolate: true}}")), &[]),
            (
                &with(&format!("{{{named}, mode: Report, isolate: true}}")),
                &["unauthenticated-unsaid 1"],
            ),
            (
                &with(&format!(
                    "{{{named}, deny: [{{name: d, hosts: [b.example]}}]}}"
                )),
                &["unauthenticated-freer 2"],
            ),
            (
                &with(&format!(
                    "{{{named}, allow: [{{name: g, hosts: [b.example]}}]}}"
                )),
                &["unauthenticated-freer 2"],
            ),
            (
                &with(&format!(
                    "{{{named}, allow: [{{name: g, hosts: [a.example]}}]}}"
                )),
                &[],
            ),
            (
                &with(
                    "{subjects: [{namespaces: ['**']}, {unauthenticated: true}], allow: [{name: g, hosts: [b.example]}]}",
                ),
                &[],
            ),
        ],
    );
}

#[test]
fn patterns_that_cover_less_or_more_than_they_seem_to() {
    let codes = [
        Code::NarrowPort,
        Code::AddressOnly,
        Code::DeniesAllTcp,
        Code::DenyPassedWithoutPort,
    ];
    tells(
        &codes,
        &[
            (
                "ep web a {allow: [{name: x, hosts: ['a.example:443', 'b.example:8443']}]}",
                &["narrow-port 1"],
            ),
            (
                "ep web a {allow: [{name: x, hosts: ['a.example:8443', a.example]}]}",
                &[],
            ),
            (
                "ep web a {allow: [{name: x, hosts: ['a.example:8443', '*.example']}]}",
                &[],
            ),
            ("ep web a {allow: [{name: x, hosts: ['a.example:*']}]}", &[]),
            (
                "ep web a {deny: [{name: x, hosts: ['a.example:443']}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['a.example:8443', 'b.example:1']}]}",
                &["deny-passed-without-port 1"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['a.example:8443', 'a.example:80']}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['a.example:8443', a.example]}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['a.example:8443', 'b.example:443']}]}",
                &["deny-passed-without-port 1"],
            ),
            (
                "ap web a {action: DENY, rules: [{to: [{operation: {hosts: ['a.example:8443']}}]}]}",
                &["deny-passed-without-port 1"],
            ),
            (
                "ap web a {action: DENY, rules: [{to: [{operation: {hosts: ['a.example:8443'], ports: ['8443']}}]}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [a.example], except: [{hosts: ['a.example:443']}]}]}",
                &["narrow-port 1"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [10.0.0.0/8, 192.0.2.0/24]}]}",
                &["address-only 1"],
            ),
            ("ep web a {deny: [{name: x, hosts: [10.0.0.1]}]}", &[]),
            (
                "ep web a {deny: [{name: x, hosts: ['**'], methods: [POST]}]}",
                &["denies-all-tcp 1"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [a.example], methods: [POST]}]}",
                &[],
            ),
            (
                "ap web a {action: DENY, rules: [{to: [{operation: {paths: ['/x']}}]}]}",
                &["denies-all-tcp 1"],
            ),
            (
                "ap web a {action: DENY, rules: [{to: [{operation: {paths: ['/x'], ports: ['80']}}]}]}",
                &[],
            ),
            (
                "ap web a {action: DENY, rules: [{when: [{key: 'request.headers[x]', values: [a]}]}]}",
                &["denies-all-tcp 1"],
            ),
            (
                "ap web a {action: DENY, rules: [{when: [{key: connection.sni, values: [a]}]}]}",
                &[],
            ),
            ("ap web a {action: DENY, rules: [{}]}", &[]),
            (
                "ap web a {rules: [{to: [{operation: {paths: ['/x']}}]}]}",
                &[],
            ),
        ],
    );
}

#[test]
fn warnings_come_before_notes_and_many_are_cut() {
    let grants: Vec<String> = (0..MOST_OF_A_CODE + 2)
        .map(|i| format!("{{name: e{i}, hosts: ['h{i}.example:1']}}"))
        .collect();
    let found = problems(
        &format!("ep web a {{allow: [{}]}}", grants.join(", ")),
        &Settings::default(),
        Horizon::at(NOW),
    );
    assert_eq!(found.first().map(|p| p.severity), Some(Severity::Warning));
    assert_eq!(
        found.iter().filter(|p| p.code == Code::NarrowPort).count(),
        MOST_OF_A_CODE
    );
    let last = found.last().unwrap();
    assert_eq!(
        (last.code, last.text.as_str()),
        (
            Code::LeftOff,
            "2 more findings of `narrow-port` are not told"
        )
    );
}
