//! `customs lint` on single files and on stdin.

use std::io::Write;
use std::process::Stdio;

use super::{Ended, Folder, command, policy};

/// Runs a command with a text on stdin.
fn with_stdin(folder: &Folder, arguments: &str, text: &str) -> Ended {
    let mut command = command(folder.path());
    command.args(arguments.split_whitespace());
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read stdin closes it.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn broken(name: &str) -> String {
    policy(
        "shop",
        &format!("{{deny: [{{name: {name}, hosts: [A.example]}}]}}"),
    )
}

/// Returns the files and codes of the problems.
fn problems(ended: &Ended) -> Vec<(String, String)> {
    let report = ended.json();
    let text = |p: &serde_json::Value, key: &str| p[key].as_str().unwrap().to_owned();
    let problems = report["problems"].as_array().unwrap();
    problems
        .iter()
        .map(|p| (text(p, "file"), text(p, "code")))
        .collect()
}

fn found(files: &[&str]) -> Vec<(String, String)> {
    let of = |file: &&str| ((*file).to_owned(), "host-spelling".to_owned());
    files.iter().map(of).collect()
}

#[test]
fn files_directories_and_stdin_are_one_set() {
    let folder = Folder::with(&[
        ("a.yaml", &broken("a")),
        ("p/b.yaml", &broken("b").replace("egress,", "b,")),
        ("p/c.yaml", &broken("c").replace("egress,", "c,")),
        ("notes.txt", &broken("d").replace("egress,", "d,")),
    ]);
    let stdin = broken("e").replace("egress,", "e,");
    for (paths, expected) in [
        ("a.yaml", &["a.yaml"][..]),
        ("./a.yaml", &["./a.yaml"]),
        ("p/c.yaml a.yaml", &["a.yaml", "p/c.yaml"]),
        ("p", &["p/b.yaml", "p/c.yaml"]),
        ("p p/b.yaml", &["p/b.yaml", "p/c.yaml"]),
        (
            "p a.yaml notes.txt",
            &["a.yaml", "notes.txt", "p/b.yaml", "p/c.yaml"],
        ),
        ("-", &["<stdin>"]),
        ("p -", &["<stdin>", "p/b.yaml", "p/c.yaml"]),
        ("- --stdin-filename x/y.yaml", &["x/y.yaml"]),
    ] {
        let ended = with_stdin(&folder, &format!("lint --format json {paths}"), &stdin);
        assert_eq!(ended.code, Some(1), "{paths}: {}", ended.stderr);
        assert_eq!(problems(&ended), found(expected), "{paths}");
    }
}

#[test]
fn stdin_takes_the_place_of_the_file_that_it_is_of() {
    let set = "apiVersion: egress.customs/v1alpha1\nkind: DestinationSet\n\
               metadata: {name: s, namespace: shop}\nspec: {hosts: [a.example]}\n";
    let uses = |set: &str| {
        let spec = format!("{{isolate: false, allow: [{{name: a, destinations: [{set}]}}]}}");
        policy("shop", &spec)
    };
    let folder = Folder::with(&[("p/set.yaml", set), ("p/a.yaml", &uses("t"))]);
    assert!(folder.run("lint p").stdout.contains("error[missing-set]"));
    let arguments = "lint p --stdin-filename ./p/a.yaml";
    let mended = with_stdin(&folder, arguments, &uses("s"));
    assert_eq!(mended.code, Some(0), "{}", mended.stdout);
    let alone = with_stdin(&folder, "lint --stdin-filename p/a.yaml -", &uses("s"));
    assert!(
        alone.stdout.contains("--> p/a.yaml:4:") && alone.stdout.contains("error[missing-set]"),
        "{}",
        alone.stdout
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_and_the_others_are_read() {
    let folder = Folder::with(&[("a.yaml", &broken("a"))]);
    let output = folder.run("lint a.yaml gone.yaml").stdout;
    assert!(output.contains("error[unreadable]"), "{output}");
    assert!(output.contains("--> a.yaml:4:"), "{output}");
    let empty = with_stdin(&folder, "lint -", "");
    assert!(
        empty.stdout.starts_with("error[no-policy]") && empty.stdout.contains("--> <stdin>\n"),
        "{}",
        empty.stdout
    );
}
