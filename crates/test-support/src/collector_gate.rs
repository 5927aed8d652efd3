//! A collector behind TLS that another project implements: the real Envoy, which asks for a
//! certificate and a token, in front of the collector.

use std::fs;
use std::sync::Arc;

use rcgen::CertificateParams;
use tempfile::TempDir;

use crate::certificates::{authority, issue};
use crate::envoy::{Envoys, Words};
use crate::process::{Guard, Process};
use crate::{ports, tools};

/// What Envoy demands.
pub const TOKEN: &str = "Bearer t0ken-of-the-collector";

/// An Envoy that takes TLS off, asks clients for a certificate and a token, and passes calls on.
pub struct Gate {
    pub port: u16,
    _envoy: Process,
    _guard: Arc<Guard>,
    folder: TempDir,
}

impl Gate {
    /// Starts it in front of a collector, with an authority of its own. That authority also issues
    /// the client's certificate, `client.pem` with `client.key`.
    pub fn before(collector: u16) -> Gate {
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

    /// Returns the path of a file of the gate: `ca.pem`, `client.pem`, `client.key`, or another one
    /// beside them.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
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
