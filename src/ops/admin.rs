//! The address for operators over HTTP: alive, ready, status and numbers.
//!
//! It only shows and answers: nothing can be changed here, so it needs no password, and it belongs on loopback or behind
//! a network policy. Who may ask questions is said in [`questions`]. The rule: being alive never depends on anything but this process, and being ready is what the composition
//! says it is.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::exposition::Exposition;
use super::metrics::Metrics;
use super::questions::{self, Questions};
use customs_engine::rules::RuleCounts;
use customs_engine::time::UnixNanos;
use customs_policy::printable;
use customs_policy::problem::{Place, Problem};

/// How long open connections may still be read and written once the server shuts down.
pub const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// What stands at each path.
const PATHS: &str = "\
/healthz  200 while the process is alive
/readyz   200 while checks are wanted, else 503 and why
/status   what is in force, as JSON
/metrics  numbers for Prometheus
/explain  answers a question that is posted on loopback, as JSON
";

/// What the router shows.
#[derive(Clone)]
pub struct AdminState {
    /// The numbers.
    pub metrics: Arc<Metrics>,
    /// Tells the state of the server when it is asked.
    pub status: Arc<dyn Fn() -> StatusReport + Send + Sync>,
    /// Answers questions.
    pub questions: Questions,
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").finish_non_exhaustive()
    }
}

/// The state of the server, as `/status` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// The version of customs.
    pub version: String,
    /// Whether checks are wanted.
    pub ready: bool,
    /// Whether the server is about to end.
    pub draining: bool,
    /// The revision in force; `none` before the first good set.
    pub revision: String,
    /// When it was published.
    pub loaded_at: Option<Timestamp>,
    /// `enforce` or `report`.
    pub enforcement: String,
    /// `enforce` or `report`, for the built-in rules.
    pub request_validation: String,
    /// `allow` or `deny`: what happens where nothing else speaks.
    pub default: String,
    /// The policy directories, in their order.
    pub sources: Vec<SourceReport>,
    /// Whether file events announce changes of the policies; else only rescans see them.
    pub file_events: bool,
    /// The sinks of the record, in their order.
    pub audit: Vec<SinkReport>,
    /// What somebody should look at in what is in force.
    pub warnings: Vec<ProblemReport>,
    /// How many rules are in force.
    pub rules: RulesReport,
    /// The last thing that went wrong with the policy files; it stays after recovery.
    pub last_problem: Option<LastProblem>,
    /// How many changes were seen since the start, by what became of them.
    pub reloads: ReloadsReport,
}

/// One policy directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceReport {
    /// The directory, as it was given.
    pub name: String,
    /// `good`; `refused` or `emptied` (its last good content stays in force); or `never_loaded`.
    pub state: String,
    /// The names of the files in force.
    pub files: Vec<String>,
    /// The SHA-256 of each of them, by name.
    pub digests: BTreeMap<String, String>,
    /// Why its content as last read is not in force; empty for a good one.
    pub problems: Vec<ProblemReport>,
    /// When its content was last good.
    pub last_good_at: Option<Timestamp>,
    /// When it was last read to the end, whatever was found; one that hangs or never rests is not.
    pub last_read_at: Option<Timestamp>,
}

/// One sink of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkReport {
    /// The sink, as the settings name it.
    pub sink: String,
    /// Whether it takes what it should.
    pub healthy: bool,
    /// Whether every answer that it wants is withheld because of it; the server is not ready then.
    pub withholding: bool,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One problem of a policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemReport {
    /// The stable name of its kind.
    pub code: &'static str,
    /// `error`, `warning` or `note`.
    pub severity: &'static str,
    /// `file:line:column`
    pub place: String,
    /// What is wrong.
    pub text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<&Problem> for ProblemReport {
    fn from(problem: &Problem) -> ProblemReport {
        let Problem {
            code,
            severity,
            place,
            text,
            hint,
        } = problem;
        let place: &Place = place;
        ProblemReport {
            code: code.as_str(),
            severity: severity.as_str(),
            place: place.to_string(),
            text: text.clone(),
            hint: hint.clone(),
        }
    }
}

/// How many rules are in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RulesReport {
    /// Policies of both families.
    pub policies: usize,
    /// DENY rules of AuthorizationPolicies.
    pub istio_deny: usize,
    /// ALLOW rules of AuthorizationPolicies.
    pub istio_allow: usize,
    /// `deny` entries of EgressPolicies.
    pub egress_deny: usize,
    /// `allow` entries of EgressPolicies.
    pub egress_allow: usize,
}

impl From<RuleCounts> for RulesReport {
    fn from(counts: RuleCounts) -> RulesReport {
        let RuleCounts {
            istio_deny,
            istio_allow,
            egress_deny,
            egress_allow,
            policies,
        } = counts;
        RulesReport {
            policies,
            istio_deny,
            istio_allow,
            egress_deny,
            egress_allow,
        }
    }
}

/// The latest problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastProblem {
    /// When it was seen.
    pub time: Timestamp,
    /// What it is.
    pub text: String,
}

/// Changes of the policy files, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReloadsReport {
    /// Published, and nothing was refused.
    pub published: u64,
    /// Published, and some source was refused.
    pub published_in_part: u64,
    /// Every changed source was refused.
    pub refused: u64,
    /// Nothing changed in force, and every source is good again.
    pub recovered: u64,
    /// Nothing changed in force but the warnings.
    pub warned: u64,
}

/// A moment as this report tells it; moments outside of the calendar are left out.
pub fn timestamp(time: UnixNanos) -> Option<Timestamp> {
    Timestamp::from_nanosecond(time.0).ok()
}

/// The paths and what answers at each.
pub fn router(state: AdminState) -> Router {
    let questions = questions::router(state.questions.clone());
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .route("/metrics", get(numbers))
        .fallback(async || {
            (
                StatusCode::NOT_FOUND,
                format!("there is nothing here; there is\n{PATHS}"),
            )
        })
        .with_state(state)
        .merge(questions)
}

async fn readyz(State(state): State<AdminState>) -> (StatusCode, String) {
    let report = (state.status)();
    match why_not_ready(&report) {
        None => (StatusCode::OK, "ready\n".into()),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

/// Why checks are not wanted, in one line.
fn why_not_ready(report: &StatusReport) -> Option<String> {
    let withholding = report.audit.iter().find(|sink| sink.withholding);
    match (
        report.draining,
        report.ready,
        withholding,
        &report.last_problem,
    ) {
        (true, _, _, _) => Some("the server is about to end".into()),
        (false, true, _, _) => None,
        (false, false, Some(SinkReport { sink, problem, .. }), _) => {
            let problem = problem.as_deref().unwrap_or("it takes no records");
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

async fn status(State(state): State<AdminState>) -> Response {
    match serde_json::to_string_pretty(&(state.status)()) {
        Ok(text) => (
            [(header::CONTENT_TYPE, "application/json")],
            printable::json(&(text + "\n")).into_owned(),
        )
            .into_response(),
        Err(problem) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")).into_response(),
    }
}

async fn numbers(State(state): State<AdminState>, headers: HeaderMap) -> impl IntoResponse {
    let now = UnixNanos(Timestamp::now().as_nanosecond());
    // Several headers of one name are one list.
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
    (kind, state.metrics.encode(now, format))
}

/// Serves until `shutdown`, and then at most [`CLOSE_WAIT`] longer, whatever a slow client does.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let closing = shutdown.clone();
    let serving = axum::serve(
        listener,
        router.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(shutdown.cancelled_owned());
    let bound = async {
        closing.cancelled().await;
        tokio::time::sleep(CLOSE_WAIT).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = bound => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;
    use customs_policy::problem::Code;

    fn report() -> StatusReport {
        let problem = Problem::error(
            Code::BadHost,
            Place {
                file: "a.yaml".into(),
                line: 3,
                column: 9,
            },
            "`x y` is no host",
        );
        StatusReport {
            version: "0.1.0".into(),
            ready: true,
            draining: false,
            revision: "r1".into(),
            loaded_at: timestamp(UnixNanos(1_795_435_200_000_000_000)),
            enforcement: "enforce".into(),
            request_validation: "enforce".into(),
            default: "allow".into(),
            sources: vec![SourceReport {
                name: "policies".into(),
                state: "refused".into(),
                files: vec!["a.yaml".into()],
                problems: vec![ProblemReport::from(&problem)],
                last_good_at: None,
                last_read_at: None,
                digests: BTreeMap::new(),
            }],
            file_events: true,
            audit: vec![SinkReport {
                sink: "stdout".into(),
                healthy: true,
                withholding: false,
                problem: None,
            }],
            warnings: Vec::new(),
            rules: RuleCounts {
                policies: 2,
                egress_deny: 1,
                ..RuleCounts::default()
            }
            .into(),
            last_problem: None,
            reloads: ReloadsReport {
                published_in_part: 1,
                ..ReloadsReport::default()
            },
        }
    }

    struct Server {
        address: SocketAddr,
        shutdown: CancellationToken,
        task: JoinHandle<io::Result<()>>,
    }

    async fn serving(report: StatusReport) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let status = Arc::new(move || report.clone());
        let router = router(AdminState {
            metrics: Arc::default(),
            status,
            questions: Questions::new(|_| Box::pin(async { Ok("{}".into()) })),
        });
        let shutdown = CancellationToken::new();
        Server {
            address,
            shutdown: shutdown.clone(),
            task: tokio::spawn(serve(listener, router, shutdown)),
        }
    }

    /// The status code, the head and the body of an answer.
    async fn get(server: &Server, path: &str) -> (u16, String, String) {
        get_with(server, path, "").await
    }

    async fn get_with(server: &Server, path: &str, headers: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            head.to_lowercase(),
            body.to_owned(),
        )
    }

    #[tokio::test]
    async fn readiness_is_told_with_its_reason() {
        let time = Timestamp::UNIX_EPOCH;
        let problem = Some(LastProblem {
            time,
            text: "policies: no policy document\nand more".into(),
        });
        for (ready, draining, last_problem, code, body) in [
            (true, false, None, 200, "ready\n"),
            (true, false, problem.clone(), 200, "ready\n"),
            (
                false,
                false,
                None,
                503,
                "not ready: no policy set was loaded yet\n",
            ),
            (
                false,
                false,
                problem,
                503,
                "not ready: no policy set was loaded yet: policies: no policy document\n",
            ),
            (
                true,
                true,
                None,
                503,
                "not ready: the server is about to end\n",
            ),
        ] {
            let server = serving(StatusReport {
                ready,
                draining,
                last_problem,
                ..report()
            })
            .await;
            let (told, _, text) = get(&server, "/readyz").await;
            assert_eq!((told, text.as_str()), (code, body));
            assert_eq!(
                get(&server, "/healthz").await.0,
                200,
                "alive whatever happens"
            );
        }
    }

    #[tokio::test]
    async fn a_server_whose_answers_cannot_be_recorded_is_not_ready_and_names_the_sink() {
        let sink = |withholding| SinkReport {
            sink: "file:/var/log/a.jsonl".into(),
            healthy: false,
            withholding,
            problem: Some("No space left on device".into()),
        };
        for (ready, withholding, code, body) in [
            (
                false,
                true,
                503,
                "not ready: no answer can be recorded: file:/var/log/a.jsonl: No space left on device\n",
            ),
            // One that drops is in trouble, and no answer is withheld for it.
            (true, false, 200, "ready\n"),
        ] {
            let server = serving(StatusReport {
                ready,
                audit: vec![sink(withholding)],
                ..report()
            })
            .await;
            let (told, _, text) = get(&server, "/readyz").await;
            assert_eq!((told, text.as_str()), (code, body));
            let status: serde_json::Value =
                serde_json::from_str(&get(&server, "/status").await.2).unwrap();
            assert_eq!(status["audit"][0]["withholding"], withholding);
            assert_eq!(status["audit"][0]["problem"], "No space left on device");
        }
    }

    #[tokio::test]
    async fn the_status_is_json_with_camel_case_names() {
        let server = serving(report()).await;
        let (code, head, body) = get(&server, "/status").await;
        assert_eq!(code, 200);
        assert!(head.contains("content-type: application/json"));
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        for (pointer, expected) in [
            ("/loadedAt", "\"2026-11-23T12:00:00Z\""),
            ("/lastProblem", "null"),
            ("/sources/0/lastGoodAt", "null"),
            ("/sources/0/problems/0/place", "\"a.yaml:3:9\""),
            ("/rules/egressDeny", "1"),
            ("/reloads/publishedInPart", "1"),
            ("/default", "\"allow\""),
        ] {
            assert_eq!(
                value.pointer(pointer).unwrap().to_string(),
                expected,
                "{pointer}"
            );
        }
    }

    #[tokio::test]
    async fn the_numbers_have_the_format_that_the_scraper_asks_for() {
        let server = serving(report()).await;
        for (accept, kind, ready) in [
            (
                "",
                "text/plain; version=0.0.4",
                "# TYPE customs_reloads_total counter\n",
            ),
            (
                "accept: text/plain;version=0.0.4\r\n",
                "text/plain; version=0.0.4",
                "# TYPE customs_build_info gauge\n",
            ),
            (
                "accept: text/plain;q=0.5\r\naccept: application/openmetrics-text\r\n",
                "application/openmetrics-text; version=1.0.0",
                "# TYPE customs_reloads counter\n",
            ),
        ] {
            let (code, head, body) = get_with(&server, "/metrics", accept).await;
            assert_eq!(code, 200);
            assert!(
                head.contains(&format!("content-type: {kind}")) && head.contains("vary: accept"),
                "{head}"
            );
            assert!(
                body.contains("\ncustoms_ready 0\n") && body.contains(ready),
                "{accept}: {body}"
            );
            assert_eq!(
                body.ends_with("# EOF\n"),
                kind.starts_with("application/"),
                "{accept}"
            );
        }
    }

    #[tokio::test]
    async fn an_unknown_path_tells_the_known_ones() {
        let server = serving(report()).await;
        for path in ["/", "/stats", "/status/"] {
            let (code, _, body) = get(&server, path).await;
            assert_eq!(code, 404, "{path}");
            for known in ["/healthz", "/readyz", "/status", "/metrics", "/explain"] {
                assert!(body.contains(known), "{path}");
            }
        }
    }

    #[tokio::test]
    async fn a_half_open_client_does_not_hold_the_end() {
        let server = serving(report()).await;
        let mut half = TcpStream::connect(server.address).await.unwrap();
        half.write_all(b"GET /status HTTP/1.1\r\nho").await.unwrap();
        assert_eq!(get(&server, "/healthz").await.0, 200);
        let start = Instant::now();
        server.shutdown.cancel();
        timeout(10 * CLOSE_WAIT, server.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(start.elapsed() < 3 * CLOSE_WAIT);
    }
}
