//! Connections between the real Envoy and customs that reach their age: customs asks Envoy to open
//! another one, and no request notices.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use customs_test_support::{http, wait_for};

use crate::scene::Scene;

/// How long the gateway waits for an answer: a test of a busy machine is not about that.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How many connections have to reach their age.
const CONNECTIONS: usize = 4;

/// Sends requests one after the other until the end. Returns how many there were, and each answer
/// that was not the policy's.
fn ask(port: u16, is_over: &AtomicBool) -> Result<(usize, Vec<String>)> {
    let (mut asked, mut others) = (0, Vec::new());
    while !is_over.load(Relaxed) {
        for (host, status, reason) in [
            ("ok.example", 200, None),
            ("www.aliyun.com", 403, Some("denied_by_rule")),
        ] {
            let answer = http::get(port, host, "/")?;
            let seen = (answer.status, answer.header("x-customs-reason"));
            if seen != (status, reason) {
                others.push(format!("{host}: {seen:?}"));
            }
            asked += 1;
        }
    }
    Ok((asked, others))
}

#[test]
fn connections_that_get_old_lose_no_request() -> Result<()> {
    let age = ["--max-connection-age=500ms".to_owned()];
    let scene = Scene::start("customs", TIMEOUT, &age)?;
    let is_over = AtomicBool::new(false);
    let (aged, asked) = thread::scope(|scope| -> Result<_> {
        let clients = [0; 2].map(|_| scope.spawn(|| ask(scene.port, &is_over)));
        let aged = wait_for(|| {
            let opened = scene.number("upstream_cx_http2_total").ok()?;
            let asked_to_go = scene.number("upstream_cx_close_notify").ok()?;
            (opened > CONNECTIONS && asked_to_go >= CONNECTIONS).then_some(())
        });
        is_over.store(true, Relaxed);
        let answered: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        Ok((aged, answered))
    })?;
    let opened = scene.number("upstream_cx_http2_total")?;
    let asked_to_go = scene.number("upstream_cx_close_notify")?;
    let counts = format!("{opened} connections, {asked_to_go} of them asked to go");
    aged.with_context(|| format!("too few connections got old: {counts}"))?;
    for answers in asked {
        let (asked, others) = answers.map_err(|_| anyhow::anyhow!("a client panicked"))??;
        ensure!(asked > CONNECTIONS, "{asked} requests, {counts}");
        ensure!(
            others.is_empty(),
            "of {asked} requests: {others:?}; {counts}"
        );
    }
    let errors = scene.number("upstream_rq_rx_reset")? + scene.number("upstream_rq_timeout")?;
    ensure!(errors == 0, "{errors} calls had no answer; {counts}");
    let metrics = http::get(scene.customs.admin_port, "localhost", "/metrics")?.body;
    let refused: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("customs_refusals_total{") && !line.ends_with(" 0"))
        .collect();
    ensure!(
        metrics.contains("customs_refusals_total{") && refused.is_empty(),
        "a connection that got old is not refused: {refused:?}"
    );
    Ok(())
}
