//! Tests of the OTLP sink: lines as log records, and a collector that is slow, unreachable or
//! failing.

mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tonic::Response;
use tonic::transport::server::TcpIncoming;

use super::*;

const DENIAL: &str = r#"{"time":"2026-11-23T08:00:00.123456789Z","kind":"decision","stream":"s-1","sequence":"7","decisionId":"d-7","effect":"deny","verdict":"deny","dryRun":"allow","reason":"no_rule","rule":"ep:a/b","namespace":"shop","serviceAccount":"cart","host":"x.example","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","revision":"r1","answer":{"deep":[1]},"chain":"00"}"#;

/// What the collector does with an export.
#[derive(Clone, Copy, Debug)]
enum Way {
    Take,
    Refuse,
    TakeAfter(Duration),
    Reject,
}

/// A collector in a runtime of its own, with which its connections end.
struct Collector {
    runtime: Option<Runtime>,
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    bodies: Mutex<Vec<String>>,
    /// The headers of the last export.
    headers: Mutex<MetadataMap>,
    exports: Mutex<usize>,
    way: Mutex<Way>,
}

struct Logs(Arc<State>);

#[tonic::async_trait]
impl LogsService for Logs {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        *self.0.exports.lock().unwrap() += 1;
        *self.0.headers.lock().unwrap() = request.metadata().clone();
        let way = *self.0.way.lock().unwrap();
        let mut response = ExportLogsServiceResponse::default();
        match way {
            Way::Take => {}
            Way::Refuse => return Err(Status::unavailable("busy")),
            Way::TakeAfter(time) => tokio::time::sleep(time).await,
            Way::Reject => {
                let partial = ExportLogsPartialSuccess {
                    rejected_log_records: 1,
                    error_message: "too old".into(),
                };
                response.partial_success = Some(partial);
            }
        }
        let resources = request.into_inner().resource_logs.into_iter();
        let records = resources
            .flat_map(|r| r.scope_logs)
            .flat_map(|scope| scope.log_records);
        self.0
            .bodies
            .lock()
            .unwrap()
            .extend(records.map(|record| shown(record.body.as_ref())));
        Ok(Response::new(response))
    }
}

impl Collector {
    fn start() -> Collector {
        let state = Arc::new(State {
            bodies: Mutex::default(),
            headers: Mutex::default(),
            exports: Mutex::default(),
            way: Mutex::new(Way::Take),
        });
        let mut collector = Collector {
            runtime: None,
            address: ([127, 0, 0, 1], 0).into(),
            state,
        };
        collector.start_again();
        collector
    }

    fn stop(&mut self) {
        self.runtime
            .take()
            .unwrap()
            .shutdown_timeout(Duration::from_secs(5));
    }

    /// Starts on the same address, as after a restart.
    fn start_again(&mut self) {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = loop {
            match runtime.block_on(TcpListener::bind(self.address)) {
                Ok(listener) => break listener,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        self.address = listener.local_addr().unwrap();
        let service = LogsServiceServer::new(Logs(self.state.clone()));
        runtime.spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            server
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .unwrap();
        });
        self.runtime = Some(runtime);
    }

    fn set(&self, way: Way) {
        *self.state.way.lock().unwrap() = way;
    }

    fn bodies(&self) -> Vec<String> {
        self.state.bodies.lock().unwrap().clone()
    }

    /// The text of a header of the last export; empty if there was none.
    fn header(&self, name: &str) -> String {
        let headers = self.state.headers.lock().unwrap();
        let value = headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default().to_owned()
    }

    fn exports(&self) -> usize {
        *self.state.exports.lock().unwrap()
    }

    fn sink(&self) -> OtlpSink {
        self.sink_with(&OtlpOptions::default())
    }

    fn sink_with(&self, options: &OtlpOptions) -> OtlpSink {
        let url = format!("http://{}", self.address);
        OtlpSink::open("otlp:test".into(), &url, options).unwrap()
    }
}

fn shown(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Short lines with numbers.
fn numbered(count: usize) -> String {
    (1..=count)
        .map(|number| format!("{{\"sequence\":\"{number}\"}}\n"))
        .collect()
}

/// Writes as the writer does: from where the sink stopped, until everything is taken.
fn write_all(sink: &mut OtlpSink, bytes: &[u8]) -> usize {
    let (mut taken, mut calls) = (0, 0);
    while taken < bytes.len() {
        calls += 1;
        match sink.write(&bytes[taken..]) {
            Ok(more) => taken += more,
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
            Err(why) => panic!("{why}"),
        }
    }
    calls
}

#[test]
fn a_denial_is_a_warning_with_what_is_searched_for() {
    let record = log_record(DENIAL.as_bytes(), 5);
    assert_eq!(shown(record.body.as_ref()), DENIAL);
    assert_eq!(record.time_unix_nano, 1_795_420_800_123_456_789);
    assert_eq!(
        (
            record.observed_time_unix_nano,
            record.severity_number,
            &*record.severity_text
        ),
        (5, 13, "WARN")
    );
    assert_eq!(record.event_name, "customs.audit.decision");
    let attributes: Vec<_> = record
        .attributes
        .iter()
        .map(|a| format!("{}={}", a.key, shown(a.value.as_ref())))
        .collect();
    let expected = [
        "sequence=7",
        "stream=s-1",
        "kind=decision",
        "decision_id=d-7",
        "effect=deny",
        "verdict=deny",
        "dry_run=allow",
        "reason=no_rule",
        "rule=ep:a/b",
        "namespace=shop",
        "service_account=cart",
        "host=x.example",
        "revision=r1",
    ];
    assert_eq!(
        attributes,
        expected.map(|attribute| format!("customs.{attribute}"))
    );
    assert_eq!(record.trace_id.len(), 16);
    assert_eq!(record.trace_id[..2], [0x4b, 0xf9]);
    assert_eq!(
        record.span_id,
        [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
    );
    assert_eq!(record.flags, 1);
}

#[test]
fn severity_follows_effect_and_kind() {
    for (line, expected) in [
        (
            r#"{"kind":"decision","effect":"allow","verdict":"deny"}"#,
            SeverityNumber::Info,
        ),
        (
            r#"{"kind":"decision","effect":"deny"}"#,
            SeverityNumber::Warn,
        ),
        (r#"{"kind":"gap"}"#, SeverityNumber::Warn),
        (r#"{"kind":"withheld"}"#, SeverityNumber::Warn),
        (r#"{"kind":"refusals"}"#, SeverityNumber::Warn),
        (r#"{"kind":"start"}"#, SeverityNumber::Info),
        ("no JSON", SeverityNumber::Info),
    ] {
        let record = log_record(line.as_bytes(), 0);
        assert_eq!(record.severity_number, i32::from(expected), "{line}");
        assert_eq!(shown(record.body.as_ref()), line);
    }
}

#[test]
fn escaped_text_is_read_and_the_body_keeps_it_escaped() {
    let line = r#"{"kind":"decision","host":"\u00e4\"\n.example"}"#;
    let record = log_record(line.as_bytes(), 0);
    assert_eq!(shown(record.body.as_ref()), line);
    let host = record
        .attributes
        .iter()
        .find(|attribute| attribute.key == "customs.host")
        .unwrap();
    assert_eq!(shown(host.value.as_ref()), "\u{e4}\"\n.example");
}

#[test]
fn a_trace_context_is_read_only_where_it_is_whole() {
    for text in [
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01",
        "00-zbf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    ] {
        assert_eq!(trace(text), None, "{text}");
    }
}

#[test]
fn an_export_takes_whole_lines_up_to_its_bounds() {
    let long = format!("{}\n", "x".repeat(MAX_BYTES / 2));
    for (bytes, expected) in [
        ("", 0),
        ("half", 0),
        ("one\nhalf", 1),
        ("one\ntwo\n", 2),
        (&numbered(MAX_LINES + 9), MAX_LINES),
        (&long.repeat(3), 1),
        (&format!("{}\n", "x".repeat(2 * MAX_BYTES)), 1),
    ] {
        assert_eq!(
            lines(bytes.as_bytes()).len(),
            expected,
            "{} bytes",
            bytes.len()
        );
    }
}

#[test]
fn a_collector_gets_every_line_once() {
    let collector = Collector::start();
    let text = numbered(2 * MAX_LINES + 3);
    write_all(&mut collector.sink(), text.as_bytes());
    assert_eq!(collector.bodies(), text.lines().collect::<Vec<_>>());
    assert_eq!(collector.exports(), 3);
}

#[test]
fn a_slow_collector_is_waited_for_in_short_calls_and_gets_nothing_twice() {
    let collector = Collector::start();
    collector.set(Way::TakeAfter(PATIENCE * 3));
    let mut sink = collector.sink();
    let begin = Instant::now();
    assert_eq!(
        sink.write(b"{}\n").unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    assert!(begin.elapsed() < PATIENCE * 2, "{:?}", begin.elapsed());
    assert!(write_all(&mut sink, b"{}\n") >= 2);
    assert_eq!((collector.bodies().len(), collector.exports()), (1, 1));
}

#[test]
fn a_collector_that_is_away_or_unwilling_gets_the_lines_later() {
    let mut collector = Collector::start();
    collector.stop();
    let mut sink = collector.sink();
    let why = sink.write(b"{\"a\":1}\n").unwrap_err();
    assert!(
        why.to_string()
            .contains("the export to the collector failed"),
        "{why}"
    );
    collector.set(Way::Refuse);
    collector.start_again();
    let why = sink.write(b"{\"a\":1}\n").unwrap_err();
    assert!(why.to_string().contains("Unavailable: busy"), "{why}");
    collector.set(Way::Take);
    assert_eq!(sink.write(b"{\"a\":1}\n").unwrap(), 8);
    assert_eq!(collector.bodies(), ["{\"a\":1}"]);
}

#[test]
fn a_connection_that_was_closed_at_rest_is_not_a_failure() {
    let mut collector = Collector::start();
    let mut sink = collector.sink();
    write_all(&mut sink, b"1\n");
    for _ in 0..3 {
        collector.stop();
        collector.start_again();
        assert_eq!(sink.write(b"2\n").unwrap(), 2);
    }
    assert_eq!(collector.bodies(), ["1", "2", "2", "2"]);
}

#[test]
fn rejected_records_are_not_sent_again() {
    let collector = Collector::start();
    collector.set(Way::Reject);
    assert_eq!(write_all(&mut collector.sink(), b"1\n"), 1);
    assert_eq!(collector.exports(), 1);
}

#[test]
fn a_url_that_cannot_be_used_is_reported_with_what_to_write() {
    for url in ["http://", "http://a b", "/x"] {
        let problem = OtlpSink::open("otlp".into(), url, &OtlpOptions::default())
            .err()
            .unwrap()
            .to_string();
        assert!(
            problem.contains("such as `otlp:http://127.0.0.1:4317`"),
            "{url}: {problem}"
        );
    }
}
