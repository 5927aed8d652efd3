//! Prints findings as a SARIF 2.1.0 log, which code-scanning services read. Columns count
//! characters, as in all formats.

use serde::Serialize;
use serde_json::{Value, json};

use super::finding::Finding;
use super::lint::{Edit, LineChange, edit};
use super::markdown;
use super::source_map::SourceMap;
use crate::app::explained_codes::{CodeFamily, ExplainedCode};
use customs_policy::problem::{Place, Problem};

/// The schema that a log names.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The width of the help of a rule, in columns.
const HELP_WIDTH: usize = 100;

/// The page of a book with a section for each rule.
const PAGE: &str = "reference/problem-codes.html";

/// Returns one run with every code as a rule. SARIF accepts only absolute addresses of rules, so a
/// rule has one only if `docs` says where the documentation is published.
pub(super) fn log(problems: &[Problem], source_map: &SourceMap, docs: Option<&str>) -> Value {
    let codes = CodeFamily::Problem.codes();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code, docs)).collect();
    let results: Vec<Value> = problems
        .iter()
        .map(|problem| result(problem, &codes, source_map))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "customs", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &ExplainedCode, docs: Option<&str>) -> Value {
    let id = code.name;
    // The indented blocks of the plain text are blocks of Markdown too.
    let text = markdown::plain(&code.text, HELP_WIDTH);
    let mut rule = json!({
        "id": id,
        "shortDescription": {"text": code.summary()},
        "help": {"text": text, "markdown": text},
    });
    if let (Some(docs), Some(rule)) = (docs, rule.as_object_mut()) {
        rule.insert("helpUri".into(), format!("{docs}/{PAGE}#{id}").into());
    }
    rule
}

fn result(problem: &Problem, codes: &[ExplainedCode], source_map: &SourceMap) -> Value {
    let finding = &Finding::from(problem);
    let mut result = json!({
        "ruleId": finding.code,
        "level": finding.severity.as_str(),
        "message": {"text": finding.paragraph()},
        "locations": [{"physicalLocation": Location {
            artifact_location: json!({"uri": uri(&finding.place.file)}),
            region: (finding.place.line > 0).then(|| Region::of(finding, source_map)),
        }}],
    });
    let Some(object) = result.as_object_mut() else {
        return result;
    };
    if let Some(index) = codes.iter().position(|code| code.name == finding.code) {
        object.insert("ruleIndex".into(), index.into());
    }
    if let Some(edit) = edit(problem, source_map) {
        object.insert("fixes".into(), json!([fix(&edit, source_map)]));
    }
    result
}

/// Returns a fix: what of the file goes, and what comes in its place.
fn fix(edit: &Edit, source_map: &SourceMap) -> Value {
    let Place { file, line, .. } = &edit.place;
    let replacement = match &edit.change {
        LineChange::Remove => json!({
            "deletedRegion": {"startLine": line, "startColumn": 1, "endLine": line + 1, "endColumn": 1},
        }),
        LineChange::Replace(span, with) => {
            let text = source_map.mark(&edit.place).map(|marked| marked.line);
            let column = |end: usize| {
                let before = text.and_then(|line| line.get(..end));
                1 + before.map_or(0, |before| before.chars().count())
            };
            json!({
                "deletedRegion": {
                    "startLine": line,
                    "startColumn": column(span.start),
                    "endColumn": column(span.end),
                },
                "insertedContent": {"text": with},
            })
        }
    };
    json!({
        "description": {"text": edit.what},
        "artifactChanges": [{
            "artifactLocation": {"uri": uri(file)},
            "replacements": [replacement],
        }],
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    artifact_location: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_column: Option<usize>,
}

impl Region {
    fn of(finding: &Finding, source_map: &SourceMap) -> Region {
        let Place { line, column, .. } = finding.place;
        let end = source_map
            .mark(&finding.place)
            .map(|marked| marked.end_column());
        Region {
            start_line: line,
            start_column: (column > 0).then_some(column),
            // An end that equals the start would be an empty region.
            end_column: end.filter(|end| *end > usize::try_from(column).unwrap_or_default()),
        }
    }
}

/// Returns a file as a URI: relative as it was named, or with its scheme.
fn uri(file: &str) -> String {
    let path = file.strip_prefix("./").unwrap_or(file);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let escaped: String = path
        .bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    if escaped.starts_with('/') {
        format!("file://{escaped}")
    } else {
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_policy::problem::Code;

    #[test]
    fn a_file_is_named_as_a_uri() {
        for (file, expected) in [
            ("./policies/a.yaml", "policies/a.yaml"),
            ("/etc/a b.yaml", "file:///etc/a%20b.yaml"),
            ("a:b%.yaml", "a%3Ab%25.yaml"),
            ("ä", "%C3%A4"),
        ] {
            assert_eq!(uri(file), expected);
        }
    }

    #[test]
    fn a_result_names_its_rule_and_its_region() {
        let mut source_map = SourceMap::default();
        source_map.add("a.yaml".into(), b"a: bc\n".as_slice());
        let place = Place {
            file: "a.yaml".into(),
            line: 1,
            column: 4,
        };
        let problems = [
            Problem::error(Code::BadHost, place, "text").hint("hint"),
            Problem::warning(Code::NotOurs, Place::whole("b"), "text"),
        ];
        let log = log(&problems, &source_map, Some("https://docs.example.com/x"));
        let run = &log["runs"][0];
        let result = &run["results"][0];
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "bad-host");
        assert_eq!(
            run["tool"]["driver"]["rules"][index]["helpUri"],
            "https://docs.example.com/x/reference/problem-codes.html#bad-host"
        );
        assert_eq!(result["message"]["text"], "text; hint");
        let location = &result["locations"][0]["physicalLocation"];
        assert_eq!(
            location["region"],
            json!({"startLine": 1, "startColumn": 4, "endColumn": 6})
        );
        assert!(
            run["results"][1]["locations"][0]["physicalLocation"]
                .get("region")
                .is_none()
        );
        assert_eq!(
            run["tool"]["driver"]["rules"].as_array().unwrap().len(),
            Code::ALL.len()
        );
    }
}
