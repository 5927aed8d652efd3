//! What all parts share: the tools, a scratch folder, the processes' guard, and which floor is
//! used.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use tempfile::TempDir;

use crate::arguments::{Arguments, Sizes};
use crate::floor::Layout;
use customs_test_support::process::Guard;
use customs_test_support::repository;
use customs_test_support::tools::{self, Tool};

/// One run of the benchmark.
pub(crate) struct Session {
    pub envoy: Tool,
    pub h2load: Tool,
    pub sizes: Sizes,
    /// The layout in which tonic costs less, once that is known.
    pub cheaper: Option<Layout>,
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
}

/// Returns the path of a check as Envoy sent it, with the five bytes that gRPC puts before a
/// message.
pub(crate) fn framed_check() -> PathBuf {
    repository().join("tests/captures/check_request.grpc")
}

/// Returns the order in which `count` subjects are measured in a round: it starts from another one
/// each time, and from the first in round one, which is the first that counts.
pub(crate) fn order(count: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| (place + count - 1 + round) % count)
}
