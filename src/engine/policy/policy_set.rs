//! Which sources are good, which keep their last good content, and whether the whole set compiles. Pure: reads come in,
//! a [`Judgement`] goes out; no file, no clock, no runtime.
//!
//! The rule: a source loads whole or not at all. One that fails keeps its own last good content, and the others go on.
//! Changed sources are tried all together, then all but one, then one at a time; one whose change would break the set
//! is refused and names what it would break. An emptied source keeps what it had. Nothing at all is published until
//! every source has been good once, because what was never read could hold denials. A source that is bound to one
//! namespace holds up nobody else: until it was good once, its namespace is isolated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::directories::{Listing, PolicyDirectory, SourceOptions};
use super::load::load;
use super::read::{MAX_FILES, MAX_SET, Outcome};
use super::status::{SourceState, SourceStatus};
use crate::engine::ends::Ends;
use crate::engine::policy::compile::{self, Compiled};
use crate::engine::policy::findings::{self, Horizon};
use crate::engine::policy::policy_change::{ChangeOutcome, PolicyChange};
use crate::engine::policy::problem::{Code, Place, Problem};
use crate::engine::policy::source::{LoadedFile, LoadedSource};
use crate::engine::rules::RuleCounts;
use crate::engine::settings::Settings;
use crate::engine::snapshot::{Revision, Snapshot};
use crate::engine::time::UnixNanos;

#[path = "policy_set/source_state.rs"]
mod member;
#[path = "policy_set/settings_source.rs"]
mod settings;

pub use member::Role;
use member::{Found, Member, Refusal};
use settings::SettingsFile;
pub use settings::{Meant, SettingsRead, SettingsReading};

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
    pub entry: Option<PolicyChange>,
    /// What somebody should look at, though nothing changed in what is in force.
    pub notices: Vec<Problem>,
}

/// Every source with its last good content. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Sources {
    settings: Arc<Settings>,
    /// The file that they come from, if it may change.
    file: Option<SettingsFile>,
    sources: Vec<Member>,
    revision: Revision,
    counts: RuleCounts,
    ends: Ends,
    warnings: Vec<Problem>,
    /// How many days ahead ends of grants are told.
    expiry_days: u32,
    published: bool,
    /// The sources in force whose namespace is isolated for want of good content.
    isolating: Vec<String>,
    /// Whether a directory of namespaces was listed otherwise than before.
    listed: bool,
    /// What was refused when it was last told.
    told: Vec<Problem>,
    /// What looks like a policy and is not read.
    warned: Vec<Problem>,
}

impl Sources {
    /// The directories, in order; nothing has been read yet.
    pub fn new(directories: impl IntoIterator<Item = PolicyDirectory>, settings: Settings) -> Sources {
        let member = |(order, directory)| Member::new(order, directory);
        Sources {
            settings: Arc::new(settings),
            file: None,
            sources: directories.into_iter().enumerate().map(member).collect(),
            revision: Revision::none(),
            counts: RuleCounts::default(),
            ends: Ends::default(),
            warnings: Vec::new(),
            expiry_days: findings::EXPIRY_DAYS,
            published: false,
            isolating: Vec::new(),
            listed: false,
            told: Vec::new(),
            warned: Vec::new(),
        }
    }

    /// The same, telling ends of grants so many days ahead.
    pub fn looking_ahead(self, expiry_days: u32) -> Sources {
        Sources { expiry_days, ..self }
    }

    /// What is to be read, in order: directories and what they are.
    pub fn directories(&self) -> impl Iterator<Item = (&Path, &Role, &SourceOptions)> {
        self.sources.iter().map(|source| (source.path(), source.role(), source.options()))
    }

    /// Takes in what lies in a directory of namespaces. New ones become sources. One that is gone stays, and is read as
    /// what cannot be read any more, unless nothing of it is in force.
    pub fn enroll(&mut self, directory: &Path, listing: Result<Listing, Vec<Problem>>) {
        let is_it = |source: &Member| *source.role() == Role::Namespaces && source.path() == directory;
        let Some(roster) = self.sources.iter_mut().find(|source| is_it(source)) else { return };
        let (found, namespaces) = match listing {
            Ok(Listing { namespaces, problems }) => (Found::Listed(problems), Some(namespaces)),
            Err(problems) => (Found::Unreadable(problems), None),
        };
        self.listed |= !roster.found.is_listed_as(&found);
        roster.found = found;
        let (roster, Some(namespaces)) = (roster.clone(), namespaces) else { return };
        let is_there = |source: &Member| source.namespace().is_some_and(|own| namespaces.contains(own));
        self.sources.retain(|source| !source.lies_in(&roster) || is_there(source) || !source.is_idle());
        let known = self.sources.iter().filter(|source| source.lies_in(&roster)).filter_map(Member::namespace);
        let known: BTreeSet<String> = known.cloned().collect();
        self.sources.extend(namespaces.difference(&known).map(|namespace| roster.bound(namespace.clone())));
        self.sources.sort_by_key(Member::rank);
    }

    fn at(&self, path: &Path) -> Option<&Member> {
        self.sources.iter().find(|source| source.path() == path)
    }

    /// Whether this source was found like this before.
    pub fn knows(&self, path: &Path, read: &Outcome) -> bool {
        match (self.at(path).map(|source| &source.found), read) {
            (Some(Found::Loaded(found)), Ok(read)) => found.is(read),
            (Some(Found::Unreadable(found)), Err(read)) => found == read,
            _ => false,
        }
    }

    /// Whether this source was ever read.
    pub fn was_read(&self, path: &Path) -> bool {
        self.at(path).is_some_and(|source| !matches!(source.found, Found::Nothing))
    }

    /// Notes when a source, or the settings file, was read to the end.
    pub fn note_read(&mut self, path: &Path, now: UnixNanos) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.path() == path) {
            source.read_at = Some(now);
        } else if let Some(file) = self.file.as_mut().filter(|file| file.name() == path.display().to_string()) {
            file.read_at = Some(now);
        }
    }

    /// What was read, with what is wrong in it; sources that could not be read are left out.
    pub fn found(&self) -> impl Iterator<Item = &LoadedSource> {
        self.sources.iter().filter_map(|source| match &source.found {
            Found::Loaded(found) => Some(found),
            Found::Nothing | Found::Unreadable(_) | Found::Listed(_) => None,
        })
    }

    /// Whether everything could be read.
    pub fn all_read(&self) -> bool {
        let is_read = |source: &Member| matches!(source.found, Found::Loaded(_) | Found::Listed(_));
        self.sources.iter().all(is_read)
    }

    /// Whether a good set is in force.
    pub fn is_ready(&self) -> bool {
        self.published
    }

    /// The revision in force.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The grants in force that end.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// The rules in force.
    pub fn counts(&self) -> RuleCounts {
        self.counts
    }

    /// Warnings and notes of the set in force, and of the settings file.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.file.iter().flat_map(SettingsFile::warnings).chain(&self.warnings)
    }

    /// Judges what was read, one reading for each source in order, and what the settings file says.
    pub fn judge(&mut self, readings: Vec<Reading>, settings: Option<SettingsReading>, now: UnixNanos) -> Judgement {
        let changed = self.take_in(readings);
        let is_asked = self.take_in_settings(settings, &changed);
        let is_listed = std::mem::take(&mut self.listed);
        if changed.is_empty() && !is_asked && !is_listed {
            return Judgement::default();
        }
        let (previous, old_settings) = (self.revision.clone(), self.settings.clone());
        let old_warnings = self.warned.clone();
        let compiled = self.renew_settings(now).or_else(|| self.judge_policies(now));
        // What has the same revision gives the same answers: an empty source more is no news.
        let snapshot = compiled.map(|compiled| self.adopt(compiled, now)).filter(|new| *new.revision() != previous);
        let outcome = self.outcome(snapshot.is_some(), &changed, is_asked);
        let outcome = outcome.or_else(|| (self.warned != old_warnings).then_some(ChangeOutcome::Warned));
        let entry = outcome.map(|outcome| self.entry(outcome, &previous, now));
        let notices = self.file.iter().filter(|_| is_asked && entry.is_none()).flat_map(SettingsFile::warnings);
        let notices = notices.cloned().collect();
        // Without a set the settings still say whether everything is denied or only recorded.
        let unloaded = || Snapshot::unloaded(Settings::clone(&self.settings));
        let snapshot = snapshot.or_else(|| (!self.published && self.settings != old_settings).then(unloaded));
        Judgement { snapshot, entry, notices }
    }

    /// Judges the policies with the settings in force.
    fn judge_policies(&mut self, now: UnixNanos) -> Option<Compiled> {
        let candidates = self.candidates();
        if self.published { self.renew(candidates, now) } else { self.begin(candidates, now) }
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
        let (published, settings) = (self.published, self.settings.clone());
        let alone =
            |(index, source): (usize, &mut Member)| source.alone(published, &settings).map(|loaded| (index, loaded));
        self.sources.iter_mut().enumerate().filter_map(alone).collect()
    }

    /// Before the first good set: takes what is good in itself, and compiles once every source has been that is not bound.
    fn begin(&mut self, candidates: Vec<(usize, LoadedSource)>, now: UnixNanos) -> Option<Compiled> {
        self.take(candidates, now);
        if self.sources.iter().any(|source| source.good.is_none() && !source.is_bound()) {
            return None;
        }
        loop {
            match self.compile(&[]) {
                Ok(compiled) => return Some(compiled),
                Err(problems) if self.leave_out(&problems) => {}
                Err(problems) => {
                    self.refuse_whole(&problems);
                    return None;
                }
            }
        }
    }

    /// Leaves out the bound sources that have a part in what is wrong with the first set, as if they were not good in
    /// themselves; says whether there was one.
    fn leave_out(&mut self, problems: &[Problem]) -> bool {
        let may_go = |index: &usize| self.sources.get(*index).is_some_and(|s| s.is_bound() && s.good.is_some());
        let mut parts: BTreeMap<usize, Vec<Problem>> = BTreeMap::new();
        for problem in problems {
            let owner = owner(&self.sources, &problem.place).filter(may_go);
            // Too large a set is nobody's fault in itself; then the largest goes.
            if let Some(index) = owner.or_else(|| self.largest_bound().filter(|_| problem.code == Code::TooLarge)) {
                parts.entry(index).or_default().push(problem.clone());
            }
        }
        let left_out = !parts.is_empty();
        for (index, part) in parts {
            let Some(source) = self.sources.get_mut(index) else { continue };
            (source.good, source.good_since) = (None, None);
            source.refuse(SourceState::NeverLoaded, part);
        }
        left_out
    }

    /// The bound source with most bytes, of those that are good in themselves.
    fn largest_bound(&self) -> Option<usize> {
        let bytes = |source: &Member| {
            let good = source.good.as_ref().filter(|_| source.is_bound())?;
            Some(good.source().files.iter().map(|file| file.bytes.len()).sum::<usize>())
        };
        let sizes = self.sources.iter().enumerate().filter_map(|(index, source)| Some((bytes(source)?, index)));
        sizes.max().map(|(_, index)| index)
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
        if last.is_none() && self.isolating() != self.isolating {
            last = self.compile(&[]).ok();
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
            replacement.or(source.good.as_ref()).cloned().or_else(|| source.stand_in())
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
        source.refuse(SourceState::Refused, problems);
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

    /// The sources whose namespace would be isolated for want of good content.
    fn isolating(&self) -> Vec<String> {
        let without = self.sources.iter().filter(|source| source.stand_in().is_some());
        without.map(|source| source.name.clone()).collect()
    }

    fn adopt(&mut self, compiled: Compiled, now: UnixNanos) -> Snapshot {
        self.published = true;
        self.isolating = self.isolating();
        self.revision = compiled.snapshot.revision().clone();
        self.counts = compiled.snapshot.counts();
        self.ends = Ends::of(compiled.snapshot.rules());
        self.warnings = compiled.problems;
        self.warned = self.warnings.iter().filter(|problem| problem.code == Code::NotRead).cloned().collect();
        let horizon = Horizon { now: Some(now), days: self.expiry_days };
        self.warnings.extend(findings::ends(&compiled.snapshot, horizon));
        compiled.snapshot
    }

    /// What became of the change; `None` where there is nothing that was not told before.
    fn outcome(&mut self, published: bool, changed: &BTreeSet<usize>, is_asked: bool) -> Option<ChangeOutcome> {
        let settings = self.file.as_ref().map_or(&[][..], SettingsFile::refusal);
        let policies = self.refusals().flat_map(|(_, refusal)| &refusal.problems);
        let refused: Vec<Problem> = settings.iter().chain(policies).cloned().collect();
        let is_again = is_asked && !settings.is_empty() || self.refusals().any(|(index, _)| changed.contains(&index));
        let is_new = is_again || refused != self.told || self.file.iter().any(|file| !file.news().is_empty());
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

    fn entry(&self, outcome: ChangeOutcome, previous: &Revision, now: UnixNanos) -> PolicyChange {
        let refused = self.sources.iter().filter(|source| source.refusal.is_some()).map(|source| source.name.as_str());
        let settings = self.file.iter().filter(|file| !file.refusal().is_empty()).map(SettingsFile::name);
        let news = self.file.iter().flat_map(SettingsFile::news);
        PolicyChange {
            time: now,
            outcome,
            revision: self.revision.to_string(),
            previous_revision: previous.to_string(),
            refused_sources: refused.chain(settings).map(str::to_owned).collect(),
            problems: news.chain(&self.told).chain(worst_first(self.warnings())).cloned().collect(),
            counts: self.counts,
            sources: self.sources.iter().filter_map(|source| source.entry(self.published)).collect(),
        }
    }

    /// The sources as operators are told of them; the settings file, if it may change, is the last.
    pub fn status(&self) -> Vec<SourceStatus> {
        let sources = self.sources.iter().map(|source| source.status(self.published));
        sources.chain(self.file.iter().map(SettingsFile::status)).collect()
    }
}

fn without(candidates: &[(usize, LoadedSource)], out: usize) -> Vec<(usize, LoadedSource)> {
    candidates.iter().enumerate().filter(|(at, _)| *at != out).map(|(_, candidate)| candidate.clone()).collect()
}

/// Notes after warnings: a record lists so many only.
fn worst_first<'p>(problems: impl Iterator<Item = &'p Problem>) -> impl Iterator<Item = &'p Problem> {
    let mut problems: Vec<&Problem> = problems.collect();
    problems.sort_by_key(|problem| problem.severity);
    problems.into_iter()
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

fn breaks(code: Code, name: &str, broken: &str) -> Problem {
    let text = format!("this change would break {broken}; the last good content of `{name}` stays in force");
    Problem::error(code, Place::whole(name), text).hint("change both at once, or undo this change")
}

#[cfg(test)]
#[path = "policy_set/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "policy_set/bound_tests.rs"]
mod bound_tests;

#[cfg(test)]
#[path = "policy_set/settings_tests.rs"]
mod settings_tests;
