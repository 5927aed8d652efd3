//! customs itself fails on a request of an operator.

use super::*;

#[tokio::test]
async fn a_request_on_which_customs_fails_ends_with_its_connection_and_no_other() {
    let bound = Address::Tcp("127.0.0.1:0".into()).bind().await;
    let listener = bound.unwrap();
    let address: SocketAddr = listener.local().parse().unwrap();
    let limits = AdminLimits::new(&ConnectionLimits::DEFAULT);
    let slots = ConnectionSlots::new(SlotLimits::default());
    let port = Port::new(slots, limits.request_timeout, Arc::new(Unobserved));
    let router = router(AdminState {
        metrics: Arc::default(),
        status: Arc::new(|| panic!("a bug in the status")),
        questions: Questions::new(limits.request_timeout, |_| {
            Box::pin(async { panic!("a bug in an answer") })
        }),
    });
    let shutdown = CancellationToken::new();
    let server = Server {
        address,
        shutdown: shutdown.clone(),
        task: tokio::spawn(serve(port, listener, router, limits, shutdown)),
    };
    // More of them than may be asked at once: each gives its place back.
    for _ in 0..questions::MAX_AT_ONCE + 2 {
        for request in [
            "GET /status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "POST /explain HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let read = stream.read_to_end(&mut answer);
            let _ = timeout(10 * CLOSE_WAIT, read).await.expect("it ends");
            assert!(!answer.starts_with(b"HTTP/1.1 2"), "{request}");
            assert!(!answer.starts_with(b"HTTP/1.1 503"), "{request} waits");
        }
        assert_eq!(get(&server, "/healthz").await.0, 200);
    }
    server.shutdown.cancel();
    server.task.await.unwrap().unwrap();
}
