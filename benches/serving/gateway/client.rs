//! Clients of the mesh: connections with the workload's certificate, each with one request at a
//! time, repeatedly.
//!
//! A small client of HTTP/1.1 that can do one thing. The rule: every answer must be a 200, and its
//! whole body is read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::certificates::{Certificates, GATEWAY};

/// What a service typically sends: a token, tracing headers, and what client libraries add.
pub(crate) const REQUEST: &str = "GET /v2/charges/ch_3PqL2KDkJ?expand=customer HTTP/1.1\r
host: api.partner-example.com\r
user-agent: checkout-service/4.18.2 (linux; amd64) Go-http-client/1.1\r
accept: application/json\r
accept-encoding: gzip, deflate, br\r
accept-language: en-US,en;q=0.9\r
authorization: Bearer 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r
content-type: application/json\r
idempotency-key: 9c5b94b1-35ad-49bb-b118-8e8fc24abf80\r
traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r
tracestate: vendor=00f067aa0ba902b7\r
x-api-version: 2026-05-01\r
x-b3-traceid: 4bf92f3577b34da6a3ce929d0e0e4736\r
x-b3-spanid: 00f067aa0ba902b7\r
x-b3-sampled: 1\r
x-correlation-id: 4f3c2c1e-7d9d-4d5b-9d6f-0a5b2c1d3e4f\r
x-tenant: acme-eu-1\r
\r
";

const HEAD_END: &[u8] = b"\r\n\r\n";

/// Open connections.
pub(crate) struct Clients(Vec<Client>);

struct Client {
    stream: TlsStream<TcpStream>,
    /// What was received and not read yet.
    buffer: Vec<u8>,
}

impl Clients {
    /// Opens `count` connections, and sends one request over each.
    pub(crate) async fn connect(
        port: u16,
        certificates: &Certificates,
        count: usize,
    ) -> Result<Clients> {
        let connector = TlsConnector::from(Arc::new(config(certificates)?));
        let mut clients = Vec::new();
        for _ in 0..count {
            let socket = TcpStream::connect(("127.0.0.1", port)).await?;
            socket.set_nodelay(true)?;
            let stream = connector
                .connect(ServerName::try_from(GATEWAY)?, socket)
                .await?;
            let mut client = Client {
                stream,
                buffer: Vec::new(),
            };
            client.ask().await?;
            clients.push(client);
        }
        Ok(Clients(clients))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Sends requests over all connections for `duration`, and returns how long each took, in
    /// nanoseconds, sorted.
    pub(crate) async fn ask_for(&mut self, duration: Duration) -> Result<Vec<u64>> {
        let end = Instant::now() + duration;
        let mut asking: JoinSet<_> = self
            .0
            .drain(..)
            .map(|client| client.ask_until(end))
            .collect();
        let mut all = Vec::new();
        while let Some(done) = asking.join_next().await {
            let (client, took) = done??;
            self.0.push(client);
            all.extend(took);
        }
        all.sort_unstable();
        Ok(all)
    }
}

impl Client {
    async fn ask_until(mut self, end: Instant) -> Result<(Client, Vec<u64>)> {
        let mut took = Vec::new();
        while Instant::now() < end {
            let start = Instant::now();
            self.ask().await?;
            took.push(u64::try_from(start.elapsed().as_nanos())?);
        }
        Ok((self, took))
    }

    /// Sends one request and reads its answer.
    async fn ask(&mut self) -> Result<()> {
        self.stream.write_all(REQUEST.as_bytes()).await?;
        self.stream.flush().await?;
        loop {
            if let Some(length) = answer_length(&self.buffer)? {
                ensure!(self.buffer.len() == length, "more came than one answer");
                self.buffer.clear();
                return Ok(());
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("Envoy closed the connection");
            }
        }
    }
}

/// Returns the length of a whole answer; `None` while some of it is missing.
pub(crate) fn answer_length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(head) = bytes
        .windows(HEAD_END.len())
        .position(|window| window == HEAD_END)
    else {
        return Ok(None);
    };
    let text = std::str::from_utf8(bytes.get(..head).unwrap_or_default())?;
    ensure!(
        text.starts_with("HTTP/1.1 200 "),
        "Envoy must answer 200: {text}"
    );
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("the answer has no length")?.parse()?;
    let whole = head + HEAD_END.len() + length;
    Ok((bytes.len() >= whole).then_some(whole))
}

/// Returns the TLS settings of a client with the workload's certificate.
pub(crate) fn config(certificates: &Certificates) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificates.file("ca.pem"))?)?;
    let chain = vec![CertificateDer::from_pem_file(
        certificates.file("workload.pem"),
    )?];
    let key = PrivateKeyDer::from_pem_file(certificates.file("workload.key"))?;
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?,
    )
}
