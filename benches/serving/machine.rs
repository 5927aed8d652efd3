//! Where and with which tools the figures were measured; figures mean nothing without it.

use std::fs;
use std::num::NonZeroUsize;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::session::Session;

/// The machine and the tools.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub date: String,
    pub processor: String,
    pub processors: usize,
    pub kernel: String,
    /// The load of the machine at the start: the mean number of running processes in the last
    /// minute.
    pub busy: String,
    pub rustc: String,
    pub envoy: String,
    pub h2load: String,
    pub commit: String,
}

impl Machine {
    pub(crate) fn look(session: &Session) -> Result<Machine> {
        let information = fs::read_to_string("/proc/cpuinfo")?;
        let model = information
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let busy = fs::read_to_string("/proc/loadavg")?;
        Ok(Machine {
            date: jiff::Timestamp::now()
                .to_string()
                .chars()
                .take(10)
                .collect(),
            processor: model
                .map_or("unknown processor", |(_, name)| name)
                .to_owned(),
            processors: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            busy: busy.split(' ').next().unwrap_or_default().to_owned(),
            rustc: said("rustc", &["--version"])?
                .split(' ')
                .nth(1)
                .unwrap_or_default()
                .to_owned(),
            envoy: session.envoy.version.clone(),
            h2load: session.h2load.version.clone(),
            // A copy without its history has no commit.
            commit: said("git", &["describe", "--always", "--dirty"])
                .unwrap_or_else(|_| "unknown".to_owned()),
        })
    }

    pub(crate) fn sentence(&self) -> String {
        format!(
            "{}: {}, {} processors, Linux {}; rustc {}, Envoy {}, h2load {}; commit {}; {} processes were running on average \
             in the minute before.",
            self.date,
            self.processor,
            self.processors,
            self.kernel,
            self.rustc,
            self.envoy,
            self.h2load,
            self.commit,
            self.busy
        )
    }
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let done = Command::new(program)
        .args(arguments)
        .current_dir(customs_test_support::repository())
        .output();
    let done = done.with_context(|| format!("{program} does not run"))?;
    anyhow::ensure!(
        done.status.success(),
        "{program} failed: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}
