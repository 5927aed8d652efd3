//! Two replicas of customs behind an Envoy that checks their health: a replica that cannot record
//! its answers is left out, and returns by itself.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use customs_test_support::customs::Customs;
use customs_test_support::envoy::Envoys;
use customs_test_support::process::Guard;
use customs_test_support::{http, ports, tools, wait_for};

/// Returns the configuration of an Envoy that asks both replicas before it answers, and checks the
/// health of each ten times a second.
fn config(listener: u16, admin: u16, replicas: [u16; 2]) -> String {
    let endpoint = |port: u16| {
        format!(
            "{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}"
        )
    };
    let endpoints = replicas.map(endpoint).join(", ");
    format!(
        r#"admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {listener}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, direct_response: {{status: 200}}}}]
          http_filters:
          - name: ext_authz
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              transport_api_version: V3
              grpc_service: {{envoy_grpc: {{cluster_name: customs, authority: customs}}, timeout: 2s}}
              status_on_error: {{code: ServiceUnavailable}}
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: customs
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    common_lb_config: {{healthy_panic_threshold: {{value: 0}}}}
    health_checks:
    - timeout: 1s
      interval: 0.1s
      no_traffic_interval: 0.1s
      unhealthy_interval: 0.1s
      unhealthy_threshold: 1
      healthy_threshold: 1
      grpc_health_check: {{service_name: envoy.service.auth.v3.Authorization, authority: customs}}
    load_assignment:
      cluster_name: customs
      endpoints: [{{lb_endpoints: [{endpoints}]}}]
"#
    )
}

/// Waits until Envoy reports this about a replica.
fn replica(admin: u16, port: u16, flags: &str) -> Result<()> {
    let line = format!("127.0.0.1:{port}::health_flags::{flags}");
    let clusters = || {
        http::get(admin, "localhost", "/clusters")
            .ok()
            .map(|answer| answer.body)
    };
    wait_for(|| {
        clusters()?
            .lines()
            .any(|it| it.ends_with(&line))
            .then_some(())
    })
    .with_context(|| format!("never {line}: {}", clusters().unwrap_or_default()))
}

/// Sends `times` requests to each of both hosts, and returns how many answers differ from the
/// policy's.
fn others(listener: u16, times: u32) -> Result<u32> {
    let mut others = 0;
    for _ in 0..times {
        for (host, status, reason) in [
            ("www.aliyun.com", 403, Some("denied_by_rule")),
            ("ok.example", 200, None),
        ] {
            let answer = http::get(listener, host, "/")?;
            others +=
                u32::from((answer.status, answer.header("x-customs-reason")) != (status, reason));
        }
    }
    Ok(others)
}

#[test]
fn a_replica_that_cannot_record_is_left_out_and_comes_back_by_itself() -> Result<()> {
    let envoy = tools::envoy()?;
    let scratch = tempfile::Builder::new()
        .prefix("customs-failover-")
        .tempdir()?;
    let guard = Guard::over(scratch.path())?;
    let start = |name: &str| {
        let binary = env!("CARGO_BIN_EXE_customs").as_ref();
        Customs::start_replica((binary, &[]), (scratch.path(), name), &guard)
    };
    let (well, ill) = (start("well")?, start("ill")?);
    let (listener, admin) = (ports::free()?, ports::free()?);
    let path = scratch.path().join("envoy.yaml");
    fs::write(&path, config(listener, admin, [well.port, ill.port]))?;
    let envoys = Envoys {
        binary: envoy.path,
        scratch: scratch.path().to_path_buf(),
        guard: Arc::clone(&guard),
        words: Default::default(),
    };
    let _envoy = envoys.run("failover", &path, admin)?;
    let records = |customs: &Customs| {
        fs::read_to_string(customs.audit.path())
            .unwrap_or_default()
            .lines()
            .count()
    };
    for port in [well.port, ill.port] {
        replica(admin, port, "healthy")?;
    }
    ensure!(others(listener, 20)? == 0, "both are well");

    // The file of its audit log can no longer be opened. This must show without a check.
    fs::remove_file(ill.audit.path())?;
    fs::create_dir(ill.audit.path())?;
    replica(admin, ill.port, "/failed_active_hc")?;
    let ready = http::get(ill.admin_port, "localhost", "/readyz")?;
    ensure!(
        ready.status == 503 && ready.body.contains("no answer can be recorded"),
        "{ready:?}"
    );
    let before = records(&well);
    ensure!(
        others(listener, 100)? == 0,
        "after the ejection every answer is policy's"
    );
    ensure!(
        wait_for(|| (records(&well) >= before + 200).then_some(())).is_some(),
        "the other one answered all of them"
    );

    fs::remove_dir(ill.audit.path())?;
    replica(admin, ill.port, "healthy")?;
    // It gets checks again, and records them, while every answer stays the policy's.
    let mut all_others = 0;
    let is_asked = wait_for(|| {
        all_others += others(listener, 1).ok()?;
        fs::read_to_string(ill.audit.path())
            .ok()?
            .contains("\"kind\":\"decision\"")
            .then_some(())
    });
    let clusters = || {
        http::get(admin, "localhost", "/clusters")
            .map(|answer| answer.body)
            .unwrap_or_default()
    };
    ensure!(
        is_asked.is_some(),
        "it gets no checks: {}\n{}\n{}",
        clusters(),
        ill.status_text()?,
        ill.last_words()
    );
    ensure!(all_others == 0, "both are well again");
    Ok(())
}
