//! A server whose audit log is inspected: how it is started, sent checks, ended, and what its files
//! contain.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use serde_json::Value;

use crate::check_client::peer;
use crate::load::{Load, LoadResult};
use crate::{http, ports};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

const POLICY: &str = "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: no-aliyun, namespace: demo-frontend}
spec:
  owner: team-network
  deny: [{name: www, hosts: [www.aliyun.com], ticket: NET-42}]
";

/// Returns a size that the environment may set.
pub fn size(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number"))
    })
}

/// A running server in its own directory or in one that the test owns.
pub struct Server {
    child: Child,
    pub port: u16,
    admin: u16,
    directory: PathBuf,
}

impl Server {
    /// Starts it in a directory with these flags, and waits until it is ready, or would be except
    /// for a sink.
    pub fn start(directory: &Path, flags: &[&str]) -> Server {
        let binary = crate::customs_binary();
        Server::run(directory, Command::new(binary), flags)
    }

    /// Starts it under a limit of the system, as a shell sets it: `ulimit -n 64`.
    pub fn start_under(limit: &str, directory: &Path, flags: &[&str]) -> Server {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")])
            .arg(crate::customs_binary());
        Server::run(directory, command, flags)
    }

    fn run(directory: &Path, mut command: Command, flags: &[&str]) -> Server {
        let (port, admin) = (ports::free().unwrap(), ports::free().unwrap());
        fs::create_dir_all(directory.join("policies")).unwrap();
        fs::write(directory.join("policies/a.yaml"), POLICY).unwrap();
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CUSTOMS_"))
        {
            command.env_remove(name);
        }
        command.arg("serve").args([
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--admin",
            &format!("127.0.0.1:{admin}"),
        ]);
        command
            .args(flags)
            .current_dir(directory)
            .stdin(Stdio::null());
        // Nothing behind it has to notice its end.
        command.env("CUSTOMS_DRAIN_DELAY", "0s");
        let log = File::options()
            .append(true)
            .create(true)
            .open(directory.join("log"))
            .unwrap();
        let out = File::options()
            .append(true)
            .create(true)
            .open(directory.join("out"))
            .unwrap();
        let child = command.stdout(out).stderr(log).spawn().unwrap();
        let server = Server {
            child,
            port,
            admin,
            directory: directory.to_owned(),
        };
        server.until("ready", || {
            let ready = server.get("/readyz");
            ready.is_some_and(|(status, why)| {
                status == 200 || why.contains("no answer can be recorded")
            })
        });
        server
    }

    /// Waits until a condition holds, and returns how long that took.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "{what}: never\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        start.elapsed()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Returns the status code and the body of an answer of the admin address.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        http::get(self.admin, "localhost", path)
            .ok()
            .map(|answer| (answer.status, answer.body))
    }

    /// Returns the sum of the series of a metric whose labels contain a text.
    pub fn metric(&self, name: &str, labels: &str) -> u64 {
        let text = self.get("/metrics").unwrap_or_default().1;
        let series = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(labels));
        series
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum::<f64>() as u64
    }

    /// Returns the resident memory, in MiB.
    pub fn memory(&self) -> u64 {
        self.memory_kib() >> 10
    }

    /// Returns the resident memory, in KiB.
    pub fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Returns the number of open descriptors.
    pub fn descriptors(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        open.count()
    }

    /// Returns whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns the port of the admin address.
    pub fn admin(&self) -> u16 {
        self.admin
    }

    /// Returns the CPU time that its threads have used so far, in seconds.
    pub fn cpu(&self) -> f64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos =
            |thread: PathBuf| fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
        let used = threads.map(|thread| nanos(thread.unwrap().path()));
        used.filter_map(|line| line.split(' ').next()?.parse::<f64>().ok())
            .sum::<f64>()
            / 1e9
    }

    /// Waits until nothing is on its way to a sink.
    pub fn settle(&self) {
        self.until("everything is written", || {
            self.metric("customs_audit_queue_records", "") == 0
        });
    }

    /// Sends SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args(["-s", name, &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Sends SIGTERM, and returns the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(!self.log().contains("panicked"), "{}", self.log());
                return status.code();
            }
            assert!(
                start.elapsed() < PATIENCE,
                "it does not end\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the child is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of both peers of a check.
const PEER_ADDRESS: &str = "10.1.2.3";

/// Returns a check for `GET /` of a host by a pod of `demo-frontend`.
pub fn check(host: &str) -> CheckRequest {
    let http = HttpRequest {
        host: host.into(),
        method: "GET".into(),
        path: "/index.html?q=1".into(),
        headers: [(
            "x-request-id".to_owned(),
            "4f3c8a52-9a55-4f3c-8a52-9a554f3c8a52".to_owned(),
        )]
        .into(),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: peer(
                "spiffe://cluster.local/ns/demo-frontend/sa/sleep",
                PEER_ADDRESS,
                40_000,
            ),
            destination: peer(
                "spiffe://cluster.local/ns/istio-system/sa/egress",
                PEER_ADDRESS,
                8080,
            ),
            request: Some(Request {
                time: None,
                http: Some(http),
            }),
            ..AttributeContext::default()
        }),
    }
}

/// Returns nine allows and a denial, to be sent in turn.
pub fn mixed() -> Vec<CheckRequest> {
    (0..10)
        .map(|n| {
            check(if n == 0 {
                "www.aliyun.com"
            } else {
                "api.example"
            })
        })
        .collect()
}

/// Runs a load in a runtime of its own.
pub fn run(load: &Load) -> LoadResult {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(load.run())
}

/// Returns the files of an audit log in the order in which they were written: closed ones, then the
/// open one.
pub fn files(directory: &Path, name: &str) -> Vec<PathBuf> {
    let is_closed = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(&format!("{name}."))
    };
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(is_closed)
        .collect();
    found.sort();
    found.push(directory.join(name));
    found
}

/// Runs `customs audit verify`, and returns its exit code and its output.
pub fn verify(files: &[PathBuf]) -> (i32, String) {
    verify_with(&[], files)
}

/// Does the same with flags.
pub fn verify_with(flags: &[&OsStr], files: &[PathBuf]) -> (i32, String) {
    let mut command = Command::new(crate::customs_binary());
    let output = command
        .args(["audit", "verify"])
        .args(flags)
        .args(files)
        .output()
        .unwrap();
    let words = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(words).unwrap(),
    )
}

/// Returns the content of a file, unpacked.
pub fn bytes_of(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes.as_slice())
        .read_to_end(&mut unpacked)
        .unwrap();
    unpacked
}

/// Returns the content of a file as text, packed or not.
pub fn text_of(path: &Path) -> String {
    String::from_utf8(bytes_of(path)).unwrap()
}

/// What files of records contain, counted.
#[derive(Debug, Default)]
pub struct Count {
    pub kinds: BTreeMap<String, u64>,
    /// The numbers of decisions, in order.
    pub numbers: Vec<u64>,
    /// Their ids.
    pub ids: std::collections::BTreeSet<String>,
    /// The number of decisions and the number of events that gaps count.
    pub lost: (u64, u64),
    /// Ids of decisions whose answers were withheld after all.
    pub taken_back: u64,
}

impl Count {
    /// Counts. Every whole line must be a record; an unfinished line at the end is skipped.
    pub fn of(files: &[PathBuf]) -> Count {
        let mut count = Count::default();
        for file in files {
            let text = text_of(file);
            assert!(text.is_ascii());
            for line in text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'))
            {
                let record =
                    serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
                count.add(&record);
            }
        }
        count.numbers.sort_unstable();
        count
    }

    fn add(&mut self, record: &Value) {
        let number = |value: &Value| {
            value
                .as_str()
                .map_or(0, |text| text.parse::<u64>().unwrap())
        };
        let kind = record["kind"].as_str().unwrap();
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
        match kind {
            "decision" => {
                self.numbers.push(number(&record["decisionNumber"]));
                assert!(
                    self.ids
                        .insert(record["decisionId"].as_str().unwrap().to_owned()),
                    "twice: {record}"
                );
            }
            "gap" => {
                let lost = &record["lost"];
                let classes = ["allows", "denials", "differing", "withheld"];
                self.lost.0 += classes
                    .iter()
                    .map(|class| number(&lost[*class]))
                    .sum::<u64>();
                self.lost.1 += number(&lost["events"]);
            }
            "withheld" => self.taken_back += 1,
            _ => {}
        }
    }

    pub fn decisions(&self) -> u64 {
        self.numbers.len() as u64
    }
}
