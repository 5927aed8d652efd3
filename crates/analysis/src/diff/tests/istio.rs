//! Differences between sets that hold AuthorizationPolicies.

use super::*;

#[test]
fn the_first_allow_of_istio_closes_the_gate_for_everybody_else() {
    let web = egress("web", "{deny: [{name: d, hosts: [a.example]}]}");
    let from = "from: [{source: {principals: [cluster.local/ns/shop/sa/app]}}]";
    let allow = istio(
        "gate",
        &format!("{{rules: [{{{from}, to: [{{operation: {{hosts: [b.example]}}}}]}}]}}"),
    );
    changes(
        &web,
        &format!("{web}{allow}"),
        &[
            "denied made-up/made-up -> http://made-up.invalid/",
            "denied unauthenticated -> http://b.example/",
            "denied web/made-up -> http://made-up.invalid/",
            "denied shop/app -> http://made-up.invalid/",
            "reason shop/app -> http://b.example/",
        ],
        &[
            "denied shop/app -> http://b.example/",
            "any web/made-up -> http://a.example/",
            "allowed",
        ],
    );
    let empty = istio("gate", "{}");
    changes(
        &web,
        &format!("{web}{empty}"),
        &["denied made-up/made-up -> http://made-up.invalid/"],
        &["allowed"],
    );
}

#[test]
fn what_istio_alone_can_ask_is_asked_too() {
    for (rule, expected, spared) in [
        (
            "from: [{source: {ipBlocks: [10.1.0.0/16]}}]",
            "denied made-up/made-up -> http://made-up.invalid/ (from 10.1.2.3)",
            "any made-up/made-up -> http://made-up.invalid/ (from 10.2.0.0)",
        ),
        (
            "from: [{source: {notNamespaces: [web]}}]",
            "denied made-up/made-up -> http://made-up.invalid/",
            "any web/app -> http://made-up.invalid/",
        ),
        (
            "to: [{operation: {ports: ['443']}}]",
            "denied made-up/made-up -> http://made-up.invalid/ (listener port 443)",
            "any made-up/made-up -> http://made-up.invalid/ (listener port 80)",
        ),
        (
            "when: [{key: 'request.headers[x-role]', values: [admin]}]",
            "denied made-up/made-up -> http://made-up.invalid/ (x-role: admin)",
            "any made-up/made-up -> http://made-up.invalid/ (x-role: user)",
        ),
        (
            "when: [{key: 'request.headers[Host]', values: [b.example]}]",
            "denied made-up/made-up -> http://b.example/",
            "any made-up/made-up -> http://c.example/",
        ),
        (
            "when: [{key: 'request.headers[:method]', values: [TRACE]}]",
            "denied made-up/made-up -> TRACE http://made-up.invalid/",
            "any made-up/made-up -> http://made-up.invalid/",
        ),
        (
            "when: [{key: 'request.headers[:path]', values: ['/x?y']}]",
            "denied made-up/made-up -> http://made-up.invalid/x?y",
            "any made-up/made-up -> http://made-up.invalid/x",
        ),
        (
            "when: [{key: connection.sni, values: [b.example]}]",
            "denied made-up/made-up -> http://made-up.invalid/ (SNI b.example)",
            "any made-up/made-up -> http://made-up.invalid/ (SNI c.example)",
        ),
        (
            "to: [{operation: {paths: ['/v1/{*}/x']}}]",
            "denied made-up/made-up -> http://made-up.invalid/v1/made-up/x",
            "any made-up/made-up -> http://made-up.invalid/v1/made-up/y",
        ),
    ] {
        let old = istio(
            "a",
            "{action: DENY, rules: [{to: [{operation: {hosts: [x.x]}}]}]}",
        );
        let deny = istio("b", &format!("{{action: DENY, rules: [{{{rule}}}]}}"));
        let (expected, spared) = (&[expected][..], &[spared][..]);
        changes(&old, &format!("{old}{deny}"), expected, spared);
    }
}
