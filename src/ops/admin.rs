//! The HTTP address for operators: liveness, readiness, status, metrics and the hits of rules.
//!
//! It is read-only, so it needs no password; it belongs on loopback or behind a network policy.
//! [`questions`] defines who may ask questions, and [`connection`] bounds what a client may do. The
//! rules: liveness depends on nothing but this process, and readiness is what the composition says
//! it is. Status, metrics and hits are computed for one client at a time, so that many of them do not
//! keep the machine from answering checks.

mod connection;
pub mod endpoints;
mod report;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use connection::AdminLimits;
pub use report::{
    LastProblem, PolicyArchiveReport, ProblemReport, ReloadsReport, RulesReport, SinkReport,
    SourceReport, StatusReport, TlsReport, timestamp,
};

use super::exposition::Exposition;
use super::metrics::Metrics;
use super::questions::{self, Questions};
use super::rule_hits::Listed;
use customs_engine::time::UnixNanos;
use customs_net::{Listener, Port, PortObserver, RuntimeTasks};
use customs_policy::printable;

/// How long open connections may still be used once the server shuts down.
pub const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// What the router serves.
#[derive(Clone)]
pub struct AdminState {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Returns the current state of the server.
    pub status: Arc<dyn Fn() -> StatusReport + Send + Sync>,
    /// Answers questions.
    pub questions: Questions,
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").finish_non_exhaustive()
    }
}

/// What the router serves, and who may compute an answer that takes long.
#[derive(Clone, Debug)]
struct Serving {
    state: AdminState,
    /// One turn for status and metrics. Readiness has none, so that it never waits for them.
    turn: Arc<Semaphore>,
}

impl Serving {
    /// Computes an answer as soon as no other is computed.
    async fn in_turn<T>(&self, compute: impl FnOnce(&AdminState) -> T) -> T {
        // It fails only if the semaphore is closed, which nothing does.
        let _turn = self.turn.acquire().await;
        compute(&self.state)
    }
}

/// Returns the paths and their handlers.
pub fn router(state: AdminState) -> Router {
    let questions = questions::router(state.questions.clone());
    let turn = Arc::new(Semaphore::new(1));
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .route("/metrics", get(numbers))
        .route("/rules", get(rules))
        .fallback(async || {
            (
                StatusCode::NOT_FOUND,
                format!("not found; the paths are\n{}", endpoints::listed()),
            )
        })
        .with_state(Serving { state, turn })
        .merge(questions)
}

async fn readyz(State(serving): State<Serving>) -> (StatusCode, String) {
    let report = (serving.state.status)();
    match why_not_ready(&report) {
        None => (StatusCode::OK, "ready\n".into()),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

/// Returns why the server is not ready, in one line.
fn why_not_ready(report: &StatusReport) -> Option<String> {
    let withholding = report.audit.iter().find(|sink| sink.withholding);
    match (
        report.draining,
        report.ready,
        withholding,
        &report.last_problem,
    ) {
        (true, _, _, _) => Some("the server is shutting down".into()),
        (false, true, _, _) => None,
        (false, false, Some(SinkReport { sink, problem, .. }), _) => {
            let problem = problem.as_deref().unwrap_or("it accepts no records");
            Some(format!("no answer can be recorded: {sink}: {problem}"))
        }
        (false, false, None, None) => Some("no policy set was loaded yet".into()),
        (false, false, None, Some(problem)) => {
            let line = problem.text.lines().next().unwrap_or_default();
            Some(format!(
                "no policy set was loaded yet: {}",
                printable::line(line)
            ))
        }
    }
}

async fn status(State(serving): State<Serving>) -> Response {
    let text = serving.in_turn(|state| serde_json::to_string_pretty(&(state.status)()));
    document(text.await)
}

async fn rules(State(serving): State<Serving>, RawQuery(query): RawQuery) -> Response {
    let listed = match query.as_deref().unwrap_or_default() {
        "" => Listed::All,
        "unused" => Listed::Unused,
        _ => {
            let text = "invalid query: ask for /rules, or for /rules?unused\n";
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let text = serving.in_turn(|state| {
        let report = state.metrics.rule_hits().report(listed);
        serde_json::to_string_pretty(&report)
    });
    document(text.await)
}

/// Returns the answer that is a JSON document.
fn document(text: serde_json::Result<String>) -> Response {
    match text {
        Ok(text) => (
            [(header::CONTENT_TYPE, "application/json")],
            printable::json(&(text + "\n")).into_owned(),
        )
            .into_response(),
        Err(problem) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")).into_response(),
    }
}

async fn numbers(State(serving): State<Serving>, headers: HeaderMap) -> impl IntoResponse {
    // Several headers with one name form one list.
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let format = Exposition::preferred(&accepted.join(","));
    let kind = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::VARY, "accept"),
    ];
    let text = serving.in_turn(|state| {
        let now = UnixNanos(Timestamp::now().as_nanosecond());
        state.metrics.encode(now, format)
    });
    (kind, text.await)
}

/// Serves until `shutdown`, and then at most [`CLOSE_WAIT`] longer, whatever a slow client does.
///
/// # Errors
/// If the listener breaks permanently.
pub async fn serve<O: PortObserver>(
    port: Port<O>,
    listener: Listener,
    router: Router,
    limits: AdminLimits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let (closing, stop) = (shutdown.clone(), shutdown.clone());
    let connect =
        move |connection| connection::serve(connection, router.clone(), limits, closing.clone());
    let serving = port.serve(listener, RuntimeTasks::default(), stop, connect);
    let bound = async {
        shutdown.cancelled().await;
        tokio::time::sleep(CLOSE_WAIT).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = bound => Ok(()),
    }
}

#[cfg(test)]
mod tests;
