//! Handshakes over loopback: each client that is refused is refused for its own reason.

use std::time::Duration;

use customs_test_support::tls_files::{
    Authority, CERTIFICATE, CLIENT_CA, GATEWAY, Leaf, PRIVATE_KEY, PemPair, SERVER_NAME, TlsClient,
    TlsFolder,
};
use customs_tls::server::{ApplicationProtocol, MinVersion, ServerOptions, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version;

use super::*;

const BOUND: Duration = Duration::from_secs(10);

/// A mesh, and a server in it that accepts the gateways.
struct Site {
    mesh: Authority,
    tls: ServerTls,
    _folder: TlsFolder,
}

impl Site {
    fn new(protocol: ApplicationProtocol) -> Site {
        let mesh = Authority::new();
        let folder = TlsFolder::new(&mesh.issue(&Leaf::server()), &mesh.pem());
        let options = ServerOptions {
            certificate: folder.path(CERTIFICATE),
            private_key: folder.path(PRIVATE_KEY),
            client_authorities: Some(folder.path(CLIENT_CA)),
            client_ids: vec![
                "spiffe://cluster.local/ns/istio-system/sa/*"
                    .parse()
                    .unwrap(),
            ],
            min_version: MinVersion::Tls13,
            protocol,
        };
        Site {
            mesh,
            tls: ServerTls::open(options).unwrap(),
            _folder: folder,
        }
    }

    fn gateway(&self) -> PemPair {
        self.mesh.issue(&Leaf::workload(GATEWAY))
    }

    /// Returns what the server makes of a client that does this with its connection.
    async fn meet<F: Future<Output = ()>>(
        &self,
        client: impl FnOnce(TcpStream) -> F,
    ) -> Result<TlsConnection, HandshakeError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = async {
            client(
                TcpStream::connect(listener.local_addr().unwrap())
                    .await
                    .unwrap(),
            )
            .await;
        };
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            handshake(stream, &self.tls.config()).await
        };
        let both = async { tokio::join!(client, server).1 };
        timeout(BOUND, both).await.unwrap()
    }

    /// Returns what the server makes of a client of TLS.
    async fn greet(&self, client: TlsClient<'_>) -> Result<TlsConnection, HandshakeError> {
        let connector = TlsConnector::from(client.config());
        self.meet(async |stream| {
            let name = ServerName::try_from(SERVER_NAME).unwrap();
            // A client may believe that the handshake is complete, and learn by the first read that
            // it was refused.
            if let Ok(mut stream) = connector.connect(name, stream).await {
                let _ = timeout(Duration::from_millis(50), stream.read_u8()).await;
            }
        })
        .await
    }

    async fn refused(&self, client: TlsClient<'_>) -> (HandshakeRefusal, String) {
        refusal_of(self.greet(client).await)
    }
}

fn refusal_of(result: Result<TlsConnection, HandshakeError>) -> (HandshakeRefusal, String) {
    match result {
        Err(HandshakeError::Refused(refusal, example)) => (refusal, example),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_gateway_is_accepted_and_known_by_its_id() {
    let site = Site::new(ApplicationProtocol::Http2);
    let (authority, gateway) = (site.mesh.pem(), site.gateway());
    let client = TlsClient::trusting(&authority).presenting(&gateway);
    let connection = site.greet(client).await.unwrap();
    assert_eq!(connection.peer_id.as_deref(), Some(GATEWAY));
}

#[tokio::test]
async fn each_client_is_refused_for_its_own_reason() {
    use HandshakeRefusal as Cause;
    let site = Site::new(ApplicationProtocol::Http2);
    let (authority, elsewhere) = (site.mesh.pem(), Authority::new());
    let gateway = site.gateway();
    let of = |leaf: Leaf| site.mesh.issue(&leaf);
    let foreign = elsewhere.issue(&Leaf::workload(GATEWAY));
    let (expired, early) = (
        of(Leaf::workload(GATEWAY).valid(2000, 2001)),
        of(Leaf::workload(GATEWAY).valid(3999, 4000)),
    );
    let unlisted = of(Leaf::workload("spiffe://cluster.local/ns/shop/sa/cart"));
    let without_id = of(Leaf::server());
    let client = TlsClient::trusting(&authority);
    let good = client.presenting(&gateway);
    let other_authority = elsewhere.pem();
    for (client, expected, part) in [
        (client, Cause::NoCertificate, "without a certificate"),
        (
            client.presenting(&foreign),
            Cause::UnknownAuthority,
            "none of the authorities",
        ),
        (
            client.presenting(&expired),
            Cause::CertificateExpired,
            "expired at 2001-01-01T00:00:00Z",
        ),
        (
            client.presenting(&early),
            Cause::CertificateExpired,
            "is not valid before 3999-01-01",
        ),
        (
            client.presenting(&unlisted),
            Cause::NotPermitted,
            "ns/shop/sa/cart",
        ),
        (
            client.presenting(&without_id),
            Cause::NotPermitted,
            "no SPIFFE id",
        ),
        (
            TlsClient {
                protocols: &["http/1.1"],
                ..good
            },
            Cause::ApplicationProtocol,
            "other protocols",
        ),
        (
            TlsClient {
                protocols: &[],
                ..good
            },
            Cause::ApplicationProtocol,
            "no protocol by ALPN",
        ),
        (
            TlsClient {
                version: &version::TLS12,
                ..good
            },
            Cause::Failed,
            "min_version",
        ),
        (
            TlsClient {
                trusts: &other_authority,
                ..good
            },
            Cause::ServerCertificateRejected,
            "the client ended the handshake",
        ),
    ] {
        let (refusal, example) = site.refused(client).await;
        assert_eq!(refusal, expected, "{example}");
        assert!(example.contains(part), "{part}: {example}");
    }
}

#[tokio::test]
async fn operators_need_the_protocol_of_their_address() {
    let site = Site::new(ApplicationProtocol::Http1);
    let (authority, gateway) = (site.mesh.pem(), site.gateway());
    let client = TlsClient::trusting(&authority).presenting(&gateway);
    for (protocols, expected) in [
        (&["h2", "http/1.1"][..], true),
        (&["http/1.1"], true),
        (&["h2"], false),
        (&[], false),
    ] {
        let result = site
            .greet(TlsClient {
                protocols,
                ..client
            })
            .await;
        assert_eq!(result.is_ok(), expected, "{protocols:?}");
    }
}

#[tokio::test]
async fn a_client_without_tls_is_refused_with_what_it_sent() {
    let site = Site::new(ApplicationProtocol::Http2);
    for (bytes, expected) in [
        (
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            "HTTP/2, without TLS",
        ),
        (
            b"GET / HTTP/1.1\r\n\r\n",
            "a request GET of HTTP/1, without TLS",
        ),
        (b"\0\x01\x02", "begins with the bytes 00 01 02, without TLS"),
    ] {
        let sent = site.meet(async |mut stream| {
            stream.write_all(bytes).await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert_eq!(rest, b"", "nothing is answered");
        });
        let (refusal, example) = refusal_of(sent.await);
        assert_eq!(refusal, HandshakeRefusal::PlainText);
        assert!(example.ends_with(expected), "{expected}: {example}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_told_from_one_that_is_refused() {
    let site = Site::new(ApplicationProtocol::Http2);
    let silent = site.meet(async |stream| drop(stream)).await;
    assert!(matches!(silent, Err(HandshakeError::Closed)), "{silent:?}");
    let half = site.meet(async |mut stream| stream.write_all(b"\x16\x03\x01").await.unwrap());
    let (refusal, example) = refusal_of(half.await);
    assert_eq!(refusal, HandshakeRefusal::Failed);
    assert!(
        example.contains("ended within the TLS handshake"),
        "{example}"
    );
    let garbage = site.meet(async |mut stream| {
        stream.write_all(&[0x16; 100]).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    assert_eq!(refusal_of(garbage.await).0, HandshakeRefusal::Failed);
}

#[tokio::test]
async fn a_handshake_that_never_ends_waits_for_its_callers_deadline() {
    let site = Site::new(ApplicationProtocol::Http2);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    // The beginning of a record of 512 bytes.
    client.write_all(b"\x16\x03\x01\x02\0\x01").await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let config = site.tls.config();
    let handshake = timeout(Duration::from_millis(50), handshake(stream, &config));
    assert!(handshake.await.is_err(), "the rest was never sent");
    let mut rest = Vec::new();
    let _ = timeout(BOUND, client.read_to_end(&mut rest)).await.unwrap();
}
