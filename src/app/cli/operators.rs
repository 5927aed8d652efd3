//! The commands for operators of a running system: `status` and `doctor`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum, ValueHint};

use super::{ClientTlsArgs, VerdictArgs};
use crate::app::durations;
use crate::app::policy_paths::PolicyPath;

/// The flags of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The replicas: HOST:PORT, https://HOST:PORT or unix:PATH
    ///
    /// An address is that of --admin of a server. A name with several addresses, such as a headless
    /// Service, means all of them.
    #[arg(
        long,
        value_name = "ADDR[,ADDR..]",
        required = true,
        value_delimiter = ','
    )]
    pub(crate) admin: Vec<String>,
    /// Wait until every replica is ready with this revision
    ///
    /// customs revision DIR prints the revision. The first 8 digits are enough.
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

/// The flags of `doctor`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("evidence").required(true).multiple(true)
    .args(["admin", "envoy", "mesh_config", "objects", "checked_policies", "audit"])))]
pub struct DoctorArgs {
    /// Compare what Envoy and customs count in this time, instead of totals
    #[arg(long, value_name = "TIME", requires = "admin", value_parser = duration)]
    pub(crate) watch: Option<Duration>,
    /// The name of customs' provider in the mesh configuration
    #[arg(long, value_name = "NAME", default_value = "customs")]
    pub(crate) provider_name: String,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: DoctorFormat,
    /// The replicas: HOST:PORT, https://HOST:PORT or unix:PATH
    ///
    /// An address is that of --admin of a server. A name with several addresses, such as a headless
    /// Service, means all of them.
    #[arg(
        long,
        value_name = "ADDR[,ADDR..]",
        value_delimiter = ',',
        help_heading = "Evidence"
    )]
    pub(crate) admin: Vec<String>,
    /// The gateway's Envoy: its admin URL, a file or a folder; repeatable
    ///
    /// A file has its /config_dump. A folder has files of its /config_dump, /stats, /certs and
    /// /server_info.
    #[arg(long, value_name = "URL|FILE|DIR", help_heading = "Evidence")]
    pub(crate) envoy: Vec<String>,
    /// Istio's mesh configuration; repeatable
    ///
    /// The file has it alone, in its ConfigMap, in an IstioOperator, or in Helm values.
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    pub(crate) mesh_config: Vec<PathBuf>,
    /// Objects of Istio and Kubernetes; - reads stdin; repeatable
    ///
    /// The file is as kubectl get -o yaml prints it.
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    pub(crate) objects: Vec<PathBuf>,
    /// The directories of the policies that should be in force
    #[arg(
        id = "checked_policies",
        long = "policies",
        value_name = "DIR[,DIR..]",
        value_delimiter = ',',
        value_hint = ValueHint::DirPath,
        help_heading = "Evidence"
    )]
    pub(crate) policies: Vec<PolicyPath>,
    /// A file of the audit log; repeatable
    ///
    /// Rotated and compressed files belong to it.
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    pub(crate) audit: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: VerdictArgs,
    #[command(flatten)]
    pub(crate) tls: ClientTlsArgs,
}

/// How `doctor` prints what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// Text for people
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
