//! The commands that answer for all requests: `prove`, `who-can` and `can-reach`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use jiff::Timestamp;

use super::{ClientTlsArgs, ReadArgs, header};

/// The flags of `prove`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    #[command(flatten)]
    pub(crate) options: ProveOptions,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// What `prove` proves, and how it prints it.
#[derive(Debug, Args)]
pub struct ProveOptions {
    /// A file with more PolicyGuards, besides those of the directories; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) guard: Vec<PathBuf>,
    /// The time of the requests, such as 2026-12-31T00:00:00Z [default: the current time]
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    /// Leave a guard unproved after this many kinds of requests
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    pub(crate) budget: usize,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: ProofFormat,
}

/// How these commands print their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProofFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
}

/// The flags of `who-can`.
#[derive(Debug, Args)]
pub struct WhoCanArgs {
    /// The destination, such as http://HOST/PATH, https://HOST:PORT/PATH or tcp://SNI:PORT
    ///
    /// tcp://:PORT is a connection without SNI.
    #[arg(long, value_name = "URL", help_heading = "Request")]
    pub(crate) to: String,
    /// The HTTP method [default: GET]
    #[arg(long, value_name = "METHOD", help_heading = "Request")]
    pub(crate) method: Option<String>,
    /// A request header; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = header, help_heading = "Request")]
    pub(crate) header: Vec<(String, String)>,
    /// The gateway's listener port
    #[arg(long, value_name = "N", help_heading = "Request")]
    pub(crate) listener_port: Option<u16>,
    /// The address of the connection's peer
    #[arg(long, value_name = "IP", help_heading = "Request")]
    pub(crate) source_ip: Option<IpAddr>,
    /// The SNI of the TLS session
    #[arg(long, value_name = "NAME", help_heading = "Request")]
    pub(crate) sni: Option<String>,
    /// The time of the request, such as 2026-12-31T00:00:00Z [default: the current time]
    #[arg(long, value_name = "TIME", help_heading = "Request")]
    pub(crate) now: Option<Timestamp>,
    /// Print the callers with this verdict
    #[arg(long, value_name = "EFFECT", default_value = "allow")]
    pub(crate) effect: EffectShown,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// Which verdicts `who-can` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EffectShown {
    /// The callers that are allowed
    Allow,
    /// The callers that are denied
    Deny,
    /// Every caller
    All,
}

/// The flags of `can-reach`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("callers").required(true)
    .args(["from", "from_namespace", "all"])))]
pub struct CanReachArgs {
    /// The caller: NAMESPACE/ACCOUNT, a whole spiffe:// id, or unauthenticated
    #[arg(long, value_name = "CALLER", help_heading = "Request")]
    pub(crate) from: Option<String>,
    /// Every caller of a namespace
    #[arg(long, value_name = "NAMESPACE", help_heading = "Request")]
    pub(crate) from_namespace: Option<String>,
    /// Every caller
    #[arg(long, help_heading = "Request")]
    pub(crate) all: bool,
    /// The time of the requests, such as 2026-12-31T00:00:00Z [default: the current time]
    #[arg(long, value_name = "TIME", help_heading = "Request")]
    pub(crate) now: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// Whom a question is asked, and how the answer is printed.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// Ask a running server: HOST:PORT, https://HOST:PORT or unix:PATH
    ///
    /// The address is that of --admin of the server. Its policies and settings decide, and DIR is
    /// not read.
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<String>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: ProofFormat,
    #[command(flatten)]
    pub(crate) tls: ClientTlsArgs,
}
