//! A source that is bound to one namespace: which documents it may hold, and what applies while it
//! has no good content.
//!
//! The rule: every document is an EgressPolicy, a DestinationSet or a ServiceEntry of that
//! namespace. AuthorizationPolicies are refused there because they apply to the whole mesh, and the
//! root namespace is never bound because its policies may apply to every namespace. So the authors
//! of such a source can affect their own namespace only.
//!
//! Until the source has been good once, its namespace is isolated and the source grants nothing.
//! What other sources grant these callers stays granted, and what other sources deny them stays
//! denied.

use std::sync::Arc;

use super::metadata::{Kind, Object, ServiceEntry};
use super::problem::{Code, Place, Problem};
use customs_engine::enforcement::Enforcement;
use customs_engine::rule_info::{About, RuleId, RuleInfo};
use customs_engine::rules::EgressScope;
use customs_engine::settings::Settings;
use customs_engine::subject::{NamespacePattern, Subject, SubjectList};

/// Returns the problem of a document that is not allowed in a source of this namespace.
pub(super) fn not_its_own(object: &Object<'_>, namespace: &str) -> Option<Problem> {
    let (kind, path) = (object.kind.as_str(), &object.meta.path);
    let error = |what: String| {
        Some(Problem::error(
            Code::NotYours,
            object.meta.place.clone(),
            what,
        ))
    };
    if object.kind == Kind::AuthorizationPolicy {
        let what = format!(
            "{kind} `{path}` applies to the whole mesh, but this directory is bound to namespace `{namespace}`"
        );
        let hint =
            "write an EgressPolicy, or move it to a directory that is not bound to a namespace";
        return error(what).map(|problem| problem.hint(hint));
    }
    if object.meta.namespace() != namespace {
        let what = format!(
            "{kind} `{path}` is of another namespace than this directory, which is `{namespace}`"
        );
        let hint =
            format!("write `namespace: {namespace}`, or move it to the directory of its namespace");
        return error(what).map(|problem| problem.hint(hint));
    }
    None
}

/// Returns the problem of a ServiceEntry that is not allowed in a source of this namespace.
/// Policies of the whole mesh may apply to its hosts, so its author would change those policies.
pub(super) fn not_its_entry(entry: &ServiceEntry, namespace: &str) -> Option<Problem> {
    if entry.namespace() == namespace {
        return None;
    }
    let what = format!(
        "ServiceEntry `{}` is of another namespace than this directory, which is `{namespace}`",
        entry.path
    );
    let hint =
        format!("write `namespace: {namespace}`, or move it to the directory of its namespace");
    Some(Problem::error(Code::NotYours, entry.place.clone(), what).hint(hint))
}

/// Returns the problem of a source that is bound to the root namespace. `name` is the name of the
/// source.
pub(super) fn not_root(name: &str, namespace: &str, settings: &Settings) -> Option<Problem> {
    if namespace != settings.root_namespace {
        return None;
    }
    let what =
        format!("`{namespace}` is the root namespace, whose policies may apply to every namespace");
    let hint =
        "name a directory for its policies in `policies` by itself, without `namespace_from`";
    Some(Problem::error(Code::NotYours, Place::whole(name), what).hint(hint))
}

/// Returns the scope that isolates the namespace of a bound source. `name` is the name of the
/// source.
pub(super) fn isolation(name: &str, namespace: &str) -> EgressScope {
    let everybody = Subject::Workloads {
        namespaces: [NamespacePattern::Exact(namespace.to_owned())].into(),
        accounts: Box::default(),
        trust_domains: Box::default(),
    };
    let about = About {
        reason: Some("the policies of this namespace have not loaded since the start".into()),
        ..About::default()
    };
    EgressScope {
        info: Arc::new(RuleInfo::new(
            RuleId::unloaded(namespace),
            Place::whole(name),
            about,
        )),
        mode: Enforcement::Enforce,
        subjects: Arc::new(SubjectList([everybody].into())),
        isolate: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile;
    use crate::source::{LoadedSource, PolicyFile, Source, load};

    fn bound(namespace: &str, text: &str) -> Source {
        let file = PolicyFile {
            name: "a.yaml".into(),
            bytes: text.as_bytes().into(),
        };
        let (name, namespace) = (format!("teams/{namespace}"), Some(namespace.into()));
        Source {
            name,
            files: vec![file],
            namespace,
            ..Source::default()
        }
    }

    #[test]
    fn a_document_is_of_the_family_and_the_namespace() {
        let egress = |namespace: &str| {
            format!(
                "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: e, namespace: {namespace}}}\n\
                 spec: {{isolate: true}}\n"
            )
        };
        let set = |namespace: &str| {
            egress(namespace)
                .replace("EgressPolicy", "DestinationSet")
                .replace("{isolate: true}", "{hosts: [a.example]}")
        };
        let entry = |metadata: &str| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s{metadata}}}\n\
                 spec: {{hosts: [a.example]}}\n"
            )
        };
        let istio = |action: &str| {
            format!(
                "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a, namespace: shop}}\n\
                 spec: {{action: {action}, {} rules: [{{}}]}}\n",
                if action == "CUSTOM" {
                    "provider: {name: x},"
                } else {
                    ""
                }
            )
        };
        for (namespace, text, expected) in [
            ("shop", egress("shop"), None),
            ("shop", set("shop"), None),
            ("shop", entry(", namespace: shop"), None),
            (
                "shop",
                entry(", namespace: egress"),
                Some(("teams/shop/a.yaml:1:1", "is of another namespace")),
            ),
            (
                "shop",
                entry(", namespace: istio-system"),
                Some(("teams/shop/a.yaml:1:1", "is of another namespace")),
            ),
            (
                "shop",
                entry(""),
                Some(("teams/shop/a.yaml:1:1", "is of another namespace")),
            ),
            ("shop", String::new(), None),
            (
                "shop",
                egress("batch"),
                Some(("teams/shop/a.yaml:1:1", "is of another namespace")),
            ),
            (
                "shop",
                set("istio-system"),
                Some(("teams/shop/a.yaml:1:1", "is of another namespace")),
            ),
            (
                "shop",
                istio("DENY"),
                Some(("teams/shop/a.yaml:1:1", "applies to the whole mesh")),
            ),
            (
                "shop",
                istio("CUSTOM"),
                Some(("teams/shop/a.yaml:1:1", "applies to the whole mesh")),
            ),
            (
                "istio-system",
                egress("istio-system"),
                Some(("teams/istio-system", "is the root namespace")),
            ),
            (
                "istio-system",
                String::new(),
                Some(("teams/istio-system", "is the root namespace")),
            ),
        ] {
            let loaded = load(&bound(namespace, &text), &Settings::default());
            let reported: Vec<_> = loaded.problems().iter().filter(|p| p.is_error()).collect();
            match expected {
                None => assert!(reported.is_empty(), "{text}: {reported:?}"),
                Some((place, part)) => {
                    assert_eq!(reported.len(), 1, "{text}: {reported:?}");
                    assert_eq!(
                        (reported[0].code, reported[0].place.to_string().as_str()),
                        (Code::NotYours, place),
                        "{text}"
                    );
                    assert!(
                        reported[0].text.contains(part) && reported[0].hint.is_some(),
                        "{}",
                        reported[0]
                    );
                }
            }
        }
    }

    #[test]
    fn what_stands_in_isolates_and_is_part_of_the_revision() {
        let settings = Settings::default();
        let other = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: e, namespace: a}\n\
                     spec: {isolate: true}\n";
        let good = load(
            &Source {
                namespace: None,
                ..bound("a", other)
            },
            &settings,
        );
        let never = LoadedSource::stand_in(&bound("shop", "kind: [")).unwrap();
        let empty = load(&bound("shop", ""), &settings);
        assert!(
            LoadedSource::stand_in(&Source {
                namespace: None,
                ..bound("shop", "")
            })
            .is_none()
        );
        let with = compile::compile(&[good.clone(), never], &settings)
            .unwrap()
            .snapshot;
        let without = compile::compile(&[good, empty], &settings)
            .unwrap()
            .snapshot;
        assert_ne!(with.revision(), without.revision());
        let scopes = &with.rules().egress_policies;
        assert_eq!(
            scopes
                .iter()
                .map(|s| s.info.id.to_string())
                .collect::<Vec<_>>(),
            ["ep:a/e", "builtin#namespace_unloaded"]
        );
        assert_eq!(
            (with.counts(), without.rules().egress_policies.len()),
            (without.counts(), 1)
        );
    }
}
