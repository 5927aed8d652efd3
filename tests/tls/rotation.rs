//! Certificates that are replaced while checks are asked: none of them fails, and a pair that cannot
//! be used is kept out and reported.
//!
//! The number of rotations is `CUSTOMS_TLS_ROTATIONS`, by default few.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use customs_test_support::audited_server::size;
use customs_test_support::check_client;
use customs_test_support::server::Plan;
use customs_test_support::tls_files::{GATEWAY, Leaf, PemPair, TlsClient, presented};
use customs_test_support::tls_rotation::{Replacement, RotatedPair};

use crate::client;

/// Checks that are asked until the end: over one connection, and over a new one each.
struct Asking {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Asking {
    fn begin(port: u16, authority: &str, gateway: &PemPair) -> Asking {
        let mut asking = Asking {
            stop: Arc::default(),
            asked: Arc::default(),
            failed: Arc::default(),
            threads: Vec::new(),
        };
        for is_kept in [true, true, false] {
            let (stop, asked, failed) = (
                asking.stop.clone(),
                asking.asked.clone(),
                asking.failed.clone(),
            );
            let (authority, gateway) = (authority.to_owned(), gateway.clone());
            asking.threads.push(thread::spawn(move || {
                let client = TlsClient::trusting(&authority).presenting(&gateway);
                let kept = client::channel(port, client);
                while !stop.load(Relaxed) {
                    let channel = match is_kept {
                        true => kept.clone(),
                        false => client::channel(port, client),
                    };
                    let check = check_client::http(check_client::SLEEP, "ok.example");
                    let answer = check_client::wait(check_client::check(&channel, check));
                    asked.fetch_add(1, Relaxed);
                    if !answer.is_ok_and(|answer| answer.allowed) {
                        failed.fetch_add(1, Relaxed);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            }));
        }
        asking
    }

    /// Ends the checks; returns how many were asked, and how many of them failed.
    fn end(self) -> (u64, u64) {
        self.stop.store(true, Relaxed);
        self.threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        (self.asked.load(Relaxed), self.failed.load(Relaxed))
    }
}

#[test]
fn no_check_fails_while_certificates_are_replaced() {
    let rotations = size("CUSTOMS_TLS_ROTATIONS", 12);
    let mut pair = RotatedPair::new();
    let authority = pair.mesh.pem();
    let gateway = pair.mesh.issue(&Leaf::workload(GATEWAY));
    // With the default settle time, so that a pair that is rewritten file by file is read whole.
    let plan = Plan::new().file("policies/a.yaml", crate::POLICY);
    let mut server = plan.flags(&format!("--tls {}", pair.setting())).start();
    let client = TlsClient::trusting(&authority).presenting(&gateway);
    let config = client.config();
    let asking = Asking::begin(server.port, &authority, &gateway);
    let refusals = || {
        server.status()["tls"][0]["problems"]
            .as_array()
            .unwrap()
            .len()
    };
    let (mut latest, mut bad) = (Duration::ZERO, 0);
    for number in 0..rotations {
        if pair.replace() == Replacement::Bad {
            server.until("the refusal", || (refusals() == 1).then_some(()));
            assert_eq!(
                presented(server.port, &config).unwrap(),
                Some(pair.in_use()),
                "{number}: the good pair stays"
            );
            bad += 1;
            continue;
        }
        let begun = Instant::now();
        server.until("the new pair", || {
            let certificate = presented(server.port, &config).unwrap();
            (certificate == Some(pair.in_use())).then_some(())
        });
        latest = latest.max(begun.elapsed());
        server.until("no problem", || (refusals() == 0).then_some(()));
    }
    let (asked, failed) = asking.end();
    println!(
        "{rotations} rotations, {bad} of them bad; {asked} checks, {failed} failed; latest use {latest:?}"
    );
    assert_eq!(failed, 0, "of {asked}");
    assert!(asked > rotations, "{asked}");
    let (_, metrics) = server.get("/metrics").unwrap();
    let line =
        format!("customs_tls_reloads_total{{address=\"listen\",outcome=\"refused\"}} {bad}\n");
    assert!(metrics.contains(&line), "{line}{metrics}");
    server.stop();
}
