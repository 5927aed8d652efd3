//! Replay: a decision is made again from its line alone, with the same policies, and is the same.
//!
//! This proves that a record holds what its decision rests on. The tests name what a record leaves
//! out on purpose: queries, the values of headers, and whatever was cut. A decision that may rest
//! on those is said to be unanswerable, and never guessed.

use customs_engine::decision::Decision;
use customs_engine::settings::{IdentitySource, Settings};
use customs_engine::snapshot::Snapshot;
use customs_record::decode;
use customs_record::proto::Record;
use customs_record::record_fields::RecordFields;
use customs_record::recorded_request::{
    MissingCause, RecordedInputs, RecordedPolicies, ReplayedDecision, RequestInput,
    UnanswerableError,
};
use customs_record::stream::Format;
use customs_record::{DecisionRecord, Entry, Occasion};
use customs_test_support::decoded_check::DecodedCheck;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use serde_json::{Value, json};

use crate::line;
use customs_test_support::case_rows as rows;

/// A check and the policies that decide it.
pub(crate) struct Case {
    pub check: CheckRequest,
    pub snapshot: Snapshot,
}

impl Case {
    /// The record of the decision. `recorded_headers` are those whose values are recorded.
    pub(crate) fn entry(&self, recorded_headers: &[String]) -> DecisionRecord {
        let decoded = DecodedCheck::of(&self.check);
        let attributes = decoded.attributes();
        let request = attributes.normalise(self.snapshot.settings());
        let decision = self.snapshot.decide(&request, rows::now());
        let occasion = Occasion {
            time: rows::now(),
            duration_micros: 1,
            decision_id: "019ab2c4-7f10-7c1e-9a55-0d6c5f1b2a34",
            decision_number: 1,
            recorded_headers,
            peer_identity: "",
            trace_context: None,
        };
        DecisionRecord::of(&attributes, &request, &decision, &self.snapshot, occasion)
    }
}

/// The answers of a decision: what Envoy got, and verdict and dry run, each with reason and rule.
type Answers = [String; 7];

fn of_decision(decision: &Decision) -> Answers {
    let Decision {
        outcome,
        verdict,
        dry_run,
        ..
    } = decision;
    [
        outcome.effect().as_str().to_owned(),
        verdict.effect().as_str().to_owned(),
        verdict.reason.as_str().to_owned(),
        verdict.rule.to_string(),
        dry_run.effect().as_str().to_owned(),
        dry_run.reason.as_str().to_owned(),
        dry_run.rule.to_string(),
    ]
}

fn of_record(record: &Record) -> Answers {
    [
        &record.effect,
        &record.verdict,
        &record.reason,
        &record.rule,
        &record.dry_run,
        &record.dry_run_reason,
        &record.dry_run_rule,
    ]
    .map(String::clone)
}

/// What a replay of a record says about it.
#[derive(Debug)]
enum Replay {
    Same,
    Unanswerable(UnanswerableError),
    /// How it differs.
    Other(String),
}

/// Decides a case again from its record, without some of its fields.
fn replay(case: &Case, recorded_headers: &[String], strip: &[&str]) -> Replay {
    let entry = case.entry(recorded_headers);
    let text = line(&Entry::Decision(entry.clone().into()));
    let whole: Record = decode::record(Format::Json, text.trim_end().as_bytes()).unwrap();
    let mut stripped: Value = serde_json::from_str(&text).unwrap();
    strip
        .iter()
        .for_each(|field| drop(stripped.as_object_mut().unwrap().remove(*field)));
    let record = decode::record(Format::Json, stripped.to_string().as_bytes()).unwrap();

    let settings = case.snapshot.settings();
    let policies = RecordedPolicies::new(Snapshot::new(
        case.snapshot.revision().clone(),
        settings.clone(),
        case.snapshot.rules().clone(),
    ));
    let fields = RecordFields::of(&record);
    let inputs = RecordedInputs::of(&fields.decision);
    let decision = match policies.decide(&inputs, &record.revision, entry.time()) {
        Ok(ReplayedDecision::Exact(decision)) => decision,
        Ok(ReplayedDecision::EffectsOnly {
            strictest, missing, ..
        }) => {
            let (was, is) = (of_record(&whole), of_decision(&strictest));
            assert_eq!([&was[0], &was[1], &was[4]], [&is[0], &is[1], &is[4]]);
            return Replay::Unanswerable(UnanswerableError { missing });
        }
        Err(why) => return Replay::Unanswerable(why),
    };
    let identity = (whole.identity.as_str(), whole.identity_detail.as_str());
    let detail = decision.identity_detail.map(|detail| detail.as_str());
    let read_back = (decision.identity.as_str(), detail.unwrap_or_default());
    let (was, is) = (of_record(&whole), of_decision(&decision));
    if was == is && identity == read_back {
        return Replay::Same;
    }
    Replay::Other(format!("was {was:?} {identity:?}, is {is:?} {read_back:?}"))
}

/// How a server is set up, besides what a row says about it.
type Setup = (&'static str, fn(&mut Settings));

const SETUPS: [Setup; 5] = [
    ("as the row says", |_| ()),
    ("identity from the forwarded certificate", |settings| {
        settings.identity_source = IdentitySource::Xfcc
    }),
    ("SNI and host must match", |settings| {
        settings.require_sni_host_match = true
    }),
    ("no proxy is trusted", |settings| {
        settings.trusted_hops = None
    }),
    ("a proxy is trusted", |settings| {
        settings.trusted_hops = Some(1)
    }),
];

/// The cases of the rows, by name. A set that is refused decides nothing.
fn cases(rows: &[rows::Row], (_, change): Setup) -> Vec<(String, Case)> {
    let case = |row: &rows::Row| {
        let mut settings = row.settings();
        change(&mut settings);
        let snapshot = row.snapshot(&settings).ok()?;
        Some((
            row.id.clone(),
            Case {
                check: row.check(),
                snapshot,
            },
        ))
    };
    rows.iter().filter_map(case).collect()
}

/// The replays of cases that are not the same, when made from their lines without some fields.
fn others(cases: &[(String, Case)], tells_values: bool, strip: &[&str]) -> Vec<(String, Replay)> {
    let other = |(name, case): &(String, Case)| {
        let used = case
            .snapshot
            .header_uses()
            .iter()
            .map(|header| header.name.clone());
        let recorded: Vec<_> = used.filter(|_| tells_values).collect();
        match replay(case, &recorded, strip) {
            Replay::Same => None,
            replay => Some((name.clone(), replay)),
        }
    };
    cases.iter().filter_map(other).collect()
}

/// Rows for inputs that no recorded case rests on, in the JSON of Envoy's own messages.
fn own_rows() -> Vec<rows::Row> {
    let policy = |when: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: istio-system}}\n\
            spec: {{action: DENY, rules: [{{when: [{when}]}}]}}\n"
        )
    };
    let socket = |address: &str, port: u16| json!({"socketAddress": {"address": address, "portValue": port}});
    let headers = json!({"x-forwarded-for": "192.0.2.7", "x-role": ",".repeat(2_000)});
    let http = json!({"method": "GET", "path": "/", "host": "a.example", "headers": headers});
    let check = json!({"attributes": {
        "source": {"address": socket("10.0.0.1", 40000), "principal": "spiffe://cluster.local/ns/a/sa/b"},
        "destination": {"address": socket("10.0.0.2", 8443)},
        "request": {"http": http},
        "tlsSession": {},
    }});
    let pipe = json!({"attributes": {"source": {"address": {"pipe": {"path": "/run/x"}}}}});
    [
        (
            "remote",
            policy("{key: remote.ip, values: [192.0.2.0/24]}"),
            &check,
        ),
        (
            "destination",
            policy("{key: destination.ip, values: [10.9.9.9]}"),
            &check,
        ),
        (
            "port",
            policy("{key: destination.port, values: ['1']}"),
            &check,
        ),
        (
            "session",
            policy("{key: connection.sni, values: [b.example]}"),
            &check,
        ),
        (
            "long-header",
            policy("{key: 'request.headers[x-role]', values: [admin]}"),
            &check,
        ),
        (
            "authority",
            policy("{key: 'request.headers[Host]', values: [a.example]}"),
            &check,
        ),
        (
            "method",
            policy("{key: 'request.headers[:method]', values: [POST]}"),
            &check,
        ),
        (
            "scheme",
            policy("{key: 'request.headers[:scheme]', values: [http]}"),
            &check,
        ),
        (
            "pipe",
            policy("{key: destination.port, values: ['1']}"),
            &pipe,
        ),
    ]
    .map(|(id, policy, check)| {
        rows::Row::read(json!({"id": id, "policy": policy, "check_request": check}))
    })
    .into()
}

#[test]
fn a_decision_can_be_made_again_from_its_line_or_is_said_to_lack_something() {
    let files = [
        ("attacks", rows::rows("attacks.jsonl"), 140),
        ("egress", rows::rows("egress.jsonl"), 153),
        // Without trusted proxies, a policy that asks for the client behind them is refused.
        ("own", own_rows(), 8),
    ];
    let mut lacking = std::collections::BTreeMap::new();
    for setup in SETUPS {
        for (file, rows, decided) in &files {
            let cases = cases(rows, setup);
            assert!(cases.len() >= *decided, "{}: {}", setup.0, cases.len());
            for tells_values in [false, true] {
                for (name, replay) in others(&cases, tells_values, &[]) {
                    let why = match replay {
                        Replay::Unanswerable(why) => why,
                        Replay::Same => continue,
                        Replay::Other(how) => panic!("{}: {file} {name}: {how}", setup.0),
                    };
                    for missing in why.missing {
                        let key = (*file, tells_values, missing.cause.as_str());
                        *lacking.entry(key).or_insert(0) += 1;
                        // Nothing but a header or what was cut is ever lacking here.
                        let is_header = matches!(missing.input, RequestInput::Header(_));
                        let is_cut = missing.cause == MissingCause::Truncated;
                        assert!(is_header || is_cut, "{}: {file} {name}: {missing}", setup.0);
                    }
                }
            }
        }
    }
    let lacking: Vec<_> = lacking.into_iter().collect();
    assert_eq!(lacking, LACKING);
}

/// What the records of all setups lack: the file, whether values of headers are recorded, the
/// cause, and how often.
const LACKING: [((&str, bool, &str), i32); 2] = [
    (("attacks", false, "valueNotRecorded"), 16),
    (("attacks", true, "valueNotRecorded"), 4),
];

#[test]
fn every_input_on_record_is_one_that_some_decision_rests_on() {
    let rows: Vec<_> = [
        rows::rows("attacks.jsonl"),
        rows::rows("egress.jsonl"),
        own_rows(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let cases = cases(&rows, SETUPS[0]);
    let without = |strip: &[&str]| others(&cases, false, strip).len();
    let cut = without(&[]);
    for field in [
        "principal",
        "sourceAddress",
        "remoteAddress",
        "destinationAddress",
        "protocol",
        "rawHost",
        "listenerPort",
        "sni",
        "method",
        "path",
        "headers",
        "sniAbsent",
        "addressUnreadable",
        "authorityHeader",
        "certificateUris",
    ] {
        assert!(without(&[field]) > cut, "{field}");
    }
}
