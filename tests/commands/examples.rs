//! The policies of the repository: they load, their cases pass, and the schema accepts them.

use std::fs;
use std::path::PathBuf;

use customs_policy::document;
use serde_json::Value;

use super::validator::{self, json};
use super::{repository, run};

fn directories() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("policies/examples")).unwrap();
    let mut found: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

fn yaml_files(directory: &PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect()
}

#[test]
fn there_are_eleven_with_cases_that_pass() {
    let directories = directories();
    assert_eq!(directories.len(), 11);
    for directory in directories {
        let directory = directory
            .strip_prefix(repository())
            .unwrap()
            .display()
            .to_string();
        let ended = run(&repository(), &format!("test {directory} --format json"));
        assert_eq!(ended.code, Some(0), "{}", ended.stdout);
        assert!(
            ended.json()["totals"]["passed"].as_u64() >= Some(5),
            "{directory} has few cases"
        );
        let ended = run(
            &repository(),
            &format!("lint {directory} --deny-warnings --now 2026-11-23T00:00:00Z"),
        );
        assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    }
}

#[test]
fn every_file_names_the_schema() {
    for file in directories().iter().flat_map(yaml_files) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("# yaml-language-server: $schema=../.schema.json\n"),
            "{}",
            file.display()
        );
    }
}

#[test]
fn the_shipped_schema_is_the_one_that_is_printed() {
    let printed = run(&repository(), "schema");
    let shipped = fs::read_to_string(repository().join("policies/examples/.schema.json")).unwrap();
    assert_eq!(
        printed.stdout, shipped,
        "run: customs schema > policies/examples/.schema.json"
    );
}

fn schema(kind: &str) -> Value {
    run(&repository(), &format!("schema {kind}")).json()
}

#[test]
fn every_shipped_document_fits_its_schema() {
    let folders = ["policies", "policies/istio"].map(|folder| repository().join(folder));
    let mut documents = 0;
    for file in directories().iter().chain(&folders).flat_map(yaml_files) {
        let name = file.display().to_string();
        for node in document::parse(&name, &fs::read_to_string(&file).unwrap()).map(Result::unwrap)
        {
            let value = json(&node);
            for kind in ["", value["kind"].as_str().unwrap()] {
                let wrong = validator::check(&schema(kind), &value);
                assert_eq!(wrong, Vec::<String>::new(), "{name} against {kind:?}");
            }
            documents += 1;
        }
    }
    assert!(documents > 20, "only {documents}");
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let good = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: a, namespace: b}\n\
                spec: {allow: [{name: a, hosts: [h]}], mode: Report}\n";
    let wrong = |text: &str| {
        let node = document::parse("f", text).next().unwrap().unwrap();
        ["", "egresspolicy"].map(|kind| !validator::check(&schema(kind), &json(&node)).is_empty())
    };
    assert_eq!(wrong(good), [false, false]);
    for (from, to) in [
        ("name: a, hosts", "nam: a, hosts"),
        ("hosts: [h]", "hosts: []"),
        ("hosts: [h]", "hosts: h"),
        ("hosts: [h]", "hosts: [1]"),
        ("mode: Report", "mode: report"),
        ("mode: Report", "mode: null"),
        ("kind: EgressPolicy", "kind: Egress"),
        (", namespace: b", ""),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good);
        assert_eq!(wrong(&text), [true, true], "{text}");
    }
}
