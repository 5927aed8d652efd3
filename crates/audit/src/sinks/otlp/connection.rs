//! The connection to a collector, with TLS if its URL asks for it.
//!
//! It knows no record and no acknowledgement. The rule: a collector that cannot prove its name to
//! the authorities gets nothing, and one that does not take HTTP/2 is reported as that.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use customs_tls::client_stream::{ClientStream, LastFailure};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use tokio::runtime::{self, Runtime};
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

use super::DEADLINE;
use super::credentials::SharedTls;

/// The port of a URL with `https` and without a port.
const HTTPS_PORT: u16 = 443;

/// Why a URL names no collector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorUrlError {
    /// A URL that cannot be read.
    #[error(transparent)]
    Url(#[from] tonic::transport::Error),
    /// A URL without a host.
    #[error("it names no host")]
    NoHost,
    /// A host that no certificate can name.
    #[error("no certificate can name the host `{0}`; write `server_name=NAME`")]
    Host(String),
}

/// Where a collector is, and the name that it has to prove.
pub(super) struct Collector {
    endpoint: Endpoint,
    name: ServerName<'static>,
}

impl Collector {
    /// Parses a URL. `server_name` is the name in the collector's certificate, if it is not the
    /// host.
    pub(super) fn parse(
        url: &str,
        server_name: Option<&str>,
    ) -> Result<Collector, CollectorUrlError> {
        let endpoint = Endpoint::from_shared(url.to_owned())?;
        let uri = endpoint.uri().clone();
        let host = uri.host().unwrap_or_default();
        if host.is_empty() {
            return Err(CollectorUrlError::NoHost);
        }
        let name = server_name.unwrap_or(host.trim_matches(['[', ']']));
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| CollectorUrlError::Host(host.to_owned()))?;
        let endpoint = match uri.scheme_str() {
            // The connector does TLS itself. The URL that it gets must not ask for it again, and
            // calls must still say that they came by it.
            Some("https") => {
                let port = uri.port_u16().unwrap_or(HTTPS_PORT);
                let path = uri.path().trim_end_matches('/');
                Endpoint::from_shared(format!("http://{host}:{port}{path}"))?.origin(uri)
            }
            _ => endpoint,
        };
        let endpoint = endpoint
            .connect_timeout(DEADLINE)
            .user_agent(concat!("customs/", env!("CARGO_PKG_VERSION")))?;
        Ok(Collector { endpoint, name })
    }

    fn channel(&self, tls: Option<SharedTls>, failure: LastFailure) -> Channel {
        let Some(tls) = tls else {
            return self.endpoint.connect_lazy();
        };
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(DEADLINE));
        self.endpoint.connect_with_connector_lazy(Connector {
            tcp,
            tls,
            name: self.name.clone(),
            failure,
        })
    }
}

/// A client, and the runtime that drives it during a wait.
pub(super) struct Connection {
    pub(super) client: LogsServiceClient<Channel>,
    failure: LastFailure,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Connection {
    /// Prepares a connection, which is made when it is first used.
    pub(super) fn new(collector: &Collector, tls: Option<SharedTls>) -> io::Result<Connection> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let failure = LastFailure::default();
        let client = {
            let _inside = runtime.enter();
            LogsServiceClient::new(collector.channel(tls, failure.clone()))
        };
        Ok(Connection {
            client,
            failure,
            runtime: Some(runtime),
        })
    }

    /// Returns why the connection ended, if the peer or the system said so.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.text()
    }

    /// Drives a future to its end.
    pub(super) fn run<F: Future>(&self, future: F) -> io::Result<F::Output> {
        let runtime = self.runtime.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        Ok(runtime.block_on(future))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Resolving a name must not delay the end.
            runtime.shutdown_background();
        }
    }
}

/// Connects by TCP and then TLS, with what the files hold at that time.
#[derive(Clone)]
struct Connector {
    tcp: HttpConnector,
    tls: SharedTls,
    name: ServerName<'static>,
    failure: LastFailure,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<ClientStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_ready(context).map_err(io::Error::other)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.tcp.call(uri);
        let (tls, name) = (self.tls.clone(), self.name.clone());
        let failure = self.failure.clone();
        Box::pin(async move {
            let tcp = async { Ok(connecting.await.map_err(io::Error::other)?.into_inner()) };
            let config = || tls.for_connection();
            let connected = ClientStream::connect_to_collector(tcp, config, name, failure);
            Ok(TokioIo::new(connected.await?))
        })
    }
}
