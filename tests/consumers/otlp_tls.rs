//! The collector behind TLS that another project implements: the real Envoy, which asks for a
//! certificate and a token, in front of rotel.

use std::fs;
use std::sync::Arc;

use customs_test_support::certificates::{authority, issue};
use customs_test_support::envoy::{Envoys, Words};
use customs_test_support::ports;
use customs_test_support::process::{Guard, Process};
use customs_test_support::server::{Plan, Server};
use customs_test_support::tools;
use rcgen::CertificateParams;
use tempfile::TempDir;

use crate::collector::{Arrived, Rotel, Webhook};
use crate::lines::{self, Line};
use crate::{POLICY, check};

/// What Envoy demands.
const TOKEN: &str = "Bearer t0ken-of-the-collector";

/// An Envoy that takes TLS off, asks clients for a certificate and a token, and passes calls on.
struct Gate {
    port: u16,
    _envoy: Process,
    _guard: Arc<Guard>,
    folder: TempDir,
}

impl Gate {
    /// Starts it in front of a collector, with an authority of its own. That authority also issues
    /// the client's certificate, `client.pem` with `client.key`.
    fn before(collector: u16) -> Gate {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority("throw-away authority of the collector").unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        for (name, host) in [("server", "127.0.0.1"), ("client", "customs.example")] {
            let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
            issue(&authority, params, folder.path(), name).unwrap();
        }
        let (port, admin) = (ports::free().unwrap(), ports::free().unwrap());
        let config = folder.path().join("envoy.yaml");
        fs::write(&config, configuration(&folder, port, admin, collector)).unwrap();
        let tool = tools::envoy().unwrap();
        tools::announce(&tool);
        // The guard removes its folder, which is not the one of the certificates.
        let guard = Guard::over(&folder.path().join("guarded")).unwrap();
        let envoys = Envoys {
            binary: tool.path,
            scratch: folder.path().to_path_buf(),
            guard: guard.clone(),
            words: Words::new(),
        };
        let envoy = envoys.run("gate", &config, admin).unwrap();
        Gate {
            port,
            _envoy: envoy,
            _guard: guard,
            folder,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Returns customs with a sink that connects here, with these options.
    fn server(&self, options: &str) -> Plan {
        let sink = format!(
            "otlp:https://127.0.0.1:{}?{options}&on_full=drop",
            self.port
        );
        let flags = format!("--audit {sink} --audit file:out/audit.jsonl");
        Plan::with(&flags).file("policies/a.yaml", POLICY)
    }

    /// Returns the options of mutual TLS.
    fn mutual(&self) -> String {
        format!(
            "ca={}&certificate={}&private_key={}",
            self.path("ca.pem"),
            self.path("client.pem"),
            self.path("client.key")
        )
    }
}

fn configuration(folder: &TempDir, port: u16, admin: u16, collector: u16) -> String {
    let folder = folder.path().display();
    let kinds = "type.googleapis.com/envoy.extensions";
    format!(
        r#"
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
static_resources:
  listeners:
  - name: otlp
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": {kinds}.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            alpn_protocols: [h2]
            tls_certificates:
            - certificate_chain: {{filename: "{folder}/server.pem"}}
              private_key: {{filename: "{folder}/server.key"}}
            validation_context: {{trusted_ca: {{filename: "{folder}/ca.pem"}}}}
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {kinds}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: otlp
          codec_type: HTTP2
          route_config:
            virtual_hosts:
            - name: otlp
              domains: ["*"]
              routes:
              - match: {{prefix: /, headers: [{{name: authorization, string_match: {{exact: "{TOKEN}"}}}}]}}
                route: {{cluster: rotel}}
              - match: {{prefix: /}}
                direct_response: {{status: 401}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": {kinds}.filters.http.router.v3.Router}}
  clusters:
  - name: rotel
    type: STATIC
    connect_timeout: 2s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": {kinds}.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: rotel
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {collector}}}}}}}
"#
    )
}

/// Returns the ids of the decisions, in their order.
fn decisions(lines: &[Line]) -> Vec<String> {
    let of_kind = lines::of_kind(lines, "decision").into_iter();
    of_kind
        .map(|line| line.text("decisionId").to_owned())
        .collect()
}

/// Waits until the collector has this many decisions and every record before the last one, since
/// it passes batches on side by side; returns the records.
fn arrived(webhook: &Webhook, count: usize) -> Vec<Line> {
    let arrived = webhook.until("the decisions", |arrived| {
        let is_decision = |one: &&Arrived| one.line().text("kind") == "decision";
        let last = arrived.last().map_or(0, |last| last.line().sequence());
        arrived.iter().filter(is_decision).count() == count && last == arrived.len() as u64
    });
    arrived.iter().map(Arrived::line).collect()
}

/// Waits until the sink fails; returns what customs logged.
fn failing(server: &Server, expected: &str) -> String {
    server.until(expected, || {
        Some(server.folder.text("out/stderr")).filter(|log| log.contains(expected))
    })
}

#[test]
fn a_collector_behind_mutual_tls_and_a_token_gets_exactly_the_records() {
    let (port, webhook) = (ports::free().unwrap(), Webhook::start());
    let _rotel = Rotel::start(port, webhook.port());
    let gate = Gate::before(port);
    let headers = gate.path("headers");
    fs::write(&headers, "authorization: Bearer another-s3cret\n").unwrap();
    let mut server = gate
        .server(&format!("{}&headers_file={headers}", gate.mutual()))
        .start();
    check(&server, 20);
    failing(&server, "Unauthenticated");
    assert_eq!(webhook.arrived().len(), 0);

    // The token is rotated; everything arrives, and from now on without a failure.
    fs::write(&headers, format!("# rotated\nauthorization: {TOKEN}\n")).unwrap();
    arrived(&webhook, 20);
    check(&server, 20);
    let bodies = arrived(&webhook, 40);
    lines::verify(&bodies);
    let seen = [
        server.folder.text("out/stderr"),
        server.folder.text("out/stdout"),
        server.get("/status").unwrap().1,
        server.get("/metrics").unwrap().1,
    ];
    server.stop();
    let file = server.folder.text("out/audit.jsonl");
    assert_eq!(decisions(&bodies), decisions(&lines::all(&file)));
    for text in seen
        .iter()
        .chain([&file, &server.folder.text("out/stderr")])
    {
        for secret in ["t0ken-of-the-collector", "another-s3cret"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_collector_that_cannot_prove_its_name_or_wants_a_certificate_is_named_in_the_log() {
    let (port, webhook) = (ports::free().unwrap(), Webhook::start());
    let _rotel = Rotel::start(port, webhook.port());
    let gate = Gate::before(port);
    let mut without = gate.server(&format!("ca={}", gate.path("ca.pem"))).start();
    check(&without, 2);
    failing(&without, "CertificateRequired");
    let mut stranger = gate
        .server(&format!("{}&server_name=collector.example", gate.mutual()))
        .start();
    check(&stranger, 2);
    failing(&stranger, "not valid for name");
    assert_eq!(webhook.arrived().len(), 0);
    for server in [&mut without, &mut stranger] {
        server.signal("TERM");
        assert_eq!(
            server.end().code,
            Some(1),
            "records were lost, and that is said"
        );
    }
}

#[test]
fn the_authorities_of_the_system_are_trusted_if_no_file_is_named() {
    let (port, webhook) = (ports::free().unwrap(), Webhook::start());
    let _rotel = Rotel::start(port, webhook.port());
    let gate = Gate::before(port);
    fs::write(gate.path("headers"), format!("authorization: {TOKEN}")).unwrap();
    let options = format!(
        "certificate={}&private_key={}&headers_file={}",
        gate.path("client.pem"),
        gate.path("client.key"),
        gate.path("headers")
    );
    // The directory without a certificate is named too, because both count if both are set.
    fs::create_dir(gate.path("empty")).unwrap();
    let trusting = |file: &str| {
        gate.server(&options)
            .environment("SSL_CERT_FILE", file)
            .environment("SSL_CERT_DIR", &gate.path("empty"))
    };
    let mut server = trusting(&gate.path("ca.pem")).start();
    check(&server, 4);
    lines::verify(&arrived(&webhook, 4));
    server.stop();
    let ended = trusting("/dev/null").fails();
    assert!(
        ended.stderr.contains("no certificates of authorities"),
        "{}",
        ended.stderr
    );
}

#[test]
fn files_that_cannot_be_used_end_the_start_with_the_reason() {
    let port = ports::free().unwrap();
    let plan = |options: &str| {
        let sink = format!("--audit otlp:https://127.0.0.1:{port}?{options}");
        Plan::with(&sink).file("policies/a.yaml", POLICY)
    };
    for (options, expected) in [
        ("ca=none.pem", "cannot read `none.pem`"),
        ("ca=policies/a.yaml", "`policies/a.yaml` has no certificate"),
        (
            "ca=none.pem&certificate=a",
            "needs the option `private_key`",
        ),
        (
            "ca=none.pem&header=te:s3cret",
            "`te` belongs to the protocol",
        ),
        ("ca=none.pem&header=s3cret", "expected `NAME:VALUE`"),
    ] {
        let ended = plan(options).fails();
        assert!(ended.code.is_some_and(|code| code != 0), "{options}");
        assert!(
            ended.stderr.contains(expected),
            "{options}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
    }
}
