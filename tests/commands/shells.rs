//! The completion scripts in the real shells: bash, zsh and fish complete commands, flags and
//! values of `customs`.

use std::path::Path;
use std::process::Command;

use customs_test_support::tools;

use super::{Folder, ended};

/// A command line as a user begins it, and words that the shell must offer.
const LINES: [(&str, &[&str]); 5] = [
    ("customs au", &["audit"]),
    ("customs audit ", &["verify", "search", "tail", "export"]),
    ("customs lint --deny-w", &["--deny-warnings"]),
    ("customs test --format ", &["human", "json", "junit"]),
    ("customs serve --default ", &["allow", "deny"]),
];

/// Returns a folder with the completion script of a shell.
fn script(shell: &str) -> Folder {
    let folder = Folder::with(&[]);
    let script = folder.run(&format!("completions {shell}"));
    assert_eq!((script.code, script.stderr.as_str()), (Some(0), ""));
    std::fs::write(folder.path().join("_customs"), script.stdout).unwrap();
    folder
}

/// Runs a program of a shell, which prints what it offers, with a time limit.
fn offered(folder: &Folder, shell: &Path, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("timeout");
    command.arg("60").arg(shell).args(arguments);
    command.current_dir(folder.path()).env("TERM", "dumb");
    command.env("HOME", folder.path());
    let ended = ended(&mut command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let words = ended.stdout.split_whitespace();
    words.map(str::to_owned).collect()
}

fn offers(shell: &str, line: &str, offered: &[String], expected: &[&str]) {
    for word in expected {
        assert!(
            offered.iter().any(|offer| offer == word),
            "{shell} does not offer {word} for `{line}`: {offered:?}"
        );
    }
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let folder = script("bash");
    for (line, expected) in LINES {
        let words: Vec<&str> = line.split(' ').collect();
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let last = words.len() - 1;
        let program = format!(
            "source ./_customs; COMP_WORDS=({}); COMP_CWORD={last}; COMP_LINE='{line}'; \
             COMP_POINT={}; _customs customs '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            quoted.join(" "),
            line.len(),
            words[last],
            words[last - 1],
        );
        let arguments = ["--norc", "--noprofile", "-c", &program];
        let offered = offered(&folder, Path::new("bash"), &arguments);
        offers("bash", line, &offered, expected);
    }
}

#[test]
fn fish_completes_commands_flags_and_values() {
    let fish = tools::fish().unwrap();
    let folder = script("fish");
    // A fish that is not installed where it was built for does not find its functions.
    let functions = match fish.path.ends_with("launch-fish") {
        true => format!(
            "set fish_function_path {}/usr/share/fish/functions; ",
            fish.path.parent().unwrap().display()
        ),
        false => String::new(),
    };
    for (line, expected) in LINES {
        let program = format!("{functions}source ./_customs; complete --do-complete '{line}'");
        let offered = offered(&folder, &fish.path, &["--no-config", "-c", &program]);
        offers("fish", line, &offered, expected);
    }
}

/// What zsh runs: an interactive zsh in a terminal of its own completes the line, with a `compadd`
/// that prints what it is given. `FILES` are the functions and modules of a zsh that is not
/// installed where it was built for.
const ZSH: &str = r#"
FILES
zmodload zsh/zpty || exit 3
inner() {
    FILES
    PROMPT= RPROMPT=
    fpath=($PWD $fpath)
    zmodload zsh/zle zsh/complete || exit 3
    autoload -Uz compinit && compinit -u -D
    bindkey '^I' complete-word
    zstyle ':completion:*' completer _complete
    compadd() {
        local -a given
        builtin compadd -A given "$@"
        print -r -- "OFFER ${(j: :)given}"
        builtin compadd "$@"
    }
    finish() { print -r -- "THE END" }
    zle -N finish
    bindkey '^G' finish
    print -r -- "READY NOW"
}
zpty outer "$0_ZSH -f -i"
zpty -w outer "cd $PWD; source ./inner.zsh"
zpty -r outer text '*READY NOW*' || exit 4
zpty -w -n outer "$1"$'\t'
sleep 0.2
zpty -w -n outer $'\a'
zpty -r outer text '*THE END*' || exit 5
print -r -- "$text" | tr '\r' '\n' | sed -n 's/.*OFFER //p'
"#;

#[test]
fn zsh_completes_commands_flags_and_values() {
    let zsh = tools::zsh().unwrap();
    let folder = script("zsh");
    let home = zsh.path.parent().unwrap();
    let files = match zsh.path.ends_with("launch-zsh") {
        true => format!(
            "module_path=({home}/usr/lib/*/zsh/*(/N)); fpath=({home}/usr/share/zsh/functions \
             {home}/usr/share/zsh/functions/**/*(/N))",
            home = home.display()
        ),
        false => String::new(),
    };
    let program = ZSH.replace("FILES", &files);
    let (before, rest) = program.split_once("inner() {\n").unwrap();
    let (inner, outer) = rest.split_once("\n}\nzpty outer").unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("inner.zsh", inner);
    let shell = zsh.path.display().to_string();
    let outer = format!("{before}zpty outer{outer}").replace("$0_ZSH", &shell);
    put("outer.zsh", &outer);
    for (line, expected) in LINES {
        let offered = offered(&folder, &zsh.path, &["-f", "./outer.zsh", line]);
        offers("zsh", line, &offered, expected);
    }
}
