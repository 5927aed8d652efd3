//! Why a request is denied although an entry or a rule is close: the part that does not match is
//! named.

use super::{Ended, Folder, policy};

/// An isolated shop with its own Istio gate.
fn folder() -> Folder {
    let shop = policy(
        "shop",
        "{isolate: true, allow: [{name: vendor, hosts: [api.vendor.example]}, \
         {name: tls, hosts: ['tls.vendor.example:443'], methods: [GET], paths: [/v1/*, '/v2/{*}']}, \
         {name: lan, hosts: [192.168.0.0/16]}]}",
    );
    let gate = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: gate, namespace: istio-system}\n\
                spec:\n  rules:\n  - to: [{operation: {hosts: ['*.corp.example'], methods: [GET]}}]\n    \
                when: [{key: 'request.headers[x-team]', values: [red]}]\n  - from: [{source: {namespaces: [batch]}}]\n    \
                to: [{operation: {hosts: [batch.test]}}]\n";
    Folder::with(&[("egress/a.yaml", &shop), ("istio/a.yaml", gate)])
}

fn check(folder: &Folder, question: &str, directory: &str) -> Ended {
    folder.run(&format!("check --from shop/web {question} {directory}"))
}

#[test]
fn the_part_of_the_nearest_entry_that_does_not_match_is_named() {
    let folder = folder();
    for (question, parts) in [
        (
            "--to http://api.vendor.example:8443/",
            &[
                "nearest: ep:shop/egress#vendor",
                "the host matches",
                "the port does not: the port is 8443",
                "`api.vendor.example` covers 80, 443 and none",
            ][..],
        ),
        (
            "--to http://tls.vendor.example/v1/x",
            &[
                "nearest: ep:shop/egress#tls",
                "the request names no port",
                "`tls.vendor.example:443` covers 443 alone",
            ],
        ),
        (
            "--to https://tls.vendor.example:443/v1/x --method POST",
            &["the method is `POST`, and it is about GET"],
        ),
        (
            "--to https://tls.vendor.example:443/v3/x",
            &["the path is `/v3/x`, and it is about /v1/*, /v2/{*}"],
        ),
        (
            "--to https://tls.vendor.example:8443/v3/x --method POST",
            &[
                "the port is 8443",
                "the method is `POST`",
                "the path is `/v3/x`",
            ],
        ),
        (
            "--to https://tls.vendor.example:443/v1/%2e%2e/x",
            &["the path can be read as ", "all of which must match"],
        ),
        (
            "--to http://192.168.7.7:8080/",
            &["nearest: ep:shop/egress#lan", "the port is 8080"],
        ),
        (
            "--to tcp://tls.vendor.example:443",
            &["it asks for what only HTTP has, and this is a TCP connection"],
        ),
    ] {
        let ended = check(&folder, question, "egress");
        assert_eq!(ended.code, Some(1), "{ended:?}");
        for part in parts {
            assert!(
                ended.stdout.contains(part),
                "{question}: no {part:?} in {}",
                ended.stdout
            );
        }
    }
    let json = check(
        &folder,
        "--to http://api.vendor.example:8443/ --format json",
        "egress",
    )
    .json();
    let nearest = &json["stages"][3]["nearest"];
    assert_eq!(
        (&nearest["hostsMatch"], &nearest["misses"][0]["part"]),
        (&true.into(), &"port".into()),
        "{json}"
    );
}

#[test]
fn the_nearest_rule_at_the_istio_gate_is_named() {
    let folder = folder();
    for (question, parts) in [
        (
            "--to http://api.other.example/",
            &["nearest: ap:istio-system/gate#0", "allows *.corp.example"][..],
        ),
        (
            "--to http://a.corp.example:8443/",
            &["the port is 8443, and `*.corp.example` covers 80, 443 and none"],
        ),
        (
            "--to http://a.corp.example/ --method PUT",
            &["the method is `PUT`, and it is about GET"],
        ),
        (
            "--to http://a.corp.example/",
            &[
                "the host matches",
                "its condition on `request.headers[x-team]` does not hold",
            ],
        ),
        (
            "--to http://batch.test/",
            &[
                "nearest: ap:istio-system/gate#1",
                "it is not about this caller",
            ],
        ),
    ] {
        let ended = check(&folder, question, "istio");
        assert_eq!(ended.code, Some(1), "{ended:?}");
        for part in parts {
            assert!(
                ended.stdout.contains(part),
                "{question}: no {part:?} in {}",
                ended.stdout
            );
        }
    }
    let json = check(
        &folder,
        "--to http://a.corp.example/ --method PUT --format json",
        "istio",
    )
    .json();
    assert_eq!(
        json["stages"][2]["nearest"]["rule"]["id"], "ap:istio-system/gate#0",
        "{json}"
    );
}

#[test]
fn the_canonical_host_is_printed_and_why_a_host_is_malformed() {
    let folder = folder();
    for (question, parts) in [
        (
            "--to http://API.vendor.example.:80/",
            &["host         api.vendor.example, port 80\n"][..],
        ),
        (
            "--to http://[::ffff:192.168.7.7]/",
            &["host         192.168.7.7, no known port\n"],
        ),
        (
            "--to http://a..example/",
            &["malformed_host", "`a..example`: ", "empty label"],
        ),
        (
            "--to http://user@a.example/",
            &["malformed_host", "`user@a.example`: ", "a character"],
        ),
        (
            "--to http://a.example:99999/",
            &[
                "malformed_host",
                "`a.example:99999`: the port is not a number",
            ],
        ),
        (
            "--to tcp://a..example:5432",
            &["malformed_sni", "`a..example`: "],
        ),
    ] {
        let ended = check(&folder, question, "egress");
        for part in parts {
            assert!(
                ended.stdout.contains(part),
                "{question}: no {part:?} in {}",
                ended.stdout
            );
        }
    }
    let json = check(&folder, "--to http://a..example/ --format json", "egress").json();
    assert!(
        json["problem"].as_str().unwrap().contains("empty label"),
        "{json}"
    );
}
