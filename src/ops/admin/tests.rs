//! What each path answers, over real connections.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

mod failing;
mod rules;
use std::collections::BTreeMap;

use customs_engine::rules::RuleCounts;
use customs_net::{
    Address, ConnectionLimits, ConnectionPeer, ConnectionSlots, HandshakeRefusal, PortRefusal,
    SlotLimits,
};
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
        tls: Vec::new(),
        policy_archive: None,
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
    serving_with(
        report,
        AdminLimits::new(&ConnectionLimits::DEFAULT),
        SlotLimits::default(),
    )
    .await
}

/// Takes every refusal.
struct Unobserved;

impl PortObserver for Unobserved {
    fn refused(&self, _peer: &ConnectionPeer, _refusal: PortRefusal) {}

    fn handshake_refused(
        &self,
        _peer: &ConnectionPeer,
        refusal: HandshakeRefusal,
        _example: &dyn std::fmt::Display,
    ) {
        panic!("{refusal:?} on a port without TLS");
    }
}

async fn serving_with(report: StatusReport, limits: AdminLimits, slots: SlotLimits) -> Server {
    let bound = Address::Tcp("127.0.0.1:0".into()).bind().await;
    let listener = bound.unwrap();
    let address = listener.local().parse().unwrap();
    let slots = ConnectionSlots::new(slots);
    let port = Port::new(slots, limits.request_timeout, Arc::new(Unobserved));
    let status = Arc::new(move || report.clone());
    let router = router(AdminState {
        metrics: Arc::default(),
        status,
        questions: Questions::new(limits.request_timeout, |_| {
            Box::pin(async { Ok("{}".into()) })
        }),
    });
    let shutdown = CancellationToken::new();
    Server {
        address,
        shutdown: shutdown.clone(),
        task: tokio::spawn(serve(port, listener, router, limits, shutdown)),
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
        for known in [
            "/healthz", "/readyz", "/status", "/metrics", "/rules", "/explain",
        ] {
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

/// Waits until the other side has closed the connection, and returns what it sent before.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(10 * CLOSE_WAIT, stream.read_to_end(&mut answer)).await;
    let _reset_or_end = read.expect("the connection is closed in time");
    String::from_utf8(answer).unwrap()
}

const SHORT: AdminLimits = AdminLimits {
    request_timeout: Duration::from_millis(200),
    header_size: 16 << 10,
};

#[tokio::test]
async fn a_client_that_sends_no_whole_request_is_closed_in_time() {
    let server = serving_with(report(), SHORT, SlotLimits::default()).await;
    for begun in ["", "G", "GET /status HTTP/1.1\r\nhost: x\r\nx-a: "] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        rest(stream).await;
    }
    // Each byte of a slow client is in time, and the request is not.
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let start = Instant::now();
    slow.write_all(b"GET /status HTTP/1.1\r\nhost: x\r\nx-a: ")
        .await
        .unwrap();
    while slow.write_all(b"a").await.is_ok() {
        assert!(start.elapsed() < 10 * CLOSE_WAIT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_in_use_is_kept() {
    let server = serving_with(report(), SHORT, SlotLimits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..5 {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 1024];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        tokio::time::sleep(SHORT.request_timeout / 4).await;
    }
    rest(stream).await;
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused() {
    let server = serving(report()).await;
    for (size, expected) in [
        (1 << 10, 200),
        (15 << 10, 200),
        (17 << 10, 431),
        (1 << 20, 431),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let padding = "a".repeat(size);
        let request = format!(
            "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-a: {padding}\r\n\r\n"
        );
        // A connection that is refused may be closed before everything is written.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head, format!("HTTP/1.1 {expected}").as_bytes(), "{size}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_given_up() {
    let problem = ProblemReport::from(&Problem::error(
        Code::BadHost,
        Place {
            file: "a.yaml".into(),
            line: 1,
            column: 1,
        },
        "x".repeat(1 << 20),
    ));
    let long = StatusReport {
        warnings: vec![problem; 16],
        ..report()
    };
    let server = serving_with(
        long,
        SHORT,
        SlotLimits {
            total: 1,
            per_peer: 1,
        },
    )
    .await;
    let mut unread = TcpStream::connect(server.address).await.unwrap();
    unread
        .write_all(&b"GET /status HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50))
        .await
        .unwrap();
    let mut byte = [0];
    unread.read_exact(&mut byte).await.unwrap();
    let start = Instant::now();
    // It has the only slot, and it is in use until it is given up.
    loop {
        let mut next = TcpStream::connect(server.address).await.unwrap();
        let _ = next
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await;
        if rest(next).await.ends_with("alive\n") {
            break;
        }
        assert!(start.elapsed() < 10 * CLOSE_WAIT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn idle_clients_give_way_and_an_operator_gets_in() {
    let slots = SlotLimits {
        total: 4,
        per_peer: 4,
    };
    let server = serving_with(
        report(),
        AdminLimits::new(&ConnectionLimits::DEFAULT),
        slots,
    )
    .await;
    let mut idle = Vec::new();
    for number in 0..40 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // Some of them have made a request, and keep the connection.
        if number % 2 == 0 {
            let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = [0; 1024];
            assert!(stream.read(&mut answer).await.unwrap() > 0);
        }
        idle.push(stream);
        assert_eq!(get(&server, "/healthz").await.0, 200, "{number}");
    }
}

#[tokio::test]
async fn status_is_computed_for_one_client_at_a_time() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    let computing = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let shared = computing.clone();
    let serving = Serving {
        state: AdminState {
            metrics: Arc::default(),
            status: Arc::new(report),
            questions: Questions::new(Duration::from_secs(1), |_| {
                Box::pin(async { Ok("{}".into()) })
            }),
        },
        turn: Arc::new(Semaphore::new(1)),
    };
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (serving, shared) = (serving.clone(), shared.clone());
        clients.spawn_blocking(move || {
            let compute = serving.in_turn(|_| {
                let (now, most) = &*shared;
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                std::thread::sleep(Duration::from_millis(2));
                now.fetch_sub(1, SeqCst);
            });
            tokio::runtime::Handle::current().block_on(compute);
        });
    }
    clients.join_all().await;
    assert_eq!(computing.1.load(SeqCst), 1);
}
