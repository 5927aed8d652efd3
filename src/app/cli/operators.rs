//! The commands for operators of a running system: `status`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::ClientTlsArgs;
use crate::app::durations;

/// The flags of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The --admin addresses of the replicas: HOST:PORT, https://HOST:PORT or unix:PATH. A name with
    /// several addresses, such as a headless Service, is every one of them
    #[arg(
        long,
        value_name = "ADDR[,ADDR..]",
        required = true,
        value_delimiter = ','
    )]
    pub(crate) admin: Vec<String>,
    /// Wait until every replica is ready with this revision, or one that begins like it, as
    /// `customs revision DIR` prints it
    #[arg(long, value_name = "REVISION", value_parser = revision)]
    pub(crate) wait: Option<String>,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "wait", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: StatusFormat,
    #[command(flatten)]
    pub(crate) tls: ClientTlsArgs,
}

/// How `status` prints the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// A table for people
    Human,
    /// One JSON document
    Json,
}

/// A text that is not a duration.
#[derive(Debug, thiserror::Error)]
#[error("expected a duration above zero, such as `10s` or `2m`")]
pub(super) struct ParseDurationError;

/// Parses a duration above zero.
pub(super) fn duration(text: &str) -> Result<Duration, ParseDurationError> {
    let parsed = durations::parse(text).map_err(|_| ParseDurationError)?;
    (!parsed.is_zero())
        .then_some(parsed)
        .ok_or(ParseDurationError)
}

/// A text that is not a revision.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected at least 8 hexadecimal digits; for a directory write --wait \"$(customs revision DIR)\""
)]
pub(super) struct ParseRevisionError;

/// Parses a revision or the beginning of one.
fn revision(text: &str) -> Result<String, ParseRevisionError> {
    let is_revision = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_revision
        .then(|| text.to_ascii_lowercase())
        .ok_or(ParseRevisionError)
}
