//! The command line of `customs audit search`.

use clap::Args;

use super::audit::{Color, EffectFilter, FilterArgs, TailFormat};
use super::times::TimeArgs;
use crate::app::record_files::RecordArgs;

/// The flags of `audit search`.
#[derive(Clone, Debug, Args)]
pub struct SearchArgs {
    #[command(flatten)]
    pub(crate) files: RecordArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) decision: DecisionFilterArgs,
    /// Print only how many records there are
    #[arg(long, conflicts_with_all = ["first", "last", "format", "color"])]
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
    /// When to colour lines; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// Which decisions are meant, besides what a server can select by.
#[derive(Clone, Debug, Default, Args)]
pub struct DecisionFilterArgs {
    /// The id of a decision, as the caller got it; repeatable
    #[arg(long = "decision-id", value_name = "ID")]
    pub(crate) decision_ids: Vec<String>,
    /// A rule (ep:shop/egress#no-aliyun), or a policy for all its rules (ep:shop/egress): of the
    /// verdict, of the dry run, of an exception, or that marks the request; repeatable
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
    /// What they would say if every dry run were enforced too
    #[arg(long, value_name = "EFFECT")]
    pub(crate) dry_run: Option<EffectFilter>,
    /// The revision of the policy set, or how it begins; repeatable
    #[arg(long = "revision", value_name = "REVISION")]
    pub(crate) revisions: Vec<String>,
}
