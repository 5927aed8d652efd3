//! A real collector, rotel, which accepts OTLP over gRPC and forwards it over HTTP to a webhook of
//! the test.
//!
//! rotel is another project's program, so what arrives has been read and written by another
//! implementation. It promises no order: it sends batches concurrently.

use std::io::Read;
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
use tokio::runtime::Runtime;

use crate::lines::Line;
pub(crate) use customs_test_support::rotel::Rotel;
use customs_test_support::{PATIENCE, wait_for};

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

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
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
