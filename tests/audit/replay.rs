//! Replay: a decision is made again from its line alone, with the same policies, and is the same.
//!
//! This proves that a record holds what its decision rests on. The tests name what a record leaves
//! out on purpose: queries, the values of headers, and whatever was cut.

use std::net::IpAddr;

use customs_engine::decision::Decision;
use customs_engine::request::{Attributes, CLIENT_CERTIFICATE, HttpAttributes};
use customs_engine::settings::{IdentitySource, Settings};
use customs_engine::snapshot::Snapshot;
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

fn of_record(record: &Value) -> Answers {
    [
        "effect",
        "verdict",
        "reason",
        "rule",
        "dryRun",
        "dryRunReason",
        "dryRunRule",
    ]
    .map(|field| record[field].as_str().unwrap_or_default().to_owned())
}

/// The inputs of a decision, read back from its record.
struct Inputs {
    record: Value,
    headers: Vec<(String, String)>,
}

impl Inputs {
    fn of(record: Value, settings: &Settings) -> Inputs {
        let mut headers = Vec::new();
        let mut header = |name: &str, value: String| headers.push((name.to_owned(), value));
        if let Some(authority) = record["authorityHeader"].as_str() {
            header(":authority", authority.to_owned());
        }
        let uris = texts(&record["certificateUris"]);
        let pairs: Vec<_> = uris.iter().map(|uri| format!("URI=\"{uri}\"")).collect();
        if record["identityDetail"] == "xfcc_unreadable" {
            header(CLIENT_CERTIFICATE, "\"".to_owned());
        } else if !uris.is_empty() {
            header(CLIENT_CERTIFICATE, pairs.join(";"));
        }
        // The client's address as it was read: behind it, as many proxies as are trusted.
        if let (Some(address), Some(hops)) =
            (record["remoteAddress"].as_str(), settings.trusted_hops)
        {
            header(
                "x-forwarded-for",
                address.to_owned() + &",192.0.2.255".repeat(hops.try_into().unwrap()),
            );
        }
        for listed in record["headers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|listed| listed["present"] == true)
        {
            let name = listed["name"].as_str().unwrap();
            let value = match listed["value"].as_str() {
                _ if listed["valueUnknown"] == true => ",".repeat(5_000),
                Some(value) => value.to_owned(),
                None => likely_value(listed),
            };
            // Those are fields of the record by themselves.
            if ![":authority", ":method", ":path"].contains(&name) {
                header(name, value);
            }
        }
        Inputs { record, headers }
    }

    fn text(&self, field: &str) -> &str {
        self.record[field].as_str().unwrap_or_default()
    }

    fn address(&self, field: &str) -> Option<IpAddr> {
        self.record[field]
            .as_str()
            .map(|address| address.parse().unwrap())
    }

    fn attributes(&self) -> Attributes<'_> {
        let is_http = self.text("protocol") == "http";
        let listener_port = self.record["listenerPort"]
            .as_u64()
            .map(|port| port.try_into().unwrap());
        let (source_address, destination_address) = (
            self.address("sourceAddress"),
            self.address("destinationAddress"),
        );
        let is_read =
            source_address.is_some() || destination_address.is_some() || listener_port.is_some();
        let sni = self.record["sni"].as_str();
        Attributes {
            source_principal: self.text("principal"),
            source_address,
            destination_principal: self.text("gateway"),
            destination_address,
            listener_port,
            has_address: is_read || self.record["addressUnreadable"] == true,
            service: if is_http { "" } else { self.text("rawHost") },
            tls_sni: sni.or((self.record["sniAbsent"] == true).then_some("")),
            http: is_http.then(|| HttpAttributes {
                method: self.text("method"),
                path: self.text("path"),
                host: self.text("rawHost"),
                headers: &self.headers,
                ..HttpAttributes::default()
            }),
        }
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// A value of a header that matches what its record says. If the patterns need several values, one
/// is tried.
fn likely_value(header: &Value) -> String {
    let patterns = texts(&header["matched"]);
    let exact = patterns.iter().find(|pattern| !pattern.contains('*'));
    exact
        .or(patterns.first())
        .map_or_else(|| "\u{1}".to_owned(), |pattern| pattern.replace('*', ""))
}

/// Why a record cannot be replayed, or how its replay differs.
fn difference(case: &Case, recorded_headers: &[String], strip: &[&str]) -> Option<String> {
    let entry = case.entry(recorded_headers);
    let facts = entry.facts();
    if !facts.optional().truncated.is_empty() {
        return Some(format!("{} cut", facts.optional().truncated.join(", ")));
    }
    let mut record: Value =
        serde_json::from_str(&line(&Entry::Decision(entry.clone().into()))).unwrap();
    let recorded = of_record(&record);
    strip
        .iter()
        .for_each(|field| drop(record.as_object_mut().unwrap().remove(*field)));
    let inputs = Inputs::of(record, case.snapshot.settings());
    let attributes = inputs.attributes();
    let request = attributes.normalise(case.snapshot.settings());
    let again = case.snapshot.decide(&request, entry.time());
    let identity = (facts.identity.as_str(), facts.identity_detail);
    let read_back = (
        again.identity.as_str(),
        again.identity_detail.map(|detail| detail.as_str()),
    );
    let answers = of_decision(&again);
    let is_same = answers == recorded && identity == read_back;
    (!is_same).then(|| format!("was {recorded:?} {identity:?}, is {answers:?} {read_back:?}"))
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

/// The cases whose decisions differ when made from their lines without some fields.
fn others(cases: &[(String, Case)], tells_values: bool, strip: &[&str]) -> Vec<String> {
    let other = |(name, case): &(String, Case)| {
        let used = case
            .snapshot
            .header_uses()
            .iter()
            .map(|header| header.name.clone());
        let recorded: Vec<_> = used.filter(|_| tells_values).collect();
        Some(format!("{name}: {}", difference(case, &recorded, strip)?))
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
fn a_decision_can_be_made_again_from_its_line() {
    let files = [
        (rows::rows("attacks.jsonl"), 140, Some("id-046")),
        (rows::rows("egress.jsonl"), 153, None),
        // Without trusted proxies, a policy that asks for the client behind them is refused.
        (own_rows(), 8, None),
    ];
    for setup in SETUPS {
        for (rows, decided, cut) in &files {
            let cases = cases(rows, setup);
            assert!(cases.len() >= *decided, "{}: {}", setup.0, cases.len());
            for tells_values in [false, true] {
                let others = others(&cases, tells_values, &[]);
                let is_cut = |why: &String| {
                    cut.is_some_and(|id| why.starts_with(id) && why.ends_with(" cut"))
                };
                assert!(
                    others.iter().all(is_cut),
                    "{}: {}",
                    setup.0,
                    others.join("\n")
                );
                assert_eq!(others.len(), cut.iter().len(), "{}", setup.0);
            }
        }
    }
}

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
