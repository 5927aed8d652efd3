//! Floors: servers that allow every check without looking at it, so that nothing can answer checks for less in the same way.
//!
//! They decide nothing, record nothing and count nothing; they are bounds and no rivals. The rule: a floor is this benchmark's own
//! binary started again, so that it has the profile and the allocator of the customs that is measured beside it. Windows, frame
//! sizes and timeouts of HTTP/2 are what each library has by default.

mod hyper_framed;
mod layout;
mod tonic_bytes;
mod tonic_prost;

use std::net::TcpListener;

use anyhow::Result;
use clap::ValueEnum;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, OkHttpResponse};
use envoy_types::pb::google::rpc::Status;

/// What stands between the connection and the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// tonic, with messages decoded and encoded by prost: how such a service is usually built.
    Tonic,
    /// tonic, which hands messages over as bytes; the answer is encoded once.
    TonicBytes,
    /// hyper alone, with gRPC framed by hand; the answer is encoded once.
    Hyper,
}

/// How work is spread over processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// A runtime of one thread for each processor; a connection stays where it was given to.
    PerCore,
    /// One runtime of two threads that take work from one another.
    Stealing,
}

impl Kind {
    /// As the command line has it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Tonic => "tonic",
            Kind::TonicBytes => "tonic-bytes",
            Kind::Hyper => "hyper",
        }
    }

    /// What the tables call it.
    pub fn name(self, layout: Layout) -> String {
        let kind = match self {
            Kind::Tonic => "tonic with prost",
            Kind::TonicBytes => "tonic handing over bytes",
            Kind::Hyper => "hyper",
        };
        match layout {
            Layout::PerCore => kind.to_owned(),
            Layout::Stealing => format!("{kind}, work-stealing"),
        }
    }
}

impl Layout {
    /// As the command line has it.
    pub fn word(self) -> &'static str {
        match self {
            Layout::PerCore => "per-core",
            Layout::Stealing => "stealing",
        }
    }
}

/// Serves on a free port, which is printed, until the process is killed.
#[allow(
    clippy::print_stdout,
    reason = "whoever started it reads the port there"
)]
pub fn run(kind: Kind, layout: Layout) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    match layout {
        Layout::PerCore => layout::per_core(&listener, kind),
        Layout::Stealing => layout::stealing(&listener, kind),
    }
}

/// An explicit allow, as Envoy's documentation asks for it.
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
