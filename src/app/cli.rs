//! The command line. Together with its part [`audit`](AuditCommand), the only user of clap.
//!
//! A flag overrides the environment, which overrides the settings file, which overrides the
//! default. clap joins the first two.

mod audit;
mod client_tls;
mod environment;
pub mod exit_codes;
mod explain_code;
mod lint;
pub(crate) mod manual;
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

use clap::{
    ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint,
};
use clap_complete::Shell;
use jiff::Timestamp;

pub use audit::{
    AuditCommand, EffectFilter, ExportArgs, ExportPartition, ExtractArgs, FilterArgs, StatsArgs,
    StatsFormat, TailArgs, TailFormat, VerifyArgs, VerifyFormat,
};

pub use client_tls::ClientTlsArgs;
pub use environment::parse;
pub use explain_code::ExplainArgs;
pub use lint::{LintArgs, LintFormat, LintOptions};
pub use mesh::{
    EnvoyArgs, EnvoyGatewayArgs, GatewayApiArgs, HttpsWay, IstioArgs, MeshCommand, ProviderArgs,
};
pub use operators::{DoctorArgs, DoctorFormat, StatusArgs, StatusFormat};
pub use proofs::{
    AskArgs, CanReachArgs, EffectShown, ProofFormat, ProveArgs, ProveOptions, WhoCanArgs,
};
pub use replay::{ReplayArgs, ReplayFormat};
pub use search::{DecisionFilterArgs, SearchArgs};
pub use setting_args::{LintReadArgs, ReadArgs, ServeArgs, VerdictArgs};
pub use suggest::{CrossedBy, SuggestArgs, SuggestFormat};
pub(crate) use times::{EmptyPeriodError, Period, TimeArgs};

use super::policy_paths::PolicyPath;

/// The service that Envoy and Istio ask before a request leaves the mesh.
#[derive(Debug, Parser)]
#[command(name = "customs", version, about, propagate_version = true)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// When to use colours
    ///
    /// The environment decides under `auto`: NO_COLOR uses none, CLICOLOR_FORCE uses them
    /// everywhere. Without either they are used on a terminal.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        display_order = 900
    )]
    pub color: Color,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// As the environment says, or else on a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer the checks of Envoy
    ///
    /// The server decides each check by its policies, and writes a record of each decision to the
    /// audit log. Changed policies take effect without a restart.
    Serve(Box<ServeArgs>),
    /// Print every setting with its default
    ///
    /// The output is YAML with comments, which --config accepts.
    Settings,
    /// Report every problem in policy files
    ///
    /// The errors are those of a server with the same settings. The warnings name policies that
    /// load and do not do what they seem to: entries that never match, entries that others cover,
    /// and grants that expire soon.
    ///
    /// With --fix, the command corrects those problems for which only one correction can be meant.
    Lint(Box<LintArgs>),
    /// Explain a problem code, a reason or a finding
    ///
    /// The page of a code says what it means, with an example, and what to do. --list prints every
    /// code.
    Explain(ExplainArgs),
    /// Run the test cases beside the policies
    ///
    /// A case is a request with the decision that its author expects. Cases are in files whose
    /// names end in .cases.yaml. The output names the rules that no case exercises.
    Test(Box<TestArgs>),
    /// Explain the decision for one request
    ///
    /// The answer shows each stage of the decision, and the rules that matter in it. The policies
    /// of DIR decide, or with --admin those of a running server.
    Check(Box<CheckArgs>),
    /// Compare two policy sets for all requests
    ///
    /// The command compares the decisions for every possible request, not for a sample. It prints
    /// the rules that differ, and the requests whose verdict differs. Differences in the dry run,
    /// the reason or the rule alone are printed and do not fail.
    Diff(Box<DiffArgs>),
    /// Explain the decision for one request in the past
    ///
    /// The audit log says which revision was in force at the time, and the policy archive has its
    /// policies and settings.
    At(Box<AtArgs>),
    /// Decide recorded requests again with other policies
    ///
    /// The output counts the verdicts that change, with their callers and hosts.
    Replay(Box<ReplayArgs>),
    /// Prove that policies keep their guards
    ///
    /// A PolicyGuard says what must hold for every request. The command proves it, or prints a
    /// request that breaks it.
    Prove(Box<ProveArgs>),
    /// Print which callers may reach a destination
    ///
    /// The answer covers every caller, and names the rule that lets or stops them. The policies of
    /// DIR decide, or with --admin those of a running server.
    WhoCan(Box<WhoCanArgs>),
    /// Print which destinations callers may reach
    ///
    /// The answer covers every request, and names the rule that lets them. The policies of DIR
    /// decide, or with --admin those of a running server.
    CanReach(Box<CanReachArgs>),
    /// Suggest the least policies that recorded requests need
    ///
    /// With --tighten, the command prints which grants of existing policies the requests did not
    /// need.
    Suggest(Box<SuggestArgs>),
    /// Print the revision of a policy set
    ///
    /// The revision is the one that a server with these directories and settings has in force.
    Revision(Box<RevisionArgs>),
    /// Print what replicas have in force
    ///
    /// The output has a line for each replica, and says whether all are ready and agree.
    Status(Box<StatusArgs>),
    /// Find what is wrong with customs and its gateways
    ///
    /// The command compares what servers, Envoys, the mesh configuration and files say. Each
    /// finding has its evidence and a remedy. Give at least one source of evidence.
    Doctor(Box<DoctorArgs>),
    /// Print the configuration of a gateway
    ///
    /// With this configuration, a gateway asks customs about each request.
    Mesh {
        /// The gateway.
        #[command(subcommand)]
        command: MeshCommand,
    },
    /// Verify, search, count and export the audit log
    ///
    /// The commands read what servers write, and change nothing.
    Audit {
        /// The tool.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Print the JSON Schema of policy files or of the settings file
    ///
    /// Editors complete and check files with it.
    Schema {
        /// One kind of document [default: all kinds of policy files]
        #[arg(value_name = "KIND", ignore_case = true)]
        kind: Option<SchemaKind>,
    },
    /// Print the completion script of a shell
    ///
    /// The script completes commands, flags and values.
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a man page
    ///
    /// Each command has a page.
    Man {
        /// The command, such as audit verify [default: customs itself]
        #[arg(value_name = "COMMAND", conflicts_with = "output")]
        command: Vec<String>,
        /// Write every page into this directory instead
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
}

/// The flags of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: TestFormat,
    /// Treat the directories as one set, as serve does
    ///
    /// Without this flag, each directory is a set of its own.
    #[arg(long)]
    pub(super) together: bool,
    #[command(flatten)]
    pub(super) read: ReadArgs,
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
    /// Annotations for GitHub workflows
    Github,
}

/// The flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Ask a running server: HOST:PORT, https://HOST:PORT or unix:PATH
    ///
    /// The address is that of --admin of the server. Its policies and settings decide, and DIR is
    /// not read.
    #[arg(long, value_name = "ADDR")]
    pub(super) admin: Option<String>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: CheckFormat,
    /// The time of the request, such as 2026-12-31T00:00:00Z [default: the current time]
    #[arg(long, value_name = "TIME", help_heading = "Request")]
    pub(super) now: Option<Timestamp>,
    #[command(flatten)]
    pub(super) query: CheckQueryArgs,
    #[command(flatten)]
    pub(super) read: ReadArgs,
    #[command(flatten)]
    pub(super) tls: ClientTlsArgs,
}

/// The request that `check` explains: in the fields of test cases, or as a whole CheckRequest.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Request")]
pub struct CheckQueryArgs {
    /// The caller: NAMESPACE/ACCOUNT, a whole spiffe:// id, or unauthenticated
    #[arg(long, value_name = "CALLER", required_unless_present = "request")]
    pub(super) from: Option<String>,
    /// The destination, such as http://HOST/PATH, https://HOST:PORT/PATH or tcp://SNI:PORT
    ///
    /// tcp://:PORT is a connection without SNI.
    #[arg(long, value_name = "URL", required_unless_present = "request")]
    pub(super) to: Option<String>,
    /// A file with a whole CheckRequest as JSON; - reads stdin
    ///
    /// A CheckRequest is what Envoy sends. It takes the place of every other flag of the request.
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
    /// The time: 2h or 3d (ago), yesterday, 2026-12-31T10:00 (UTC) or 2026-12-31T10:00:00Z
    #[arg(value_name = times::TIME, value_parser = times::time_argument)]
    pub(super) time: Timestamp,
    /// The audit log: files, or directories of them
    ///
    /// The files may be those of several servers and sinks, in any order.
    #[arg(long, value_name = "RECORD", required = true, num_args = 1..)]
    pub(super) records: Vec<PathBuf>,
    /// The policy archive that the servers wrote
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) policy_archive: PathBuf,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: CheckFormat,
    #[command(flatten)]
    pub(super) query: CheckQueryArgs,
}

/// The flags of `revision`.
#[derive(Debug, Args)]
pub struct RevisionArgs {
    /// Check every revision of a policy archive instead
    ///
    /// The command prints the revisions that are whole.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) from_archive: Option<PathBuf>,
    #[command(flatten)]
    pub(super) read: ReadArgs,
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
    /// The directory of the old policies
    ///
    /// Several directories, separated by commas, are the sources of one set.
    #[arg(value_name = "OLD", required = true, num_args = 1, value_delimiter = ',', action = ArgAction::Set, value_hint = ValueHint::DirPath)]
    pub(super) old: Vec<PolicyPath>,
    /// The directory of the new policies
    #[arg(value_name = "NEW", required = true, num_args = 1, value_delimiter = ',', action = ArgAction::Set, value_hint = ValueHint::DirPath)]
    pub(super) new: Vec<PolicyPath>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: DiffFormat,
    /// The time at which both sets decide, such as 2026-12-31T00:00:00Z [default: the current time]
    #[arg(long, value_name = "TIME")]
    pub(super) now: Option<Timestamp>,
    #[command(flatten)]
    pub(super) settings: VerdictArgs,
}

/// How `diff` prints differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
    /// Annotations for GitHub workflows
    Github,
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

/// Returns the command line as a value, with its manuals.
pub fn command() -> clap::Command {
    manual::add_manuals(Cli::command())
}

/// Parses the arguments of this process.
///
/// # Errors
/// Returns what is wrong with them, or the help or version that was requested.
pub(crate) fn try_parse() -> Result<Cli, clap::Error> {
    let mut command = command();
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|wrong| wrong.format(&mut command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }
}
