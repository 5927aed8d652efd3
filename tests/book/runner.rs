//! Follows a page from front to back in a scratch directory: writes its files, runs its commands,
//! sends its checks.
//!
//! The rule: a reader with an empty directory, `customs` and the usual tools gets what the page
//! shows. Only the ports differ, because tests run side by side: those that a page names are mapped
//! to free ones and back.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use customs_test_support::check_client::{self, channel, check, wait};
use customs_test_support::{http, ports, tools, wait_for};

use super::comparison;
use super::page::{Block, Page, Piece, Step, steps};

/// The ports that pages use: checks, admin, subscribers, and one more of each for a second server.
const PORTS: [u16; 6] = [9191, 9192, 9193, 9291, 9292, 9293];

/// The programs that commands may use beside those of every system.
static PROGRAMS: LazyLock<Vec<(&str, PathBuf)>> = LazyLock::new(|| {
    let mut programs = vec![
        ("customs", PathBuf::from(env!("CARGO_BIN_EXE_customs"))),
        ("grpcurl", tools::grpcurl().unwrap().path),
    ];
    for name in ["jq", "curl", "openssl"] {
        programs.push((name, tools::of_the_book(name).unwrap().path));
    }
    programs
});

/// What following a page came to.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    pub(crate) complaints: Vec<String>,
    pub(crate) commands: usize,
}

/// Whether the outputs of this run are written into the pages.
fn is_drawn() -> bool {
    std::env::var_os("CUSTOMS_BOOK_DRAW").is_some()
}

/// Whether a block has commands to run here.
fn is_run(block: &Block) -> bool {
    block.language == "console" && !block.has("cluster") && !block.has("repository")
}

/// A page that is being followed.
struct Reader {
    folder: tempfile::TempDir,
    bin: tempfile::TempDir,
    ports: BTreeMap<u16, u16>,
    server: Option<Child>,
    followed: Followed,
    page: String,
}

/// Follows a page.
pub(crate) fn follow(mut page: Page) -> Followed {
    if !page.blocks().any(is_run) {
        return Followed::default();
    }
    let mut reader = Reader::new(&page.name);
    for piece in &mut page.pieces {
        if let Piece::Block(block) = piece {
            reader.block(block);
        }
    }
    reader.stop();
    if is_drawn() {
        std::fs::write(&page.path, page.draw()).unwrap();
    }
    std::mem::take(&mut reader.followed)
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            drop(server.kill());
            drop(server.wait());
        }
    }
}

impl Reader {
    fn new(page: &str) -> Reader {
        let bin = tempfile::tempdir().unwrap();
        for (name, path) in PROGRAMS.iter() {
            // A link would not do: a launcher finds its libraries by its own path.
            let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", path.display());
            let file = bin.path().join(name);
            std::fs::write(&file, script).unwrap();
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&file, mode).unwrap();
        }
        Reader {
            folder: tempfile::tempdir().unwrap(),
            bin,
            ports: PORTS.map(|port| (port, ports::free().unwrap())).into(),
            server: None,
            followed: Followed::default(),
            page: page.to_owned(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn complain(&mut self, line: usize, text: &str) {
        self.followed
            .complaints
            .push(format!("{}:{line}: {text}", self.page));
    }

    /// Replaces the ports of the page by those of this run.
    fn with_own_ports(&self, text: &str) -> String {
        let replace = |text: String, (page, own): (&u16, &u16)| {
            text.replace(&format!(":{page}"), &format!(":{own}"))
                .replace(&format!(" {page} "), &format!(" {own} "))
        };
        self.ports.iter().fold(text.to_owned(), replace)
    }

    /// Replaces what is of this run by what a page has.
    fn as_on_a_page(&self, text: &str) -> String {
        let replace = |text: String, (page, own): (&u16, &u16)| {
            text.replace(&format!(":{own}"), &format!(":{page}"))
        };
        let text = self.ports.iter().fold(text.to_owned(), replace);
        let folder = self.path().to_string_lossy().into_owned();
        text.replace(&folder, "/tmp/customs")
    }

    fn block(&mut self, block: &mut Block) {
        if let Some(file) = &block.file {
            let path = self.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, self.with_own_ports(&block.text)).unwrap();
        } else if is_run(block) {
            self.console(block);
        } else if block.language == "text" && block.has("checks") {
            self.send(block);
        }
    }

    fn console(&mut self, block: &mut Block) {
        let expected_code: i32 = block.value("exit").map_or(0, |code| code.parse().unwrap());
        let mut drawn = String::new();
        let all = steps(&block.text);
        for (number, step) in all.iter().enumerate() {
            let line = block.line + step.line;
            self.followed.commands += 1;
            let (output, code) = self.run(step, line);
            let output = self.as_on_a_page(&output);
            let expected = if number + 1 == all.len() {
                expected_code
            } else {
                0
            };
            if code != expected {
                self.complain(
                    line,
                    &format!(
                        "`{}` ends with {code}, not {expected}:\n{output}",
                        step.command
                    ),
                );
            }
            let is_same = comparison::matches(&step.output, &output);
            if !is_same && !is_drawn() {
                let said = format!(
                    "`{}` prints\n{output}--- and the page has\n{}---",
                    step.command, step.output
                );
                self.complain(line, &said);
            }
            drawn.push_str(&format!("$ {}\n", step.command));
            drawn.push_str(if is_same { &step.output } else { &output });
            if !drawn.ends_with('\n') {
                drawn.push('\n');
            }
        }
        block.text = drawn;
    }

    /// A shell for a command, isolated from the environment in which the tests run.
    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["-c", script])
            .current_dir(self.path())
            .env_clear()
            .env("PATH", format!("{}:{path}", self.bin.path().display()))
            .env("HOME", self.path())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command; returns its output and its exit code.
    fn run(&mut self, step: &Step, line: usize) -> (String, i32) {
        let script = self.with_own_ports(&step.command);
        if script == "kill %1" {
            self.stop();
            return (String::new(), 0);
        }
        if let Some(script) = script.strip_suffix('&') {
            self.serve(script.trim_end(), line);
            return (String::new(), 0);
        }
        let done = self
            .shell(&format!("exec 2>&1\n{script}"))
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&done.stdout).into_owned();
        (output, done.status.code().unwrap_or(-1))
    }

    /// Starts the server of the page, in place of the one before, and waits until it is ready.
    fn serve(&mut self, script: &str, line: usize) {
        self.stop();
        let log = self.bin.path().join("server.log");
        let file = File::create(&log).unwrap();
        let server = self
            .shell(&format!("exec {script}"))
            .env("CUSTOMS_DRAIN_DELAY", "0s")
            .env("CUSTOMS_LISTEN", format!("127.0.0.1:{}", self.ports[&9191]))
            .env("CUSTOMS_ADMIN", format!("127.0.0.1:{}", self.ports[&9192]))
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        self.server = Some(server);
        let admin = if script.contains(&self.ports[&9292].to_string()) {
            9292
        } else {
            9192
        };
        let admin = self.ports[&admin];
        let is_ready = || {
            let answer = http::get(admin, "localhost", "/readyz").ok()?;
            (answer.status == 200).then_some(())
        };
        if wait_for(is_ready).is_none() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            self.complain(line, &format!("the server was never ready:\n{said}"));
        }
    }

    /// Ends the server in order, so that its audit log is complete.
    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let id = server.id().to_string();
            let done = Command::new("kill").args(["-s", "TERM", &id]).status();
            assert!(done.unwrap().success());
            assert!(wait_for(|| server.try_wait().unwrap()).is_some());
        }
    }

    /// Sends the checks of a block, in turns, so that each kind of them lasts from front to back.
    fn send(&mut self, block: &Block) {
        let channel = channel(&format!("http://127.0.0.1:{}", self.ports[&9191]));
        let rows: Vec<Vec<&str>> = block
            .text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let counts: Vec<usize> = rows.iter().map(|row| row[3].parse().unwrap()).collect();
        for turn in 0..counts.iter().copied().max().unwrap_or(0) {
            for (number, row) in rows.iter().enumerate().filter(|(n, _)| turn < counts[*n]) {
                let (caller, url) = (row[0], row[2].strip_prefix("http://").unwrap());
                let (host, path) = url.split_at(url.find('/').unwrap_or(url.len()));
                let principal =
                    caller
                        .split_once('/')
                        .map_or(String::new(), |(namespace, account)| {
                            format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")
                        });
                let mut request = check_client::http(&principal, host);
                let attributes = request.attributes.as_mut().unwrap();
                let sent = attributes.request.as_mut().unwrap().http.as_mut().unwrap();
                sent.method = row[1].to_owned();
                sent.path = if path.is_empty() {
                    "/".to_owned()
                } else {
                    path.to_owned()
                };
                let is_allowed = wait(check(&channel, request)).unwrap().allowed;
                if is_allowed != (row[4] == "allow") {
                    let said = format!("the answer is not {}: {}", row[4], row.join(" "));
                    self.complain(block.line + number, &said);
                }
            }
        }
    }
}
