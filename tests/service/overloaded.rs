//! More calls than may wait: which are refused, how, and what continues meanwhile.

use std::collections::BTreeMap;

use customs_engine::settings::Settings;
use customs_record::RefusalCause;
use prost::Message;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::http2_client::{BOUND, Call, Client, DATA, END_STREAM, HEADERS, message, text};
use crate::rig::{LIMITS, Rig, http};
use crate::{SEED, SLEEP};

/// What `grpc-status: 8` looks like in a refusal of the guard.
const RESOURCE_EXHAUSTED: &[u8] = b"\x0bgrpc-status\x018";

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Denied,
    Refused,
}

/// Returns the check of a caller and a host that the policy denies.
fn denied_check() -> Vec<u8> {
    http(SLEEP, "www.aliyun.com", "GET", "/").encode_to_vec()
}

/// Sends calls in one write, and returns how each ended, in the order of their ends.
async fn burst(client: &mut Client, streams: &[u32], more: &[u8]) -> Vec<(u32, End)> {
    let (call, check) = (
        Call {
            more: more.to_vec(),
            ..Call::default()
        },
        denied_check(),
    );
    let calls = streams
        .iter()
        .flat_map(|stream| call.with(*stream, &message(&check)));
    client.send(&calls.collect::<Vec<u8>>()).await;
    let (mut ends, mut answers) = (Vec::new(), BTreeMap::<u32, Vec<u8>>::new());
    loop {
        while let Some((kind, flags, of, payload)) = client.next_frame() {
            match kind {
                DATA => answers.entry(of).or_default().extend(payload),
                HEADERS if flags & END_STREAM != 0 => {
                    ends.push((of, end(answers.get(&of), &payload)));
                }
                // Headers of an answer, and what is of no call.
                _ => assert!(
                    kind == HEADERS || of == 0,
                    "stream {of} has a frame of type {kind}"
                ),
            }
        }
        if ends.len() == streams.len() {
            return ends;
        }
        let mut more = [0; 16 << 10];
        let read = timeout(BOUND, client.socket.read(&mut more)).await;
        let count = read.expect("an end of each call").unwrap();
        assert!(count > 0, "the connection ended");
        client.read.extend(&more[..count]);
    }
}

fn end(answer: Option<&Vec<u8>>, trailers: &[u8]) -> End {
    match answer {
        // The prefix, and a status that is not empty: the code 7.
        Some(answer) => {
            assert_eq!(answer[5..].first(), Some(&0x0a), "{answer:x?}");
            assert_eq!(answer[7..9], [0x08, 7], "{answer:x?}");
            End::Denied
        }
        None => {
            let status = trailers.windows(RESOURCE_EXHAUSTED.len());
            assert!(
                status.into_iter().any(|part| part == RESOURCE_EXHAUSTED),
                "{trailers:x?}"
            );
            End::Refused
        }
    }
}

fn shed(rig: &Rig) -> usize {
    let refusals = rig.log.refusals();
    assert!(
        refusals
            .iter()
            .all(|(_, cause, _)| *cause == RefusalCause::Overloaded),
        "{refusals:?}"
    );
    refusals.len()
}

#[tokio::test]
async fn checks_beyond_the_bound_are_refused_at_once_and_the_others_are_answered() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut client = Client::connect(&rig).await;
    // After the first answer both sides agree on their tables of headers.
    assert_eq!(burst(&mut client, &[1], &[]).await, [(1, End::Denied)]);
    let streams: Vec<u32> = (1..=400).map(|number| number * 2 + 1).collect();
    let ends = burst(&mut client, &streams, &[]).await;
    let refused = ends.iter().filter(|(_, end)| *end == End::Refused).count();
    let answered = ends.len() - refused;
    let most = usize::try_from(LIMITS.concurrent_streams).unwrap();
    assert!(answered >= most, "as many as may wait: {answered}");
    assert!(refused > 0, "the burst is larger than what may wait");
    assert_eq!(ends[0].1, End::Refused, "no refusal waits for an answer");
    let first_streams: Vec<u32> = streams[..most].to_vec();
    let not_refused = |stream: &u32| ends.contains(&(*stream, End::Denied));
    assert!(
        first_streams.iter().all(not_refused),
        "the first to come are answered"
    );
    assert_eq!(
        (shed(&rig), rig.log.entries().len()),
        (refused, answered + 1)
    );
    assert_eq!(
        burst(&mut client, &[901], &[]).await,
        [(901, End::Denied)],
        "it is over"
    );
}

#[tokio::test]
async fn a_health_check_is_answered_in_the_middle_of_it() {
    let rig = Rig::start(SEED, Settings::default()).await;
    rig.health.set_ready(true).await;
    let mut health = HealthClient::new(rig.channel());
    let mut client = Client::connect(&rig).await;
    burst(&mut client, &[1], &[]).await;
    for round in 0..5 {
        let streams: Vec<u32> = (1..=200)
            .map(|number| round * 1000 + number * 2 + 1)
            .collect();
        let (ends, answer) = tokio::join!(
            burst(&mut client, &streams, &[]),
            health.check(HealthCheckRequest::default())
        );
        assert!(ends.iter().any(|(_, end)| *end == End::Refused));
        assert_eq!(answer.unwrap().into_inner().status, 1, "SERVING");
    }
}

#[tokio::test]
async fn calls_that_are_traced_are_refused_as_well_and_later_ones_are_understood() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut client = Client::connect(&rig).await;
    assert_eq!(burst(&mut client, &[1], &[]).await, [(1, End::Denied)]);
    // Each call adds an entry to the table of headers, whether it is refused or not.
    let traced = [&[0x40][..], &text("traceparent"), &text("00-1-1-01")].concat();
    let streams: Vec<u32> = (1..=400).map(|number| number * 2 + 1).collect();
    let ends = burst(&mut client, &streams, &traced).await;
    let refused = ends.iter().filter(|(_, end)| *end == End::Refused).count();
    assert!(refused > 0 && refused < ends.len(), "{refused}");
    assert_eq!(shed(&rig), refused);
    for (stream, entry) in [(901, 62), (903, 63), (905, 100)] {
        let ends = burst(&mut client, &[stream], &[0x80 | entry]).await;
        assert_eq!(ends, [(stream, End::Denied)], "an entry of the table");
    }
}
