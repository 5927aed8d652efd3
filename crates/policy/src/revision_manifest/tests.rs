//! A manifest makes its revision again, and nothing else does.

use super::*;
use crate::policy_set::{PolicySet, SourceDeclaration, SourceReadings};
use customs_engine::enforcement::Enforcement;
use customs_engine::host::Host;
use customs_engine::identity::{Accepted, TrustDomains};
use customs_engine::settings::{DefaultEffect, GatewayIdentity, IdentitySource, Listener};
use customs_engine::time::UnixNanos;
use std::collections::BTreeMap;

const POLICY: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
    metadata: {name: own, namespace: shop}\nspec: {deny: [{name: d, hosts: [a.example]}]}\n";

/// Settings in which every field differs from its default.
fn unusual() -> Settings {
    Settings {
        default_effect: DefaultEffect::Deny,
        enforcement: Enforcement::Report,
        request_validation: Enforcement::Report,
        trust_domains: TrustDomains {
            own: "corp.example".into(),
            aliases: vec!["z.example".into(), "a.example".into()],
            accepted: Accepted::Only(["partner.example".to_owned()].into()),
        },
        cluster_domains: vec!["cluster.one".into(), "cluster.two".into()],
        gateway_hosts: vec![
            Host::Name("egress.example".into()),
            Host::Ip("::ffff:192.0.2.7".parse().unwrap()),
        ],
        trusted_hops: Some(2),
        root_namespace: "root".into(),
        identity_source: IdentitySource::Xfcc,
        require_sni_host_match: true,
        gateway: Some(GatewayIdentity {
            namespace: "gateways".into(),
            labels: [("app".to_owned(), "egress".to_owned())].into(),
            name: Some("egress".into()),
            service_entries: [("shop/psp".to_owned(), vec!["api.psp.example".to_owned()])].into(),
        }),
        listeners: vec![
            Listener {
                port: 5432,
                host: Host::Name("db.example".into()),
                target_port: None,
            },
            Listener {
                port: 53,
                host: Host::Ip("2001:db8::1".parse().unwrap()),
                target_port: Some(5353),
            },
        ],
    }
}

fn file(name: &str, text: &str) -> PolicyFile {
    PolicyFile {
        name: name.into(),
        bytes: text.as_bytes().into(),
    }
}

/// Returns a set in force with these settings: a source with two files, one without any, and one
/// that is bound to a namespace and is broken, so that it isolates it.
fn in_force(settings: Settings) -> (SetInForce, BTreeMap<String, Arc<[u8]>>) {
    let declarations = [
        SourceDeclaration {
            default_namespace: Some("shop".into()),
            ..SourceDeclaration::any_namespace("policies")
        },
        SourceDeclaration::any_namespace("empty"),
        SourceDeclaration::namespace_root("teams"),
    ];
    let mut set = PolicySet::new(declarations, settings);
    let listing = crate::policy_set::NamespaceListing {
        namespaces: ["batch".to_owned()].into(),
        problems: Vec::new(),
    };
    set.discover_namespaces(&"teams".into(), Ok(listing));
    let files = vec![
        file("a.yaml", POLICY),
        file("sub/b.yaml", &POLICY.replace("own", "other")),
    ];
    let mut objects = BTreeMap::new();
    for file in &files {
        objects.insert(file.name.clone(), file.bytes.clone());
    }
    let read = |name: &str, files| Source {
        name: name.into(),
        files,
        ..Source::default()
    };
    let policies = [
        (
            "policies".into(),
            Ok(Source {
                default_namespace: Some("shop".into()),
                ..read("policies", files)
            }),
        ),
        ("empty".into(), Ok(read("empty", Vec::new()))),
        (
            "teams/batch".into(),
            Ok(Source {
                namespace: Some("batch".into()),
                ..read("teams/batch", vec![file("x.yaml", "kind: EgressPolicy\n")])
            }),
        ),
    ];
    let readings = SourceReadings {
        policies: policies.into(),
        settings: None,
    };
    let outcome = set.reload(readings, UnixNanos(0));
    assert!(outcome.snapshot.is_some(), "{outcome:?}");
    (set.in_force().unwrap(), objects)
}

fn compile(
    manifest: &RevisionManifest,
    objects: &BTreeMap<String, Arc<[u8]>>,
) -> Result<Compiled, RevisionManifestError> {
    manifest.compile(|file| Ok(objects[&file.name].clone()))
}

#[test]
fn a_set_is_compiled_again_to_its_revision_whatever_its_settings_are() {
    let any = Settings {
        trust_domains: TrustDomains {
            accepted: Accepted::Any,
            ..TrustDomains::default()
        },
        ..Settings::default()
    };
    for settings in [Settings::default(), any, unusual()] {
        let (set, objects) = in_force(settings.clone());
        let manifest = RevisionManifest::of(&set, "customs 0.0.0");
        let text = manifest.to_json();
        let read = RevisionManifest::parse(text.as_bytes()).unwrap();
        assert_eq!(read, manifest, "it reads back");
        let names: Vec<&str> = read.sources.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(
            names,
            ["policies", "teams/batch"],
            "an empty source does not count"
        );
        let compiled = compile(&read, &objects).unwrap();
        assert_eq!(compiled.snapshot.revision(), &set.revision);
        assert_eq!(compiled.snapshot.settings(), &settings);
        assert_eq!(
            compiled.snapshot.rules().egress_policies.len(),
            3,
            "the isolation is one"
        );
    }
}

#[test]
fn a_manifest_that_was_changed_is_refused() {
    let (set, objects) = in_force(unusual());
    let text = RevisionManifest::of(&set, "customs 0.0.0").to_json();
    for (from, to, expected) in [
        ("\"a.yaml\"", "\"c.yaml\"", "they make the revision"),
        ("default=Deny", "default=Allow", "they make the revision"),
        (
            "\"default\": \"deny\"",
            "\"default\": \"allow\"",
            "its part `settings` is not what",
        ),
        (
            "\"trustedHops\": 2",
            "\"trustedHops\": 3",
            "its part `settings` is not what",
        ),
        (
            "\"db.example\"",
            "\"db.example:1\"",
            "`listeners` cannot be `db.example:1`",
        ),
        (
            "\"defaultNamespace\": \"shop\"",
            "\"defaultNamespace\": \"batch\"",
            "its source `policies` is not what",
        ),
        (
            "default=Some(\\\"shop\\\")",
            "default=None",
            "they make the revision",
        ),
        (
            "\"isolates\": true,",
            "",
            "its source `teams/batch` is not what",
        ),
        (
            "\"version\": 1",
            "\"version\": 2",
            "it has version 2 of the format",
        ),
        (
            "\"version\": 1",
            "\"version\": 1, \"more\": 1",
            "unknown field `more`",
        ),
        ("\"settings\"", "\"setting\"", "unknown field `setting`"),
        (
            set.revision.as_str(),
            "../../etc/passwd",
            "is not 32 hexadecimal digits",
        ),
        (
            set.revision.as_str(),
            "00000000000000000000000000000000",
            "they make the revision",
        ),
    ] {
        assert!(text.contains(from), "{from} is in {text}");
        let changed = text.replacen(from, to, 1);
        let outcome = RevisionManifest::parse(changed.as_bytes())
            .and_then(|manifest| compile(&manifest, &objects));
        let why = outcome.unwrap_err().to_string();
        let expected = expected.replace("they make", "its settings and files make");
        assert!(why.contains(&expected), "{to}: {why}");
    }
}

#[test]
fn other_bytes_under_a_right_digest_are_found_by_the_revision() {
    let (set, mut objects) = in_force(Settings::default());
    let manifest = RevisionManifest::of(&set, "customs 0.0.0");
    let other = POLICY.replace("a.example", "b.example");
    objects.insert("a.yaml".into(), other.as_bytes().into());
    let why = compile(&manifest, &objects).unwrap_err();
    assert!(
        matches!(why, RevisionManifestError::OtherRevision { .. }),
        "{why}"
    );
}

#[test]
fn nothing_is_in_force_before_the_first_good_set() {
    let set = PolicySet::new(
        [SourceDeclaration::any_namespace("policies")],
        Settings::default(),
    );
    assert!(set.in_force().is_none());
}
