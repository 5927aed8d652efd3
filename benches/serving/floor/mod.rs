//! Floors: servers that allow every check without looking at it, so that no server built in the
//! same way can answer checks for less.
//!
//! They decide nothing, record nothing and count nothing; they are bounds and not competitors. The
//! rule: a floor is this benchmark's own binary started again, so it has the profile and the
//! allocator of the customs that is measured next to it. Windows, frame sizes and timeouts of
//! HTTP/2 are each library's defaults.

mod hyper_framed;
mod layout;
mod sockets;
mod tls;
mod tonic_bytes;
mod tonic_prost;

use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, OkHttpResponse};
use envoy_types::pb::google::rpc::Status;

/// The implementation between the connection and the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// tonic, with messages decoded and encoded by prost: how such a service is usually built.
    Tonic,
    /// tonic, which passes messages on as bytes; the answer is encoded once.
    TonicBytes,
    /// hyper alone, with gRPC framed by hand; the answer is encoded once.
    Hyper,
    /// No server at all: sockets, a thread for each, and an answer that was put together once.
    Sockets,
}

/// How work is spread over processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// A runtime of one thread for each processor. A connection stays on the thread that received
    /// it.
    PerCore,
    /// One runtime of two threads that take work from one another.
    Stealing,
}

/// The TLS of a floor.
#[derive(Clone, Debug, Args)]
pub(crate) struct TlsOptions {
    /// The folder of certificate, private key and authority; without it there is no TLS
    #[arg(long, value_name = "FOLDER")]
    pub tls: Option<PathBuf>,
    #[arg(long, default_value = "default")]
    pub tickets: Tickets,
}

/// Whether clients may resume sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tickets {
    /// They may not.
    None,
    /// Each handshake gives them as many tickets as rustls does by default.
    Default,
}

impl Tickets {
    /// Returns the name on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Tickets::None => "none",
            Tickets::Default => "default",
        }
    }

    /// Returns the name in the tables of a floor with TLS.
    pub(crate) fn name(self, floor: &str) -> String {
        match self {
            Tickets::None => format!("{floor}, mutual TLS, no tickets"),
            Tickets::Default => format!("{floor}, mutual TLS"),
        }
    }
}

impl Kind {
    /// Returns the name on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Tonic => "tonic",
            Kind::TonicBytes => "tonic-bytes",
            Kind::Hyper => "hyper",
            Kind::Sockets => "sockets",
        }
    }

    /// Returns the name in the tables.
    pub(crate) fn name(self, layout: Layout) -> String {
        let kind = match self {
            Kind::Tonic => "tonic with prost",
            Kind::TonicBytes => "tonic handing over bytes",
            Kind::Hyper => "hyper",
            Kind::Sockets => "sockets alone",
        };
        match layout {
            Layout::PerCore => kind.to_owned(),
            Layout::Stealing => format!("{kind}, work-stealing"),
        }
    }
}

impl Layout {
    /// Returns the name on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Layout::PerCore => "per-core",
            Layout::Stealing => "stealing",
        }
    }
}

/// Serves on a free port, which is printed, until the process is killed.
#[allow(
    clippy::print_stdout,
    reason = "the parent process reads the port there"
)]
pub(crate) fn run(kind: Kind, layout: Layout, options: &TlsOptions) -> Result<()> {
    let folder = options.tls.as_deref();
    let acceptor = folder
        .map(|folder| tls::acceptor(folder, options.tickets))
        .transpose()?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    if kind == Kind::Sockets {
        return sockets::serve(&listener);
    }
    match layout {
        Layout::PerCore => layout::per_core(&listener, kind, acceptor.as_ref()),
        Layout::Stealing => layout::stealing(&listener, kind, acceptor.as_ref()),
    }
}

/// Returns an explicit allow, as Envoy's documentation requires.
fn allow() -> CheckResponse {
    CheckResponse {
        status: Some(Status {
            code: 0,
            ..Status::default()
        }),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
        ..CheckResponse::default()
    }
}
