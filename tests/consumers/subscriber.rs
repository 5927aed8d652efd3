//! A subscriber in Python: grpcio's own tools generate its code from the proto, and `client.py`
//! uses it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::lines::Line;
use customs_test_support::{repository, tools};

/// Python's modules, and the generated code.
struct Client {
    path: OsString,
    _made: TempDir,
}

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let tool = tools::grpcio_tools().unwrap();
    tools::announce(&tool);
    let modules = tool.path.parent().and_then(Path::parent).unwrap();
    let made = tempfile::tempdir().unwrap();
    let done = Command::new("python3")
        .args(["-m", "grpc_tools.protoc", "--proto_path=proto"])
        .arg(format!("--python_out={}", made.path().display()))
        .arg(format!("--grpc_python_out={}", made.path().display()))
        .arg("customs/audit/v1/audit.proto")
        .env("PYTHONPATH", modules)
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    Client {
        path: std::env::join_paths([made.path(), modules]).unwrap(),
        _made: made,
    }
});

/// A running subscriber.
pub(crate) struct Subscriber {
    child: Child,
    out: BufReader<ChildStdout>,
    read: String,
}

/// What a subscriber received by its end.
pub(crate) struct Received {
    pub(crate) records: Vec<Line>,
    pub(crate) error: String,
}

impl Subscriber {
    /// Subscribes with this request; ends after `count` records, if given.
    pub(crate) fn start(address: &str, request: &Value, count: Option<usize>) -> Subscriber {
        let mut command = Command::new("python3");
        command
            .arg(repository().join("tests/consumers/client.py"))
            .arg(address)
            .arg(request.to_string());
        command
            .args(count.map(|count| count.to_string()))
            .env("PYTHONPATH", &CLIENT.path);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Subscriber {
            child,
            out,
            read: String::new(),
        }
    }

    /// Waits until it has received something.
    pub(crate) fn has_received(&mut self) {
        assert!(
            self.out.read_line(&mut self.read).unwrap() > 0,
            "it ended before it was received anything"
        );
    }

    /// Waits for its end; its own bound guarantees one.
    pub(crate) fn end(mut self) -> Received {
        self.out.read_to_string(&mut self.read).unwrap();
        let mut error = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut error)
            .unwrap();
        Received {
            records: self.read.lines().map(Line::of).collect(),
            error,
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // Both fail only if the child has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a subscriber to its end.
pub(crate) fn received(address: &str, request: &Value, count: Option<usize>) -> Received {
    Subscriber::start(address, request, count).end()
}
