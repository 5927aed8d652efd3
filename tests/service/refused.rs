//! Input on the address of checks that is not a check, byte by byte: each is answered or ended as
//! in gRPC, and reported with its cause. And a check is answered, however a proxy spells its call.

use std::net::IpAddr;
use std::time::Duration;

use customs_engine::settings::Settings;
use customs_record::{PeerAddress, RefusalCause};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::SEED;
use crate::http2_client::*;
use crate::rig::{LIMITS, Rig};

fn causes(rig: &Rig) -> Vec<RefusalCause> {
    let refusals = rig.log.refusals();
    let here = PeerAddress::Ip(IpAddr::from([127, 0, 0, 1]));
    assert!(
        refusals
            .iter()
            .all(|(peer, _, example)| *peer == here && !example.is_empty()),
        "{refusals:?}"
    );
    refusals.into_iter().map(|(_, cause, _)| cause).collect()
}

/// Waits until something was refused, and returns the causes.
async fn some_causes(rig: &Rig) -> Vec<RefusalCause> {
    let wait = async {
        loop {
            let causes = causes(rig);
            if !causes.is_empty() {
                return causes;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BOUND, wait).await.expect("it is reported")
}

#[tokio::test]
async fn a_check_is_answered_whatever_the_proxy_calls_its_cluster() {
    let rig = Rig::start(SEED, Settings::default()).await;
    for authority in [
        "customs",
        "extension/egress/customs",
        "outbound|9191||customs.egress.svc.cluster.local",
        "customs cluster",
        "customs%1",
        "a:b:c",
        "zürich",
    ] {
        let mut client = Client::connect(&rig).await;
        // First as a new entry of the table, then from the table, where it is the newest, and at
        // last without the table.
        let spelt = [
            [&[0x41][..], &text(authority)].concat(),
            vec![0x80 | 62],
            [&[0x11][..], &text(authority)].concat(),
        ];
        let streams = [1, 3, 5];
        for (stream, authority) in streams.into_iter().zip(spelt) {
            client
                .send(
                    &Call {
                        authority,
                        ..Call::default()
                    }
                    .with(stream, &message(&check())),
                )
                .await;
            let came = client.answer(stream).await;
            assert!(!came.data.is_empty() && !came.gone, "{stream}: {came:?}");
        }
    }
    assert_eq!((rig.log.entries().len(), causes(&rig)), (21, vec![]));
}

#[tokio::test]
async fn a_call_that_is_not_a_check_is_refused_with_its_cause() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let good = message(&check());
    let call = Call::default;
    let (ok, not_allowed, unsupported) = (0x88, b'4', b'4');
    for (name, call, body, status, cause) in [
        (
            "GET",
            Call {
                method: &[0x82],
                ..call()
            },
            good.clone(),
            not_allowed,
            RefusalCause::HttpMethod,
        ),
        (
            "text/plain",
            Call {
                content_type: Some("text/plain"),
                ..call()
            },
            good.clone(),
            unsupported,
            RefusalCause::ContentType,
        ),
        (
            "none",
            Call {
                content_type: None,
                ..call()
            },
            good.clone(),
            unsupported,
            RefusalCause::ContentType,
        ),
        (
            "json",
            Call {
                content_type: Some("application/grpc+json"),
                ..call()
            },
            good.clone(),
            unsupported,
            RefusalCause::ContentType,
        ),
        (
            "web",
            Call {
                content_type: Some("application/grpc-web"),
                ..call()
            },
            good.clone(),
            unsupported,
            RefusalCause::ContentType,
        ),
        (
            "path",
            Call {
                path: "/envoy.service.auth.v2.Authorization/Check",
                ..call()
            },
            good.clone(),
            ok,
            RefusalCause::UnknownMethod,
        ),
        (
            "method",
            Call {
                path: "/envoy.service.auth.v3.Authorization/Chek",
                ..call()
            },
            good.clone(),
            ok,
            RefusalCause::UnknownMethod,
        ),
        (
            "query",
            Call {
                path: "/envoy.service.auth.v3.Authorization/Check?x=1",
                ..call()
            },
            good.clone(),
            ok,
            RefusalCause::UnknownMethod,
        ),
        (
            "large",
            call(),
            vec![0, 0, 0x40, 0, 1],
            ok,
            RefusalCause::MessageTooLarge,
        ),
        (
            "compressed",
            call(),
            [&[1], &good[1..]].concat(),
            ok,
            RefusalCause::MessageCompressed,
        ),
        ("none", call(), vec![], ok, RefusalCause::MessageCount),
        (
            "two",
            call(),
            [good.clone(), good.clone()].concat(),
            ok,
            RefusalCause::MessageCount,
        ),
        (
            "short",
            call(),
            good[..9].to_vec(),
            ok,
            RefusalCause::MessageUnfinished,
        ),
        (
            "malformed",
            call(),
            message(&[0xff; 20]),
            ok,
            RefusalCause::MessageMalformed,
        ),
    ] {
        let mut client = Client::connect(&rig).await;
        client.send(&call.with(1, &body)).await;
        let came = client.answer(1).await;
        let first = came.status.unwrap();
        // The table of HPACK has 200. The others are spelt out after a name, and the causes
        // distinguish them.
        assert_eq!(first == ok, status == ok, "{name}: {came:?}");
        assert!(came.data.is_empty(), "{name}: {came:?}");
        assert_eq!(causes(&rig), [cause], "{name}");
    }
    assert_eq!(rig.log.entries().len(), 0, "none of them was decided");
}

#[tokio::test]
async fn a_client_without_http2_is_ended_and_reported() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let hello = [&[0x16, 3, 1, 0, 0x4a, 1, 0, 0, 0x46, 3, 3][..], &[0; 64]].concat();
    for (bytes, cause) in [
        (
            &b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"[..],
            RefusalCause::Http1,
        ),
        (
            b"POST /envoy.service.auth.v3.Authorization/Check HTTP/1.1\r\n\r\n",
            RefusalCause::Http1,
        ),
        (b"PRI * HTTP/1.1\r\n\r\n", RefusalCause::Http1),
        (&hello, RefusalCause::Tls),
        (b"SSH-2.0-OpenSSH_9.9\r\n", RefusalCause::OtherProtocol),
        (b"PING\r\n", RefusalCause::OtherProtocol),
        (&[0; 30], RefusalCause::OtherProtocol),
    ] {
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = timeout(BOUND, socket.read_to_end(&mut rest))
            .await
            .expect("it is ended");
        assert_eq!(
            some_causes(&rig).await,
            [cause],
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    // One connection ends within the preface. A connection that sends nothing, like a probe of the
    // port, is not reported.
    let mut socket = TcpStream::connect(rig.address).await.unwrap();
    socket.write_all(&PREFACE[..10]).await.unwrap();
    drop(socket);
    assert_eq!(some_causes(&rig).await, [RefusalCause::OtherProtocol]);
    drop(TcpStream::connect(rig.address).await.unwrap());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(causes(&rig), []);
}

#[tokio::test]
async fn headers_that_http2_refuses_are_reported() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let large: Vec<u8> = (0..200)
        .flat_map(|_| literal("x", &"y".repeat(120)))
        .collect();
    let half = large.len() / 2;
    let mut client = Client::connect(&rig).await;
    let head = Call {
        more: large[..half].to_vec(),
        ..Call::default()
    }
    .head();
    // Too large for one frame.
    client.send(&frame(HEADERS, 0, 1, &head)).await;
    client.send(&frame(9, END_HEADERS, 1, &large[half..])).await;
    let came = client.answer(1).await;
    assert!(came.data.is_empty() && !came.gone, "{came:?}");
    assert_eq!(some_causes(&rig).await, [RefusalCause::StreamRefused]);
    let empty = Call {
        authority: vec![0x01, 0],
        ..Call::default()
    };
    client.send(&empty.with(3, &message(&check()))).await;
    assert!(client.answer(3).await.reset.is_some());
    assert_eq!(some_causes(&rig).await, [RefusalCause::StreamRefused]);
    client
        .send(&Call::default().with(5, &message(&check())))
        .await;
    assert!(
        !client.answer(5).await.data.is_empty(),
        "others on the connection go on"
    );
}

#[tokio::test]
async fn a_call_abandoned_before_it_is_whole_is_reported() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut client = Client::connect(&rig).await;
    client
        .send(&frame(HEADERS, END_HEADERS, 1, &Call::default().head()))
        .await;
    client
        .send(&Call::default().with(3, &message(&check())))
        .await;
    assert!(!client.answer(3).await.data.is_empty());
    client
        .send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()))
        .await;
    assert_eq!(some_causes(&rig).await, [RefusalCause::Abandoned]);
    let hurried = Call {
        more: literal("grpc-timeout", "50m"),
        ..Call::default()
    };
    client
        .send(&frame(HEADERS, END_HEADERS, 5, &hurried.head()))
        .await;
    assert_eq!(
        client.answer(5).await.status,
        Some(0x88),
        "the deadline passes"
    );
    assert_eq!(some_causes(&rig).await, [RefusalCause::Abandoned]);
}

fn resets(first: u32, count: u32) -> Vec<u8> {
    let head = Call::default().head();
    let stream = |number| {
        let (stream, cancel) = (first + 2 * number, 8_u32.to_be_bytes());
        [
            frame(HEADERS, END_HEADERS, stream, &head),
            frame(RST_STREAM, 0, stream, &cancel),
        ]
        .concat()
    };
    (0..count).flat_map(stream).collect()
}

#[tokio::test]
async fn as_many_resets_as_a_stall_makes_are_forgiven() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut client = Client::connect(&rig).await;
    client.send(&resets(1, LIMITS.pending_resets)).await;
    client
        .send(&Call::default().with(1_001, &message(&check())))
        .await;
    let came = client.answer(1_001).await;
    assert!(!came.data.is_empty() && !came.gone, "{came:?}");
    assert_eq!(client.announced, Some(LIMITS.concurrent_streams));
    assert!(
        causes(&rig)
            .iter()
            .all(|cause| *cause == RefusalCause::Abandoned)
    );
}

#[tokio::test]
async fn a_flood_of_resets_is_cut_and_reported_once() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut client = Client::connect(&rig).await;
    let flood = resets(1, 20 * LIMITS.pending_resets);
    // The connection may be cut before all of it is written.
    let _ = client.socket.write_all(&flood).await;
    assert!(client.answer(99_999).await.gone);
    let cuts = some_causes(&rig)
        .await
        .into_iter()
        .filter(|cause| *cause != RefusalCause::Abandoned)
        .count();
    assert!(cuts <= 1, "one connection was cut");
    let mut other = Client::connect(&rig).await;
    other
        .send(&Call::default().with(1, &message(&check())))
        .await;
    assert!(
        !other.answer(1).await.data.is_empty(),
        "others are answered"
    );
}

#[tokio::test]
async fn a_slow_flood_of_resets_is_cut_as_well() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut client = Client::connect(&rig).await;
    let cut = async {
        // Few at a time, so that the server keeps up and none is ever waiting, but far more than
        // the budget regains over time.
        for round in 0.. {
            if client
                .socket
                .write_all(&resets(1 + 100 * round, 30))
                .await
                .is_err()
            {
                return;
            }
            let mut more = [0; 4096];
            if matches!(client.socket.try_read(&mut more), Ok(0)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(BOUND, cut).await.expect("it is cut");
    assert!(
        some_causes(&rig)
            .await
            .contains(&RefusalCause::ConnectionCut)
    );
}
