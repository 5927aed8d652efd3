//! What people see on a terminal: colours and wrapped lines there, and neither where a script reads.

use std::process::Command;

use customs_test_support::pty;

use super::{Folder, command, policy};

/// The commands that print for people, each with words of its output.
const COMMANDS: [(&str, &str); 9] = [
    ("lint old", "1 error"),
    ("lint new", "0 errors"),
    (
        "check --from shop/web --to http://www.example.com/ new",
        "effect",
    ),
    ("test new", "1 passed"),
    ("diff new newer", "newly denied"),
    ("prove new", "1 proved"),
    ("who-can --to http://www.example.com/ new", "may go"),
    ("can-reach --from shop/web new", "allowed"),
    ("audit verify audit.jsonl", "read"),
];

const RULE: &str = "allows-the-examples-of-the-whole-organisation";

fn folder() -> Folder {
    let allow = format!(
        "{{isolate: true, allow: [{{name: {RULE}, hosts: [www.example.com, a.example, b.example, c.example]}}]}}"
    );
    let fewer = format!("{{isolate: true, allow: [{{name: {RULE}, hosts: [a.example]}}]}}");
    let cases = "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\nmetadata: {name: t}\ncases:\n\
                 - {name: a, from: shop/web, to: 'http://www.example.com/', expect: Allow}\n";
    let guard = "apiVersion: egress.customs/v1alpha1\nkind: PolicyGuard\n\
                 metadata: {name: g, namespace: istio-system}\nspec: {guards: [{name: a, \
                 never: {from: [{namespaces: [shop]}], to: {hosts: [bad.example]}}}]}\n";
    Folder::with(&[
        (
            "old/a.yaml",
            &policy(
                "shop",
                "{allow: [{name: a, hosts: ['https://www.example.com/a-path-that-no-host-has']}]}",
            ),
        ),
        ("new/a.yaml", &policy("shop", &allow)),
        ("new/a.cases.yaml", cases),
        ("new/g.yaml", guard),
        ("newer/a.yaml", &policy("shop", &fewer)),
        ("audit.jsonl", include_str!("../audit/golden.jsonl")),
    ])
}

fn at(folder: &Folder, arguments: &str) -> Command {
    let mut command = command(folder.path());
    command.args(arguments.split_whitespace());
    command
}

/// Returns the text without its colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

#[test]
fn colours_appear_on_a_terminal_only() {
    let folder = folder();
    for (arguments, words) in COMMANDS {
        let piped = folder.run(arguments).stdout;
        assert!(!piped.contains('\u{1b}'), "{arguments}: {piped:?}");
        assert!(piped.contains(words), "{arguments}: {piped}");
        let shown = pty::printed(at(&folder, arguments), 500, &[]);
        assert!(shown.contains("\u{1b}["), "{arguments}: {shown:?}");
        assert_eq!(without_colours(&shown), piped, "{arguments}");
    }
}

#[test]
fn the_environment_and_the_flag_choose_colours() {
    let folder = folder();
    let check = "check --from shop/web --to http://www.example.com/ new";
    for (flag, variables, is_coloured) in [
        ("", &[][..], true),
        ("", &[("NO_COLOR", "1")], false),
        ("", &[("NO_COLOR", "")], true),
        ("", &[("CLICOLOR", "0")], false),
        ("", &[("TERM", "dumb")], false),
        ("--color never", &[], false),
        ("--color never", &[("CLICOLOR_FORCE", "1")], false),
        ("--color always", &[("NO_COLOR", "1")], true),
    ] {
        let shown = pty::printed(at(&folder, &format!("{check} {flag}")), 120, variables);
        let said = format!("{flag} {variables:?}: {shown:?}");
        assert_eq!(shown.contains('\u{1b}'), is_coloured, "{said}");
    }
    // Where there is no terminal.
    for (flag, variable, is_coloured) in [
        ("", ("CLICOLOR_FORCE", "1"), true),
        ("--color always", ("NO_COLOR", "1"), true),
        ("--color never", ("CLICOLOR_FORCE", "1"), false),
        ("", ("COLUMNS", "80"), false),
    ] {
        let mut command = at(&folder, &format!("{check} {flag}"));
        command.env_remove("NO_COLOR").env(variable.0, variable.1);
        let piped = super::ended(&mut command).stdout;
        assert_eq!(piped.contains('\u{1b}'), is_coloured, "{flag} {variable:?}");
        assert_eq!(without_colours(&piped), folder.run(check).stdout);
    }
}

#[test]
fn lines_end_where_the_terminal_does() {
    let folder = folder();
    // A line of a file that is wider is cut where it is drawn.
    let words = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.contains(" | "));
        let words = lines.flat_map(str::split_whitespace);
        words.map(str::to_owned).collect()
    };
    for (arguments, _) in COMMANDS {
        let piped = folder.run(arguments).stdout;
        for columns in [80, 120] {
            let flags = format!("{arguments} --color never");
            let shown = pty::printed(at(&folder, &flags), columns, &[]);
            for line in shown.lines() {
                // A line of a file, and a word that is longer than a line, are as long as they are.
                let is_bound = !line.contains(" | ") && line.trim_start().contains(' ');
                let width = line.chars().count();
                assert!(
                    !is_bound || width <= usize::from(columns),
                    "{arguments}: {line}"
                );
            }
            assert_eq!(words(&shown), words(&piped), "{arguments}");
        }
    }
    let named = [("COLUMNS", "80")];
    let check = "check --from shop/web --to http://www.example.com/ new --color never";
    assert_eq!(
        pty::printed(at(&folder, check), 200, &named),
        pty::printed(at(&folder, check), 80, &[]),
        "COLUMNS beats the terminal"
    );
}
