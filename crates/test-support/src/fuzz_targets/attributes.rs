//! Target `attributes`: the bytes of a CheckRequest from any caller.
//!
//! Whatever decodes is decided, recorded and answered, as the naive evaluator would. The position
//! of a header among headers of other names makes no difference, nor does the order of a map.

use std::sync::LazyLock;

use customs_engine::decision::{Decision, Outcome};
use customs_engine::enforcement::Enforcement;
use customs_engine::host::Host;
use customs_engine::path::Readings;
use customs_engine::settings::{DefaultEffect, IdentitySource, Listener, Settings};
use customs_engine::snapshot::Snapshot;
use customs_extauthz::response;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};
use customs_record::json;

use crate::decoded_check::DecodedCheck;
use customs_record::{DecisionRecord, Entry, Occasion};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use prost::Message;

use super::agree;
use crate::draw::NOW;

/// Both families, each field and each gate: once under common settings, and once under those that
/// require most.
static SNAPSHOTS: LazyLock<[Snapshot; 2]> =
    LazyLock::new(|| [snapshot(usual()), snapshot(demanding())]);

/// No help, all metadata.
const OPTIONS: response::Options = response::Options {
    help: None,
    metadata: response::metadata::Fields::ALL,
};

fn usual() -> Settings {
    Settings {
        trusted_hops: Some(0),
        ..Settings::default()
    }
}

fn demanding() -> Settings {
    let host = Host::Name("db.example".into());
    Settings {
        default_effect: DefaultEffect::Deny,
        enforcement: Enforcement::Report,
        request_validation: Enforcement::Report,
        trusted_hops: Some(1),
        identity_source: IdentitySource::Xfcc,
        require_sni_host_match: true,
        listeners: vec![Listener {
            port: 5432,
            host,
            target_port: Some(5432),
        }],
        ..Settings::default()
    }
}

fn snapshot(settings: Settings) -> Snapshot {
    let file = PolicyFile {
        name: "mixed.yaml".into(),
        bytes: include_bytes!("mixed.yaml").as_slice().into(),
    };
    let source = source::load(
        &Source {
            name: "fuzz".into(),
            files: vec![file],
            ..Source::default()
        },
        &settings,
    );
    compile::compile(&[source], &settings)
        .expect("the set compiles")
        .snapshot
}

/// Runs one input.
pub fn run(bytes: &[u8]) {
    let Ok(check) = CheckRequest::decode(bytes) else {
        return;
    };
    let mut sorted = CheckRequest::decode(bytes).expect("the same bytes");
    sort_headers(&mut sorted);
    for snapshot in SNAPSHOTS.iter() {
        assert_eq!(decide(snapshot, &check), decide(snapshot, &sorted));
    }
}

/// Sorts the headers by name; those of one name stay in the order in which they were sent.
fn sort_headers(check: &mut CheckRequest) {
    let request = check
        .attributes
        .as_mut()
        .and_then(|attributes| attributes.request.as_mut());
    let headers = request
        .and_then(|request| request.http.as_mut())
        .and_then(|http| http.header_map.as_mut());
    if let Some(headers) = headers {
        headers
            .headers
            .sort_by_key(|header| header.key.to_ascii_lowercase());
    }
}

fn decide(snapshot: &Snapshot, check: &CheckRequest) -> Decision {
    let decoded = DecodedCheck::of(check);
    let attributes = decoded.attributes();
    let request = attributes.normalise(snapshot.settings());
    let decision = agree::decide(snapshot, &request);
    if let Some(http) = &attributes.http {
        check_readings(http.path);
    }
    let occasion = Occasion {
        time: NOW,
        duration_micros: 1,
        decision_id: "id",
        decision_number: 1,
        recorded_headers: &[],
        peer_identity: "",
        trace_context: None,
    };
    let entry = DecisionRecord::of(&attributes, &request, &decision, snapshot, occasion);
    let status = response::read(&response::build(&decision, &entry, &OPTIONS))
        .expect("a response")
        .status
        .expect("a status");
    assert_eq!(
        status.code == 0,
        matches!(decision.outcome, Outcome::Allow(_)),
        "{decision:?}"
    );
    let mut record = Vec::new();
    json::open(&Entry::Decision(entry.into()), "stream", 1, &mut record);
    json::close("00", &mut record);
    let (last, before) = record.split_last().expect("a line");
    assert!(
        *last == b'\n' && before.iter().all(|byte| (0x20..0x7f).contains(byte)),
        "{record:?}"
    );
    decision
}

fn check_readings(path: &str) {
    if let Readings::Many(all) = Readings::of(path) {
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert!(all.len() > 1 && distinct.len() == all.len(), "{all:?}");
        assert_eq!(all[0].as_ref(), path.split('?').next().unwrap_or_default());
    }
}
