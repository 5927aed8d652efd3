//! The sinks as in the settings: where records go, which records, in what format, and what happens
//! when a sink takes no more.
//!
//! It opens nothing. The rule: a sink is one text, `KIND:TARGET?KEY=VALUE&KEY=VALUE`, the same in a
//! flag, in the environment and in the settings file. A build without the feature `network-sinks`
//! refuses the sinks that need it.

mod error;
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
pub use error::{SinkConfigError, SinkOptionError};
#[cfg(feature = "network-sinks")]
use otlp::OtlpOptions;
#[cfg(feature = "network-sinks")]
use tail::TailOptions;

/// The value of `format` for lines that people read.
const PRETTY: &str = "pretty";

/// One sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// Where records go.
    pub target: Target,
    /// Which records.
    pub filter: Filter,
    /// In what format.
    pub format: Format,
    /// How records are printed for people instead; for stdout only.
    pub pretty: Option<PrettyOptions>,
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

/// How records are printed for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrettyOptions {
    /// Whether lines are coloured.
    pub is_coloured: bool,
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

impl FromStr for SinkConfig {
    type Err = SinkConfigError;

    fn from_str(text: &str) -> Result<SinkConfig, SinkConfigError> {
        let (place, options) = text.split_once('?').unwrap_or((text, ""));
        let mut config = SinkConfig::to(target(place)?);
        let mut is_on_full_given = false;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            config.set(key, value)?;
            is_on_full_given |= key == "on_full";
        }
        // A terminal that is paused must not stop requests: its lines are not evidence.
        if config.pretty.is_some() && !is_on_full_given {
            config.on_full = OnFull::Drop;
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
            pretty: None,
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
            "format" if value == PRETTY => match self.target {
                Target::Stdout => self.pretty = Some(PrettyOptions::default()),
                _ => return Err(SinkConfigError::StdoutAlone),
            },
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
