//! The command line of `customs audit`: the tools of those who read the record.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use customs_engine::reason::Reason;
use customs_policy::reader::nearest;
use customs_record::fields::KINDS;

/// What to do with a record.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Say whether a record is what was written; exits with 0 for intact, 1 for bad, 3 for unsealed, 2 for no answer
    Verify(VerifyArgs),
    /// Show records for people, one line each, as they come from a server or stand in a file
    Tail(Box<TailArgs>),
    /// Count what a record says: who was denied what, why, and what would be denied
    Stats(Box<StatsArgs>),
}

/// The flags of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The files of one sink, rotated ones too, packed or not, in any order; - is the standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The checkpoint file that the server wrote: what was cut off the end shows too
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoints: Option<PathBuf>,
    /// The Ed25519 public key (PEM) that signed the checkpoints; repeatable, where keys have changed
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Vec<PathBuf>,
    /// How the answer is told
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: VerifyFormat,
}

/// How `audit verify` tells its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VerifyFormat {
    /// For people
    Human,
    /// One JSON document
    Json,
}

/// The flags of `audit tail`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("from").required(true).args(["file", "server"]))]
pub struct TailArgs {
    /// A file of the record, also one with .gz; - is the standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Where a server has a sink `tail:ADDR`: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR")]
    pub(crate) server: Option<String>,
    /// Wait for more at the end of the file, also where it is rotated
    #[arg(long, short, requires = "file")]
    pub(crate) follow: bool,
    /// Begin with the oldest record that the server still has [default: only what is new]
    #[arg(long, requires = "server", conflicts_with = "resume")]
    pub(crate) from_start: bool,
    /// Go on behind a record that is known
    #[arg(long, value_name = "STREAM:SEQUENCE", requires = "server", value_parser = place)]
    pub(crate) resume: Option<(String, u64)>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// End after so many records
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// How records are shown
    #[arg(long, value_name = "FORMAT", default_value = "pretty")]
    pub(crate) format: TailFormat,
    /// Whether lines are coloured; auto is on a terminal without NO_COLOR
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// Which records are shown: one value of each flag must hold.
#[derive(Clone, Debug, Default, Args)]
pub struct FilterArgs {
    /// A namespace of callers; repeatable
    #[arg(long = "namespace", value_name = "NS")]
    pub(crate) namespaces: Vec<String>,
    /// A host, or *.example.com for all names below one; repeatable
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// A reason of verdicts; repeatable
    #[arg(long = "reason", value_name = "REASON", value_parser = reason)]
    pub(crate) reasons: Vec<String>,
    /// What Envoy was told
    #[arg(long, value_name = "EFFECT")]
    pub(crate) effect: Option<ToldEffect>,
    /// A kind of record, such as decision or policyChange; repeatable
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    pub(crate) kinds: Vec<String>,
}

/// What Envoy was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ToldEffect {
    /// The request goes on
    Allow,
    /// The request is refused
    Deny,
}

/// How `audit tail` shows records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TailFormat {
    /// For people
    Pretty,
    /// The lines of JSON as a file has them
    Json,
}

/// Whether lines are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The flags of `audit stats`.
#[derive(Clone, Debug, Args)]
pub struct StatsArgs {
    /// Files of the record, as lines of JSON or as protobuf, also with .gz; - is the standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How many rows each table has
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) top: usize,
    /// How numbers are told
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: StatsFormat,
    /// Only records from this moment on, as 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Only records before this moment
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
}

/// How `audit stats` tells numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// For people
    Human,
    /// One JSON document
    Json,
}

/// What is wrong with a value of a flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum FlagError {
    #[error("{meant}It is one of: {known}")]
    NotOneOf { meant: String, known: String },
    #[error("write the `stream` and the `sequence` of a record with a colon between")]
    Place,
}

/// Reads a reason of verdicts.
fn reason(text: &str) -> Result<String, FlagError> {
    one_of(text, &Reason::ALL.map(Reason::as_str))
}

/// Reads a kind of records.
fn kind(text: &str) -> Result<String, FlagError> {
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    one_of(text, &kinds)
}

/// Reads one of a closed list of words.
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

/// Reads `STREAM:SEQUENCE`.
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
