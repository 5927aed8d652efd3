//! The flags of `lint`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::LintReadArgs;
use customs_analysis::findings::EXPIRY_DAYS;
use customs_policy::language::LanguageVersion;

/// The flags of `lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    #[command(flatten)]
    pub(crate) read: LintReadArgs,
    #[command(flatten)]
    pub(crate) options: LintOptions,
}

/// What `lint` looks for, how it prints it, and whether it fixes it.
#[derive(Debug, Args)]
pub struct LintOptions {
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: LintFormat,
    /// Fail on warnings too
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// The time to assume, such as 2026-12-31T00:00:00Z [default: the current time]
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    /// Report grants that expire within this many days; 0 reports only those that have expired
    #[arg(long, value_name = "N", default_value_t = EXPIRY_DAYS)]
    pub(crate) expiry_days: u32,
    /// Report what this older version of customs would refuse, such as 0.1
    #[arg(long, value_name = "VERSION")]
    pub(crate) target: Option<LanguageVersion>,
    /// Where the documentation of customs is published, for the links of SARIF: the address of the
    /// book, below which reference/problem-codes.html is
    #[arg(long, value_name = "URL", value_parser = docs_url)]
    pub(crate) docs_url: Option<String>,
    /// The name of the file that stdin holds. If the file is in one of the directories, stdin takes
    /// its place
    #[arg(long, value_name = "FILE")]
    pub(crate) stdin_filename: Option<PathBuf>,
    /// Fix the problems for which only one fix can be meant, and report the others
    #[arg(long)]
    pub(crate) fix: bool,
    /// With --fix: print the changes as a unified diff, and write no file
    #[arg(long, requires = "fix")]
    pub(crate) diff: bool,
}

/// A text that is not the address of a book.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("expected an address that begins with https:// or http://")]
struct ParseDocsUrlError;

/// Parses the address of a book, and removes the slash at its end.
fn docs_url(text: &str) -> Result<String, ParseDocsUrlError> {
    let is_absolute = ["https://", "http://"].iter().any(|scheme| {
        let rest = text.strip_prefix(scheme);
        rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()))
    });
    let address = text.trim_end_matches('/').to_owned();
    is_absolute.then_some(address).ok_or(ParseDocsUrlError)
}

/// How `lint` prints problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// Text for people, with the place underlined
    Human,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations for GitHub workflows
    Github,
}
