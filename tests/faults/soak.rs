//! The mixed load of a long day, made short: many callers and hosts over mutual TLS, a reload a
//! second, the audit log and the certificates rotated, and one part in a hundred hostile. Every
//! answer is that of the naive evaluator for the revision that the answer names; memory and
//! descriptors stay flat.
//!
//! It writes what it measured to `soak.csv` and `soak.json` in Cargo's directory for temporary files
//! of tests; `make soak-picture` draws the end of it.

mod expected;
mod hostile;
mod rotation;
mod samples;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use customs_test_support::audited_server::{Server, size};
use customs_test_support::tls_files::{GATEWAY, Leaf, PemPair, TlsClient};
use customs_test_support::tls_rotation::RotatedPair;
use customs_test_support::wait_for;
use tokio_rustls::rustls::ClientConfig;

use crate::connection::{Connection, Outcome};
use expected::{Expected, POLICIES};
use hostile::Stolen;
use samples::{Sample, Samples};

/// How many clients ask, each a check at a time.
const CLIENTS: u64 = 4;
/// The pause of a client after each answer: together they ask about a thousand times a second.
const PAUSE: Duration = Duration::from_millis(3);
/// How long a client waits for an answer: it looks for checks that are lost, and a long run is not
/// alone on its machine, which may give it no processor for some seconds.
const LONG_PATIENCE: Duration = Duration::from_secs(60);
/// How often a hostile client does something: one in a hundred of what arrives.
const HOSTILE_PAUSE: Duration = Duration::from_millis(100);
/// How often the policies change.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);
/// How often the audit log is asked to open its file again, besides its rotation by size.
const REOPEN_EVERY: u64 = 10;
/// The most wrong answers that are kept for the report.
const SHOWN: usize = 10;

/// What the clients have counted so far.
#[derive(Default)]
struct Counts {
    checks: AtomicU64,
    wrong: AtomicU64,
    reloads: AtomicU64,
    rotations: AtomicU64,
    hostile: AtomicU64,
    examples: Mutex<Vec<String>>,
}

impl Counts {
    fn wrong(&self, example: String) {
        self.wrong.fetch_add(1, Relaxed);
        let mut examples = self.examples.lock().unwrap();
        if examples.len() < SHOWN {
            examples.push(example);
        }
    }
}

/// What the clients of the server know: its authority, and their own certificates.
struct Mesh {
    authority: String,
    gateway: PemPair,
    /// Of an identity that the server does not accept.
    workload: PemPair,
}

impl Mesh {
    fn of(pair: &RotatedPair) -> Mesh {
        let mesh = &pair.mesh;
        Mesh {
            authority: mesh.pem(),
            gateway: mesh.issue(&Leaf::workload(GATEWAY)),
            workload: mesh.issue(&Leaf::workload("spiffe://cluster.local/ns/shop/sa/web")),
        }
    }

    /// Returns the configuration of a client that presents this pair.
    fn client(&self, presents: &PemPair) -> Arc<ClientConfig> {
        let client = TlsClient::trusting(&self.authority);
        client.presenting(presents).config()
    }
}

/// Asks one check after the other, and compares each answer. The server asks each connection to go
/// after a while; the next one begins with a handshake.
fn ask(
    port: u16,
    mesh: &Mesh,
    client: u64,
    expected: &Expected,
    counts: &Counts,
    stop: &AtomicBool,
) {
    let tls = mesh.client(&mesh.gateway);
    let mut kept: Option<Connection> = None;
    let mut number = client;
    while !stop.load(Relaxed) {
        number += CLIENTS;
        let (check, class) = expected.check(number);
        let answered = match kept.take() {
            Some(connection) => Ok(connection),
            None => Connection::open_over(port, Some(&tls)),
        }
        .and_then(|mut connection| {
            let answer = connection.check_within(&check, LONG_PATIENCE)?;
            kept = (!connection.is_leaving).then_some(connection);
            Ok(answer)
        });
        counts.checks.fetch_add(1, Relaxed);
        match answered {
            Ok(Outcome::Answered(response)) => {
                if let Err(why) = expected.compare(class, &response) {
                    counts.wrong(format!("check {number}: {why}"));
                }
            }
            other => counts.wrong(format!("check {number}: {other:?}")),
        }
        thread::sleep(PAUSE);
    }
}

/// Changes the policies once a second.
fn reload(directory: &Path, server: &Server, counts: &Counts, stop: &AtomicBool) {
    for (number, policy) in (1..).zip(POLICIES.iter().cycle()) {
        if stop.load(Relaxed) {
            return;
        }
        let (before, begun) = (published(server), Instant::now());
        put(directory, policy);
        counts.reloads.fetch_add(1, Relaxed);
        // Changes that come while others are read would be read together with the next.
        if wait_for(|| (published(server) > before).then_some(())).is_none() {
            counts.wrong(format!("change {number} of the policies: not in force"));
        }
        if number % REOPEN_EVERY == 0 {
            server.signal("HUP");
        }
        thread::sleep(RELOAD_PAUSE.saturating_sub(begun.elapsed()));
    }
}

/// Returns how many changes of the policies came into force.
fn published(server: &Server) -> u64 {
    server.metric("customs_reloads_total", "outcome=\"published\"")
}

/// Puts a policy in place, whole and at once.
fn put(directory: &Path, policy: &str) {
    let half = directory.join("half-written");
    fs::write(&half, policy).unwrap();
    fs::rename(half, directory.join("policies/a.yaml")).unwrap();
}

#[test]
fn a_mixed_load_is_answered_right_in_the_same_memory() {
    let length = Duration::from_secs(size("CUSTOMS_SOAK_SECONDS", 8));
    let folder = tempfile::tempdir().unwrap();
    let mut pair = RotatedPair::new();
    let mesh = Mesh::of(&pair);
    let stolen = Stolen {
        accepted: mesh.client(&mesh.gateway),
        unlisted: mesh.client(&mesh.workload),
    };
    let flags = [
        &format!("--tls={},client_ids={GATEWAY}", pair.setting()),
        // Clients come back every few seconds, and so meet each new certificate.
        "--max-connection-age=3s",
        "--audit=file:audit.jsonl?rotate_size=1MiB&keep=3&gzip=true",
        "--reload-settle=20ms",
        // An answer is compared with the policies of the revision that it names.
        "--metadata=revision,verdict,reason,rule,decision_id",
    ];
    let server = Server::start(folder.path(), &flags);
    let expected = Expected::learn(&server, |policy| put(folder.path(), policy));
    let (counts, stop) = (Counts::default(), AtomicBool::new(false));
    let mut samples = Samples::for_a_run_of(length);
    let client = mesh.client(&mesh.gateway);
    let bad_pairs = thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (mesh, expected, counts, stop) = (&mesh, &expected, &counts, &stop);
            let port = server.port;
            scope.spawn(move || ask(port, mesh, client, expected, counts, stop));
        }
        scope.spawn(|| reload(folder.path(), &server, &counts, &stop));
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(Relaxed) {
                    return;
                }
                hostile::act(server.port, &stolen, number);
                counts.hostile.fetch_add(1, Relaxed);
                thread::sleep(HOSTILE_PAUSE);
            }
        });
        let rotating =
            scope.spawn(|| rotation::rotate(&server, &mut pair, &client, &counts, &stop));
        let begun = Instant::now();
        while begun.elapsed() < length {
            thread::sleep(samples.pause());
            samples.add(Sample {
                at: begun.elapsed(),
                memory_kib: server.memory_kib(),
                descriptors: server.descriptors(),
                checks: counts.checks.load(Relaxed),
                wrong: counts.wrong.load(Relaxed),
                reloads: counts.reloads.load(Relaxed),
                rotations: counts.rotations.load(Relaxed),
                hostile: counts.hostile.load(Relaxed),
            });
        }
        stop.store(true, Relaxed);
        rotating.join().unwrap()
    });
    let places = samples.write(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let summary = samples.summary();
    println!("{summary}\nwritten to {places}");
    let examples = counts.examples.into_inner().unwrap();
    assert!(examples.is_empty(), "{summary}\n{}", examples.join("\n"));
    assert!(summary.checks > length.as_secs() * 50, "{summary}");
    let decisions = server.metric("customs_decisions_total", "");
    assert!(decisions >= summary.checks, "{decisions} of {summary}");
    assert_eq!(server.metric("customs_audit_dropped_total", ""), 0);
    let metrics = server.get("/metrics").unwrap().1;
    assert!(
        metrics.contains("\ncustoms_check_panics_total 0\n"),
        "{metrics}"
    );
    let reloads = published(&server);
    assert!(reloads + 2 >= summary.reloads, "{reloads} of {summary}");
    assert!(summary.rotations > 0 && bad_pairs > 0, "{summary}");
    let refused = server.metric("customs_tls_reloads_total", "outcome=\"refused\"");
    assert!(refused >= bad_pairs, "{refused} of {bad_pairs} bad pairs");
    let turned_away = server.metric("customs_refusals_total", "cause=\"tls_not_permitted\"");
    assert!(turned_away > 0, "{summary}");
    let closed = fs::read_dir(folder.path()).unwrap().flatten();
    let closed = closed.filter(|it| it.file_name().to_string_lossy().ends_with(".gz"));
    println!("{} closed files of the audit log are kept", closed.count());
    assert!(summary.is_flat(), "{summary}");
    assert_eq!(server.stop(), Some(0));
}
