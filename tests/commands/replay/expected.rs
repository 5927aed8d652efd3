//! `customs replay --expect`: the verdicts that are meant to change, and all others.

use serde_json::json;

use super::{ONLY_A, decision, log, with};
use crate::{Folder, policy};

#[test]
fn only_unexpected_changes_fail() {
    let records = [
        decision("shop/cart", "b.example", "/"),
        decision("shop/cart", "b.example", "/"),
        decision("shop/pay", "c.example", "/"),
    ];
    let (log, policy) = (log(&records), policy("shop", ONLY_A));
    let run = |expect: &str, arguments: &str| {
        let files = [
            ("log", log.as_str()),
            ("new/a.yaml", policy.as_str()),
            ("expect.yaml", expect),
        ];
        Folder::with(&files).run(&format!(
            "replay log --policies new --expect expect.yaml {arguments}"
        ))
    };
    let both = "- {from: shop/cart, to: b.example, expect: Deny, atLeast: 2, atMost: 2, reason: moved}\n\
                - {from: shop/*, to: '*.example', expect: Deny}\n";
    let ended = run(both, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("\n0 newly allowed, 3 newly denied, 0 of them unexpected, 0 unanswerable\n"),
        "{ended:?}"
    );
    for (expect, arguments, code, said) in [
        (
            "- {from: shop/cart, to: b.example, expect: Deny}\n",
            "",
            1,
            "1 of them unexpected",
        ),
        (
            "- {from: shop/cart, to: b.example, expect: Allow}\n",
            "",
            1,
            "3 of them unexpected",
        ),
        (
            "- {from: '**', to: '**', expect: Deny, atMost: 2}\n",
            "",
            1,
            "happened 3 times, and 0 to 2 are expected (expect.yaml:1:3)",
        ),
        (
            "- {from: '**', to: '**', expect: Deny}\n- {from: unauthenticated, to: x.example, expect: Deny}\n",
            "",
            0,
            "never happened (expect.yaml:2:3)",
        ),
        (
            "- {from: '**', to: '**', expect: Deny}\n- {from: unauthenticated, to: x.example, expect: Deny}\n",
            "--require-expected",
            1,
            "never happened (expect.yaml:2:3)",
        ),
    ] {
        let ended = run(expect, arguments);
        assert_eq!(ended.code, Some(code), "{expect}: {ended:?}");
        assert!(ended.stdout.contains(said), "{said}: {ended:?}");
    }
}

#[test]
fn a_caller_of_a_foreign_domain_is_not_the_account_of_that_name() {
    let foreign = with(
        decision("shop/cart", "b.example", "/"),
        json!({"trustDomain": "x.td", "principal": "spiffe://x.td/ns/shop/sa/cart"}),
    );
    let (log, policy) = (log(&[foreign]), policy("shop", ONLY_A));
    for (from, code) in [
        ("shop/cart", 1),
        ("shop/*", 1),
        ("spiffe://x.td/ns/shop/sa/cart", 0),
        ("**", 0),
    ] {
        let expect = format!("- {{from: '{from}', to: b.example, expect: Deny}}\n");
        let files = [
            ("log", log.as_str()),
            ("new/a.yaml", policy.as_str()),
            ("expect.yaml", expect.as_str()),
        ];
        let ended = Folder::with(&files)
            .run("replay log --policies new --expect expect.yaml --accept-trust-domains x.td");
        assert_eq!(ended.code, Some(code), "{from}: {ended:?}");
        assert!(
            ended.stdout.contains("shop/cart (x.td)  b.example"),
            "{ended:?}"
        );
    }
}

#[test]
fn a_file_of_expectations_is_read_as_strictly_as_a_policy() {
    let record = log(&[decision("shop/cart", "a.example", "/")]);
    let policy = policy("shop", ONLY_A);
    for (expect, place, what) in [
        ("from: x\n", "1:1", "must be a list"),
        ("", "expect.yaml", "holds no expected change"),
        (
            "- {from: shop, to: a.example, expect: Deny}\n",
            "1:10",
            "invalid caller `shop`",
        ),
        (
            "- {from: shop/a, to: A.example, expect: Deny}\n",
            "1:22",
            "invalid host `A.example`",
        ),
        (
            "- {from: shop/a, to: '*', expect: Deny}\n",
            "1:22",
            "invalid host `*`",
        ),
        (
            "- {from: shop/a, to: a.example, expect: deny}\n",
            "1:41",
            "invalid answer `deny`",
        ),
        (
            "- {from: shop/a, to: a.example}\n",
            "1:3",
            "`expect` is missing",
        ),
        (
            "- {from: shop/a, to: a.example, expect: Deny, atLeast: many}\n",
            "1:56",
            "`atLeast` must be a number",
        ),
        (
            "- {from: shop/a, to: a.example, expect: Deny, atLeast: 3, atMost: 2}\n",
            "1:3",
            "`atLeast` is 3, more than `atMost`",
        ),
        (
            "- {from: shop/a, too: a.example, expect: Deny}\n",
            "1:18",
            "unknown field `too`",
        ),
        ("- [", "expect.yaml", ""),
    ] {
        let files = [
            ("log", record.as_str()),
            ("new/a.yaml", policy.as_str()),
            ("expect.yaml", expect),
        ];
        let ended = Folder::with(&files).run("replay log --policies new --expect expect.yaml");
        assert_eq!(ended.code, Some(2), "{expect}: {ended:?}");
        assert!(ended.stdout.contains(place), "{expect}: {ended:?}");
        assert!(ended.stdout.contains(what), "{expect}: {ended:?}");
        assert!(ended.stderr.contains("nothing was replayed"), "{ended:?}");
    }
}
