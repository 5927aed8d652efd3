//! Rules that others cover.

use super::*;

#[test]
fn a_rule_within_another_is_covered() {
    assert_findings(
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
            // The team's deny applies to callers without a valid identity too, unless a policy
            // names them.
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
        assert_findings(&[Code::Covered], &[(&grants(one, two), &expected)]);
    }
    assert_findings(
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
            // Only `**` grants a connection without a host, and no grant with a method matches TCP.
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
    assert_findings(
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
            // An exception for other callers opens nothing here; one for this caller or host may.
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
