//! What every object has: `apiVersion`, `kind` and Kubernetes' whole ObjectMeta; lists are unwrapped.
//!
//! What the API server writes into an object (labels, uid, managedFields, `status`) is read over, so that the output of
//! `kubectl get -o yaml` loads. A kind that is not known is an error: a typo there must not switch a policy off.

use std::sync::Arc;

use super::document::{Node, Value};
use super::problem::{Code, Place, Problem};
use super::reader::{self, Fields, Text};
use crate::engine::identity::{is_dns_label, is_dns_subdomain};

/// The kinds that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `security.istio.io/v1` or `v1beta1`
    AuthorizationPolicy,
    /// `egress.customs/v1alpha1`
    EgressPolicy,
    /// `egress.customs/v1alpha1`
    DestinationSet,
}

impl Kind {
    /// The kind's name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::AuthorizationPolicy => "AuthorizationPolicy",
            Kind::EgressPolicy => "EgressPolicy",
            Kind::DestinationSet => "DestinationSet",
        }
    }

    const ALL: [(Kind, &'static str, &'static str); 4] = [
        (Kind::AuthorizationPolicy, "AuthorizationPolicy", "security.istio.io/v1"),
        (Kind::AuthorizationPolicy, "AuthorizationPolicy", "security.istio.io/v1beta1"),
        (Kind::EgressPolicy, "EgressPolicy", "egress.customs/v1alpha1"),
        (Kind::DestinationSet, "DestinationSet", "egress.customs/v1alpha1"),
    ];
}

/// An object's identity and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// `ns/name`, as ids spell it.
    pub path: Arc<str>,
    /// Where the object begins.
    pub place: Place,
}

impl Meta {
    /// `metadata.namespace`
    pub fn namespace(&self) -> &str {
        self.path.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// `metadata.name`
    pub fn name(&self) -> &str {
        self.path.split_once('/').map_or("", |(_, name)| name)
    }
}

/// An object whose head has been read.
#[derive(Debug)]
pub struct Object<'n> {
    /// Its kind.
    pub kind: Kind,
    /// Its identity and place.
    pub meta: Meta,
    /// `istio.io/dry-run`, if it is annotated.
    pub dry_run: Option<Text<'n>>,
    /// `spec`, if there is one.
    pub spec: Option<&'n Node>,
}

/// Reads the objects of a document: one, or the items of a `List`.
pub fn objects<'n>(document: &'n Node, problems: &mut Vec<Problem>) -> Vec<Object<'n>> {
    match list_items(document, problems) {
        Some(items) => items.iter().filter_map(|item| object(item, problems)).collect(),
        None => object(document, problems).into_iter().collect(),
    }
}

/// The items of Kubernetes' own `List`, which may be empty: nothing is written in it, so nothing is widened.
fn list_items<'n>(document: &'n Node, problems: &mut Vec<Problem>) -> Option<&'n [Node]> {
    let Value::Map(pairs) = &document.value else { return None };
    let field = |name: &str| pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| &node.value);
    let is = |name: &str, text: &str| matches!(field(name), Some(Value::Text(t)) if t == text);
    let Some(Value::List(items)) = field("items").filter(|_| is("kind", "List") && is("apiVersion", "v1")) else {
        return None;
    };
    let mut fields = Fields::open(document, "the list", problems)?;
    fields.read_over(&["apiVersion", "kind", "metadata", "items"]);
    fields.close();
    Some(items)
}

fn object<'n>(document: &'n Node, problems: &mut Vec<Problem>) -> Option<Object<'n>> {
    let mut fields = Fields::open(document, "the document", problems)?;
    let api_version = fields.require("apiVersion").and_then(|n| reader::text(n, "apiVersion", fields.problems()));
    let kind = fields.require("kind").and_then(|n| reader::text(n, "kind", fields.problems()));
    let kind = kind_of(api_version?, kind?, fields.problems())?;
    let meta = fields.require("metadata").and_then(|node| metadata(node, &document.place, fields.problems()));
    let spec = fields.take("spec");
    fields.read_over(&["status"]);
    fields.close();
    let (meta, dry_run) = meta?;
    Some(Object { kind, meta, dry_run, spec })
}

fn kind_of(api_version: Text<'_>, kind: Text<'_>, problems: &mut Vec<Problem>) -> Option<Kind> {
    if let Some((known, ..)) = Kind::ALL.iter().find(|(_, k, v)| *k == kind.text && *v == api_version.text) {
        return Some(*known);
    }
    let versions: Vec<_> =
        Kind::ALL.iter().filter(|(_, k, _)| *k == kind.text).map(|(.., v)| format!("`{v}`")).collect();
    problems.push(if versions.is_empty() {
        let what = format!("unknown kind `{}` of `{}`", kind.text, api_version.text);
        kind.error(Code::UnknownKind, what)
            .hint("a policy directory holds AuthorizationPolicy, EgressPolicy and DestinationSet objects only")
    } else {
        let what = format!("`{}` has no version `{}`", kind.text, api_version.text);
        api_version.error(Code::UnknownKind, what).hint(format!("write {}", versions.join(" or ")))
    });
    None
}

/// The fields of ObjectMeta that mean nothing here.
const READ_OVER: [&str; 13] = [
    "labels",
    "uid",
    "managedFields",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "generateName",
    "selfLink",
    "clusterName",
];

fn metadata<'n>(node: &'n Node, place: &Place, problems: &mut Vec<Problem>) -> Option<(Meta, Option<Text<'n>>)> {
    let mut fields = Fields::open(node, "`metadata`", problems)?;
    let name = fields.require("name").and_then(|n| reader::text(n, "name", fields.problems()));
    let namespace = fields.require("namespace").and_then(|n| reader::text(n, "namespace", fields.problems()));
    let dry_run = fields.take("annotations").and_then(|annotations| dry_run(annotations, fields.problems()));
    fields.read_over(&READ_OVER);
    fields.close();
    let (name, namespace) = (name?, namespace?);
    let mut check = |text: Text<'_>, good: bool, what: &str| {
        if !good {
            let what = format!("`{}` is no {what} that Kubernetes would accept", text.text);
            problems.push(text.error(Code::BadName, what).hint("lower-case letters, digits and inner `-`"));
        }
        good
    };
    let good =
        check(name, is_dns_subdomain(name.text), "name") & check(namespace, is_dns_label(namespace.text), "namespace");
    let meta = Meta { path: format!("{}/{}", namespace.text, name.text).into(), place: place.clone() };
    good.then_some((meta, dry_run))
}

fn dry_run<'n>(annotations: &'n Node, problems: &mut Vec<Problem>) -> Option<Text<'n>> {
    match &annotations.value {
        Value::Null => None,
        Value::Map(pairs) => {
            let (_, node) = pairs.iter().find(|(key, _)| key.name == "istio.io/dry-run")?;
            reader::text(node, "istio.io/dry-run", problems)
        }
        _ => {
            let what = format!("`annotations` is {}, and must be a mapping", annotations.value.kind());
            problems.push(Problem::error(Code::WrongType, annotations.place.clone(), what));
            None
        }
    }
}
