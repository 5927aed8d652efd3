//! The command line of `customs audit search`.

use clap::Args;

use super::audit::{EffectFilter, FilterArgs, TailFormat};
use super::times::TimeArgs;
use crate::app::record_files::RecordArgs;

/// The flags of `audit search`.
#[derive(Clone, Debug, Args)]
pub struct SearchArgs {
    #[command(flatten)]
    pub(crate) files: RecordArgs,
    /// Print only how many records there are
    #[arg(long, conflicts_with_all = ["first", "last", "format"])]
    pub(crate) count: bool,
    /// Print only the first N records
    #[arg(long, value_name = "N", conflicts_with = "last", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) first: Option<u64>,
    /// Print only the last N records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) last: Option<u32>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "pretty")]
    pub(crate) format: TailFormat,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) decision: DecisionFilterArgs,
}

/// Which decisions are meant, besides what a server can select by.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Records")]
pub struct DecisionFilterArgs {
    /// The id of a decision, as the caller got it; repeatable
    #[arg(long = "decision-id", value_name = "ID")]
    pub(crate) decision_ids: Vec<String>,
    /// A rule, such as ep:shop/egress#no-aliyun, or a policy; repeatable
    ///
    /// A policy such as ep:shop/egress means all its rules. A record matches if the rule
    /// decides the verdict or the dry run, is the exception that applies, or marks the request.
    #[arg(long = "rule", value_name = "RULE")]
    pub(crate) rules: Vec<String>,
    /// The owner of the rule of the verdict or of the dry run; repeatable
    #[arg(long = "owner", value_name = "OWNER")]
    pub(crate) owners: Vec<String>,
    /// A service account of the caller, or NAMESPACE/ACCOUNT; repeatable
    #[arg(long = "account", value_name = "ACCOUNT")]
    pub(crate) accounts: Vec<String>,
    /// What the enforced rules say
    #[arg(long, value_name = "EFFECT")]
    pub(crate) verdict: Option<EffectFilter>,
    /// What the rules say if every dry run is enforced too
    #[arg(long, value_name = "EFFECT")]
    pub(crate) dry_run: Option<EffectFilter>,
    /// The revision of the policy set, or how it begins; repeatable
    #[arg(long = "revision", value_name = "REVISION")]
    pub(crate) revisions: Vec<String>,
}
