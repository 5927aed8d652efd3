//! What is wrong with a sink as in the settings.

use customs_record::filter::ParseFilterError;
use customs_record::stream::ParseFormatError;
#[cfg(feature = "network-sinks")]
use customs_tls::client_ids::ParseClientIdError;

#[cfg(feature = "network-sinks")]
use super::otlp::{HeaderError, OtlpOptionsError};
#[cfg(feature = "network-sinks")]
use super::tail::TailOptionsError;

/// What is wrong with the text of a sink.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkConfigError {
    /// The text does not name a target.
    #[error(
        "expected `stdout`, `file:PATH`, `otlp:URL`, `tail:HOST:PORT` or `off`, with options after a question mark"
    )]
    Unknown,
    /// `file:` without a path.
    #[error("`file:` needs a path, such as `file:/var/log/customs/audit.jsonl`")]
    NoPath,
    /// `otlp:` without a usable URL.
    #[error(
        "`otlp:` needs the URL of a collector's OTLP/gRPC endpoint without a user and a password, such as `otlp:http://127.0.0.1:4317` \
         or `otlp:https://collector.example:4317`"
    )]
    NoUrl,
    /// `otlp:` or `tail:` in a build without network sinks.
    #[error(
        "this build has no network sinks, so the audit log cannot go to `{0}`; write `stdout` or `file:PATH`, or build with the \
         feature `network-sinks`"
    )]
    NoNetworkSinks(String),
    /// `tail:` without an address.
    #[error(
        "`tail:` needs an address to listen on, such as `tail:127.0.0.1:9193` or `tail:unix:/run/customs/tail.sock`"
    )]
    NoAddress,
    /// An unknown option.
    #[error(
        "unknown option `{0}`: expected filter, format, on_full, rotate_size, rotate_age, keep or gzip; mode, owner or peers of a unix \
         socket; or ca, certificate, private_key, server_name, header or headers_file of `otlp:`; or certificate, private_key, client_ca, client_ids or \
         min_version of `tail:`"
    )]
    NoOption(String),
    /// An option for files at another sink.
    #[error("the option `{0}` is for files only: remove it")]
    FilesAlone(&'static str),
    /// The lines for people at another sink than stdout.
    #[error(
        "`format=pretty` is for `stdout` only: it prints lines for people, which no tool can read or \
         verify; write `json` or `protobuf`"
    )]
    StdoutAlone,
    /// An option for unix sockets at another sink.
    #[error("the option `{0}` is for `tail:unix:PATH` only: remove it")]
    UnixSocketsAlone(&'static str),
    /// An option for OTLP at another sink.
    #[error("the option `{0}` is for `otlp:` only: remove it")]
    OtlpAlone(String),
    /// An option for tails at another sink.
    #[error("the option `{0}` is for `tail:` only: remove it")]
    TailAlone(String),
    /// Options of a tail that do not fit together.
    #[cfg(feature = "network-sinks")]
    #[error(transparent)]
    Tail(#[from] TailOptionsError),
    /// Options that do not fit together.
    #[cfg(feature = "network-sinks")]
    #[error(transparent)]
    Otlp(#[from] OtlpOptionsError),
    /// An invalid value of an option.
    #[error("invalid option {key}: {why}")]
    BadValue {
        /// The option.
        key: String,
        /// What is wrong with its value.
        #[source]
        why: SinkOptionError,
    },
}

/// What is wrong with the value of a sink's option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkOptionError {
    /// `filter`
    #[error(transparent)]
    Filter(#[from] ParseFilterError),
    /// `format`
    #[error(transparent)]
    Format(#[from] ParseFormatError),
    /// `on_full`
    #[error("expected `block`, `drop` or `deny`, not `{0}`")]
    OnFull(String),
    /// A number of bytes.
    #[error("expected a size such as `64KiB`, `100MiB` or `1GiB`, not `{0}`")]
    Size(String),
    /// A duration.
    #[error("expected an age such as `24h` or `30m`, not `{0}`")]
    Age(String),
    /// A number of files.
    #[error("expected a number of files, not `{0}`")]
    Count(String),
    /// A boolean.
    #[error("expected `true` or `false`")]
    Switch,
    /// A path.
    #[error("expected a path")]
    Path,
    /// A version of TLS.
    #[error("expected `TLSv1.2` or `TLSv1.3`, not `{0}`")]
    TlsVersion(String),
    /// The id of a subscriber.
    #[cfg(feature = "network-sinks")]
    #[error(transparent)]
    ClientId(#[from] ParseClientIdError),
    /// The name of a server.
    #[error("expected a name or an IP address, not `{0}`")]
    ServerName(String),
    /// A header.
    #[cfg(feature = "network-sinks")]
    #[error(transparent)]
    Header(#[from] HeaderError),
}
