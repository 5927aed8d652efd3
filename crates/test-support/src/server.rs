//! The customs binary as a child process: how a test starts it, inspects it, signals it, and reads
//! what it left.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::check_client::{self, Answer};
use crate::{PATIENCE, http, ports, wait_for};

/// The fields of the dynamic metadata that tests look at.
const METADATA: &str = "decision_id,verdict,dry_run,reason,rule,dry_run_reason,revision";

/// The child's working directory: `policies/` is the default source, and `out/` holds what it
/// writes.
pub struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::create_dir(folder.at("out")).unwrap();
        folder
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file elsewhere and renames it into place, as careful tools do. Creates its
    /// directory.
    pub fn put(&self, name: &str, text: &str) {
        let (half, whole) = (self.at("half-written"), self.at(name));
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        fs::write(&half, text).unwrap();
        fs::rename(&half, &whole).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.at(name)).unwrap();
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.at(name)).unwrap_or_default()).into_owned()
    }
}

/// A server before its start: free ports in the environment, no flags.
pub struct Plan {
    pub folder: Folder,
    pub port: u16,
    pub admin: u16,
    command: Command,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan::new()
    }
}

impl Plan {
    pub fn new() -> Plan {
        let (folder, port, admin) = (
            Folder::new(),
            ports::free().unwrap(),
            ports::free().unwrap(),
        );
        let mut command = command();
        command.arg("serve").current_dir(folder.at(""));
        let plan = Plan {
            folder,
            port,
            admin,
            command,
        };
        let (listen, admin) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{admin}"));
        plan.environment("CUSTOMS_LISTEN", &listen)
            .environment("CUSTOMS_ADMIN", &admin)
            // In these tests nothing behind a server has to notice its end.
            .environment("CUSTOMS_DRAIN_DELAY", "0s")
            // Tests compare answers with revisions and dry runs.
            .environment("CUSTOMS_METADATA", METADATA)
    }

    /// Returns a plan with flags in one text. A policy file is read soon after it changed.
    pub fn with(flags: &str) -> Plan {
        Plan::new()
            .environment("CUSTOMS_RELOAD_SETTLE", "20ms")
            .flags(flags)
    }

    pub fn flags(mut self, flags: &str) -> Plan {
        self.command.args(flags.split_whitespace());
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Plan {
        self.command.env(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Plan {
        self.command.env_remove(name);
        self
    }

    pub fn file(self, name: &str, text: &str) -> Plan {
        self.folder.put(name, text);
        self
    }

    /// Limits how many files the server may open, as the administrator of a machine does.
    pub fn open_files(self, limit: u32) -> Plan {
        self.through_shell(&format!("ulimit -n {limit}"))
    }

    /// Limits how many files the server may open at first; it may raise the limit.
    pub fn soft_open_files(self, limit: u32) -> Plan {
        self.through_shell(&format!("ulimit -S -n {limit}"))
    }

    /// Starts the server behind a command of the shell.
    fn through_shell(mut self, before: &str) -> Plan {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{before} && exec \"$@\""), "sh"]);
        command.arg(self.command.get_program());
        command.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(self.folder.at(""));
        self.command = command;
        self
    }

    /// Starts the server without waiting for anything.
    pub fn spawn(self) -> Server {
        let stdout = File::create(self.folder.at("out/stdout")).unwrap();
        self.spawn_on(stdout.into())
    }

    /// Starts the server with another stdout than a file.
    pub fn spawn_on(mut self, stdout: Stdio) -> Server {
        let stderr = File::create(self.folder.at("out/stderr")).unwrap();
        self.command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        let child = self.command.spawn().unwrap();
        // It has a copy of what the child prints to.
        self.command = Command::new("true");
        self.adopt(child)
    }

    /// Wraps a child that was started by other means on the plan's addresses.
    pub fn adopt(self, child: Child) -> Server {
        let channel = check_client::channel(&format!("http://127.0.0.1:{}", self.port));
        Server {
            child,
            folder: self.folder,
            port: self.port,
            admin: self.admin,
            channel,
        }
    }

    /// Starts the server and waits until it is ready.
    pub fn start(self) -> Server {
        let server = self.spawn();
        server.until("ready", || {
            server.get("/readyz").filter(|ready| ready.0 == 200)
        });
        server
    }

    /// Starts the server and expects it to end by itself.
    pub fn fails(self) -> Ended {
        self.spawn().end()
    }
}

/// Returns a command for the binary with an empty environment, so that it does not depend on the
/// caller's.
pub fn command() -> Command {
    let mut command = Command::new(crate::customs_binary());
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CUSTOMS_"))
    {
        command.env_remove(name);
    }
    command
}

/// A running server. It does not outlive this value.
pub struct Server {
    pub folder: Folder,
    pub port: u16,
    pub admin: u16,
    pub channel: Channel,
    child: Child,
}

/// What a process leaves behind.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Server {
    /// Waits for a value, or fails with what was waited for and the server's own output.
    pub fn until<T>(&self, what: &str, ask: impl FnMut() -> Option<T>) -> T {
        let status = || self.get("/status").unwrap_or_default().1;
        wait_for(ask).unwrap_or_else(|| {
            panic!(
                "{what}: never\n{}\n{}",
                status(),
                self.folder.text("out/stderr")
            )
        })
    }

    /// Returns the status code and the body of an answer of the admin address.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        http::get(self.admin, "localhost", path)
            .ok()
            .map(|answer| (answer.status, answer.body))
    }

    /// Returns the number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").expect("the admin address answers").1).unwrap()
    }

    pub fn revision(&self) -> String {
        self.status()["revision"].as_str().unwrap().to_owned()
    }

    /// Waits until another revision is in force, and returns it.
    pub fn revision_after(&self, old: &str) -> String {
        self.until("another revision", || {
            Some(self.revision()).filter(|now| now != old)
        })
    }

    /// Waits until the source at this index is in this state, and returns the source.
    pub fn source(&self, index: usize, state: &str) -> Value {
        let source = || self.status()["sources"][index].clone();
        self.until(state, || {
            Some(source()).filter(|source| source["state"] == state)
        })
    }

    /// Returns the answer to a check of a pod of `demo-frontend` for this host.
    pub fn check(&self, host: &str) -> Answer {
        check_client::wait(check_client::check(
            &self.channel,
            check_client::http(check_client::SLEEP, host),
        ))
        .unwrap()
    }

    /// Sends a signal by its short name.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end and returns how it ended.
    pub fn end(&mut self) -> Ended {
        let status = wait_for(|| self.child.try_wait().unwrap());
        let text = |name| self.folder.text(name);
        let (stdout, stderr) = (text("out/stdout"), text("out/stderr"));
        let status = status.unwrap_or_else(|| panic!("it did not end in {PATIENCE:?}:\n{stderr}"));
        assert!(!stderr.contains("panicked"), "{stderr}");
        Ended {
            code: status.code(),
            stdout,
            stderr,
        }
    }

    /// Sends SIGTERM and expects an orderly end.
    pub fn stop(&mut self) -> Ended {
        self.signal("TERM");
        let ended = self.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the child is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns whether something listens on a loopback port.
pub fn listens(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Runs the binary with these arguments to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Ended {
    let output = command()
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
