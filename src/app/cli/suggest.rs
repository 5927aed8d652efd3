//! The command line of `customs suggest`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::{TimeArgs, VerdictArgs};
use crate::app::policy_paths::PolicyPath;
use crate::app::record_files::RecordArgs;

/// The heading of the flags that shape grants.
const GRANTS: &str = "Grants";

/// The flags of `suggest`.
#[derive(Debug, Args)]
pub struct SuggestArgs {
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    /// Write a file for each namespace into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
    /// Print which grants of these policies are not needed
    ///
    /// Several directories, separated by commas, are the sources of one set.
    #[arg(
        long,
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        value_delimiter = ',',
        conflicts_with_all = ["output", "suffixes", "group_suffix", "share", "one_off",
            "without_one_offs", "by"]
    )]
    pub(crate) tighten: Vec<PolicyPath>,
    /// With --tighten, warn if the decisions cover fewer days
    #[arg(long, value_name = "N", default_value_t = 7, requires = "tighten")]
    pub(crate) min_days: u32,
    /// The format of the report
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: SuggestFormat,
    /// The answer whose allow counts as a request that crossed
    #[arg(
        long,
        value_name = "ANSWER",
        default_value = "effect",
        help_heading = "Records"
    )]
    pub(crate) by: CrossedBy,
    /// Only callers of this namespace; repeatable
    #[arg(long = "namespace", value_name = "NS", help_heading = "Records")]
    pub(crate) namespaces: Vec<String>,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    /// Grant hosts below this name as one suffix, such as example.com; repeatable
    #[arg(long = "suffix", value_name = "NAME", value_parser = suffix, help_heading = GRANTS)]
    pub(crate) suffixes: Vec<String>,
    /// Grant hosts as one suffix if an account has at least N below the same name
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..), help_heading = GRANTS)]
    pub(crate) group_suffix: Option<u32>,
    /// Make a DestinationSet of hosts that at least N accounts share; 0 makes none
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = GRANTS)]
    pub(crate) share: u32,
    /// Mark grants that were used at most N times
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = GRANTS)]
    pub(crate) one_off: u64,
    /// Leave these grants out
    #[arg(long, help_heading = GRANTS)]
    pub(crate) without_one_offs: bool,
    /// List the methods and paths of hosts that were used at least N times
    ///
    /// They are listed only if none of them was new in the second half of the time.
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = GRANTS)]
    pub(crate) steady: u64,
    #[command(flatten)]
    pub(crate) settings: VerdictArgs,
}

/// What counts as having crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CrossedBy {
    /// The answer that Envoy got
    Effect,
    /// The answer of the enforced rules
    Verdict,
    /// The answer if every dry run is enforced too
    DryRun,
}

/// How `suggest` prints its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SuggestFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
}

/// Why a suffix is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a name in lower case with a dot in it, such as example.com, without `*.`")]
struct SuffixError;

fn suffix(text: &str) -> Result<String, SuffixError> {
    let is_label = customs_engine::identity::is_dns_subdomain(text);
    match is_label && text.contains('.') {
        true => Ok(text.to_owned()),
        false => Err(SuffixError),
    }
}
