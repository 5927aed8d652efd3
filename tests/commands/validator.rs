//! The part of JSON Schema that the schemas of `customs schema` use; an unknown keyword fails the
//! test.

use customs_policy::document::{Node, Value as Yaml};
use regex::Regex;
use serde_json::{Map, Value};

/// Returns a document as JSON.
pub(crate) fn json(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => (*value).into(),
        Yaml::Number(number) => serde_json::from_str(number).unwrap(),
        Yaml::Text(text) => text.as_str().into(),
        Yaml::List(items) => items.iter().map(json).collect::<Vec<_>>().into(),
        Yaml::Map(pairs) => Value::Object(
            pairs
                .iter()
                .map(|(key, value)| (key.name.clone(), json(value)))
                .collect(),
        ),
    }
}

/// Returns what in a value does not match a schema.
pub(crate) fn check(schema: &Value, value: &Value) -> Vec<String> {
    Checker { root: schema }.check(schema, value, "")
}

struct Checker<'s> {
    root: &'s Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let Value::Object(schema) = schema else {
            return if schema == &Value::Bool(true) {
                Vec::new()
            } else {
                vec![format!("{at}: nothing fits")]
            };
        };
        schema
            .iter()
            .flat_map(|(keyword, argument)| self.keyword(schema, keyword, argument, value, at))
            .collect()
    }

    fn keyword(
        &self,
        schema: &Map<String, Value>,
        keyword: &str,
        argument: &Value,
        value: &Value,
        at: &str,
    ) -> Vec<String> {
        let unless = |fits: bool| {
            if fits {
                Vec::new()
            } else {
                vec![format!("{at}: {keyword} {argument}: {value}")]
            }
        };
        match keyword {
            "$schema"
            | "$id"
            | "title"
            | "description"
            | "definitions"
            | "examples"
            | "patternErrorMessage"
            | "errorMessage"
            | "deprecated"
            | "then"
            | "else" => Vec::new(),
            "if" => {
                let branch = match self.check(argument, value, at).is_empty() {
                    true => "then",
                    false => "else",
                };
                let branch = schema.get(branch).unwrap_or(&Value::Bool(true));
                self.check(branch, value, at)
            }
            "not" => unless(!self.check(argument, value, at).is_empty()),
            "const" => unless(value == argument),
            "pattern" => unless(value.as_str().is_none_or(|text| {
                Regex::new(argument.as_str().unwrap())
                    .unwrap()
                    .is_match(text)
            })),
            "oneOf" => unless(
                argument
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|one| self.check(one, value, at).is_empty())
                    .count()
                    == 1,
            ),
            "maxItems" => unless(
                value
                    .as_array()
                    .is_none_or(|list| list.len() as u64 <= argument.as_u64().unwrap()),
            ),
            "maxLength" => unless(
                value
                    .as_str()
                    .is_none_or(|text| text.chars().count() as u64 <= argument.as_u64().unwrap()),
            ),
            "$ref" => self.check(
                self.root
                    .pointer(argument.as_str().unwrap().trim_start_matches('#'))
                    .unwrap(),
                value,
                at,
            ),
            "anyOf" => unless(
                argument
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|one| self.check(one, value, at).is_empty()),
            ),
            "allOf" => argument
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|one| self.check(one, value, at))
                .collect(),
            "type" => unless(has_type(argument.as_str().unwrap(), value)),
            "enum" => unless(argument.as_array().unwrap().contains(value)),
            "minItems" => unless(
                value
                    .as_array()
                    .is_none_or(|list| list.len() as u64 >= argument.as_u64().unwrap()),
            ),
            "minLength" => unless(
                value
                    .as_str()
                    .is_none_or(|text| text.chars().count() as u64 >= argument.as_u64().unwrap()),
            ),
            "minProperties" => unless(
                value
                    .as_object()
                    .is_none_or(|fields| fields.len() as u64 >= argument.as_u64().unwrap()),
            ),
            "minimum" => unless(
                value
                    .as_i64()
                    .is_none_or(|number| number >= argument.as_i64().unwrap()),
            ),
            "maximum" => unless(
                value
                    .as_i64()
                    .is_none_or(|number| number <= argument.as_i64().unwrap()),
            ),
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .flat_map(|(index, item)| self.check(argument, item, &format!("{at}/{index}")))
                .collect(),
            "required" => unless(
                argument
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|name| value.get(name.as_str().unwrap()).is_some()),
            ),
            "properties" | "additionalProperties" => self.properties(schema, keyword, value, at),
            _ => panic!("this check does not know the keyword {keyword}"),
        }
    }

    fn properties(
        &self,
        schema: &Map<String, Value>,
        keyword: &str,
        value: &Value,
        at: &str,
    ) -> Vec<String> {
        let known = schema.get("properties");
        let mut wrong = Vec::new();
        for (name, value) in value.as_object().into_iter().flatten() {
            let described = known.and_then(|known| known.get(name));
            let schema = match (keyword, described) {
                ("properties", Some(schema)) => schema,
                ("additionalProperties", None) => &schema["additionalProperties"],
                _ => continue,
            };
            wrong.extend(self.check(schema, value, &format!("{at}/{name}")));
        }
        wrong
    }
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("this check does not know the type {other}"),
    }
}
