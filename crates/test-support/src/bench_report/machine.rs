//! Where and with which tools figures were measured; figures mean nothing without it.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// The machine and the tools.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub date: String,
    pub processor: String,
    pub processors: usize,
    pub kernel: String,
    /// The load of the machine at the start: the mean number of running processes in the last
    /// minute.
    pub busy: String,
    pub rustc: String,
    /// The tools that a benchmark runs, such as Envoy, with their versions.
    #[serde(flatten)]
    pub tools: BTreeMap<String, String>,
    pub commit: String,
}

impl Machine {
    /// Looks at this machine.
    ///
    /// # Errors
    /// If Linux or rustc do not say what they are.
    pub fn look() -> Result<Machine> {
        let information = fs::read_to_string("/proc/cpuinfo")?;
        let model = information
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let busy = fs::read_to_string("/proc/loadavg")?;
        let date = jiff::Timestamp::now().to_string();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let rustc = output_of("rustc", &["--version"])?;
        Ok(Machine {
            date: date.chars().take(10).collect(),
            processor: model
                .map_or("unknown processor", |(_, name)| name)
                .to_owned(),
            processors: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            kernel: kernel.trim().to_owned(),
            busy: busy.split(' ').next().unwrap_or_default().to_owned(),
            rustc: rustc.split(' ').nth(1).unwrap_or_default().to_owned(),
            tools: BTreeMap::new(),
            // A copy without its history has no commit.
            commit: output_of("git", &["describe", "--always", "--dirty"])
                .unwrap_or_else(|_| "unknown".to_owned()),
        })
    }

    /// Adds a tool with its version.
    #[must_use]
    pub fn with_tool(mut self, name: &str, version: &str) -> Machine {
        self.tools.insert(name.to_owned(), version.to_owned());
        self
    }

    /// Returns all of it in one sentence.
    pub fn sentence(&self) -> String {
        let tools = self.tools.iter().map(|(name, version)| match &**name {
            "envoy" => format!(", Envoy {version}"),
            name => format!(", {name} {version}"),
        });
        format!(
            "{}: {}, {} processors, Linux {}; rustc {}{}; commit {}; {} processes were running on average in the minute \
             before.",
            self.date,
            self.processor,
            self.processors,
            self.kernel,
            self.rustc,
            tools.collect::<String>(),
            self.commit,
            self.busy
        )
    }

    /// Returns when, where and of which commit, for the notes of a plot.
    pub fn short(&self) -> String {
        format!(
            "{}, {}, {} processors, commit {}",
            self.date, self.processor, self.processors, self.commit
        )
    }
}

fn output_of(program: &str, arguments: &[&str]) -> Result<String> {
    let done = Command::new(program)
        .args(arguments)
        .current_dir(crate::repository())
        .output();
    let done = done.with_context(|| format!("{program} does not run"))?;
    ensure!(
        done.status.success(),
        "{program} failed: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}
