//! Throw-away authorities and certificates, good ones and bad ones, and clients that use them.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version,
};

/// The identity of a gateway.
pub const GATEWAY: &str = "spiffe://cluster.local/ns/istio-system/sa/egress";
/// The DNS name of a server's certificate.
pub const SERVER_NAME: &str = "customs.example";

/// The files of a server, by the names in its folder.
pub const CERTIFICATE: &str = "tls.crt";
pub const PRIVATE_KEY: &str = "tls.key";
pub const CLIENT_CA: &str = "ca.crt";

/// An authority that vouches for certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemPair {
    pub certificate: String,
    pub private_key: String,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub uris: Vec<String>,
    pub dns_names: Vec<String>,
    /// The first and the last year of its validity.
    pub years: (i32, i32),
}

impl Leaf {
    /// A certificate of a workload.
    pub fn workload(id: &str) -> Leaf {
        Leaf {
            uris: vec![id.to_owned()],
            dns_names: Vec::new(),
            years: (2000, 4000),
        }
    }

    /// A certificate of a server.
    pub fn server() -> Leaf {
        Leaf {
            uris: Vec::new(),
            dns_names: vec![SERVER_NAME.to_owned()],
            years: (2000, 4000),
        }
    }

    /// The same certificate, valid from the beginning of the first year to that of the second.
    pub fn valid(self, from: i32, until: i32) -> Leaf {
        Leaf {
            years: (from, until),
            ..self
        }
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

impl Authority {
    /// Creates an authority that nobody trusts yet.
    pub fn new() -> Authority {
        Authority::valid(2000, 4000)
    }

    /// Creates an authority that is valid from the beginning of one year to that of another.
    pub fn valid(from: i32, until: i32) -> Authority {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "throw-away authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap());
        Authority(issuer.unwrap())
    }

    /// Returns its own certificate as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate.
    pub fn issue(&self, leaf: &Leaf) -> PemPair {
        let mut params = CertificateParams::new(leaf.dns_names.clone()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        let uris = leaf.uris.iter();
        params
            .subject_alt_names
            .extend(uris.map(|uri| SanType::URI(uri.as_str().try_into().unwrap())));
        params.not_before = date_time_ymd(leaf.years.0, 1, 1);
        params.not_after = date_time_ymd(leaf.years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        PemPair {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            private_key: key.serialize_pem(),
        }
    }
}

impl PemPair {
    /// Returns the certificate without its PEM.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

/// A folder with the files of a server.
pub struct TlsFolder(TempDir);

impl TlsFolder {
    /// Creates a folder with this pair and this file of authorities.
    pub fn new(pair: &PemPair, authorities: &str) -> TlsFolder {
        let folder = TlsFolder(tempfile::tempdir().unwrap());
        folder.put_pair(pair);
        folder.put(CLIENT_CA, authorities);
        folder
    }

    /// Returns the path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file elsewhere and renames it into place, as careful tools do.
    pub fn put(&self, name: &str, text: &str) {
        put(self.0.path(), name, text);
    }

    /// Writes the certificate and then the key.
    pub fn put_pair(&self, pair: &PemPair) {
        self.put(CERTIFICATE, &pair.certificate);
        self.put(PRIVATE_KEY, &pair.private_key);
    }

    /// Returns the text of the setting of a server that asks for certificates of clients.
    pub fn setting(&self) -> String {
        setting(self.0.path())
    }
}

/// Returns the text of the setting of a server whose files are in a folder.
pub(crate) fn setting(folder: &Path) -> String {
    let path = |name| folder.join(name).display().to_string();
    format!(
        "certificate={},private_key={},client_ca={}",
        path(CERTIFICATE),
        path(PRIVATE_KEY),
        path(CLIENT_CA)
    )
}

/// Writes a file elsewhere and renames it into place.
pub fn put(folder: &Path, name: &str, text: &str) {
    let half = folder.join("half-written");
    fs::write(&half, text).unwrap();
    fs::rename(&half, folder.join(name)).unwrap();
}

/// What a client does in a handshake.
#[derive(Clone, Copy, Debug)]
pub struct TlsClient<'c> {
    /// The authority that must vouch for the server.
    pub trusts: &'c str,
    /// What it presents.
    pub presents: Option<&'c PemPair>,
    /// The protocols that it names by ALPN.
    pub protocols: &'c [&'static str],
    /// The version of TLS that it has.
    pub version: &'static SupportedProtocolVersion,
}

impl<'c> TlsClient<'c> {
    /// A gRPC client of TLS 1.3 without a certificate.
    pub fn trusting(authority: &'c str) -> TlsClient<'c> {
        TlsClient {
            trusts: authority,
            presents: None,
            protocols: &["h2"],
            version: &version::TLS13,
        }
    }

    /// The same client with a certificate.
    pub fn presenting(self, pair: &'c PemPair) -> TlsClient<'c> {
        TlsClient {
            presents: Some(pair),
            ..self
        }
    }

    /// Returns the configuration. It stores sessions, as clients do.
    pub fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(self.trusts.as_bytes()) {
            roots.add(authority.unwrap()).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.presents {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.private_key.as_bytes()).unwrap();
                builder
                    .with_client_auth_cert(vec![pair.der()], key)
                    .unwrap()
            }
        };
        let protocols = self.protocols.iter();
        config.alpn_protocols = protocols.map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// How long a client waits for the bytes of a server.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns the name that a client expects in a server's certificate.
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER_NAME).unwrap()
}

/// Begins TLS over a new connection to 127.0.0.1. The handshake takes place as soon as something is
/// sent or read.
///
/// # Errors
/// If the connection cannot be made.
pub fn connect(
    port: u16,
    config: &Arc<ClientConfig>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let session = ClientConnection::new(config.clone(), server_name()).unwrap();
    Ok(StreamOwned::new(session, socket))
}

/// Returns the certificate that a server presents in a handshake now.
///
/// # Errors
/// If the handshake fails.
pub fn presented(
    port: u16,
    config: &Arc<ClientConfig>,
) -> io::Result<Option<CertificateDer<'static>>> {
    let mut stream = connect(port, config)?;
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let certificates = stream.conn.peer_certificates().unwrap_or_default();
    Ok(certificates.first().map(|der| der.clone().into_owned()))
}
