//! The line of every kind of record.

use proptest::prelude::*;

use super::*;
use crate::stream::Format;

/// Returns the line of a record, which is written as the members of a JSON object.
fn shown(members: &str) -> String {
    line(
        &read(&format!(
            "{{\"time\":\"2026-11-23T12:00:00.123456789Z\",{members}}}\n"
        )),
        false,
    )
}

fn read(line: &str) -> Record {
    decode::record(Format::Json, line.as_bytes()).unwrap()
}

const CALL: &str = r#""kind":"decision","namespace":"shop","serviceAccount":"cart","host":"a.example","port":443,"protocol":"http","method":"GET","path":"/x""#;

#[test]
fn a_decision_shows_the_answer_to_look_at() {
    for (answers, expected) in [
        (
            r#""effect":"allow","verdict":"allow","dryRun":"allow","reason":"allowed_by_rule","rule":"ep:a#b","owner":"o""#,
            "allow        shop/cart -> a.example:443 GET /x allowed_by_rule ep:a#b (o)",
        ),
        (
            r#""effect":"deny","verdict":"deny","dryRun":"deny","reason":"denied_by_rule","rule":"ep:a#b","owner":"o""#,
            "deny         shop/cart -> a.example:443 GET /x denied_by_rule ep:a#b (o)",
        ),
        (
            r#""effect":"deny","verdict":"deny","dryRun":"allow","reason":"denied_by_rule""#,
            "deny         shop/cart -> a.example:443 GET /x denied_by_rule [dry run: allow]",
        ),
        (
            r#""effect":"allow","verdict":"allow","dryRun":"deny","reason":"default","owner":"o","dryRunReason":"denied_by_rule","dryRunRule":"ep:a#t","dryRunOwner":"w""#,
            "dry-run-deny shop/cart -> a.example:443 GET /x denied_by_rule ep:a#t (w)",
        ),
        (
            r#""effect":"allow","verdict":"deny","dryRun":"deny","reason":"denied_by_rule","rule":"ep:a#b""#,
            "dry-run-deny shop/cart -> a.example:443 GET /x denied_by_rule ep:a#b [not enforced]",
        ),
    ] {
        assert_eq!(
            shown(&format!("{CALL},{answers}")),
            format!("2026-11-23T12:00:00.123Z {expected}")
        );
    }
    let tcp = r#""kind":"decision","identity":"unauthenticated","protocol":"tcp","rawHost":"B","effect":"deny","reason":"r""#;
    assert!(
        shown(tcp).ends_with("deny         unauthenticated -> ?B tcp r"),
        "{}",
        shown(tcp)
    );
}

#[test]
fn every_other_kind_has_a_line_of_its_own() {
    let answer =
        format!("{CALL},\"effect\":\"deny\",\"verdict\":\"deny\",\"reason\":\"denied_by_rule\"");
    for (members, expected) in [
        (
            r#""kind":"policyChange","outcome":"published","revision":"r1","previousRevision":"r0","refusedSources":["p"],"policies":4,"egressDenyRules":2,"istioAllowRules":1,"problems":[{"file":"a.yaml","line":3,"text":"no"}],"problemsLeftOut":2"#,
            "policyChange published, revision r1 after r0, 4 policies, 3 rules, refused: p; 3 problems, the first: a.yaml:3 no",
        ),
        (
            &format!(r#""kind":"question","askedBy":"127.0.0.1:4","answer":{{{answer}}}"#),
            "question     by 127.0.0.1:4: shop/cart -> a.example:443 GET /x would get deny denied_by_rule",
        ),
        (
            r#""kind":"grantEnd","rule":"ep:a#b","expires":"2026-11-23T12:00:00Z","owner":"o","ticket":"T-1""#,
            "grantEnd     ep:a#b ended at 2026-11-23T12:00:00.000Z, owner o, ticket T-1",
        ),
        (
            r#""kind":"start","version":"0.1.0","listen":["127.0.0.1:9191","unix:/x"],"enforcement":"enforce""#,
            "start        customs 0.1.0 listens on 127.0.0.1:9191, unix:/x, enforcement enforce",
        ),
        (
            r#""kind":"stop","cause":"SIGTERM","decisions":"9","revision":"r1""#,
            "stop         SIGTERM, after 9 decisions, revision r1",
        ),
        (
            r#""kind":"withheld","decisionId":"d","decisionNumber":"7","reason":"audit_unavailable""#,
            "withheld     decision 7 (d) got no answer: audit_unavailable",
        ),
        (
            r#""kind":"callerGone","decisionId":"d","decisionNumber":"7""#,
            "callerGone   decision 7 (d) was not delivered: its caller had given up",
        ),
        (
            r#""kind":"refusals","refusals":[{"peer":"10.0.0.7","cause":"tls","count":"2","example":"a ClientHello"},{"peer":"other","cause":"http1","count":"1"}]"#,
            "refusals     refused before they were checks: 2 tls from 10.0.0.7, such as a ClientHello; 1 http1 from other",
        ),
        (
            r#""kind":"stream","stream":"s2","sink":"file:x","filter":"all","format":"json","previousStream":"s1","previousSequence":"8","tornBytes":"5""#,
            "stream       s2 of file:x, all, as json, after 8 of s1, 5 bytes of an unfinished record cut off",
        ),
        (
            r#""kind":"stream","stream":"s1","sink":"stdout","filter":"all","format":"json""#,
            "stream       s1 of stdout, all, as json, the first",
        ),
        (
            r#""kind":"gap","lost":{"allows":"2","events":"1"},"first":"2026-11-23T12:00:00Z","last":"2026-11-23T12:00:01Z""#,
            "gap          3 records lost (2 allowed, 1 events) from 2026-11-23T12:00:00.000Z to 2026-11-23T12:00:01.000Z",
        ),
        (
            r#""kind":"lag","missedFrom":"4","missedTo":"9""#,
            "lag          missed the records 4 to 9",
        ),
        (
            r#""kind":"checkpoint","sealedStream":"s1","records":"12","head":"0123456789abcdef0123","final":true,"key":"k""#,
            "checkpoint   s1 had 12 records, head 0123456789abcdef.., the last, signed by k",
        ),
        (
            r#""kind":"later","owner":"o""#,
            r#"later        {"time":"2026-11-23T12:00:00.123456789Z","kind":"later","owner":"o"}"#,
        ),
    ] {
        assert_eq!(
            shown(members),
            format!("2026-11-23T12:00:00.123Z {expected}")
        );
    }
}

#[test]
fn colours_are_put_around_and_never_within() {
    let record = read(&format!(
        "{{{CALL},\"effect\":\"deny\",\"verdict\":\"deny\",\"reason\":\"r\"}}\n"
    ));
    assert_eq!(
        line(&record, true),
        "\x1b[2m-\x1b[0m \x1b[1;31mdeny        \x1b[0m shop/cart -> a.example:443 GET /x r"
    );
}

proptest! {
    #[test]
    fn no_text_of_anybody_controls_a_terminal(text in any::<String>(), kind in 0..14_usize) {
        let kinds = ["decision", "policyChange", "question", "grantEnd", "start", "stop", "withheld", "stream", "gap",
            "lag", "checkpoint", "callerGone", "refusals", &text];
        let one = || text.clone();
        let decision = Record {
            kind: kinds[kind].to_owned(), effect: one(), verdict: one(), dry_run: one(), reason: one(), rule: one(),
            identity: one(), namespace: one(), service_account: one(), host: one(), raw_host: one(), sni: one(),
            method: one(), path: one(), protocol: one(), owner: one(), ticket: one(), dry_run_owner: one(),
            dry_run_rule: one(), dry_run_reason: one(), decision_id: one(), revision: one(), ..Record::default()
        };
        let problem = crate::proto::Problem { file: one(), text: one(), ..Default::default() };
        let refusal = crate::proto::Refusal { peer: one(), cause: one(), count: 1, example: one() };
        let record = Record {
            refusals: vec![refusal], answer: Some(Box::new(decision.clone())), outcome: one(), previous_revision: one(),
            refused_sources: vec![one()], problems: vec![problem], asked_by: one(), version: one(), listen: vec![one()],
            cause: one(), sink: one(), filter: one(), format: one(), previous_stream: one(), stream: one(),
            sealed_stream: one(), head: one(), key: one(), enforcement: one(), ..decision
        };
        let line = line(&record, false);
        prop_assert!(customs_policy::printable::is_printable(&line), "{:?}", line);
    }
}
