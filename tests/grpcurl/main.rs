//! The real grpcurl calls customs, without any proto file. This is what an operator does first, and
//! it proves that reflection describes what is really served.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result, anyhow, ensure};
use customs_test_support::customs::Customs;
use customs_test_support::policies::{BASELINE, SEED};
use customs_test_support::process::Guard;
use customs_test_support::tools::{self, Tool};
use serde_json::Value;
use tempfile::TempDir;

const CHECK: &str = "envoy.service.auth.v3.Authorization/Check";

/// A customs with the seed in force, and the grpcurl to call it with. Every test only sends calls,
/// so all share it.
struct Scene {
    grpcurl: Tool,
    customs: Customs,
    socket: PathBuf,
    _scratch: TempDir,
    _guard: Arc<Guard>,
}

static SCENE: LazyLock<Result<Scene>> = LazyLock::new(|| {
    let grpcurl = tools::grpcurl()?;
    tools::announce(&grpcurl);
    let scratch = tempfile::Builder::new()
        .prefix("customs-grpcurl-")
        .tempdir()?;
    let guard = Guard::over(scratch.path())?;
    let socket = scratch.path().join("customs.sock");
    let mut customs = Customs::prepare(
        env!("CARGO_BIN_EXE_customs").as_ref(),
        scratch.path(),
        &guard,
    )?;
    customs.argument(format!("--listen=unix:{}", socket.display()));
    customs.policies.add(BASELINE)?;
    customs.policies.add(SEED)?;
    customs.start()?;
    Ok(Scene {
        grpcurl,
        customs,
        socket,
        _scratch: scratch,
        _guard: guard,
    })
});

fn scene() -> Result<&'static Scene> {
    SCENE
        .as_ref()
        .map_err(|error| anyhow!("customs did not start: {error:#}"))
}

impl Scene {
    /// Runs grpcurl against the TCP listener, and returns what it printed.
    fn ask(&self, options: &[&str], words: &[&str]) -> Result<String> {
        run(
            &self.grpcurl.path,
            options,
            &format!("127.0.0.1:{}", self.customs.port),
            words,
        )
    }

    /// Sends one Check, as JSON in and JSON out. Defaults are printed, since a code of 0 would
    /// otherwise look like no code.
    fn check(&self, request: &str) -> Result<Value> {
        let said = self.ask(&["-emit-defaults", "-d", request], &[CHECK])?;
        serde_json::from_str(&said).with_context(|| said.clone())
    }
}

fn run(grpcurl: &Path, options: &[&str], address: &str, words: &[&str]) -> Result<String> {
    let mut command = Command::new(grpcurl);
    command
        .args(["-plaintext", "-max-time", "10"])
        .args(options)
        .arg(address)
        .args(words);
    let done = command
        .output()
        .with_context(|| format!("{} does not run", grpcurl.display()))?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let arguments: Vec<&OsStr> = command.get_args().collect();
    ensure!(
        done.status.success(),
        "grpcurl {arguments:?} ended with {}: {}{said}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(said)
}

/// Returns what Envoy would send for a request of this workload to this host.
fn request(principal: &str, host: &str) -> String {
    serde_json::json!({"attributes": {
        "source": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": 40000}}, "principal": principal},
        "destination": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": 8080}}},
        "request": {"http": {
            "id": "1", "method": "GET", "host": host, "path": "/", "scheme": "http", "protocol": "HTTP/1.1",
            "headers": {":authority": host, ":method": "GET", ":path": "/", ":scheme": "http"},
        }},
    }})
    .to_string()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Returns a field of the answer's dynamic metadata. grpcurl spells the field as the served
/// descriptors say, in one of two ways.
fn metadata<'a>(answer: &'a Value, field: &str) -> &'a str {
    let found = answer
        .get("dynamicMetadata")
        .or_else(|| answer.get("dynamic_metadata"));
    found
        .and_then(|fields| fields.get(field))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Returns the HTTP part of a denial, in either spelling.
fn denied_response(answer: &Value) -> Option<&Value> {
    let found = answer
        .get("deniedResponse")
        .or_else(|| answer.get("denied_response"));
    found.filter(|value| !value.is_null())
}

fn code(value: &Value) -> Option<i64> {
    value.pointer("/status/code").and_then(Value::as_i64)
}

#[test]
fn list_names_every_service() -> Result<()> {
    let said = scene()?.ask(&[], &["list"])?;
    for service in [
        "envoy.service.auth.v3.Authorization",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ] {
        assert!(
            said.lines().any(|line| line == service),
            "{service} is not in:\n{said}"
        );
    }
    Ok(())
}

#[test]
fn describe_shows_the_method_and_its_messages() -> Result<()> {
    let scene = scene()?;
    let service = scene.ask(&[], &["describe", "envoy.service.auth.v3.Authorization"])?;
    assert!(service.contains("rpc Check"), "{service}");
    let message = scene.ask(&[], &["describe", "envoy.service.auth.v3.CheckResponse"])?;
    for field in ["denied_response", "ok_response", "dynamic_metadata"] {
        assert!(message.contains(field), "{message}");
    }
    Ok(())
}

#[test]
fn denial_carries_its_rule_and_reason() -> Result<()> {
    let answer = scene()?.check(&request(
        "spiffe://cluster.local/ns/demo-frontend/sa/sleep",
        "www.aliyun.com",
    ))?;
    assert_eq!(code(&answer), Some(7), "{answer:#}");
    assert!(!metadata(&answer, "decision_id").is_empty(), "{answer:#}");
    assert_eq!(metadata(&answer, "reason"), "denied_by_rule", "{answer:#}");
    assert_eq!(
        metadata(&answer, "rule"),
        "ep:demo-frontend/egress#no-aliyun",
        "{answer:#}"
    );
    assert_eq!(metadata(&answer, "verdict"), "deny", "{answer:#}");
    let http = denied_response(&answer).context("no denied_response")?;
    assert_eq!(text(http, "/status/code"), "Forbidden", "{answer:#}");
    Ok(())
}

#[test]
fn allow_is_code_zero_and_nothing_else() -> Result<()> {
    let answer = scene()?.check(&request(
        "spiffe://cluster.local/ns/other/sa/sleep",
        "www.aliyun.com",
    ))?;
    assert_eq!(code(&answer), Some(0), "{answer:#}");
    assert_eq!(metadata(&answer, "verdict"), "allow", "{answer:#}");
    assert!(denied_response(&answer).is_none(), "{answer:#}");
    Ok(())
}

#[test]
fn empty_check_is_a_denial_with_a_reason() -> Result<()> {
    for empty in ["{}", r#"{"attributes": {}}"#] {
        let answer = scene()?.check(empty)?;
        assert_eq!(code(&answer), Some(7), "{empty}: {answer:#}");
        assert_eq!(
            metadata(&answer, "reason"),
            "empty_request",
            "{empty}: {answer:#}"
        );
    }
    Ok(())
}

#[test]
fn health_is_serving_for_the_server_and_for_authorization() -> Result<()> {
    for service in ["", "envoy.service.auth.v3.Authorization"] {
        let question = serde_json::json!({"service": service}).to_string();
        let said = scene()?.ask(&["-d", &question], &["grpc.health.v1.Health/Check"])?;
        assert!(said.contains("\"SERVING\""), "{service:?}: {said}");
    }
    Ok(())
}

#[test]
fn unix_socket_answers_like_the_port() -> Result<()> {
    let scene = scene()?;
    let socket = scene.socket.display().to_string();
    // grpcurl would send the socket's path as `:authority`, which HTTP/2 forbids and the server
    // refuses.
    let unix = ["-unix", "-authority", "localhost"];
    let listed = run(&scene.grpcurl.path, &unix, &socket, &["list"])?;
    assert!(
        listed.contains("envoy.service.auth.v3.Authorization"),
        "{listed}"
    );
    let denied = request(
        "spiffe://cluster.local/ns/demo-frontend/sa/sleep",
        "www.aliyun.com",
    );
    let said = run(
        &scene.grpcurl.path,
        &[&unix[..], &["-d", &denied]].concat(),
        &socket,
        &[CHECK],
    )?;
    assert!(said.contains("denied_by_rule"), "{said}");
    Ok(())
}
