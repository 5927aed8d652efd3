//! `AuthorizationPolicy`: Istio's own language, read into its strict form.
//!
//! What istiod accepts is accepted, save what rule R3 lists and the keys that a check cannot answer; those are errors,
//! because in a DENY they would silently never match.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::Action;
use super::document::{Node, Value};
use super::istio_rules::RuleReader;
use super::metadata::{Meta, Object};
use super::problem::{Code, Place, Problem, Severity};
use super::reader::{self, Fields};
use customs_engine::enforcement::Enforcement;
use customs_engine::rule::Rule;
use customs_engine::settings::{GatewayIdentity, Settings};

/// A policy in its strict form.
#[derive(Clone, Debug)]
pub struct AuthorizationPolicy {
    /// Its identity and place.
    pub meta: Meta,
    /// What it does.
    pub action: Action,
    /// Which workloads it is for.
    pub target: Target,
    /// Whether it takes effect.
    pub mode: Enforcement,
    /// Its rules; an ALLOW without rules matches nothing and still closes the gate.
    pub rules: Box<[Arc<Rule>]>,
    /// Trust domains that an ALLOW names literally in `principals` or `trustDomains`.
    pub named_trust_domains: Vec<NamedTrustDomain>,
}

/// A foreign trust domain that a rule of an ALLOW names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTrustDomain {
    /// The trust domain.
    pub domain: String,
    /// Where it is named.
    pub place: Place,
    /// The number of the rule in its policy.
    pub rule: usize,
}

/// Which workloads of its namespace (or of all, in the root namespace) a policy is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every one.
    All,
    /// Those with these labels.
    Selector(BTreeMap<String, String>, Place),
    /// What is named: Gateways of the Gateway API, by name, and ServiceEntries, by `ns/name`. Other references are for waypoints.
    References {
        /// Names of Gateways.
        gateways: Vec<String>,
        /// `ns/name` of ServiceEntries.
        service_entries: Vec<String>,
        /// Those that are for waypoints, as a person reads them.
        others: Vec<String>,
        /// Where they are named.
        place: Place,
    },
}

impl Target {
    /// Whether istiod would attach a policy of `namespace` to the declared gateway.
    pub fn applies_to(
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

/// Reads an object into a policy. `None` if it is not for us or has an error, which is among the problems.
pub fn read(
    object: &Object<'_>,
    settings: &Settings,
    problems: &mut Vec<Problem>,
) -> Option<AuthorizationPolicy> {
    let before = problems.len();
    let policy = spec(object, settings, problems)?;
    let own = problems.get_mut(before..).unwrap_or_default();
    if !policy.is_for(settings) && !policy.may_be_bound() {
        // What a check cannot answer does not matter where nothing is asked.
        own.iter_mut()
            .filter(|p| p.code == Code::Unanswerable)
            .for_each(|p| p.severity = Severity::Note);
    }
    own.iter().all(|p| !p.is_error()).then_some(policy)
}

impl AuthorizationPolicy {
    /// Whether it is for the declared gateway; with none declared every policy is.
    pub fn is_for(&self, settings: &Settings) -> bool {
        let root = &settings.root_namespace;
        settings
            .gateway
            .as_ref()
            .is_none_or(|gateway| self.target.applies_to(gateway, self.meta.namespace(), root))
    }
}

impl AuthorizationPolicy {
    /// Whether it targets ServiceEntries, so that it may be about their hosts.
    pub fn may_be_bound(&self) -> bool {
        matches!(&self.target, Target::References { service_entries, .. } if !service_entries.is_empty())
    }
}

/// The annotation takes the spellings of Go's ParseBool, as istiod does, and goes with ALLOW and DENY.
fn mode(object: &Object<'_>, action: Action, problems: &mut Vec<Problem>) -> Enforcement {
    let Some(value) = object.dry_run else {
        return Enforcement::Enforce;
    };
    let problem = match (value.text, action) {
        (_, Action::Audit) => value.error(
            Code::Conflict,
            "`istio.io/dry-run` goes with ALLOW and DENY only",
        ),
        ("0" | "f" | "F" | "FALSE" | "false" | "False", _) => return Enforcement::Enforce,
        ("1" | "t" | "T" | "TRUE" | "true" | "True", _) => return Enforcement::Report,
        (other, _) => {
            let problem = value.error(Code::BadValue, format!("`{other}` is no boolean"));
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
    let mut fields = Fields::open(node, "`spec`", problems)?;
    let action = Action::read(fields.text("action"), &object.meta, fields.problems())?;
    let mode = mode(object, action, fields.problems());
    if let Some(provider) = fields.take("provider") {
        let what = "`provider` goes with action CUSTOM only";
        fields
            .problems()
            .push(Problem::error(Code::Conflict, provider.place.clone(), what));
    }
    let target = target(
        &mut fields,
        (object.meta.namespace(), &settings.root_namespace),
    );
    let rules = fields.take("rules");
    fields.close();

    let mut reader = RuleReader {
        meta: &object.meta,
        action,
        mode,
        settings,
        problems,
        named: Vec::new(),
        number: 0,
    };
    let rules = reader.rules(rules);
    let named_trust_domains = reader.named;
    Some(AuthorizationPolicy {
        action,
        target,
        rules,
        named_trust_domains,
        ..allow_nothing(mode)
    })
}

/// Reads which workloads the policy is for; of `selector`, `targetRef` and `targetRefs` there is at most one.
fn target(fields: &mut Fields<'_, '_>, namespaces: (&str, &str)) -> Target {
    let selector = fields.take("selector");
    let reference = fields.take("targetRef");
    let references = fields.take("targetRefs");
    if [selector, reference, references].iter().flatten().count() > 1 {
        let place = fields.place().clone();
        let what = "`selector`, `targetRef` and `targetRefs` exclude one another";
        fields
            .problems()
            .push(Problem::error(Code::Conflict, place, what));
    }
    match (selector, reference, references) {
        (Some(node), _, _) => Target::Selector(labels(node, fields.problems()), node.place.clone()),
        (None, Some(node), _) => named(
            std::slice::from_ref(node),
            namespaces,
            node.place.clone(),
            fields.problems(),
        ),
        (None, None, Some(node)) => {
            let nodes = reader::list(node, "targetRefs", fields.problems()).unwrap_or_default();
            if nodes.len() > MAX_REFERENCES {
                let what = format!("`targetRefs` takes at most {MAX_REFERENCES} entries");
                fields
                    .problems()
                    .push(Problem::error(Code::TooLarge, node.place.clone(), what));
            }
            named(nodes, namespaces, node.place.clone(), fields.problems())
        }
        (None, None, None) => Target::All,
    }
}

/// The most references that Istio's API takes.
const MAX_REFERENCES: usize = 16;

/// What a reference may be to: group and kind.
const REFERENCES: [(&str, &str); 4] = [
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("networking.istio.io", "ServiceEntry"),
    ("", "Service"),
];

/// The Gateways and ServiceEntries among references; `own` is the policy's namespace. A ServiceEntry is of that namespace or of
/// the root namespace: another's is written by others.
fn named(
    nodes: &[Node],
    (own, root): (&str, &str),
    place: Place,
    problems: &mut Vec<Problem>,
) -> Target {
    let (mut gateways, mut service_entries, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let mut reference = |node: &Node, problems: &mut Vec<Problem>| {
        let mut fields = Fields::open_filled(node, "a target reference", problems)?;
        let group = fields.take("group").and_then(|n| match &n.value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let kind = fields
            .require("kind")
            .and_then(|n| reader::text(n, "kind", fields.problems()));
        let name = fields
            .require("name")
            .and_then(|n| reader::text(n, "name", fields.problems()));
        let namespace = fields.text("namespace");
        let is_entry = kind.is_some_and(|kind| kind.text == "ServiceEntry");
        if let Some(namespace) =
            namespace.filter(|namespace| !is_entry || ![own, root].contains(&namespace.text))
        {
            let what = match is_entry {
                true => "a policy targets ServiceEntries of its own namespace, and of no other",
                false => "a target reference has no `namespace`: it is the policy's own",
            };
            fields
                .problems()
                .push(namespace.error(Code::Conflict, what));
        }
        fields.close();
        let (kind, name) = (kind?, name?);
        let group = if group == Some("core") {
            ""
        } else {
            group.unwrap_or_default()
        };
        if !REFERENCES.contains(&(group, kind.text)) {
            let what = format!("`{}` of `{group}` is no target of a policy", kind.text);
            let hint = "a policy targets a Gateway, GatewayClass, ServiceEntry or Service";
            problems.push(kind.error(Code::BadValue, what).hint(hint));
        }
        match kind.text {
            "Gateway" => gateways.push(name.text.to_owned()),
            "ServiceEntry" => {
                service_entries.push(format!(
                    "{}/{}",
                    namespace.map_or(own, |namespace| namespace.text),
                    name.text
                ));
            }
            other => others.push(format!("{other} `{}`", name.text)),
        }
        Some(())
    };
    for node in nodes {
        // What is wrong with one is among the problems.
        let _read = reference(node, problems);
    }
    Target::References {
        gateways,
        service_entries,
        others,
        place,
    }
}

fn labels(node: &Node, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some(mut fields) = Fields::open(node, "`selector`", problems) else {
        return labels;
    };
    let pairs = match fields.take("matchLabels").map(|n| (&n.value, n)) {
        None => &[][..],
        Some((Value::Map(pairs), _)) => pairs,
        Some((other, node)) => {
            let what = format!("`matchLabels` is {}, and must be a mapping", other.kind());
            fields
                .problems()
                .push(Problem::error(Code::WrongType, node.place.clone(), what));
            &[]
        }
    };
    for (key, value) in pairs {
        let Some(value) = label_value(value, fields.problems()) else {
            continue;
        };
        if key.name.is_empty() || key.name.contains('*') || value.contains('*') || value.len() > 63
        {
            let what = format!(
                "`{}: {value}` is no label: empty, with a `*`, or too long",
                key.name
            );
            fields
                .problems()
                .push(Problem::error(Code::BadValue, key.place.clone(), what));
        }
        labels.insert(key.name.clone(), value.to_owned());
    }
    if pairs.is_empty() {
        let what = "`selector` has no labels, and so selects every workload";
        let problem = Problem::warning(Code::EmptyValue, node.place.clone(), what);
        fields
            .problems()
            .push(problem.hint("leave it out to mean every workload"));
    }
    fields.close();
    labels
}

/// A label's value is text, and may be empty.
fn label_value<'n>(node: &'n Node, problems: &mut Vec<Problem>) -> Option<&'n str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => reader::text(node, "matchLabels", problems).map(|text| text.text),
    }
}
