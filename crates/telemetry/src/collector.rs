//! The way to a collector of one signal: its connection, its headers, and what became of batches.
//!
//! It knows no span, no metric and no line. The rules: a collector that cannot prove its name gets
//! nothing; a batch is tried until its time is over, then dropped; and the log says once that a
//! collector takes nothing, and once that it does again. These lines never go to a collector.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use customs_tls::client::{ClientConfig, ClientFiles, ClientTls, IdentityFiles, Refresh};
use customs_tls::client_stream::{ClientStream, HTTP2, LastFailure, ServerName};
use customs_tls::pem::CredentialsError;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};
use tonic::codegen::Service;
use tonic::codegen::http::{Extensions, Uri};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::environment::{CollectorConfig, Signal};

/// The port of a URL with `https` and without a port.
const HTTPS_PORT: u16 = 443;

/// How long a batch waits before it is tried again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// Why there is no way to a collector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorError {
    /// The URL.
    #[error("the endpoint of {signal} cannot be used: {problem}", signal = .0.as_str(), problem = .1)]
    Endpoint(Signal, #[source] tonic::transport::Error),
    /// A host that no certificate can name.
    #[error("no certificate can name the host `{1}` of the endpoint of {signal}", signal = .0.as_str())]
    Host(Signal, String),
    /// The files of TLS.
    #[error("cannot use TLS for {signal}: {problem}", signal = .0.as_str(), problem = .1)]
    Tls(Signal, #[source] CredentialsError),
}

/// Why a batch was dropped.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// What the collector or the connection said last.
    #[error("{0}")]
    Refused(String),
    /// Nothing was said in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

/// The way to one collector. Clones share it.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) channel: Channel,
    pub(crate) gzip: bool,
    signal: Signal,
    endpoint: String,
    headers: MetadataMap,
    timeout: Duration,
    runtime: Handle,
    failure: LastFailure,
    is_failing: Arc<AtomicBool>,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector")
            .field("signal", &self.signal)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Collector {
    /// Prepares a connection, which is made when it is first used. `runtime` drives it.
    pub(crate) fn new(
        signal: Signal,
        config: &CollectorConfig,
        runtime: &Handle,
    ) -> Result<Collector, CollectorError> {
        let failure = LastFailure::default();
        let _inside = runtime.enter();
        let channel = channel(signal, config, failure.clone())?;
        Ok(Collector {
            channel,
            gzip: config.gzip,
            signal,
            endpoint: config.endpoint.clone(),
            headers: config.headers.clone(),
            timeout: config.timeout,
            runtime: runtime.clone(),
            failure,
            is_failing: Arc::default(),
        })
    }

    /// Sends a batch: `send` is called with a request for each try. It works on every thread.
    pub(crate) async fn export<M, F>(
        &self,
        message: M,
        send: impl Fn(Request<M>) -> F + Send + 'static,
    ) -> Result<(), ExportError>
    where
        M: Clone + Send + 'static,
        F: Future<Output = Result<(), Status>> + Send,
    {
        let own = self.clone();
        let tried = self
            .runtime
            .spawn(async move { own.try_until(message, send).await });
        let sent = tried
            .await
            .unwrap_or_else(|why| Err(ExportError::Refused(why.to_string())));
        self.report(sent.as_ref().err());
        sent
    }

    async fn try_until<M: Clone, F>(
        self,
        message: M,
        send: impl Fn(Request<M>) -> F,
    ) -> Result<(), ExportError>
    where
        F: Future<Output = Result<(), Status>>,
    {
        let end = Instant::now() + self.timeout;
        let (mut pause, most) = PAUSES;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let request =
                Request::from_parts(self.headers.clone(), Extensions::new(), message.clone());
            let Ok(answer) = timeout(left, send(request)).await else {
                return Err(ExportError::Late(self.timeout));
            };
            let Err(status) = answer else {
                return Ok(());
            };
            let is_over = Instant::now() + pause >= end;
            if is_over || !may_be_tried_again(status.code()) {
                return Err(ExportError::Refused(self.words(&status)));
            }
            sleep(pause).await;
            pause = (2 * pause).min(most);
        }
    }

    /// Returns why a call failed: what the connection said, or else the collector.
    fn words(&self, status: &Status) -> String {
        let of_connection = self.failure.text();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(status);
        let mut deepest = None;
        while let Some(why) = cause {
            deepest = Some(why.to_string());
            cause = why.source();
        }
        let said = of_connection.or(deepest);
        let said = said.unwrap_or_else(|| status.message().to_owned());
        match said.is_empty() {
            true => format!("{:?}", status.code()),
            false => format!("{:?}: {said}", status.code()),
        }
    }

    /// Logs what has changed.
    fn report(&self, problem: Option<&ExportError>) {
        let was_failing = self.is_failing.swap(problem.is_some(), Ordering::Relaxed);
        let (signal, endpoint) = (self.signal.as_str(), &self.endpoint);
        match problem {
            Some(problem) if !was_failing => tracing::warn!(
                signal,
                endpoint,
                %problem,
                "the collector takes no telemetry; it is dropped until the collector does"
            ),
            None if was_failing => {
                tracing::info!(signal, endpoint, "the collector takes telemetry again");
            }
            _ => {}
        }
    }

    /// Logs that the collector rejected a part of what it took.
    pub(crate) fn report_rejected(&self, count: i64, why: &str) {
        let (signal, endpoint) = (self.signal.as_str(), &self.endpoint);
        tracing::warn!(
            signal,
            endpoint,
            count,
            problem = why,
            "the collector rejected a part"
        );
    }
}

/// Returns whether the standard lets a batch be tried again.
fn may_be_tried_again(code: Code) -> bool {
    matches!(
        code,
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            | Code::ResourceExhausted
    )
}

fn channel(
    signal: Signal,
    config: &CollectorConfig,
    failure: LastFailure,
) -> Result<Channel, CollectorError> {
    let invalid = |why| CollectorError::Endpoint(signal, why);
    let endpoint = Endpoint::from_shared(config.endpoint.clone()).map_err(invalid)?;
    let uri = endpoint.uri().clone();
    let host = uri.host().unwrap_or_default().to_owned();
    let is_https = uri.scheme_str() == Some("https");
    let endpoint = match is_https {
        // The connector does TLS itself. The URL that it gets must not ask for it again, and calls
        // must still say that they came by it.
        true => {
            let port = uri.port_u16().unwrap_or(HTTPS_PORT);
            let plain = Endpoint::from_shared(format!("http://{host}:{port}")).map_err(invalid)?;
            plain.origin(uri)
        }
        false => endpoint,
    };
    let endpoint = endpoint
        .connect_timeout(config.timeout)
        .user_agent(concat!("customs/", env!("CARGO_PKG_VERSION")))
        .map_err(invalid)?;
    if !is_https {
        return Ok(endpoint.connect_lazy());
    }
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| CollectorError::Host(signal, host))?;
    let files = ClientFiles {
        authorities: config.authorities.clone(),
        identity: config
            .identity
            .clone()
            .map(|(certificate, private_key)| IdentityFiles {
                certificate,
                private_key,
            }),
    };
    let tls = ClientTls::open(files, HTTP2).map_err(|why| CollectorError::Tls(signal, why))?;
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(config.timeout));
    let connector = TlsConnector {
        tcp,
        tls: Arc::new(Mutex::new(tls)),
        name,
        failure,
    };
    let connect = tower::service_fn(move |uri| connector.clone().connect(uri));
    Ok(endpoint.connect_with_connector_lazy(connect))
}

/// Connects by TCP and then TLS, with what the files hold at that time.
#[derive(Clone)]
struct TlsConnector {
    tcp: HttpConnector,
    tls: Arc<Mutex<ClientTls>>,
    name: ServerName<'static>,
    failure: LastFailure,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TokioIo<ClientStream>>> + Send>>;

impl TlsConnector {
    fn connect(mut self, uri: Uri) -> Connecting {
        Box::pin(async move {
            let ready = std::future::poll_fn(|context| self.tcp.poll_ready(context));
            ready.await.map_err(io::Error::other)?;
            let connecting = self.tcp.call(uri);
            let tcp = async { Ok(connecting.await.map_err(io::Error::other)?.into_inner()) };
            let (name, failure) = (self.name.clone(), self.failure.clone());
            let connected =
                ClientStream::connect_to_collector(tcp, || self.config(), name, failure);
            Ok(TokioIo::new(connected.await?))
        })
    }

    /// Returns what the files hold now. What cannot be used leaves the last good files in use.
    fn config(&self) -> Arc<ClientConfig> {
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Refresh::Refused(problem) = tls.refresh() {
            tracing::warn!(%problem, "files of TLS for telemetry refused; those in use stay");
        }
        tls.config()
    }
}
