//! The command line. With its part [`audit`](AuditCommand), the only home of clap.
//!
//! Flags are laid over the environment by clap, both over the settings file, and that over the defaults.

mod audit;
mod connections;
mod environment;

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::Timestamp;

pub use audit::{
    AuditCommand, Color, FilterArgs, StatsArgs, StatsFormat, TailArgs, TailFormat, ToldEffect,
    VerifyArgs, VerifyFormat,
};

pub use connections::ConnectionArgs;
pub use environment::parse;

use super::audit_settings::AuditDurability;
use super::policy_paths::PolicyPath;
use super::settings::{DefaultEffect, Enforcement, IdentitySource, Settings, SettingsFileError};
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

/// The flags of `serve`; what is not given is left to the settings file and the defaults.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// A directory of policy files, with options as in DIR?recursive=true&default_namespace=NAME; repeatable [default: ./policies]
    #[arg(long, value_name = "DIR", env = "CUSTOMS_POLICIES", value_delimiter = ',', action = ArgAction::Append)]
    policies: Option<Vec<PolicyPath>>,
    /// Where Envoy asks: HOST:PORT or unix:PATH; repeatable [default: 127.0.0.1:9191]
    #[arg(long, value_name = "ADDR", env = "CUSTOMS_LISTEN", value_delimiter = ',', action = ArgAction::Append)]
    listen: Option<Vec<String>>,
    /// How many threads answer checks [default: one for each processor]
    #[arg(long, value_name = "N", env = "CUSTOMS_THREADS")]
    threads: Option<NonZeroU16>,
    /// Where operators look in: HOST:PORT or off [default: 127.0.0.1:9192]
    #[arg(long, value_name = "ADDR", env = "CUSTOMS_ADMIN")]
    admin: Option<String>,
    /// Where audit records go: stdout, file:PATH, otlp:URL, tail:ADDRESS or off; repeatable [default: stdout]
    #[arg(long, value_name = "SINK", env = "CUSTOMS_AUDIT", value_delimiter = ',', action = ArgAction::Append)]
    audit: Option<Vec<String>>,
    /// When audit records reach the disk [default: interval]
    #[arg(long, value_name = "WHEN", env = "CUSTOMS_AUDIT_DURABILITY")]
    audit_durability: Option<AuditDurability>,
    #[command(flatten)]
    connections: ConnectionArgs,
    #[command(flatten)]
    verdicts: VerdictArgs,
    /// A URL told to people who are denied
    #[arg(long, value_name = "URL", env = "CUSTOMS_HELP_URL")]
    help_url: Option<String>,
    /// Which fields of dynamic metadata Envoy is told; none is none [default: all]
    #[arg(
        long,
        value_name = "NAMES",
        env = "CUSTOMS_METADATA",
        value_delimiter = ','
    )]
    metadata: Option<Vec<String>>,
    /// How long policy files must be quiet before they are read [default: 250ms]
    #[arg(long, value_name = "TIME", env = "CUSTOMS_RELOAD_SETTLE")]
    reload_settle: Option<String>,
    /// How often policy files are looked at anyway [default: 10s]
    #[arg(long, value_name = "TIME", env = "CUSTOMS_RELOAD_RESCAN")]
    reload_rescan: Option<String>,
    /// How long checks are still answered after SIGTERM; after SIGINT they are not [default: 2s]
    #[arg(long, value_name = "TIME", env = "CUSTOMS_DRAIN_DELAY")]
    drain_delay: Option<String>,
    /// How long checks in flight may take after that [default: 5s]
    #[arg(long, value_name = "TIME", env = "CUSTOMS_DRAIN_TIMEOUT")]
    drain_timeout: Option<String>,
    /// Exit with the problems if the policies do not load at the start
    #[arg(long, env = "CUSTOMS_REQUIRE_POLICY", num_args = 0..=1, default_missing_value = "true")]
    require_policy: Option<bool>,
}

/// The settings file, and the flags of what can change a verdict.
#[derive(Clone, Debug, Args)]
pub struct VerdictArgs {
    /// A settings file (YAML); `customs settings` prints one
    #[arg(long, value_name = "FILE", env = "CUSTOMS_CONFIG")]
    config: Option<PathBuf>,
    /// The mesh's own trust domain, then its aliases [default: cluster.local]
    #[arg(
        long,
        value_name = "OWN[,ALIAS..]",
        env = "CUSTOMS_TRUST_DOMAINS",
        value_delimiter = ','
    )]
    trust_domains: Option<Vec<String>>,
    /// Foreign trust domains accepted beside these, or any [default: none]
    #[arg(
        long,
        value_name = "D[,D..]|any",
        env = "CUSTOMS_ACCEPT_TRUST_DOMAINS",
        value_delimiter = ','
    )]
    accept_trust_domains: Option<Vec<String>>,
    /// The domains of the mesh's clusters [default: cluster.local]
    #[arg(
        long,
        value_name = "DOMAIN[,DOMAIN..]",
        env = "CUSTOMS_CLUSTER_DOMAINS",
        value_delimiter = ','
    )]
    cluster_domains: Option<Vec<String>>,
    /// How many trusted proxies stand before the gateway [default: undeclared]
    #[arg(long, value_name = "N", env = "CUSTOMS_TRUSTED_HOPS")]
    trusted_hops: Option<u32>,
    /// What happens to a request that nothing concerns [default: allow]
    #[arg(long, value_name = "EFFECT", env = "CUSTOMS_DEFAULT")]
    default: Option<DefaultEffect>,
    /// Enforce verdicts, or only record them [default: enforce]
    #[arg(long, value_name = "MODE", env = "CUSTOMS_ENFORCEMENT")]
    enforcement: Option<Enforcement>,
    /// Enforce the built-in request validation, or only record what it finds [default: enforce]
    #[arg(long, value_name = "MODE", env = "CUSTOMS_REQUEST_VALIDATION")]
    request_validation: Option<Enforcement>,
    /// The namespace whose policies may speak for everybody [default: istio-system]
    #[arg(long, value_name = "NS", env = "CUSTOMS_ROOT_NAMESPACE")]
    root_namespace: Option<String>,
    /// The attribute that is the caller's identity [default: principal]
    #[arg(long, value_name = "SOURCE", env = "CUSTOMS_IDENTITY_SOURCE")]
    identity_source: Option<IdentitySource>,
    /// Deny HTTP requests whose SNI is not their host
    #[arg(long, env = "CUSTOMS_REQUIRE_SNI_HOST_MATCH", num_args = 0..=1, default_missing_value = "true")]
    require_sni_host_match: Option<bool>,
}

/// What every tool needs that reads policies as `serve` does.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// Directories of policy files, each a source; with options as DIR?recursive=true [default: what the settings file says, or ./policies]
    #[arg(value_name = "DIR", env = "CUSTOMS_POLICIES", value_delimiter = ',')]
    directories: Vec<PolicyPath>,
    #[command(flatten)]
    verdicts: VerdictArgs,
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
    verdicts: VerdictArgs,
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

impl VerdictArgs {
    /// The settings file, or the defaults.
    fn file(&self) -> Result<Settings, SettingsFileError> {
        self.config
            .as_deref()
            .map_or_else(|| Ok(Settings::default()), Settings::read)
    }

    fn over(self, file: Settings) -> Settings {
        Settings {
            trust_domains: self.trust_domains.unwrap_or(file.trust_domains),
            accept_trust_domains: self
                .accept_trust_domains
                .unwrap_or(file.accept_trust_domains),
            cluster_domains: self.cluster_domains.unwrap_or(file.cluster_domains),
            trusted_hops: self.trusted_hops.or(file.trusted_hops),
            default: self.default.unwrap_or(file.default),
            enforcement: self.enforcement.unwrap_or(file.enforcement),
            request_validation: self.request_validation.unwrap_or(file.request_validation),
            root_namespace: self.root_namespace.unwrap_or(file.root_namespace),
            identity_source: self.identity_source.unwrap_or(file.identity_source),
            require_sni_host_match: self
                .require_sni_host_match
                .unwrap_or(file.require_sni_host_match),
            ..file
        }
    }
}

impl ReadArgs {
    /// The settings that a server with the same flags, environment and file would have.
    ///
    /// # Errors
    /// What is wrong with the settings file.
    pub fn settings(self) -> Result<Settings, SettingsFileError> {
        let file = self.verdicts.file()?;
        let policies = if self.directories.is_empty() {
            file.policies.clone()
        } else {
            self.directories
        };
        Ok(self.verdicts.over(Settings { policies, ..file }))
    }
}

impl DiffArgs {
    /// The settings with which both sets are read; directories are not among them.
    ///
    /// # Errors
    /// What is wrong with the settings file.
    pub fn settings(self) -> Result<Settings, SettingsFileError> {
        let file = self.verdicts.file()?;
        Ok(self.verdicts.over(file))
    }
}

impl ServeArgs {
    /// The settings that hold: flags and environment over the settings file over the defaults.
    ///
    /// # Errors
    /// What is wrong with the settings file.
    pub fn settings(self) -> Result<Settings, SettingsFileError> {
        let file = self.verdicts.file()?;
        Ok(self.over(file))
    }

    /// The settings file, if one was named.
    pub fn config(&self) -> Option<&Path> {
        self.verdicts.config.as_deref()
    }

    /// The settings that hold over this file.
    pub fn over(self, file: Settings) -> Settings {
        let file = self.connections.over(self.verdicts.over(file));
        Settings {
            policies: self.policies.unwrap_or(file.policies),
            listen: self.listen.unwrap_or(file.listen),
            threads: self.threads.or(file.threads),
            admin: self.admin.unwrap_or(file.admin),
            audit: self.audit.unwrap_or(file.audit),
            audit_durability: self.audit_durability.unwrap_or(file.audit_durability),
            help_url: self.help_url.or(file.help_url),
            metadata: self.metadata.unwrap_or(file.metadata),
            reload_settle: self.reload_settle.unwrap_or(file.reload_settle),
            reload_rescan: self.reload_rescan.unwrap_or(file.reload_rescan),
            drain_delay: self.drain_delay.unwrap_or(file.drain_delay),
            drain_timeout: self.drain_timeout.unwrap_or(file.drain_timeout),
            require_policy: self.require_policy.unwrap_or(file.require_policy),
            ..file
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(args: &[&str]) -> Settings {
        let cli = Cli::try_parse_from(["customs", "serve"].iter().chain(args)).unwrap();
        let Command::Serve(args) = cli.command else {
            panic!("not serve")
        };
        args.settings().unwrap()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_flag_means_the_defaults() {
        assert_eq!(serve(&[]), Settings::default());
    }

    #[test]
    fn flags_beat_the_file_and_the_file_beats_the_defaults() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "admin: off\nenforcement: report\nlisten: [\"127.0.0.1:1\"]\n",
        )
        .unwrap();
        let settings = serve(&[
            "--config",
            file.path().to_str().unwrap(),
            "--listen",
            "127.0.0.1:2",
            "--listen",
            "unix:/x",
            "--require-policy",
            "--trust-domains",
            "a.example,b.example",
        ]);
        assert_eq!(
            (settings.admin.as_str(), settings.enforcement),
            ("off", Enforcement::Report)
        );
        assert_eq!(settings.listen, ["127.0.0.1:2", "unix:/x"]);
        assert_eq!(settings.trust_domains, ["a.example", "b.example"]);
        assert!(settings.require_policy);
    }

    #[test]
    fn every_setting_has_a_flag_save_what_is_nested() {
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        let flags: Vec<String> = serve
            .get_arguments()
            .filter_map(|a| a.get_long())
            .map(|l| l.replace('-', "_"))
            .collect();
        for knob in serde_json::to_value(Settings::default())
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
        {
            assert!(
                ["gateway", "audit_trail"].contains(&knob.as_str()) || flags.contains(knob),
                "{knob} has no flag"
            );
        }
    }

    #[test]
    fn a_broken_settings_file_is_told_with_its_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "admin: off\nlissten: x\n").unwrap();
        let why = Settings::read(file.path()).unwrap_err().to_string();
        assert!(why.contains(":2:1") && why.contains("lissten"), "{why}");
    }
}
