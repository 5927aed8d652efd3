//! The command line of `customs replay`.

use std::path::PathBuf;

use super::{TimeArgs, VerdictArgs};
use crate::app::policy_paths::PolicyPath;
use crate::app::record_files::RecordArgs;
use clap::{Args, ValueEnum, ValueHint};

/// The flags of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    /// The directory of the new policies
    ///
    /// Several directories, separated by commas, are the sources of one set.
    #[arg(long, value_name = "DIR", required = true, value_delimiter = ',', value_hint = ValueHint::DirPath)]
    pub(crate) policies: Vec<PolicyPath>,
    /// A YAML file with the verdicts that are expected to change
    ///
    /// Any other change fails.
    #[arg(long, value_name = "FILE")]
    pub(crate) expect: Option<PathBuf>,
    /// Fail if an expected change did not happen
    #[arg(long, requires = "expect")]
    pub(crate) require_expected: bool,
    /// The number of rows in each table
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: ReplayFormat,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) settings: VerdictArgs,
}

/// How `replay` prints its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReplayFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
}
