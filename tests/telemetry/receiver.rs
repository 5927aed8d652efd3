//! A real OTLP receiver, rotel, and behind it an endpoint of the test, to which it forwards what it
//! has understood.

use std::io::Read;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use customs_test_support::rotel::Rotel;
use customs_test_support::{PATIENCE, ports, wait_for};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::runtime::Runtime;

/// Something that arrived, with the attributes of its resource.
#[derive(Clone, Debug)]
pub(crate) struct Arrived<T> {
    pub(crate) it: T,
    pub(crate) resource: Vec<KeyValue>,
}

#[derive(Debug, Default)]
struct Everything {
    spans: Vec<Arrived<Span>>,
    metrics: Vec<Arrived<Metric>>,
    lines: Vec<Arrived<LogRecord>>,
}

/// The receiver, on a port of this machine.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    arrived: Arc<Mutex<Everything>>,
    _rotel: Rotel,
    _runtime: Runtime,
}

impl Receiver {
    pub(crate) fn start() -> Receiver {
        Receiver::start_on(ports::free().unwrap())
    }

    pub(crate) fn start_on(port: u16) -> Receiver {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let bound = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = bound.unwrap();
        let behind = listener.local_addr().unwrap().port();
        let arrived: Arc<Mutex<Everything>> = Arc::default();
        let [traces, metrics, logs] = [0; 3].map(|_| arrived.clone());
        let router = Router::new()
            .route(
                "/v1/traces",
                post(move |body: Bytes| async move { traces.lock().unwrap().take_spans(&body) }),
            )
            .route(
                "/v1/metrics",
                post(move |body: Bytes| async move { metrics.lock().unwrap().take_metrics(&body) }),
            )
            .route(
                "/v1/logs",
                post(move |body: Bytes| async move { logs.lock().unwrap().take_lines(&body) }),
            );
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Receiver {
            port,
            arrived,
            _rotel: Rotel::start(port, behind),
            _runtime: runtime,
        }
    }

    pub(crate) fn spans(&self) -> Vec<Arrived<Span>> {
        self.arrived.lock().unwrap().spans.clone()
    }

    pub(crate) fn metrics(&self) -> Vec<Arrived<Metric>> {
        self.arrived.lock().unwrap().metrics.clone()
    }

    pub(crate) fn lines(&self) -> Vec<Arrived<LogRecord>> {
        self.arrived.lock().unwrap().lines.clone()
    }

    /// Waits until there is what is asked for.
    pub(crate) fn until<T>(&self, what: &str, ask: impl Fn(&Receiver) -> Option<T>) -> T {
        wait_for(|| ask(self)).unwrap_or_else(|| {
            let arrived = format!("{:?}", self.arrived.lock().unwrap());
            panic!("{what}: not in {PATIENCE:?}; there is {arrived}")
        })
    }

    /// Waits until so many spans of customs have arrived, and returns them.
    pub(crate) fn spans_of_customs(&self, count: usize) -> Vec<Span> {
        let of_customs = |receiver: &Receiver| {
            let spans = receiver.spans().into_iter();
            let own = spans.filter(|span| attribute(&span.resource, "service.name") == "customs");
            let own: Vec<Span> = own.map(|span| span.it).collect();
            (own.len() >= count).then_some(own)
        };
        self.until("spans of customs", of_customs)
    }
}

impl Everything {
    fn take_spans(&mut self, body: &[u8]) {
        let request = ExportTraceServiceRequest::decode(&*unpacked(body)).expect("OTLP");
        for of_resource in request.resource_spans {
            let resource = of_resource.resource.unwrap_or_default().attributes;
            let spans = of_resource.scope_spans.into_iter().flat_map(|it| it.spans);
            self.spans.extend(spans.map(|it| Arrived {
                it,
                resource: resource.clone(),
            }));
        }
    }

    fn take_metrics(&mut self, body: &[u8]) {
        let request = ExportMetricsServiceRequest::decode(&*unpacked(body)).expect("OTLP");
        for of_resource in request.resource_metrics {
            let resource = of_resource.resource.unwrap_or_default().attributes;
            let scopes = of_resource.scope_metrics.into_iter();
            self.metrics
                .extend(scopes.flat_map(|it| it.metrics).map(|it| Arrived {
                    it,
                    resource: resource.clone(),
                }));
        }
    }

    fn take_lines(&mut self, body: &[u8]) {
        let request = ExportLogsServiceRequest::decode(&*unpacked(body)).expect("OTLP");
        for of_resource in request.resource_logs {
            let resource = of_resource.resource.unwrap_or_default().attributes;
            let scopes = of_resource.scope_logs.into_iter();
            self.lines
                .extend(scopes.flat_map(|it| it.log_records).map(|it| Arrived {
                    it,
                    resource: resource.clone(),
                }));
        }
    }
}

fn unpacked(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let read = GzDecoder::new(body).read_to_end(&mut plain);
    read.expect("gzip, as rotel sends it");
    plain
}

/// The value of an attribute; empty if there is none.
pub(crate) fn attribute(attributes: &[KeyValue], name: &str) -> String {
    let mut attributes = attributes.iter();
    let found = attributes.find(|attribute| attribute.key == name);
    found.map(|it| text(it.value.as_ref())).unwrap_or_default()
}

/// A value as text.
pub(crate) fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

/// Bytes as a header spells them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
