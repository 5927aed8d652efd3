//! Where a running server is, as a flag says it, and the files of TLS beside it.
//!
//! The rule: a flag of TLS that would not be used is an error, so that nobody takes a connection
//! without TLS for one with it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use customs_net::Address;
use customs_tls::client::{ClientConfig, ClientFiles, ClientTls, IdentityFiles};
use customs_tls::client_stream::{self, LastFailure};
use customs_tls::pem::CredentialsError;

use super::ServerName;
use crate::app::cli::ClientTlsArgs;

/// What a server does at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum ServerPort {
    /// It answers operators.
    Admin,
    /// It serves records.
    Tail,
    /// It is an Envoy, and answers its operators.
    EnvoyAdmin,
}

impl ServerPort {
    /// Returns the flag that names such an address.
    pub(super) fn flag(self) -> &'static str {
        match self {
            ServerPort::Admin => "--admin",
            ServerPort::Tail => "--server",
            ServerPort::EnvoyAdmin => "--envoy",
        }
    }

    /// Returns the protocol there, by its name in TLS (ALPN).
    pub(super) fn protocol(self) -> &'static str {
        match self {
            ServerPort::Admin | ServerPort::EnvoyAdmin => "http/1.1",
            ServerPort::Tail => "h2",
        }
    }

    /// Returns a question about the server that may have to be started.
    pub(super) fn is_it_running(self, address: &str) -> String {
        match self {
            ServerPort::Admin => format!("is `customs serve` running with --admin {address}?"),
            ServerPort::Tail => format!("is `customs serve` running with --audit tail:{address}?"),
            ServerPort::EnvoyAdmin => "is it the admin address of an Envoy, such as \
                 localhost:15000 behind `kubectl port-forward`?"
                .to_owned(),
        }
    }

    pub(super) fn described(self) -> &'static str {
        match self {
            ServerPort::Admin => "`admin` of a customs",
            ServerPort::Tail => "a `tail:` sink of a customs",
            ServerPort::EnvoyAdmin => "the admin address of an Envoy",
        }
    }
}

/// Why a server cannot be connected to, as far as the flags say it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(in crate::app) enum ServerAddressError {
    /// The text is not an address.
    #[error("{flag}: invalid address `{text}`: expected HOST:PORT, https://HOST:PORT or unix:PATH")]
    Address {
        /// The flag.
        flag: &'static str,
        /// The text.
        text: String,
    },
    /// A flag of TLS beside an address without it.
    #[error("{option} needs TLS: write `{flag} https://HOST:PORT`, or remove {option}")]
    NeedsTls {
        /// The flag of TLS.
        option: &'static str,
        /// The flag of the address.
        flag: &'static str,
    },
    /// No certificate can have the name.
    #[error("{flag}: no certificate can be for `{name}`; write --server-name NAME")]
    ServerName {
        /// The flag that has it.
        flag: &'static str,
        /// The name.
        name: String,
    },
    /// The files cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Where a server is, and how to connect to it.
#[derive(Debug)]
pub(in crate::app) struct ServerAddress {
    pub(super) server: ServerName,
    pub(super) transport: Transport,
    /// Why the last connection ended.
    pub(super) failure: LastFailure,
}

/// What carries the bytes.
#[derive(Debug)]
pub(super) enum Transport {
    /// `HOST:PORT`, perhaps with TLS
    Tcp {
        address: String,
        tls: Option<Box<Tls>>,
    },
    /// A unix socket
    Unix(PathBuf),
}

/// What TLS needs.
#[derive(Debug)]
pub(super) struct Tls {
    /// The name that the server has to prove.
    pub(super) name: client_stream::ServerName<'static>,
    files: Mutex<ClientTls>,
}

impl Tls {
    /// Returns the configuration of a new connection. The files are read for it: a command that
    /// reconnects for days outlives its certificate.
    pub(super) fn config(&self) -> std::sync::Arc<ClientConfig> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // Files that cannot be used now leave the last good ones in use.
        files.refresh();
        files.config()
    }
}

impl ServerAddress {
    /// Reads an address, and the files of TLS if it asks for TLS.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub(in crate::app) fn open(
        port: ServerPort,
        text: &str,
        args: &ClientTlsArgs,
    ) -> Result<ServerAddress, ServerAddressError> {
        let flag = port.flag();
        let invalid = || ServerAddressError::Address {
            flag,
            text: text.to_owned(),
        };
        let (address, has_tls) = match (text.strip_prefix("https://"), text.strip_prefix("http://"))
        {
            (Some(rest), _) => (rest.trim_end_matches('/'), true),
            (None, Some(rest)) => (rest.trim_end_matches('/'), false),
            (None, None) => (text.trim_end_matches('/'), false),
        };
        if let Some(option) = args.given().filter(|_| !has_tls) {
            return Err(ServerAddressError::NeedsTls { option, flag });
        }
        let parsed: Address = address.parse().map_err(|_| invalid())?;
        let transport = match parsed {
            // The options of a server's socket are for the server.
            Address::Unix(unix) if text.starts_with("unix:") => Transport::Unix(unix.path),
            Address::Tcp(address) if !address.contains('/') => {
                let tls = match has_tls {
                    true => Some(Box::new(tls(port, &address, args)?)),
                    false => None,
                };
                Transport::Tcp { address, tls }
            }
            _ => return Err(invalid()),
        };
        Ok(ServerAddress {
            server: ServerName {
                port,
                address: address.to_owned(),
                has_authorities: args.ca.is_some(),
            },
            transport,
            failure: LastFailure::default(),
        })
    }

    /// Returns the server as messages name it.
    pub(in crate::app) fn server(&self) -> &ServerName {
        &self.server
    }

    /// Returns the authority of requests to it.
    pub(in crate::app) fn authority(&self) -> &str {
        match &self.transport {
            Transport::Tcp { address, .. } => address,
            Transport::Unix(_) => "localhost",
        }
    }

    /// Returns whether it is asked without TLS over a network, where TLS is possible.
    pub(in crate::app) fn may_lack_tls(&self) -> bool {
        matches!(self.transport, Transport::Tcp { tls: None, .. })
    }

    /// Returns whether it is a unix socket.
    pub(in crate::app) fn is_unix(&self) -> bool {
        matches!(self.transport, Transport::Unix(_))
    }

    /// Returns whether connections to it have TLS.
    pub(in crate::app) fn has_tls(&self) -> bool {
        matches!(self.transport, Transport::Tcp { tls: Some(_), .. })
    }
}

fn tls(port: ServerPort, address: &str, args: &ClientTlsArgs) -> Result<Tls, ServerAddressError> {
    let ClientTlsArgs {
        ca,
        certificate,
        private_key,
        server_name,
    } = args;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let (flag, name) = match server_name {
        Some(name) => ("--server-name", name.as_str()),
        None => (port.flag(), host.trim_matches(['[', ']'])),
    };
    let name = client_stream::ServerName::try_from(name.to_owned()).map_err(|_| {
        let name = name.to_owned();
        ServerAddressError::ServerName { flag, name }
    })?;
    let identity = certificate.clone().zip(private_key.clone());
    let files = ClientFiles {
        authorities: ca.clone(),
        identity: identity.map(|(certificate, private_key)| IdentityFiles {
            certificate,
            private_key,
        }),
    };
    let files = ClientTls::open(files, port.protocol().as_bytes())?;
    Ok(Tls {
        name,
        files: Mutex::new(files),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str, args: &ClientTlsArgs) -> Result<ServerAddress, String> {
        ServerAddress::open(ServerPort::Admin, text, args).map_err(|why| why.to_string())
    }

    #[test]
    fn an_address_is_read_as_serve_has_it_or_as_a_url() {
        let none = ClientTlsArgs::default();
        for (text, expected) in [
            ("127.0.0.1:9192", Some("127.0.0.1:9192")),
            ("http://localhost:9192/", Some("localhost:9192")),
            ("[::1]:9192", Some("[::1]:9192")),
            ("unix:/run/x.sock", Some("localhost")),
            ("unix:///run/x.sock?mode=0660", Some("localhost")),
            ("unix:", None),
            ("http://unix:/run/x.sock", None),
            ("http://localhost:9192/explain", None),
            ("localhost", None),
            (":9192", None),
            ("localhost:70000", None),
            ("https://localhost", None),
        ] {
            let opened = open(text, &none);
            let authority = opened.as_ref().ok().map(ServerAddress::authority);
            assert_eq!(authority, expected, "{text}");
        }
        let Transport::Unix(path) = open("unix:///run/x?mode=0660", &none).unwrap().transport
        else {
            panic!("not a socket");
        };
        assert_eq!(path, PathBuf::from("/run/x"));
    }

    #[test]
    fn a_flag_that_would_not_be_used_is_an_error() {
        let named = ClientTlsArgs {
            server_name: Some("a.example".into()),
            ..ClientTlsArgs::default()
        };
        for text in ["localhost:1", "http://localhost:1", "unix:/x"] {
            assert_eq!(
                open(text, &named).unwrap_err(),
                "--server-name needs TLS: write `--admin https://HOST:PORT`, or remove --server-name"
            );
        }
    }

    #[test]
    fn a_name_or_a_file_that_cannot_be_used_is_reported_before_connecting() {
        let with = |ca: &str, name: Option<&str>| ClientTlsArgs {
            ca: Some(ca.into()),
            server_name: name.map(str::to_owned),
            ..ClientTlsArgs::default()
        };
        for (text, args, expected) in [
            (
                "https://a_b.example:1",
                with("/none", None),
                "cannot read `/none`",
            ),
            (
                "https://a b:1",
                with("/none", None),
                "--admin: no certificate can be for `a b`",
            ),
            (
                "https://localhost:1",
                with("/none", Some("a b")),
                "--server-name: no certificate can be for `a b`",
            ),
        ] {
            let wrong = open(text, &args).unwrap_err();
            assert!(wrong.starts_with(expected), "{text}: {wrong}");
        }
    }
}
