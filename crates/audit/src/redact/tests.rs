//! What is removed from records, and that nothing else is.

use std::io::Write;
use std::time::Duration;

use proptest::prelude::*;

use super::Redaction::{Drop, Hash, Keep};
use super::*;
use crate::checkpoint::Every;
use crate::sink_queue::Limits;
use crate::sinks::Reopen;
use crate::sinks::doubles::Memory;
use crate::start::{self, AuditLogConfig};
use crate::writer::Durability;
use customs_engine::time::UnixNanos;
use customs_record::{OptionalFields, RefusalCause, RefusalCount};
use customs_record::{examples, json};

const KEY: &[u8] = b"a key of 32 bytes, more or less.";

fn with_key(principal: Redaction, path: Redaction, address: Redaction, key: &[u8]) -> Redactor {
    let config = RedactConfig {
        principal,
        path,
        address,
        key: None,
    };
    Redactor {
        config,
        hash: Some(KeyedHash::new(key)),
    }
}

fn redactor(principal: Redaction, path: Redaction, address: Redaction) -> Redactor {
    with_key(principal, path, address, KEY)
}

/// A decision from which nothing was removed yet.
fn whole() -> DecisionEntry {
    let mut whole = DecisionEntry {
        path: "/secret/report".into(),
        ..examples::full_decision()
    };
    whole.optional_mut().redacted.clear();
    whole
}

fn decided(redactor: &Redactor, decision: DecisionEntry) -> DecisionEntry {
    let Entry::Decision(decision) = redactor.redact(Entry::Decision(decision.into())) else {
        panic!("no decision")
    };
    decision.unpacked()
}

fn question() -> QuestionEntry {
    let (time, now) = (UnixNanos(1), UnixNanos(2));
    QuestionEntry {
        time,
        asked_by: "192.0.2.99:40312".into(),
        now,
        answer: whole().into(),
    }
}

fn redact_question(redactor: &Redactor, question: QuestionEntry) -> QuestionEntry {
    let Entry::Question(question) = redactor.redact(Entry::Question(question.into())) else {
        panic!("no question")
    };
    QuestionEntry::clone(&question)
}

#[test]
fn the_hash_is_hmac_sha256() {
    // The seven test cases of RFC 4231, section 4; the last two have a key longer than a block.
    let counting: Vec<u8> = (1..=25).collect();
    let long = "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be \
                hashed before being used by the HMAC algorithm.";
    for (key, text, expected) in [
        (
            &[0x0b; 20][..],
            &b"Hi There"[..],
            "b0344c61d8db38535ca8afceaf0bf12b",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c7",
        ),
        (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a7"),
        (&counting, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a"),
        (
            &[0x0c; 20],
            b"Test With Truncation",
            "a3b6167473100ee06e0c796c2955552b",
        ),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f",
        ),
        (
            &[0xaa; 131],
            long.as_bytes(),
            "9b09ffa71b942fcb27635fbcd5b0e944",
        ),
    ] {
        assert_eq!(
            KeyedHash::new(key).of(text),
            format!("hash:{expected}"),
            "{}",
            text.escape_ascii()
        );
    }
}

#[test]
fn nothing_asked_is_the_same_entry() {
    let decision: Arc<DecisionRecord> = whole().into();
    let Entry::Decision(same) = Redactor::default().redact(Entry::Decision(decision.clone()))
    else {
        panic!()
    };
    assert!(Arc::ptr_eq(&decision, &same));
    let quiet = DecisionEntry {
        path: "".into(),
        ..whole()
    };
    let quiet: Arc<DecisionRecord> = quiet.into();
    let redactor = redactor(Keep, Hash, Keep);
    let Entry::Decision(same) = redactor.redact(Entry::Decision(quiet.clone())) else {
        panic!()
    };
    assert!(
        Arc::ptr_eq(&quiet, &same),
        "an empty field has nothing to take"
    );
}

#[test]
fn each_setting_takes_its_fields_and_no_other() {
    let before = whole();
    for way in [Hash, Drop] {
        let hash = KeyedHash::new(KEY);
        let gone = |text: &str| {
            if way == Hash {
                hash.of(text)
            } else {
                String::new()
            }
        };
        let uris = before
            .optional()
            .certificate_uris
            .iter()
            .map(|uri| gone(uri))
            .filter(|uri| !uri.is_empty())
            .collect();
        let with = |redacted: Vec<&'static str>| {
            Some(Arc::new(OptionalFields {
                redacted,
                ..before.optional().clone()
            }))
        };
        let mut principal = DecisionEntry {
            principal: gone(&before.principal),
            service_account: gone(&before.service_account),
            optional: with(vec!["principal", "serviceAccount", "certificateUris"]),
            ..before.clone()
        };
        principal.optional_mut().certificate_uris = uris;
        let path = DecisionEntry {
            path: gone(&before.path),
            optional: with(vec!["path"]),
            ..before.clone()
        };
        let address = DecisionEntry {
            source_address: gone(&before.source_address),
            remote_address: gone(&before.remote_address),
            optional: with(vec!["sourceAddress", "remoteAddress"]),
            ..before.clone()
        };
        // Whole entries are compared, so that nothing else can change.
        assert_eq!(
            decided(&redactor(way, Keep, Keep), before.clone()),
            principal,
            "{way:?}"
        );
        assert_eq!(
            decided(&redactor(Keep, way, Keep), before.clone()),
            path,
            "{way:?}"
        );
        assert_eq!(
            decided(&redactor(Keep, Keep, way), before.clone()),
            address,
            "{way:?}"
        );
    }
}

#[test]
fn the_value_of_a_header_that_is_an_address_is_taken_as_addresses_are() {
    let mut before = whole();
    before.optional_mut().headers[0].name = "x-forwarded-for".into();
    let dropped = decided(&redactor(Keep, Keep, Drop), before.clone());
    let header = &dropped.optional().headers[0];
    assert_eq!((header.value.as_str(), header.present), ("", true));
    assert_eq!(
        dropped.optional().redacted,
        ["sourceAddress", "remoteAddress", "headers"]
    );
    assert_eq!(
        decided(&redactor(Drop, Drop, Keep), before.clone())
            .optional()
            .headers,
        before.optional().headers
    );
}

#[test]
fn a_question_is_redacted_as_a_decision_is() {
    let (before, hash) = (question(), KeyedHash::new(KEY));
    let hashed = redact_question(&redactor(Hash, Keep, Hash), before.clone());
    assert_eq!(hashed.asked_by, hash.of("192.0.2.99"), "without the port");
    assert_eq!(
        hashed.answer.to_entry().principal,
        hash.of(before.answer.to_entry().principal)
    );
    let names = [
        "principal",
        "serviceAccount",
        "sourceAddress",
        "remoteAddress",
        "certificateUris",
        "askedBy",
    ];
    assert_eq!(hashed.answer.facts().optional().redacted, names);
    let dropped = redact_question(&redactor(Keep, Keep, Drop), before.clone());
    assert_eq!(
        (dropped.asked_by.as_str(), dropped.time, dropped.now),
        ("", before.time, before.now)
    );
    let odd = QuestionEntry {
        asked_by: "operator".into(),
        ..before
    };
    assert_eq!(
        redact_question(&redactor(Keep, Keep, Hash), odd).asked_by,
        hash.of("operator")
    );
}

#[test]
fn the_peers_of_refusals_are_addresses() {
    let refusal = |peer: &str| RefusalCount {
        peer: peer.into(),
        cause: RefusalCause::Tls,
        count: 2,
        example: "x".into(),
    };
    let refusals = vec![refusal("192.0.2.99"), refusal("unix")];
    let before = RefusalsEntry {
        time: UnixNanos(3),
        first: UnixNanos(1),
        last: UnixNanos(2),
        refusals,
        redacted: vec![],
    };
    let redacted = |redactor: Redactor| {
        let Entry::Refusals(refusals) = redactor.redact(Entry::Refusals(before.clone().into()))
        else {
            panic!()
        };
        RefusalsEntry::clone(&refusals)
    };
    let hash = KeyedHash::new(KEY);
    let hashed = vec![refusal(&hash.of("192.0.2.99")), refusal(&hash.of("unix"))];
    for (way, refusals) in [(Hash, hashed), (Drop, vec![refusal(""), refusal("")])] {
        let expected = RefusalsEntry {
            refusals,
            redacted: vec!["refusals"],
            ..before.clone()
        };
        assert_eq!(redacted(redactor(Keep, Keep, way)), expected, "{way:?}");
    }
    assert_eq!(redacted(redactor(Drop, Drop, Keep)), before);
}

#[test]
fn entries_without_a_caller_stay() {
    let change = Arc::new(examples::full_change());
    let redactor = redactor(Drop, Drop, Drop);
    let Entry::PolicyChange(same) = redactor.redact(Entry::PolicyChange(change.clone())) else {
        panic!()
    };
    assert!(Arc::ptr_eq(&change, &same));
}

#[test]
fn hashes_differ_by_key_and_by_process() {
    let principal = |redactor: &Redactor| decided(redactor, whole()).principal;
    assert_eq!(
        principal(&redactor(Hash, Keep, Keep)),
        principal(&redactor(Hash, Keep, Keep))
    );
    assert_ne!(
        principal(&redactor(Hash, Keep, Keep)),
        principal(&with_key(Hash, Keep, Keep, b"another"))
    );
    let drawn = || {
        Redactor::new(RedactConfig {
            principal: Hash,
            ..RedactConfig::default()
        })
        .unwrap()
    };
    assert_ne!(principal(&drawn()), principal(&drawn()));
}

#[test]
fn a_key_comes_from_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let config = |path: &std::path::Path| RedactConfig {
        path: Hash,
        key: Some(path.into()),
        ..RedactConfig::default()
    };
    let short = Redactor::new(config(file.path())).unwrap_err().to_string();
    assert!(
        short.contains("holds 0 bytes") && short.contains("at least 16"),
        "{short}"
    );
    file.write_all(KEY).unwrap();
    file.write_all(b"\n").unwrap();
    let read = Redactor::new(config(file.path())).unwrap();
    assert_eq!(
        decided(&read, whole()).path,
        KeyedHash::new(KEY).of("/secret/report")
    );
    let gone = Redactor::new(config("/nowhere/key".as_ref()))
        .unwrap_err()
        .to_string();
    assert!(
        gone.contains("cannot read /nowhere/key") && gone.contains("/dev/urandom"),
        "{gone}"
    );
    let unused = RedactConfig {
        path: Drop,
        key: Some("/nowhere/key".into()),
        ..RedactConfig::default()
    };
    assert!(Redactor::new(unused).is_ok(), "no hash, no key");
}

/// An audit log without a sink.
fn audit_log(redact: RedactConfig) -> AuditLogConfig {
    AuditLogConfig {
        sinks: Vec::new(),
        durability: Durability::None,
        limits: Limits {
            records: 16,
            bytes: 1 << 20,
            waiting: 4,
            deadline: Duration::from_secs(1),
        },
        checkpoints: Every {
            records: 10,
            time: Duration::from_secs(60),
        },
        redact,
        checkpoint_file: None,
        signing_key: None,
    }
}

#[tokio::test]
async fn what_a_sink_gets_is_redacted_and_chained_so() {
    let sink = Memory::default();
    let config = AuditLogConfig {
        sinks: vec!["stdout".parse().unwrap()],
        ..audit_log(RedactConfig {
            path: Drop,
            ..RedactConfig::default()
        })
    };
    let audit_log = start::start_with(&config, vec![sink.boxed()], Reopen::default()).unwrap();
    let decision: Arc<DecisionRecord> = whole().into();
    let reservation = audit_log.recorder.admit(&decision).await.unwrap();
    let _ = reservation.record(decision);
    audit_log
        .writers
        .finish(Duration::from_secs(5))
        .await
        .unwrap();
    let text = sink.text();
    let line = text
        .lines()
        .find(|line| line.contains(r#""kind":"decision""#))
        .unwrap();
    assert!(
        !text.contains("/secret/report") && line.contains("www.aliyun.com"),
        "{text}"
    );
}

#[test]
fn a_key_that_cannot_be_used_stops_the_start() {
    let redact = RedactConfig {
        path: Hash,
        key: Some("/nowhere/key".into()),
        ..RedactConfig::default()
    };
    let why = start::start(&audit_log(redact)).unwrap_err().to_string();
    assert!(
        why.contains("audit_log.redact.key: cannot read /nowhere/key"),
        "{why}"
    );
}

proptest! {
    #[test]
    fn no_redacted_text_remains_in_the_line(
        texts in proptest::array::uniform5("[!-~]{0,4}XQ[!-~]{0,20}"),
        by_hash in any::<[bool; 3]>(),
        is_question in any::<bool>(),
    ) {
        let way = |hash: bool| if hash { Hash } else { Drop };
        let redactor = redactor(way(by_hash[0]), way(by_hash[1]), way(by_hash[2]));
        let [principal, service_account, source_address, remote_address, path] = texts.clone();
        let decision =
            DecisionEntry { principal, service_account, source_address, remote_address, path, ..whole() };
        let entry = if is_question {
            Entry::Question(QuestionEntry { asked_by: texts.concat(), answer: decision.into(), ..question() }.into())
        } else {
            Entry::Decision(decision.into())
        };
        let mut line = Vec::new();
        json::open(&redactor.redact(entry), "stream", 1, &mut line);
        let line = String::from_utf8(line).unwrap();
        // The mark is in every one of the texts and in nothing else.
        prop_assert!(!line.contains("XQ"), "{}", line);
    }
}
