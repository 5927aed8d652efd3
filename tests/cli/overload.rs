//! More checks than the server can answer, from clients that obey no limit: what they see is what
//! the server counts and records, and nobody who is denied is allowed.

use std::time::Duration;

use customs_test_support::check_client::{SLEEP, http};
use customs_test_support::offered_load::{Client, OfferedLoad, Pace};
use customs_test_support::server::{Plan, Server};
use prost::Message;
use serde_json::Value;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::denying;

const METRIC: &str = "customs_refusals_total{cause=\"overloaded\"} ";

fn metric(server: &Server) -> Option<u64> {
    let metrics = server.get("/metrics")?.1;
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(METRIC))?
        .parse()
        .ok()
}

#[test]
fn what_is_refused_under_overload_is_counted_and_recorded_and_nothing_is_allowed_by_it() {
    let plan = Plan::with("--audit file:out/audit.jsonl --threads 1 --max-queued-checks 100");
    let mut server = plan
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start();
    let load = OfferedLoad {
        address: ([127, 0, 0, 1], server.port).into(),
        connections: 4,
        // Whatever a machine can do, this is a burst after each answer.
        pace: Pace::Closed(800),
        duration: Duration::from_secs(1),
        deadline: Duration::from_secs(20),
        check: http(SLEEP, "x.example").encode_to_vec(),
        client: Client {
            ignores_stream_limit: true,
            ..Client::default()
        },
    };
    let running = std::thread::spawn(move || load.run().unwrap());
    let health = async {
        let mut health = HealthClient::new(server.channel.clone());
        health.check(HealthCheckRequest::default()).await
    };
    let health = customs_test_support::check_client::wait(health)
        .unwrap()
        .into_inner();
    assert_eq!(health.status, 1, "a health check is answered");
    assert_eq!(server.get("/readyz").map(|ready| ready.0), Some(200));
    let seen = running.join().unwrap();
    assert!(
        seen.denied > 0 && seen.refused > 0,
        "{}, {}",
        seen.denied,
        seen.refused
    );
    assert_eq!((seen.allowed, seen.failed, seen.disconnected), (0, 0, 0));
    assert_eq!(seen.unanswered, 0, "each check was answered or refused");
    server.until("every refusal is counted", || {
        (metric(&server)? == seen.refused).then_some(())
    });
    server.stop();
    let lines = server.folder.text("out/audit.jsonl");
    let records = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut decisions, mut refused) = (0, 0);
    for record in records {
        match record["kind"].as_str().unwrap() {
            "decision" => decisions += 1,
            "refusals" => {
                let refusals = record["refusals"].as_array().unwrap();
                let overloaded = refusals.iter().filter(|one| one["cause"] == "overloaded");
                refused += overloaded
                    .map(|one| one["count"].as_str().unwrap().parse::<u64>().unwrap())
                    .sum::<u64>();
            }
            _ => {}
        }
    }
    assert_eq!((decisions, refused), (seen.denied, seen.refused));
}
