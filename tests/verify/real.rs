//! A log made with the code of the server: entries of every kind, its stream, its checkpoints and
//! its signatures.
//!
//! [`log`](super::log) makes the same by other means, for logs that no server writes.

use std::sync::Arc;
use std::time::Duration;

use customs_audit::checkpoint::{CheckpointFile, Checkpointer, Every};
use customs_engine::time::UnixNanos;
use customs_record::Entry;
use customs_record::signing::Signer;
use customs_record::stream::{self, ResumePoint, Stream};
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;

use super::examples;
use super::log::{Format, Log, Place, key};

const STREAM: &str = "019ab2c4-7f10-4c1e-9a55-0d6c5f1b2a34";
const SINK: &str = "file:a.log";

/// The records: now and then an event of each kind, decisions with every field, and many short
/// ones.
fn entries() -> Vec<Entry> {
    // The first record of a stream is the stream's own.
    let mut entries = examples::of_every_kind();
    entries.retain(|entry| !matches!(entry, Entry::Stream(_)));
    let events = entries.len();
    while entries.len() < 40 * events {
        let mut decision = examples::full_decision();
        decision.decision_number = entries.len() as u64;
        if !entries.len().is_multiple_of(16) {
            let answer = &mut decision.verdict;
            [
                &mut answer.rule_reason,
                &mut answer.owner,
                &mut answer.ticket,
            ]
            .into_iter()
            .for_each(|text| text.clear());
            decision.dry_run = decision.verdict.clone();
            decision.optional = None;
            [
                &mut decision.sni,
                &mut decision.traceparent,
                &mut decision.audit_rule,
            ]
            .into_iter()
            .for_each(|text| text.clear());
        }
        entries.push(Entry::Decision(decision.into()));
    }
    entries
}

/// A log of `records` records, with a checkpoint in its middle and a last one at its end.
pub(crate) fn sealed(format: Format, records: usize) -> Log {
    let folder = tempfile::tempdir().unwrap();
    let (private, checkpoints) = (
        folder.path().join("key.pem"),
        folder.path().join("checkpoints.jsonl"),
    );
    std::fs::write(
        &private,
        key(7).to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes(),
    )
    .unwrap();
    let every = Every {
        records: records as u64 / 2 + 1,
        time: Duration::from_secs(3600),
    };
    let mut checkpointer = Checkpointer::new(every, Vec::new())
        .signed(Some(Arc::new(Signer::read(&private).unwrap())))
        .filed(
            Some(Arc::new(CheckpointFile::open(&checkpoints).unwrap())),
            SINK,
        );

    let (mut log, entries) = (Log::empty(format, 0), entries());
    let its_format = if format == Format::Json {
        stream::Format::Json
    } else {
        stream::Format::Protobuf
    };
    let mut stream = Stream::new(STREAM.into(), SINK, "all", its_format);
    let mut time = UnixNanos(1_795_435_200_000_000_000);
    let mut out = Vec::new();
    stream.begin(ResumePoint::default(), time, &mut out);
    checkpointer.begin(stream.position());
    taken(&mut log, &stream, &mut out);
    for count in 1..=records {
        time.0 += 1_000_000;
        let is_last = count == records;
        if let Some(checkpoint) = checkpointer.due(stream.position(), is_last, time) {
            stream.append(&Entry::Checkpoint(checkpoint.clone().into()), &mut out);
            checkpointer.begin(stream.position());
            checkpointer.publish(checkpoint, true);
        } else {
            stream.append(&entries[count % entries.len()], &mut out);
        }
        taken(&mut log, &stream, &mut out);
    }
    log.checkpoints = std::fs::read_to_string(checkpoints).unwrap();
    assert_eq!(
        (log.records.len(), log.checkpoints.lines().count()),
        (records + 1, 2)
    );
    log
}

/// Takes the record that was rendered.
fn taken(log: &mut Log, stream: &Stream, out: &mut Vec<u8>) {
    let from = log.bytes.len();
    log.bytes.append(out);
    log.records.push(from..log.bytes.len());
    let position = stream.position();
    let mut head = [0; 32];
    for (byte, pair) in head.iter_mut().zip(position.chain.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    }
    log.at = Place {
        stream: position.stream,
        sequence: position.sequence,
        head,
    };
    log.places.push(log.at.clone());
}
