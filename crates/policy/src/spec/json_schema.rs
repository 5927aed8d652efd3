//! Declarations as JSON Schema (draft 7, which editors know best).
//!
//! The schema says less than the readers: only they look at another field's text, another document
//! and the settings. It accepts what they accept, except a document without a namespace in a source
//! that has a default one.

use serde_json::{Map, Value, json};

use super::constraint::constrain;
use super::forms::TextForm;
use super::{MappingSpec, Shape};

/// The draft that a schema follows.
pub const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// The API groups whose kinds customs reads.
const GROUPS: &str = "^(egress\\.customs|security\\.istio\\.io)/";

/// Returns the schema of a kind of document, or of any of several.
pub fn json_schema(id: &str, documents: &[&MappingSpec]) -> Value {
    let mut definitions = Map::new();
    let (title, mut root) = match documents {
        [one] => (one.name, object(one, &mut definitions)),
        several => ("customs documents", any(several, &mut definitions)),
    };
    root.insert("title".into(), title.into());
    root.insert("$schema".into(), DRAFT.into());
    root.insert("$id".into(), id.into());
    root.insert("definitions".into(), definitions.into());
    root.into()
}

/// Describes a document of several kinds: the kind says which definition applies. Objects of other
/// API groups are not described, because a source may hold them.
fn any(documents: &[&MappingSpec], definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let names: Vec<&str> = documents.iter().map(|document| document.name).collect();
    let by_kind = documents.iter().map(|document| {
        json!({
            "if": {"properties": {"kind": {"const": document.name}}, "required": ["kind"]},
            "then": reference(document, definitions),
        })
    });
    let mut all_of: Vec<Value> = by_kind.collect();
    all_of.push(json!({
        "if": {"properties": {"apiVersion": {"pattern": GROUPS}}, "required": ["apiVersion"]},
        "then": {"properties": {"kind": {"enum": names}}},
    }));
    let root = json!({
        "description": "A document that customs reads: a policy, a set of destinations, guards, or \
                        a file of cases.",
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string", "description": "The API and its version."},
            "kind": {"anyOf": [{"enum": names}, {"type": "string"}], "description": "The kind."},
        },
        "required": ["apiVersion", "kind"],
        "allOf": all_of,
    });
    match root {
        Value::Object(root) => root,
        _ => Map::new(),
    }
}

/// Describes a mapping among the definitions and refers to it.
fn reference(mapping: &MappingSpec, definitions: &mut Map<String, Value>) -> Value {
    if !definitions.contains_key(mapping.name) {
        let described = object(mapping, definitions);
        definitions.insert(mapping.name.into(), described.into());
    }
    json!({"$ref": format!("#/definitions/{}", mapping.name)})
}

fn object(mapping: &MappingSpec, definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in mapping.fields() {
        let mut described = match value(field.shape, definitions) {
            // Other keys beside a reference are ignored.
            Value::Object(reference) if reference.contains_key("$ref") => {
                Map::from_iter([("allOf".to_owned(), json!([reference]))])
            }
            Value::Object(described) => described,
            _ => continue,
        };
        let description = match field.default {
            "" => field.about(),
            default => format!("{} Default: {default}.", field.about()),
        };
        if !description.is_empty() {
            described.insert("description".into(), description.into());
        }
        if field.availability.deprecated.is_some() {
            // Of a later draft; editors that know only the older one ignore it.
            described.insert("deprecated".into(), true.into());
        }
        properties.insert(field.name.into(), described.into());
        required.extend(field.required.then_some(field.name));
    }
    let ignored = json!({"description": "customs does not read it."});
    properties.extend(
        mapping
            .read_over
            .iter()
            .map(|name| ((*name).to_owned(), ignored.clone())),
    );
    let mut object = Map::from_iter([
        ("type".to_owned(), "object".into()),
        ("description".to_owned(), mapping.about().into()),
        ("properties".to_owned(), properties.into()),
        ("additionalProperties".to_owned(), false.into()),
    ]);
    if !required.is_empty() {
        object.insert("required".into(), required.into());
    }
    if mapping.filled {
        object.insert("minProperties".into(), 1.into());
    }
    let constraints: Vec<Value> = mapping.constraints.iter().map(constrain).collect();
    if !constraints.is_empty() {
        object.insert("allOf".into(), constraints.into());
    }
    object
}

/// Describes a shape. Returns `false` for a field that no document may have.
fn value(shape: Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Port => json!({"type": "integer", "minimum": 0, "maximum": 65535}),
        Shape::Text => json!({"type": "string", "minLength": 1}),
        Shape::AnyText => json!({"type": "string"}),
        Shape::Form(form) => text(form),
        Shape::OneOf(words) => {
            let words: Vec<_> = words.iter().map(|word| word.text).collect();
            json!({"type": "string", "enum": words})
        }
        Shape::List {
            of,
            may_be_empty,
            at_most,
        } => {
            let mut list = Map::from_iter([
                ("type".to_owned(), "array".into()),
                ("items".to_owned(), value(*of, definitions)),
            ]);
            if !may_be_empty {
                list.insert("minItems".into(), 1.into());
            }
            if let Some(limit) = at_most {
                list.insert("maxItems".into(), limit.into());
            }
            list.into()
        }
        Shape::Map(of) => {
            json!({"type": "object", "additionalProperties": value(*of, definitions)})
        }
        Shape::Mapping(mapping) => reference(mapping, definitions),
        Shape::Refused => false.into(),
    }
}

/// Describes a form of texts. `patternErrorMessage` is what editors show instead of the pattern;
/// others ignore it.
pub fn text(form: &TextForm) -> Value {
    let mut text = Map::from_iter([
        ("type".to_owned(), "string".into()),
        ("minLength".to_owned(), 1.into()),
        ("description".to_owned(), form.about.into()),
        ("examples".to_owned(), form.examples.into()),
    ]);
    if !form.pattern.is_empty() {
        text.insert("pattern".into(), form.pattern.into());
        text.insert("patternErrorMessage".into(), form.expected.into());
    }
    if let Some(pattern) = form.never {
        text.insert("not".into(), json!({"pattern": pattern}));
        text.insert("errorMessage".into(), form.expected.into());
    }
    if let Some(longest) = form.longest {
        text.insert("maxLength".into(), longest.into());
    }
    text.into()
}
