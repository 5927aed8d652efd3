//! `customs explain`, and the examples of the problem codes: each shows its code.

use customs::app::explained_codes::CodeFamily;
use customs_policy::problem::Code;

use super::{Folder, run};

/// The codes whose example is not a policy. Other tests make these problems.
const WITHOUT_POLICY: [Code; 11] = [
    Code::Unreadable,
    Code::NoPolicy,
    Code::TooLarge,
    Code::Deprecated,
    Code::NewerThanTarget,
    Code::Misplaced,
    Code::NotRead,
    Code::BadSetting,
    Code::SettingChanged,
    Code::ExpiresSoon,
    Code::LeftOff,
];

/// The settings of a gateway, for the one code that depends on them.
const GATEWAY: &str = "gateway: {namespace: istio-system, labels: {istio: egressgateway}}\n";

/// A block of YAML, and whether it says that it is invalid.
struct Example {
    text: String,
    is_invalid: bool,
}

fn example(code: Code) -> Option<Example> {
    let (_, rest) = code.explanation().split_once("\n```yaml")?;
    let (head, rest) = rest.split_once('\n')?;
    let (text, _) = rest.split_once("```\n")?;
    Some(Example {
        text: text.to_owned(),
        is_invalid: head == " invalid",
    })
}

/// Returns what `customs lint` prints for an example in a directory of its own.
fn lint(code: Code, example: &Example) -> super::Ended {
    let folder = Folder::with(&[
        ("policies/a.yaml", &example.text),
        ("settings.yaml", GATEWAY),
    ]);
    let settings = match code {
        Code::OutOfScope => " --config settings.yaml",
        _ => "",
    };
    folder.run(&format!("lint{settings}"))
}

#[test]
fn each_problem_code_has_an_example_that_shows_it() {
    for code in Code::ALL {
        let name = code.as_str();
        let Some(example) = example(*code) else {
            assert!(WITHOUT_POLICY.contains(code), "{name}: no example");
            continue;
        };
        assert!(!WITHOUT_POLICY.contains(code), "{name}: has an example");
        let ended = lint(*code, &example);
        assert!(
            ended.stdout.contains(&format!("[{name}]: ")),
            "{name}: {}",
            ended.stdout
        );
        assert_eq!(
            example.is_invalid,
            ended.code == Some(1),
            "{name}: say `yaml invalid` if there is an error, and only then: {}",
            ended.stdout
        );
    }
}

#[test]
fn a_code_of_each_family_is_explained() {
    let folder = Folder::with(&[]);
    for (code, parts) in [
        (
            "bad-host",
            &[
                "bad-host (problem code)\n\ncustoms cannot read a host.\n",
                "\n    apiVersion: egress.customs/v1alpha1\n",
                "\nFix: write the host alone",
                "destinations (docs/explanation/destinations.md)",
            ][..],
        ),
        (
            "not_in_allow_list",
            &[
                "not_in_allow_list (reason of a decision)\n\n",
                "\nAnswer: deny, with status 403.\n",
            ],
        ),
        (
            "TIMEOUT-MISSING",
            &[
                "timeout-missing (finding of customs doctor)\n\n",
                "\nSeverity: error.\n",
            ],
        ),
    ] {
        let ended = folder.run(&format!("explain {code}"));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{code}");
        for part in parts {
            assert!(ended.stdout.contains(part), "{code}: {}", ended.stdout);
        }
    }
}

#[test]
fn every_explanation_is_plain_and_fits_a_page() {
    let folder = Folder::with(&[]);
    for code in CodeFamily::ALL.into_iter().flat_map(CodeFamily::codes) {
        let output = folder.run(&format!("explain {}", code.name)).stdout;
        for line in output.lines() {
            let is_wrapped = !line.starts_with("    ") && !line.starts_with('|');
            let fits = !is_wrapped || line.chars().count() <= 100;
            assert!(fits, "{}: {line}", code.name);
        }
        for markup in ["\u{1b}", "```", "](", "\n\n\n"] {
            assert!(!output.contains(markup), "{}: {output}", code.name);
        }
    }
}

#[test]
fn the_list_has_a_line_for_each_code() {
    let ended = run(&super::repository(), "explain --list");
    let codes = CodeFamily::ALL.into_iter().flat_map(CodeFamily::codes);
    let lines: Vec<&str> = ended.stdout.lines().filter(|l| !l.is_empty()).collect();
    let expected: Vec<(&str, String)> = codes
        .map(|code| (code.name, code.summary().to_owned()))
        .collect();
    assert_eq!(lines.len(), expected.len());
    for (line, (name, summary)) in lines.iter().zip(expected) {
        assert!(
            line.starts_with(&format!("{name} ")) && line.ends_with(&summary),
            "{line}"
        );
    }
}

#[test]
fn a_code_that_does_not_exist_is_refused_with_the_one_that_was_meant() {
    let folder = Folder::with(&[]);
    for (arguments, said) in [
        (
            "explain bad-hots",
            "unknown code `bad-hots`; did you mean `bad-host`?",
        ),
        ("explain no_istio_alow", "did you mean `no_istio_allow`?"),
        ("explain timeout_missing", "did you mean `timeout-missing`?"),
        ("explain xyz", "`customs explain --list` prints every code"),
        ("explain", "CODE"),
        ("explain bad-host --list", "--list"),
    ] {
        let ended = folder.run(arguments);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{arguments}"
        );
        assert!(ended.stderr.contains(said), "{arguments}: {}", ended.stderr);
    }
}

#[test]
fn shells_complete_the_codes() {
    let folder = Folder::with(&[]);
    for shell in ["bash", "zsh"] {
        let script = folder.run(&format!("completions {shell}")).stdout;
        for code in ["bad-host", "not_in_allow_list", "timeout-missing"] {
            assert!(script.contains(code), "{shell}: {code}");
        }
    }
    let help = folder.run("explain --help").stdout;
    assert!(!help.contains("yaml-syntax"), "{help}");
}

#[test]
fn problems_end_with_where_to_learn_more() {
    let broken = super::policy("shop", "{isolat: true}");
    let folder = Folder::with(&[("policies/a.yaml", &broken)]);
    let more = "For more about a problem, run `customs explain CODE`.\n";
    for command in [
        "lint",
        "test policies",
        "check --from a/b --to http://x/ policies",
    ] {
        let output = folder.run(command).stdout;
        assert_eq!(output.matches(more).count(), 1, "{command}: {output}");
    }
    let fine = super::policy("shop", "{deny: [{name: a, hosts: [a.example]}]}");
    let folder = Folder::with(&[("policies/a.yaml", &fine)]);
    assert!(!folder.run("lint").stdout.contains(more));
}
