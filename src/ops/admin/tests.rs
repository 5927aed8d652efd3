//! What each path answers, over real connections.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use std::collections::BTreeMap;

use customs_engine::rules::RuleCounts;
use customs_policy::problem::{Code, Place, Problem};

fn report() -> StatusReport {
    let problem = Problem::error(
        Code::BadHost,
        Place {
            file: "a.yaml".into(),
            line: 3,
            column: 9,
        },
        "invalid host `x y`",
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

/// Returns the status code, the head and the body of an answer.
async fn get(server: &Server, path: &str) -> (u16, String, String) {
    get_with(server, path, "").await
}

async fn get_with(server: &Server, path: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}connection: close\r\n\r\n");
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
async fn readiness_is_reported_with_its_reason() {
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
            "not ready: the server is shutting down\n",
        ),
    ] {
        let server = serving(StatusReport {
            ready,
            draining,
            last_problem,
            ..report()
        })
        .await;
        let (status, _, text) = get(&server, "/readyz").await;
        assert_eq!((status, text.as_str()), (code, body));
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
        // A sink that drops records is unhealthy, and no answer is withheld because of it.
        (true, false, 200, "ready\n"),
    ] {
        let server = serving(StatusReport {
            ready,
            audit: vec![sink(withholding)],
            ..report()
        })
        .await;
        let (status, _, text) = get(&server, "/readyz").await;
        assert_eq!((status, text.as_str()), (code, body));
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
async fn an_unknown_path_lists_the_known_ones() {
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
