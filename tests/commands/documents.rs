//! The examples in the documents: each loads, and each example of a mistake has that mistake.

use super::{Folder, repository};

/// A fenced block of YAML, and the heading above it.
struct Example {
    heading: String,
    text: String,
}

fn examples(document: &str) -> Vec<Example> {
    let document = std::fs::read_to_string(repository().join("docs").join(document)).unwrap();
    let (mut heading, mut open, mut found) = (String::new(), None, Vec::new());
    for line in document.lines() {
        match &mut open {
            None if line.starts_with("#") => {
                heading = line.trim_start_matches(['#', ' ']).to_owned()
            }
            None if line == "```yaml" => open = Some(String::new()),
            None => {}
            Some(_) if line == "```" => {
                found.extend(open.take().map(|text| Example {
                    heading: heading.clone(),
                    text,
                }));
            }
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    found
}

/// The settings of a gateway, for the one code that depends on them.
const GATEWAY: &str = "gateway: {namespace: istio-system, labels: {istio: egressgateway}}\n";

/// Returns the output of `customs lint` for an example in its own directory.
fn lint(example: &Example) -> String {
    let folder = Folder::with(&[
        ("policies/a.yaml", &example.text),
        ("settings.yaml", GATEWAY),
    ]);
    let settings = if example.heading == "`out-of-scope`" {
        " --config settings.yaml"
    } else {
        ""
    };
    folder.run(&format!("lint{settings}")).stdout
}

fn is_policy(example: &Example) -> bool {
    let kinds = ["EgressPolicy", "DestinationSet", "AuthorizationPolicy"];
    kinds
        .iter()
        .any(|kind| example.text.contains(&format!("kind: {kind}\n")))
}

#[test]
fn each_problem_code_has_an_example_that_shows_it() {
    let policy = examples("POLICY.md");
    let shown = policy
        .iter()
        .filter(|example| example.heading.starts_with('`'));
    let mut codes = 0;
    for example in shown {
        let code = example.heading.trim_matches('`');
        let output = lint(example);
        assert!(output.contains(&format!("[{code}]: ")), "{code}: {output}");
        codes += 1;
    }
    assert!(codes >= 25, "only {codes}");
}

#[test]
fn every_other_policy_in_the_documents_loads() {
    let mut policies = 0;
    for document in ["POLICY.md", "MIGRATION.md"] {
        let examples = examples(document);
        for example in examples
            .iter()
            .filter(|example| is_policy(example) && !example.heading.starts_with('`'))
        {
            let output = lint(example);
            assert!(
                output.contains("\n0 errors, ") || output.starts_with("0 errors, "),
                "{}: {output}",
                example.heading
            );
            policies += 1;
        }
    }
    assert!(policies >= 11, "only {policies}");
}

#[test]
fn the_migration_guide_is_true() {
    let examples = examples("MIGRATION.md");
    let holding = |word: &str| {
        examples
            .iter()
            .find(|example| example.text.contains(word))
            .unwrap()
            .text
            .as_str()
    };
    let before = [
        ("policies/istio.yaml", holding("kind: List")),
        ("policies/istio.cases.yaml", holding("kind: PolicyTest")),
        ("settings.yaml", holding("gateway:")),
    ];
    let with = |more: &[(&'static str, &str)]| Folder::with(&[&before[..], more].concat());
    let output = with(&[]).run("test --config settings.yaml policies").stdout;
    let guide = std::fs::read_to_string(repository().join("docs/MIGRATION.md")).unwrap();
    assert!(
        guide.contains(&format!(
            "$ customs test --config settings.yaml policies\n{output}"
        )),
        "{output}"
    );

    let moved = with(&[("policies/payments.yaml", holding("kind: EgressPolicy"))]);
    let check =
        "check --config settings.yaml --from payments/web --to https://api.psp.example/ policies";
    let output = moved.run(check).stdout;
    assert!(
        output.contains("dry run      deny: not_in_allow_list by ep:payments/egress "),
        "{output}"
    );
}
