//! Tests of a client's files: whom the client trusts and what it presents, before and after they
//! change. The server is rustls itself, joined to the client in memory.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConnection, ServerConfig, ServerConnection};
use tempfile::TempDir;

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Returns the PEM of a certificate for a name, and of its key.
fn issue(authority: &Authority, name: &str, until: i32) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A folder with a client's files.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        // Renamed, as every careful writer does.
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn put_pair(&self, (certificate, key): &(String, String)) {
        self.put("tls.pem", certificate);
        self.put("tls.key", key);
    }

    fn files(&self) -> ClientFiles {
        ClientFiles {
            authorities: Some(self.path("ca.pem")),
            identity: Some(IdentityFiles {
                certificate: self.path("tls.pem"),
                private_key: self.path("tls.key"),
            }),
        }
    }
}

/// Returns a server that asks for a certificate of the authority.
fn server(authority: &Authority) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let (certificate, key) = issue(authority, "collector.example", 4000);
    let chain = pem::certificates(Path::new("server"), certificate.as_bytes()).unwrap();
    let key = pem::private_key(Path::new("server"), key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// Handshakes in memory; returns the first certificate that the client presented.
fn handshake(client: &ClientTls, server: Arc<ServerConfig>) -> Result<String, rustls::Error> {
    let name = ServerName::try_from("collector.example").unwrap();
    let mut client = ClientConnection::new(client.config(), name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut &bytes[..]).unwrap();
        server.process_new_packets()?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut &bytes[..]).unwrap();
        client.process_new_packets()?;
    }
    assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
    let presented: &CertificateDer<'_> = &server.peer_certificates().unwrap()[0];
    Ok(format!("{:?}", presented.as_ref()))
}

fn shown(pair: &(String, String)) -> String {
    let chain = pem::certificates(Path::new("client"), pair.0.as_bytes()).unwrap();
    format!("{:?}", chain[0].as_ref())
}

/// Returns the text of a refusal.
fn refusal(tls: &mut ClientTls) -> String {
    match tls.refresh() {
        Refresh::Refused(why) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_client_presents_its_certificate_and_then_the_next_one() {
    let (folder, mesh) = (Folder::new(), authority("mesh"));
    let (first, second) = (
        issue(&mesh, "a.example", 4000),
        issue(&mesh, "b.example", 4001),
    );
    folder.put("ca.pem", &mesh.pem());
    folder.put_pair(&first);
    let mut tls = ClientTls::open(folder.files(), b"h2").unwrap();
    let server = server(&mesh);
    assert_eq!(handshake(&tls, server.clone()).unwrap(), shown(&first));
    assert!(matches!(tls.refresh(), Refresh::Unchanged));

    folder.put_pair(&second);
    assert!(matches!(tls.refresh(), Refresh::Replaced));
    assert_eq!(handshake(&tls, server).unwrap(), shown(&second));
    assert_eq!(
        tls.certificate().unwrap().not_after.to_string(),
        "4001-01-01T00:00:00Z"
    );
}

#[test]
fn what_is_refused_leaves_the_last_good_files_in_use() {
    let (folder, mesh) = (Folder::new(), authority("mesh"));
    let good = issue(&mesh, "a.example", 4000);
    folder.put("ca.pem", &mesh.pem());
    folder.put_pair(&good);
    let mut tls = ClientTls::open(folder.files(), b"h2").unwrap();
    let other = issue(&mesh, "b.example", 4000);
    for (certificate, key, expected) in [
        (&other.0, &good.1, "does not belong to the certificate"),
        (&good.0, &other.1, "does not belong to the certificate"),
        (
            &issue(&mesh, "c.example", 2001).0,
            &good.1,
            "does not belong",
        ),
        (&String::new(), &good.1, "has no certificate"),
        (&good.0, &String::new(), "has no private key"),
    ] {
        folder.put_pair(&(certificate.clone(), key.clone()));
        let why = refusal(&mut tls);
        assert!(why.contains(expected), "{why}");
        assert_eq!(handshake(&tls, server(&mesh)).unwrap(), shown(&good));
    }
    folder.put_pair(&issue(&mesh, "d.example", 2001));
    assert!(refusal(&mut tls).contains("expired at 2001-01-01"));
    fs::remove_file(folder.path("tls.key")).unwrap();
    assert!(refusal(&mut tls).contains("cannot read"));
    assert_eq!(handshake(&tls, server(&mesh)).unwrap(), shown(&good));

    folder.put_pair(&good);
    assert!(
        matches!(tls.refresh(), Refresh::Unchanged),
        "what is in use is there again"
    );
    folder.put_pair(&other);
    assert!(matches!(tls.refresh(), Refresh::Replaced));
    assert_eq!(handshake(&tls, server(&mesh)).unwrap(), shown(&other));
}

#[test]
fn a_server_of_another_authority_is_not_trusted_until_the_file_says_so() {
    let (folder, mesh, other) = (Folder::new(), authority("mesh"), authority("other"));
    let files = ClientFiles {
        identity: None,
        ..folder.files()
    };
    folder.put("ca.pem", &mesh.pem());
    let mut tls = ClientTls::open(files, b"h2").unwrap();
    let error = handshake(&tls, server(&other)).unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert_eq!(tls.certificate(), None);

    folder.put("ca.pem", &format!("{}{}", mesh.pem(), other.pem()));
    assert!(matches!(tls.refresh(), Refresh::Replaced));
    // It is trusted now; the server misses the client's certificate.
    let error = handshake(&tls, server(&other)).unwrap_err();
    assert!(!error.to_string().contains("UnknownIssuer"), "{error}");
}

#[test]
fn files_that_cannot_be_used_are_an_error_at_the_start() {
    let (folder, mesh) = (Folder::new(), authority("mesh"));
    let why = ClientTls::open(folder.files(), b"h2").unwrap_err();
    assert!(why.to_string().contains("ca.pem"), "{why}");
    folder.put("ca.pem", &mesh.pem());
    folder.put_pair(&issue(&mesh, "a.example", 2001));
    let why = ClientTls::open(folder.files(), b"h2").unwrap_err();
    assert!(why.to_string().contains("expired"), "{why}");
}
