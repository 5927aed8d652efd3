//! Walks over all records: each must follow from the one before, and every checkpoint must agree
//! with the chain.
//!
//! It stops at the first thing that is wrong and asks [`diagnose`](super::diagnose) what it is. The
//! rule: records after the last checkpoint that counts are never called intact.

use std::collections::BTreeSet;

use super::checkpoints::{Checkpoints, FileCheckpoint, Worth, worth};
use super::diagnose::Case;
use super::files::{Item, LogReadError, Place, Source};
use super::record::{About, At, Checkpoint, Link, Seen, is_whole};
use super::report::{Bad, Declared, Last, Named, Tail, What};
use crate::signing::Verifier;
use customs_policy::printable;

/// The position of the walk, and what it has seen.
pub(super) struct Walk<'w> {
    keys: &'w [Verifier],
    checkpoints: &'w Checkpoints,
    /// The position behind the last record, and behind the one before.
    at: Option<At>,
    before: Option<Option<At>>,
    last: Option<(Box<Seen>, Place)>,
    /// The last record was the final checkpoint of its stream.
    is_final: bool,
    /// How many of the stream's checkpoints in the checkpoint file have been passed.
    passed: usize,
    met: BTreeSet<String>,
    sink: String,
    others: u64,
    /// A file that the audit log itself says was deleted.
    deleted: Option<Bad>,
    pub records: u64,
    pub decisions: u64,
    pub lost: Declared,
    pub unsealed: u64,
    pub last_checkpoint: Option<Last>,
    pub torn: Option<Tail>,
    pub notes: Vec<String>,
}

impl<'w> Walk<'w> {
    /// Creates a walk that has seen nothing.
    pub(super) fn new(keys: &'w [Verifier], checkpoints: &'w Checkpoints) -> Walk<'w> {
        Walk {
            keys,
            checkpoints,
            at: None,
            before: None,
            last: None,
            is_final: false,
            passed: 0,
            met: BTreeSet::new(),
            sink: String::new(),
            others: 0,
            deleted: None,
            records: 0,
            decisions: 0,
            lost: Declared::default(),
            unsealed: 0,
            last_checkpoint: None,
            torn: None,
            notes: Vec::new(),
        }
    }

    /// Begins in the middle of a chain, behind this position.
    pub(super) fn starting_at(self, at: Option<At>) -> Walk<'w> {
        Walk { at, ..self }
    }

    /// Returns how many streams were seen.
    pub(super) fn streams(&self) -> usize {
        self.met.len()
    }

    /// Walks over all records and returns the first thing that is wrong. `take` gets each record
    /// that is right, and ends the walk if it returns false.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn run(
        &mut self,
        source: &mut Source,
        mut take: impl FnMut(&Seen) -> bool,
    ) -> Result<Option<Bad>, LogReadError> {
        while let Some((item, place, is_first)) = source.step()? {
            let is_record = matches!(item, Item::Record(_));
            let bad = match item {
                Item::Record(seen) => self.record(seen, &place, is_first, source)?,
                Item::Broken(why) => Some(self.case(None, is_first).broken(why, &place, source)?),
                Item::Torn(format, rest) => {
                    if is_whole(format, &rest, self.at.as_ref().map(|at| &at.head)) {
                        Some(Bad::at(
                            What::Edited,
                            Named::place(&place),
                            "its end or its length was changed",
                        ))
                    } else {
                        self.unfinished(rest.len() as u64, &place, source)?
                    }
                }
                Item::Damaged => {
                    let why = "the packed file is damaged here: it cannot be unpacked, or its checksum is wrong";
                    Some(Bad::at(What::Edited, Named::place(&place), why))
                }
                Item::CutShort => {
                    let why = "the packed file ends too early; what it held after this is missing";
                    Some(Bad::at(What::Truncated, Named::place(&place), why))
                }
            };
            if bad.is_some() {
                return Ok(bad);
            }
            if let Some((seen, _)) = self.last.as_ref().filter(|_| is_record)
                && !take(seen)
            {
                return Ok(None);
            }
        }
        Ok(self
            .stream_ends()
            .or_else(|| self.later_streams())
            .or_else(|| self.deleted.take()))
    }

    fn last_named(&self) -> Option<Named> {
        self.last
            .as_ref()
            .map(|(seen, place)| Named::record(seen, place))
    }

    fn case(&self, seen: Option<&Seen>, is_first: bool) -> Case<'_> {
        let is_known = seen.is_some_and(|seen| self.met.contains(&seen.stream));
        Case {
            at: self.at.as_ref(),
            before: self.before.as_ref(),
            last: self.last.as_ref(),
            is_known,
            is_first,
        }
    }

    fn record(
        &mut self,
        seen: Box<Seen>,
        place: &Place,
        is_first: bool,
        rest: &mut Source,
    ) -> Result<Option<Bad>, LogReadError> {
        if !seen.follows(self.at.as_ref()) {
            return Ok(Some(
                self.case(Some(&seen), is_first).of(&seen, place, rest)?,
            ));
        }
        let is_same = self.at.as_ref().is_some_and(|at| at.stream == seen.stream);
        if self.is_final && is_same {
            let why =
                "the checkpoint before it is the last of its stream: nothing was written after it";
            return Ok(Some(Bad::at(
                What::Inserted,
                Named::record(&seen, place),
                why,
            )));
        }
        if !is_same && let Some(bad) = self.stream_ends() {
            return Ok(Some(bad));
        }
        self.take(&seen, is_same, place);
        let bad = self
            .checkpoint_here(&seen, place)
            .or_else(|| self.sealed_elsewhere(&seen, place));
        let Some(bad) = bad else {
            self.last = Some((seen, place.clone()));
            return Ok(None);
        };
        // If the record was inserted before the one that was sealed, that one comes next.
        let before = self.before.as_ref().and_then(Option::as_ref);
        let is_put_in = before.is_some() && rest.peek()?.is_some_and(|next| next.follows(before));
        let why = "it was inserted here; the chain continues from the record before it to the one after it";
        Ok(Some(if is_put_in {
            Bad::at(What::Inserted, Named::record(&seen, place), why)
        } else {
            bad
        }))
    }

    fn take(&mut self, seen: &Seen, is_same: bool, place: &Place) {
        if !is_same {
            self.met.insert(seen.stream.clone());
            self.passed = 0;
        }
        if let Some(link) = seen.link() {
            self.note_cut(seen, link, place);
            self.sink.clone_from(&link.sink);
            self.note_filter(&link.filter);
            if let (None, Some(previous)) = (&self.at, &link.previous) {
                let At {
                    stream, sequence, ..
                } = previous;
                self.notes.push(format!(
                    "the first file continues from record {sequence} of stream {stream}, which is not given"
                ));
                // The records that earlier checkpoints cover are not given.
                let is_before = |kept: &&FileCheckpoint| kept.checkpoint.records < seen.sequence;
                self.passed = self
                    .checkpoints
                    .of(&seen.stream)
                    .iter()
                    .take_while(is_before)
                    .count();
            }
        }
        self.before = Some(self.at.replace(seen.at()));
        self.is_final = false;
        self.records += 1;
        self.unsealed += 1;
        match &seen.about {
            About::Decision => self.decisions += 1,
            About::Gap(lost) => {
                self.lost.gaps += 1;
                self.lost.records = self.lost.records.saturating_add(lost.total());
                self.lost.decisions = self.lost.decisions.saturating_add(lost.decisions());
            }
            _ => {}
        }
    }

    /// Handles a first file that says that another process moved or deleted the file before while
    /// customs wrote to it. A deleted file is missing, and the audit log itself says so. The walk
    /// continues, since the records that follow may be right.
    fn note_cut(&mut self, seen: &Seen, link: &Link, place: &Place) {
        let (None, Some(previous)) = (&self.at, &link.previous) else {
            return;
        };
        let At {
            stream, sequence, ..
        } = previous;
        if link.is_before_deleted {
            let why = format!(
                "another process deleted the file before while customs wrote to it: the records up to number {sequence} of stream \
                 {stream} that it held are gone"
            );
            self.deleted = Some(Bad::at(What::Deleted, Named::record(seen, place), why));
        } else if link.is_before_moved {
            self.notes.push(
                "another process moved the file before while customs wrote to it; give that file as well, it is part of the audit log"
                    .into(),
            );
        }
    }

    /// Notes the filter: a log of some decisions must not be taken for one of all.
    fn note_filter(&mut self, filter: &str) {
        let note = format!(
            "the audit log holds only what the filter `{}` lets through",
            printable::line(filter)
        );
        if filter != "all" && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Checks a checkpoint of the record's own stream.
    fn checkpoint_here(&mut self, seen: &Seen, place: &Place) -> Option<Bad> {
        let About::Checkpoint(checkpoint) = &seen.about else {
            return None;
        };
        // A checkpoint of another stream may be copied here; it is checked in its own stream.
        if checkpoint.stream != seen.stream {
            return None;
        }
        let worth = worth(self.keys, checkpoint);
        let named = Named::record(seen, place);
        if worth == Worth::BadSignature {
            let why = format!(
                "key {} did not sign this checkpoint: {}",
                checkpoint.key,
                self.range(seen.sequence)
            );
            return Some(Bad::at(What::BadSignature, named, why));
        }
        let before = self.before.as_ref()?.as_ref()?;
        if checkpoint.records != before.sequence || checkpoint.head != before.head.hex().as_str() {
            let why = format!(
                "the chain was different when this checkpoint was made: {}",
                self.range(seen.sequence)
            );
            return Some(Bad::at(What::CheckpointMismatch, named, why));
        }
        self.is_final = checkpoint.is_final;
        if worth == Worth::Counts {
            self.unsealed = 0;
            self.last_checkpoint = Some(last(checkpoint, &named.file));
        } else {
            self.others += 1;
        }
        None
    }

    /// Checks the record against the checkpoints of the checkpoint file.
    fn sealed_elsewhere(&mut self, seen: &Seen, place: &Place) -> Option<Bad> {
        let kept = self.checkpoints.of(&seen.stream);
        while let Some(FileCheckpoint { checkpoint, line }) = kept
            .get(self.passed)
            .filter(|k| k.checkpoint.records <= seen.sequence)
        {
            if checkpoint.head != seen.chain.hex().as_str() {
                let (range, file) = (
                    self.range(seen.sequence.saturating_add(1)),
                    &self.checkpoints.file,
                );
                let why = format!(
                    "line {line} of {file} says that the chain was different here: {range}"
                );
                return Some(Bad::at(
                    What::CheckpointMismatch,
                    Named::record(seen, place),
                    why,
                ));
            }
            self.passed += 1;
            self.unsealed = 0;
            self.last_checkpoint = Some(last(checkpoint, &self.checkpoints.file));
        }
        None
    }

    /// Names the records between the last good checkpoint and this one.
    fn range(&self, checkpoint: u64) -> String {
        let stream = self.at.as_ref().map_or("", |at| &at.stream);
        let good = self
            .last_checkpoint
            .as_ref()
            .filter(|last| last.stream == stream)
            .map_or(0, |last| last.records);
        let (first, last) = (good.saturating_add(1), checkpoint.saturating_sub(1));
        format!(
            "records {first} to {last} of stream {stream}, or the checkpoint itself, are not what was sealed"
        )
    }

    /// Checks that a stream which ended is as long as the checkpoint file says.
    fn stream_ends(&self) -> Option<Bad> {
        let At {
            stream, sequence, ..
        } = self.at.as_ref()?;
        let FileCheckpoint { checkpoint, line } = self.checkpoints.of(stream).last()?;
        // The checkpoint itself is a record of the stream, too.
        let records = checkpoint.records.saturating_add(1);
        let (named, file) = (self.last_named()?, &self.checkpoints.file);
        let says = format!(
            "line {line} of {file} says that its stream had {records} records at {}",
            checkpoint.time
        );
        if records > *sequence {
            let cut = if self.torn.is_some() {
                ", and what follows is torn"
            } else {
                ""
            };
            let why = format!("it is the last record that is left{cut}; {says}");
            return Some(Bad::at(What::Truncated, named, why));
        }
        let is_too_long = checkpoint.is_final && *sequence > records;
        is_too_long.then(|| {
            Bad::at(
                What::Inserted,
                named,
                format!("{says}, and no more were written"),
            )
        })
    }

    /// Checks at the end whether the checkpoint file has later streams that should be here.
    fn later_streams(&mut self) -> Option<Bad> {
        let last = self.last_named();
        let time = last.as_ref().map_or("", |last| &last.time);
        // Lines are appended, so later ones are further down, even if a clock was set back. If the
        // checkpoint file has none of these streams, times decide.
        let met = self
            .met
            .iter()
            .filter_map(|stream| {
                self.checkpoints
                    .of(stream)
                    .iter()
                    .map(|kept| kept.line)
                    .max()
            })
            .max();
        let is_before = |line: u64, moment: &str| met.map_or(moment < time, |met| line < met);
        let mut elsewhere = 0;
        for FileCheckpoint { checkpoint, line } in self.checkpoints.last_ones() {
            let Checkpoint {
                stream,
                records,
                sink,
                ..
            } = checkpoint;
            if self.met.contains(stream) || is_before(*line, &checkpoint.time) {
                continue;
            }
            // Several sinks may use the same checkpoint file, so a stream may belong to another
            // sink.
            if last.is_some() && *sink != self.sink {
                elsewhere += 1;
                continue;
            }
            let named = last.clone().unwrap_or_default();
            let stream = printable::line(stream);
            let why = format!(
                "nothing is left after it of a later stream, {stream}: line {line} of {} says that it had {records} records; \
                 is a file missing?",
                self.checkpoints.file
            );
            return Some(Bad::at(What::Truncated, named, why));
        }
        if elsewhere > 0 {
            let file = &self.checkpoints.file;
            self.notes.push(format!(
                "{file} lists {elsewhere} later streams of other sinks, which are not given"
            ));
        }
        None
    }

    /// Handles a file that ends in the middle of a record. Only the last file may, if its writer
    /// was killed.
    fn unfinished(
        &mut self,
        bytes: u64,
        place: &Place,
        rest: &mut Source,
    ) -> Result<Option<Bad>, LogReadError> {
        let at = self.at.clone();
        let (file, torn) = (place.file.to_string(), |link: &Link| link.torn_bytes);
        match rest.peek()? {
            None => self.torn = Some(Tail { file, bytes }),
            Some(next)
                if next.follows(at.as_ref())
                    && next.link().map(torn).is_some_and(|bytes| bytes > 0) =>
            {
                self.notes.push(format!(
                    "the unfinished record at the end of {file} is declared in the next file"
                ));
            }
            Some(_) => {
                let why = "the file ends in the middle of this record, and others follow in the next file";
                return Ok(Some(Bad::at(What::Torn, Named::place(place), why)));
            }
        }
        Ok(None)
    }

    /// Returns how many checkpoints of the audit log do not count.
    pub(super) fn others(&self) -> u64 {
        self.others
    }
}

fn last(checkpoint: &Checkpoint, file: &str) -> Last {
    let Checkpoint {
        time,
        stream,
        records,
        is_final,
        key,
        ..
    } = checkpoint;
    let key = printable::line(key).into_owned();
    let (time, stream, file) = (time.clone(), stream.clone(), file.to_owned());
    Last {
        time,
        stream,
        records: *records,
        is_final: *is_final,
        key,
        file,
    }
}
