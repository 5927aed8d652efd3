//! Sends one request, however malformed, and returns whether it got through.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error as TlsError, SignatureScheme,
    StreamOwned,
};

use super::certificates::Identity;
use super::requests::{Door, Request};
use customs_test_support::http::Response;

/// Returns whether the RBAC filters let it through.
pub(crate) fn gets_through(
    request: &Request,
    identity: Option<Identity>,
    runtime: &tokio::runtime::Runtime,
) -> Result<bool> {
    let socket = connect(request, runtime)?;
    match request.door {
        Door::Plain => over_http(request, socket),
        Door::Mesh | Door::Mesh2 => over_http(
            request,
            StreamOwned::new(session(request, identity)?, socket),
        ),
        Door::Tcp => echoed(
            &mut StreamOwned::new(session(request, identity)?, socket),
            b"ping",
        ),
        Door::Passthrough => {
            let mut hello = Vec::new();
            session(request, None)?.write_tls(&mut hello)?;
            let mut socket = socket;
            echoed(&mut socket, &hello)
        }
    }
}

fn connect(request: &Request, runtime: &tokio::runtime::Runtime) -> Result<TcpStream> {
    let (from, to): (IpAddr, IpAddr) = (request.from.parse()?, request.to.parse()?);
    let connecting = async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        socket
            .connect(SocketAddr::new(to, request.door.port()))
            .await
    };
    let stream = runtime.block_on(connecting)?.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

fn over_http(request: &Request, mut stream: impl Read + Write) -> Result<bool> {
    let Request {
        host,
        method,
        path,
        headers,
        ..
    } = request;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    headers
        .iter()
        .for_each(|header| text.push_str(&format!("{header}\r\n")));
    text.push_str("\r\n");
    stream.write_all(text.as_bytes())?;
    let mut bytes = Vec::new();
    // Envoy may end TLS without a close notification; the answer is complete by then.
    let ended = stream.read_to_end(&mut bytes);
    ensure!(ended.is_ok() || !bytes.is_empty(), "no answer: {ended:?}");
    let answer = Response::parse(&bytes)?;
    match (answer.status, answer.body.as_str()) {
        (200, _) => Ok(true),
        (403, body) if body.contains("RBAC") || method == "HEAD" => Ok(false),
        (status, body) => bail!("answered {status} {body:?}"),
    }
}

/// Returns whether what was sent comes back. A connection that ends first was denied.
fn echoed(stream: &mut (impl Read + Write), bytes: &[u8]) -> Result<bool> {
    stream.write_all(bytes)?;
    let mut one = [0];
    match stream.read(&mut one) {
        Ok(0) => Ok(false),
        Ok(_) => Ok(true),
        Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => {
            Err(why).context("neither echoed nor closed")
        }
        Err(_) => Ok(false),
    }
}

fn session(request: &Request, identity: Option<Identity>) -> Result<ClientConnection> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    let mut config = match identity {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key)?,
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = !request.sni.is_empty();
    let name = if request.sni.is_empty() {
        "none.example"
    } else {
        &request.sni
    };
    Ok(ClientConnection::new(
        Arc::new(config),
        ServerName::try_from(name.to_owned())?,
    )?)
}

/// Accepts any certificate: only the recorder's own Envoy answers on its loopback ports.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
