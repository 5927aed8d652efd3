//! Tests of a server's files: what it presents and whom it accepts, before and after they change.
//! The client is rustls itself, joined to the server in memory.

use std::fs;

use customs_test_support::tls_files::{
    Authority, CERTIFICATE, CLIENT_CA, GATEWAY, Leaf, PRIVATE_KEY, PemPair, SERVER_NAME, TlsClient,
    TlsFolder,
};
use rustls::pki_types::ServerName;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, HandshakeKind, ServerConnection,
};

use super::*;

const PAUSE: Duration = Duration::from_millis(1);

fn options(folder: &TlsFolder) -> ServerOptions {
    ServerOptions {
        certificate: folder.path(CERTIFICATE),
        private_key: folder.path(PRIVATE_KEY),
        client_authorities: Some(folder.path(CLIENT_CA)),
        client_ids: Vec::new(),
        min_version: MinVersion::Tls13,
        protocol: ApplicationProtocol::Http2,
    }
}

/// A mesh, a server in it with its files, and a client that is a workload of the mesh.
struct Site {
    mesh: Authority,
    folder: TlsFolder,
    gateway: PemPair,
    tls: ServerTls,
}

impl Site {
    fn new() -> Site {
        Site::with(|options| options)
    }

    fn with(change: impl FnOnce(ServerOptions) -> ServerOptions) -> Site {
        let mesh = Authority::new();
        let folder = TlsFolder::new(&mesh.issue(&Leaf::server()), &mesh.pem());
        let gateway = mesh.issue(&Leaf::workload(GATEWAY));
        let tls = ServerTls::open(change(options(&folder))).unwrap();
        Site {
            mesh,
            folder,
            gateway,
            tls,
        }
    }

    fn refresh(&mut self) -> ServerRefresh {
        self.tls.refresh(PAUSE)
    }

    /// Returns the reason for which the files are refused now.
    fn refused(&mut self) -> String {
        match self.refresh() {
            ServerRefresh::Refused(why) => why.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// Handshakes as the gateway; returns the certificate that the server presented.
    fn greet(&self) -> Vec<u8> {
        let authority = self.mesh.pem();
        let client = TlsClient::trusting(&authority).presenting(&self.gateway);
        let (client, _) = handshake(&client.config(), &self.tls).unwrap();
        client.peer_certificates().unwrap()[0].to_vec()
    }
}

/// Handshakes in memory.
fn handshake(
    client: &Arc<ClientConfig>,
    server: &ServerTls,
) -> Result<(ClientConnection, ServerConnection), Error> {
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut server = ServerConnection::new(server.config().load()).unwrap();
    // Once more than the handshake needs, so that tickets arrive.
    let mut rest = 3;
    while client.is_handshaking() || server.is_handshaking() || rest > 0 {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut &bytes[..]).unwrap();
        server.process_new_packets()?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut &bytes[..]).unwrap();
        client.process_new_packets()?;
        rest -= u32::from(!client.is_handshaking());
    }
    Ok((client, server))
}

#[test]
fn a_pair_that_was_replaced_is_presented_from_the_next_handshake_on() {
    let mut site = Site::new();
    assert!(matches!(site.refresh(), ServerRefresh::Unchanged));
    for year in 4001..4004 {
        let next = site.mesh.issue(&Leaf::server().valid(2000, year));
        site.folder.put_pair(&next);
        assert!(matches!(site.refresh(), ServerRefresh::Replaced));
        assert_eq!(site.greet(), next.der().to_vec());
        let end = site.tls.in_use().certificate.not_after.to_string();
        assert_eq!(end, format!("{year}-01-01T00:00:00Z"));
    }
}

#[test]
fn a_certificate_that_is_written_before_its_key_is_not_used_before() {
    let mut site = Site::new();
    let (before, next) = (site.greet(), site.mesh.issue(&Leaf::server()));
    site.folder.put(CERTIFICATE, &next.certificate);
    let why = site.refused();
    assert!(why.contains("does not belong to the certificate"), "{why}");
    assert!(matches!(site.refresh(), ServerRefresh::StillRefused));
    assert_eq!(site.greet(), before);
    site.folder.put(PRIVATE_KEY, &next.private_key);
    assert!(matches!(site.refresh(), ServerRefresh::Replaced));
    assert_eq!(site.greet(), next.der().to_vec());
}

#[test]
fn what_cannot_be_used_is_refused_and_what_is_in_use_stays() {
    let mut site = Site::new();
    let good = PemPair {
        certificate: fs::read_to_string(site.folder.path(CERTIFICATE)).unwrap(),
        private_key: fs::read_to_string(site.folder.path(PRIVATE_KEY)).unwrap(),
    };
    let (before, authorities) = (site.greet(), site.mesh.pem());
    let issue = |from, until| site.mesh.issue(&Leaf::server().valid(from, until));
    let (expired, early) = (issue(2000, 2001), issue(3999, 4000));
    let dead = Authority::valid(2000, 2001).pem();
    let half = &authorities[..authorities.len() / 2];
    for (pair, authorities, expected) in [
        (&expired, &*authorities, "expired at 2001-01-01T00:00:00Z"),
        (
            &early,
            &authorities,
            "is not valid before 3999-01-01T00:00:00Z",
        ),
        (&good, "", "has no certificate"),
        (&good, half, "is not PEM"),
        (&good, &dead, "expired at 2001-01-01T00:00:00Z"),
        (&good, &good.private_key, "has no certificate"),
    ] {
        site.folder.put_pair(pair);
        site.folder.put(CLIENT_CA, authorities);
        let why = site.refused();
        assert!(why.contains(expected), "{expected}: {why}");
        assert_eq!(site.greet(), before, "{expected}");
    }
    fs::remove_file(site.folder.path(PRIVATE_KEY)).unwrap();
    assert!(site.refused().contains("cannot read"));
    assert!(matches!(site.refresh(), ServerRefresh::StillRefused));
    assert_eq!(site.greet(), before);
    site.folder.put_pair(&good);
    site.folder.put(CLIENT_CA, &authorities);
    assert!(
        matches!(site.refresh(), ServerRefresh::Unchanged),
        "they are back"
    );
}

#[test]
fn files_that_cannot_be_used_are_an_error_at_the_start() {
    let mesh = Authority::new();
    let folder = TlsFolder::new(&mesh.issue(&Leaf::server().valid(2000, 2001)), &mesh.pem());
    let why = ServerTls::open(options(&folder)).unwrap_err().to_string();
    assert!(why.contains("tls.crt` expired at"), "{why}");
    folder.put_pair(&mesh.issue(&Leaf::server()));
    fs::remove_file(folder.path(CLIENT_CA)).unwrap();
    let why = ServerTls::open(options(&folder)).unwrap_err().to_string();
    assert!(
        why.contains("cannot read") && why.contains("ca.crt"),
        "{why}"
    );
}

#[test]
fn no_session_is_resumed_in_either_version() {
    let site = Site::with(|options| ServerOptions {
        min_version: MinVersion::Tls12,
        ..options
    });
    let authority = site.mesh.pem();
    for version in [&version::TLS13, &version::TLS12] {
        let client = TlsClient {
            version,
            ..TlsClient::trusting(&authority).presenting(&site.gateway)
        };
        let config = client.config();
        for attempt in 0..3 {
            let (client, server) = handshake(&config, &site.tls).unwrap();
            for kind in [client.handshake_kind(), server.handshake_kind()] {
                assert_eq!(kind, Some(HandshakeKind::Full), "{version:?} {attempt}");
            }
        }
    }
}

#[test]
fn a_client_of_a_withdrawn_authority_is_refused_although_it_was_accepted() {
    let mut site = Site::new();
    let (server_authority, other) = (site.mesh.pem(), Authority::new());
    let client = TlsClient::trusting(&server_authority).presenting(&site.gateway);
    let config = client.config();
    handshake(&config, &site.tls).unwrap();
    site.folder.put(CLIENT_CA, &other.pem());
    assert!(matches!(site.refresh(), ServerRefresh::Replaced));
    let why = handshake(&config, &site.tls).map(drop).unwrap_err();
    assert!(matches!(why, Error::InvalidCertificate(_)), "{why}");
    // While authorities are replaced, both are in the file.
    site.folder
        .put(CLIENT_CA, &format!("{}{server_authority}", other.pem()));
    assert!(matches!(site.refresh(), ServerRefresh::Replaced));
    handshake(&config, &site.tls).unwrap();
    let next = other.issue(&Leaf::workload(GATEWAY));
    let client = TlsClient::trusting(&server_authority).presenting(&next);
    handshake(&client.config(), &site.tls).unwrap();
}

#[test]
fn only_clients_on_the_list_are_accepted() {
    let site = Site::with(|options| ServerOptions {
        client_ids: vec![
            "spiffe://cluster.local/ns/istio-system/sa/*"
                .parse()
                .unwrap(),
        ],
        ..options
    });
    let authority = site.mesh.pem();
    let of = |uris: &[&str], dns_names: &[&str]| {
        site.mesh.issue(&Leaf {
            uris: uris.iter().map(ToString::to_string).collect(),
            dns_names: dns_names.iter().map(ToString::to_string).collect(),
            ..Leaf::server()
        })
    };
    let other = "spiffe://cluster.local/ns/istio-system-2/sa/egress";
    for (pair, expected) in [
        (of(&[GATEWAY], &[]), None),
        (
            of(&[other], &[]),
            Some("is not among the permitted client ids"),
        ),
        (of(&[], &["gateway.example"]), Some("has no SPIFFE id")),
        (of(&[], &[GATEWAY]), Some("has no SPIFFE id")),
        (of(&[other, GATEWAY], &[]), Some("has 2 URIs")),
        (of(&[GATEWAY, other], &[]), Some("has 2 URIs")),
    ] {
        let client = TlsClient::trusting(&authority).presenting(&pair);
        match (handshake(&client.config(), &site.tls), expected) {
            (Ok(_), None) => {}
            (Err(Error::InvalidCertificate(CertificateError::Other(why))), Some(expected)) => {
                assert!(why.0.to_string().contains(expected), "{expected}: {why}");
            }
            (result, expected) => panic!("{expected:?}: {:?}", result.map(drop)),
        }
    }
}

#[test]
fn tls_1_2_is_accepted_only_if_the_setting_says_so() {
    for (min_version, expected) in [(MinVersion::Tls13, false), (MinVersion::Tls12, true)] {
        let site = Site::with(|options| ServerOptions {
            min_version,
            client_authorities: None,
            ..options
        });
        let authority = site.mesh.pem();
        let old = TlsClient {
            version: &version::TLS12,
            ..TlsClient::trusting(&authority)
        };
        let result = handshake(&old.config(), &site.tls);
        assert_eq!(result.is_ok(), expected, "{min_version:?}");
    }
}

#[test]
fn nothing_that_is_shown_has_a_part_of_a_key() {
    let site = Site::new();
    let key = fs::read_to_string(site.folder.path(PRIVATE_KEY)).unwrap();
    let body = key.lines().nth(1).unwrap();
    let shown = format!("{:?}", site.tls);
    assert!(
        shown.contains("tls.key") && !shown.contains(&body[..16]),
        "{shown}"
    );
}
