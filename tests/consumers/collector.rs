//! A real collector, rotel, which accepts OTLP over gRPC and forwards it over HTTP to a webhook of
//! the test.
//!
//! rotel is another project's program, so what arrives has been read and written by another
//! implementation. It promises no order: it sends batches concurrently.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::lines::Line;
use customs_test_support::server;
use customs_test_support::{PATIENCE, ports, tools, wait_for};

/// One log record as it arrived, with its resource and scope.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) record: LogRecord,
    pub(crate) resource: Vec<KeyValue>,
    pub(crate) scope: String,
}

impl Arrived {
    /// The body.
    pub(crate) fn line(&self) -> Line {
        Line::of(&shown(self.record.body.as_ref()))
    }

    /// An attribute; empty if there is none.
    pub(crate) fn attribute(&self, name: &str) -> String {
        attribute(&self.record.attributes, name)
    }
}

/// The value of an attribute; empty if there is none.
pub(crate) fn attribute(attributes: &[KeyValue], name: &str) -> String {
    attributes
        .iter()
        .find(|attribute| attribute.key == name)
        .map(|a| shown(a.value.as_ref()))
        .unwrap_or_default()
}

fn shown(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

/// The endpoint to which the collector forwards everything.
pub(crate) struct Webhook {
    port: u16,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    _runtime: Runtime,
}

impl Webhook {
    pub(crate) fn start() -> Webhook {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
        let kept = arrived.clone();
        let take = move |body: Bytes| async move {
            let arrived = unpacked(&body);
            kept.lock().unwrap().extend(arrived);
        };
        let router = Router::new().route("/v1/logs", post(take));
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Webhook {
            port,
            arrived,
            _runtime: runtime,
        }
    }

    /// Everything that has arrived, in the order of the records' numbers.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        let mut arrived = self.arrived.lock().unwrap().clone();
        arrived.sort_by_key(|arrived| arrived.line().sequence());
        arrived
    }

    /// Waits until `is_it` accepts what has arrived.
    pub(crate) fn until(&self, what: &str, is_it: impl Fn(&[Arrived]) -> bool) -> Vec<Arrived> {
        let found = wait_for(|| Some(self.arrived()).filter(|arrived| is_it(arrived)));
        found.unwrap_or_else(|| {
            let kinds: Vec<String> = self
                .arrived()
                .iter()
                .map(|a| a.line().text("kind").to_owned())
                .collect();
            panic!(
                "{what}: not in {PATIENCE:?}; there are {} records: {kinds:?}",
                kinds.len()
            )
        })
    }
}

fn unpacked(body: &[u8]) -> Vec<Arrived> {
    let mut plain = Vec::new();
    GzDecoder::new(body)
        .read_to_end(&mut plain)
        .expect("gzip, as rotel sends it");
    let request = ExportLogsServiceRequest::decode(&*plain).expect("OTLP");
    let mut arrived = Vec::new();
    for resource_logs in request.resource_logs {
        let resource = resource_logs.resource.unwrap_or_default().attributes;
        for scope_logs in resource_logs.scope_logs {
            let scope = scope_logs.scope.unwrap_or_default().name;
            let whole = |record| Arrived {
                record,
                resource: resource.clone(),
                scope: scope.clone(),
            };
            arrived.extend(scope_logs.log_records.into_iter().map(whole));
        }
    }
    arrived
}

/// rotel as a child process.
pub(crate) struct Rotel {
    child: Child,
    _scratch: TempDir,
}

impl Rotel {
    /// Starts it on this port, with the webhook behind it, and waits until it listens.
    pub(crate) fn start(port: u16, webhook: &Webhook) -> Rotel {
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
                webhook.port
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
