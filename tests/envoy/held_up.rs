//! A gateway as people write it by hand, without `authority`, in front of a customs that is held up
//! now and then.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use customs_test_support::customs::Customs;
use customs_test_support::envoy::Envoys;
use customs_test_support::envoy::Words;
use customs_test_support::policies::SEED;
use customs_test_support::process::{Guard, Process};
use customs_test_support::{http, ports, tools};

/// How long the gateway waits for an answer.
const TIMEOUT: Duration = Duration::from_millis(200);

/// The gateway, customs behind it, and the logs of both. Fields are dropped in this order.
struct Scene {
    customs: Customs,
    _gateway: Process,
    port: u16,
    admin: u16,
    _scratch: TempDir,
}

impl Scene {
    /// Starts both. The cluster has this name, which is the authority of each call.
    fn start(cluster: &str) -> Result<Scene> {
        let scratch = tempfile::Builder::new()
            .prefix("customs-held-up-")
            .tempdir()?;
        let guard = Guard::over(scratch.path())?;
        let mut customs = Customs::prepare(
            env!("CARGO_BIN_EXE_customs").as_ref(),
            scratch.path(),
            &guard,
        )?;
        customs.policies.add(SEED)?;
        customs.start()?;
        let (port, admin) = (ports::free()?, ports::free()?);
        let config = scratch.path().join("held-up.yaml");
        fs::write(&config, configuration(cluster, port, admin, customs.port))?;
        let binary = tools::envoy()?.path;
        let envoys = Envoys {
            binary,
            scratch: scratch.path().to_path_buf(),
            guard,
            words: Words::new(),
        };
        let gateway = envoys.run("held-up", &config, admin)?;
        Ok(Scene {
            customs,
            _gateway: gateway,
            port,
            admin,
            _scratch: scratch,
        })
    }

    /// Returns a statistic of the cluster that leads to customs.
    fn number(&self, name: &str) -> Result<usize> {
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

    fn signal(&self, name: &str) -> Result<()> {
        let id = self.customs.id().context("customs runs")?.to_string();
        ensure!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()?
                .success()
        );
        Ok(())
    }
}

fn configuration(cluster: &str, port: u16, admin: u16, customs: u16) -> String {
    let seconds = TIMEOUT.as_secs_f64();
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

#[test]
fn a_gateway_is_answered_whatever_it_calls_the_cluster() -> Result<()> {
    for cluster in [
        "extension/egress/customs",
        "outbound|9191||customs.egress.svc.cluster.local",
        "customs cluster 50%",
    ] {
        let scene = Scene::start(cluster)?;
        for _ in 0..3 {
            assert_eq!(
                http::get(scene.port, "www.example", "/")?.status,
                200,
                "{cluster}"
            );
        }
        assert_eq!(
            scene.number("upstream_cx_total")?,
            1,
            "{cluster}: on one connection"
        );
    }
    Ok(())
}

#[test]
fn a_stall_of_a_second_loses_no_more_than_the_gateway_gave_up() -> Result<()> {
    let scene = Scene::start("customs")?;
    let over = AtomicBool::new(false);
    let ask = || {
        let mut answers = Vec::new();
        while !over.load(Relaxed) {
            answers
                .push(http::get(scene.port, "www.example", "/").map_or(0, |answer| answer.status));
            thread::sleep(Duration::from_millis(2));
        }
        answers
    };
    let answers = thread::scope(|scope| -> Result<Vec<u16>> {
        let clients: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
        let stalls = || -> Result<()> {
            thread::sleep(Duration::from_secs(1));
            for _ in 0..3 {
                scene.signal("STOP")?;
                thread::sleep(Duration::from_secs(1));
                scene.signal("CONT")?;
                thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        };
        let stalled = stalls();
        over.store(true, Relaxed);
        let answers = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap_or_default())
            .collect();
        stalled.map(|()| answers)
    })?;
    let (given_up, connections) = (
        scene.number("upstream_rq_timeout")?,
        scene.number("upstream_cx_total")?,
    );
    let lost = answers.iter().filter(|status| **status != 200).count();
    let counts = format!(
        "{} asked, {given_up} given up, {lost} lost, {connections} connections",
        answers.len()
    );
    assert!(given_up > 200, "the stalls were felt: {counts}");
    assert!(lost <= given_up, "{counts}");
    assert_eq!(connections, 1, "{counts}");
    Ok(())
}
