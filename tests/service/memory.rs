//! What clients may hold: calls that are not whole, answers that are not taken, streams that never
//! end. Beyond it a call is refused and reported. What is guaranteed is answered meanwhile.

use std::time::Duration;

use customs_engine::settings::Settings;
use customs_net::ConnectionLimits;
use customs_record::RefusalCause;
use tokio::time::timeout;

use crate::SEED;
use crate::http2_client::*;
use crate::rig::Rig;

const HEALTH: &str = "/grpc.health.v1.Health/";

/// Little memory, and time to use it up.
const LIMITS: ConnectionLimits = ConnectionLimits {
    body_memory: 1 << 20,
    message_size: 512 << 10,
    request_timeout: Duration::from_secs(30),
    ..ConnectionLimits::DEFAULT
};

async fn start() -> Rig {
    Rig::start_with(SEED, Settings::default(), LIMITS).await
}

fn refusals(rig: &Rig, cause: RefusalCause) -> usize {
    let refusals = rig.log.refusals();
    let only = refusals.iter().all(|(_, seen, _)| *seen == cause);
    assert!(only, "{refusals:?}");
    refusals.len()
}

fn head(stream: u32, path: &str) -> Vec<u8> {
    let call = Call {
        path,
        ..Call::default()
    };
    frame(HEADERS, END_HEADERS, stream, &call.head())
}

/// Fills the memory with checks that are not whole, over so many connections, and returns them.
async fn fill(rig: &Rig, connections: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut client = Client::connect(rig).await;
        for stream in (1..1000).step_by(2) {
            // A kilobyte of a message of many.
            let begun = [&[0, 0, 1, 0, 0][..], &[0; 1 << 10]].concat();
            client
                .send(&[head(stream, CHECK), frame(DATA, 0, stream, &begun)].concat())
                .await;
            if stream % 100 == 1 {
                client.until_read().await;
            }
        }
        until_refused(&mut client, 1001).await;
        clients.push(client);
    }
    clients
}

/// Begins checks, from this stream on, until one is refused: by then the connection holds all that it
/// may.
async fn until_refused(client: &mut Client, first: u32) {
    let refused = async {
        for stream in (first..).step_by(2) {
            let begun = [0, 0, 1, 0, 0, 7];
            client
                .send(&[head(stream, CHECK), frame(DATA, 0, stream, &begun)].concat())
                .await;
            let answer = client.until_the_end(stream);
            if let Ok(came) = timeout(Duration::from_millis(50), answer).await {
                assert!(came.data.is_empty() && !came.gone, "{came:?}");
                return;
            }
        }
    };
    timeout(BOUND, refused).await.expect("one is refused");
}

#[tokio::test]
async fn checks_that_are_not_whole_are_refused_once_they_hold_the_memory() {
    let rig = start().await;
    let _clients = fill(&rig, 1).await;
    let refused = refusals(&rig, RefusalCause::MemoryExhausted);
    // A connection holds half of the memory at most: about a hundred and fifty calls.
    assert!((250..450).contains(&refused), "{refused}");
}

#[tokio::test]
async fn an_ordinary_check_is_answered_while_others_hold_the_memory() {
    let rig = start().await;
    let _clients = fill(&rig, 20).await;
    assert!(refusals(&rig, RefusalCause::MemoryExhausted) > 0);
    let mut client = Client::connect(&rig).await;
    let whole = message(&check());
    for stream in (1..400).step_by(2) {
        // It arrives in two pieces, with a pause between them.
        let (first, second) = whole.split_at(20);
        client
            .send(&[head(stream, CHECK), frame(DATA, 0, stream, first)].concat())
            .await;
        if stream < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        client.send(&frame(DATA, END_STREAM, stream, second)).await;
        assert!(!client.answer(stream).await.data.is_empty(), "{stream}");
    }
    assert_eq!(refusals(&rig, RefusalCause::MemoryExhausted), 0);
}

/// Sends a message that is longer than the window of a call, as the window allows, and returns its
/// answer.
async fn send_large(client: &mut Client, stream: u32, body: &[u8]) -> Came {
    client.send(&head(stream, CHECK)).await;
    let mut window = 32 << 10;
    for chunk in body.chunks(16_000) {
        while window < chunk.len() {
            match client.next_frame() {
                Some((WINDOW_UPDATE, _, of, payload)) if of == stream => {
                    let more: [u8; 4] = payload.try_into().unwrap();
                    window += u32::from_be_bytes(more) as usize;
                }
                // It is refused, and the rest is not wanted.
                Some((HEADERS, _, of, _)) if of == stream => return Came::default(),
                Some(_) => {}
                None => assert!(client.receive().await, "the connection stays"),
            }
        }
        client.send(&frame(DATA, 0, stream, chunk)).await;
        window -= chunk.len();
    }
    client.send(&frame(DATA, END_STREAM, stream, &[])).await;
    client.answer(stream).await
}

#[tokio::test]
async fn memory_comes_back_with_the_calls_that_held_it() {
    let rig = start().await;
    for _ in 0..3 {
        let clients = fill(&rig, 4).await;
        let mut client = Client::connect(&rig).await;
        let large = message(&[0; 400 << 10]);
        assert!(send_large(&mut client, 1, &large).await.data.is_empty());
        assert!(refusals(&rig, RefusalCause::MemoryExhausted) > 0);
        drop(clients);
        let freed = async {
            for stream in (3..).step_by(2) {
                send_large(&mut client, stream, &large).await;
                let causes = rig.log.refusals();
                // Zeros are not a check, which is said only of a message that was read.
                if causes
                    .iter()
                    .any(|(_, cause, _)| *cause == RefusalCause::MessageMalformed)
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(BOUND, freed).await.expect("the memory comes back");
        rig.log.refusals();
    }
}

#[tokio::test]
async fn answers_that_are_not_taken_hold_the_memory_too() {
    let rig = start().await;
    let mut client = Client::connect(&rig).await;
    client
        .send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]))
        .await;
    for stream in (1..1000).step_by(2) {
        client
            .send(&Call::default().with(stream, &message(&check())))
            .await;
        if stream % 100 == 1 {
            client.until_read().await;
        }
    }
    client.answer(999).await;
    let refused = refusals(&rig, RefusalCause::MemoryExhausted);
    assert!((250..450).contains(&refused), "{refused}");
    assert_eq!(rig.log.entries().len() + refused, 500);
}

#[tokio::test]
async fn streams_that_never_end_are_few() {
    let rig = start().await;
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let watch = format!("{HEALTH}Watch");
    for (path, body) in [(watch.as_str(), Some(message(&[]))), (reflection, None)] {
        let mut client = Client::connect(&rig).await;
        for stream in (1..100).step_by(2) {
            client.send(&head(stream, path)).await;
            if let Some(body) = &body {
                client.send(&frame(DATA, END_STREAM, stream, body)).await;
            }
        }
        let came = client.answer(99).await;
        assert!(came.data.is_empty() && !came.gone, "{path}: {came:?}");
        assert_eq!(
            refusals(&rig, RefusalCause::TooManyCalls),
            50 - 16,
            "{path}"
        );
    }
}

#[tokio::test]
async fn health_is_answered_while_others_hold_all_streams() {
    let rig = start().await;
    rig.health.set_ready(true).await;
    let watch = format!("{HEALTH}Watch");
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(&rig).await;
        for stream in (1..40).step_by(2) {
            client.send(&head(stream, &watch)).await;
            client
                .send(&frame(DATA, END_STREAM, stream, &message(&[])))
                .await;
        }
        client.answer(39).await;
        clients.push(client);
    }
    assert!(refusals(&rig, RefusalCause::TooManyCalls) > 100);
    let mut client = Client::connect(&rig).await;
    for stream in (1..40).step_by(2) {
        let check = Call {
            path: &format!("{HEALTH}Check"),
            ..Call::default()
        };
        client.send(&check.with(stream, &message(&[]))).await;
        let came = client.answer(stream).await;
        assert_eq!(came.data, message(&[8, 1]), "SERVING");
    }
}

#[tokio::test]
async fn a_request_of_health_is_short_and_whole_in_time() {
    let limits = ConnectionLimits {
        request_timeout: Duration::from_secs(1),
        ..LIMITS
    };
    let rig = Rig::start_with(SEED, Settings::default(), limits).await;
    let path = format!("{HEALTH}Watch");
    for (body, cause) in [
        (vec![0; 5 << 10], RefusalCause::MessageTooLarge),
        (vec![0; 3], RefusalCause::RequestTimeout),
    ] {
        let mut client = Client::connect(&rig).await;
        client
            .send(&[head(1, &path), frame(DATA, 0, 1, &body)].concat())
            .await;
        let came = client.answer(1).await;
        assert!(came.data.is_empty() && !came.gone, "{came:?}");
        assert_eq!(refusals(&rig, cause), 1);
    }
}
