//! An OpenTelemetry collector: each line of the audit log becomes one log record of OTLP/gRPC.
//!
//! It decides nothing and does not change a line. The rules:
//!
//! - The body of a log record is the line as it is, without its line feed, so that a consumer that
//!   stores bodies can verify the chain. The other fields are read from that line, for searching
//!   and routing.
//! - Only what the collector has acknowledged counts as taken. If a collector has stored an export
//!   but its acknowledgement was lost, it gets the same records again; stream and sequence identify
//!   them.
//! - No call waits long: an export that takes longer continues in the next call, up to its
//!   deadline.
//! - A file of its [`credentials`] that changed is in use at the next export, over a new
//!   [`connection`]. One that cannot be used leaves the last good one in use.

mod connection;
mod credentials;
mod line;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::time::timeout;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::{Sink, SinkOpenError};
use crate::config::otlp::OtlpOptions;
pub use connection::CollectorUrlError;
use connection::{Collector, Connection};
use credentials::Credentials;
pub use credentials::{CredentialsError, SinkCertificate, SinkCertificateReading};
use customs_engine::time::UnixNanos;
use customs_record::clock::now;
use customs_record::fields::OTLP_ATTRIBUTES;
use line::Line;

/// The most lines of one export.
const MAX_LINES: usize = 512;

/// The most bytes of lines in one export, except for a line that is longer by itself. With
/// everything else, an export then stays well below the 4 MiB that collectors accept.
const MAX_BYTES: usize = 1 << 20;

/// How long the collector may take to acknowledge an export, and how long connecting to it may
/// take, TLS included.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long one call of `write` waits for the acknowledgement.
const PATIENCE: Duration = Duration::from_millis(250);

/// A collector.
pub struct OtlpSink {
    name: String,
    collector: Collector,
    credentials: Credentials,
    /// Created at the first write, on the writer's own thread. `None` after an export that did not
    /// end in time.
    connection: Option<Connection>,
    /// An export without an acknowledgement yet, and the bytes of its lines.
    under_way: Option<(Exporting, usize)>,
}

type Exporting = Pin<Box<dyn Future<Output = io::Result<ExportLogsServiceResponse>> + Send>>;

impl OtlpSink {
    /// Parses the URL and reads the files. It does not connect: a collector that is down is not an
    /// error of the start.
    ///
    /// # Errors
    /// If the URL is invalid, or a file cannot be used.
    pub fn open(name: String, url: &str, options: &OtlpOptions) -> Result<OtlpSink, SinkOpenError> {
        let collector = Collector::parse(url, options.server_name.as_deref());
        let collector = collector.map_err(|problem| SinkOpenError::Otlp {
            url: url.to_owned(),
            problem,
        })?;
        let credentials = Credentials::open(options, url);
        let mut credentials = credentials.map_err(|problem| SinkOpenError::OtlpCredentials {
            url: url.to_owned(),
            problem,
        })?;
        credentials.report_expiry(&name, Timestamp::now());
        Ok(OtlpSink {
            name,
            collector,
            credentials,
            connection: None,
            under_way: None,
        })
    }

    /// Returns the certificate that it presents, for operators; `None` without TLS.
    pub(crate) fn certificate(&self) -> Option<SinkCertificate> {
        self.credentials.certificate(&self.name)
    }

    /// Looks at the files of the credentials. What they no longer hold is not shown again.
    fn refresh(&mut self) {
        if self.under_way.is_none() && self.credentials.refresh(&self.name) {
            self.connection = None;
        }
    }

    /// Waits a while for the export that is under way.
    fn wait(&mut self) -> io::Result<usize> {
        let Some(connection) = &self.connection else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let Some((exporting, bytes)) = &mut self.under_way else {
            return Ok(0);
        };
        let bytes = *bytes;
        let Ok(ended) = connection.run(async { timeout(PATIENCE, exporting).await })? else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        self.under_way = None;
        match ended {
            Ok(response) => {
                self.log_rejected(response);
                Ok(bytes)
            }
            Err(problem) => {
                let problem = self.described(problem);
                if problem.kind() == io::ErrorKind::TimedOut {
                    // A peer that is silent for so long may be gone without closing; the next try
                    // uses a new connection.
                    self.connection = None;
                }
                Err(problem)
            }
        }
    }

    /// Adds to a failure what else is known about it: why the connection ended, and a file that
    /// could not be used.
    fn described(&self, problem: io::Error) -> io::Error {
        let mut text = problem.to_string();
        let ended = self.connection.as_ref().and_then(Connection::failure);
        if let Some(why) = ended.filter(|why| !text.contains(why)) {
            text = format!("{text}: {why}");
        }
        if let Some(refused) = self.credentials.refused() {
            text = format!("{text}; the last good files are in use, because {refused}");
        }
        io::Error::new(problem.kind(), text)
    }

    /// Logs the records of an export that the collector rejected. They are not sent again: it would
    /// reject them again.
    fn log_rejected(&self, response: ExportLogsServiceResponse) {
        let Some(partial) = response.partial_success else {
            return;
        };
        let (rejected, why) = (partial.rejected_log_records, partial.error_message);
        if rejected > 0 {
            tracing::error!(
                sink = self.name,
                rejected,
                why,
                "the collector rejects audit records; look at its own log"
            );
        } else if !why.is_empty() {
            tracing::warn!(
                sink = self.name,
                why,
                "the collector took the audit records and warns"
            );
        }
    }
}

impl Sink for OtlpSink {
    fn name(&self) -> &str {
        &self.name
    }

    /// It has no file to rotate, but this is called also while there is nothing to write.
    fn rotate_if_due(&mut self, _now: UnixNanos) -> io::Result<bool> {
        self.refresh();
        Ok(false)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.refresh();
        if self.under_way.is_none() {
            let lines = lines(bytes);
            let taken = lines.iter().map(|line| line.len() + 1).sum();
            if taken == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "there is no whole line",
                ));
            }
            if self.connection.is_none() {
                let tls = self.credentials.tls();
                self.connection = Some(Connection::new(&self.collector, tls)?);
            }
            let Some(connection) = &self.connection else {
                return Err(io::ErrorKind::NotConnected.into());
            };
            let (client, headers) = (connection.client.clone(), self.credentials.headers());
            self.under_way = Some((Box::pin(export(client, headers, request(&lines))), taken));
        }
        self.wait()
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        // An export ends before what drives it.
        self.under_way = None;
    }
}

/// Exports within the deadline. The connection is idle between two exports, so the collector may
/// have closed it in the meantime. That shows at the first use, which is therefore retried once.
async fn export(
    mut client: LogsServiceClient<Channel>,
    headers: MetadataMap,
    request: ExportLogsServiceRequest,
) -> io::Result<ExportLogsServiceResponse> {
    let call = |request| {
        let mut call = Request::new(request);
        call.metadata_mut().clone_from(&headers);
        call
    };
    let both = async {
        match client.export(call(request.clone())).await {
            // A status with a source is a failure of the transport, not of the collector.
            Err(status) if std::error::Error::source(&status).is_some() => {
                client.export(call(request)).await
            }
            answer => answer,
        }
    };
    match timeout(DEADLINE, both).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(io::Error::new(kind(status.code()), describe(&status))),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the collector did not answer in 5 s",
        )),
    }
}

fn kind(code: Code) -> io::ErrorKind {
    match code {
        Code::DeadlineExceeded => io::ErrorKind::TimedOut,
        Code::Unauthenticated | Code::PermissionDenied => io::ErrorKind::PermissionDenied,
        Code::Unimplemented => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::Other,
    }
}

/// Describes a failure, down to the error of the system.
fn describe(status: &Status) -> String {
    let mut text = format!(
        "the export to the collector failed: {:?}: {}",
        status.code(),
        status.message()
    );
    let mut why = std::error::Error::source(status);
    while let Some(cause) = why {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        why = cause.source();
    }
    text
}

/// Returns the whole lines that one export takes, without their line feeds.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let (mut rest, mut taken) = (bytes, 0);
    while let Some((line, after)) = split_line(rest).filter(|_| lines.len() < MAX_LINES) {
        taken += line.len() + 1;
        if taken > MAX_BYTES && !lines.is_empty() {
            break;
        }
        lines.push(line);
        rest = after;
    }
    lines
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn request(lines: &[&[u8]]) -> ExportLogsServiceRequest {
    let resource = Resource {
        attributes: vec![
            attribute("service.name", text("customs")),
            attribute("service.version", text(env!("CARGO_PKG_VERSION"))),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "customs.audit".to_owned(),
        ..InstrumentationScope::default()
    };
    let observed = nanos(now().0);
    let log_records = lines
        .iter()
        .map(|line| log_record(line, observed))
        .collect();
    let scope_logs = vec![ScopeLogs {
        scope: Some(scope),
        log_records,
        ..ScopeLogs::default()
    }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource),
            scope_logs,
            ..ResourceLogs::default()
        }],
    }
}

fn log_record(bytes: &[u8], observed: u64) -> LogRecord {
    // A line is ASCII and JSON, as the stream renders it; if it were not, its body would still be
    // exported.
    let line: Line = serde_json::from_slice(bytes).unwrap_or_default();
    let is_warning = line.text("effect") == "deny"
        || ["gap", "withheld", "refusals"].contains(&line.text("kind"));
    let severity = if is_warning {
        SeverityNumber::Warn
    } else {
        SeverityNumber::Info
    };
    let (trace_id, span_id, flags) = trace(line.text("traceparent")).unwrap_or_default();
    LogRecord {
        time_unix_nano: line
            .text("time")
            .parse()
            .map_or(0, |time: jiff::Timestamp| nanos(time.as_nanosecond())),
        observed_time_unix_nano: observed,
        severity_number: severity.into(),
        severity_text: if is_warning { "WARN" } else { "INFO" }.to_owned(),
        body: Some(text(String::from_utf8_lossy(bytes))),
        event_name: format!("customs.audit.{}", line.text("kind")),
        attributes: attributes(&line),
        trace_id,
        span_id,
        flags,
        ..LogRecord::default()
    }
}

fn attributes(line: &Line) -> Vec<KeyValue> {
    let of_every_record = [("stream", "customs.stream"), ("kind", "customs.kind")];
    let texts = of_every_record
        .iter()
        .chain(OTLP_ATTRIBUTES)
        .map(|(field, name)| (name, line.text(field)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| attribute(name, text(value)));
    let sequence = AnyValue {
        value: Some(Value::IntValue(
            line.text("sequence").parse().unwrap_or_default(),
        )),
    };
    std::iter::once(attribute("customs.sequence", sequence))
        .chain(texts)
        .collect()
}

fn attribute(name: &str, value: AnyValue) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(value),
        ..KeyValue::default()
    }
}

fn text(value: impl Into<String>) -> AnyValue {
    AnyValue {
        value: Some(Value::StringValue(value.into())),
    }
}

/// Returns nanoseconds since 1970 as OTLP counts them; 0, which means none, if out of range.
fn nanos(nanos: i128) -> u64 {
    u64::try_from(nanos).unwrap_or(0)
}

/// Returns the ids and the flags of a W3C trace context; `None` if it is malformed or says that
/// there is none.
fn trace(traceparent: &str) -> Option<(Vec<u8>, Vec<u8>, u32)> {
    let mut parts = traceparent.split('-').skip(1);
    let (trace, span, flags) = (
        bytes(parts.next()?, 16)?,
        bytes(parts.next()?, 8)?,
        bytes(parts.next()?, 1)?,
    );
    let is_some = |id: &[u8]| id.iter().any(|byte| *byte != 0);
    (is_some(&trace) && is_some(&span)).then(|| {
        (
            trace,
            span,
            flags.first().copied().unwrap_or_default().into(),
        )
    })
}

/// Parses `count` bytes of hexadecimal digits, in any case.
fn bytes(digits: &str, count: usize) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .ok()
        .filter(|bytes| bytes.len() == count)
}

#[cfg(test)]
mod tests;
