//! What tracing costs a check: customs without it, and with it, where none, one in a hundred or all
//! of the checks are sampled.
//!
//! All of them are asked in turn, and the collector is in this process, so its work is not counted.
//! The rule: the work of a span after the answer, such as encoding and sending it, belongs to the
//! check. Metrics and the log are not sent; they cost the same whatever is asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::Server as Tonic;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::cpu::USUAL;
use crate::customs_server::{CustomsServer, FEW};
use crate::load;
use crate::session::{Session, order};
use customs_test_support::bench_report::document::count;
use customs_test_support::bench_report::findings::Findings;

/// The names in the tables.
const OFF: &str = "customs, tracing off";
const NONE: &str = "customs, none sampled";
const SOME: &str = "customs, 1 in 100 sampled";
const ALL: &str = "customs, all sampled";
const OFF_CALLED: &str = "customs, tracing off, calls with a trace context";
const NONE_CALLED: &str = "customs, calls with a trace context that is not sampled";

/// How much more a check may cost if none is sampled, and if one in a hundred is.
const TO_OFF_UNSAMPLED: f64 = 1.02;
const TO_OFF_SOME: f64 = 1.05;

/// What Envoy sends with a call that it does not trace.
const UNSAMPLED: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// A collector that takes everything, and counts the spans.
struct TakesEverything(Arc<AtomicU64>);

#[tonic::async_trait]
impl TraceService for TakesEverything {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        self.0.fetch_add(spans as u64, Relaxed);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// One row of the table.
struct Subject {
    name: &'static str,
    server: CustomsServer,
    header: Option<&'static str>,
    /// The spans that the collector got from it in the rounds that count.
    spans: u64,
}

pub(crate) fn measure(session: &mut Session) -> Result<Findings> {
    let mut findings = Findings::new("tracing", "µs of CPU a check", how(session));
    let runtime = Runtime::new()?;
    let arrived = Arc::<AtomicU64>::default();
    let collector = runtime.block_on(collector(arrived.clone()))?;
    let mut subjects = [
        (OFF, None, None),
        (NONE, Some(("traceidratio", "0.000000001")), None),
        (SOME, Some(("traceidratio", "0.01")), None),
        (ALL, Some(("traceidratio", "1")), None),
        (OFF_CALLED, None, Some(UNSAMPLED)),
        (
            NONE_CALLED,
            Some(("parentbased_traceidratio", "1")),
            Some(UNSAMPLED),
        ),
    ]
    .map(|(name, sampler, header)| {
        let variables = sampler.map_or_else(Vec::new, |sampler| variables(collector, sampler));
        let server = CustomsServer::start_with_variables(session, FEW, name, &variables)?;
        Ok(Subject {
            name,
            server,
            header,
            spans: 0,
        })
    })
    .into_iter()
    .collect::<Result<Vec<Subject>>>()?;
    let checks = session.sizes.checks;
    for round in 0..=session.sizes.rounds {
        for index in order(subjects.len(), round) {
            let Some(subject) = subjects.get_mut(index) else {
                continue;
            };
            let before = arrived.load(Relaxed);
            let server = &subject.server.server;
            let port = server.endpoint.port;
            let spent = server.cpu_per_check(checks, || match subject.header {
                None => load::closed(session, port, USUAL, checks),
                Some(header) => load::closed_with(session, port, USUAL, checks, header),
            })?;
            if round > 0 {
                findings.record(subject.name, &USUAL.name(), spent);
                subject.spans += arrived.load(Relaxed) - before;
            }
        }
    }
    let asked = checks * session.sizes.rounds as u64;
    for Subject {
        name,
        server,
        spans,
        ..
    } in &subjects
    {
        let dropped = server.metric("customs_spans_dropped_total")?;
        let says = format!(
            "{} of {}, {dropped} dropped",
            count(*spans as f64),
            count(asked as f64)
        );
        findings.add_fact(format!("spans of {name}"), says);
    }
    draw_lines(&mut findings);
    Ok(findings)
}

fn how(session: &Session) -> String {
    format!(
        "{} rounds of {} checks to each server, {} in flight; spans go to a collector on this machine \
         that takes everything. `with a trace context`: each call has a `traceparent`, as from an \
         Envoy that traces and has not sampled the request.",
        session.sizes.rounds,
        count(session.sizes.checks as f64),
        USUAL.name()
    )
}

/// Returns the variables that send spans, soon enough to be counted with their checks, and with so
/// much room that none is dropped.
fn variables(
    collector: SocketAddr,
    (sampler, argument): (&str, &str),
) -> Vec<(&'static str, String)> {
    vec![
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            format!("http://{collector}"),
        ),
        ("OTEL_TRACES_SAMPLER", sampler.to_owned()),
        ("OTEL_TRACES_SAMPLER_ARG", argument.to_owned()),
        // The captured check is about a request with a trace, always the same.
        (
            "OTEL_PROPAGATORS",
            if sampler.starts_with("parentbased") {
                "tracecontext"
            } else {
                "none"
            }
            .to_owned(),
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "20".to_owned()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "262144".to_owned()),
    ]
}

async fn collector(arrived: Arc<AtomicU64>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener
        .local_addr()
        .context("the collector has no address")?;
    let service = TraceServiceServer::new(TakesEverything(arrived));
    let serving = Tonic::builder()
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener));
    // It ends with the runtime.
    tokio::spawn(serving);
    Ok(address)
}

fn draw_lines(findings: &mut Findings) {
    for (one, other, bound) in [
        (NONE, OFF, TO_OFF_UNSAMPLED),
        (NONE_CALLED, OFF_CALLED, TO_OFF_UNSAMPLED),
        (SOME, OFF, TO_OFF_SOME),
    ] {
        let says = format!("CPU a check at {}: {one} / {other}", USUAL.name());
        findings.draw_line(says, bound, &USUAL.name(), [one, other]);
    }
}
