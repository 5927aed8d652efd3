//! The head of every object: `apiVersion`, `kind` and Kubernetes' whole ObjectMeta. Lists are
//! unwrapped.
//!
//! Fields that the API server writes (labels, uid, managedFields, `status`) are ignored, so that
//! the output of `kubectl get -o yaml` loads. Documents that are not policies are skipped
//! ([`foreign`](mod@super::foreign)). An unknown kind or version of a known group is an error,
//! because a typo there must not disable a policy.

use std::sync::Arc;

use super::document::{Node, Value};
use super::foreign::{self, Belongs, Skipped};
use super::language;
use super::problem::{Code, Place, Problem};
use super::reader::{self, FromNode, Placed, Text};
use super::spec::{
    AUTHORIZATION_POLICY, DESTINATION_SET, Document, EGRESS_POLICY, KindSpec, Metadata, ObjectList,
    POLICY_GUARD,
};
use super::suggestion;
use customs_engine::identity::{is_dns_label, is_dns_subdomain};

/// The kinds that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// `security.istio.io/v1` or `v1beta1`
    AuthorizationPolicy,
    /// `egress.customs/v1alpha1`
    EgressPolicy,
    /// `egress.customs/v1alpha1`
    DestinationSet,
    /// `egress.customs/v1alpha1`
    PolicyGuard,
}

impl Kind {
    /// The kinds with their declarations.
    const ALL: [(Kind, KindSpec); 4] = [
        (Kind::AuthorizationPolicy, AUTHORIZATION_POLICY),
        (Kind::EgressPolicy, EGRESS_POLICY),
        (Kind::DestinationSet, DESTINATION_SET),
        (Kind::PolicyGuard, POLICY_GUARD),
    ];

    /// The kind's name in files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::AuthorizationPolicy => AUTHORIZATION_POLICY.name,
            Kind::EgressPolicy => EGRESS_POLICY.name,
            Kind::DestinationSet => DESTINATION_SET.name,
            Kind::PolicyGuard => POLICY_GUARD.name,
        }
    }
}

/// An object's identity and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// `ns/name`, as ids spell it.
    pub(crate) path: Arc<str>,
    /// Where the object begins.
    pub(crate) place: Place,
}

impl Meta {
    /// `metadata.namespace`
    pub(crate) fn namespace(&self) -> &str {
        self.path
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    /// `metadata.name`
    pub(crate) fn name(&self) -> &str {
        self.path.split_once('/').map_or("", |(_, name)| name)
    }
}

/// An object whose head has been read.
#[derive(Debug)]
pub(crate) struct Object<'n> {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its identity and place.
    pub(crate) meta: Meta,
    /// `istio.io/dry-run`, if it is annotated.
    pub(crate) dry_run: Option<Text<'n>>,
    /// `spec`, if there is one.
    pub(crate) spec: Option<&'n Node>,
}

/// A document, or an item of a list.
#[derive(Debug)]
pub(super) enum Item<'n> {
    /// A policy.
    Policy(Object<'n>),
    /// A ServiceEntry that could be read.
    ServiceEntry(ServiceEntry),
    /// A skipped document, with its place.
    Others(Skipped, &'n Place),
}

/// The hosts of an Istio ServiceEntry, which targets of policies may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceEntry {
    /// `ns/name`
    pub(crate) path: String,
    /// Its hosts as they are written.
    pub(crate) hosts: Vec<String>,
    /// Where it is.
    pub(crate) place: Place,
}

impl ServiceEntry {
    /// `metadata.namespace`
    pub(crate) fn namespace(&self) -> &str {
        self.path
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }
}

/// Reads the content of a document: one object, or the items of a `List`. Objects without a
/// namespace get the default one.
pub(super) fn items<'n>(
    document: &'n Node,
    default_namespace: Option<&'n str>,
    problems: &mut Vec<Problem>,
) -> Vec<Item<'n>> {
    match list_items(document, problems) {
        Some(items) => items
            .iter()
            .filter_map(|node| item(node, default_namespace, problems))
            .collect(),
        None => item(document, default_namespace, problems)
            .into_iter()
            .collect(),
    }
}

fn item<'n>(
    node: &'n Node,
    default_namespace: Option<&'n str>,
    problems: &mut Vec<Problem>,
) -> Option<Item<'n>> {
    match foreign::belongs(node) {
        Belongs::Ours => object(node, default_namespace, problems).map(Item::Policy),
        Belongs::ServiceEntry => Some(match service_entry(node, default_namespace) {
            Some(entry) => Item::ServiceEntry(entry),
            None => Item::Others(Skipped::unreadable("ServiceEntry"), &node.place),
        }),
        Belongs::Others(passed) => Some(Item::Others(passed, &node.place)),
    }
}

/// Reads a ServiceEntry. It is Istio's object, so its errors are not reported; policies cannot be
/// bound to an entry that cannot be read.
fn service_entry(node: &Node, default_namespace: Option<&str>) -> Option<ServiceEntry> {
    let field = |node: &'_ Node, name: &str| -> Option<Node> {
        let Value::Map(pairs) = &node.value else {
            return None;
        };
        pairs
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node.clone())
    };
    let text = |node: Node| match node.value {
        Value::Text(text) => Some(text),
        _ => None,
    };
    let metadata = field(node, "metadata")?;
    let name = field(&metadata, "name").and_then(text)?;
    let namespace = match field(&metadata, "namespace") {
        Some(namespace) => text(namespace)?,
        None => default_namespace.unwrap_or(KUBERNETES_DEFAULT).to_owned(),
    };
    let Value::List(hosts) = field(&field(node, "spec")?, "hosts")?.value else {
        return None;
    };
    let hosts: Vec<String> = hosts.into_iter().map(text).collect::<Option<_>>()?;
    Some(ServiceEntry {
        path: format!("{namespace}/{name}"),
        hosts,
        place: node.place.clone(),
    })
}

/// Returns the items of Kubernetes' own `List`. It may be empty, because an empty list does not
/// widen a rule.
pub(super) fn list_items<'n>(
    document: &'n Node,
    problems: &mut Vec<Problem>,
) -> Option<&'n [Node]> {
    let Value::Map(pairs) = &document.value else {
        return None;
    };
    let field = |name: &str| {
        pairs
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| &node.value)
    };
    let is = |name: &str, text: &str| matches!(field(name), Some(Value::Text(t)) if t == text);
    let is_list = is("kind", "List") && is("apiVersion", "v1");
    if !is_list || !matches!(field("items"), Some(Value::List(_))) {
        return None;
    }
    let list: Placed<'_, ObjectList<'_>> = Placed::from_node(document, "", problems)?;
    match list.items.map(|items| &items.value) {
        Some(Value::List(items)) => Some(items),
        _ => None,
    }
}

fn object<'n>(
    document: &'n Node,
    default_namespace: Option<&'n str>,
    problems: &mut Vec<Problem>,
) -> Option<Object<'n>> {
    let mut found = Vec::new();
    let head: Option<Placed<'_, Document<'_>>> = Placed::from_node(document, "", &mut found);
    let of = |head: &Placed<'_, Document<'n>>| head.api_version.0.zip(head.kind.0);
    let Some((api_version, kind)) = head.as_ref().and_then(of) else {
        problems.append(&mut found);
        return None;
    };
    // Problems of the fields are not reported for an unknown kind.
    let (kind, declared) = kind_of(api_version, kind, problems)?;
    problems.append(&mut found);
    problems.extend(language::deprecated_in(&declared, document));
    let head = head?.fields;
    let place = &document.place;
    let node = head.metadata.0?;
    let (meta, dry_run) = metadata(node, place, (kind, default_namespace), problems)?;
    Some(Object {
        kind,
        meta,
        dry_run,
        spec: head.spec,
    })
}

fn kind_of(
    api_version: Text<'_>,
    kind: Text<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(Kind, KindSpec)> {
    let named = Kind::ALL.iter().find(|(_, spec)| spec.name == kind.text);
    let Some((known, spec)) = named else {
        let what = format!("unknown kind `{}` of `{}`", kind.text, api_version.text);
        let ours = Kind::ALL.iter().map(|(_, spec)| spec.name);
        let known: Vec<_> = ours.chain(foreign::PASSED_OF_ISTIO).collect();
        let hint = match suggestion::nearest(kind.text, &known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => {
                "a policy directory holds AuthorizationPolicy, EgressPolicy, DestinationSet and \
                     PolicyGuard objects only"
                    .into()
            }
        };
        problems.push(kind.error(Code::UnknownKind, what).hint(hint));
        return None;
    };
    let mut versions = spec.versions.iter().map(|version| version.text);
    if versions.any(|version| version == api_version.text) {
        return Some((*known, *spec));
    }
    let versions = spec.versions.iter();
    let versions: Vec<_> = versions
        .map(|version| format!("`{}`", version.text))
        .collect();
    let what = format!("`{}` has no version `{}`", kind.text, api_version.text);
    let problem = api_version.error(Code::UnknownKind, what);
    problems.push(problem.hint(format!("write {}", versions.join(" or "))));
    None
}

/// The namespace that the Kubernetes API gives to an object without one.
const KUBERNETES_DEFAULT: &str = "default";

fn metadata<'n>(
    node: &'n Node,
    place: &Place,
    (kind, default_namespace): (Kind, Option<&'n str>),
    problems: &mut Vec<Problem>,
) -> Option<(Meta, Option<Text<'n>>)> {
    let metadata: Placed<'_, Metadata<'_>> = Placed::from_node(node, "metadata", problems)?;
    let namespace = match (metadata.namespace.0, default_namespace) {
        (Some(node), _) => reader::text(node, "namespace", problems),
        (None, Some(default)) => Some(Text {
            text: default,
            quoted: true,
            place: &node.place,
        }),
        // Repositories often hold Istio's objects without a namespace, which `kubectl` or kustomize
        // adds.
        (None, None) if kind == Kind::AuthorizationPolicy => {
            let what = format!(
                "`metadata` names no namespace; it is read as `{KUBERNETES_DEFAULT}`, as `kubectl apply` reads it"
            );
            let problem = Problem::warning(Code::DefaultNamespace, node.place.clone(), what);
            let hint = "write it, or give the source a `default_namespace`: it determines which callers a policy selects";
            problems.push(problem.hint(hint));
            Some(Text {
                text: KUBERNETES_DEFAULT,
                quoted: true,
                place: &node.place,
            })
        }
        (None, None) => {
            let problem = Problem::error(
                Code::MissingField,
                node.place.clone(),
                "`namespace` is missing in `metadata`",
            );
            let hint = "write it, or give the source a `default_namespace`: it determines which callers a policy selects";
            problems.push(problem.hint(hint));
            None
        }
    };
    let dry_run = metadata
        .annotations
        .and_then(|annotations| dry_run(annotations, problems));
    let (name, namespace) = (metadata.name.0?, namespace?);
    let mut check = |text: Text<'_>, good: bool, what: &str| {
        if !good {
            let what = format!(
                "invalid {what} `{}`: Kubernetes would not accept it",
                text.text
            );
            problems.push(
                text.error(Code::BadName, what)
                    .hint("use lower-case letters, digits and inner `-`"),
            );
        }
        good
    };
    let good = check(name, is_dns_subdomain(name.text), "name")
        & check(namespace, is_dns_label(namespace.text), "namespace");
    let meta = Meta {
        path: format!("{}/{}", namespace.text, name.text).into(),
        place: place.clone(),
    };
    good.then_some((meta, dry_run))
}

fn dry_run<'n>(annotations: &'n Node, problems: &mut Vec<Problem>) -> Option<Text<'n>> {
    match &annotations.value {
        Value::Null => None,
        Value::Map(pairs) => {
            let (_, node) = pairs
                .iter()
                .find(|(key, _)| key.name == "istio.io/dry-run")?;
            reader::text(node, "istio.io/dry-run", problems)
        }
        _ => {
            let what = format!(
                "`annotations` is {}, and must be a mapping",
                annotations.value.kind()
            );
            problems.push(Problem::error(
                Code::WrongType,
                annotations.place.clone(),
                what,
            ));
            None
        }
    }
}
