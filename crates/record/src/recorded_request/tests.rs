//! One record after the other: what it lacks, and whether that matters to a set.

use std::sync::Arc;

use super::*;
use customs_engine::condition::Condition;
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::field::Field;
use customs_engine::operation::{Operation, PathPattern};
use customs_engine::pattern::{TextPattern, parse_host_pattern};
use customs_engine::place::Place;
use customs_engine::rule::Rule;
use customs_engine::rule_info::{About, RuleId, RuleInfo};
use customs_engine::rules::Rules;
use customs_engine::settings::IdentitySource;
use customs_engine::snapshot::{Revision, Snapshot};
use customs_engine::subject::{Account, CallerMatch, Subject, SubjectList};
use customs_engine::time::UnixNanos;

const NOW: UnixNanos = UnixNanos(1_795_392_000 * 1_000_000_000);

/// A record of a GET of `/v1/x` at a.example by shop/cart.
fn inputs() -> RecordedInputs<'static> {
    RecordedInputs {
        protocol: "http",
        identity: "valid",
        principal: "spiffe://cluster.local/ns/shop/sa/cart",
        trust_domain: "cluster.local",
        namespace: "shop",
        source_address: "10.1.2.3",
        destination_address: "10.1.2.4",
        listener_port: Some(8443),
        raw_host: "a.example",
        method: "GET",
        path: "/v1/x",
        ..RecordedInputs::default()
    }
}

fn info(index: usize) -> Arc<RuleInfo> {
    let id = RuleId::rule("n/p".into(), index);
    RuleInfo::new(id, Place::whole("f"), About::default()).into()
}

/// A deny of one host with an operation.
fn deny(host: &str, change: impl FnOnce(&mut Rule, &mut Operation)) -> Arc<Rule> {
    let mut operation = Operation {
        hosts: Field::of([parse_host_pattern(host).unwrap().0]),
        ..Operation::default()
    };
    let mut rule = Rule {
        info: info(0),
        mode: Enforcement::Enforce,
        callers: CallerMatch::Anyone,
        to: Box::default(),
        when: Box::default(),
        except: Box::default(),
    };
    change(&mut rule, &mut operation);
    rule.to = [operation].into();
    rule.into()
}

fn policies(denies: Vec<Arc<Rule>>, settings: Settings) -> RecordedPolicies {
    let rules = Rules {
        denies,
        ..Rules::default()
    };
    RecordedPolicies::new(Snapshot::new(Revision::none(), settings, rules))
}

/// The effect of a set on a record, or what the record lacks.
fn answer(denies: Vec<Arc<Rule>>, inputs: &RecordedInputs<'_>) -> Result<Effect, String> {
    let decided = policies(denies, Settings::default()).decide(inputs, "other", NOW);
    decided
        .map(|decided| decided.decision().verdict.effect())
        .map_err(|why| why.to_string())
}

fn paths(rule: &mut Rule, operation: &mut Operation) {
    let _ = rule;
    operation.paths = Field::of([PathPattern::Text(TextPattern::parse("/admin*"))]);
}

fn accounts(rule: &mut Rule, _: &mut Operation) {
    let account = Account {
        namespace: "shop".into(),
        name: "cart".into(),
    };
    let subject = Subject::Accounts {
        accounts: [account].into(),
        trust_domains: Box::default(),
    };
    rule.callers = CallerMatch::Subjects(SubjectList([subject].into()).into());
}

fn header(rule: &mut Rule, _: &mut Operation) {
    let condition = Condition::Header {
        name: "x-team".into(),
        values: Field::of([TextPattern::parse("ops")]),
    };
    rule.when = [condition].into();
}

#[test]
fn a_whole_record_is_decided() {
    assert_eq!(
        answer(vec![deny("a.example", |_, _| ())], &inputs()),
        Ok(Effect::Deny)
    );
    assert_eq!(
        answer(vec![deny("b.example", |_, _| ())], &inputs()),
        Ok(Effect::Allow)
    );
    assert_eq!(
        answer(vec![deny("a.example", paths)], &inputs()),
        Ok(Effect::Allow)
    );
    assert_eq!(
        answer(vec![deny("a.example", accounts)], &inputs()),
        Ok(Effect::Deny)
    );
}

#[test]
fn a_redacted_path_matters_only_if_a_rule_about_the_request_has_paths() {
    for path in ["", "hash:00"] {
        let redacted = RecordedInputs {
            path,
            redacted: vec!["path"],
            ..inputs()
        };
        for (denies, expected) in [
            (vec![deny("a.example", |_, _| ())], Ok(Effect::Deny)),
            (vec![deny("b.example", paths)], Ok(Effect::Allow)),
            (
                vec![deny("a.example", paths)],
                Err("`path` is redacted".to_owned()),
            ),
            // Another rule denies it whatever the path was.
            (
                vec![deny("a.example", paths), deny("a.example", |_, _| ())],
                Ok(Effect::Deny),
            ),
        ] {
            assert_eq!(answer(denies, &redacted), expected);
        }
    }
}

#[test]
fn a_truncated_path_is_not_compared_with_what_is_left_of_it() {
    let truncated = RecordedInputs {
        truncated: vec!["path", "requestId"],
        ..inputs()
    };
    assert_eq!(
        answer(vec![deny("a.example", paths)], &truncated),
        Err("`path` is truncated".to_owned())
    );
    assert_eq!(
        answer(vec![deny("b.example", paths)], &truncated),
        Ok(Effect::Allow)
    );
    for field in ["requestId", "traceparent", "streamId", "gateway"] {
        let truncated = RecordedInputs {
            truncated: vec![field],
            ..inputs()
        };
        assert_eq!(
            answer(vec![deny("a.example", paths)], &truncated),
            Ok(Effect::Allow),
            "{field}"
        );
    }
}

#[test]
fn of_a_redacted_caller_the_namespace_is_known() {
    let redacted = RecordedInputs {
        principal: "",
        redacted: vec!["principal", "serviceAccount"],
        ..inputs()
    };
    let other = RecordedInputs {
        namespace: "web",
        ..redacted.clone()
    };
    let by_namespace = || {
        deny("a.example", |rule, _| {
            let subject = Subject::Workloads {
                namespaces: [customs_engine::subject::NamespacePattern::Exact(
                    "shop".into(),
                )]
                .into(),
                accounts: Box::default(),
                trust_domains: Box::default(),
            };
            rule.callers = CallerMatch::Subjects(SubjectList([subject].into()).into());
        })
    };
    assert_eq!(answer(vec![by_namespace()], &redacted), Ok(Effect::Deny));
    assert_eq!(answer(vec![by_namespace()], &other), Ok(Effect::Allow));
    assert_eq!(
        answer(vec![deny("a.example", accounts)], &redacted),
        Err("`serviceAccount` is redacted".to_owned())
    );
    assert_eq!(
        answer(vec![deny("a.example", accounts)], &other),
        Ok(Effect::Allow)
    );
}

#[test]
fn a_header_is_known_if_its_one_value_is_on_record() {
    let recorded = |present, value, value_unknown| RecordedInputs {
        headers: vec![RecordedHeader {
            name: "x-team",
            present,
            value,
            value_unknown,
        }],
        ..inputs()
    };
    let ask = |inputs: &RecordedInputs<'_>| answer(vec![deny("a.example", header)], inputs);
    let lacks = |what: MissingCause| Err(format!("`headers[x-team]` {}", what.in_words()));
    let long = "x".repeat(256);
    for (inputs, expected) in [
        (inputs(), lacks(MissingCause::NotRecorded)),
        (recorded(false, "", false), Ok(Effect::Allow)),
        (recorded(true, "", true), Ok(Effect::Deny)),
        (recorded(true, "ops", false), Ok(Effect::Deny)),
        (recorded(true, "dev", false), Ok(Effect::Allow)),
        (
            recorded(true, "", false),
            lacks(MissingCause::ValueNotRecorded),
        ),
        (
            recorded(true, "a,b", false),
            lacks(MissingCause::ValueNotRecorded),
        ),
        (recorded(true, &long, false), lacks(MissingCause::Truncated)),
    ] {
        assert_eq!(ask(&inputs), expected, "{:?}", inputs.headers);
    }
    let tcp = RecordedInputs {
        protocol: "tcp",
        ..inputs()
    };
    assert_eq!(
        ask(&tcp),
        Ok(Effect::Deny),
        "TCP has no headers, which a deny covers"
    );
}

#[test]
fn what_no_set_could_decide_is_said_at_once() {
    type Change = fn(&mut RecordedInputs<'static>);
    let cases: [(Change, &str); 6] = [
        (|i| i.protocol = "quic", "`protocol` is of another version"),
        (
            |i| i.identity = "certain",
            "`principal` is of another version",
        ),
        (|i| i.truncated = vec!["rawHost"], "`rawHost` is truncated"),
        (
            |i| i.listener_port = Some(70_000),
            "`listenerPort` cannot be read",
        ),
        (
            |i| {
                i.redacted = vec!["principal"];
                i.namespace = "";
            },
            "`principal` is redacted",
        ),
        (
            |i| {
                i.protocol = "tcp";
                i.truncated = vec!["sni"];
            },
            "`sni` is truncated",
        ),
    ];
    for (change, expected) in cases {
        let mut inputs = inputs();
        change(&mut inputs);
        let why = answer(Vec::new(), &inputs).unwrap_err();
        assert!(why.starts_with(expected), "{why}");
    }
}

#[test]
fn an_address_that_cannot_be_read_matters_to_rules_about_addresses() {
    let inputs = RecordedInputs {
        source_address: "ten",
        ..inputs()
    };
    let by_address = deny("a.example", |rule, _| {
        let source = customs_engine::subject::Source {
            ip_blocks: Field::of(["10.0.0.0/8".parse().unwrap()]),
            ..Default::default()
        };
        rule.callers = CallerMatch::Sources([source].into());
    });
    assert_eq!(
        answer(vec![by_address], &inputs),
        Err("`sourceAddress` cannot be read".to_owned())
    );
    assert_eq!(
        answer(vec![deny("a.example", |_, _| ())], &inputs),
        Ok(Effect::Deny)
    );
}

#[test]
fn an_identity_that_other_settings_read_is_not_guessed() {
    let settings = Settings {
        identity_source: IdentitySource::Xfcc,
        ..Settings::default()
    };
    let ask = |inputs: &RecordedInputs<'_>, settings: &Settings| {
        policies(vec![deny("a.example", accounts)], settings.clone())
            .decide(inputs, "other", NOW)
            .map(|decided| decided.decision().identity.as_str())
            .map_err(|why| why.to_string())
    };
    let why = "`principal` was read with other settings".to_owned();
    assert_eq!(ask(&inputs(), &settings), Err(why));
    let from_certificate = RecordedInputs {
        principal: "",
        certificate_uris: vec!["spiffe://cluster.local/ns/shop/sa/cart"],
        ..inputs()
    };
    assert_eq!(ask(&from_certificate, &settings), Ok("valid"));
    assert_eq!(
        ask(&from_certificate, &Settings::default()),
        Ok("invalid_identity")
    );
    let too_long = RecordedInputs {
        identity: "invalid_identity",
        identity_detail: "too_long",
        trust_domain: "",
        namespace: "",
        truncated: vec!["principal"],
        ..inputs()
    };
    assert_eq!(ask(&too_long, &Settings::default()), Ok("invalid_identity"));
}

#[test]
fn a_period_ends_where_a_grant_does() {
    let about = |expires| About {
        expires: Some(UnixNanos(expires)),
        ..About::default()
    };
    let grant = |index, expires| {
        let mut rule = Rule::clone(&deny("a.example", |_, _| ()));
        let id = RuleId::rule("n/p".into(), index);
        rule.info = RuleInfo::new(id, Place::whole("f"), about(expires)).into();
        Arc::new(rule)
    };
    let rules = Rules {
        grants: vec![grant(0, 20), grant(1, 10), grant(2, 20)],
        ..Rules::default()
    };
    let snapshot = Snapshot::new(Revision::none(), Settings::default(), rules);
    let policies = RecordedPolicies::new(snapshot);
    let periods = [9, 10, 19, 20, 21].map(|now| policies.period(UnixNanos(now)));
    assert_eq!(periods, [0, 1, 1, 2, 2]);
}
