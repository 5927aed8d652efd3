//! The man pages: one for each command, complete, and without a complaint of mandoc.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use customs_test_support::tools;

use super::{Folder, command, ended};

/// The sections of every page.
const SECTIONS: [&str; 7] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "ENVIRONMENT",
    "EXAMPLES",
    "\"SEE ALSO\"",
];

fn pages() -> (Folder, BTreeSet<String>) {
    let folder = Folder::with(&[]);
    let written = folder.run("man --output man");
    assert_eq!(written.code, Some(0), "{written:?}");
    let entries = fs::read_dir(folder.path().join("man")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names.collect();
    assert_eq!(written.stdout.lines().count(), names.len());
    (folder, names)
}

#[test]
fn every_command_has_a_page_that_refers_to_pages() {
    let (folder, names) = pages();
    assert!(names.len() > 30, "{names:?}");
    for name in &names {
        let page = fs::read_to_string(folder.path().join("man").join(name)).unwrap();
        for section in SECTIONS {
            assert!(
                page.contains(&format!(".SH {section}\n")),
                "{name}: {section}"
            );
        }
        let is_group = ["customs-audit.1", "customs-mesh.1"].contains(&name.as_str());
        assert_eq!(page.contains(".SH \"EXIT STATUS\"\n"), !is_group, "{name}");
        let see = page.split(".SH \"SEE ALSO\"\n").nth(1).unwrap();
        for line in see.lines() {
            let end = line.split("\\fR(1)").next().unwrap();
            let named = end.trim_start_matches("\\fB").replace("\\-", "-");
            assert!(names.contains(&format!("{named}.1")), "{name}: {line}");
        }
    }
}

#[test]
fn a_page_is_asked_for_by_the_words_of_its_command() {
    let (folder, _) = pages();
    for (words, name) in [
        ("", "customs"),
        ("check", "customs-check"),
        ("audit verify", "customs-audit-verify"),
        ("mesh gateway-api", "customs-mesh-gateway-api"),
    ] {
        let printed = folder.run(&format!("man {words}"));
        let file = folder.path().join(format!("man/{name}.1"));
        assert_eq!(printed.stdout, fs::read_to_string(file).unwrap());
        let title = format!(".TH {} 1 ", name.to_uppercase());
        assert!(printed.stdout.contains(&title), "{}", printed.stdout);
    }
    let page = folder.run("man check").stdout;
    for part in [
        "customs\\-check \\- Explain the decision for one request\n",
        "\\fBcustoms check\\fR [OPTIONS]",
        ".SS Request\n",
        "\\fB\\-\\-from\\fR \\fICALLER\\fR\n",
        ".TP\n\\fB1\\fR\nDeny.\n",
        ".TP\n\\fBCUSTOMS_DEFAULT\\fR\n",
        "customs check \\-\\-from shop/web \\-\\-to http://www.example.com/\n",
        "\\fBcustoms\\-who\\-can\\fR(1)",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    for (words, known) in [
        ("nope", "`lint`"),
        ("audit nope", "`verify`"),
        ("lint x", "`lint` has no"),
    ] {
        let ended = folder.run(&format!("man {words}"));
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(known), "{}", ended.stderr);
    }
}

/// Returns whether mandoc finds a line too long that consists of one word, which cannot be broken.
fn is_one_long_word(folder: &Folder, complaint: &str) -> bool {
    let Some((place, _)) = complaint.split_once(": STYLE: input text line longer") else {
        return false;
    };
    let place: Vec<&str> = place.trim_start_matches("mandoc: ").split(':').collect();
    let page = fs::read_to_string(folder.path().join("man").join(place[0])).unwrap();
    let number: usize = place[1].parse().unwrap();
    let line = page.lines().nth(number - 1).unwrap();
    line.split(' ').any(|word| word.len() > 60)
}

#[test]
fn mandoc_finds_nothing_to_say() {
    let mandoc = tools::mandoc().unwrap();
    let (folder, names) = pages();
    let mut lint = Command::new(&mandoc.path);
    lint.args(["-T", "lint"])
        .current_dir(folder.path().join("man"));
    let found = ended(lint.args(&names));
    let complaints = found.stdout.lines();
    let complaints: Vec<&str> = complaints
        .filter(|line| !is_one_long_word(&folder, line))
        .collect();
    assert_eq!((complaints, found.stderr.as_str()), (Vec::new(), ""));
    // What a person reads.
    let mut show = Command::new(&mandoc.path);
    show.args(["-T", "utf8", "-O", "width=80", "man/customs-check.1"]);
    let shown = ended(show.current_dir(folder.path())).stdout;
    assert!(shown.contains("CUSTOMS-CHECK(1)"), "{shown}");
}

#[test]
fn short_help_and_long_help_end_with_examples() {
    let folder = Folder::with(&[]);
    for (flags, expected) in [
        (&["check", "-h"][..], "Examples:"),
        (&["check", "--help"], "Exit codes:"),
        (&["--help"], "Write policies:"),
        (&["help", "audit", "verify"], "Exit codes:"),
    ] {
        let help = ended(command(folder.path()).args(flags));
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
        assert!(
            help.stdout.contains(&format!("\n{expected}\n")),
            "{}",
            help.stdout
        );
        assert!(!help.stdout.contains('\u{1b}'), "{}", help.stdout);
    }
}
