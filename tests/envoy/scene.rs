//! A gateway as people write it by hand, without `authority`, in front of one customs. Its listener
//! asks customs about each request and answers itself.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use customs_test_support::customs::Customs;
use customs_test_support::envoy::{Envoys, Words};
use customs_test_support::process::{Guard, Process};
use customs_test_support::{http, ports, tools};

/// The gateway, customs behind it, and the logs of both. Fields are dropped in this order.
pub(crate) struct Scene {
    pub(crate) customs: Customs,
    _gateway: Process,
    pub(crate) port: u16,
    admin: u16,
    _scratch: TempDir,
}

impl Scene {
    /// Starts both, customs with these further arguments. The cluster has this name, which is the
    /// authority of each call, and the gateway waits this long for an answer.
    pub(crate) fn start(cluster: &str, timeout: Duration, arguments: &[String]) -> Result<Scene> {
        let scratch = tempfile::Builder::new()
            .prefix("customs-scene-")
            .tempdir()?;
        let guard = Guard::over(scratch.path())?;
        let binary = env!("CARGO_BIN_EXE_customs").as_ref();
        let customs =
            Customs::start_replica((binary, arguments), (scratch.path(), "customs"), &guard)?;
        let (port, admin) = (ports::free()?, ports::free()?);
        let config = scratch.path().join("gateway.yaml");
        fs::write(
            &config,
            configuration((cluster, timeout), port, admin, customs.port),
        )?;
        let binary = tools::envoy()?.path;
        let envoys = Envoys {
            binary,
            scratch: scratch.path().to_path_buf(),
            guard,
            words: Words::new(),
        };
        let gateway = envoys.run("gateway", &config, admin)?;
        Ok(Scene {
            customs,
            _gateway: gateway,
            port,
            admin,
            _scratch: scratch,
        })
    }

    /// Returns a statistic of the cluster that leads to customs.
    pub(crate) fn number(&self, name: &str) -> Result<usize> {
        let text = http::get(
            self.admin,
            "localhost",
            &format!("/stats?filter=cluster.customs.{name}"),
        )?
        .body;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cluster.customs.{name}: ")));
        line.with_context(|| format!("no {name} in {text}"))?
            .trim()
            .parse()
            .context("a number")
    }

    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        self.customs.signal(name)
    }
}

fn configuration(
    (cluster, timeout): (&str, Duration),
    port: u16,
    admin: u16,
    customs: u16,
) -> String {
    let seconds = timeout.as_secs_f64();
    format!(
        r#"admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
static_resources:
  listeners:
  - name: in
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, direct_response: {{status: 200}}}}]}}]}}
          http_filters:
          - name: envoy.filters.http.ext_authz
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              transport_api_version: V3
              status_on_error: {{code: ServiceUnavailable}}
              grpc_service: {{timeout: {seconds}s, envoy_grpc: {{cluster_name: "{cluster}"}}}}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: "{cluster}"
    alt_stat_name: customs
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: "{cluster}"
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {customs}}}}}}}}}]}}]
"#
    )
}
