//! TLS at the addresses of the program: who is accepted, who is refused and how that is reported,
//! and what happens when the files change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod client;
mod commands;
mod rotation;

use std::time::Duration;

use customs_test_support::server::{Plan, Server};
use customs_test_support::tls_files::{
    Authority, CERTIFICATE, CLIENT_CA, GATEWAY, Leaf, PRIVATE_KEY, TlsClient, TlsFolder, presented,
};
use customs_test_support::wait_for;

/// A policy that allows what the tests ask for.
pub(crate) const POLICY: &str = "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: no-aliyun, namespace: demo-frontend}
spec:
  owner: team-network
  deny: [{name: www, hosts: [www.aliyun.com]}]
";

/// Returns a plan of a server with these flags and a policy.
fn plan(flags: &str) -> Plan {
    Plan::with(flags).file("policies/a.yaml", POLICY)
}

/// The part of a mesh that a server and its gateway are in.
pub(crate) struct Site {
    pub mesh: Authority,
    pub folder: TlsFolder,
}

impl Site {
    pub(crate) fn new() -> Site {
        let mesh = Authority::new();
        let folder = TlsFolder::new(&mesh.issue(&Leaf::server()), &mesh.pem());
        Site { mesh, folder }
    }

    /// Returns a plan of a server whose address for checks accepts gateways only.
    pub(crate) fn plan(&self) -> Plan {
        let ids = "spiffe://cluster.local/ns/istio-system/sa/*";
        plan("--audit file:out/audit.jsonl")
            .flags(&format!("--tls {},client_ids={ids}", self.folder.setting()))
    }
}

/// Returns the lines of the log with this text.
fn logged(server: &Server, text: &str) -> usize {
    let log = server.folder.text("out/stderr");
    log.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_gateway_is_answered_and_its_identity_is_recorded() {
    let site = Site::new();
    let mut server = site.plan().start();
    let (authority, gateway) = (site.mesh.pem(), site.mesh.issue(&Leaf::workload(GATEWAY)));
    let client = TlsClient::trusting(&authority).presenting(&gateway);
    assert!(client::check(server.port, client).unwrap().allowed);
    let status = server.status();
    assert_eq!(status["tls"][0]["address"], "listen");
    assert_eq!(status["tls"][0]["names"][0], "customs.example");
    assert_eq!(status["tls"][0]["problems"], serde_json::json!([]));
    server.stop();
    let log = server.folder.text("out/audit.jsonl");
    let decision = log
        .lines()
        .find(|line| line.contains(r#""kind":"decision""#))
        .unwrap();
    assert!(
        decision.contains(&format!(r#""peerIdentity":"{GATEWAY}""#)),
        "{decision}"
    );
}

#[test]
fn over_plain_text_no_identity_is_recorded() {
    let mut server = plan("--audit file:out/audit.jsonl").start();
    assert!(server.check("ok.example").allowed);
    server.stop();
    assert!(
        !server
            .folder
            .text("out/audit.jsonl")
            .contains("peerIdentity")
    );
}

#[test]
fn each_client_that_is_not_accepted_is_refused_and_reported_once() {
    let site = Site::new();
    let mut server = site.plan().start();
    let (authority, elsewhere) = (site.mesh.pem(), Authority::new());
    let workload = || Leaf::workload(GATEWAY);
    let foreign = elsewhere.issue(&workload());
    let expired = site.mesh.issue(&workload().valid(2000, 2001));
    let unlisted = site
        .mesh
        .issue(&Leaf::workload("spiffe://cluster.local/ns/shop/sa/cart"));
    let gateway = site.mesh.issue(&workload());
    let client = TlsClient::trusting(&authority);
    let good = client.presenting(&gateway);
    let refused = [
        (client, "tls_no_certificate"),
        (client.presenting(&foreign), "tls_unknown_authority"),
        (client.presenting(&expired), "tls_certificate_expired"),
        (client.presenting(&unlisted), "tls_not_permitted"),
        (
            TlsClient {
                protocols: &[],
                ..good
            },
            "tls_application_protocol",
        ),
    ];
    for (client, cause) in refused {
        for _ in 0..3 {
            let answer = client::check(server.port, client);
            assert!(answer.is_err(), "{cause}: {answer:?}");
        }
    }
    // Plain text, as of a gateway that was not changed yet.
    assert!(
        customs_test_support::check_client::wait(customs_test_support::check_client::check(
            &server.channel,
            customs_test_support::check_client::http("", "ok.example")
        ))
        .is_err()
    );
    let causes = refused.map(|(_, cause)| cause);
    for cause in causes.into_iter().chain(["tls_plain_text"]) {
        let counted = format!("customs_refusals_total{{cause=\"{cause}\"}} ");
        server.until(cause, || {
            let (_, metrics) = server.get("/metrics")?;
            let line = metrics.lines().find(|line| line.starts_with(&counted))?;
            let count: u64 = line.rsplit(' ').next()?.parse().ok()?;
            (count >= 1).then_some(())
        });
        assert_eq!(logged(&server, cause), 1, "{cause}");
    }
    assert!(client::check(server.port, good).unwrap().allowed);
    server.stop();
    let log = server.folder.text("out/audit.jsonl");
    for cause in causes {
        assert!(
            log.contains(&format!(r#""cause":"{cause}""#)),
            "{cause}: {log}"
        );
    }
}

#[test]
fn operators_are_asked_for_a_certificate_too_if_the_settings_say_so() {
    let site = Site::new();
    let server = plan("")
        .flags(&format!("--admin-tls {}", site.folder.setting()))
        .spawn();
    let (authority, gateway) = (site.mesh.pem(), site.mesh.issue(&Leaf::workload(GATEWAY)));
    let protocols = &["h2", "http/1.1"];
    let without = TlsClient {
        protocols,
        ..TlsClient::trusting(&authority)
    };
    let operator = without.presenting(&gateway);
    let ready = wait_for(|| {
        let answer = client::get(server.admin, operator, "/readyz").ok()?;
        (answer.status == 200).then_some(answer.body)
    });
    assert_eq!(
        ready.as_deref(),
        Some("ready\n"),
        "{}",
        server.folder.text("out/stderr")
    );
    assert!(client::get(server.admin, without, "/readyz").is_err());
    assert_eq!(server.get("/readyz"), None, "plain text is not answered");
}

#[test]
fn subscribers_of_the_audit_log_are_asked_for_a_certificate_too() {
    let site = Site::new();
    let port = customs_test_support::ports::free().unwrap();
    let options = site.folder.setting().replace(',', "&");
    let server = plan(&format!("--audit tail:127.0.0.1:{port}?{options}")).start();
    let (authority, gateway) = (site.mesh.pem(), site.mesh.issue(&Leaf::workload(GATEWAY)));
    let client = TlsClient::trusting(&authority);
    let certificate = presented(port, &client.presenting(&gateway).config()).unwrap();
    let status = server.status();
    assert_eq!(
        status["tls"][0]["address"],
        format!("tail:127.0.0.1:{port}")
    );
    assert!(certificate.is_some());
    let counted = "customs_refusals_total{cause=\"tls_no_certificate\"} 1";
    let _ = presented(port, &client.config());
    server.until("the refusal", || {
        server.get("/metrics")?.1.contains(counted).then_some(())
    });
}

#[test]
fn a_handshake_that_never_ends_is_ended() {
    use std::io::{Read, Write};
    let site = Site::new();
    let server = site.plan().start();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(b"\x16\x03\x01\x02\0\x01").unwrap();
    let mut rest = Vec::new();
    // The end of the connection, or its reset; not the timeout of this client.
    let ended = stream.read_to_end(&mut rest);
    let kind = ended.map_err(|why| why.kind());
    assert_ne!(kind, Err(std::io::ErrorKind::WouldBlock));
}

#[test]
fn files_that_cannot_be_used_end_the_start_with_the_reason() {
    let site = Site::new();
    site.folder
        .put_pair(&site.mesh.issue(&Leaf::server().valid(2000, 2001)));
    let ended = site.plan().fails();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .contains("cannot serve TLS at the address of `listen`")
            && ended.stderr.contains("expired at 2001-01-01T00:00:00Z"),
        "{}",
        ended.stderr
    );
    std::fs::remove_file(site.folder.path(PRIVATE_KEY)).unwrap();
    let ended = site.plan().fails();
    assert!(ended.stderr.contains("tls.key"), "{}", ended.stderr);
    let ended = Plan::with("--tls certificate=a").fails();
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("`private_key` is missing"),
        "{}",
        ended.stderr
    );
    let text = format!("certificate={CERTIFICATE},private_key={PRIVATE_KEY}");
    let ended = Plan::with(&format!("--tls {text},client_ids=spiffe://a/b")).fails();
    assert!(
        ended.stderr.contains("need `client_ca`"),
        "{}",
        ended.stderr
    );
    assert!(site.folder.path(CLIENT_CA).exists());
}

#[test]
fn the_certificate_that_a_sink_presents_is_seen_by_operators() {
    let site = Site::new();
    let old = site.mesh.issue(&Leaf::workload(GATEWAY).valid(2000, 3000));
    let operator = TlsFolder::new(&old, &site.mesh.pem());
    let path = |name| operator.path(name).display().to_string();
    let sink = "otlp:https://127.0.0.1:1";
    let options = format!(
        "on_full=drop&ca={}&certificate={}&private_key={}",
        path(CLIENT_CA),
        path(CERTIFICATE),
        path(PRIVATE_KEY)
    );
    let server = plan(&format!("--audit {sink}?{options}")).start();
    let end = format!(
        "customs_tls_certificate_not_after_timestamp_seconds{{address=\"{sink}\",file=\"certificate\"}} "
    );
    let (_, metrics) = server.get("/metrics").unwrap();
    assert!(metrics.contains(&format!("{end}32503680000")), "{metrics}");
    let status = server.status();
    assert_eq!(status["tls"][0]["address"], sink);
    assert_eq!(status["tls"][0]["notAfter"], "3000-01-01T00:00:00Z");
    // Another pair is in use soon, and a key of another certificate never.
    let new = site.mesh.issue(&Leaf::workload(GATEWAY));
    operator.put_pair(&new);
    server.until("the new certificate", || {
        let status = server.status();
        (status["tls"][0]["notAfter"] == "4000-01-01T00:00:00Z").then_some(())
    });
    operator.put(PRIVATE_KEY, &old.private_key);
    server.until("the refusal", || {
        let status = server.status();
        let problem = status["tls"][0]["problems"][0].as_str()?.to_owned();
        problem
            .contains("does not belong to the certificate")
            .then_some(())
    });
    let (_, metrics) = server.get("/metrics").unwrap();
    for line in [
        format!("customs_tls_files_refused{{address=\"{sink}\"}} 1"),
        format!("customs_tls_reloads_total{{address=\"{sink}\",outcome=\"replaced\"}} 1"),
    ] {
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}
