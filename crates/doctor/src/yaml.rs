//! Looks into the nodes of a YAML document: the field of a mapping, the text of a value.
//!
//! Parsing is the policy crate's, which has the one YAML reader. The rule: what is missing or of
//! another type is absent, because the objects were written for other programs, which report that.

use std::collections::BTreeMap;

use customs_policy::document::{Node, Value};

/// Returns the value of a field; `None` if there is none, or it is null.
pub(crate) fn get<'n>(node: &'n Node, field: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Map(fields) => {
            let found = fields.iter().find(|(key, _)| key.name == field);
            let value = found.map(|(_, value)| value);
            value.filter(|value| !matches!(value.value, Value::Null))
        }
        _ => None,
    }
}

/// Returns the value at the end of a way of fields.
pub(crate) fn at<'n>(node: &'n Node, way: &[&str]) -> Option<&'n Node> {
    way.iter().try_fold(node, |node, field| get(node, field))
}

/// Returns a value that is written as one word.
pub(crate) fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// Returns the text of a field, empty if there is none.
pub(crate) fn text(node: &Node, field: &str) -> String {
    get(node, field).and_then(scalar).unwrap_or_default()
}

/// Returns the items of a field, none if it is not a list.
pub(crate) fn list<'n>(node: &'n Node, field: &str) -> &'n [Node] {
    match get(node, field).map(|found| &found.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// Returns the texts of a field that is a list of them.
pub(crate) fn texts(node: &Node, field: &str) -> Vec<String> {
    list(node, field).iter().filter_map(scalar).collect()
}

/// Returns the fields of a field that is a mapping of texts, such as labels.
pub(crate) fn pairs(node: Option<&Node>) -> BTreeMap<String, String> {
    let Some(Value::Map(fields)) = node.map(|found| &found.value) else {
        return BTreeMap::new();
    };
    let pair = |(key, value): &(customs_policy::document::Key, Node)| {
        Some((key.name.clone(), scalar(value)?))
    };
    fields.iter().filter_map(pair).collect()
}

/// Returns whether a value is a mapping without fields.
pub(crate) fn is_empty_map(node: &Node) -> bool {
    matches!(&node.value, Value::Map(fields) if fields.is_empty())
}
