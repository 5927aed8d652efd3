//! Documents that are not policies but are in the same files, as in a checkout that `kubectl apply
//! -k` uses: which are skipped, and which are misspelt policies.
//!
//! The rule (R12): a document of another API group is skipped with a note. A document of a known
//! group, or nearly so, is read strictly: a misspelt head is an error and never disables a policy.
//! If the kind is known and the group is not (other meshes have an AuthorizationPolicy too), that
//! is a warning.

use std::collections::BTreeMap;

use super::document::{Node, Value};
use super::problem::{Code, Place, Problem};
use super::suggestion::distance;

/// The API groups whose policies are read.
const CUSTOMS: &str = "egress.customs";
const ISTIO: &str = "security.istio.io";

/// The kinds of Istio's group that configure trust and not access, and their lists. Every other
/// kind of the group is a misspelt policy.
pub(super) const PASSED_OF_ISTIO: [&str; 4] = [
    "PeerAuthentication",
    "RequestAuthentication",
    "PeerAuthenticationList",
    "RequestAuthenticationList",
];

/// How a document is handled, according to its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    /// It is a policy, or was meant to be one: it is read strictly.
    Ours,
    /// An Istio ServiceEntry, which targets of policies may name.
    ServiceEntry,
    /// It is not a policy.
    Others(Skipped),
}

/// What is reported about a skipped document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Skipped {
    what: String,
    suspicion: Suspicion,
}

/// Why a skipped document may have been meant to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Suspicion {
    /// There is no sign of it.
    None,
    /// Its kind is a policy's.
    Policy,
    /// Its kind is nearly a ServiceEntry's, or its group nearly that of ServiceEntries.
    ServiceEntry,
}

impl Skipped {
    /// A document that would be read if it were complete.
    pub(super) fn unreadable(kind: &str) -> Skipped {
        Skipped {
            what: format!("a `{kind}` without a name, a namespace or hosts"),
            suspicion: Suspicion::None,
        }
    }
}

/// Classifies a document.
pub(super) fn belongs(document: &Node) -> Belongs {
    let Value::Map(pairs) = &document.value else {
        return Belongs::Ours;
    };
    let field = |name: &str| {
        pairs
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| &node.value)
    };
    let keys = || pairs.iter().map(|(key, _)| key.name.as_str());
    let suspected = |what: String, suspicion| Belongs::Others(Skipped { what, suspicion });
    let passed = |what: String| suspected(what, Suspicion::None);
    match (field("apiVersion"), field("kind")) {
        (Some(Value::Text(version)), Some(Value::Text(kind))) => {
            match (group(version), kind_of(kind)) {
                (Group::Istio, _) if PASSED_OF_ISTIO.contains(&kind.as_str()) => {
                    passed(format!("`{kind}` of `{version}`"))
                }
                (Group::Customs | Group::Istio, _)
                | (Group::None, Likeness::Ours(_) | Likeness::List) => Belongs::Ours,
                (Group::Networking, _) if kind == "ServiceEntry" => Belongs::ServiceEntry,
                (Group::Other | Group::Networking, Likeness::Ours(Family::Customs)) => {
                    Belongs::Ours
                }
                (_, likeness) => {
                    let suspicion = match likeness {
                        Likeness::Ours(_) => Suspicion::Policy,
                        Likeness::ServiceEntry => Suspicion::ServiceEntry,
                        Likeness::List | Likeness::Other => Suspicion::None,
                    };
                    suspected(format!("`{kind}` of `{version}`"), suspicion)
                }
            }
        }
        (None, Some(Value::Text(kind))) => {
            let what = || format!("`{kind}` without an `apiVersion`");
            match kind_of(kind) {
                Likeness::Ours(_) | Likeness::List => Belongs::Ours,
                Likeness::ServiceEntry => suspected(what(), Suspicion::ServiceEntry),
                Likeness::Other => passed(what()),
            }
        }
        (Some(Value::Text(version)), None) => {
            let is_whole = keys().any(|key| ["metadata", "spec"].contains(&key));
            match group(version) {
                Group::Customs | Group::Istio => Belongs::Ours,
                Group::None if is_whole => Belongs::Ours,
                _ => passed(format!("a document of `{version}` without a `kind`")),
            }
        }
        (None, None) if !pairs.is_empty() && !keys().any(is_of_a_policy) => {
            passed("a document with neither `apiVersion` nor `kind`".to_owned())
        }
        _ => Belongs::Ours,
    }
}

enum Group {
    /// `egress.customs`, or nearly.
    Customs,
    /// `security.istio.io`, or nearly.
    Istio,
    /// `networking.istio.io`
    Networking,
    /// Kubernetes' core group, or none.
    None,
    Other,
}

fn group(api_version: &str) -> Group {
    let written = api_version
        .split_once('/')
        .map_or(api_version, |(group, _)| group)
        .trim();
    let is_near = |known: &str| distance(written, known) <= 3;
    match written {
        "networking.istio.io" => Group::Networking,
        _ if is_near(CUSTOMS) || written.contains("customs") => Group::Customs,
        _ if is_near(ISTIO) => Group::Istio,
        _ if !api_version.contains('/') => Group::None,
        _ => Group::Other,
    }
}

enum Likeness {
    /// Nearly a policy kind of this family.
    Ours(Family),
    /// A list, which may hold policies.
    List,
    /// Nearly a ServiceEntry.
    ServiceEntry,
    Other,
}

enum Family {
    Customs,
    Istio,
}

fn kind_of(kind: &str) -> Likeness {
    let lower = kind.trim().to_lowercase();
    let is = |known: &str, stem: &str| distance(&lower, known) <= 2 || lower.starts_with(stem);
    if is("egresspolicy", "egresspolic")
        || is("destinationset", "destinationset")
        || is("policytest", "policytest")
        || is("policyguard", "policyguard")
    {
        Likeness::Ours(Family::Customs)
    } else if is("authorizationpolicy", "authorizationpolic") {
        Likeness::Ours(Family::Istio)
    } else if distance(&lower, "list") <= 1 {
        Likeness::List
    } else if is("serviceentry", "serviceentr") {
        Likeness::ServiceEntry
    } else {
        Likeness::Other
    }
}

/// Whether a key shows that a document without a head was meant to be a policy.
fn is_of_a_policy(key: &str) -> bool {
    let lower = key.trim().to_lowercase();
    let is_near = |known: &str, most: usize| distance(&lower, known) <= most;
    is_near("apiversion", 2)
        || ["kind", "spec"].iter().any(|known| is_near(known, 1))
        || ["metadata", "deny", "allow", "subjects", "isolate", "guards"].contains(&lower.as_str())
}

/// The skipped documents of a file. Each sort is reported once.
#[derive(Debug, Default)]
pub(super) struct SkippedDocuments(BTreeMap<Skipped, (Place, usize)>);

impl SkippedDocuments {
    /// Counts a document.
    pub(super) fn count(&mut self, passed: Skipped, place: &Place) {
        let (_, count) = self.0.entry(passed).or_insert_with(|| (place.clone(), 0));
        *count += 1;
    }

    /// Returns a problem for each sort.
    pub(super) fn into_problems(self) -> impl Iterator<Item = Problem> {
        self.0.into_iter().map(|(Skipped { what, suspicion }, (place, count))| {
            let more = if count > 1 { format!(" ({count} times in this file)") } else { String::new() };
            match suspicion {
                Suspicion::None => Problem::note(Code::NotOurs, place, format!("{what} is not read here{more}")),
                Suspicion::ServiceEntry => {
                    let text = format!("{what} looks like a ServiceEntry and is not read{more}");
                    let hint = "write `kind: ServiceEntry` and `apiVersion: networking.istio.io/v1`, one object each: a policy \
                                that targets it applies to its hosts";
                    Problem::warning(Code::NotRead, place, text).hint(hint)
                }
                Suspicion::Policy => {
                    let text = format!("{what} looks like a policy and is not read: its API group is unknown{more}");
                    let hint = format!("write `{ISTIO}/v1` if it is Istio's, or keep it out of the policy directory");
                    Problem::warning(Code::NotRead, place, text).hint(hint)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Severity;
    use crate::source::{PolicyFile, Source, load};
    use customs_engine::settings::Settings;

    fn reported(head: &str) -> Vec<(Severity, Code)> {
        let file = PolicyFile {
            name: "a.yaml".into(),
            bytes: head.as_bytes().into(),
        };
        let source = Source {
            name: "s".into(),
            files: vec![file],
            ..Source::default()
        };
        load(&source, &Settings::default())
            .problems()
            .iter()
            .map(|p| (p.severity, p.code))
            .collect()
    }

    #[test]
    fn documents_of_other_groups_are_passed_over_with_a_note() {
        for head in [
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
            "resources:\n- deny.yaml\n- gateway.yaml\n",
            "kind: Kustomization\nresources: [a.yaml]\n",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 1}\n",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n",
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: a.example}\n",
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec: {}\n",
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: {mtls: {mode: STRICT}}\n",
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: a}\nspec: {}\n",
            "apiVersion: security.istio.io/v1\nkind: PeerAuthenticationList\nitems: []\n",
            "apiVersion: security.istio.io/v1beta1\nkind: RequestAuthenticationList\nitems: []\n",
            "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a}\nspec: {}\n",
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {}\n",
            "apiVersion: cilium.io/v2\nkind: CiliumEgressGatewayPolicy\nmetadata: {name: a}\n",
            "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
            "{\"name\": \"x\", \"version\": \"1.0.0\", \"scripts\": {}}\n",
            "replicaCount: 1\nimage: {tag: a}\n",
        ] {
            assert_eq!(reported(head), [(Severity::Note, Code::NotOurs)], "{head}");
        }
    }

    #[test]
    fn a_policy_with_a_misspelt_head_is_an_error() {
        for head in [
            "apiVersion: egress.customs/v1\nkind: EgressPolicy\n",
            "apiVersion: egress.custom/v1alpha1\nkind: EgressPolicy\n",
            "apiVersion: customs/v1alpha1\nkind: Policy\n",
            "apiVersion: egress.customs\nkind: EgressPolicy\n",
            "apiVersion: egress.customs/v1alpha1\nkind: Egress\n",
            "apiVersion: security.istio.io/v1alpha1\nkind: AuthorizationPolicy\n",
            "apiVersion: security.istio.io/v1\nkind: AuthorisationPolicy\n",
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicies\n",
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicyList\nitems: []\n",
            "apiVersion: securty.istio.io/v1\nkind: AuthorizationPolicy\n",
            "apiVersion: security.istio.io/v1\nkind: AuthPolicy\nmetadata: {name: a}\nspec: {action: DENY}\n",
            "apiVersion: security.istio.io/v1\nkind: Authorization\nmetadata: {name: a}\nspec: {action: DENY}\n",
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentications\nmetadata: {name: a}\n",
            "apiVersion: v1\nkind: EgressPolicy\n",
            "apiVersion: v1\nkind: list\nitems: []\n",
            "apiVersion: policy.example/v1\nkind: EgressPolicy\n",
            "kind: EgressPolicy\nmetadata: {name: a}\n",
            "apiVersion: egress.customs/v1alpha1\nmetadata: {name: a}\n",
            "apiversion: egress.customs/v1alpha1\nknd: EgressPolicy\n",
            "metadata: {name: a, namespace: b}\nspec: {deny: []}\n",
            "deny: [{name: a, hosts: [a.example]}]\n",
            "- apiVersion: egress.customs/v1alpha1\n  kind: EgressPolicy\n",
            "apiVersion: v1\nkind: 5\n",
        ] {
            assert!(
                reported(head)
                    .iter()
                    .any(|(severity, _)| *severity == Severity::Error),
                "{head}: {:?}",
                reported(head)
            );
        }
    }

    #[test]
    fn a_kind_of_ours_in_the_group_of_a_stranger_is_a_warning() {
        let head = "apiVersion: policy.linkerd.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec: {}\n";
        assert_eq!(reported(head), [(Severity::Warning, Code::NotRead)]);
    }

    #[test]
    fn an_unknown_kind_of_istios_group_is_told_with_the_nearest() {
        for (kind, meant) in [
            ("AuthorizationPolice", "`AuthorizationPolicy`"),
            ("Authorizationpolicy", "`AuthorizationPolicy`"),
            ("AuthPolicy", "AuthorizationPolicy"),
            ("PeerAuthentications", "`PeerAuthentication`"),
            ("RequestAuthenticaton", "`RequestAuthentication`"),
        ] {
            let head =
                format!("apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: a}}\n");
            let file = PolicyFile {
                name: "a.yaml".into(),
                bytes: head.into_bytes().into(),
            };
            let source = Source {
                name: "s".into(),
                files: vec![file],
                ..Source::default()
            };
            let problems = load(&source, &Settings::default()).problems().to_vec();
            let [problem] = problems.as_slice() else {
                panic!("{kind}: {problems:?}")
            };
            assert_eq!(problem.code, Code::UnknownKind, "{kind}");
            assert!(
                problem
                    .hint
                    .as_ref()
                    .is_some_and(|hint| hint.contains(meant)),
                "{problem:?}"
            );
        }
    }

    #[test]
    fn what_is_nearly_a_service_entry_is_a_warning() {
        for head in [
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntrys\nmetadata: {name: a}\nspec: {hosts: [a.example]}\n",
            "apiVersion: networking.istio.io/v1\nkind: serviceentry\nmetadata: {name: a}\nspec: {hosts: [a.example]}\n",
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntryList\nitems: []\n",
            "apiVersion: networking.istio.oi/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: [a.example]}\n",
            "kind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: [a.example]}\n",
        ] {
            assert_eq!(
                reported(head),
                [(Severity::Warning, Code::NotRead)],
                "{head}"
            );
        }
    }

    #[test]
    fn each_sort_is_told_once_in_a_file() {
        let one = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\n";
        assert_eq!(reported(&one.repeat(30)), [(Severity::Note, Code::NotOurs)]);
    }
}
