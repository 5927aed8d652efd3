//! The command line. Together with its part [`audit`](AuditCommand), the only user of clap.
//!
//! A flag overrides the environment, which overrides the settings file, which overrides the
//! default. clap joins the first two.

mod audit;
mod client_tls;
mod environment;
pub mod exit_codes;
mod mesh;
mod operators;
mod proofs;
mod replay;
mod search;
mod setting_args;
mod suggest;
mod times;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::Timestamp;

pub use audit::{
    AuditCommand, Color, EffectFilter, ExportArgs, ExportPartition, ExtractArgs, FilterArgs,
    StatsArgs, StatsFormat, TailArgs, TailFormat, VerifyArgs, VerifyFormat,
};

pub use client_tls::ClientTlsArgs;
pub use environment::parse;
pub use mesh::{
    EnvoyArgs, EnvoyGatewayArgs, GatewayApiArgs, HttpsWay, IstioArgs, MeshCommand, ProviderArgs,
};
pub use operators::{DoctorArgs, DoctorFormat, StatusArgs, StatusFormat};
pub use proofs::{
    AskArgs, CanReachArgs, EffectShown, ProofFormat, ProveArgs, ProveOptions, WhoCanArgs,
};
pub use replay::{ReplayArgs, ReplayFormat};
pub use search::{DecisionFilterArgs, SearchArgs};
pub use setting_args::{ReadArgs, ServeArgs, VerdictArgs};
pub use suggest::{CrossedBy, SuggestArgs, SuggestFormat};
pub(crate) use times::{EmptyPeriodError, Period, TimeArgs};

use super::policy_paths::PolicyPath;
use customs_analysis::findings::EXPIRY_DAYS;
use customs_policy::language::LanguageVersion;

/// The service that Envoy and Istio ask before a request leaves the mesh.
#[derive(Debug, Parser)]
#[command(name = "customs", version, about, propagate_version = true)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer Envoy's checks with the policies of one or more directories
    Serve(Box<ServeArgs>),
    /// Print every setting with its default, as YAML that --config accepts
    Settings,
    /// Report every problem in policy files, as `serve` would
    Lint(Box<LintArgs>),
    /// Run the *.cases.yaml test files next to the policies
    Test(Box<TestArgs>),
    /// Explain the decision for one request, stage by stage; exits with 0 for allow, 1 for deny, 2
    /// for no answer
    Check(Box<CheckArgs>),
    /// Print the rules and verdicts that differ between two policy sets, for all requests; exits with
    /// 0 if no verdict differs, 1 if some do, 2 for no answer, 3 if that is not proved
    Diff(Box<DiffArgs>),
    /// Explain the decision for one request at a moment of the past, with the policies and settings
    /// that were in force then; exits with 0 for allow, 1 for deny, 3 if servers differ, 2 for no
    /// answer
    At(Box<AtArgs>),
    /// Decide recorded requests again with other policies, and print which verdicts change; exits
    /// with 0 if only expected ones do, 1 if others do, 3 if some decision cannot be answered, 2 for
    /// no answer
    Replay(Box<ReplayArgs>),
    /// Prove that policies keep their guards for every request, or find one that breaks them; exits
    /// with 0 if all are proved, 1 if one is broken, 3 if one is not proved, 2 for no answer
    Prove(Box<ProveArgs>),
    /// Print which callers may go to a destination, and what lets them or stops them
    WhoCan(Box<WhoCanArgs>),
    /// Print where callers may go, and what lets them
    CanReach(Box<CanReachArgs>),
    /// Write the least policies that permit what crossed, or say which grants of a set are not
    /// needed; exits with 0 for policies, 2 for no answer; with --tighten, 0 if every grant is
    /// needed, 1 if some are not
    Suggest(Box<SuggestArgs>),
    /// Print the revision of the policy set that `serve` would have in force
    Revision(Box<RevisionArgs>),
    /// Print what replicas have in force, and whether they agree; exits with 0 if all are ready and
    /// agree, 1 if not, 2 for an invalid flag
    Status(Box<StatusArgs>),
    /// Say what is wrong with customs, its gateways and the mesh around them; exits with 0 if nothing
    /// is, 1 if something is, 2 for no answer
    Doctor(Box<DoctorArgs>),
    /// Print the configuration with which a gateway asks customs
    Mesh {
        /// The gateway.
        #[command(subcommand)]
        command: MeshCommand,
    },
    /// Verify, count, search and follow the audit log that a server writes
    Audit {
        /// The tool.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Print the JSON Schema of policy files or of the settings file, for editors
    Schema {
        /// One kind of document [default: all kinds of policy files]
        #[arg(value_name = "KIND", ignore_case = true)]
        kind: Option<SchemaKind>,
    },
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a man page
    Man {
        /// The command to describe [default: customs itself]
        command: Option<String>,
    },
}

/// The flags of `lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    #[command(flatten)]
    pub(super) read: ReadArgs,
    #[command(flatten)]
    pub(super) options: LintOptions,
}

/// What `lint` looks for, and how it prints it.
#[derive(Debug, Args)]
pub struct LintOptions {
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: LintFormat,
    /// Fail on warnings too
    #[arg(long)]
    pub(super) deny_warnings: bool,
    /// The time to assume, such as 2026-12-31T00:00:00Z [default: the current time]
    #[arg(long, value_name = "TIME")]
    pub(super) now: Option<Timestamp>,
    /// Report grants that expire within this many days; 0 reports only those that have expired
    #[arg(long, value_name = "N", default_value_t = EXPIRY_DAYS)]
    pub(super) expiry_days: u32,
    /// Report what this older version of customs would refuse, such as 0.1
    #[arg(long, value_name = "VERSION")]
    pub(super) target: Option<LanguageVersion>,
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

/// The flags of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    pub(super) read: ReadArgs,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: TestFormat,
    /// Treat the directories as the sources of one set, as `serve` does, instead of as one set each
    #[arg(long)]
    pub(super) together: bool,
}

/// How `test` prints results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
    /// JUnit XML, for CI
    Junit,
}

/// The flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub(super) read: ReadArgs,
    #[command(flatten)]
    pub(super) query: CheckQueryArgs,
    /// The time of the request, such as 2026-12-31T00:00:00Z [default: the current time]
    #[arg(long, value_name = "TIME")]
    pub(super) now: Option<Timestamp>,
    /// Ask a running server at its --admin address: HOST:PORT, https://HOST:PORT or unix:PATH. Its
    /// policies and settings decide, and DIR is not read
    #[arg(long, value_name = "ADDR")]
    pub(super) admin: Option<String>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: CheckFormat,
    #[command(flatten)]
    pub(super) tls: ClientTlsArgs,
}

/// The request that `check` explains: in the fields of test cases, or as a whole CheckRequest.
#[derive(Clone, Debug, Args)]
pub struct CheckQueryArgs {
    /// The caller: NAMESPACE/ACCOUNT, a whole spiffe:// id, or unauthenticated
    #[arg(long, value_name = "CALLER", required_unless_present = "request")]
    pub(super) from: Option<String>,
    /// The destination: http(s)://HOST/PATH or http(s)://HOST:PORT/PATH, tcp://SNI:PORT, or
    /// tcp://:PORT for a connection without SNI
    #[arg(long, value_name = "URL", required_unless_present = "request")]
    pub(super) to: Option<String>,
    /// A file with a whole CheckRequest as JSON, as Envoy sends it; - reads stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "method", "header", "listener_port", "source_ip", "sni"])]
    pub(super) request: Option<PathBuf>,
    /// The HTTP method [default: GET]
    #[arg(long, value_name = "METHOD")]
    pub(super) method: Option<String>,
    /// A request header; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = header)]
    pub(super) header: Vec<(String, String)>,
    /// The gateway's listener port
    #[arg(long, value_name = "N")]
    pub(super) listener_port: Option<u16>,
    /// The address of the connection's peer
    #[arg(long, value_name = "IP")]
    pub(super) source_ip: Option<IpAddr>,
    /// The SNI of the TLS session
    #[arg(long, value_name = "NAME")]
    pub(super) sni: Option<String>,
}

/// The flags of `at`.
#[derive(Debug, Args)]
pub struct AtArgs {
    /// The moment: 2h or 3d (ago), yesterday, 2026-12-31T10:00 (UTC) or 2026-12-31T10:00:00Z
    #[arg(value_name = times::TIME, value_parser = times::time_argument)]
    pub(super) time: Timestamp,
    #[command(flatten)]
    pub(super) query: CheckQueryArgs,
    /// The audit log: files of any number of servers and sinks, in any order, or directories of them
    #[arg(long, value_name = "RECORD", required = true, num_args = 1..)]
    pub(super) records: Vec<PathBuf>,
    /// The policy archive that the servers wrote
    #[arg(long, value_name = "DIR")]
    pub(super) policy_archive: PathBuf,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: CheckFormat,
}

/// The flags of `revision`.
#[derive(Debug, Args)]
pub struct RevisionArgs {
    #[command(flatten)]
    pub(super) read: ReadArgs,
    /// Check every revision of a policy archive instead, and print those that are whole; exits with
    /// 1 if something in it is damaged
    #[arg(long, value_name = "DIR")]
    pub(super) from_archive: Option<PathBuf>,
}

/// How `check` prints its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
}

/// The flags of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The directory of the old policies; several, separated by commas, are the sources of one set
    #[arg(value_name = "OLD", required = true, num_args = 1, value_delimiter = ',', action = ArgAction::Set)]
    pub(super) old: Vec<PolicyPath>,
    /// The directory of the new policies
    #[arg(value_name = "NEW", required = true, num_args = 1, value_delimiter = ',', action = ArgAction::Set)]
    pub(super) new: Vec<PolicyPath>,
    #[command(flatten)]
    pub(super) settings: VerdictArgs,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: DiffFormat,
    /// The time at which both sets decide, such as 2026-12-31T00:00:00Z [default: the current time]
    #[arg(long, value_name = "TIME")]
    pub(super) now: Option<Timestamp>,
}

/// How `diff` prints differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
}

/// A text that is not a header.
#[derive(Debug, thiserror::Error)]
#[error("expected NAME:VALUE")]
struct ParseHeaderError;

/// Parses `NAME:VALUE` and lowers the case of the name, as Envoy does.
fn header(text: &str) -> Result<(String, String), ParseHeaderError> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err(ParseHeaderError),
    }
}

/// The kind of document that `schema` describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum SchemaKind {
    /// kind: EgressPolicy
    EgressPolicy,
    /// kind: DestinationSet
    DestinationSet,
    /// kind: AuthorizationPolicy
    AuthorizationPolicy,
    /// kind: PolicyGuard
    PolicyGuard,
    /// kind: PolicyTest
    PolicyTest,
    /// The settings file
    Settings,
}

/// Returns the command line as a value.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
