//! The command line of `customs suggest`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{TimeArgs, VerdictArgs};
use crate::app::policy_paths::PolicyPath;
use crate::app::record_files::RecordArgs;

/// The flags of `suggest`.
#[derive(Debug, Args)]
pub struct SuggestArgs {
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) settings: VerdictArgs,
    /// What counts as having crossed: an allow of this answer
    #[arg(long, value_name = "ANSWER", default_value = "effect")]
    pub(crate) by: CrossedBy,
    /// Only callers of this namespace; repeatable
    #[arg(long = "namespace", value_name = "NS")]
    pub(crate) namespaces: Vec<String>,
    /// Grant hosts below this name as one suffix, such as example.com; repeatable
    #[arg(long = "suffix", value_name = "NAME", value_parser = suffix)]
    pub(crate) suffixes: Vec<String>,
    /// Grant hosts as one suffix if an account has at least N below the same name
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) group_suffix: Option<u32>,
    /// Make a DestinationSet of hosts that at least N accounts share; 0 makes none
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) share: u32,
    /// Mark grants that were used at most N times
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) one_off: u64,
    /// Leave these grants out
    #[arg(long)]
    pub(crate) without_one_offs: bool,
    /// List methods and paths of hosts that were used at least N times, if none of them was new in
    /// the second half of that time
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) steady: u64,
    /// Write a file for each namespace into this directory, instead of printing
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Print which grants of these policies are not needed, instead of new policies; several
    /// directories, separated by commas, are the sources of one set
    #[arg(
        long,
        value_name = "DIR",
        value_delimiter = ',',
        conflicts_with_all = ["output", "suffixes", "group_suffix", "share", "one_off",
            "without_one_offs", "by"]
    )]
    pub(crate) tighten: Vec<PolicyPath>,
    /// With --tighten: say so if the decisions cover fewer days
    #[arg(long, value_name = "N", default_value_t = 7, requires = "tighten")]
    pub(crate) min_days: u32,
    /// The format of the report
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: SuggestFormat,
}

/// What counts as having crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CrossedBy {
    /// What Envoy was told
    Effect,
    /// What the enforced rules said
    Verdict,
    /// What the rules in dry run said too
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
