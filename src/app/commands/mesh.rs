//! `customs mesh`: prints the configuration with which a gateway asks customs, for given names.
//!
//! It reads and changes nothing. The rule: the names were checked when the flags were parsed, so
//! they are put into the texts as they are; and what is printed equals the files of `deploy/` for
//! their names, which tests compare as values.

mod envoy;
mod envoy_gateway;
mod gateway_api;
mod istio;

use std::process::ExitCode;
use std::time::Duration;

use super::print;
use crate::app::cli::MeshCommand;

/// Prints the configuration.
pub(super) fn run(command: &MeshCommand) -> ExitCode {
    let text = match command {
        MeshCommand::Istio(args) => istio::snippets(args),
        MeshCommand::GatewayApi(args) => gateway_api::snippets(args),
        MeshCommand::Envoy(args) => envoy::snippets(args),
        MeshCommand::EnvoyGateway(args) => envoy_gateway::snippets(args),
    };
    print(&text);
    ExitCode::SUCCESS
}

/// Returns a time as protobuf writes it: `0.5s`.
fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}

/// Returns a host as the name of an object.
fn object_name(host: &str) -> String {
    host.replace('.', "-")
}
