//! Commands that a page has for another machine: a cluster, a checkout, the internet. They are not
//! run; what they name is looked up instead.
//!
//! The rule: a subcommand or flag of customs, kubectl and helm is one that the real program's help
//! has; a target of make is in the Makefile; a path of the repository exists.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use customs_test_support::tools;

use super::page::{Block, Page, steps};
use super::repository;

/// The folders of the repository that a command of a page may name. `policies/` is also what readers
/// call a folder of their own.
const FOLDERS: [&str; 4] = ["deploy/", "docs/", "benches/", "tests/"];

/// Whether a word of a call is a path of the repository. For kubectl `deploy/NAME` is a deployment,
/// unless a flag for files is before it.
fn is_path(program: &str, before: Option<&String>, word: &str) -> bool {
    let is_file = before.is_some_and(|flag| ["-f", "-k"].contains(&flag.as_str()));
    let is_plain = !word.contains(['*', '$', '<', '{']);
    is_plain
        && FOLDERS.iter().any(|folder| word.starts_with(folder))
        && (program != "kubectl" || is_file)
}

/// What programs know, asked for once.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) commands: usize,
    helps: BTreeMap<Vec<String>, Option<String>>,
    programs: BTreeMap<&'static str, PathBuf>,
}

impl Names {
    fn program(&mut self, name: &'static str) -> PathBuf {
        let find = || match name {
            "customs" => PathBuf::from(env!("CARGO_BIN_EXE_customs")),
            "kubectl" => tools::kubectl().unwrap().path,
            _ => tools::helm().unwrap().path,
        };
        self.programs.entry(name).or_insert_with(find).clone()
    }

    /// Returns what `PROGRAM WORDS.. --help` prints, if it is a command.
    fn help(&mut self, name: &'static str, words: &[&str]) -> Option<String> {
        let mut key = vec![name.to_owned()];
        key.extend(words.iter().map(|word| (*word).to_owned()));
        if let Some(help) = self.helps.get(&key) {
            return help.clone();
        }
        let done = Command::new(self.program(name))
            .args(words)
            .arg("--help")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        // kubectl prints its own help for a command that it does not have.
        let is_command =
            done.status.success() && (words.is_empty() || text.contains(words[words.len() - 1]));
        let help = is_command.then_some(text);
        self.helps.insert(key, help.clone());
        help
    }

    /// What is wrong with a call.
    fn call(&mut self, name: &'static str, words: &[String]) -> Vec<String> {
        let plain = words.iter().take_while(|word| !word.starts_with('-'));
        let depth = match (name, words.first().map(String::as_str)) {
            ("customs", Some("audit" | "mesh" | "schema"))
            | ("kubectl", Some("rollout" | "config" | "create"))
            | ("helm", Some("repo")) => 2,
            _ => 1,
        };
        let mut subcommand: Vec<&str> = plain.map(String::as_str).take(depth).collect();
        if name == "kubectl" && subcommand.is_empty() {
            // Flags such as `-n NAMESPACE` come first.
            let at = words.iter().position(|word| !word.starts_with('-'));
            subcommand = words
                .iter()
                .skip(at.map_or(0, |at| at + 1))
                .take(depth)
                .map(String::as_str)
                .collect();
        }
        if name == "customs" && self.help(name, &subcommand).is_none() {
            subcommand.truncate(1);
        }
        let Some(mut help) = self.help(name, &subcommand) else {
            return vec![format!("`{name} {}` does not exist", subcommand.join(" "))];
        };
        if name == "kubectl" {
            let global = Command::new(self.program(name))
                .arg("options")
                .output()
                .unwrap();
            help.push_str(&String::from_utf8_lossy(&global.stdout));
        }
        let own: Vec<&String> = words.iter().take_while(|word| *word != "--").collect();
        let flags = own.iter().filter(|word| word.starts_with("--"));
        flags
            .map(|flag| flag.split('=').next().unwrap())
            .filter(|flag| !has_flag(&help, flag))
            .map(|flag| format!("`{name} {}` has no {flag}", subcommand.join(" ")))
            .collect()
    }
}

fn has_flag(help: &str, flag: &str) -> bool {
    help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .any(|word| word == flag)
}

/// Splits a script into the calls that it makes, by the shell's separators.
fn calls(script: &str) -> Vec<Vec<String>> {
    let joined = script.replace("\\\n", " ");
    let mut calls = Vec::new();
    for line in joined.lines() {
        let line = line.split(" # ").next().unwrap_or_default();
        for call in line.split(['|', ';', '&', '(', ')', '`']) {
            let words = call.split_whitespace();
            calls.push(
                words
                    .map(|word| word.trim_matches(['"', '\'']).to_owned())
                    .collect(),
            );
        }
    }
    calls
}

fn targets() -> Vec<String> {
    let makefile = std::fs::read_to_string(repository().join("Makefile")).unwrap();
    let named = makefile
        .lines()
        .filter_map(|line| line.strip_prefix(".PHONY:"));
    named
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

/// What is wrong with one block.
fn in_block(block: &Block, names: &mut Names) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let steps = steps(&block.text);
    for step in &steps {
        names.commands += 1;
        for words in calls(&step.command) {
            let start = words.iter().position(|word| !word.contains('='));
            let Some((program, arguments)) = start.and_then(|at| words[at..].split_first()) else {
                continue;
            };
            let complaints = match program.as_str() {
                "customs" | "target/release/customs" => names.call("customs", arguments),
                "kubectl" => names.call("kubectl", arguments),
                "helm" => names.call("helm", arguments),
                "make" => {
                    let targets = targets();
                    let unknown = arguments.iter().filter(|word| {
                        !word.contains('=') && !word.starts_with('-') && !targets.contains(word)
                    });
                    unknown
                        .map(|word| format!("the Makefile has no {word}"))
                        .collect()
                }
                _ => Vec::new(),
            };
            found.extend(complaints.into_iter().map(|text| (step.line, text)));
            for (number, word) in words.iter().enumerate() {
                let before = number.checked_sub(1).and_then(|at| words.get(at));
                if is_path(program, before, word) && !repository().join(word).exists() {
                    found.push((step.line, format!("there is no {word}")));
                }
            }
        }
    }
    if steps.is_empty() {
        found.push((
            0,
            "the block has no command; commands begin with `$ `".to_owned(),
        ));
    }
    found
}

/// What is wrong with the commands of a page that are not run.
pub(crate) fn complaints(page: &Page, names: &mut Names) -> Vec<String> {
    let elsewhere = page.blocks().filter(|block| {
        block.language == "console" && (block.has("cluster") || block.has("repository"))
    });
    let mut complaints = Vec::new();
    for block in elsewhere {
        for (line, text) in in_block(block, names) {
            complaints.push(format!("{}:{}: {text}", page.name, block.line + line));
        }
    }
    complaints
}
