//! Verifies that an audit log is what was written: reads files from the first record to the last,
//! and names the first thing that is wrong.
//!
//! It changes nothing, and it trusts only the keys that it is given. The rules: bytes are taken as
//! they are and never rendered again; files of any size are read in bounded memory; records after
//! the last checkpoint that counts are unsealed, never intact.
//!
//! - [`files`] reads the files;
//! - [`record`] says what a record is;
//! - [`walk`] checks each record against the one before;
//! - [`diagnose`] names what is wrong with the first record that does not fit;
//! - [`range`] is a part of a log, such as a day, that is cut out and verified by itself;
//! - [`checkpoints`] are those that are kept elsewhere;
//! - [`mod@report`] is the result.

// Only this module and its siblings use these.
#[allow(missing_docs)]
mod checkpoints;
#[allow(missing_docs)]
mod diagnose;
#[allow(missing_docs)]
pub mod files;
pub mod range;
#[allow(missing_docs)]
pub mod record;
pub mod report;
#[allow(missing_docs)]
mod walk;

use std::path::PathBuf;

use super::signing::Verifier;
use checkpoints::Checkpoints;
use files::{LogReadError, Source};
use report::{Bad, Outcome, Report};
use walk::Walk;

/// What is verified, and with which keys.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The files of one sink, in any order.
    pub files: Vec<PathBuf>,
    /// The checkpoint file.
    pub checkpoints: Option<PathBuf>,
    /// The public keys; without keys, signatures are not checked.
    pub keys: Vec<Verifier>,
}

/// Verifies an audit log.
///
/// # Errors
/// If a file cannot be read or is not part of an audit log.
pub fn verify(options: &VerifyOptions) -> Result<Report, LogReadError> {
    // Checkpoints are read first: otherwise a running server could seal more records than are read
    // here.
    let checkpoints = Checkpoints::of_option(options.checkpoints.as_deref(), &options.keys)?;
    let (walk, source, bad) = walked(options, &checkpoints)?;
    Ok(report(options, source, &checkpoints, walk, bad))
}

/// Returns the result of a walk.
fn report(
    options: &VerifyOptions,
    source: Source,
    checkpoints: &Checkpoints,
    walk: Walk<'_>,
    bad: Option<Bad>,
) -> Report {
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
    Report {
        outcome,
        notes: notes(options, &source, checkpoints, &walk, outcome),
        bad,
        streams: walk.streams(),
        records: walk.records,
        decisions: walk.decisions,
        declared_losses: walk.lost,
        signatures_checked: !options.keys.is_empty(),
        last_checkpoint: walk.last_checkpoint,
        unsealed_records: walk.unsealed,
        torn: walk.torn,
        files: source.names,
    }
}

/// Reads the files in the order of their times. If that finds an error, reads them in the order in
/// which they continue one another, if it differs: a clock may have been set back, and the links
/// are more reliable than any clock.
fn walked<'w>(
    options: &'w VerifyOptions,
    checkpoints: &'w Checkpoints,
) -> Result<(Walk<'w>, Source, Option<Bad>), LogReadError> {
    let mut source = Source::open(&options.files)?;
    let mut walk = Walk::new(&options.keys, checkpoints);
    let bad = walk.run(&mut source, |_| true)?;
    if bad.is_some()
        && source.names.len() > 1
        && let Some(mut joined) = Source::joined(&options.files)?
        && joined.names != source.names
    {
        let mut again = Walk::new(&options.keys, checkpoints);
        let bad_again = again.run(&mut joined, |_| true)?;
        if bad_again.is_none() || again.records > walk.records {
            return Ok((again, joined, bad_again));
        }
    }
    Ok((walk, source, bad))
}

/// Returns what else a reader should know.
fn notes(
    options: &VerifyOptions,
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
            "{} checkpoints of the audit log are not signed by that key; they do not count",
            walk.others()
        ));
    }
    if outcome == Outcome::Unsealed && walk.unsealed > 0 {
        notes.push(
            "nothing is known to be wrong with the unsealed records, but they could have been cut or rewritten: a running \
             server seals them with its next checkpoint; one that has ended was killed, or its end was cut off"
                .into(),
        );
    }
    if options.keys.is_empty() {
        notes.push(
            "signatures were not checked: without --key, a process that can write the files could have rewritten the whole chain"
                .into(),
        );
    }
    let is_open = walk
        .last_checkpoint
        .as_ref()
        .is_some_and(|last| !last.is_final);
    if outcome == Outcome::Intact && is_open && options.checkpoints.is_none() {
        notes.push("the last checkpoint is not final: records that were cut off after it are found only with --checkpoints".into());
    }
    notes
}
