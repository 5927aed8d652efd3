//! The sinks as in the settings: where records go, which records, in what format, and what happens
//! when a sink takes no more.
//!
//! It opens nothing. The rule: a sink is one text, `KIND:TARGET?KEY=VALUE&KEY=VALUE`, the same in a
//! flag, in the environment and in the settings file. A build without the feature `network-sinks`
//! refuses the sinks that need it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use customs_record::filter::{Filter, ParseFilterError};
use customs_record::stream::{Format, ParseFormatError};

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
        "`otlp:` needs the URL of a collector's OTLP/gRPC endpoint, such as `otlp:http://127.0.0.1:4317`"
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
        "unknown option `{0}`: expected filter, format, on_full, rotate_size, rotate_age, keep or gzip, and mode, owner or peers of a unix socket"
    )]
    NoOption(String),
    /// An option for files at another sink.
    #[error("the option `{0}` is for files only: remove it")]
    FilesAlone(&'static str),
    /// An option for unix sockets at another sink.
    #[error("the option `{0}` is for `tail:unix:PATH` only: remove it")]
    UnixSocketsAlone(&'static str),
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
        Ok(config)
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
        ("otlp", url) if url.starts_with("http://") && url.len() > 7 => {
            Ok(Target::Otlp(url.to_owned()))
        }
        ("otlp", _) => Err(SinkConfigError::NoUrl),
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
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        text.parse::<SinkConfig>().unwrap_err().to_string()
    }

    #[test]
    fn a_sink_is_read_with_its_options() {
        assert_eq!("stdout".parse(), Ok(SinkConfig::to(Target::Stdout)));
        let read: SinkConfig =
            "file:/a/b:c?filter=denies&format=protobuf&on_full=drop&rotate_size=10MiB&rotate_age=24h&keep=3&gzip=true"
                .parse()
                .unwrap();
        let rotation = Rotation {
            size: Some(10 << 20),
            age: Some(Duration::from_secs(86_400)),
            keep: Some(3),
            gzip: true,
        };
        let target = Target::File("/a/b:c".into());
        let (filter, format, on_full) = (Filter::Denies, Format::Protobuf, OnFull::Drop);
        assert_eq!(
            read,
            SinkConfig {
                target,
                filter,
                format,
                on_full,
                rotation
            }
        );
        assert_eq!(read.name(), "file:/a/b:c");
        assert_eq!(
            SinkConfig::to(Target::Tail("127.0.0.1:9193".into())).format,
            Format::Protobuf
        );
        assert_eq!(
            "tail:unix:/run/x".parse::<SinkConfig>().unwrap().target,
            Target::Tail("unix:/run/x".into())
        );
    }

    #[test]
    fn a_tail_has_the_options_of_its_unix_socket() {
        let text = "tail:unix:/run/x?mode=0660&on_full=drop&peers=7";
        let sink: SinkConfig = text.parse().unwrap();
        assert_eq!(
            sink.target,
            Target::Tail("unix:/run/x?mode=0660&peers=7".into())
        );
        assert_eq!(
            (sink.name().as_str(), sink.on_full),
            ("tail:unix:/run/x", OnFull::Drop)
        );
    }

    #[test]
    fn a_build_without_network_sinks_says_so() {
        let error = SinkConfigError::NoNetworkSinks("otlp:http://x:1".into());
        assert_eq!(
            error.to_string(),
            "this build has no network sinks, so the audit log cannot go to `otlp:http://x:1`; write `stdout` or `file:PATH`, \
             or build with the feature `network-sinks`"
        );
    }

    #[test]
    fn a_bad_sink_is_reported_with_what_to_write() {
        for (text, expected) in [
            ("", "expected `stdout`, `file:PATH`"),
            ("/tmp/x", "expected `stdout`, `file:PATH`"),
            ("file:", "`file:` needs a path"),
            ("otlp:collector:4317", "needs the URL"),
            ("tail:", "needs an address"),
            ("stdout?colour=red", "unknown option `colour`"),
            (
                "tail:127.0.0.1:1?mode=0600",
                "`mode` is for `tail:unix:PATH` only",
            ),
            ("stdout?peers=1", "`peers` is for `tail:unix:PATH` only"),
            ("stdout?keep=1", "`keep` is for files only"),
            ("otlp:http://x:1?format=json", "`format` is for files only"),
            ("file:x?rotate_size=0", "rotate_size: expected a size"),
            ("file:x?rotate_size=10MB", "rotate_size: expected a size"),
            ("file:x?rotate_age=1", "rotate_age: expected an age"),
            ("file:x?on_full=wait", "on_full: expected `block`"),
            ("file:x?filter=sample 1/0", "filter: "),
        ] {
            assert!(wrong(text).contains(expected), "{text}: {}", wrong(text));
        }
    }
}
