//! Clients of TLS at a running server: checks over gRPC, and requests of operators.

use std::io;

use customs_test_support::check_client::{self, Answer};
use customs_test_support::http::{self, Response};
use customs_test_support::tls_files::{TlsClient, connect, server_name};
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Uri};

/// A connection for checks, opened at its first use and again after each end.
pub(crate) fn channel(port: u16, client: TlsClient<'_>) -> Channel {
    let config = client.config();
    let connect = move |_: Uri| {
        let connector = TlsConnector::from(config.clone());
        async move {
            let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            let stream = connector.connect(server_name(), stream).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    };
    let endpoint = Endpoint::from_static("https://customs.example");
    check_client::in_runtime(|| endpoint.connect_with_connector_lazy(tower::service_fn(connect)))
}

/// Sends one check over a connection of its own.
pub(crate) fn check(port: u16, client: TlsClient<'_>) -> Result<Answer, Status> {
    let channel = channel(port, client);
    let check = check_client::http(check_client::SLEEP, "ok.example");
    check_client::wait(check_client::check(&channel, check))
}

/// Sends `GET path` to an address for operators.
pub(crate) fn get(port: u16, client: TlsClient<'_>, path: &str) -> anyhow::Result<Response> {
    let mut stream = connect(port, &client.config())?;
    http::exchange(&mut stream, "localhost", path, &[])
}
