//! Which sources are good, which keep their last good content, and whether the whole set compiles. Pure: reads come in,
//! a [`Judgement`] goes out; no file, no clock, no runtime.
//!
//! The rule: a source loads whole or not at all. One that fails keeps its own last good content, and the others go on.
//! Changed sources are tried all together, then all but one, then one at a time; one whose change would break the set
//! is refused and names what it would break. An emptied source keeps what it had. Nothing at all is published until
//! every source has been good once, because what was never read could hold denials.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::read::{MAX_FILES, MAX_SET, Outcome};
use super::status::{SourceState, SourceStatus};
use crate::engine::policy::compile::{self, Compiled};
use crate::engine::policy::problem::{Code, Place, Problem};
use crate::engine::policy::source::{LoadedFile, LoadedSource};
use crate::engine::record::{ChangeOutcome, PolicyChangeEntry, UnixNanos};
use crate::engine::settings::Settings;
use crate::engine::snapshot::{Revision, RuleCounts, Snapshot};
use crate::files::load::load;

/// What the reader found in one directory.
#[derive(Debug)]
pub enum Reading {
    /// What was found before.
    Unchanged,
    /// Something else than before.
    Changed(Outcome),
}

/// What a round of reading comes to.
#[derive(Debug, Default)]
pub struct Judgement {
    /// A new set to be put in force.
    pub snapshot: Option<Snapshot>,
    /// The record of the change, where there is something to tell.
    pub entry: Option<PolicyChangeEntry>,
}

/// Every source with its last good content. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Sources {
    settings: Arc<Settings>,
    sources: Vec<Member>,
    revision: Revision,
    counts: RuleCounts,
    warnings: Vec<Problem>,
    published: bool,
    /// What was refused when it was last told.
    told: Vec<Problem>,
}

/// One source.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    /// What the directory holds.
    found: Found,
    /// The last good content: in force once a set is.
    good: Option<LoadedSource>,
    good_since: Option<UnixNanos>,
    /// Why what the directory holds is not good.
    refusal: Option<Refusal>,
}

#[derive(Clone, Debug)]
enum Found {
    Nothing,
    Unreadable(Vec<Problem>),
    Loaded(LoadedSource),
}

#[derive(Clone, Debug)]
struct Refusal {
    state: SourceState,
    problems: Vec<Problem>,
}

impl Sources {
    /// Sources by name, in order; nothing has been read yet.
    pub fn new(names: impl IntoIterator<Item = String>, settings: Settings) -> Sources {
        let member = |name| Member { name, found: Found::Nothing, good: None, good_since: None, refusal: None };
        Sources {
            settings: Arc::new(settings),
            sources: names.into_iter().map(member).collect(),
            revision: Revision::none(),
            counts: RuleCounts::default(),
            warnings: Vec::new(),
            published: false,
            told: Vec::new(),
        }
    }

    /// Whether the source of that place in the order was found like this before.
    pub fn knows(&self, index: usize, read: &Outcome) -> bool {
        match (self.sources.get(index).map(|source| &source.found), read) {
            (Some(Found::Loaded(found)), Ok(read)) => found.is(read),
            (Some(Found::Unreadable(found)), Err(read)) => found == read,
            _ => false,
        }
    }

    /// Whether the source of that place in the order was ever read.
    pub fn was_read(&self, index: usize) -> bool {
        self.sources.get(index).is_some_and(|source| !matches!(source.found, Found::Nothing))
    }

    /// Whether a good set is in force.
    pub fn is_ready(&self) -> bool {
        self.published
    }

    /// The revision in force.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The rules in force.
    pub fn counts(&self) -> RuleCounts {
        self.counts
    }

    /// Warnings and notes of the set in force.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Judges what was read, one reading for each source in order.
    pub fn judge(&mut self, readings: Vec<Reading>, now: UnixNanos) -> Judgement {
        let changed = self.take_in(readings);
        if changed.is_empty() {
            return Judgement::default();
        }
        let candidates = self.candidates();
        let compiled = if self.published { self.renew(candidates, now) } else { self.begin(candidates, now) };
        let previous = self.revision.clone();
        let snapshot = compiled.map(|compiled| self.adopt(compiled));
        let entry = self.outcome(snapshot.is_some(), &changed).map(|outcome| self.entry(outcome, &previous, now));
        Judgement { snapshot, entry }
    }

    /// Loads what was read; the result tells which sources changed.
    fn take_in(&mut self, readings: Vec<Reading>) -> BTreeSet<usize> {
        let mut changed = BTreeSet::new();
        for (index, (source, reading)) in self.sources.iter_mut().zip(readings).enumerate() {
            let Reading::Changed(outcome) = reading else { continue };
            source.found = match outcome {
                Ok(read) => Found::Loaded(load(&read, source.last_loaded(), &self.settings)),
                Err(problems) => Found::Unreadable(problems),
            };
            changed.insert(index);
        }
        changed
    }

    /// The sources whose content is good in itself and not yet taken; the others are refused or as they were.
    fn candidates(&mut self) -> Vec<(usize, LoadedSource)> {
        let published = self.published;
        let alone = |(index, source): (usize, &mut Member)| source.alone(published).map(|loaded| (index, loaded));
        self.sources.iter_mut().enumerate().filter_map(alone).collect()
    }

    /// Before the first good set: takes what is good in itself, and compiles once every source has been.
    fn begin(&mut self, candidates: Vec<(usize, LoadedSource)>, now: UnixNanos) -> Option<Compiled> {
        self.take(candidates, now);
        if self.sources.iter().any(|source| source.good.is_none()) {
            return None;
        }
        match self.compile(&[]) {
            Ok(compiled) => Some(compiled),
            Err(problems) => {
                self.refuse_whole(&problems);
                None
            }
        }
    }

    /// With a set in force: takes as many changes as compile together with the rest, and refuses the others.
    fn renew(&mut self, mut candidates: Vec<(usize, LoadedSource)>, now: UnixNanos) -> Option<Compiled> {
        let mut last = None;
        while let Some((taken, compiled)) = self.compiling_part(&candidates) {
            candidates.retain(|(index, _)| !taken.iter().any(|(other, _)| index == other));
            self.take(taken, now);
            last = Some(compiled);
        }
        for candidate in &candidates {
            let problems = self.compile(std::slice::from_ref(candidate)).err().unwrap_or_default();
            self.refuse(candidate.0, problems);
        }
        last
    }

    /// All candidates, or all but one (the later first), or the first that compiles by itself.
    fn compiling_part(&self, candidates: &[(usize, LoadedSource)]) -> Option<(Vec<(usize, LoadedSource)>, Compiled)> {
        let all_but = (0..candidates.len()).rev().map(|out| without(candidates, out));
        let single = candidates.iter().filter(|_| candidates.len() > 2).map(|candidate| vec![candidate.clone()]);
        std::iter::once(candidates.to_vec())
            .chain(all_but)
            .chain(single)
            .filter(|part| !part.is_empty())
            .find_map(|part| self.compile(&part).ok().map(|compiled| (part, compiled)))
    }

    /// Compiles the last good contents with some replaced.
    fn compile(&self, replaced: &[(usize, LoadedSource)]) -> Result<Compiled, Vec<Problem>> {
        let content = |(index, source): (usize, &Member)| {
            let replacement = replaced.iter().find(|(other, _)| *other == index).map(|(_, loaded)| loaded);
            replacement.or(source.good.as_ref()).cloned()
        };
        let set: Vec<LoadedSource> = self.sources.iter().enumerate().filter_map(content).collect();
        within_limits(&set)?;
        compile::compile(&set, &self.settings)
    }

    fn take(&mut self, candidates: Vec<(usize, LoadedSource)>, now: UnixNanos) {
        for (index, loaded) in candidates {
            if let Some(source) = self.sources.get_mut(index) {
                source.good = Some(loaded);
                source.good_since = Some(now);
                source.refusal = None;
            }
        }
    }

    fn refuse(&mut self, index: usize, mut problems: Vec<Problem>) {
        let owner = |problem: &Problem| owner(&self.sources, &problem.place).filter(|owner| *owner != index);
        let broken: BTreeSet<usize> = problems.iter().filter_map(owner).collect();
        let names: Vec<String> =
            broken.iter().filter_map(|i| self.sources.get(*i)).map(|s| format!("`{}`", s.name)).collect();
        let Some(source) = self.sources.get_mut(index) else { return };
        if let (Some(first), false) = (problems.first(), names.is_empty()) {
            problems.insert(0, breaks(first.code, &source.name, &names.join(", ")));
        }
        source.refusal = Some(Refusal { state: SourceState::Refused, problems });
    }

    /// Tells each source its part of what is wrong with the first set; what is nobody's part is everybody's.
    fn refuse_whole(&mut self, problems: &[Problem]) {
        let owners: Vec<Option<usize>> = problems.iter().map(|p| owner(&self.sources, &p.place)).collect();
        for (index, source) in self.sources.iter_mut().enumerate() {
            let mine = problems.iter().zip(&owners).filter(|(_, owner)| owner.is_none_or(|owner| owner == index));
            let mine: Vec<Problem> = mine.map(|(problem, _)| problem.clone()).collect();
            if !mine.is_empty() {
                let refusal = Refusal { state: SourceState::NeverLoaded, problems: Vec::new() };
                source.refusal.get_or_insert(refusal).problems.extend(mine);
            }
        }
    }

    fn adopt(&mut self, compiled: Compiled) -> Snapshot {
        self.published = true;
        self.revision = compiled.snapshot.revision().clone();
        self.counts = compiled.snapshot.counts();
        self.warnings = compiled.problems;
        compiled.snapshot
    }

    /// What became of the change; `None` where there is nothing that was not told before.
    fn outcome(&mut self, published: bool, changed: &BTreeSet<usize>) -> Option<ChangeOutcome> {
        let refused: Vec<Problem> = self.refusals().flat_map(|(_, refusal)| refusal.problems.clone()).collect();
        let is_new = refused != self.told || self.refusals().any(|(index, _)| changed.contains(&index));
        let outcome = match (published, refused.is_empty()) {
            (true, true) => Some(ChangeOutcome::Published),
            (true, false) => Some(ChangeOutcome::PublishedInPart),
            (false, true) => (!self.told.is_empty()).then_some(ChangeOutcome::Recovered),
            (false, false) => is_new.then_some(ChangeOutcome::Refused),
        };
        self.told = refused;
        outcome
    }

    fn refusals(&self) -> impl Iterator<Item = (usize, &Refusal)> {
        self.sources.iter().enumerate().filter_map(|(index, source)| Some((index, source.refusal.as_ref()?)))
    }

    fn entry(&self, outcome: ChangeOutcome, previous: &Revision, now: UnixNanos) -> PolicyChangeEntry {
        let refused = self.sources.iter().filter(|source| source.refusal.is_some());
        PolicyChangeEntry {
            time: now,
            outcome,
            revision: self.revision.to_string(),
            previous_revision: previous.to_string(),
            refused_sources: refused.map(|source| source.name.clone()).collect(),
            problems: self.told.iter().chain(&self.warnings).cloned().collect(),
            counts: self.counts,
        }
    }

    /// The sources as operators are told of them.
    pub fn status(&self) -> Vec<SourceStatus> {
        self.sources.iter().map(|source| source.status(self.published)).collect()
    }
}

impl Member {
    /// Judges what was found by itself: content to be taken, or a refusal, or what is good already.
    fn alone(&mut self, published: bool) -> Option<LoadedSource> {
        let (state, problems) = match &self.found {
            Found::Nothing => return None,
            Found::Unreadable(problems) => (SourceState::Refused, problems.clone()),
            Found::Loaded(found) if found.has_errors() => (SourceState::Refused, found.problems().to_vec()),
            Found::Loaded(found) if published && self.lost_everything(found) => {
                (SourceState::Emptied, vec![emptied(&self.name)])
            }
            Found::Loaded(found) => {
                self.refusal = None;
                let is_taken = self.good.as_ref().is_some_and(|good| good.is_same(found));
                return (!is_taken).then(|| found.clone());
            }
        };
        // A directory that was empty at first and then cannot be read was never good: its policies are not known.
        self.good.take_if(|good| !published && good.is_empty());
        let state = if self.good.is_some() { state } else { SourceState::NeverLoaded };
        self.refusal = Some(Refusal { state, problems });
        None
    }

    /// What was read of it last, of which unchanged files need not be read again.
    fn last_loaded(&self) -> Option<&LoadedSource> {
        match &self.found {
            Found::Loaded(found) => Some(found),
            Found::Nothing | Found::Unreadable(_) => self.good.as_ref(),
        }
    }

    fn lost_everything(&self, found: &LoadedSource) -> bool {
        found.is_empty() && self.good.as_ref().is_some_and(|good| !good.is_empty())
    }

    fn status(&self, published: bool) -> SourceStatus {
        let in_force = self.good.as_ref().filter(|_| published);
        let files = |source: &LoadedSource| source.files().iter().map(|file| file.name().to_owned()).collect();
        SourceStatus {
            name: self.name.clone(),
            state: self.refusal.as_ref().map_or(SourceState::Good, |refusal| refusal.state),
            files: in_force.map(files).unwrap_or_default(),
            problems: self.refusal.iter().flat_map(|refusal| refusal.problems.clone()).collect(),
            last_good_at: self.good_since,
        }
    }
}

fn without(candidates: &[(usize, LoadedSource)], out: usize) -> Vec<(usize, LoadedSource)> {
    candidates.iter().enumerate().filter(|(at, _)| *at != out).map(|(_, candidate)| candidate.clone()).collect()
}

/// The source in which a place lies: of nested directories the inner one.
fn owner(sources: &[Member], place: &Place) -> Option<usize> {
    let lies_in = |source: &Member| {
        let rest = place.file.strip_prefix(source.name.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let holders = sources.iter().enumerate().filter(|(_, source)| lies_in(source));
    holders.max_by_key(|(_, source)| source.name.len()).map(|(index, _)| index)
}

/// What no source can be blamed for alone.
fn within_limits(set: &[LoadedSource]) -> Result<(), Vec<Problem>> {
    let files = || set.iter().flat_map(LoadedSource::files);
    let bytes: usize = files().map(LoadedFile::bytes).sum();
    let names: Vec<&str> = set.iter().map(LoadedSource::name).collect();
    let place = Place::whole(names.join(", "));
    let error = |code, text: String, hint: &str| Err(vec![Problem::error(code, place.clone(), text).hint(hint)]);
    if bytes > MAX_SET || files().count() > MAX_FILES {
        let text = format!("all sources together have more than {MAX_FILES} files or {MAX_SET} bytes");
        return error(Code::TooLarge, text, "remove what is no policy");
    }
    if set.iter().all(LoadedSource::is_empty) {
        let text = "there is no policy document".to_owned();
        return error(Code::NoPolicy, text, "add one; a file name ends in `.yaml` or `.yml` and not in `.cases.yaml`");
    }
    Ok(())
}

fn emptied(name: &str) -> Problem {
    Problem::error(Code::NoPolicy, Place::whole(name), "emptied directory; its last good content stays in force")
        .hint("to withdraw all its policies on purpose, take the directory out of the settings and restart")
}

fn breaks(code: Code, name: &str, broken: &str) -> Problem {
    let text = format!("this change would break {broken}; the last good content of `{name}` stays in force");
    Problem::error(code, Place::whole(name), text).hint("change both at once, or undo this change")
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
