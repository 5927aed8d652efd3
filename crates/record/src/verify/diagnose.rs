//! Finds what was done to a record that is not the expected next one.
//!
//! It runs once, for the first record that does not fit, and may read all that follows. The rules,
//! in their order:
//!
//! 1. a record that fits behind the one *before* the last shows that the last was inserted;
//! 2. a record that fits with another number, stream or kind was edited there;
//! 3. a record with the right number was edited, unless the next has that number too and fits;
//! 4. what is missing and comes later was reordered, unless this record comes again (a copy) or was
//!    never anywhere else;
//! 5. what is missing and does not come later was deleted, or between two streams or files is an
//!    undeclared gap.

use super::files::{Item, LogReadError, Place, Source};
use super::record::{At, Seen};
use super::report::{Bad, Named, What};

/// What is known when a record does not fit.
pub(super) struct Case<'c> {
    /// Behind the last record that fits.
    pub at: Option<&'c At>,
    /// Behind the one before.
    pub before: Option<&'c Option<At>>,
    /// The last record that fits.
    pub last: Option<&'c (Box<Seen>, Place)>,
    /// Whether any stream was seen before.
    pub is_known: bool,
    /// Whether a file begins with this record.
    pub is_first: bool,
}

/// What was found in the records that follow.
#[derive(Debug, Default)]
struct Later {
    /// Whether the very next record is the one that should have come, and whether it is the one
    /// after that.
    is_next_due: bool,
    is_next_after: bool,
    /// The record that should have come is found later.
    is_missing_found: bool,
    /// This record comes again.
    is_again: bool,
    /// The record behind which this one belongs is found later.
    is_placed: bool,
}

impl Case<'_> {
    /// Says what is wrong with a record that does not fit.
    ///
    /// # Errors
    /// If the records that follow cannot be read.
    pub(super) fn of(
        &self,
        seen: &Seen,
        place: &Place,
        rest: &mut Source,
    ) -> Result<Bad, LogReadError> {
        let bad = |what, why: String| Ok(Bad::at(what, Named::record(seen, place), why));
        if let (Some(before), Some((last, there))) = (self.before, self.last)
            && seen.follows(before.as_ref())
        {
            let why = "it was inserted here; the chain continues from the record before it to the one after it";
            return Ok(Bad::at(What::Inserted, Named::record(last, there), why));
        }
        if let Some(why) = self.restated(seen) {
            return bad(What::Edited, why);
        }
        let Some(at) = self.at else {
            return self.beginning(seen, place, rest);
        };
        if seen.stream == at.stream && Some(seen.sequence) == at.sequence.checked_add(1) {
            let is_next_due = rest.peek()?.is_some_and(|next| next.follows(self.at));
            return if is_next_due {
                bad(
                    What::Inserted,
                    "it was inserted before the record of that number".into(),
                )
            } else if seen.fits(&at.head) {
                bad(
                    What::Edited,
                    "what it says about the record before it is wrong".into(),
                )
            } else {
                bad(
                    What::Edited,
                    "its bytes are not those that were written: the chain does not fit".into(),
                )
            };
        }
        let later = self.look(seen, rest);
        let (what, why) = self.misplaced(at, seen, &later);
        bad(what, why)
    }

    /// Says what is wrong with a place that holds no record.
    ///
    /// # Errors
    /// If the records that follow cannot be read.
    pub(super) fn broken(
        &self,
        why: &str,
        place: &Place,
        rest: &mut Source,
    ) -> Result<Bad, LogReadError> {
        let is_next_due = rest.peek()?.is_some_and(|next| next.follows(self.at));
        let what = if is_next_due {
            What::Inserted
        } else {
            What::Edited
        };
        Ok(Bad::at(what, Named::place(place), why))
    }

    /// Returns what was changed, if the record fits with one part of its position replaced by the
    /// expected one.
    fn restated(&self, seen: &Seen) -> Option<String> {
        let Some(at) = self.at else {
            let other = seen.restated("stream", &seen.stream, seen.sequence)?;
            return other
                .is_consistent()
                .then(|| "its kind was changed; it was `stream`".into());
        };
        let fits = |other: Option<Seen>| other.is_some_and(|other| other.follows(Some(at)));
        let number = at.sequence.saturating_add(1);
        if seen.stream != at.stream && fits(seen.restated(&seen.kind, &at.stream, seen.sequence)) {
            return Some(format!("its stream was changed; it was {}", at.stream));
        }
        let number = if seen.stream == at.stream { number } else { 1 };
        let is_number =
            seen.sequence != number && fits(seen.restated(&seen.kind, &seen.stream, number));
        is_number.then(|| format!("its number was changed; it was {number}"))
    }

    /// Diagnoses the first record of all.
    fn beginning(
        &self,
        seen: &Seen,
        place: &Place,
        rest: &mut Source,
    ) -> Result<Bad, LogReadError> {
        let bad = |what, why: &str| Ok(Bad::at(what, Named::record(seen, place), why));
        let is_next_first = rest.peek()?.is_some_and(Seen::is_consistent);
        if seen.link().is_some() {
            return if is_next_first {
                bad(What::Inserted, "it was inserted before the first record")
            } else {
                bad(
                    What::Edited,
                    "its bytes are not those that were written: the chain does not fit",
                )
            };
        }
        let later = self.look(seen, rest);
        match () {
            () if later.is_missing_found && !later.is_again && later.is_placed => bad(
                What::Reordered,
                "it is before the record with which its file began",
            ),
            () if later.is_missing_found || is_next_first => {
                bad(What::Inserted, "it was inserted before the first record")
            }
            () if seen.sequence == 1 => bad(
                What::Edited,
                "it is the first record of a stream, but does not say so: its bytes were changed",
            ),
            () => bad(
                What::Deleted,
                "the records before it are missing: a file begins with a record of kind `stream`",
            ),
        }
    }

    /// Diagnoses a record with another number, or of another stream.
    fn misplaced(&self, at: &At, seen: &Seen, later: &Later) -> (What, String) {
        let due = at.sequence.saturating_add(1);
        let is_same = seen.stream == at.stream;
        let is_behind = if is_same {
            seen.sequence <= at.sequence
        } else {
            self.is_known
        };
        if !is_same && seen.link().is_some() && !seen.is_consistent() {
            let what = if later.is_next_due {
                What::Inserted
            } else {
                What::Edited
            };
            return (
                what,
                "its bytes are not those that were written: the chain does not fit".into(),
            );
        }
        if later.is_missing_found {
            let is_moved = !later.is_again && later.is_placed && !is_behind;
            return if is_moved {
                (
                    What::Reordered,
                    format!(
                        "it is at the place of record {due} of stream {}, which comes later",
                        at.stream
                    ),
                )
            } else {
                (
                    What::Inserted,
                    format!(
                        "it does not belong here; record {due} of stream {} follows later",
                        at.stream
                    ),
                )
            };
        }
        if later.is_next_after {
            return (
                What::Edited,
                format!(
                    "record {due} of stream {} was replaced by something else",
                    at.stream
                ),
            );
        }
        if is_behind {
            return (
                What::Inserted,
                "a record with this number was there before".into(),
            );
        }
        match seen.link() {
            Some(_) if !is_same => self.unlinked(at, seen),
            _ => self.missing(at, seen),
        }
    }

    /// Diagnoses a record that is right in itself and begins another stream, but not behind the
    /// last record.
    fn unlinked(&self, at: &At, seen: &Seen) -> (What, String) {
        let At {
            stream, sequence, ..
        } = at;
        let Some(previous) = seen.link().and_then(|link| link.previous.as_ref()) else {
            let why = "starts a new chain: records of another sink, or a new beginning that hides what was before; customs \
                       itself begins one where the file was moved away while it did not run";
            return (What::NewChain, why.into());
        };
        if previous.stream == seen.stream {
            let why = format!(
                "records 1 to {} of its stream are missing: is a file missing?",
                previous.sequence
            );
            return (What::UndeclaredGap, why);
        }
        if previous.stream != *stream {
            let why = format!(
                "it continues record {} of stream {}, which is missing; before it is record {sequence} of \
                 stream {stream}: is a file missing?",
                previous.sequence, previous.stream
            );
            return (What::UndeclaredGap, why);
        }
        match previous.sequence.cmp(sequence) {
            std::cmp::Ordering::Greater => {
                let why = format!(
                    "records {} to {} of stream {stream} are missing",
                    sequence + 1,
                    previous.sequence
                );
                (What::UndeclaredGap, why)
            }
            std::cmp::Ordering::Less => {
                let why = format!(
                    "stream {stream} had {} records when it began, and has {sequence}",
                    previous.sequence
                );
                (What::Inserted, why)
            }
            std::cmp::Ordering::Equal => (
                What::Edited,
                format!(
                    "stream {stream} was rewritten: it ended with another chain when this one began"
                ),
            ),
        }
    }

    /// Diagnoses a record before which others are missing.
    fn missing(&self, at: &At, seen: &Seen) -> (What, String) {
        let (what, hint) = if self.is_first {
            (What::UndeclaredGap, ": is a file missing?")
        } else {
            (What::Deleted, "")
        };
        let (first, last) = (
            at.sequence.saturating_add(1),
            seen.sequence.saturating_sub(1),
        );
        if seen.stream == at.stream {
            return (
                what,
                format!("records {first} to {last} of its stream are missing before it{hint}"),
            );
        }
        if seen.sequence == 1 {
            return (
                What::Edited,
                "it is the first record of a stream, but does not say so: its bytes were changed"
                    .into(),
            );
        }
        (
            what,
            format!("records 1 to {last} of its stream are missing before it{hint}"),
        )
    }

    /// Reads all that follows.
    fn look(&self, seen: &Seen, rest: &mut Source) -> Later {
        let mut later = Later::default();
        let mut is_next = true;
        let previous = seen.link().and_then(|link| link.previous.as_ref());
        // What cannot be read gives no further evidence.
        while let Ok(Some((item, ..))) = rest.step() {
            let Item::Record(other) = item else {
                is_next = false;
                continue;
            };
            if std::mem::take(&mut is_next) {
                later.is_next_due = other.follows(self.at);
                later.is_next_after = self.is_after_due(&other);
            }
            later.is_missing_found |= self.is_due(seen, &other);
            let is_same = other.stream == seen.stream;
            later.is_again |= is_same && other.sequence == seen.sequence;
            let is_before = is_same
                && other.sequence.checked_add(1) == Some(seen.sequence)
                && seen.fits(&other.chain);
            later.is_placed |=
                is_before || previous.is_some_and(|previous| previous.head == other.chain);
        }
        later
    }

    /// Returns whether `other` is what should have come instead of `seen`.
    fn is_due(&self, seen: &Seen, other: &Seen) -> bool {
        let Some(at) = self.at else {
            return other.stream == seen.stream
                && other.link().is_some()
                && other.sequence < seen.sequence;
        };
        if other.stream == at.stream {
            return other.sequence.checked_sub(1) == Some(at.sequence);
        }
        other.stream == seen.stream && other.sequence == 1 && seen.sequence != 1
    }

    fn is_after_due(&self, other: &Seen) -> bool {
        let after = self.at.and_then(|at| at.sequence.checked_add(2));
        self.at.is_some_and(|at| other.stream == at.stream) && Some(other.sequence) == after
    }
}
