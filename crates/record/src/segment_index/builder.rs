//! Makes an index, record by record.
//!
//! The rule: builders of stretches that follow each other can be joined. What is kept is bounded:
//! of a field with too many values the index knows nothing.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io;

use super::bloom::{Bloom, names_of};
use super::{FileStamp, SegmentIndex, VERSION, Words};
use crate::record_reader::{Piece, RecordReader};
use crate::scan::ScannedRecord;
use crate::survey::Survey;

/// How many different values of a field are kept.
const MOST_WORDS: usize = 256;

/// How many different names are kept.
const MOST_NAMES: usize = 200_000;

/// An index that is being made.
#[derive(Debug)]
pub struct IndexBuilder {
    /// What the records say about themselves.
    pub survey: Survey,
    kinds: Words,
    effects: Words,
    verdicts: Words,
    dry_runs: Words,
    reasons: Words,
    revisions: Words,
    decision_ids: Option<(String, String)>,
    names: Option<HashSet<Box<str>>>,
    hidden: BTreeSet<String>,
    weight: usize,
    /// A name that is looked up.
    looked_up: String,
}

impl Default for IndexBuilder {
    fn default() -> Self {
        let words = || Some(BTreeSet::new());
        IndexBuilder {
            survey: Survey::default(),
            kinds: words(),
            effects: words(),
            verdicts: words(),
            dry_runs: words(),
            reasons: words(),
            revisions: words(),
            decision_ids: None,
            names: Some(HashSet::new()),
            hidden: BTreeSet::new(),
            weight: 0,
            looked_up: String::new(),
        }
    }
}

fn put_word(words: &mut Words, word: &str) {
    let Some(known) = words else {
        return;
    };
    if word.is_empty() || known.contains(word) {
        return;
    }
    match known.len() < MOST_WORDS {
        true => {
            known.insert(word.to_owned());
        }
        false => *words = None,
    }
}

impl IndexBuilder {
    /// Takes the next record.
    pub fn take(&mut self, record: &ScannedRecord<'_>) {
        self.survey.take(record);
        let decision = &record.fields.decision;
        for (words, word) in [
            (&mut self.kinds, &record.fields.head.kind),
            (&mut self.effects, &decision.effect),
            (&mut self.verdicts, &decision.verdict),
            (&mut self.dry_runs, &decision.dry_run),
            (&mut self.reasons, &decision.reason),
            (&mut self.revisions, &decision.revision),
        ] {
            put_word(words, word);
        }
        if !decision.decision_id.is_empty() {
            self.put_id(&decision.decision_id);
        }
        for name in decision.redacted.iter().chain(&decision.truncated) {
            // Only fields that can be asked for matter, and there are few of those.
            if self.hidden.len() < MOST_WORDS && !self.hidden.contains(&**name) {
                self.hidden.insert(name.to_string());
            }
        }
        let (names, looked_up) = (&mut self.names, &mut self.looked_up);
        let mut weight = 0;
        names_of(decision, &mut |parts| {
            looked_up.clear();
            parts.iter().for_each(|part| looked_up.push_str(part));
            let is_new = names
                .as_ref()
                .is_some_and(|names| !names.contains(looked_up.as_str()));
            if is_new {
                weight += looked_up.len() + 32;
                put_name(names, looked_up.as_str().into());
            }
            is_new
        });
        self.weight += weight;
    }

    fn put_id(&mut self, id: &str) {
        match &mut self.decision_ids {
            None => self.decision_ids = Some((id.to_owned(), id.to_owned())),
            Some((least, _)) if id < least.as_str() => id.clone_into(least),
            Some((_, greatest)) if id > greatest.as_str() => id.clone_into(greatest),
            Some(_) => {}
        }
    }

    /// Adds the index of the records that come next.
    pub fn join(&mut self, next: IndexBuilder) {
        self.survey.join(next.survey);
        for (words, next) in [
            (&mut self.kinds, next.kinds),
            (&mut self.effects, next.effects),
            (&mut self.verdicts, next.verdicts),
            (&mut self.dry_runs, next.dry_runs),
            (&mut self.reasons, next.reasons),
            (&mut self.revisions, next.revisions),
        ] {
            match next {
                Some(next) => next.iter().for_each(|word| put_word(words, word)),
                None => *words = None,
            }
        }
        if let Some((least, greatest)) = next.decision_ids {
            self.put_id(&least);
            self.put_id(&greatest);
        }
        match next.names {
            Some(names) => names
                .into_iter()
                .for_each(|name| put_name(&mut self.names, name)),
            None => self.names = None,
        }
        self.hidden.extend(next.hidden);
        self.weight += next.weight;
    }

    /// Returns about how many bytes it takes.
    pub fn weight(&self) -> usize {
        self.weight + self.survey.weight()
    }

    /// Returns the index of this file.
    pub fn finish(self, file: FileStamp) -> SegmentIndex {
        SegmentIndex {
            version: VERSION,
            file,
            survey: self.survey,
            kinds: self.kinds,
            effects: self.effects,
            verdicts: self.verdicts,
            dry_runs: self.dry_runs,
            reasons: self.reasons,
            revisions: self.revisions,
            decision_ids: self.decision_ids,
            names: self
                .names
                .map(|names| Bloom::of(names.iter().map(|name| &**name))),
            hidden: self.hidden,
        }
    }
}

fn put_name(names: &mut Option<HashSet<Box<str>>>, name: Box<str>) {
    if let Some(known) = names {
        known.insert(name);
        if known.len() > MOST_NAMES {
            *names = None;
        }
    }
}

/// Makes the index of a file; `None` if it has anything but whole records.
pub(super) fn read(file: File, is_wanted: impl Fn() -> bool) -> io::Result<Option<SegmentIndex>> {
    let stamp = FileStamp::of(&file.metadata()?);
    let mut reader = RecordReader::unpack(&file)?;
    let mut builder = IndexBuilder::default();
    while let Some(piece) = reader.next_piece()? {
        let is_record = match piece {
            Piece::Record(raw) => raw.scan(|record| builder.take(record)).is_ok(),
            Piece::NoRecord(..) => false,
        };
        if !is_record || !is_wanted() {
            return Ok(None);
        }
    }
    let is_whole = reader.unfinished().is_none();
    let is_same = FileStamp::of(&file.metadata()?) == stamp;
    Ok((is_whole && is_same && builder.survey.records > 0).then(|| builder.finish(stamp)))
}
