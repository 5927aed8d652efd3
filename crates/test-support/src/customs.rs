//! The customs binary as a running process, with an operator's questions: is it ready, and which
//! revision is in force.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::audit::Audit;
use crate::policies::{Policies, SEED};
use crate::process::{Guard, Process, last_words};
use crate::{http, ports};

/// A customs process that can be started, killed and started again on the same addresses.
pub struct Customs {
    binary: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    guard: Arc<Guard>,
    process: Option<Process>,
    pub port: u16,
    pub admin_port: u16,
    pub policies: Policies,
    pub audit: Audit,
}

impl Customs {
    /// Prepares everything in a scratch folder. [`Customs::start`] starts the process.
    pub fn prepare(binary: &Path, scratch: &Path, guard: &Arc<Guard>) -> Result<Customs> {
        let (port, admin_port) = (ports::free()?, ports::free()?);
        let policies = Policies::create(scratch.join("policies"))?;
        let audit = Audit::at(scratch.join("audit.jsonl"));
        let arguments = vec![
            "serve".to_owned(),
            format!("--policies={}", policies.folder().display()),
            format!("--listen=127.0.0.1:{port}"),
            format!("--admin=127.0.0.1:{admin_port}"),
            format!("--audit=file:{}", audit.path().display()),
            "--reload-settle=50ms".to_owned(),
        ];
        let (binary, guard, log) = (
            binary.to_path_buf(),
            Arc::clone(guard),
            scratch.join("customs.log"),
        );
        Ok(Customs {
            binary,
            arguments,
            log,
            guard,
            process: None,
            port,
            admin_port,
            policies,
            audit,
        })
    }

    /// Starts a replica with the seed's policies in a folder of its own below `scratch`.
    pub fn start_replica(
        (binary, arguments): (&Path, &[String]),
        (scratch, name): (&Path, &str),
        guard: &Arc<Guard>,
    ) -> Result<Customs> {
        let folder = scratch.join(name);
        std::fs::create_dir(&folder)?;
        let mut customs = Customs::prepare(binary, &folder, guard)?;
        customs.arguments.extend_from_slice(arguments);
        customs.policies.add(SEED)?;
        customs.start()?;
        Ok(customs)
    }

    /// Adds one more argument for the next start.
    pub fn argument(&mut self, text: String) {
        self.arguments.push(text);
    }

    /// Starts it, unless it is running, and waits until it is ready to decide.
    pub fn start(&mut self) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments);
        // Variables that the caller's shell happens to export must not decide what the rig runs.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CUSTOMS_"))
        {
            command.env_remove(name);
        }
        let mut process = Process::start("customs", &mut command, &self.log, &self.guard)?;
        let admin = self.admin_port;
        process.wait_until_ready(|| {
            http::get(admin, "localhost", "/readyz").is_ok_and(|answer| answer.status == 200)
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Kills it as an out-of-memory killer would.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Sends a signal by its short name, such as `TERM`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let process = self.process.as_ref().context("customs does not run")?;
        process.signal(name)
    }

    /// Waits for its end after a signal, and returns how it ended.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let process = self.process.take().context("customs does not run")?;
        process.end_by_itself()
    }

    /// Returns the process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Returns the command line that it is started with.
    pub fn command_line(&self) -> String {
        format!("{} {}", self.binary.display(), self.arguments.join(" "))
    }

    /// Returns the path of its own log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Returns the end of its own log.
    pub fn last_words(&self) -> String {
        last_words(&self.log)
    }

    /// Returns the body of `/status`.
    pub fn status_text(&self) -> Result<String> {
        Ok(http::get(self.admin_port, "localhost", "/status")?.body)
    }

    /// Returns the revision in force.
    pub fn revision(&self) -> Result<String> {
        let text = self.status_text()?;
        let status: Value =
            serde_json::from_str(&text).with_context(|| format!("/status is not JSON: {text}"))?;
        let revision = status.get("revision").and_then(Value::as_str);
        Ok(revision
            .with_context(|| format!("/status has no revision: {text}"))?
            .to_owned())
    }

    /// Waits until another revision than `old` is in force, and returns it.
    pub fn revision_after(&self, old: &str) -> Result<String> {
        let new = crate::wait_for(|| {
            self.revision()
                .ok()
                .filter(|now| !now.is_empty() && now != old)
        });
        new.with_context(|| {
            format!(
                "/status still says revision {old}: {}",
                self.status_text().unwrap_or_default()
            )
        })
    }

    /// Waits until `/status` contains this text, as for a refused file.
    pub fn status_mentions(&self, text: &str) -> Result<()> {
        crate::wait_for(|| self.status_text().ok()?.contains(text).then_some(())).with_context(
            || {
                format!(
                    "/status never mentioned {text}: {}",
                    self.status_text().unwrap_or_default()
                )
            },
        )
    }
}
