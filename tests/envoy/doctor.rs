//! `customs doctor` against the demo's real Envoys: what it says of the gateway while requests pass,
//! and once customs is gone.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::rig_with;
use customs_test_support::policies::SEED;
use customs_test_support::rig::Rig;

/// Runs it against the gateway and customs, and returns the exit code and the document.
fn doctor(rig: &Rig, more: &[&str]) -> Result<(Option<i32>, Value)> {
    let output = Command::new(env!("CARGO_BIN_EXE_customs"))
        .args(["doctor", "--format", "json", "--admin"])
        .arg(format!("127.0.0.1:{}", rig.customs.admin_port))
        .arg("--envoy")
        .arg(format!("http://127.0.0.1:{}", rig.gateway.admin_port))
        .args(more)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let document = serde_json::from_str(&text)
        .with_context(|| format!("{text} {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((output.status.code(), document))
}

/// Returns the value at a pointer, or null.
fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn codes(document: &Value) -> Vec<String> {
    let findings = at(document, "/findings").as_array().into_iter().flatten();
    findings
        .filter_map(|finding| at(finding, "/code").as_str().map(str::to_owned))
        .collect()
}

#[test]
fn the_demo_s_gateway_is_healthy_until_customs_is_gone() -> Result<()> {
    let mut rig = rig_with(&[SEED])?;
    // customs is restarted, so that it has seen no caller of an earlier test, and the counters of the
    // gateway are older than its own.
    rig.customs.kill();
    rig.customs.start()?;
    let watched = thread::scope(|scope| -> Result<_> {
        let watching = scope.spawn(|| doctor(&rig, &["--watch", "3s"]));
        thread::sleep(Duration::from_millis(1_200));
        for _ in 0..20 {
            rig.demo_frontend.get("www.aliyun.com")?;
            rig.demo_frontend.get("ok.example")?;
        }
        watching.join().map_err(|_| anyhow::anyhow!("a panic"))?
    })?;
    let (code, document) = watched;
    let compared = at(&document, "/checked").to_string();
    ensure!(
        compared.contains("what was counted while it watched"),
        "{document:#}"
    );
    // The rig's gateway has failed before, in other tests, and the watch leaves that out.
    ensure!(code == Some(0), "{document:#}");
    let counts = at(&document, "/counts").as_array().context("counts")?;
    let number = |what: &str| {
        let found = counts.iter().filter(|count| at(count, "/what") == what);
        found
            .filter_map(|count| at(count, "/number").as_u64())
            .sum::<u64>()
    };
    ensure!(
        (
            number("denied"),
            number("deny"),
            number("ok"),
            number("allow")
        ) == (20, 20, 20, 20),
        "{document:#}"
    );

    rig.customs.kill();
    let watched = thread::scope(|scope| -> Result<_> {
        let watching = scope.spawn(|| doctor(&rig, &["--watch", "2s"]));
        thread::sleep(Duration::from_millis(800));
        for _ in 0..5 {
            rig.demo_frontend.get("www.aliyun.com")?;
        }
        watching.join().map_err(|_| anyhow::anyhow!("a panic"))?
    });
    rig.customs.start()?;
    let (code, document) = watched?;
    ensure!(
        (code, codes(&document)) == (Some(1), vec!["replica-unreachable".to_owned()]),
        "{document:#}"
    );
    let consequences = at(&document, "/findings/0/consequences").to_string();
    ensure!(
        consequences.contains("ext_authz.error is 5"),
        "{consequences}"
    );
    Ok(())
}

#[test]
fn callers_in_plain_text_are_found_at_the_listener_that_takes_them() -> Result<()> {
    let mut rig = rig_with(&[SEED])?;
    rig.customs.kill();
    rig.customs.start()?;
    for _ in 0..3 {
        rig.get_plaintext("www.aliyun.com")?;
    }
    let (code, document) = doctor(&rig, &[])?;
    let found = codes(&document);
    ensure!(code == Some(1), "{document:#}");
    ensure!(
        found.contains(&"no-principal-plaintext".to_owned()),
        "{document:#}"
    );
    let findings = at(&document, "/findings").as_array().context("findings")?;
    let plain = findings
        .iter()
        .find(|finding| at(finding, "/code") == "no-principal-plaintext");
    let plain = plain.context("the finding")?;
    let seen = at(plain, "/evidence").to_string();
    ensure!(seen.contains("listener plaintext"), "{seen}");
    Ok(())
}

#[test]
fn a_gateway_that_is_given_as_customs_is_recognised() -> Result<()> {
    let rig = rig_with(&[])?;
    let output = Command::new(env!("CARGO_BIN_EXE_customs"))
        .args(["doctor", "--format", "json", "--admin"])
        .arg(format!("127.0.0.1:{}", rig.gateway.admin_port))
        .output()?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(codes(&document) == ["not-customs"], "{document:#}");
    let seen = at(&document, "/findings/0/evidence").to_string();
    ensure!(
        seen.contains("Envoy's admin address answers there"),
        "{seen}"
    );
    Ok(())
}
