//! Certificates that are replaced while checks are asked: none of them fails, and a pair that cannot
//! be used is kept out and reported.
//!
//! The number of rotations is `CUSTOMS_TLS_ROTATIONS`, by default few.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use customs_test_support::audited_server::size;
use customs_test_support::check_client;
use customs_test_support::server::Plan;
use customs_test_support::tls_files::{
    Authority, CERTIFICATE, CLIENT_CA, GATEWAY, Leaf, PRIVATE_KEY, PemPair, TlsClient, put,
};
use tempfile::TempDir;

use crate::client;

/// A mounted Secret: files are symlinks into `..data`, which is swapped as a whole.
struct Secret {
    folder: TempDir,
    version: u32,
}

impl Secret {
    fn new(pair: &PemPair, authorities: &str) -> Secret {
        let folder = tempfile::tempdir().unwrap();
        for name in [CERTIFICATE, PRIVATE_KEY, CLIENT_CA] {
            symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
        }
        let mut secret = Secret { folder, version: 0 };
        secret.swap(pair, authorities);
        secret
    }

    fn swap(&mut self, pair: &PemPair, authorities: &str) {
        let folder = self.folder.path();
        let before = format!("..{}", self.version);
        self.version += 1;
        let version = format!("..{}", self.version);
        fs::create_dir(folder.join(&version)).unwrap();
        for (name, text) in [
            (CERTIFICATE, &*pair.certificate),
            (PRIVATE_KEY, &pair.private_key),
            (CLIENT_CA, authorities),
        ] {
            fs::write(folder.join(&version).join(name), text).unwrap();
        }
        symlink(&version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        let _ = fs::remove_dir_all(folder.join(before));
    }

    fn flag(&self) -> String {
        let path = |name| self.folder.path().join(name).display().to_string();
        format!(
            "--tls certificate={},private_key={},client_ca={}",
            path(CERTIFICATE),
            path(PRIVATE_KEY),
            path(CLIENT_CA)
        )
    }

    /// Rewrites the files within the current version, one after the other, in place or by renaming.
    fn rewrite(&self, pair: &PemPair, in_place: bool) {
        let folder = self.folder.path().join("..data");
        for (name, text) in [
            (CERTIFICATE, &pair.certificate),
            (PRIVATE_KEY, &pair.private_key),
        ] {
            match in_place {
                true => fs::write(folder.join(name), text).unwrap(),
                false => put(&folder, name, text),
            }
        }
    }
}

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
    let mesh = Authority::new();
    let (authority, gateway) = (mesh.pem(), mesh.issue(&Leaf::workload(GATEWAY)));
    let mut in_use = mesh.issue(&Leaf::server());
    let mut secret = Secret::new(&in_use, &authority);
    // With the default settle time, so that a pair that is rewritten file by file is read whole.
    let plan = Plan::new().file("policies/a.yaml", crate::POLICY);
    let mut server = plan.flags(&secret.flag()).start();
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
        // In turn: a pair that is good, one whose key is another's, a good one, an expired one.
        let next = mesh.issue(&Leaf::server());
        let broken = match number % 4 {
            1 => Some(PemPair {
                private_key: in_use.private_key.clone(),
                ..next.clone()
            }),
            3 => Some(mesh.issue(&Leaf::server().valid(2000, 2001))),
            _ => None,
        };
        let put = |secret: &mut Secret, pair: &PemPair| match number / 4 % 3 {
            0 => secret.swap(pair, &authority),
            1 => secret.rewrite(pair, false),
            _ => secret.rewrite(pair, true),
        };
        if let Some(broken) = broken {
            put(&mut secret, &broken);
            server.until("the refusal", || (refusals() == 1).then_some(()));
            let presented = client::presented(server.port, &config).unwrap();
            assert_eq!(
                presented,
                in_use.der().to_vec(),
                "{number}: the good pair stays"
            );
            bad += 1;
            continue;
        }
        put(&mut secret, &next);
        let begun = Instant::now();
        server.until("the new pair", || {
            let presented = client::presented(server.port, &config).unwrap();
            (presented == next.der().to_vec()).then_some(())
        });
        latest = latest.max(begun.elapsed());
        in_use = next;
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
