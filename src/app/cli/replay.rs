//! The command line of `customs replay`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::VerdictArgs;
use crate::app::policy_paths::PolicyPath;

/// The flags of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    /// The directory of the new policies; several, separated by commas, are the sources of one set
    #[arg(long, value_name = "DIR", required = true, value_delimiter = ',')]
    pub(crate) policies: Vec<PolicyPath>,
    #[command(flatten)]
    pub(crate) settings: VerdictArgs,
    /// A YAML file with the verdicts that are meant to change; any other change fails
    #[arg(long, value_name = "FILE")]
    pub(crate) expect: Option<PathBuf>,
    /// Fail if an expected change did not happen, instead of only saying so
    #[arg(long, requires = "expect")]
    pub(crate) require_expected: bool,
    /// The number of rows in each table
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: ReplayFormat,
}

/// The records to read.
#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// Files of the audit log, as JSON lines or protobuf, plain or .gz; - reads stdin
    #[arg(value_name = "RECORD", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Read only decisions from this time on, such as 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Read only decisions before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
}

/// How `replay` prints its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReplayFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
}
