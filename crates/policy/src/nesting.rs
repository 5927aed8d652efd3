//! Hints for fields in the wrong mapping: where they belong.
//!
//! A field that exists elsewhere is not a misspelling of one that exists here, so the hint names
//! its mapping rather than a similar name. This module does not read policies; it only words the
//! hint of an unknown field.

use super::reader::Mapping;
use super::spec::authorization_policy::{IstioSpec, Operation, Source, WhenEntry};
use super::spec::egress_policy::{AllowEntry, DenyEntry, Destination, EgressSpec, Subject};
use super::spec::policy_guard::{GuardEntry, GuardSpec};
use super::spec::{MappingSpec, Metadata};

/// The fields of an operation of an AuthorizationPolicy.
const OPERATION: &MappingSpec = Operation::SPEC;
/// The fields of a source of an AuthorizationPolicy.
const SOURCE: &MappingSpec = Source::SPEC;
/// What a subject of an EgressPolicy may have.
const SUBJECT: &MappingSpec = Subject::SPEC;

/// Whether it is a field of `spec`, for any kind of object.
fn is_of_spec(field: &str) -> bool {
    IstioSpec::SPEC.has(field) || EgressSpec::SPEC.has(field) || GuardSpec::SPEC.has(field)
}

/// Whether it is a field of an entry of an EgressPolicy that exists in no other mapping.
fn is_of_entry(field: &str) -> bool {
    let is_elsewhere = Metadata::SPEC.has(field) || EgressSpec::SPEC.has(field);
    !is_elsewhere && (DenyEntry::SPEC.has(field) || AllowEntry::SPEC.has(field))
}

/// Returns where a field belongs that a mapping does not have. Returns `None` for a field that no
/// related mapping has.
pub(super) fn belongs(mapping: &MappingSpec, field: &str) -> Option<String> {
    let is = |list: &[&str]| list.contains(&field);
    let inside = |what: &str| Some(format!("`{field}` belongs in {what}"));
    match mapping.called {
        "the document" if Metadata::SPEC.has(field) || is(&["labels"]) => inside("`metadata`"),
        "the document" if is_of_spec(field) || is(&["hosts"]) => inside("`spec`"),
        "`metadata`" if is_of_spec(field) => inside("`spec`, beside `metadata`"),
        "`metadata`" if is(&["istio.io/dry-run"]) => inside("`annotations`"),
        "`spec`" if mapping.has("rules") => in_istio_spec(field),
        "`spec`" if mapping.has("deny") => in_egress_spec(field),
        "`spec`" if mapping.has("guards") => in_guard_spec(field),
        "a guard" => in_guard(field),
        "`never`" | "`always`" | "`only`" | "an exception of a guard" => in_claim(field),
        "`selector`" => Some(format!(
            "labels belong in `matchLabels`: `matchLabels: {{{field}: ...}}`"
        )),
        "a rule" if is(&["operation"]) || OPERATION.has(field) => inside(&in_operation(field)),
        "a rule" if is(&["source"]) || SOURCE.has(field) => inside(&in_source(field)),
        "a rule" if WhenEntry::SPEC.has(field) => {
            inside(&format!("an entry of `when`: `when: [{{{field}: ...}}]`"))
        }
        "an entry of `to`" if OPERATION.has(field) => {
            inside(&format!("`operation`: `- operation: {{{field}: [...]}}`"))
        }
        "an entry of `from`" if SOURCE.has(field) => {
            inside(&format!("`source`: `- source: {{{field}: [...]}}`"))
        }
        "source" if OPERATION.has(field) => inside("`operation`, in an entry of `to`"),
        "operation" if SOURCE.has(field) => inside("`source`, in an entry of `from`"),
        "a subject" if is_of_entry(field) => inside("an entry of `deny` or `allow`"),
        "a subject" if is(&["principals"]) => Some(
            "a subject is written with `namespaces`, `serviceAccounts` and `trustDomains`"
                .to_owned(),
        ),
        "an entry of `deny`" | "an entry of `allow`" | "an entry of `except`" => {
            in_entry(mapping.called, field)
        }
        _ => None,
    }
}

fn in_operation(field: &str) -> String {
    match field {
        "operation" => "an entry of `to`: `to: [{operation: {...}}]`".to_owned(),
        field => format!("`to`: `to: [{{operation: {{{field}: [...]}}}}]`"),
    }
}

fn in_source(field: &str) -> String {
    match field {
        "source" => "an entry of `from`: `from: [{source: {...}}]`".to_owned(),
        field => format!("`from`: `from: [{{source: {{{field}: [...]}}}}]`"),
    }
}

fn in_istio_spec(field: &str) -> Option<String> {
    let rule = |field: &str| format!("`{field}` belongs in a rule");
    match field {
        "from" | "to" | "when" => Some(format!("{}: `rules: [{{{field}: [...]}}]`", rule(field))),
        "mode" => {
            Some("a dry run is written as the annotation `istio.io/dry-run: \"true\"`".to_owned())
        }
        "deny" | "allow" | "isolate" | "subjects" | "owner" => Some(format!(
            "`{field}` is a field of an EgressPolicy; an AuthorizationPolicy has `action` and `rules`"
        )),
        field if field == "operation" || OPERATION.has(field) => {
            Some(format!("{}, in {}", rule(field), in_operation(field)))
        }
        field if field == "source" || SOURCE.has(field) => {
            Some(format!("{}, in {}", rule(field), in_source(field)))
        }
        _ => None,
    }
}

fn in_egress_spec(field: &str) -> Option<String> {
    match field {
        "rules" | "action" | "selector" | "targetRef" | "targetRefs" => Some(format!(
            "`{field}` is a field of an AuthorizationPolicy; an EgressPolicy has `deny` and `allow`"
        )),
        "except" => Some("`except` belongs in an entry of `deny`".to_owned()),
        field if SUBJECT.has(field) => Some(format!(
            "`{field}` belongs in `subjects`: `subjects: [{{{field}: ...}}]`"
        )),
        field if is_of_entry(field) => Some(format!(
            "`{field}` belongs in an entry of `deny` or `allow`: `deny: [{{name: ..., {field}: ...}}]`"
        )),
        _ => None,
    }
}

fn in_guard_spec(field: &str) -> Option<String> {
    Some(match field {
        "deny" | "allow" | "isolate" | "subjects" | "mode" => {
            format!("`{field}` is a field of an EgressPolicy; a PolicyGuard has `guards`")
        }
        "rules" | "action" | "selector" => {
            format!("`{field}` is a field of an AuthorizationPolicy; a PolicyGuard has `guards`")
        }
        field if GuardEntry::SPEC.has(field) => {
            format!("`{field}` belongs in a guard: `guards: [{{name: ..., {field}: ...}}]`")
        }
        _ => return None,
    })
}

fn in_guard(field: &str) -> Option<String> {
    Some(match field {
        "from" | "to" | "except" => {
            format!("`{field}` belongs in `never`, `always` or `only`: `never: {{{field}: ...}}`")
        }
        "owner" => "`owner` belongs in `spec`".to_owned(),
        "deny" | "allow" => {
            "a guard grants and denies nothing: write `never`, `always` or `only`".to_owned()
        }
        field => return in_claim(field),
    })
}

fn in_claim(field: &str) -> Option<String> {
    Some(match field {
        "subjects" => "the callers of a guard are written in `from`".to_owned(),
        "except" => "only `never` has exceptions".to_owned(),
        "ports" => {
            "a guard writes a port with its host: `hosts: [\"api.example.com:443\"]`".to_owned()
        }
        field if SUBJECT.has(field) => {
            format!("`{field}` belongs in `from`: `from: [{{{field}: ...}}]`")
        }
        field if Destination::SPEC.has(field) => {
            format!("`{field}` belongs in `to`: `to: {{{field}: ...}}`")
        }
        _ => return None,
    })
}

fn in_entry(entry: &str, field: &str) -> Option<String> {
    Some(match (entry, field) {
        (_, "ports" | "notPorts") => {
            "an EgressPolicy writes a port with its host: `hosts: [\"api.example.com:443\"]`".to_owned()
        }
        ("an entry of `deny`", "notHosts" | "notMethods" | "notPaths") => {
            "an EgressPolicy has no `not` fields: write what stays open as an exception, in `except`".to_owned()
        }
        (_, "notHosts" | "notMethods" | "notPaths") => {
            "an EgressPolicy has no `not` fields: write what stays shut as an entry of `deny`".to_owned()
        }
        (_, "operation" | "source" | "to" | "from" | "when") => {
            format!("`{field}` is a field of an AuthorizationPolicy; write `hosts`, `methods` and `paths` here")
        }
        ("an entry of `allow`", "except") => "`except` belongs in an entry of `deny`".to_owned(),
        ("an entry of `allow`", "mode") => {
            "an entry of `allow` has no `mode`: write it in `spec`, for the whole policy".to_owned()
        }
        ("an entry of `except`", "mode") => "an exception has no `mode`: its deny and its policy have one".to_owned(),
        ("an entry of `deny`", "expires") => {
            "a deny does not expire: `expires` belongs in an entry of `allow` or of `except`".to_owned()
        }
        ("an entry of `deny`" | "an entry of `allow`", "subjects") => {
            "the subjects of all entries belong in `spec`: write another policy for other subjects".to_owned()
        }
        ("an entry of `except`", field) if SUBJECT.has(field) => {
            format!("`{field}` belongs in `subjects`: `subjects: [{{{field}: ...}}]`")
        }
        (_, field) if SUBJECT.has(field) => format!("`{field}` belongs in `subjects` of `spec`"),
        (_, "owner" | "isolate") => format!("`{field}` belongs in `spec`"),
        _ => return None,
    })
}
