//! Says whether a record is what was written: reads files from the first record to the last, and names the first thing
//! that is wrong.
//!
//! It changes nothing, and it trusts nothing that it reads but the keys it is given. The rules: bytes are taken as they
//! are and never rendered again; files of any size are read in bounded memory; what no checkpoint that counts has sealed
//! is unsealed, and never intact.
//!
//! [`files`] reads, [`record`] says what a record is, [`walk`] goes from one to the next, [`diagnose`] finds the word for
//! the first that does not fit, [`checkpoints`] are the checkpoints that are kept elsewhere, and [`report`] is what was found.

// Its parts speak to one another alone.
#[allow(missing_docs)]
mod checkpoints;
#[allow(missing_docs)]
mod diagnose;
#[allow(missing_docs)]
pub mod files;
#[allow(missing_docs)]
mod record;
pub mod report;
#[allow(missing_docs)]
mod walk;

use std::path::PathBuf;

use super::signing::Verifier;
use checkpoints::Checkpoints;
use files::{LogReadError, Source};
use report::{Bad, Outcome, Report};
use walk::Walk;

/// What is verified, and by what.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The files of one sink, in any order.
    pub files: Vec<PathBuf>,
    /// The checkpoint file.
    pub checkpoints: Option<PathBuf>,
    /// The public keys; with none, signatures are not checked.
    pub keys: Vec<Verifier>,
}

/// Verifies a record.
///
/// # Errors
/// Which file cannot be read, or is no record at all.
pub fn verify(asked: &Asked) -> Result<Report, LogReadError> {
    // The checkpoints first: a running server must not be able to seal more than what is read after them.
    let checkpoints = asked
        .checkpoints
        .as_deref()
        .map(|path| Checkpoints::read(path, &asked.keys))
        .transpose()?
        .unwrap_or_default();
    let (walk, source, bad) = walked(asked, &checkpoints)?;
    let bad = bad.or_else(|| checkpoints.bad.clone());
    let is_sealed = walk.records > 0
        && walk.unsealed == 0
        && walk.last_checkpoint.is_some()
        && walk.torn.is_none();
    let outcome = match (&bad, is_sealed) {
        (Some(_), _) => Outcome::Bad,
        (None, true) => Outcome::Intact,
        (None, false) => Outcome::Unsealed,
    };
    Ok(Report {
        outcome,
        notes: notes(asked, &source, &checkpoints, &walk, outcome),
        bad,
        streams: walk.streams(),
        records: walk.records,
        decisions: walk.decisions,
        declared_losses: walk.lost,
        signatures_checked: !asked.keys.is_empty(),
        last_checkpoint: walk.last_checkpoint,
        unsealed_records: walk.unsealed,
        torn: walk.torn,
        files: source.names,
    })
}

/// Walks over the files in the order of their times; if that goes wrong, in the order in which they are joined, where that
/// is another one: a clock may have been set back, and what is joined says more than any clock.
fn walked<'w>(
    asked: &'w Asked,
    checkpoints: &'w Checkpoints,
) -> Result<(Walk<'w>, Source, Option<Bad>), LogReadError> {
    let mut source = Source::open(&asked.files)?;
    let mut walk = Walk::new(&asked.keys, checkpoints);
    let bad = walk.run(&mut source)?;
    if bad.is_some()
        && source.names.len() > 1
        && let Some(mut joined) = Source::joined(&asked.files)?
        && joined.names != source.names
    {
        let mut again = Walk::new(&asked.keys, checkpoints);
        let bad_again = again.run(&mut joined)?;
        if bad_again.is_none() || again.records > walk.records {
            return Ok((again, joined, bad_again));
        }
    }
    Ok((walk, source, bad))
}

/// What else a reader should know.
fn notes(
    asked: &Asked,
    source: &Source,
    checkpoints: &Checkpoints,
    walk: &Walk<'_>,
    outcome: Outcome,
) -> Vec<String> {
    let mut notes = [
        source.notes.clone(),
        walk.notes.clone(),
        checkpoints.notes.clone(),
    ]
    .concat();
    for file in &source.empty {
        notes.push(format!(
            "{file} is empty: nothing was ever written there, or all of it was cut off"
        ));
    }
    if walk.others() > 0 {
        notes.push(format!(
            "{} checkpoints of the record are not signed by that key; they do not count",
            walk.others()
        ));
    }
    if outcome == Outcome::Unsealed && walk.unsealed > 0 {
        notes.push(
            "nothing is known to be wrong with the unsealed records, but they could have been cut or made anew: a running \
             server seals them with its next checkpoint; one that has ended was killed, or its end was cut off"
                .into(),
        );
    }
    if asked.keys.is_empty() {
        notes.push(
            "signatures were not checked: without --key, whoever can write the files could have made the chain anew"
                .into(),
        );
    }
    let is_open = walk
        .last_checkpoint
        .as_ref()
        .is_some_and(|last| !last.is_final);
    if outcome == Outcome::Intact && is_open && asked.checkpoints.is_none() {
        notes.push("the last checkpoint is not final: what was cut off behind it shows only with --checkpoints".into());
    }
    notes
}
