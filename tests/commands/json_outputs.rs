//! The table of the JSON documents describes every field that the commands print.

use std::collections::BTreeSet;

use customs::app::json_outputs::{JsonOutput, all};
use serde_json::{Value, json};

use super::{Folder, policy, replay, repository};

/// Collects the paths of the values in a document that hold no others.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let dot = if at.is_empty() { "" } else { "." };
                paths(value, &format!("{at}{dot}{name}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                paths(item, &format!("{at}[]"), found);
            }
        }
        // A list or a mapping that holds nothing has the fields that others have.
        Value::Object(_) | Value::Array(_) => {}
        _ => {
            found.insert(at.to_owned());
        }
    }
}

fn is_described(output: &JsonOutput, path: &str) -> bool {
    output.fields.iter().any(|(known, _)| {
        match known.strip_suffix(".*") {
            // A field without a value may be null.
            Some(above) => path == above || path.starts_with(&format!("{above}.")),
            None => path == *known || known.strip_suffix("[]") == Some(path),
        }
    })
}

/// A folder with two policy sets, cases, a log and a file with mistakes.
fn folder() -> Folder {
    let old = policy(
        "shop",
        "{allow: [{name: a, hosts: [a.example, '*.b.example'], expires: 2099-01-01T00:00:00Z}], owner: shop}",
    );
    let new = policy("shop", "{allow: [{name: a, hosts: [c.example]}]}");
    let cases = "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\nmetadata: {name: a}\ncases:\n\
                 - {name: holds, from: shop/cart, to: 'http://a.example/', expect: Allow}\n\
                 - {name: fails, from: shop/cart, to: 'http://a.example/', expect: Deny}\n";
    let records = ["a.example", "x.b.example", "d.example"]
        .map(|host| replay::decision("shop/cart", host, "/").to_string());
    let mistakes = std::fs::read_to_string(repository().join("tests/commands/ten-mistakes.yaml"));
    Folder::with(&[
        ("old/a.yaml", &old),
        ("old/a.cases.yaml", cases),
        ("new/a.yaml", &new),
        ("bad/a.yaml", &mistakes.unwrap()),
        ("log", &(records.join("\n") + "\n")),
    ])
}

#[test]
fn every_field_of_a_document_is_described() {
    let guards = repository()
        .join("policies/examples/guards")
        .display()
        .to_string();
    let dumps = repository()
        .join("crates/doctor/tests/dumps/wrong-port")
        .display()
        .to_string();
    let folder = folder();
    for (command, arguments) in [
        ("customs lint", "lint bad".to_owned()),
        ("customs test", "test old".to_owned()),
        (
            "customs check",
            "check --from shop/cart --to http://d.example/ old".to_owned(),
        ),
        ("customs diff", "diff old new".to_owned()),
        ("customs prove", format!("prove {guards}")),
        (
            "customs who-can",
            "who-can --to http://a.example/ --effect all old".to_owned(),
        ),
        (
            "customs can-reach",
            "can-reach --from shop/cart old".to_owned(),
        ),
        ("customs replay", "replay log --policies new".to_owned()),
        ("customs suggest", "suggest log --output written".to_owned()),
        (
            "customs suggest --tighten",
            "suggest log --tighten old".to_owned(),
        ),
        (
            "customs doctor",
            format!("doctor --envoy {dumps}/gateway.json --mesh-config {dumps}/mesh.yaml"),
        ),
        ("customs audit stats", "audit stats log".to_owned()),
    ] {
        let ended = folder.run(&format!("{arguments} --format json"));
        let document = ended.json();
        let output = all().find(|output| output.command == command).unwrap();
        assert_eq!(document["version"], output.version, "{command}");
        let mut found = BTreeSet::new();
        paths(&document, "", &mut found);
        found.remove("version");
        assert!(found.len() > 3, "{command}: {found:?}");
        let unknown: Vec<_> = found
            .iter()
            .filter(|path| !is_described(output, path))
            .collect();
        assert!(
            unknown.is_empty(),
            "{command} does not describe {unknown:?}"
        );
    }
}

#[test]
fn a_command_without_an_answer_prints_problems() {
    let folder = folder();
    for arguments in [
        "check --from shop/cart --to http://d.example/ bad",
        "diff old bad",
        "prove bad",
    ] {
        let ended = folder.run(&format!("{arguments} --format json"));
        let document = ended.json();
        assert_eq!((ended.code, &document["version"]), (Some(2), &json!(1)));
        let problems = document["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 10, "{arguments}");
    }
}
