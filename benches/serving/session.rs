//! What all parts share: the tools, a scratch folder, the processes' guard, and which floor is
//! used.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::arguments::{Arguments, Sizes};
use crate::floor::Layout;
use customs_test_support::process::Guard;
use customs_test_support::repository;
use customs_test_support::tools::{self, Tool};

/// The tool of util-linux that says on which processors a process runs.
const TASKSET: &str = "taskset";

/// Lets every thread of this process run on these processors only.
fn run_on(processors: &str) -> Result<()> {
    let mut command = Command::new(TASKSET);
    command.args(["--all-tasks", "--cpu-list", "--pid", processors]);
    let done = command
        .arg(process::id().to_string())
        .output()
        .context("taskset does not run; install util-linux")?;
    ensure!(
        done.status.success(),
        "taskset cannot use the processors {processors}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// One run of the benchmark.
pub(crate) struct Session {
    pub envoy: Tool,
    pub h2load: Tool,
    pub sizes: Sizes,
    /// The layout in which tonic costs less, once that is known.
    pub cheaper: Option<Layout>,
    /// Another build of customs, to compare with.
    pub earlier: Option<PathBuf>,
    /// The number of processors, while servers have the first of them for themselves.
    apart: Option<usize>,
    pub scratch: TempDir,
    pub guard: Arc<Guard>,
}

impl Session {
    pub(crate) fn begin(arguments: &Arguments) -> Result<Session> {
        let scratch = tempfile::Builder::new()
            .prefix("customs-bench-")
            .tempdir()?;
        let guard = Guard::over(scratch.path())?;
        let (envoy, h2load) = (tools::envoy()?, tools::h2load()?);
        Ok(Session {
            envoy,
            h2load,
            sizes: arguments.sizes(),
            cheaper: None,
            earlier: arguments.earlier.clone(),
            apart: None,
            scratch,
            guard,
        })
    }

    /// Creates a folder for a server.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Lets servers that are started from now on run on the first processor, and this process, with
    /// all other children, on the others. Without a second processor nothing changes.
    pub(crate) fn separate_processors(&mut self) -> Result<()> {
        let count = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        if count > 1 {
            run_on(&format!("1-{}", count - 1))?;
            self.apart = Some(count);
        }
        Ok(())
    }

    /// Lets everything that is started from now on run on every processor again.
    pub(crate) fn join_processors(&mut self) -> Result<()> {
        match self.apart.take() {
            Some(count) => run_on(&format!("0-{}", count - 1)),
            None => Ok(()),
        }
    }

    /// Returns a command that starts a server where servers are to run.
    pub(crate) fn command(&self, program: &Path) -> Command {
        if self.apart.is_none() {
            return Command::new(program);
        }
        let mut command = Command::new(TASKSET);
        command.args(["--cpu-list", "0"]).arg(program);
        command
    }
}

/// Returns the path of a check as Envoy sent it, with the five bytes that gRPC puts before a
/// message.
pub(crate) fn framed_check() -> PathBuf {
    repository().join("tests/captures/check_request.grpc")
}

/// Returns that check's message, without the five bytes.
pub(crate) fn check_message() -> Result<Vec<u8>> {
    let framed = std::fs::read(framed_check())?;
    let (_prefix, message) = framed
        .split_first_chunk::<5>()
        .context("the captured check is too short")?;
    Ok(message.to_vec())
}

/// Returns the order in which `count` subjects are measured in a round: it starts from another one
/// each time, and from the first in round one, which is the first that counts.
pub(crate) fn order(count: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| (place + count - 1 + round) % count)
}
