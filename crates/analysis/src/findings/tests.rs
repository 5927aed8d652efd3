//! Tables of findings: a set, and its findings as `code line -> the other rule`. Each kind has near
//! misses that must not be reported.

use super::*;
use customs_engine::settings::Settings;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};

mod covers;
mod gates;

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
fn assert_findings(codes: &[Code], table: &[(&str, &[&str])]) {
    for (lines, expected) in table {
        let horizon = Horizon::at(NOW);
        let found = problems(lines, &Settings::default(), horizon);
        let reported: Vec<String> = found
            .iter()
            .filter(|p| codes.contains(&p.code))
            .map(line)
            .collect();
        assert_eq!(reported, *expected, "{lines}\n{found:#?}");
    }
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
        assert_findings(
            &[Code::GrantOverruled],
            &[(&format!("{root}\n{team}"), expected)],
        );
    }
    let other = root.replace("'**'", "shop");
    assert_findings(
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
        assert_findings(&[Code::NeverMatches], &[(&allow(rule), expected)]);
    }
    // An unknown attribute satisfies a deny, which matches its hosts broadly and its excluded hosts
    // strictly.
    assert_findings(
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
        assert_findings(&[Code::NeverMatches], &[(&deny(except), expected)]);
    }
}

#[test]
fn ends_are_told_ahead() {
    let policy = |end: &str| {
        format!("ep web a {{allow: [{{name: x, hosts: [a.example], expires: '{end}'}}]}}")
    };
    let reported = |end: &str, horizon| {
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
            reported(
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
        reported(
            "2026-11-01T00:00:00Z",
            Horizon {
                now: None,
                days: 14
            }
        ),
        "",
        "without a clock nothing has ended"
    );
    assert_findings(
        &[Code::Expired],
        &[(
            "ep web a {deny: [{name: x, hosts: [a.example], except: [{methods: [GET], expires: '2026-01-01T00:00:00Z'}]}]}",
            &["expired 1"],
        )],
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
            "2 more findings of `narrow-port` are not listed"
        )
    );
}
