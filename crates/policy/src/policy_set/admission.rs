//! Decides which changes the set accepts: as many as compile together with the last good content of
//! the rest.
//!
//! Before anything is in force, every source that is not bound to a namespace must have been good
//! once. From then on, a change that does not compile with the others, or that breaks a guard, is
//! refused, and its problem names what it would break.

use std::collections::{BTreeMap, BTreeSet};

use super::guarding::GuardRound;
use super::source_state::{Refusal, SourceState};
use super::{PolicySet, SourceHealth, SourceId, limits};
use crate::compile::{self, Compiled};
use crate::problem::{Code, Place, Problem};
use crate::source::LoadedSource;
use customs_engine::time::UnixNanos;

/// Content that is good in itself, of the source at a position of the set.
#[derive(Clone)]
pub(super) struct Candidate {
    position: usize,
    loaded: LoadedSource,
}

impl PolicySet {
    /// Tries the policies with the settings in force.
    pub(super) fn try_policies(&mut self, now: UnixNanos) -> Option<Compiled> {
        let candidates = self.find_candidates();
        if self.is_ready() {
            self.admit(candidates, now)
        } else {
            self.admit_first(candidates, now)
        }
    }

    /// Returns the sources whose content is good in itself and not yet accepted. The others are
    /// refused or unchanged.
    fn find_candidates(&mut self) -> Vec<Candidate> {
        let (published, settings) = (self.is_ready(), self.settings.clone());
        let candidate = |(position, source): (usize, &mut SourceState)| {
            source
                .check_alone(published, &settings)
                .map(|loaded| Candidate { position, loaded })
        };
        self.sources
            .iter_mut()
            .enumerate()
            .filter_map(candidate)
            .collect()
    }

    /// Accepts content that is good in itself before the first good set. Compiles once every
    /// unbound source has been good.
    fn admit_first(&mut self, candidates: Vec<Candidate>, now: UnixNanos) -> Option<Compiled> {
        self.accept(candidates, now);
        if self
            .sources
            .iter()
            .any(|source| source.last_good.is_none() && !source.is_bound())
        {
            return None;
        }
        let round = self.guard_round(now);
        loop {
            match self.compile(&[], &round) {
                Ok(compiled) => return Some(compiled),
                Err(problems) if self.leave_out(&problems) => {}
                Err(problems) => {
                    self.refuse_whole(&problems);
                    return None;
                }
            }
        }
    }

    /// Drops the bound sources that cause problems of the first set, as if they were not good in
    /// themselves. Returns whether there was one.
    fn leave_out(&mut self, problems: &[Problem]) -> bool {
        let may_go = |position: &usize| {
            self.sources
                .get(*position)
                .is_some_and(|s| s.is_bound() && s.last_good.is_some())
        };
        let mut parts: BTreeMap<usize, Vec<Problem>> = BTreeMap::new();
        for problem in problems {
            let owner = owner(&self.sources, &problem.place).filter(may_go);
            // No single source causes a set that is too large, so the largest one is dropped.
            if let Some(position) = owner.or_else(|| {
                self.largest_bound()
                    .filter(|_| problem.code == Code::TooLarge)
            }) {
                parts.entry(position).or_default().push(problem.clone());
            }
        }
        let left_out = !parts.is_empty();
        for (position, part) in parts {
            let Some(source) = self.sources.get_mut(position) else {
                continue;
            };
            (source.last_good, source.last_good_at) = (None, None);
            source.refuse(SourceHealth::NeverLoaded, part);
        }
        left_out
    }

    /// Returns the largest bound source of those that are good in themselves.
    fn largest_bound(&self) -> Option<usize> {
        let bytes = |source: &SourceState| {
            let good = source.last_good.as_ref().filter(|_| source.is_bound())?;
            Some(
                good.source()
                    .files
                    .iter()
                    .map(|file| file.bytes.len())
                    .sum::<usize>(),
            )
        };
        let sizes = self
            .sources
            .iter()
            .enumerate()
            .filter_map(|(position, source)| Some((bytes(source)?, position)));
        sizes.max().map(|(_, position)| position)
    }

    /// Accepts as many changes as compile together with the set in force, and refuses the others.
    fn admit(&mut self, mut candidates: Vec<Candidate>, now: UnixNanos) -> Option<Compiled> {
        let (mut last, round) = (None, self.guard_round(now));
        while let Some((taken, compiled)) = self.find_compiling_part(&candidates, &round) {
            candidates.retain(|candidate| {
                !taken
                    .iter()
                    .any(|other| other.position == candidate.position)
            });
            self.accept(taken, now);
            last = Some(compiled);
        }
        for candidate in &candidates {
            let problems = self
                .compile(std::slice::from_ref(candidate), &round)
                .err()
                .unwrap_or_default();
            self.refuse(candidate.position, problems);
        }
        if last.is_none() && self.find_isolating() != self.isolating {
            last = self.compile(&[], &round).ok();
        }
        last
    }

    /// Returns all candidates, or all but one (dropping later ones first), or the first that
    /// compiles by itself.
    fn find_compiling_part(
        &self,
        candidates: &[Candidate],
        round: &GuardRound,
    ) -> Option<(Vec<Candidate>, Compiled)> {
        let all_but = (0..candidates.len())
            .rev()
            .map(|out| without(candidates, out));
        let single = candidates
            .iter()
            .filter(|_| candidates.len() > 2)
            .map(|candidate| vec![candidate.clone()]);
        std::iter::once(candidates.to_vec())
            .chain(all_but)
            .chain(single)
            .filter(|part| !part.is_empty())
            .find_map(|part| {
                let compiled = self.compile(&part, round).ok()?;
                Some((part, compiled))
            })
    }

    /// Compiles the last good contents.
    pub(super) fn compile_last_good(&self, now: UnixNanos) -> Result<Compiled, Vec<Problem>> {
        self.compile(&[], &self.guard_round(now))
    }

    /// Compiles the last good contents with some replaced, and looks at the guards of the result.
    fn compile(
        &self,
        replaced: &[Candidate],
        round: &GuardRound,
    ) -> Result<Compiled, Vec<Problem>> {
        let set = self.contents(replaced);
        limits::check(&set)?;
        round.keep_guards(compile::compile(&set, &self.settings)?)
    }

    /// Returns the last good contents with some replaced, and the substitutes of bound sources that
    /// have none.
    pub(super) fn contents(&self, replaced: &[Candidate]) -> Vec<LoadedSource> {
        let content = |(position, source): (usize, &SourceState)| {
            let replacement = replaced
                .iter()
                .find(|other| other.position == position)
                .map(|other| &other.loaded);
            replacement
                .or(source.last_good.as_ref())
                .cloned()
                .or_else(|| source.stand_in())
        };
        self.sources
            .iter()
            .enumerate()
            .filter_map(content)
            .collect()
    }

    fn accept(&mut self, candidates: Vec<Candidate>, now: UnixNanos) {
        for Candidate { position, loaded } in candidates {
            if let Some(source) = self.sources.get_mut(position) {
                source.last_good = Some(loaded);
                source.last_good_at = Some(now);
                source.refusal = None;
            }
        }
    }

    fn refuse(&mut self, position: usize, mut problems: Vec<Problem>) {
        let names = self.name_owners(&problems, Some(position));
        let Some(source) = self.sources.get_mut(position) else {
            return;
        };
        if let (Some(first), false) = (problems.first(), names.is_empty()) {
            problems.insert(0, breaks(first.code, source.id(), &names.join(", ")));
        }
        source.refuse(SourceHealth::Refused, problems);
    }

    /// Returns the quoted names of the sources that hold the problems, except one.
    pub(super) fn name_owners(&self, problems: &[Problem], but: Option<usize>) -> Vec<String> {
        let owners = problems
            .iter()
            .filter_map(|problem| owner(&self.sources, &problem.place));
        let owners: BTreeSet<usize> = owners.filter(|owner| Some(*owner) != but).collect();
        owners
            .iter()
            .filter_map(|owner| self.sources.get(*owner))
            .map(|s| format!("`{}`", s.id()))
            .collect()
    }

    /// Records the problems of the first set at their sources. A problem without a source is
    /// recorded at every source.
    fn refuse_whole(&mut self, problems: &[Problem]) {
        let owners: Vec<Option<usize>> = problems
            .iter()
            .map(|p| owner(&self.sources, &p.place))
            .collect();
        for (position, source) in self.sources.iter_mut().enumerate() {
            let mine = problems
                .iter()
                .zip(&owners)
                .filter(|(_, owner)| owner.is_none_or(|owner| owner == position));
            let mine: Vec<Problem> = mine.map(|(problem, _)| problem.clone()).collect();
            if !mine.is_empty() {
                let refusal = Refusal {
                    state: SourceHealth::NeverLoaded,
                    problems: Vec::new(),
                };
                source.refusal.get_or_insert(refusal).problems.extend(mine);
            }
        }
    }

    /// Returns the sources whose namespace would be isolated because they have no good content.
    pub(super) fn find_isolating(&self) -> Vec<SourceId> {
        let without = self
            .sources
            .iter()
            .filter(|source| source.stand_in().is_some());
        without.map(|source| source.id().clone()).collect()
    }
}

fn without(candidates: &[Candidate], out: usize) -> Vec<Candidate> {
    candidates
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != out)
        .map(|(_, candidate)| candidate.clone())
        .collect()
}

/// Returns the source that holds a place: the innermost one if sources are nested.
pub(super) fn owner(sources: &[SourceState], place: &Place) -> Option<usize> {
    let lies_in = |source: &SourceState| {
        let rest = place
            .file
            .strip_prefix(source.id().as_str().trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let holders = sources
        .iter()
        .enumerate()
        .filter(|(_, source)| lies_in(source));
    holders
        .max_by_key(|(_, source)| source.id().as_str().len())
        .map(|(position, _)| position)
}

fn breaks(code: Code, id: &SourceId, broken: &str) -> Problem {
    let text =
        format!("this change would break {broken}; the last good content of `{id}` stays in force");
    Problem::error(code, Place::whole(id.as_str()), text)
        .hint("change both at once, or undo this change")
}
