//! `AuthorizationPolicy`: Istio's own language, read into its strict form.
//!
//! Whatever istiod accepts is accepted, except what rule R3 lists and the keys that a check cannot
//! answer. Those are errors, because in a DENY they would silently never match.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::Action;
use super::document::{Node, Value};
use super::istio_rules::RuleReader;
use super::metadata::{Meta, Object};
use super::named_trust_domain::NamedTrustDomain;
use super::problem::{Code, Place, Problem, Severity};
use super::reader::{self, FromNode, Placed};
use super::spec::authorization_policy::{IstioSpec, Selector, TargetRef};
use customs_engine::enforcement::Enforcement;
use customs_engine::rule::Rule;
use customs_engine::settings::{GatewayIdentity, Settings};

/// A policy in its strict form.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationPolicy {
    /// Its identity and place.
    pub(crate) meta: Meta,
    /// What it does.
    pub(crate) action: Action,
    /// The workloads that it selects.
    pub(crate) target: Target,
    /// Whether it takes effect.
    pub(crate) mode: Enforcement,
    /// Its rules; an ALLOW without rules matches nothing and still closes the gate.
    pub(crate) rules: Box<[Arc<Rule>]>,
    /// Trust domains that an ALLOW names literally in `principals` or `trustDomains`.
    pub(crate) named_trust_domains: Vec<NamedTrustDomain>,
}

/// The workloads that a policy selects in its namespace, or in every namespace if it is in the root
/// namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Every workload.
    All,
    /// Workloads with these labels.
    Selector(BTreeMap<String, String>, Place),
    /// Referenced objects: Gateways of the Gateway API, by name, and ServiceEntries, by `ns/name`.
    /// Other references apply to waypoints.
    References {
        /// Names of Gateways.
        gateways: Vec<String>,
        /// `ns/name` of ServiceEntries.
        service_entries: Vec<String>,
        /// References that apply to waypoints, formatted for people.
        others: Vec<String>,
        /// Where they are named.
        place: Place,
    },
}

impl Target {
    /// Whether istiod would attach a policy of `namespace` to the declared gateway.
    pub(crate) fn applies_to(
        &self,
        gateway: &GatewayIdentity,
        namespace: &str,
        root_namespace: &str,
    ) -> bool {
        let own = namespace == gateway.namespace;
        match self {
            Target::All => own || namespace == root_namespace,
            Target::Selector(labels, _) => {
                (own || namespace == root_namespace)
                    && labels
                        .iter()
                        .all(|(key, value)| gateway.labels.get(key) == Some(value))
            }
            Target::References { gateways, .. } => {
                own && gateway
                    .name
                    .as_ref()
                    .is_some_and(|name| gateways.contains(name))
            }
        }
    }
}

/// Reads an object into a policy. Returns `None` if customs does not evaluate the policy, or if it
/// has an error, which is added to `problems`.
pub(crate) fn read(
    object: &Object<'_>,
    settings: &Settings,
    problems: &mut Vec<Problem>,
) -> Option<AuthorizationPolicy> {
    let before = problems.len();
    let policy = spec(object, settings, problems)?;
    let own = problems.get_mut(before..).unwrap_or_default();
    if !policy.is_for(settings) && !policy.may_be_bound() {
        // A key that a check cannot answer does not matter in a policy that is not evaluated.
        own.iter_mut()
            .filter(|p| p.code == Code::Unanswerable)
            .for_each(|p| p.severity = Severity::Note);
    }
    own.iter().all(|p| !p.is_error()).then_some(policy)
}

impl AuthorizationPolicy {
    /// Whether it selects the declared gateway. Every policy does if no gateway is declared.
    pub(crate) fn is_for(&self, settings: &Settings) -> bool {
        let root = &settings.root_namespace;
        settings
            .gateway
            .as_ref()
            .is_none_or(|gateway| self.target.applies_to(gateway, self.meta.namespace(), root))
    }
}

impl AuthorizationPolicy {
    /// Whether it targets ServiceEntries, so that it may apply to their hosts.
    pub(crate) fn may_be_bound(&self) -> bool {
        matches!(&self.target, Target::References { service_entries, .. } if !service_entries.is_empty())
    }
}

/// Reads the dry-run annotation. It accepts the spellings of Go's ParseBool, as istiod does, and is
/// valid with ALLOW and DENY.
fn mode(object: &Object<'_>, action: Action, problems: &mut Vec<Problem>) -> Enforcement {
    let Some(value) = object.dry_run else {
        return Enforcement::Enforce;
    };
    let problem = match (value.text, action) {
        (_, Action::Audit) => value.error(
            Code::Conflict,
            "`istio.io/dry-run` is valid with ALLOW and DENY only",
        ),
        ("0" | "f" | "F" | "FALSE" | "false" | "False", _) => return Enforcement::Enforce,
        ("1" | "t" | "T" | "TRUE" | "true" | "True", _) => return Enforcement::Report,
        (other, _) => {
            let problem = value.error(Code::BadValue, format!("invalid boolean `{other}`"));
            problem.hint("write \"true\" or \"false\", in quotes")
        }
    };
    problems.push(problem);
    Enforcement::Enforce
}

fn spec(
    object: &Object<'_>,
    settings: &Settings,
    problems: &mut Vec<Problem>,
) -> Option<AuthorizationPolicy> {
    let allow_nothing = |mode| AuthorizationPolicy {
        meta: object.meta.clone(),
        action: Action::Allow,
        target: Target::All,
        mode,
        rules: Box::default(),
        named_trust_domains: Vec::new(),
    };
    let Some(node) = object.spec else {
        return Some(allow_nothing(mode(object, Action::Allow, problems)));
    };
    let mut found = Vec::new();
    let written: Option<Placed<'_, IstioSpec<'_>>> = Placed::from_node(node, "spec", &mut found);
    let Some(written) = written else {
        problems.append(&mut found);
        return None;
    };
    // Problems of the other fields are not reported if customs does not evaluate the action.
    let action = Action::read(written.action, &object.meta, problems)?;
    problems.append(&mut found);
    let mode = mode(object, action, problems);
    if let Some(provider) = written.provider {
        let what = "`provider` is valid with action CUSTOM only";
        problems.push(Problem::error(Code::Conflict, provider.place.clone(), what));
    }
    let namespaces = (object.meta.namespace(), settings.root_namespace.as_str());
    let target = target(&written, namespaces, problems);
    let mut reader = RuleReader {
        meta: &object.meta,
        action,
        mode,
        settings,
        problems,
        named: Vec::new(),
        number: 0,
    };
    let rules = reader.rules(&written.rules);
    let named_trust_domains = reader.named;
    Some(AuthorizationPolicy {
        action,
        target,
        rules,
        named_trust_domains,
        ..allow_nothing(mode)
    })
}

/// Reads which workloads the policy selects. At most one of `selector`, `targetRef` and
/// `targetRefs` may be set.
fn target(
    spec: &Placed<'_, IstioSpec<'_>>,
    namespaces: (&str, &str),
    problems: &mut Vec<Problem>,
) -> Target {
    let (selector, one, several) = (&spec.selector, &spec.target_ref, &spec.target_refs);
    let written = [selector.is_some(), one.is_some(), several.is_written()];
    if written.iter().filter(|is_written| **is_written).count() > 1 {
        let what = "`selector`, `targetRef` and `targetRefs` exclude one another";
        problems.push(Problem::error(Code::Conflict, spec.place.clone(), what));
    }
    if several.nodes.len() > MAX_REFERENCES
        && let Some(place) = several.place
    {
        let what = format!("`targetRefs` takes at most {MAX_REFERENCES} entries");
        problems.push(Problem::error(Code::TooLarge, place.clone(), what));
    }
    match (selector, one, several.place) {
        (Some(selector), _, _) => {
            Target::Selector(labels(selector, problems), selector.place.clone())
        }
        (None, Some(one), _) => named(std::slice::from_ref(one), namespaces, one.place, problems),
        (None, None, Some(place)) => named(&several.items, namespaces, place, problems),
        (None, None, None) => Target::All,
    }
}

/// The most references that Istio's API accepts.
const MAX_REFERENCES: usize = 16;

/// The objects that a reference may name: group and kind.
const REFERENCES: [(&str, &str); 4] = [
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("networking.istio.io", "ServiceEntry"),
    ("", "Service"),
];

/// Collects the Gateways and ServiceEntries among the references. `own` is the policy's namespace.
/// A ServiceEntry must be in that namespace or in the root namespace, because other teams write
/// those of other namespaces.
fn named(
    references: &[Placed<'_, TargetRef<'_>>],
    (own, root): (&str, &str),
    place: &Place,
    problems: &mut Vec<Problem>,
) -> Target {
    let (mut gateways, mut service_entries, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for reference in references {
        let is_entry = reference
            .kind
            .0
            .is_some_and(|kind| kind.text == "ServiceEntry");
        let namespace = reference.namespace;
        if let Some(namespace) =
            namespace.filter(|namespace| !is_entry || ![own, root].contains(&namespace.text))
        {
            let what = match is_entry {
                true => "a policy can target ServiceEntries of its own or the root namespace only",
                false => "a target reference has no `namespace`: the policy's own applies",
            };
            problems.push(namespace.error(Code::Conflict, what));
        }
        let (Some(kind), Some(name)) = (reference.kind.0, reference.name.0) else {
            continue;
        };
        let group = match reference.group.map(|group| &group.value) {
            Some(Value::Text(group)) if group != "core" => group.as_str(),
            _ => "",
        };
        if !REFERENCES.contains(&(group, kind.text)) {
            let what = format!("invalid target `{}` of API group `{group}`", kind.text);
            let hint = "write a Gateway, GatewayClass, ServiceEntry or Service";
            problems.push(kind.error(Code::BadValue, what).hint(hint));
        }
        match kind.text {
            "Gateway" => gateways.push(name.text.to_owned()),
            "ServiceEntry" => {
                let namespace = namespace.map_or(own, |namespace| namespace.text);
                service_entries.push(format!("{namespace}/{}", name.text));
            }
            other => others.push(format!("{other} `{}`", name.text)),
        }
    }
    Target::References {
        gateways,
        service_entries,
        others,
        place: place.clone(),
    }
}

fn labels(
    selector: &Placed<'_, Selector<'_>>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let pairs = match selector.match_labels.map(|node| (&node.value, node)) {
        None => &[][..],
        Some((Value::Map(pairs), _)) => pairs,
        Some((other, node)) => {
            let what = format!("`matchLabels` is {}, and must be a mapping", other.kind());
            problems.push(Problem::error(Code::WrongType, node.place.clone(), what));
            &[]
        }
    };
    for (key, value) in pairs {
        let Some(value) = label_value(value, problems) else {
            continue;
        };
        if key.name.is_empty() || key.name.contains('*') || value.contains('*') || value.len() > 63
        {
            let what = format!(
                "invalid label `{}: {value}`: it is empty, has a `*` or is too long",
                key.name
            );
            problems.push(Problem::error(Code::BadValue, key.place.clone(), what));
        }
        labels.insert(key.name.clone(), value.to_owned());
    }
    if pairs.is_empty() {
        let what = "`selector` has no labels, and so selects every workload";
        let problem = Problem::warning(Code::EmptyValue, selector.place.clone(), what);
        problems.push(problem.hint("leave it out to mean every workload"));
    }
    labels
}

/// Reads a label's value, which is text and may be empty.
fn label_value<'n>(node: &'n Node, problems: &mut Vec<Problem>) -> Option<&'n str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => reader::text(node, "matchLabels", problems).map(|text| text.text),
    }
}
