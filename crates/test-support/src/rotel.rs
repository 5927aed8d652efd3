//! A real collector, rotel, which accepts OTLP over gRPC and forwards it over HTTP.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{ports, server, tools, wait_for};

/// rotel as a child process.
pub struct Rotel {
    child: Child,
    _scratch: TempDir,
}

impl Rotel {
    /// Starts it on this port, forwarding everything to another one over HTTP, and waits until it
    /// listens.
    pub fn start(port: u16, forward_to: u16) -> Rotel {
        let tool = tools::rotel().unwrap();
        tools::announce(&tool);
        let scratch = tempfile::tempdir().unwrap();
        let log: PathBuf = scratch.path().join("rotel.log");
        let out = File::create(&log).unwrap();
        let child = Command::new(&tool.path)
            .args([
                "start",
                "--exporter",
                "otlp",
                "--otlp-exporter-protocol",
                "http",
            ])
            .args([
                "--otlp-exporter-compression",
                "gzip",
                "--batch-timeout",
                "20ms",
            ])
            .arg(format!("--otlp-grpc-endpoint=127.0.0.1:{port}"))
            .arg(format!(
                "--otlp-http-endpoint=127.0.0.1:{}",
                ports::free().unwrap()
            ))
            .arg(format!(
                "--otlp-exporter-endpoint=http://127.0.0.1:{}",
                forward_to
            ))
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let rotel = Rotel {
            child,
            _scratch: scratch,
        };
        let listens = wait_for(|| server::listens(port).then_some(()));
        listens.unwrap_or_else(|| {
            panic!(
                "rotel does not listen: {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            )
        });
        rotel
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        // Both fail only if the child has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
