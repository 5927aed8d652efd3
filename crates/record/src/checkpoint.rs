//! A checkpoint: how many records a stream had at a moment, and the chain of the last of them. With
//! it, records that are cut off the end are missed too.
//!
//! This module says what a checkpoint is and how a checkpoint file spells it. The crate that writes
//! the stream decides when one is due and where it is published.

use std::sync::Arc;

use super::entry::audit_log::Position;
use super::json;
use super::signing::Signer;
use super::{CheckpointEntry, Entry};
use customs_engine::time::UnixNanos;

/// Makes the checkpoint of a stream at `position`, signed if there is a signer.
pub fn checkpoint(
    position: Position,
    is_last: bool,
    time: UnixNanos,
    signer: Option<&Signer>,
) -> CheckpointEntry {
    let (key, signature) = (String::new(), String::new());
    let mut checkpoint = CheckpointEntry {
        time,
        sealed: position,
        last: is_last,
        key,
        signature,
    };
    if let Some(signer) = signer {
        signer.sign(&mut checkpoint);
    }
    checkpoint
}

/// Renders the line of a checkpoint file: JSON as in a record, without a chain, with the name of
/// the sink that the stream belongs to.
pub fn file_line(checkpoint: &Arc<CheckpointEntry>, sink: &str) -> Vec<u8> {
    let Position {
        stream, sequence, ..
    } = &checkpoint.sealed;
    let mut line = Vec::new();
    // The number that the same checkpoint has in its stream: the one after the records that it
    // covers.
    json::open(
        &Entry::Checkpoint(checkpoint.clone()),
        stream,
        sequence + 1,
        &mut line,
    );
    json::close_plain(sink, &mut line);
    line
}
