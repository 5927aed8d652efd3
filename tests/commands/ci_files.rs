//! The files with which others run customs in CI: the GitHub action and the hooks of pre-commit.
//! They name commands and flags that exist, and the script of the action runs here as on GitHub.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Ended, Folder, ended, policy, repository, run};

fn read(file: &str) -> Value {
    let text = std::fs::read_to_string(repository().join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|why| panic!("{file}: {why}"))
}

#[test]
fn the_hooks_name_commands_and_flags_that_exist() {
    let hooks = read(".pre-commit-hooks.yaml");
    let hooks = hooks.as_array().unwrap();
    assert_eq!(hooks.len(), 3);
    for hook in hooks {
        for key in ["id", "name", "description", "entry", "language", "files"] {
            assert!(hook[key].is_string(), "{hook}: {key}");
        }
        assert_eq!(hook["pass_filenames"], false, "{hook}");
        let words: Vec<&str> = hook["entry"].as_str().unwrap().split(' ').collect();
        let ["customs", command, flags @ ..] = words.as_slice() else {
            panic!("{hook}");
        };
        let help = run(&repository(), &format!("{command} --help"));
        assert_eq!(help.code, Some(0), "{hook}");
        for flag in flags {
            assert!(help.stdout.contains(&format!("{flag}\n")), "{hook}: {flag}");
        }
    }
}

#[test]
fn the_action_gives_every_input_to_its_script() {
    let action = read("action.yml");
    assert_eq!(action["runs"]["using"], "composite");
    let [step] = action["runs"]["steps"].as_array().unwrap().as_slice() else {
        panic!("{action}");
    };
    let environment = step["env"].as_object().unwrap();
    for (input, about) in action["inputs"].as_object().unwrap() {
        assert!(about["description"].is_string() && about["default"].is_string());
        let name = input.to_uppercase().replace('-', "_");
        let given = format!("${{{{ inputs.{input} }}}}");
        assert_eq!(environment[&name], given, "{input}");
    }
    let run = step["run"].as_str().unwrap();
    let script = run
        .trim_matches('"')
        .strip_prefix("$GITHUB_ACTION_PATH/")
        .unwrap();
    let script = repository().join(script);
    let mode = std::fs::metadata(&script).unwrap().permissions().mode();
    assert!(mode & 0o111 != 0, "{} is not executable", script.display());
    let text = std::fs::read_to_string(script).unwrap();
    for name in environment.keys() {
        let is_used = name == "GH_TOKEN" || text.contains(&format!("{name}:-"));
        assert!(is_used, "the script does not read {name}");
    }
}

/// Runs the script of the action in a folder, with these inputs.
fn action(folder: &Path, inputs: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(repository().join("deploy/github/run-action"));
    command.current_dir(folder).envs(inputs.iter().copied());
    command.env("CUSTOMS", env!("CARGO_BIN_EXE_customs"));
    command.env("RUNNER_TEMP", folder);
    ended(&mut command)
}

#[test]
fn the_action_lints_and_tests() {
    let folder = Folder::with(&[
        ("policies/a.yaml", &policy("shop", "{isolat: true}")),
        ("other/a.yaml", &policy("shop", "{isolate: true}")),
        (
            "other/a.cases.yaml",
            "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\nmetadata: {name: a}\n\
             cases:\n- {name: closed, from: shop/web, to: 'http://a.example/', expect: Allow}\n",
        ),
    ]);
    let lint = action(folder.path(), &[]);
    assert_eq!(lint.code, Some(1), "{lint:?}");
    assert!(
        lint.stdout
            .starts_with("::error file=policies/a.yaml,line=4,col=8,"),
        "{lint:?}"
    );
    let inputs = [
        ("POLICIES", "other"),
        ("ARGUMENTS", "--deny-warnings --expiry-days 0"),
    ];
    assert_eq!(action(folder.path(), &inputs).code, Some(1));
    assert_eq!(action(folder.path(), &inputs[..1]).code, Some(0));
    let test = action(folder.path(), &[("COMMAND", "test"), ("POLICIES", "other")]);
    assert_eq!(test.code, Some(1), "{test:?}");
    assert!(
        test.stdout
            .starts_with("::error file=other/a.cases.yaml,line=5,"),
        "{test:?}"
    );
    assert!(
        test.stdout.contains("\n1 case: 0 passed, 1 failed"),
        "{test:?}"
    );
    let unknown = action(folder.path(), &[("COMMAND", "serve")]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

fn git(folder: &Path, arguments: &str) {
    let done = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(done.status.success(), "{arguments}: {done:?}");
}

#[test]
fn the_action_compares_with_a_commit() {
    let before = policy("shop", "{isolate: true}");
    let folder = Folder::with(&[("policies/a.yaml", &before)]);
    git(folder.path(), "init --quiet --initial-branch main");
    git(folder.path(), "add policies");
    git(folder.path(), "commit --quiet --message before");
    let diff = [("COMMAND", "diff"), ("BASE", "main")];
    let same = action(folder.path(), &diff);
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(same.stdout.starts_with("equivalent: proved; "), "{same:?}");
    let after = policy(
        "shop",
        "{isolate: true, allow: [{name: a, hosts: [a.example]}]}",
    );
    std::fs::write(folder.path().join("policies/a.yaml"), after).unwrap();
    let changed = action(folder.path(), &diff);
    assert_eq!(changed.code, Some(0), "{changed:?}");
    assert!(
        changed
            .stdout
            .starts_with("::warning file=policies/a.yaml,line=4,col=")
            && changed
                .stdout
                .contains("title=customs%3A newly-allowed::2 regions newly allowed: "),
        "{changed:?}"
    );
    let strict = [diff[0], diff[1], ("FAIL_ON_CHANGES", "true")];
    assert_eq!(action(folder.path(), &strict).code, Some(1));
    for base in ["", "no-such-branch"] {
        let refused = action(folder.path(), &[diff[0], ("BASE", base)]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
}
