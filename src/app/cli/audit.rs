//! The command line of `customs audit`: tools for readers of the audit log.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum, ValueHint};

use super::{ClientTlsArgs, SearchArgs, TimeArgs};
use crate::app::record_files::RecordArgs;
use customs_engine::reason::Reason;
use customs_policy::suggestion::nearest;
use customs_record::fields::KINDS;

/// The tools for an audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify that an audit log is complete and unchanged
    ///
    /// The command checks the hash chain of each stream and, with --key, the signatures of its
    /// checkpoints.
    Verify(VerifyArgs),
    /// Cut a window of time out of the audit log, with its proof
    ///
    /// The bundle is a directory that an auditor can check without customs. It has the records, the
    /// proof that none between them is missing, and with --policy-archive the policies that were in
    /// force.
    Extract(Box<ExtractArgs>),
    /// Print the records of a file or of a running server
    ///
    /// Each record is a line. With --follow or --server, the command prints new records as they are
    /// written.
    Tail(Box<TailArgs>),
    /// Count records by caller, host, reason and rule
    ///
    /// The output says which callers were denied which hosts, why, and what the dry run denies.
    Stats(Box<StatsArgs>),
    /// Write records as Parquet files
    ///
    /// DuckDB, ClickHouse, Spark and other query engines read them.
    Export(Box<ExportArgs>),
    /// Print the records of a time, a caller, a host or a rule
    ///
    /// A record is printed if it matches one value of each flag. The order is that of time.
    Search(Box<SearchArgs>),
}

/// The flags of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The files of one sink; - reads stdin
    ///
    /// Rotated and compressed files belong to them. The order does not matter.
    #[arg(value_name = "FILE", required_unless_present = "bundle")]
    pub(crate) files: Vec<PathBuf>,
    /// Verify a bundle of audit extract instead
    ///
    /// Without --key, the keys in the bundle are used.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["files", "checkpoints"])]
    pub(crate) bundle: Option<PathBuf>,
    /// The checkpoint file that the server wrote
    ///
    /// With it, records that are missing at the end are found too.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoints: Option<PathBuf>,
    /// The Ed25519 public key (PEM) that signed the checkpoints; repeatable
    ///
    /// Give every key if the key was rotated.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Vec<PathBuf>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: VerifyFormat,
}

/// The flags of `audit extract`.
#[derive(Clone, Debug, Args)]
pub struct ExtractArgs {
    #[command(flatten)]
    pub(crate) files: RecordArgs,
    /// The directory to write; it must not exist
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) output: PathBuf,
    /// The Ed25519 public key (PEM) that signed the checkpoints; repeatable
    ///
    /// Give every key if the key was rotated.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Vec<PathBuf>,
    /// The checkpoint file that the server wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoints: Option<PathBuf>,
    /// The policy archive that the server wrote
    ///
    /// The bundle gets the policies of each revision that its records name.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) policy_archive: Option<PathBuf>,
    /// Write the bundle even if the archive does not have every revision
    #[arg(long, requires = "policy_archive")]
    pub(crate) allow_missing_policies: bool,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: VerifyFormat,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// How `audit verify` prints its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VerifyFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
}

/// The flags of `audit tail`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("from").required(true).args(["file", "server"]))]
pub struct TailArgs {
    /// A file of the audit log, plain or .gz; - reads stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A running server: HOST:PORT, https://HOST:PORT or unix:PATH
    ///
    /// The address is that of a tail: sink of the server.
    #[arg(long, value_name = "ADDR")]
    pub(crate) server: Option<String>,
    /// Wait for more records at the end of the file, across rotations
    #[arg(long, short, requires = "file")]
    pub(crate) follow: bool,
    /// Start with the oldest record that the server still has
    ///
    /// Without this flag, only new records are printed.
    #[arg(long, requires = "server", conflicts_with = "resume")]
    pub(crate) from_start: bool,
    /// Resume after this record
    #[arg(long, value_name = "STREAM:SEQUENCE", requires = "server", value_parser = place)]
    pub(crate) resume: Option<(String, u64)>,
    /// Exit after N records
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "pretty")]
    pub(crate) format: TailFormat,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) tls: ClientTlsArgs,
}

/// Which records are printed: a record must match one value of each flag.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Records")]
pub struct FilterArgs {
    /// A namespace of the caller; repeatable
    #[arg(long = "namespace", value_name = "NS")]
    pub(crate) namespaces: Vec<String>,
    /// A host, or *.example.com for all names below it; repeatable
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// A reason of the verdict; repeatable
    #[arg(long = "reason", value_name = "REASON", value_parser = reason)]
    pub(crate) reasons: Vec<String>,
    /// The answer that Envoy got
    #[arg(long, value_name = "EFFECT")]
    pub(crate) effect: Option<EffectFilter>,
    /// A kind of record, such as decision or policyChange; repeatable
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    pub(crate) kinds: Vec<String>,
}

/// The answer that Envoy got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EffectFilter {
    /// The request was allowed
    Allow,
    /// The request was denied
    Deny,
}

impl EffectFilter {
    /// Returns the word in records.
    pub(crate) fn word(self) -> &'static str {
        match self {
            EffectFilter::Allow => "allow",
            EffectFilter::Deny => "deny",
        }
    }
}

/// How `audit tail` and `audit search` print records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TailFormat {
    /// Text for people
    Pretty,
    /// The JSON lines as they are in the file
    Json,
}

/// The flags of `audit stats`.
#[derive(Clone, Debug, Args)]
pub struct StatsArgs {
    #[command(flatten)]
    pub(crate) files: RecordArgs,
    /// The number of rows in each table
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) top: usize,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: StatsFormat,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
}

/// How `audit stats` prints numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
}

/// The flags of `audit export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub(crate) files: RecordArgs,
    /// The output: a file that ends in .parquet, or a directory
    ///
    /// A directory must be empty, or must not exist.
    #[arg(long, value_name = "FILE|DIR", required = true)]
    pub(crate) parquet: PathBuf,
    /// Write the records of each day into a directory, such as date=2026-11-24
    #[arg(long, value_name = "BY")]
    pub(crate) partition: Option<ExportPartition>,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// What has a directory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportPartition {
    /// Each day, by UTC
    Day,
}

/// Why the value of a flag is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum FlagError {
    #[error("{meant}expected one of: {known}")]
    NotOneOf { meant: String, known: String },
    #[error("expected the `stream` and the `sequence` of a record, separated by a colon")]
    Place,
}

/// Parses a reason of verdicts.
fn reason(text: &str) -> Result<String, FlagError> {
    one_of(text, &Reason::ALL.map(Reason::as_str))
}

/// Parses a kind of records.
fn kind(text: &str) -> Result<String, FlagError> {
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    one_of(text, &kinds)
}

/// Parses one of a closed list of words.
fn one_of(text: &str, known: &[&str]) -> Result<String, FlagError> {
    if known.contains(&text) {
        return Ok(text.to_owned());
    }
    let meant = nearest(text, known)
        .map(|meant| format!("did you mean `{meant}`? "))
        .unwrap_or_default();
    Err(FlagError::NotOneOf {
        meant,
        known: known.join(", "),
    })
}

/// Parses `STREAM:SEQUENCE`.
fn place(text: &str) -> Result<(String, u64), FlagError> {
    let parts = text
        .rsplit_once(':')
        .and_then(|(stream, number)| Some((stream, number.parse::<u64>().ok()?)));
    match parts {
        Some((stream, sequence)) if !stream.is_empty() => Ok((stream.to_owned(), sequence)),
        _ => Err(FlagError::Place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_no_record_can_have_is_refused_with_the_one_that_was_meant() {
        for word in ["decision", "policyChange", "callerGone", "checkpoint"] {
            assert_eq!(kind(word), Ok(word.into()));
        }
        for (read, word, meant) in [
            (kind("Decision"), "decision", true),
            (kind("policychange"), "policyChange", true),
            (kind("everything"), "decision, policyChange", false),
            (reason("denied_by_rul"), "denied_by_rule", true),
            (reason("bogus"), "audit_unavailable", false),
            (reason(""), "no_policy", false),
        ] {
            let wrong = read.unwrap_err().to_string();
            assert!(wrong.contains(word), "{wrong}");
            assert_eq!(
                wrong.contains(&format!("did you mean `{word}`? ")),
                meant,
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_place_is_a_stream_and_a_number() {
        assert_eq!(place("a-b:7"), Ok(("a-b".into(), 7)));
        for bad in ["", "7", ":7", "a:", "a:-1", "a:x"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
