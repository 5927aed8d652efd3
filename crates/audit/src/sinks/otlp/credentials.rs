//! What a sink shows its collector, and whom it trusts: TLS and headers, out of the settings and of
//! files that may change.
//!
//! It connects to nothing and sends nothing. The rules: a change of a file is taken whole or refused
//! whole, and what was refused leaves the last good file in use; the value of a header is never
//! shown.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use customs_tls::certificate::{CertificateExpiry, CertificateSummary};
use customs_tls::client::{ClientTls, Refresh};
use customs_tls::client_stream::HTTP2;
use customs_tls::files::{self, ReadFileError};
use customs_tls::pem;
use jiff::Timestamp;
use tokio_rustls::rustls::ClientConfig;
use tonic::metadata::MetadataMap;

use crate::config::otlp::{HeaderError, Headers, OtlpOptions, is_https};

/// How long files are believed without another look.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// How long a file may be unusable before that is logged: long enough to replace several files.
const REPLACE_TIME: Duration = Duration::from_secs(1);

/// Why the files of a sink cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// Those of TLS.
    #[error(transparent)]
    Tls(#[from] pem::CredentialsError),
    /// The file of headers cannot be read.
    #[error(transparent)]
    Read(#[from] ReadFileError),
    /// A line of the file of headers.
    #[error("line {line} of {path}: {problem}", path = path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong.
        #[source]
        problem: HeaderError,
    },
    /// A file of headers that is not text.
    #[error("{path} is not UTF-8: write one `NAME: VALUE` per line", path = path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

/// The credentials of one sink.
pub(super) struct Credentials {
    options: OtlpOptions,
    tls: Option<SharedTls>,
    headers: HeadersInUse,
    looked: Instant,
    refused: Option<Refused>,
    expiry: CertificateExpiry,
    seen: Arc<Mutex<Seen>>,
}

/// What happened to the files, for operators.
#[derive(Debug, Default)]
struct Seen {
    refused: Option<String>,
    replaced: u64,
    refusals: u64,
}

/// The certificate that a sink presents, for operators. Clones share it with the sink.
#[derive(Clone, Debug)]
pub struct SinkCertificate {
    sink: String,
    tls: SharedTls,
    seen: Arc<Mutex<Seen>>,
}

/// The certificate that a sink presents now, and what happened to its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkCertificateReading {
    /// The sink.
    pub sink: String,
    /// The certificate in use.
    pub certificate: CertificateSummary,
    /// Why the files were refused, if they were, and not just a moment ago.
    pub refused: Option<String>,
    /// How often other certificates came into use.
    pub replaced: u64,
    /// How often files were refused.
    pub refusals: u64,
}

impl SinkCertificate {
    /// Returns it as it is now; `None` if the sink presents none.
    pub fn reading(&self) -> Option<SinkCertificateReading> {
        let certificate = self.tls.certificate()?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Some(SinkCertificateReading {
            sink: self.sink.clone(),
            certificate,
            refused: seen.refused.clone(),
            replaced: seen.replaced,
            refusals: seen.refusals,
        })
    }
}

/// TLS, shared with what connects.
#[derive(Clone, Debug)]
pub(super) struct SharedTls(Arc<Mutex<ClientTls>>);

/// The headers in use, and the bytes of the file that some of them are from.
struct HeadersInUse {
    metadata: MetadataMap,
    file: Option<Vec<u8>>,
}

/// A change that was refused.
struct Refused {
    problem: String,
    since: Instant,
    is_logged: bool,
}

impl Credentials {
    /// Reads the files.
    ///
    /// # Errors
    /// Why they cannot be used, and what to do.
    pub(super) fn open(options: &OtlpOptions, url: &str) -> Result<Credentials, CredentialsError> {
        let tls = match is_https(url) {
            true => Some(ClientTls::open(options.files(), HTTP2)?),
            false => None,
        };
        Ok(Credentials {
            options: options.clone(),
            tls: tls.map(|tls| SharedTls(Arc::new(Mutex::new(tls)))),
            headers: HeadersInUse::read(options)?,
            looked: Instant::now(),
            refused: None,
            expiry: CertificateExpiry::Far,
            seen: Arc::default(),
        })
    }

    /// Returns the certificate for operators; `None` without TLS.
    pub(super) fn certificate(&self, sink: &str) -> Option<SinkCertificate> {
        Some(SinkCertificate {
            sink: sink.to_owned(),
            tls: self.tls.clone()?,
            seen: self.seen.clone(),
        })
    }

    /// Logs once that the certificate expires soon, and once that it has expired. Returns whether it
    /// logged something.
    pub(super) fn report_expiry(&mut self, sink: &str, now: Timestamp) -> bool {
        let certificate = self.tls.as_ref().and_then(SharedTls::certificate);
        let Some(certificate) = certificate else {
            return false;
        };
        let (not_after, expiry) = (certificate.not_after, certificate.expiry(now));
        let is_new = std::mem::replace(&mut self.expiry, expiry) != expiry;
        match expiry {
            CertificateExpiry::Near if is_new => tracing::warn!(
                sink,
                %not_after,
                "the client certificate expires soon, and its file has no newer one: renew it"
            ),
            CertificateExpiry::Over if is_new => tracing::error!(
                sink,
                %not_after,
                "the client certificate has expired, and its file has no newer one: renew it"
            ),
            _ => return false,
        }
        true
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the side of TLS; `None` without TLS.
    pub(super) fn tls(&self) -> Option<SharedTls> {
        self.tls.clone()
    }

    /// Returns the headers of the next call.
    pub(super) fn headers(&self) -> MetadataMap {
        self.headers.metadata.clone()
    }

    /// Returns what was refused and is still there; the last good files are in use.
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_ref().map(|refused| &*refused.problem)
    }

    /// Looks at the files, unless it did so just now. Returns whether a connection that was made
    /// before shows the collector something else than the files hold now.
    pub(super) fn refresh(&mut self, sink: &str) -> bool {
        if self.looked.elapsed() < LOOK_PAUSE {
            return false;
        }
        self.looked = Instant::now();
        let mut is_replaced = false;
        let mut problem = None;
        match self.tls.as_ref().map(SharedTls::refresh) {
            None | Some(Refresh::Unchanged) => {}
            Some(Refresh::Replaced) => {
                is_replaced = true;
                self.seen().replaced += 1;
                tracing::info!(sink, "new certificates are in use for the audit log");
            }
            Some(Refresh::Refused(why)) => problem = Some(why.to_string()),
        }
        match self.headers.refresh(&self.options) {
            Ok(false) => {}
            Ok(true) => tracing::info!(sink, "new headers are in use for the audit log"),
            Err(why) => problem = problem.or(Some(why.to_string())),
        }
        self.note(sink, problem);
        self.report_expiry(sink, Timestamp::now());
        is_replaced
    }

    /// Remembers a problem, and logs it once if it lasts.
    fn note(&mut self, sink: &str, problem: Option<String>) {
        let Some(problem) = problem else {
            self.seen().refused = None;
            if self.refused.take().is_some_and(|refused| refused.is_logged) {
                tracing::info!(sink, "the files of the audit log's sink can be used again");
            }
            return;
        };
        match &mut self.refused {
            Some(refused) if refused.problem == problem => {
                if !refused.is_logged && refused.since.elapsed() >= REPLACE_TIME {
                    refused.is_logged = true;
                    let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.refusals += 1;
                    seen.refused = Some(problem.clone());
                    tracing::error!(
                        sink,
                        problem,
                        "a file of the audit log's sink cannot be used; the last good files stay in use"
                    );
                }
            }
            _ => {
                self.refused = Some(Refused {
                    problem,
                    since: Instant::now(),
                    is_logged: false,
                });
            }
        }
    }
}

impl SharedTls {
    fn refresh(&self) -> Refresh {
        let mut tls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tls.refresh()
    }

    fn certificate(&self) -> Option<CertificateSummary> {
        let tls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tls.certificate().cloned()
    }

    /// Returns the configuration of a new connection. A connection is rare, so the files are read
    /// for it however short ago they were looked at.
    pub(super) fn for_connection(&self) -> Arc<ClientConfig> {
        let mut tls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is refused is noted by the next look.
        tls.refresh();
        tls.config()
    }
}

impl HeadersInUse {
    fn read(options: &OtlpOptions) -> Result<HeadersInUse, CredentialsError> {
        let file = options
            .headers_file
            .as_deref()
            .map(files::read)
            .transpose()?;
        let mut headers = options.headers.clone();
        if let (Some(path), Some(bytes)) = (&options.headers_file, &file) {
            add_lines(&mut headers, path, bytes)?;
        }
        Ok(HeadersInUse {
            metadata: headers.metadata(),
            file,
        })
    }

    /// Reads the file again; returns whether it holds something else.
    fn refresh(&mut self, options: &OtlpOptions) -> Result<bool, CredentialsError> {
        if options.headers_file.is_none() {
            return Ok(false);
        }
        let read = HeadersInUse::read(options)?;
        let is_replaced = read.file != self.file;
        if is_replaced {
            *self = read;
        }
        Ok(is_replaced)
    }
}

/// Adds the headers of a file: `NAME: VALUE`, one per line. Empty lines and lines that begin with
/// `#` are left out.
fn add_lines(headers: &mut Headers, path: &Path, bytes: &[u8]) -> Result<(), CredentialsError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CredentialsError::NotText {
        path: path.to_owned(),
    })?;
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        headers
            .add_pair(line)
            .map_err(|problem| CredentialsError::Header {
                path: path.to_owned(),
                line: at + 1,
                problem,
            })?;
    }
    Ok(())
}
