//! The tutorials in docs/tutorial: every command of a page is run, and its output is compared.
//!
//! A page is read from front to back. A block of YAML behind a line with a file's name is written
//! to that file. A block `console` has commands and their output; a command that ends with `&` is a
//! server, which replaces the one before. A block `text` has checks: who asks for what, how often,
//! and the answer. Times and revisions are not compared. After a change of outputs, draw the page
//! again:
//!
//! ```sh
//! CUSTOMS_DRAW_TUTORIAL=1 cargo test --test commands tutorial
//! ```

use std::path::PathBuf;
use std::process::{Child, Stdio};

use customs_test_support::check_client::{self, channel, check, wait};
use customs_test_support::{http, ports, wait_for};

use super::{Folder, command, repository, run};

/// The addresses on the page.
const LISTEN: &str = "127.0.0.1:9191";
const ADMIN: &str = "127.0.0.1:9192";

/// Replaces what differs from one run to the next: times, and revisions.
fn stable(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || "-:.".contains(c))) {
        let name = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_time = name.len() >= 20 && name.starts_with("20") && name.ends_with('Z');
        let is_revision = name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
        words.push(match (is_time, is_revision) {
            (true, _) => word.replacen(name, "TIME", 1),
            (_, true) => word.replacen(name, "REVISION", 1),
            _ => word.to_owned(),
        });
    }
    // What lasted less than a second has one time.
    words.concat().replace("TIME to TIME", "TIME")
}

/// A page that is being followed.
struct Tutorial {
    folder: Folder,
    server: Option<Child>,
    listen: u16,
    admin: u16,
    /// The page with the outputs of this run.
    drawn: String,
    commands: usize,
}

impl Drop for Tutorial {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Tutorial {
    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The audit log is complete once the server has ended in order.
            let id = server.id().to_string();
            let ended = std::process::Command::new("kill")
                .args(["-s", "TERM", &id])
                .status();
            assert!(ended.unwrap().success());
            assert!(wait_for(|| server.try_wait().unwrap()).is_some());
        }
    }

    /// Runs a command of the page, and returns its output.
    fn run(&mut self, line: &str) -> String {
        let words = line.split_once(' ').unwrap();
        match words {
            ("cat", file) => {
                return std::fs::read_to_string(self.folder.path().join(file)).unwrap();
            }
            ("customs", _) => self.commands += 1,
            _ => panic!("the page has an unknown command: {line}"),
        }
        let arguments = words
            .1
            .replace(LISTEN, &format!("127.0.0.1:{}", self.listen))
            .replace(ADMIN, &format!("127.0.0.1:{}", self.admin));
        match arguments.strip_suffix(" &") {
            None => {
                // A command writes its results to stdout, and what prevents them to stderr.
                self.stop();
                let ended = run(self.folder.path(), &arguments);
                assert_eq!(ended.stderr, "", "{line}");
                ended.stdout
            }
            Some(arguments) => {
                self.stop();
                let server = command(self.folder.path())
                    .args(arguments.split_whitespace())
                    .args(["--drain-delay", "0s"])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn();
                self.server = Some(server.unwrap());
                let admin = self.admin;
                let is_ready = || {
                    let answer = http::get(admin, "localhost", "/readyz").ok()?;
                    (answer.status == 200).then_some(())
                };
                wait_for(is_ready).unwrap_or_else(|| panic!("{line}: never ready"));
                String::new()
            }
        }
    }

    /// Sends the checks of a block, in turns, so that each kind of them lasts from front to back.
    fn send(&mut self, block: &str) {
        let channel = channel(&format!("http://127.0.0.1:{}", self.listen));
        let rows: Vec<Vec<&str>> = block
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let counts: Vec<usize> = rows.iter().map(|row| row[3].parse().unwrap()).collect();
        for turn in 0..counts.iter().copied().max().unwrap() {
            for (row, _) in rows.iter().zip(&counts).filter(|(_, count)| turn < **count) {
                let (caller, url) = (row[0], row[2].strip_prefix("http://").unwrap());
                let (host, path) = url.split_at(url.find('/').unwrap());
                let principal = match caller.split_once('/') {
                    Some((namespace, account)) => {
                        format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")
                    }
                    None => String::new(),
                };
                let mut request = check_client::http(&principal, host);
                let attributes = request.attributes.as_mut().unwrap();
                let sent = attributes.request.as_mut().unwrap().http.as_mut().unwrap();
                sent.method = row[1].to_owned();
                sent.path = path.to_owned();
                let answer = wait(check(&channel, request)).unwrap();
                assert_eq!(answer.allowed, row[4] == "allow", "{row:?}");
            }
        }
    }

    fn block(&mut self, language: &str, file: &str, block: &str) {
        match language {
            "yaml" => {
                let path = self.folder.path().join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, block).unwrap();
                self.drawn.push_str(block);
            }
            "text" => {
                self.send(block);
                self.drawn.push_str(block);
            }
            "console" => self.console(block),
            _ => panic!("the page has a block of {language}"),
        }
    }

    fn console(&mut self, block: &str) {
        for step in block.split("$ ").skip(1) {
            let (line, expected) = step.split_once('\n').unwrap();
            let output = self.run(line);
            let is_left_out = expected == "...\n";
            if !is_left_out && !is_drawn() {
                assert_eq!(stable(expected), stable(&output), "{line}");
            }
            self.drawn.push_str(&format!("$ {line}\n"));
            self.drawn
                .push_str(if is_left_out { expected } else { &output });
        }
    }
}

fn is_drawn() -> bool {
    std::env::var_os("CUSTOMS_DRAW_TUTORIAL").is_some()
}

fn page() -> PathBuf {
    repository().join("docs/tutorial/least-privilege.md")
}

#[test]
fn the_tutorial_to_least_privilege_is_true() {
    let text = std::fs::read_to_string(page()).unwrap();
    let mut tutorial = Tutorial {
        folder: Folder::with(&[]),
        server: None,
        listen: ports::free().unwrap(),
        admin: ports::free().unwrap(),
        drawn: String::new(),
        commands: 0,
    };
    let (mut file, mut open): (String, Option<(String, String)>) = Default::default();
    for line in text.lines() {
        match &mut open {
            None => {
                if let Some(name) = line
                    .strip_prefix('`')
                    .and_then(|rest| rest.strip_suffix("`:"))
                {
                    file = name.to_owned();
                }
                open = line
                    .strip_prefix("```")
                    .map(|language| (language.to_owned(), String::new()));
                tutorial.drawn.push_str(&format!("{line}\n"));
            }
            Some((language, block)) if line == "```" => {
                tutorial.block(language, &file, block);
                tutorial.drawn.push_str("```\n");
                open = None;
            }
            Some((_, block)) => block.push_str(&format!("{line}\n")),
        }
    }
    // Ten steps; one of them asks twice.
    assert_eq!(tutorial.commands, 11);
    tutorial.stop();
    if is_drawn() {
        std::fs::write(page(), &tutorial.drawn).unwrap();
    }
}
