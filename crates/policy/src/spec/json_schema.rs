//! Declarations as JSON Schema (draft 7, which editors know best).

use serde_json::{Map, Value, json};

use super::{MappingSpec, Shape};

/// Returns the schema of a document, or of any of several.
pub fn json_schema(documents: &[&MappingSpec]) -> Value {
    let mut definitions = Map::new();
    let (title, mut root) = match documents {
        [one] => (one.name, object(one, &mut definitions)),
        several => {
            let any_of = several
                .iter()
                .map(|one| reference(one, &mut definitions))
                .collect();
            let about = "A document that customs reads: a policy, a set of destinations, guards, or a file of cases.";
            let root = [
                ("description", about.into()),
                ("anyOf", Value::Array(any_of)),
            ];
            (
                "Document",
                root.map(|(key, value)| (key.to_owned(), value))
                    .into_iter()
                    .collect(),
            )
        }
    };
    root.insert("title".into(), title.into());
    root.insert(
        "$schema".into(),
        "http://json-schema.org/draft-07/schema#".into(),
    );
    root.insert("definitions".into(), definitions.into());
    root.into()
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
        if !field.about().is_empty() {
            described.insert("description".into(), field.about().into());
        }
        if field.availability.deprecated.is_some() {
            // Of a later draft; editors that know only the older one ignore it.
            described.insert("deprecated".into(), true.into());
        }
        properties.insert(field.name.into(), described.into());
        required.extend(field.required.then_some(field.name));
    }
    properties.extend(
        mapping
            .read_over
            .iter()
            .map(|name| ((*name).to_owned(), true.into())),
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
        Shape::OneOf(words) => {
            let words: Vec<_> = words.iter().map(|word| word.text).collect();
            json!({"type": "string", "enum": words})
        }
        Shape::List { of, may_be_empty } => {
            let items = value(*of, definitions);
            match may_be_empty {
                true => json!({"type": "array", "items": items}),
                false => json!({"type": "array", "items": items, "minItems": 1}),
            }
        }
        Shape::Map(of) => {
            json!({"type": "object", "additionalProperties": value(*of, definitions)})
        }
        Shape::Mapping(mapping) => reference(mapping, definitions),
        Shape::Refused => false.into(),
    }
}
