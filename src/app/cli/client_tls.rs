//! The flags for TLS of the commands that connect to a running server.

use std::path::PathBuf;

use clap::Args;

/// Whom a command trusts and what it presents: the same flags in every command that connects to a
/// server, with the names that the options of an `otlp:` sink have.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options for https://")]
pub struct ClientTlsArgs {
    /// The PEM file of the authorities that sign the server's certificate [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The PEM file of the certificate of this client
    #[arg(long, value_name = "FILE", requires = "private_key")]
    pub(crate) certificate: Option<PathBuf>,
    /// The PEM file of its private key, without a passphrase
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) private_key: Option<PathBuf>,
    /// The name in the server's certificate [default: the host of the address]
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,
}

impl ClientTlsArgs {
    /// Returns the first of the flags that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let ClientTlsArgs {
            ca,
            certificate,
            private_key,
            server_name,
        } = self;
        let given = [
            ("--ca", ca.is_some()),
            ("--certificate", certificate.is_some()),
            ("--private-key", private_key.is_some()),
            ("--server-name", server_name.is_some()),
        ];
        given
            .into_iter()
            .find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}
