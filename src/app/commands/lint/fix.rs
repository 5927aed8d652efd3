//! `customs lint --fix`: applies the fixes of problems, and writes the files.
//!
//! The rule: a fix that would make a new error is not written. After each change the whole set is
//! read again, with the changed texts in place of the files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::{fs, io};

use super::super::sources::{Found, PolicyText};
use super::edit::{Edit, edit};
use super::lines::Lines;
use customs_policy::document::MAX_FILE;
use customs_policy::problem::{Place, Problem};
use customs_record::plain_file;

/// The most times that fixes of fixed texts are looked for.
const MAX_ROUNDS: usize = 8;
/// The most edits that are tried one by one.
const MAX_TRIED: usize = 100;

/// What was fixed.
pub(super) struct Fixed {
    /// What is found in the fixed texts.
    pub found: Found,
    /// The edits, in the order of places.
    pub edits: Vec<Edit>,
    /// The changed files.
    pub files: Vec<FixedFile>,
}

/// A changed file.
pub(super) struct FixedFile {
    /// Its name, as in places.
    pub name: String,
    /// Its bytes before.
    before: Vec<u8>,
    /// Its lines.
    lines: Lines,
}

/// Texts under change, by the names of their files.
type Texts = BTreeMap<String, Lines>;

/// Reads the set again, with these texts in place of the files.
type Look<'l> = dyn Fn(&[PolicyText]) -> Found + 'l;

/// Fixes what can be fixed in what was found.
pub(super) fn fix(found: Found, look: &Look<'_>) -> Fixed {
    let before: BTreeMap<String, Vec<u8>> = found
        .source_map
        .files()
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect();
    let mut state = State {
        texts: Texts::new(),
        edits: Vec::new(),
        found,
    };
    state = match state.settle(look) {
        Some(settled) => settled,
        None => state.one_by_one(look),
    };
    let State {
        texts,
        mut edits,
        found,
    } = state;
    edits.sort_by(|a, b| a.place.cmp(&b.place));
    let changed = texts.into_iter().filter(|(_, lines)| lines.is_changed());
    let files = changed.map(|(name, lines)| FixedFile {
        before: before.get(&name).cloned().unwrap_or_default(),
        name,
        lines,
    });
    Fixed {
        files: files.collect(),
        found,
        edits,
    }
}

/// The texts as they are, and what is found in them.
struct State {
    texts: Texts,
    edits: Vec<Edit>,
    found: Found,
}

impl State {
    /// Applies every fix until there is none; `None` if that makes a new error.
    fn settle(&self, look: &Look<'_>) -> Option<State> {
        let mut state = State {
            texts: self.texts.clone(),
            edits: self.edits.clone(),
            found: look(&texts(&self.texts)),
        };
        for _ in 0..MAX_ROUNDS {
            let edits = edits(&state.found);
            if edits.is_empty() {
                break;
            }
            state = state.with(&edits, look);
        }
        (!is_worse(&self.found, &state.found)).then_some(state)
    }

    /// Applies one fix after the other, without those that make a new error.
    fn one_by_one(mut self, look: &Look<'_>) -> State {
        let mut refused: BTreeSet<(Place, &'static str)> = BTreeSet::new();
        for _ in 0..MAX_TRIED {
            let key = |edit: &Edit| (edit.place.clone(), edit.code);
            let untried = edits(&self.found)
                .into_iter()
                .find(|edit| !refused.contains(&key(edit)));
            let Some(edit) = untried else {
                break;
            };
            let tried = self.with(std::slice::from_ref(&edit), look);
            if is_worse(&self.found, &tried.found) {
                refused.insert(key(&edit));
            } else {
                self = tried;
            }
        }
        self
    }

    /// Returns the state after these edits.
    fn with(&self, edits: &[Edit], look: &Look<'_>) -> State {
        let (mut changed, mut applied) = (self.texts.clone(), self.edits.clone());
        let mut by_file: BTreeMap<&str, Vec<&Edit>> = BTreeMap::new();
        for edit in edits {
            by_file.entry(&edit.place.file).or_default().push(edit);
        }
        for (file, edits) in by_file {
            let lines = changed
                .entry(file.to_owned())
                .or_insert_with(|| Lines::new(text_of(&self.found, file)));
            applied.extend(lines.apply(edits).into_iter().cloned());
        }
        State {
            found: look(&texts(&changed)),
            texts: changed,
            edits: applied,
        }
    }
}

fn edits(found: &Found) -> Vec<Edit> {
    let edit = |problem: &Problem| edit(problem, &found.source_map);
    found.problems.iter().filter_map(edit).collect()
}

fn text_of<'f>(found: &'f Found, file: &str) -> &'f str {
    let mut files = found.source_map.files();
    let bytes = files
        .find(|(name, _)| *name == file)
        .map(|(_, bytes)| bytes);
    std::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
}

fn texts(texts: &Texts) -> Vec<PolicyText> {
    let text = |(path, lines): (&String, &Lines)| PolicyText {
        path: path.clone(),
        bytes: lines.text().into_bytes().into(),
    };
    texts.iter().map(text).collect()
}

/// Returns whether some file has more errors of some code than before.
fn is_worse(before: &Found, after: &Found) -> bool {
    let count = |found: &Found| {
        let mut counts: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
        for problem in found.problems.iter().filter(|problem| problem.is_error()) {
            let key = (problem.place.file.to_string(), problem.code.as_str());
            *counts.entry(key).or_default() += 1;
        }
        counts
    };
    let known = count(before);
    let more = |(key, count): (&_, &usize)| *count > known.get(key).copied().unwrap_or_default();
    count(after).iter().any(more)
}

impl FixedFile {
    /// Returns what changed, as a unified diff.
    pub(super) fn diff(&self) -> String {
        self.lines.diff(&self.name)
    }

    /// Replaces the file, unless it changed since it was read.
    ///
    /// # Errors
    /// The file changed, or cannot be written.
    pub(super) fn write(&self) -> io::Result<()> {
        // A link stays a link: the file that it leads to is replaced.
        let path = fs::canonicalize(&self.name)?;
        if plain_file::read(&path, MAX_FILE)? != self.before {
            return Err(io::Error::other(
                "the file changed while it was read; run the command again",
            ));
        }
        replace(&path, self.lines.text().as_bytes())
    }
}

/// Replaces a file at once, with the permissions that it has.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = fs::File::create_new(&part).and_then(|mut file| {
        file.set_permissions(fs::metadata(path)?.permissions())?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}
