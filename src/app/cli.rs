//! The command line. With its part [`audit`](AuditCommand), the only home of clap.
//!
//! Flags are laid over the environment by clap, both over the settings file, and that over the defaults.

mod audit;
mod environment;
mod setting_args;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::Timestamp;

pub use audit::{
    AuditCommand, Color, FilterArgs, StatsArgs, StatsFormat, TailArgs, TailFormat, ToldEffect,
    VerifyArgs, VerifyFormat,
};

pub use environment::parse;
pub use setting_args::{ReadArgs, ServeArgs, VerdictArgs};

use super::policy_paths::PolicyPath;
use customs_analysis::findings::EXPIRY_DAYS;

/// The service that Envoy and Istio ask before a request leaves the mesh.
#[derive(Debug, Parser)]
#[command(name = "customs", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer Envoy's checks by the policies of one or more directories
    Serve(Box<ServeArgs>),
    /// Print every setting with its default, as YAML that --config accepts
    Settings,
    /// Find every problem of policy files, as `serve` would
    Lint(Box<LintArgs>),
    /// Run the *.cases.yaml files beside policies
    Test(Box<TestArgs>),
    /// Ask one question, and explain the answer stage by stage; exits with 0 for allow, 1 for deny, 2 for no answer
    Check(Box<CheckArgs>),
    /// Tell which rules and verdicts differ between two sets of policies; exits with 0 for none of the verdicts, 1 for some,
    /// 2 for no answer
    Diff(Box<DiffArgs>),
    /// Print the revision that `serve` would have in force
    Revision(Box<ReadArgs>),
    /// Verify, count and follow the record that a server writes
    Audit {
        /// What to do with it.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Print the JSON Schema of policy files, for editors
    Schema {
        /// One kind of document [default: all of them]
        #[arg(value_name = "KIND", ignore_case = true)]
        kind: Option<SchemaKind>,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a man page
    Man {
        /// The command that it is about [default: customs itself]
        command: Option<String>,
    },
}

/// The flags of `lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    #[command(flatten)]
    pub(super) read: ReadArgs,
    #[command(flatten)]
    pub(super) looked: LookedArgs,
}

/// What `lint` looks for, and how it tells it.
#[derive(Debug, Args)]
pub struct LookedArgs {
    /// How problems are told
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: LintFormat,
    /// Warnings fail too
    #[arg(long)]
    pub(super) deny_warnings: bool,
    /// The moment at which it is looked, as 2026-12-31T00:00:00Z [default: the clock's]
    #[arg(long, value_name = "TIME")]
    pub(super) now: Option<Timestamp>,
    /// How many days before their end grants are told; 0 is only what has ended
    #[arg(long, value_name = "N", default_value_t = EXPIRY_DAYS)]
    pub(super) expiry_days: u32,
}

/// How `lint` tells problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// For people, with the line underlined
    Human,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub's workflows
    Github,
}

/// The flags of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    pub(super) read: ReadArgs,
    /// How results are told
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: TestFormat,
    /// The directories are the sources of one set, as for `serve`; else each is a set by itself
    #[arg(long)]
    pub(super) together: bool,
}

/// How `test` tells results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// For people
    Human,
    /// One JSON document
    Json,
    /// JUnit's XML, for CI
    Junit,
}

/// The flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub(super) read: ReadArgs,
    #[command(flatten)]
    pub(super) asked: AskedArgs,
    /// Ask a running server at its --admin address: its own policies and settings decide, and DIR is not read
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) admin: Option<String>,
    /// How the answer is told
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: CheckFormat,
}

/// The question that `check` asks: in the words of files of cases, or as a whole check.
#[derive(Clone, Debug, Args)]
pub struct AskedArgs {
    /// Who calls: NAMESPACE/ACCOUNT, a whole spiffe:// id, or unauthenticated
    #[arg(long, value_name = "CALLER", required_unless_present = "request")]
    pub(super) from: Option<String>,
    /// Where to: http(s)://HOST/PATH or http(s)://HOST:PORT/PATH, tcp://SNI:PORT, or tcp://:PORT for a connection without SNI
    #[arg(long, value_name = "URL", required_unless_present = "request")]
    pub(super) to: Option<String>,
    /// A whole CheckRequest as JSON, as Envoy sends it; - is the standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "method", "header", "listener_port", "source_ip", "sni"])]
    pub(super) request: Option<PathBuf>,
    /// The method [default: GET]
    #[arg(long, value_name = "METHOD")]
    pub(super) method: Option<String>,
    /// A header; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = header)]
    pub(super) header: Vec<(String, String)>,
    /// The port on which the gateway listens
    #[arg(long, value_name = "N")]
    pub(super) listener_port: Option<u16>,
    /// The address of the connection's peer
    #[arg(long, value_name = "IP")]
    pub(super) source_ip: Option<IpAddr>,
    /// The SNI of the TLS session
    #[arg(long, value_name = "NAME")]
    pub(super) sni: Option<String>,
    /// The moment at which it is asked, as 2026-12-31T00:00:00Z [default: the clock's]
    #[arg(long, value_name = "TIME")]
    pub(super) now: Option<Timestamp>,
}

/// How `check` tells its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people
    Human,
    /// One JSON document
    Json,
}

/// The flags of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The directory of the policies as they were; several, with commas, are the sources of one set
    #[arg(value_name = "OLD", required = true, num_args = 1, value_delimiter = ',', action = ArgAction::Set)]
    pub(super) old: Vec<PolicyPath>,
    /// The directory of the policies as they would be
    #[arg(value_name = "NEW", required = true, num_args = 1, value_delimiter = ',', action = ArgAction::Set)]
    pub(super) new: Vec<PolicyPath>,
    #[command(flatten)]
    pub(super) settings: VerdictArgs,
    /// How differences are told
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: DiffFormat,
    /// The moment for which both are asked, as 2026-12-31T00:00:00Z [default: the clock's]
    #[arg(long, value_name = "TIME")]
    pub(super) now: Option<Timestamp>,
}

/// How `diff` tells differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people
    Human,
    /// One JSON document
    Json,
}

/// A text that is no header.
#[derive(Debug, thiserror::Error)]
#[error("a header is written NAME:VALUE")]
struct ParseHeaderError;

/// Reads `NAME:VALUE`; names of headers are in lower case, as Envoy has them.
fn header(text: &str) -> Result<(String, String), ParseHeaderError> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err(ParseHeaderError),
    }
}

/// What `schema` describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum SchemaKind {
    /// kind: EgressPolicy
    EgressPolicy,
    /// kind: DestinationSet
    DestinationSet,
    /// kind: AuthorizationPolicy
    AuthorizationPolicy,
    /// kind: PolicyTest
    PolicyTest,
}

/// The command line as a value.
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
