//! Envoy processes: fills in the configurations of `deploy/local/`, starts the processes, and waits
//! until they are ready.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::{Guard, Process};
use crate::{http, ports};

/// The replacement of each `${WORD}` in a configuration.
pub type Words = BTreeMap<&'static str, String>;

/// What all Envoys of a rig have in common.
pub struct Envoys {
    pub binary: PathBuf,
    pub scratch: PathBuf,
    pub guard: Arc<Guard>,
    pub words: Words,
}

/// A running Envoy.
pub struct Envoy {
    process: Process,
    pub admin_port: u16,
}

impl Envoy {
    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns its configuration, as it reports it.
    pub fn config(&self) -> Result<Value> {
        let answer = http::get(self.admin_port, "localhost", "/config_dump")?;
        serde_json::from_str(&answer.body).with_context(|| format!("no JSON but {}", answer.body))
    }

    /// Returns the path of its log.
    pub fn log(&self) -> &Path {
        self.process.log()
    }
}

impl Envoys {
    /// Starts one from the configuration `deploy/local/FILE.yaml`, under this name and with these
    /// additional words.
    pub fn start(&self, file: &str, name: &str, more: &[(&'static str, u16)]) -> Result<Envoy> {
        let admin_port = ports::free()?;
        let mut words = self.words.clone();
        words.insert("NAME", name.to_owned());
        words.insert("ADMIN_PORT", admin_port.to_string());
        words.extend(more.iter().map(|(word, port)| (*word, port.to_string())));
        let source = crate::repository()
            .join("deploy/local")
            .join(format!("{file}.yaml"));
        let text = fs::read_to_string(&source).with_context(|| source.display().to_string())?;
        let config = self.scratch.join(format!("{name}.yaml"));
        fs::write(
            &config,
            fill_in(&text, &words).with_context(|| source.display().to_string())?,
        )?;
        let process = self.run(name, &config, admin_port)?;
        Ok(Envoy {
            process,
            admin_port,
        })
    }

    /// Starts one with a configuration file that is complete.
    pub fn run(&self, name: &str, config: &Path, admin_port: u16) -> Result<Process> {
        let mut command = Command::new(&self.binary);
        command.arg("--config-path").arg(config);
        // One worker each, since four of them share a laptop. No hot restart, since they would
        // share its memory.
        command.args([
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ]);
        // Access logs are read by people and tests that wait; the default is ten seconds.
        command.args(["--file-flush-interval-msec", "100"]);
        let log = self.scratch.join(format!("{name}.log"));
        let mut process = Process::start(name, &mut command, &log, &self.guard)?;
        process.wait_until_ready(|| {
            http::get(admin_port, "localhost", "/ready").is_ok_and(|it| it.status == 200)
        })?;
        Ok(process)
    }
}

/// Replaces every known `${WORD}`. One that is left over is a mistake in the file or in the caller.
pub(crate) fn fill_in(text: &str, words: &Words) -> Result<String> {
    let mut filled = text.to_owned();
    for (word, value) in words {
        filled = filled.replace(&format!("${{{word}}}"), value);
    }
    let left: Vec<&str> = filled
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && line.contains("${"))
        .collect();
    ensure!(
        left.is_empty(),
        "nothing to fill in for: {}",
        left.join("; ")
    );
    Ok(filled)
}
