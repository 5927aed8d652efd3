//! Tests of TLS and headers: a collector behind a real TLS server, and files that change while the
//! sink writes.

use std::fs;
use std::path::{Path, PathBuf};

use customs_tls::pem;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;
use crate::config::SinkConfig;

/// How long a test waits for what happens by itself.
const TEST_PATIENCE: Duration = Duration::from_secs(30);

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, in PEM.
#[derive(Clone)]
struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Authority {
        Authority::called("authority")
    }

    fn called(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn issue(&self, name: &str) -> Pair {
        self.issue_until(name, 4000)
    }

    fn issue_until(&self, name: &str, year: i32) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        let key = key.serialize_pem();
        Pair { certificate, key }
    }
}

/// A TLS server in front of a collector. It takes TLS off and passes on the bytes.
struct Terminator {
    address: SocketAddr,
    /// What the clients presented, by connection.
    presented: Arc<Mutex<Vec<Option<String>>>>,
    refused: Arc<Mutex<Vec<String>>>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    runtime: Runtime,
    connections: Arc<Mutex<JoinSet<()>>>,
}

/// Returns a server's configuration. With an authority, clients must have a certificate of it.
fn server(pair: &Pair, clients: Option<&Authority>, protocol: &[u8]) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let path = Path::new("server");
    let chain = pem::certificates(path, pair.certificate.as_bytes()).unwrap();
    let key = pem::private_key(path, pair.key.as_bytes()).unwrap();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

impl Terminator {
    fn before(collector: &Collector, config: Arc<ServerConfig>) -> Terminator {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let terminator = Terminator {
            address: listener.local_addr().unwrap(),
            presented: Arc::default(),
            refused: Arc::default(),
            config: Arc::new(Mutex::new(config)),
            runtime,
            connections: Arc::default(),
        };
        let (presented, refused) = (terminator.presented.clone(), terminator.refused.clone());
        let (config, connections) = (terminator.config.clone(), terminator.connections.clone());
        let behind = collector.address;
        terminator.runtime.spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let config = config.lock().unwrap().clone();
                let (presented, refused) = (presented.clone(), refused.clone());
                let serving = async move {
                    let mut client = match TlsAcceptor::from(config).accept(client).await {
                        Ok(client) => client,
                        Err(why) => return refused.lock().unwrap().push(why.to_string()),
                    };
                    let certificates = client.get_ref().1.peer_certificates();
                    let first = certificates.map(|all| format!("{:?}", all[0].as_ref()));
                    presented.lock().unwrap().push(first);
                    let mut collector = TcpStream::connect(behind).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut collector).await;
                };
                connections.lock().unwrap().spawn(serving);
            }
        });
        terminator
    }

    /// Ends every connection.
    fn cut(&self) {
        self.connections.lock().unwrap().abort_all();
    }

    fn presented(&self) -> Vec<Option<String>> {
        self.presented.lock().unwrap().clone()
    }

    fn refused(&self) -> usize {
        self.refused.lock().unwrap().len()
    }

    fn set(&self, config: Arc<ServerConfig>) {
        *self.config.lock().unwrap() = config;
    }

    /// Opens a sink with options as in the settings.
    fn sink(&self, options: &str) -> OtlpSink {
        open(&format!("otlp:https://{}?{options}", self.address)).unwrap()
    }
}

fn open(text: &str) -> Result<OtlpSink, SinkOpenError> {
    let config: SinkConfig = text.parse().unwrap();
    let url = config.name().replacen("otlp:", "", 1);
    OtlpSink::open(config.name(), &url, &config.otlp)
}

/// A folder with the files of a sink.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the option that names a file of this name.
    fn option(&self, key: &str, name: &str) -> String {
        format!("{key}={}&", self.path(name).display())
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn put_pair(&self, pair: &Pair) {
        self.put("tls.pem", &pair.certificate);
        self.put("tls.key", &pair.key);
    }

    /// Returns the options of mutual TLS with the files of this folder.
    fn mutual(&self) -> String {
        self.option("ca", "ca.pem")
            + &self.option("certificate", "tls.pem")
            + &self.option("private_key", "tls.key")
    }
}

fn shown(pair: &Pair) -> Option<String> {
    let bytes = pair.certificate.as_bytes();
    let chain = pem::certificates(Path::new("client"), bytes).unwrap();
    Some(format!("{:?}", chain[0].as_ref()))
}

/// Writes until the sink fails; returns why.
fn failure(sink: &mut OtlpSink) -> String {
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < TEST_PATIENCE, "the sink does not fail");
        match sink.write(b"{}\n") {
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
            Err(why) => return why.to_string(),
            Ok(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Writes a line again and again, as the writer does, until this is so.
fn write_until(sink: &mut OtlpSink, what: &str, is_it: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_it() {
        assert!(begin.elapsed() < TEST_PATIENCE, "{what}");
        if let Err(why) = sink.write(b"{}\n")
            && why.kind() != io::ErrorKind::WouldBlock
        {
            panic!("{what}: {why}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Looks at the files for longer than a refused one may stay unlogged.
fn look(sink: &mut OtlpSink) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(2500) {
        sink.rotate_if_due(now()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_collector_behind_tls_gets_every_line_and_every_header() {
    let (collector, folder, authority) = (Collector::start(), Folder::new(), Authority::new());
    let terminator = Terminator::before(
        &collector,
        server(&authority.issue("127.0.0.1"), None, b"h2"),
    );
    folder.put("ca.pem", &authority.0.pem());
    folder.put(
        "headers",
        "# rotated daily\n\nauthorization: Bearer s3cret\n",
    );
    let options = folder.option("ca", "ca.pem") + &folder.option("headers_file", "headers");
    let mut sink = terminator.sink(&(options + "header=x-tenant:shop"));
    let text = numbered(MAX_LINES + 3);
    write_all(&mut sink, text.as_bytes());
    assert_eq!(collector.bodies(), text.lines().collect::<Vec<_>>());
    assert_eq!(collector.header("x-tenant"), "shop");
    assert_eq!(collector.header("authorization"), "Bearer s3cret");
    assert_eq!(terminator.presented(), [None]);
}

#[test]
fn a_collector_of_another_authority_gets_nothing_until_the_file_names_it() {
    let (collector, folder, authority) = (Collector::start(), Folder::new(), Authority::new());
    let pair = authority.issue("127.0.0.1");
    let terminator = Terminator::before(&collector, server(&pair, None, b"h2"));
    folder.put("ca.pem", &Authority::called("other").0.pem());
    let mut sink = terminator.sink(&folder.option("ca", "ca.pem"));
    let why = failure(&mut sink);
    assert!(why.contains("UnknownIssuer"), "{why}");
    assert_eq!(collector.exports(), 0);
    folder.put("ca.pem", &authority.0.pem());
    write_all(&mut sink, b"{}\n");
    assert_eq!(collector.bodies(), ["{}"]);
}

#[test]
fn a_collector_with_another_name_gets_nothing_unless_the_settings_say_it() {
    let (collector, folder, authority) = (Collector::start(), Folder::new(), Authority::new());
    let pair = authority.issue("collector.example");
    let terminator = Terminator::before(&collector, server(&pair, None, b"h2"));
    folder.put("ca.pem", &authority.0.pem());
    let options = folder.option("ca", "ca.pem");
    let why = failure(&mut terminator.sink(&options));
    assert!(why.contains("not valid for name"), "{why}");
    assert_eq!(collector.exports(), 0);
    write_all(
        &mut terminator.sink(&(options + "server_name=collector.example")),
        b"{}\n",
    );
    assert_eq!(collector.bodies(), ["{}"]);
}

#[test]
fn a_collector_that_asks_for_a_certificate_gets_it_and_then_the_next_one() {
    let (collector, folder, authority) = (Collector::start(), Folder::new(), Authority::new());
    let (first, second) = (authority.issue("a.example"), authority.issue("b.example"));
    let config = server(&authority.issue("127.0.0.1"), Some(&authority), b"h2");
    let terminator = Terminator::before(&collector, config);
    folder.put("ca.pem", &authority.0.pem());
    let why = failure(&mut terminator.sink(&folder.option("ca", "ca.pem")));
    assert!(why.contains("CertificateRequired"), "{why}");
    assert_eq!((collector.exports(), terminator.refused() > 0), (0, true));

    folder.put_pair(&first);
    let mut sink = terminator.sink(&folder.mutual());
    write_all(&mut sink, b"{}\n");
    assert_eq!(terminator.presented(), [shown(&first)]);
    // Nothing cuts the connection: the sink makes another by itself.
    folder.put_pair(&second);
    write_until(&mut sink, "the second certificate is presented", || {
        terminator.presented() == [shown(&first), shown(&second)]
    });
}

#[test]
fn a_certificate_that_expires_is_logged_once_before_and_once_after() {
    let (folder, authority) = (Folder::new(), Authority::new());
    folder.put("ca.pem", &authority.0.pem());
    folder.put_pair(&authority.issue_until("a.example", 3000));
    let mut sink = open(&format!("otlp:https://127.0.0.1:1?{}", folder.mutual())).unwrap();
    let mut logs = |now: &str| sink.credentials.report_expiry("a", now.parse().unwrap());
    for (now, is_logged) in [
        ("2999-06-01T00:00:00Z", false),
        ("2999-12-31T00:00:00Z", true),
        ("2999-12-31T01:00:00Z", false),
        ("3000-01-02T00:00:00Z", true),
        ("3000-01-03T00:00:00Z", false),
    ] {
        assert_eq!(logs(now), is_logged, "{now}");
    }
}

#[test]
fn files_that_cannot_be_used_leave_the_last_good_ones_in_use() {
    let (collector, folder, authority) = (Collector::start(), Folder::new(), Authority::new());
    let good = authority.issue("a.example");
    let config = server(&authority.issue("127.0.0.1"), Some(&authority), b"h2");
    let terminator = Terminator::before(&collector, config);
    folder.put("ca.pem", &authority.0.pem());
    folder.put_pair(&good);
    let mut sink = terminator.sink(&folder.mutual());
    let other = authority.issue("b.example");
    let mismatched = Pair {
        key: good.key.clone(),
        ..other.clone()
    };
    let torn = Pair {
        certificate: good.certificate[..99].to_owned(),
        ..good.clone()
    };
    for (bad, expected) in [
        (mismatched, "does not belong to the certificate"),
        (
            authority.issue_until("c.example", 2001),
            "expired at 2001-01-01",
        ),
        (torn, "is not PEM"),
    ] {
        folder.put_pair(&bad);
        look(&mut sink);
        terminator.cut();
        write_all(&mut sink, b"{}\n");
        let refused = sink.credentials.refused().unwrap_or_default();
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
    assert_eq!(collector.bodies().len(), 3);
    assert!(
        terminator
            .presented()
            .iter()
            .all(|one| *one == shown(&good))
    );

    // What cannot be used is named where the last good files fail too.
    terminator.set(server(
        &Authority::called("other").issue("127.0.0.1"),
        None,
        b"h2",
    ));
    terminator.cut();
    let why = failure(&mut sink);
    let expected = "the last good files are in use, because";
    assert!(
        why.contains("UnknownIssuer") && why.contains(expected),
        "{why}"
    );
    terminator.set(server(
        &authority.issue("127.0.0.1"),
        Some(&authority),
        b"h2",
    ));
    folder.put_pair(&other);
    look(&mut sink);
    write_all(&mut sink, b"{}\n");
    assert_eq!(sink.credentials.refused(), None);
    assert_eq!(terminator.presented().last(), Some(&shown(&other)));
}

#[test]
fn a_headers_file_is_read_again_and_a_bad_one_leaves_the_last_good_headers() {
    let (collector, folder) = (Collector::start(), Folder::new());
    folder.put("headers", "authorization: Bearer first");
    let options = OtlpOptions {
        headers_file: Some(folder.path("headers")),
        ..OtlpOptions::default()
    };
    let mut sink = collector.sink_with(&options);
    write_all(&mut sink, b"{}\n");
    assert_eq!(collector.header("authorization"), "Bearer first");
    folder.put("headers", "authorization: Bearer second\n");
    write_until(&mut sink, "the second token is sent", || {
        collector.header("authorization") == "Bearer second"
    });
    for (bad, expected) in [
        ("authorization: Bearer third\nauthorization: x", "line 2 of"),
        ("authorization Bearer third", "expected `NAME:VALUE`"),
        ("grpc-timeout: 1S", "belongs to the protocol"),
    ] {
        folder.put("headers", bad);
        look(&mut sink);
        write_all(&mut sink, b"{}\n");
        assert_eq!(collector.header("authorization"), "Bearer second");
        let refused = sink.credentials.refused().unwrap_or_default();
        assert!(refused.contains(expected), "{expected}: {refused}");
        assert!(!refused.contains("third"), "{refused}");
    }
}

#[test]
fn a_server_that_is_no_grpc_endpoint_is_reported_as_that() {
    let (collector, folder, authority) = (Collector::start(), Folder::new(), Authority::new());
    let pair = authority.issue("127.0.0.1");
    let terminator = Terminator::before(&collector, server(&pair, None, b"http/1.1"));
    folder.put("ca.pem", &authority.0.pem());
    let options = folder.option("ca", "ca.pem");
    let why = failure(&mut terminator.sink(&options));
    assert!(why.contains("NoApplicationProtocol"), "{why}");
    // A server without ALPN takes any client.
    let mut config = ServerConfig::clone(&server(&pair, None, b""));
    config.alpn_protocols.clear();
    terminator.set(Arc::new(config));
    let why = failure(&mut terminator.sink(&options));
    assert!(why.contains("does not offer HTTP/2"), "{why}");
    // Nor is a server without TLS.
    let plain = format!("otlp:https://{}?{options}", collector.address);
    let why = failure(&mut open(&plain).unwrap());
    assert!(
        why.contains("the TLS handshake with the collector failed"),
        "{why}"
    );
    assert_eq!(collector.exports(), 0);
}

#[test]
fn a_handshake_that_never_ends_is_waited_for_in_short_calls_and_then_a_failure() {
    let (folder, authority) = (Folder::new(), Authority::new());
    folder.put("ca.pem", &authority.0.pem());
    // It takes connections, and nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let options = folder.option("ca", "ca.pem");
    let mut sink = open(&format!("otlp:https://{address}?{options}")).unwrap();
    let first = sink.write(b"{}\n").unwrap_err();
    assert_eq!(first.kind(), io::ErrorKind::WouldBlock);
    let why = failure(&mut sink);
    assert!(
        why.contains("did not answer in 5 s") || why.contains("timed out"),
        "{why}"
    );
}

#[test]
fn files_that_cannot_be_used_are_an_error_of_the_start() {
    let (folder, authority) = (Folder::new(), Authority::new());
    folder.put("ca.pem", &authority.0.pem());
    folder.put_pair(&authority.issue_until("a.example", 2001));
    folder.put("headers", "te: x\n");
    for (options, expected) in [
        (folder.option("ca", "none.pem"), "none.pem"),
        (folder.option("ca", "tls.key"), "has no certificate"),
        (folder.mutual(), "expired at 2001-01-01"),
        (folder.option("headers_file", "headers"), "line 1 of"),
        (folder.option("headers_file", "none"), "cannot read"),
    ] {
        // Every one of them needs the first option, so that the system's authorities do not matter.
        let text = format!(
            "otlp:https://127.0.0.1:1?{}{options}",
            folder.option("ca", "ca.pem")
        );
        let why = open(&text).err().unwrap().to_string();
        assert!(why.contains(expected), "{options}: {why}");
        assert!(
            why.contains("cannot send the audit log to `https://127.0.0.1:1`"),
            "{why}"
        );
    }
}
