//! The sinks as in the settings: where records go, which records, in what format, and what happens
//! when a sink takes no more.
//!
//! It opens nothing. The rule: a sink is one text, `KIND:TARGET?KEY=VALUE&KEY=VALUE`, the same in a
//! flag, in the environment and in the settings file. A build without the feature `network-sinks`
//! refuses the sinks that need it.

#[cfg(feature = "network-sinks")]
pub mod otlp;
#[cfg(feature = "network-sinks")]
pub mod tail;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use customs_record::filter::{Filter, ParseFilterError};
use customs_record::stream::{Format, ParseFormatError};
#[cfg(feature = "network-sinks")]
use customs_tls::client_ids::ParseClientIdError;
#[cfg(feature = "network-sinks")]
use otlp::{HeaderError, OtlpOptions, OtlpOptionsError};
#[cfg(feature = "network-sinks")]
use tail::{TailOptions, TailOptionsError};

/// One sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// Where records go.
    pub target: Target,
    /// Which records.
    pub filter: Filter,
    /// In what format.
    pub format: Format,
    /// What happens when it takes no more.
    pub on_full: OnFull,
    /// When a file is closed and another begins; for files only.
    pub rotation: Rotation,
    /// TLS and headers; for OTLP only.
    #[cfg(feature = "network-sinks")]
    pub otlp: OtlpOptions,
    /// TLS; for tails only.
    #[cfg(feature = "network-sinks")]
    pub tail: TailOptions,
}

/// Where a sink writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The process's standard output.
    Stdout,
    /// A file that is appended to, or a pipe.
    File(PathBuf),
    /// An OpenTelemetry collector: the URL of its OTLP/gRPC endpoint.
    #[cfg(feature = "network-sinks")]
    Otlp(String),
    /// A gRPC service of customs to which consumers subscribe: the address on which it listens.
    #[cfg(feature = "network-sinks")]
    Tail(String),
}

impl Target {
    /// Returns whether records leave this machine on the way there.
    pub fn is_elsewhere(&self) -> bool {
        match self {
            Target::Stdout | Target::File(_) => false,
            #[cfg(feature = "network-sinks")]
            Target::Otlp(_) | Target::Tail(_) => true,
        }
    }
}

/// What happens to a check whose record a full sink cannot take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// The check waits for room up to a deadline; then it is denied.
    #[default]
    Block,
    /// The record is dropped and counted; the count becomes a record as soon as there is room.
    Drop,
    /// The check is denied at once.
    Deny,
}

impl OnFull {
    /// Every variant.
    pub const ALL: [OnFull; 3] = [OnFull::Block, OnFull::Drop, OnFull::Deny];

    /// Returns the name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            OnFull::Block => "block",
            OnFull::Drop => "drop",
            OnFull::Deny => "deny",
        }
    }
}

/// When a file is closed and another begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// When it has this many bytes.
    pub size: Option<u64>,
    /// When it has this age.
    pub age: Option<Duration>,
    /// How many closed files are kept; `None` keeps all of them.
    pub keep: Option<usize>,
    /// Whether closed files are compressed.
    pub gzip: bool,
}

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

impl FromStr for SinkConfig {
    type Err = SinkConfigError;

    fn from_str(text: &str) -> Result<SinkConfig, SinkConfigError> {
        let (place, options) = text.split_once('?').unwrap_or((text, ""));
        let mut config = SinkConfig::to(target(place)?);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            config.set(key, value)?;
        }
        #[cfg(feature = "network-sinks")]
        if let Target::Otlp(url) = &config.target {
            config.otlp.check(url)?;
        }
        #[cfg(feature = "network-sinks")]
        if let Target::Tail(address) = &config.target {
            config.tail.check(address)?;
        }
        Ok(config)
    }
}

/// Returns the text of a sink as it may be shown: without values of headers, and without the user
/// and the password of a URL.
pub fn without_secrets(text: &str) -> String {
    let (place, options) = text.split_once('?').unwrap_or((text, ""));
    let place = match (place.split_once("://"), place.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => place.to_owned(),
    };
    let shown = |option: &str| match option.strip_prefix("header=") {
        Some(header) => match header.split_once(':') {
            Some((name, _)) => format!("header={name}:***"),
            None => "header=***".to_owned(),
        },
        None => option.to_owned(),
    };
    match options.is_empty() {
        true => place,
        false => {
            let options: Vec<String> = options.split('&').map(shown).collect();
            format!("{place}?{}", options.join("&"))
        }
    }
}

fn target(place: &str) -> Result<Target, SinkConfigError> {
    match place.split_once(':') {
        None if place == "stdout" => Ok(Target::Stdout),
        Some(("file", "")) => Err(SinkConfigError::NoPath),
        Some(("file", path)) => Ok(Target::File(path.into())),
        Some((kind @ ("otlp" | "tail"), rest)) => network_target(kind, rest),
        _ => Err(SinkConfigError::Unknown),
    }
}

#[cfg(feature = "network-sinks")]
fn network_target(kind: &str, rest: &str) -> Result<Target, SinkConfigError> {
    match (kind, rest) {
        ("otlp", url) => {
            let host = ["http://", "https://"]
                .iter()
                .find_map(|scheme| url.strip_prefix(scheme));
            // A password in a URL would be in the sink's name, and so in every message.
            host.filter(|host| !host.is_empty() && !host.contains('@'))
                .map(|_| Target::Otlp(url.to_owned()))
                .ok_or(SinkConfigError::NoUrl)
        }
        (_, "") => Err(SinkConfigError::NoAddress),
        (_, address) => Ok(Target::Tail(address.to_owned())),
    }
}

#[cfg(not(feature = "network-sinks"))]
fn network_target(kind: &str, rest: &str) -> Result<Target, SinkConfigError> {
    Err(SinkConfigError::NoNetworkSinks(format!("{kind}:{rest}")))
}

impl SinkConfig {
    /// Creates a sink with every option at its default.
    pub fn to(target: Target) -> SinkConfig {
        let format = match &target {
            #[cfg(feature = "network-sinks")]
            Target::Tail(_) => Format::Protobuf,
            _ => Format::Json,
        };
        let filter = Filter::default();
        SinkConfig {
            target,
            filter,
            format,
            on_full: OnFull::default(),
            rotation: Rotation::default(),
            #[cfg(feature = "network-sinks")]
            otlp: OtlpOptions::default(),
            #[cfg(feature = "network-sinks")]
            tail: TailOptions::default(),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), SinkConfigError> {
        let bad = |why: SinkOptionError| SinkConfigError::BadValue {
            key: key.to_owned(),
            why,
        };
        match key {
            "filter" => {
                self.filter = value
                    .parse()
                    .map_err(|why: ParseFilterError| bad(why.into()))?
            }
            "format" => {
                self.format = value
                    .parse()
                    .map_err(|why: ParseFormatError| bad(why.into()))?
            }
            "on_full" => self.on_full = value.parse().map_err(bad)?,
            "rotate_size" => self.rotation.size = Some(bytes(value).map_err(bad)?),
            "rotate_age" => self.rotation.age = Some(age(value).map_err(bad)?),
            "keep" => {
                let count = value
                    .parse()
                    .map_err(|_| bad(SinkOptionError::Count(value.to_owned())))?;
                self.rotation.keep = Some(count);
            }
            "gzip" => {
                self.rotation.gzip = value.parse().map_err(|_| bad(SinkOptionError::Switch))?
            }
            "mode" => self.set_socket_option("mode", value)?,
            "owner" => self.set_socket_option("owner", value)?,
            "peers" => self.set_socket_option("peers", value)?,
            "client_ca" | "client_ids" | "min_version" => return self.set_tail(key, value),
            #[cfg(feature = "network-sinks")]
            "certificate" | "private_key" if matches!(self.target, Target::Tail(_)) => {
                return self.set_tail(key, value);
            }
            "ca" | "certificate" | "private_key" | "server_name" | "header" | "headers_file" => {
                return self.set_otlp(key, value);
            }
            _ => return Err(SinkConfigError::NoOption(key.to_owned())),
        }
        match (&self.target, key) {
            (Target::File(_), _) => Ok(()),
            (_, "rotate_size") => Err(SinkConfigError::FilesAlone("rotate_size")),
            (_, "rotate_age") => Err(SinkConfigError::FilesAlone("rotate_age")),
            (_, "keep") => Err(SinkConfigError::FilesAlone("keep")),
            (_, "gzip") => Err(SinkConfigError::FilesAlone("gzip")),
            #[cfg(feature = "network-sinks")]
            (Target::Otlp(_) | Target::Tail(_), "format") => {
                Err(SinkConfigError::FilesAlone("format"))
            }
            _ => Ok(()),
        }
    }

    /// Leaves an option to the address of a tail, which is read where it is bound.
    #[cfg(feature = "network-sinks")]
    fn set_socket_option(&mut self, key: &'static str, value: &str) -> Result<(), SinkConfigError> {
        match &mut self.target {
            Target::Tail(address) if address.starts_with("unix:") => {
                let separator = if address.contains('?') { '&' } else { '?' };
                address.push(separator);
                address.push_str(&format!("{key}={value}"));
                Ok(())
            }
            _ => Err(SinkConfigError::UnixSocketsAlone(key)),
        }
    }

    #[cfg(not(feature = "network-sinks"))]
    fn set_socket_option(&mut self, key: &'static str, _: &str) -> Result<(), SinkConfigError> {
        Err(SinkConfigError::UnixSocketsAlone(key))
    }

    /// Sets an option that only OTLP has.
    fn set_otlp(&mut self, key: &str, value: &str) -> Result<(), SinkConfigError> {
        #[cfg(feature = "network-sinks")]
        if let Target::Otlp(_) = self.target {
            return self
                .otlp
                .set(key, value)
                .map_err(|why| SinkConfigError::BadValue {
                    key: key.to_owned(),
                    why,
                });
        }
        let _ = value;
        Err(SinkConfigError::OtlpAlone(key.to_owned()))
    }

    /// Sets an option that only tails have.
    fn set_tail(&mut self, key: &str, value: &str) -> Result<(), SinkConfigError> {
        #[cfg(feature = "network-sinks")]
        if let Target::Tail(_) = self.target {
            return self
                .tail
                .set(key, value)
                .map_err(|why| SinkConfigError::BadValue {
                    key: key.to_owned(),
                    why,
                });
        }
        let _ = value;
        Err(SinkConfigError::TailAlone(key.to_owned()))
    }

    /// Returns the name in records, metrics and messages: the target without its options.
    pub fn name(&self) -> String {
        match &self.target {
            Target::Stdout => "stdout".to_owned(),
            Target::File(path) => format!("file:{}", path.display()),
            #[cfg(feature = "network-sinks")]
            Target::Otlp(url) => format!("otlp:{url}"),
            #[cfg(feature = "network-sinks")]
            Target::Tail(address) => {
                let (place, _options) = address.split_once('?').unwrap_or((address, ""));
                format!("tail:{place}")
            }
        }
    }
}

impl FromStr for OnFull {
    type Err = SinkOptionError;

    fn from_str(text: &str) -> Result<OnFull, SinkOptionError> {
        let found = OnFull::ALL.into_iter().find(|way| way.as_str() == text);
        found.ok_or_else(|| SinkOptionError::OnFull(text.to_owned()))
    }
}

/// Parses `100MiB`, `64KiB`, `1GiB`, or a plain number of bytes; never 0.
pub fn bytes(text: &str) -> Result<u64, SinkOptionError> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let (number, unit) = units
        .into_iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .unwrap_or((text, 1));
    let count = number
        .trim()
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    count
        .filter(|count| *count > 0)
        .ok_or_else(|| SinkOptionError::Size(text.to_owned()))
}

fn age(text: &str) -> Result<Duration, SinkOptionError> {
    let age = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|age| Duration::try_from(age).ok());
    age.filter(|age| !age.is_zero())
        .ok_or_else(|| SinkOptionError::Age(text.to_owned()))
}

impl fmt::Display for SinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests;
