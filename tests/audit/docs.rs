//! The examples of docs/reference/record.md, read as a consumer in another language would read them.

use customs_record::fields;
use serde_json::Value;

use crate::schema::{assert_in_order, parsed};

/// The JSON blocks below the headings of the field reference, each with its kind.
fn examples() -> Vec<(String, String)> {
    let path = format!("{}/docs/reference/record.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (_, reference) = text.split_once("\n## Kinds\n").unwrap();
    let reference = reference.split("\n## ").next().unwrap();
    let example = |section: &str| {
        let (kind, rest) = section.strip_prefix('`')?.split_once('`')?;
        let json = rest.split_once("```json\n")?.1.split_once("```")?.0;
        Some((kind.to_owned(), json.to_owned()))
    };
    reference.split("\n### ").filter_map(example).collect()
}

#[test]
fn every_kind_has_an_example_that_is_a_record() {
    let examples = examples();
    let kinds: Vec<_> = fields::KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(
        examples
            .iter()
            .map(|(kind, _)| kind.as_str())
            .collect::<Vec<_>>(),
        kinds
    );
    for (kind, example) in examples {
        parsed(&example);
        let value: Value = serde_json::from_str(&example).unwrap();
        assert_eq!(value["kind"], *kind);
        assert_in_order(&value, &crate::schema());
        let listed = fields::of(&kind);
        let unlisted = value
            .as_object()
            .unwrap()
            .keys()
            .find(|field| !listed.contains(&field.as_str()));
        assert_eq!(unlisted, None, "{kind}");
    }
}
