//! A gateway as people write it by hand, without `authority`, in front of a customs that is held up
//! now and then.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use customs_test_support::http;

use crate::scene::Scene;

/// How long the gateway waits for an answer.
const TIMEOUT: Duration = Duration::from_millis(200);

#[test]
fn a_gateway_is_answered_whatever_it_calls_the_cluster() -> Result<()> {
    for cluster in [
        "extension/egress/customs",
        "outbound|9191||customs.egress.svc.cluster.local",
        "customs cluster 50%",
    ] {
        let scene = Scene::start(cluster, TIMEOUT, &[])?;
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
    let scene = Scene::start("customs", TIMEOUT, &[])?;
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
