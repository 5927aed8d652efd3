//! Sinks that take no more: a full disk, a pipe whose reader pauses, a collector that is down or
//! never answers. The tests show what each `on_full` setting does, that it is counted exactly, and
//! that it ends when its cause does.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use customs_test_support::audited_server::{Count, Server, mixed, run, verify};
use customs_test_support::load::{Load, LoadResult};

/// The bound within which a server recovers once the cause is gone.
const RECOVERY: Duration = Duration::from_secs(5);

/// A small queue, so that it fills in a test's time.
const SETTINGS: &str =
    "audit_log: {queue_records: 200, block_deadline: 50ms, waiting_checks: 64}\n";

/// What is full, and how that starts and ends.
trait Cause {
    /// Returns the text of the sink.
    fn sink(&self) -> String;
    /// Returns how many records there is room for before.
    fn room(&self) -> u64;
    /// From now on, it takes nothing.
    fn begin(&mut self);
    /// From now on, it takes everything.
    fn end(&mut self);
    /// Returns what it holds after the server has ended.
    fn files(&mut self) -> Vec<PathBuf>;
}

/// Sends some five thousand checks a second, so that the small queue is full only if its sink is.
fn load(server: &Server, checks: u64) -> LoadResult {
    let pause = Duration::from_millis(3);
    run(&Load {
        in_flight: 4,
        pause,
        ..Load::new(server.port, checks, mixed())
    })
}

/// Idle, full, recovered; the records and the gaps equal the checks, exactly.
fn behaves(cause: &mut dyn Cause, on_full: &str) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("settings.yaml"), SETTINGS).unwrap();
    let sink = cause.sink();
    let options = format!(
        "{}on_full={on_full}",
        if sink.contains('?') { "&" } else { "?" }
    );
    let server = Server::start(
        directory.path(),
        &[
            "--config",
            "settings.yaml",
            "--audit",
            &format!("{sink}{options}"),
        ],
    );
    let mut idle = load(&server, cause.room());
    assert_eq!(
        (idle.answered(), idle.withheld),
        (cause.room(), 0),
        "{sink} {on_full}, idle"
    );

    cause.begin();
    let before = server.memory();
    let mut full = load(&server, if on_full == "block" { 1_000 } else { 6_000 });
    let grown = server.memory().saturating_sub(before);
    match on_full {
        "drop" => assert_eq!(full.withheld, 0, "{sink}: no caller waits"),
        _ => assert!(
            full.withheld > 100,
            "{sink} {on_full}: {} withheld",
            full.withheld
        ),
    }
    assert_eq!(full.failed, 0);
    assert!(grown < 32, "{sink} {on_full}: {grown} MiB more");

    cause.end();
    // Recovered: it takes what it should, and what had waited is written, so that there is room
    // again.
    let recovered = server.until("recovered", || {
        let waiting = server.metric("customs_audit_queue_records", "");
        load(&server, 10).withheld == 0
            && server.metric("customs_audit_healthy", "") == 1
            && waiting < 20
    });
    assert!(recovered < RECOVERY, "{sink} {on_full}: {recovered:?}");
    let mut after = load(&server, 100);
    assert_eq!(after.withheld, 0);
    server.until("everything is written", || {
        server.metric("customs_audit_queue_records", "") == 0
    });
    let dropped = server.metric("customs_audit_dropped_total", "")
        - server.metric("customs_audit_dropped_total", "class=\"event\"");
    let decisions = server.metric("customs_decisions_total", "");
    assert_eq!(server.stop(), Some(0), "{sink} {on_full}");

    let files = cause.files();
    if !files.is_empty() {
        let count = Count::of(&files);
        assert_eq!(
            count.lost.0, dropped,
            "{sink} {on_full}: the counter is what the gaps say"
        );
        assert_eq!(
            count.decisions() + count.lost.0,
            decisions,
            "{sink} {on_full}: records and gaps are the checks"
        );
        let (code, words) = verify(&files);
        assert_eq!(code, 0, "{words}");
    }
    let p99 = [&mut idle, &mut full, &mut after].map(|load| load.quantile(990));
    println!(
        "{sink} {on_full}: withheld {} of {}, dropped {dropped}, p99 idle {:?} full {:?} ({:.1} times) after {:?}, {grown} MiB more, recovered in {recovered:?}",
        full.withheld,
        full.answered(),
        p99[0],
        p99[1],
        p99[1].as_secs_f64() / p99[0].as_secs_f64(),
        p99[2],
    );
}

/// A disk of a megabyte, which a ballast fills.
struct Disk(tempfile::TempDir);

impl Disk {
    /// Mounts it. `None` if only root may mount, and this process is not root.
    fn mount() -> Option<Disk> {
        let disk = Disk(tempfile::tempdir().unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(disk.0.path())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(disk)
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

impl Cause for Disk {
    fn sink(&self) -> String {
        format!("file:{}/audit.jsonl", self.0.path().display())
    }

    fn room(&self) -> u64 {
        300
    }

    fn begin(&mut self) {
        // Until there is no room for another byte.
        let mut ballast = File::create(self.ballast()).unwrap();
        let block = [0; 4096];
        while std::io::Write::write_all(&mut ballast, &block).is_ok() {}
    }

    fn end(&mut self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn files(&mut self) -> Vec<PathBuf> {
        vec![self.0.path().join("audit.jsonl")]
    }
}

/// A pipe whose reader pauses.
struct Pipe {
    directory: tempfile::TempDir,
    /// Lets the reader continue; it copies what it reads to a file.
    pause: std::sync::Arc<std::sync::atomic::AtomicBool>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Pipe {
    fn make() -> Pipe {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        let pause = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (paused, out) = (pause.clone(), directory.path().join("read.jsonl"));
        let reader = std::thread::spawn(move || {
            let (mut pipe, mut out) = (File::open(path).unwrap(), File::create(out).unwrap());
            let mut block = vec![0; 65_536];
            loop {
                while paused.load(std::sync::atomic::Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                match pipe.read(&mut block).unwrap() {
                    0 => return,
                    read => std::io::Write::write_all(&mut out, &block[..read]).unwrap(),
                }
            }
        });
        Pipe {
            directory,
            pause,
            reader: Some(reader),
        }
    }
}

impl Cause for Pipe {
    fn sink(&self) -> String {
        format!("file:{}/pipe", self.directory.path().display())
    }

    fn room(&self) -> u64 {
        6_000
    }

    fn begin(&mut self) {
        self.pause.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn end(&mut self) {
        self.pause
            .store(false, std::sync::atomic::Ordering::Relaxed);
    }

    fn files(&mut self) -> Vec<PathBuf> {
        self.reader.take().unwrap().join().unwrap();
        vec![self.directory.path().join("read.jsonl")]
    }
}

#[test]
fn a_full_disk() {
    for on_full in ["block", "drop", "deny"] {
        match Disk::mount() {
            Some(mut disk) => behaves(&mut disk, on_full),
            None => return as_root_of_a_namespace("full::a_full_disk"),
        }
    }
}

/// Runs a test again as root of a user namespace, which needs no rights.
fn as_root_of_a_namespace(test: &str) {
    const INSIDE: &str = "CUSTOMS_DURABILITY_INSIDE";
    let help = "a small disk cannot be mounted: run this test as root, or allow user namespaces";
    assert!(std::env::var_os(INSIDE).is_none(), "{help}");
    let mut again = Command::new("unshare");
    again
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe().unwrap());
    let status = again
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "yes")
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{help}");
}

#[test]
fn a_pipe_whose_reader_pauses() {
    for on_full in ["block", "drop", "deny"] {
        behaves(&mut Pipe::make(), on_full);
    }
}

/// A collector that is absent, or that takes connections and never answers.
fn collector(flags: &[&str], on_full: &str, what: &str) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("settings.yaml"), SETTINGS).unwrap();
    let mut all = vec!["--config", "settings.yaml"];
    all.extend(flags);
    let server = Server::start(directory.path(), &all);
    // Four thousand checks fill the queue; `on_full` says what happens to later ones.
    let mut result = load(&server, 4_000);
    match on_full {
        "drop" => assert_eq!(result.withheld, 0, "{what}"),
        _ => assert!(result.withheld > 0, "{what}: {}", result.withheld),
    }
    let dropped = server.metric("customs_audit_dropped_total", "sink=\"otlp");
    if on_full == "drop" {
        assert!(dropped > 0, "{what}: nothing was dropped");
    }
    let p99 = result.quantile(990);
    println!(
        "{what}, {on_full}: withheld {} of {}, dropped {dropped}, p99 {p99:?}",
        result.withheld,
        result.answered()
    );
    // The file next to it has every check, whatever happens to the collector.
    let decisions = server.metric("customs_decisions_total", "");
    assert_eq!(
        server.stop(),
        Some(1),
        "what the collector did not get is counted"
    );
    let count = Count::of(&[directory.path().join("audit.jsonl")]);
    assert_eq!(count.decisions() + count.lost.0, decisions);
}

#[test]
fn a_collector_that_is_down() {
    let port = customs_test_support::ports::free().unwrap();
    for on_full in ["block", "drop", "deny"] {
        let sink = format!("otlp:http://127.0.0.1:{port}?on_full={on_full}");
        collector(
            &["--audit", &sink, "--audit", "file:audit.jsonl"],
            on_full,
            "a collector that is down",
        );
    }
}

#[test]
fn a_collector_that_never_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for on_full in ["block", "drop", "deny"] {
        let sink = format!("otlp:http://127.0.0.1:{port}?on_full={on_full}");
        collector(
            &["--audit", &sink, "--audit", "file:audit.jsonl"],
            on_full,
            "a collector that never answers",
        );
    }
}
