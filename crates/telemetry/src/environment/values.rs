//! The values of variables: how each kind is written, and what is wrong with one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tonic::codegen::http::Uri;
use tonic::metadata::{Ascii, AsciiMetadataValue, MetadataKey, MetadataMap};

use super::CollectorConfig;

/// The most that may wait for a collector.
const MOST: usize = 1 << 20;

/// The longest time, in milliseconds: a day.
const LONGEST: u64 = 24 * 60 * 60 * 1_000;

/// How long a batch is tried, unless the variables say.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is wrong with one variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {name}{}: {problem}", .value.as_ref().map(|value| format!(" `{value}`")).unwrap_or_default())]
pub struct TelemetryVariableError {
    /// The variable.
    pub name: String,
    /// Its value, unless it may be a secret.
    pub value: Option<String>,
    /// What is wrong with it, and what to write.
    pub problem: String,
}

/// Reads variables and gathers what is wrong with them.
pub(super) struct Reader<'v> {
    variables: &'v BTreeMap<String, String>,
    pub(super) problems: Vec<TelemetryVariableError>,
}

impl<'v> Reader<'v> {
    pub(super) fn new(variables: &'v BTreeMap<String, String>) -> Reader<'v> {
        Reader {
            variables,
            problems: Vec::new(),
        }
    }

    /// Returns the value of a variable. An empty one counts as not set, as the standard says.
    pub(super) fn text(&self, name: &str) -> Option<&'v str> {
        let text = self.variables.get(name)?.trim();
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn wrong(&mut self, name: &str, value: &str, problem: String) {
        self.note(name, Some(value.to_owned()), problem);
    }

    fn note(&mut self, name: &str, value: Option<String>, problem: String) {
        let problem = TelemetryVariableError {
            name: name.to_owned(),
            value,
            problem,
        };
        // A common variable is read for each signal, and reported once.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Reads one of some words.
    pub(super) fn one_of(&mut self, name: &str, words: &[&str], hint: &str) -> Option<String> {
        let text = self.text(name)?;
        if words.contains(&text) {
            return Some(text.to_owned());
        }
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        let expected = format!("expected {}{hint}", words.join(", "));
        self.wrong(name, text, expected);
        None
    }

    pub(super) fn truth(&mut self, name: &str) -> bool {
        let word = self.text(name).map(str::to_ascii_lowercase);
        match word.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                self.wrong(name, other, "expected `true` or `false`".to_owned());
                false
            }
        }
    }

    pub(super) fn milliseconds(&mut self, name: &str) -> Option<Duration> {
        let text = self.text(name)?;
        match text.parse() {
            Ok(number @ 1..=LONGEST) => Some(Duration::from_millis(number)),
            _ => {
                let expected = "expected milliseconds from 1 to a day, such as `5000`".to_owned();
                self.wrong(name, text, expected);
                None
            }
        }
    }

    pub(super) fn count(&mut self, name: &str) -> Option<usize> {
        let text = self.text(name)?;
        match text.parse() {
            Ok(number @ 1..=MOST) => Some(number),
            _ => {
                self.wrong(name, text, format!("expected a number from 1 to {MOST}"));
                None
            }
        }
    }

    /// Returns the name and the value of a variable of this signal, or of the common one.
    fn of_signal(&self, signal: &str, end: &str) -> (String, Option<&'v str>) {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{end}");
        match self.text(&own) {
            Some(text) => (own, Some(text)),
            None => {
                let common = format!("OTEL_EXPORTER_OTLP_{end}");
                let text = self.text(&common);
                (common, text)
            }
        }
    }

    /// Reads the URL of a signal's collector.
    pub(super) fn endpoint(&mut self, signal: &str) -> Option<Uri> {
        let (name, text) = self.of_signal(signal, "ENDPOINT");
        let text = text?;
        let uri = text.parse::<Uri>().ok().filter(|uri| {
            let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
            is_known && uri.host().is_some_and(|host| !host.is_empty())
        });
        if uri.is_none() {
            let expected = "expected the URL of an OTLP/gRPC endpoint, such as \
                            `http://collector.observability:4317`";
            self.wrong(&name, text, expected.to_owned());
        }
        uri
    }

    /// Reads everything else about a signal's collector.
    pub(super) fn collector(
        &mut self,
        signal: &str,
        endpoint: Option<&Uri>,
    ) -> Option<CollectorConfig> {
        let (protocol, _) = self.of_signal(signal, "PROTOCOL");
        self.one_of(
            &protocol,
            &["grpc"],
            ": customs sends OTLP over gRPC, mostly to port 4317",
        );
        let (compression, _) = self.of_signal(signal, "COMPRESSION");
        let compression = self.one_of(&compression, &["gzip", "none"], "");
        let (timeout, _) = self.of_signal(signal, "TIMEOUT");
        let timeout = self.milliseconds(&timeout);
        let headers = self.headers(signal);
        let uses_tls = endpoint.is_none_or(|uri| uri.scheme_str() == Some("https"));
        let [authorities, certificate, key] = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"]
            .map(|end| {
                let (name, text) = self.of_signal(signal, end);
                if let (Some(text), false) = (text, uses_tls) {
                    let expected = "the endpoint is without TLS; write `https://`".to_owned();
                    self.wrong(&name, text, expected);
                }
                (name, text.map(PathBuf::from))
            });
        for ((name, given), (other, missing)) in [(&certificate, &key), (&key, &certificate)] {
            if let (Some(given), None) = (given, missing) {
                let expected = format!("set {other} beside it");
                self.wrong(name, &given.display().to_string(), expected);
            }
        }
        Some(CollectorConfig {
            endpoint: endpoint?.to_string(),
            headers,
            timeout: timeout.unwrap_or(TIMEOUT),
            gzip: compression.as_deref() == Some("gzip"),
            authorities: authorities.1,
            identity: certificate.1.zip(key.1),
        })
    }

    fn headers(&mut self, signal: &str) -> MetadataMap {
        let (name, text) = self.of_signal(signal, "HEADERS");
        let mut headers = MetadataMap::new();
        for (number, pair) in pairs(text.unwrap_or_default()).enumerate() {
            let parsed = pair.and_then(|(key, value)| {
                let key = MetadataKey::<Ascii>::from_bytes(key.to_ascii_lowercase().as_bytes());
                Some((key.ok()?, AsciiMetadataValue::try_from(value).ok()?))
            });
            match parsed {
                Some((key, value)) => {
                    headers.append(key, value);
                }
                // The value may be a token, so it is not shown.
                None => self.note(
                    &name,
                    None,
                    format!(
                        "header {} cannot be sent: expected `NAME=VALUE,NAME=VALUE`, with \
                         `%2C` for a comma",
                        number + 1
                    ),
                ),
            }
        }
        headers
    }

    /// Reads the attributes of the resource.
    pub(super) fn resource(&mut self) -> Vec<(String, String)> {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let text = self.text(NAME).unwrap_or_default();
        let mut attributes = Vec::new();
        for pair in pairs(text) {
            match pair {
                Some(pair) => attributes.push(pair),
                None => {
                    let expected = "expected `NAME=VALUE,NAME=VALUE`, with `%2C` for a comma and \
                                    `%3D` for `=`";
                    self.wrong(NAME, text, expected.to_owned());
                }
            }
        }
        attributes
    }
}

/// Returns the pairs of a list, decoded; `None` for what is not a pair.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(|part| {
        let (key, value) = part.split_once('=')?;
        let (key, value) = (decoded(key.trim())?, decoded(value.trim())?);
        (!key.is_empty()).then_some((key, value))
    })
}

/// Decodes `%2C`. `None` for a sign of percent that is followed by something else.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Reads a part from 0 to 1.
pub(super) fn ratio(text: &str) -> Option<f64> {
    let part: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&part).then_some(part)
}
