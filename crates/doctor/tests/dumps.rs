//! What the doctor says of real set-ups: dumps of the Envoys that a real istiod configured, one
//! folder a set-up, cut down to what is read. Each names its fault and nothing else, from every part
//! of the evidence that shows it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use customs_doctor::checks::examine;
use customs_doctor::customs_metrics::CustomsMetrics;
use customs_doctor::customs_status::CustomsStatus;
use customs_doctor::diagnosis::Diagnosis;
use customs_doctor::envoy_config::EnvoyConfig;
use customs_doctor::envoy_stats::EnvoyStats;
use customs_doctor::evidence::{Evidence, ProxyEvidence, ReplicaEvidence};
use customs_doctor::finding::Code;
use customs_doctor::istio_objects::IstioObjects;
use customs_doctor::replica::Replica;

const STATUS: &[u8] = br#"{"version": "0.1.0", "ready": true, "revision": "fb83d23e4cb90335",
    "enforcement": "enforce", "requestValidation": "enforce", "default": "allow"}"#;

/// The parts of the evidence that are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// Everything.
    All,
    /// The gateway and the replica, without files.
    Running,
    /// The objects and the mesh configuration alone.
    Files,
}

/// A set-up, the fault that everything shows, that running programs show, and that files show.
type SetUp = (
    &'static str,
    &'static [Code],
    &'static [Code],
    &'static [Code],
);

fn folder(set_up: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/dumps")
        .join(set_up)
}

fn read(set_up: &str, file: &str) -> String {
    fs::read_to_string(folder(set_up).join(file)).unwrap()
}

fn proxy(set_up: &str, name: &str) -> ProxyEvidence {
    ProxyEvidence {
        name: name.into(),
        config: Some(EnvoyConfig::read(read(set_up, &format!("{name}.json")).as_bytes()).unwrap()),
        ..ProxyEvidence::default()
    }
}

fn evidence(set_up: &str, given: Given) -> Evidence {
    let mut evidence = Evidence {
        provider: "customs".into(),
        ..Evidence::default()
    };
    if given != Given::Files {
        let mut gateway = proxy(set_up, "gateway");
        gateway.stats = Some(EnvoyStats::read(&read(set_up, "stats.txt")).unwrap());
        evidence.proxies.push(gateway);
        evidence.replicas.push(ReplicaEvidence {
            replica: Replica {
                address: "127.0.0.1:9192".into(),
                status: Ok(CustomsStatus::read(STATUS).unwrap()),
            },
            metrics: Some(CustomsMetrics::read(&read(set_up, "metrics.txt")).unwrap()),
            metrics_before: None,
            rules: None,
            clock: None,
        });
    }
    if given != Given::Running {
        let mut objects = IstioObjects::default();
        objects
            .read("objects.yaml", &read(set_up, "objects.yaml"))
            .unwrap();
        objects
            .read("mesh.yaml", &read(set_up, "mesh.yaml"))
            .unwrap();
        evidence.objects = objects;
        (evidence.has_objects, evidence.has_mesh_config) = (true, true);
    }
    evidence
}

fn codes(diagnosis: &Diagnosis) -> BTreeSet<Code> {
    diagnosis
        .findings
        .iter()
        .map(|finding| finding.code)
        .collect()
}

#[test]
fn each_set_up_names_its_fault_and_nothing_else() {
    use Code::*;
    // The fault, and what each part of the evidence shows alone.
    let set_ups: &[SetUp] = &[
        ("good", &[], &[], &[]),
        ("wrapped", &[], &[], &[]),
        (
            "no-timeout",
            &[TimeoutMissing],
            &[TimeoutMissing],
            &[TimeoutMissing],
        ),
        ("fail-open", &[FailOpen], &[FailOpen], &[FailOpen]),
        (
            "no-status",
            &[StatusOnErrorMissing],
            &[StatusOnErrorMissing],
            &[StatusOnErrorMissing],
        ),
        (
            "unknown-provider",
            &[ProviderUnknown],
            &[CustomActionRejected],
            &[ProviderUnknown],
        ),
        (
            "wrong-port",
            &[ProviderPortUnknown],
            &[ProviderPortUnknown],
            &[ProviderPortUnknown],
        ),
        (
            "narrow-hosts",
            &[CustomRuleNarrow],
            &[CustomRuleNarrow],
            &[CustomRuleNarrow],
        ),
        (
            "narrow-paths",
            &[CustomRuleNarrow],
            &[CustomRuleNarrow],
            &[CustomRuleNarrow],
        ),
        (
            "two-providers",
            &[SeveralProviders],
            &[SeveralProviders],
            &[SeveralProviders],
        ),
        (
            "not-selected",
            &[GatewayNotSelected],
            &[GatewayNotSelected],
            &[GatewayNotSelected],
        ),
        ("sni-missing", &[SniMissing], &[], &[SniMissing]),
        (
            "passthrough",
            &[NoPrincipalPassthrough],
            &[NoPrincipalPassthrough],
            &[],
        ),
        (
            "plaintext",
            &[NoPrincipalPlaintext],
            &[NoPrincipalPlaintext],
            &[],
        ),
        (
            "no-app-protocol",
            &[Http2Missing],
            &[Http2Missing],
            &[Http2Missing],
        ),
    ];
    for (set_up, all, running, files) in set_ups {
        for (given, expected) in [
            (Given::All, all),
            (Given::Running, running),
            (Given::Files, files),
        ] {
            let diagnosis = examine(&evidence(set_up, given));
            let expected: BTreeSet<Code> = expected.iter().copied().collect();
            assert_eq!(
                codes(&diagnosis),
                expected,
                "{set_up}, {given:?}: {diagnosis:#?}"
            );
            assert_eq!(diagnosis.is_healthy(), expected.is_empty(), "{set_up}");
        }
    }
    let folders = fs::read_dir(folder("")).unwrap().count();
    assert_eq!(folders, set_ups.len(), "a folder has no row");
}

#[test]
fn a_fault_that_two_parts_show_is_told_once_with_both() {
    let diagnosis = examine(&evidence("no-timeout", Given::All));
    let [finding] = &diagnosis.findings[..] else {
        panic!("{diagnosis:#?}");
    };
    assert_eq!(finding.subject, "provider `customs`");
    let seen = finding.evidence.join("\n");
    assert!(
        seen.contains("mesh.yaml:") && seen.contains("0.0.0.0_8080"),
        "{seen}"
    );
}

#[test]
fn failed_checks_are_told_with_the_fault_that_makes_them_fail() {
    for set_up in ["wrong-port", "no-app-protocol"] {
        let diagnosis = examine(&evidence(set_up, Given::All));
        let consequences = &diagnosis.findings[0].consequences;
        assert!(
            consequences
                .iter()
                .any(|seen| seen.contains("ext_authz.error is 6")),
            "{set_up}: {consequences:?}"
        );
    }
}

#[test]
fn a_sidecar_shows_tls_that_is_wrapped_without_its_host() {
    for (set_up, expected) in [("sni-missing", true), ("wrapped", false), ("good", false)] {
        let evidence = Evidence {
            provider: "customs".into(),
            proxies: vec![proxy(set_up, "sidecar")],
            ..Evidence::default()
        };
        let diagnosis = examine(&evidence);
        assert_eq!(
            diagnosis.has(Code::SniMissing),
            expected,
            "{set_up}: {diagnosis:#?}"
        );
        // A sidecar does not ask, and need not.
        assert!(!diagnosis.has(Code::GatewayNotSelected), "{set_up}");
    }
}

#[test]
fn the_request_that_passes_a_narrow_rule_is_named() {
    for (set_up, request) in [
        ("narrow-hosts", "`Host: www.aliyun.com:80`"),
        ("narrow-paths", "`GET //admin`"),
    ] {
        for given in [Given::Running, Given::Files] {
            let diagnosis = examine(&evidence(set_up, given));
            let meaning = &diagnosis.findings[0].meaning;
            assert!(meaning.contains(request), "{set_up} {given:?}: {meaning}");
        }
    }
}

#[test]
fn a_service_that_does_not_exist_has_no_cluster_of_any_port() {
    let text = read("wrong-port", "gateway.json")
        .replace("||customs.customs-system", "||other.customs-system");
    let text = text.replace(
        "outbound|9999||other.customs-system",
        "outbound|9999||customs.customs-system",
    );
    let mut evidence = evidence("wrong-port", Given::Running);
    evidence.proxies[0].config = Some(EnvoyConfig::read(text.as_bytes()).unwrap());
    let diagnosis = examine(&evidence);
    assert!(
        codes(&diagnosis).contains(&Code::ProviderServiceUnknown),
        "{diagnosis:#?}"
    );
}

#[test]
fn a_waypoint_shows_why_callers_are_not_known_and_its_tunnels_need_not_ask() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/waypoint.json");
    let config = EnvoyConfig::read(&fs::read(file).unwrap()).unwrap();
    let examined = |identity: &str| {
        let mut evidence = evidence("good", Given::Running);
        evidence.proxies[0].config = Some(config.clone());
        evidence.proxies[0].stats = None;
        let text =
            format!("customs_decisions_total{{effect=\"deny\",identity=\"{identity}\"}} 4\n");
        evidence.replicas[0].metrics = Some(CustomsMetrics::read(&text).unwrap());
        codes(&examine(&evidence)).into_iter().collect::<Vec<_>>()
    };
    for (identity, expected) in [
        ("valid", vec![]),
        ("unauthenticated", vec![Code::NoPrincipalWaypoint]),
        ("invalid_identity", vec![Code::NoPrincipalWaypoint]),
    ] {
        assert_eq!(examined(identity), expected, "{identity}");
    }
}
