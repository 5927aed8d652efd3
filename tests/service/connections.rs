//! How many connections there may be: who gives way, who stays, and that a new proxy always gets
//! in.

use customs_engine::settings::Settings;
use customs_net::{PortRefusal, SlotLimits};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::SEED;
use crate::http2_client::*;
use crate::rig::Rig;

async fn rig(total: usize, per_peer: usize) -> Rig {
    let slots = SlotLimits { total, per_peer };
    Rig::start_with_slots(SEED, Settings::default(), slots).await
}

/// Makes a check, and returns whether it was answered.
async fn is_answered(client: &mut Client, stream: u32) -> bool {
    let call = Call::default().with(stream, &message(&check()));
    if client.socket.write_all(&call).await.is_err() {
        return false;
    }
    let came = client.answer(stream).await;
    !came.data.is_empty() && !came.gone
}

/// What a client does that sends no whole check.
fn unfinished() -> [Vec<u8>; 5] {
    let head = frame(HEADERS, END_HEADERS, 1, &Call::default().head());
    let settings = frame(SETTINGS, 0, 0, &[]);
    [
        Vec::new(),
        PREFACE[..10].to_vec(),
        [PREFACE, &settings].concat(),
        [PREFACE, &settings, &head].concat(),
        [
            PREFACE,
            &settings,
            &head,
            &frame(DATA, 0, 1, &message(&check())[..9]),
        ]
        .concat(),
    ]
}

#[tokio::test]
async fn a_new_proxy_gets_in_and_what_is_in_use_stays() {
    // The rig has a connection of its own, which has made no call.
    let rig = rig(4, 4).await;
    let mut kept = Client::connect(&rig).await;
    assert!(is_answered(&mut kept, 1).await);
    for (number, begun) in (0_u32..).zip(unfinished()) {
        let mut idle = Vec::new();
        for _ in 0..8 {
            let mut stream = TcpStream::connect(rig.address).await.unwrap();
            stream.write_all(&begun).await.unwrap();
            idle.push(stream);
        }
        let mut new = Client::connect(&rig).await;
        assert!(is_answered(&mut new, 1).await, "{begun:?}");
        assert!(is_answered(&mut kept, 3 + 2 * number).await, "{begun:?}");
    }
    let refusals = rig.port_refusals.all();
    assert!(refusals.len() >= 30, "{refusals:?}");
    let gave_way = |refusal: &PortRefusal| *refusal == PortRefusal::GaveWay;
    assert!(refusals.iter().all(gave_way), "{refusals:?}");
}

#[tokio::test]
async fn a_port_full_of_proxies_refuses_the_next_until_one_leaves() {
    for (total, per_peer, expected) in [
        (3, 5, PortRefusal::TooManyConnections(3)),
        (5, 3, PortRefusal::TooManyConnectionsOfPeer(3)),
    ] {
        let rig = rig(total, per_peer).await;
        let mut proxies = Vec::new();
        for _ in 0..3 {
            let mut proxy = Client::connect(&rig).await;
            assert!(is_answered(&mut proxy, 1).await);
            proxies.push(proxy);
        }
        let mut next = Client::connect(&rig).await;
        assert!(!is_answered(&mut next, 1).await, "it is closed");
        assert_eq!(rig.port_refusals.all().last(), Some(&expected));
        drop(proxies.pop());
        let gets_in = async {
            loop {
                let mut next = Client::connect(&rig).await;
                if is_answered(&mut next, 1).await {
                    return;
                }
            }
        };
        timeout(BOUND, gets_in).await.unwrap();
        for proxy in &mut proxies {
            assert!(is_answered(proxy, 3).await);
        }
    }
}

#[tokio::test]
async fn a_proxy_that_only_checks_the_health_keeps_its_connection() {
    let rig = rig(2, 2).await;
    let health = Call {
        path: "/grpc.health.v1.Health/Check",
        ..Call::default()
    };
    let mut checker = Client::connect(&rig).await;
    for round in 0..4 {
        let stream = 1 + 2 * round;
        checker.send(&health.with(stream, &message(&[]))).await;
        let came = checker.answer(stream).await;
        assert!(!came.data.is_empty() && !came.gone, "{round}: {came:?}");
        for _ in 0..4 {
            TcpStream::connect(rig.address).await.unwrap();
        }
        let mut new = Client::connect(&rig).await;
        assert!(is_answered(&mut new, 1).await);
    }
}

#[tokio::test]
async fn calls_that_are_no_checks_prove_nothing() {
    for (path, body) in [
        ("/x/y", message(&check())),
        (CHECK, message(b"no check")),
        (CHECK, Vec::new()),
        (
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            Vec::new(),
        ),
    ] {
        let rig = rig(1, 1).await;
        let mut other = Client::connect(&rig).await;
        let call = Call {
            path,
            ..Call::default()
        };
        other.send(&call.with(1, &body)).await;
        let _answered = timeout(BOUND, other.answer(1)).await;
        let mut new = Client::connect(&rig).await;
        assert!(is_answered(&mut new, 1).await, "{path}");
    }
}
