//! The examples of mistakes in the documents: each has its mistake. The test `book` reads all others.

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
