//! The schemas accept and reject the same as the readers, and the documents say the same.

use std::collections::BTreeSet;

use clap::ValueEnum;
use proptest::prelude::*;
use regex::Regex;
use serde_json::Value;

use super::{SchemaKind, schema};
use crate::app::commands::cases;
use customs_engine::settings::Settings;
use customs_policy::problem::{Code, Problem};
use customs_policy::source::{self, PolicyFile, Source};
use customs_policy::spec::forms;

/// Documents with an unknown field in every mapping: its name is followed by the definition that
/// describes the mapping.
const EGRESS: &str = "
apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
zzzzzzzzzzzzzzzzz_EgressPolicy: 1
metadata: {name: a, namespace: b, zzzzzzzzzzzzzzzzz_Metadata: 1}
spec:
  zzzzzzzzzzzzzzzzz_EgressSpec: 1
  subjects: [{zzzzzzzzzzzzzzzzz_Subject: 1}]
  deny: [{name: d, hosts: [a.example], zzzzzzzzzzzzzzzzz_DenyEntry: 1, except: [{hosts: [b.example], zzzzzzzzzzzzzzzzz_ExceptEntry: 1}]}]
  allow: [{name: e, hosts: [a.example], zzzzzzzzzzzzzzzzz_AllowEntry: 1}]
---
apiVersion: egress.customs/v1alpha1
kind: DestinationSet
zzzzzzzzzzzzzzzzz_DestinationSet: 1
metadata: {name: a, namespace: b}
spec: {hosts: [a.example], zzzzzzzzzzzzzzzzz_SetSpec: 1}
";

const GUARD: &str = "
apiVersion: egress.customs/v1alpha1
kind: PolicyGuard
zzzzzzzzzzzzzzzzz_PolicyGuard: 1
metadata: {name: a, namespace: istio-system}
spec:
  zzzzzzzzzzzzzzzzz_GuardSpec: 1
  guards:
  - name: a
    zzzzzzzzzzzzzzzzz_GuardEntry: 1
    never:
      zzzzzzzzzzzzzzzzz_NeverClaim: 1
      to: {hosts: [a.example], zzzzzzzzzzzzzzzzz_Destination: 1}
      except: [{to: {methods: [GET]}, zzzzzzzzzzzzzzzzz_GuardException: 1}]
  - {name: b, always: {zzzzzzzzzzzzzzzzz_AlwaysClaim: 1, from: [{namespaces: [a]}], to: {hosts: [a.example]}}}
  - {name: c, only: {zzzzzzzzzzzzzzzzz_OnlyClaim: 1, from: [{namespaces: [a]}], to: {hosts: [a.example]}}}
";

const ISTIO: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
zzzzzzzzzzzzzzzzz_AuthorizationPolicy: 1
metadata: {name: a, namespace: b}
spec:
  zzzzzzzzzzzzzzzzz_IstioSpec: 1
  selector: {matchLabels: {a: b}, zzzzzzzzzzzzzzzzz_Selector: 1}
  targetRef: {kind: Gateway, name: x, group: gateway.networking.k8s.io, zzzzzzzzzzzzzzzzz_TargetRef: 1}
  rules:
  - zzzzzzzzzzzzzzzzz_IstioRule: 1
    from: [{source: {namespaces: [a], zzzzzzzzzzzzzzzzz_Source: 1}, zzzzzzzzzzzzzzzzz_FromEntry: 1}]
    to: [{operation: {hosts: [a.example], zzzzzzzzzzzzzzzzz_Operation: 1}, zzzzzzzzzzzzzzzzz_ToEntry: 1}]
    when: [{key: source.ip, values: [192.0.2.1], zzzzzzzzzzzzzzzzz_WhenEntry: 1}]
";

const CASES: &str = "
apiVersion: egress.customs/v1alpha1
kind: PolicyTest
zzzzzzzzzzzzzzzzz_PolicyTest: 1
metadata: {name: a, zzzzzzzzzzzzzzzzz_TestMetadata: 1}
cases:
- {name: a, from: a/b, to: 'http://a.example/', expect: Deny, zzzzzzzzzzzzzzzzz_Case: 1}
";

/// Fields that the readers know only to reject them.
const REFUSED: [&str; 2] = ["requestPrincipals", "notRequestPrincipals"];

fn policy_problems(text: &str) -> Vec<Problem> {
    let files = vec![PolicyFile {
        name: "a.yaml".into(),
        bytes: text.as_bytes().into(),
    }];
    source::load(
        &Source {
            name: "p".into(),
            files,
            ..Source::default()
        },
        &Settings::default(),
    )
    .problems()
    .to_vec()
}

/// Returns the fields of each mapping according to the readers: (definition, fields).
fn known_to_readers() -> Vec<(String, BTreeSet<String>)> {
    let mut problems = [EGRESS, GUARD, ISTIO].map(policy_problems).concat();
    cases::read("c", CASES.as_bytes(), &mut problems);
    let unknown = problems
        .iter()
        .filter(|problem| problem.code == Code::UnknownField);
    let fields = |problem: &Problem| {
        let name = problem.text.split(['_', '`']).nth(2).unwrap().to_owned();
        let hint = problem.hint.as_deref().unwrap();
        // A selector has one field, and other keys in it are usually labels.
        let fields = hint
            .strip_prefix("labels belong in ")
            .and_then(|rest| rest.split(':').next())
            .unwrap_or(hint);
        assert!(
            fields != hint || hint.starts_with("the fields are"),
            "{problem}"
        );
        (
            name,
            fields
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect(),
        )
    };
    unknown.map(fields).collect()
}

/// Returns the properties of a definition, wherever it is.
fn properties(root: &Value, name: &str) -> BTreeSet<String> {
    let definition = root["definitions"]
        .get(name)
        .unwrap_or_else(|| panic!("no definition {name}"));
    assert_eq!(definition["additionalProperties"], false, "{name} is open");
    definition["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn schemas_and_readers_know_the_same_fields() {
    let root = schema(None);
    let known = known_to_readers();
    assert_eq!(known.len(), 30, "{known:#?}");
    for (name, mut fields) in known {
        fields.retain(|field| !REFUSED.contains(&field.as_str()));
        assert_eq!(properties(&root, &name), fields, "{name}");
    }
}

#[test]
fn nothing_may_be_null() {
    fn walk(value: &Value) {
        assert_ne!(value, "null");
        match value {
            Value::Array(list) => list.iter().for_each(walk),
            Value::Object(map) => map.values().for_each(walk),
            _ => {}
        }
    }
    walk(&schema(None));
}

/// Visits every object of a schema that describes a value.
fn described(value: &Value, at: &str, visit: &mut impl FnMut(&str, &Value)) {
    for word in ["definitions", "properties"] {
        for (name, inner) in value[word].as_object().into_iter().flatten() {
            let at = format!("{at}/{name}");
            visit(&at, inner);
            described(inner, &at, visit);
        }
    }
}

#[test]
fn every_schema_has_a_name_and_every_property_a_description() {
    let kinds = SchemaKind::value_variants().iter().copied().map(Some);
    let mut ids = BTreeSet::new();
    for kind in kinds.chain([None]) {
        let schema = schema(kind);
        ids.insert(schema["$id"].as_str().unwrap().to_owned());
        assert!(schema["title"].is_string(), "{kind:?}");
        described(&schema, "", &mut |at, value| {
            let is_refused = value == false;
            let text = value["description"].as_str().unwrap_or_default();
            assert!(is_refused || !text.is_empty(), "{kind:?}{at}: {value}");
        });
    }
    assert_eq!(ids.len(), 7);
}

/// Whether the cases that hold this question can be read.
fn is_read(question: &str) -> bool {
    let text = format!(
        "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\nmetadata: {{name: a}}\n\
         cases: [{{name: a, expect: Deny, {question}}}]\n"
    );
    let mut problems = Vec::new();
    cases::read("c", text.as_bytes(), &mut problems);
    !problems.iter().any(Problem::is_error)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_forms_of_a_question_accept_what_the_reader_accepts(
        parts in prop::collection::vec(prop::sample::select(vec![
            "unauthenticated", "spiffe://", "shop", "/", "cart", ".", "-", "A", "http://", "https://",
            "tcp://", "ftp://", "a.example", ":", "443", "99999", "192.0.2.1", "::", "2001:db8", " ",
        ]), 1..5),
    ) {
        let value = parts.concat();
        let quoted = Value::from(value.as_str());
        for (form, question) in [
            (&forms::CALLER, format!("from: {quoted}, to: 'http://a.example/'")),
            (&forms::DESTINATION_URL, format!("from: a/b, to: {quoted}")),
            (&forms::IP_ADDRESS, format!("from: a/b, to: 'tcp://a', sourceIp: {quoted}")),
        ] {
            let matches = Regex::new(form.pattern).unwrap().is_match(&value);
            prop_assert!(matches || !is_read(&question), "{}: {value:?}", form.name);
        }
    }
}

#[test]
fn each_kind_has_a_schema_of_its_own() {
    for (kind, name) in [
        (SchemaKind::EgressPolicy, "EgressPolicy"),
        (SchemaKind::DestinationSet, "DestinationSet"),
        (SchemaKind::AuthorizationPolicy, "AuthorizationPolicy"),
        (SchemaKind::PolicyGuard, "PolicyGuard"),
        (SchemaKind::PolicyTest, "PolicyTest"),
    ] {
        let schema = schema(Some(kind));
        assert_eq!(
            (&schema["title"], &schema["$schema"]),
            (
                &name.into(),
                &"http://json-schema.org/draft-07/schema#".into()
            )
        );
    }
}
