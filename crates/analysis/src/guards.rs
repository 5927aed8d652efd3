//! Whether policies keep their guards, over all requests and not over samples.
//!
//! The [regions](super::regions) cut what a guard covers into cells, so that every request of a cell
//! gets one answer. A guard is proved if each cell has the answer that it demands, and broken if one
//! has another: the cell's witness is the counter-example, decided by the policies as a server would
//! decide it. If the search ends early, or some cell has no witness, the guard is not proved. A guard
//! is never called proved on a guess.
//!
//! Guards are about the verdict at one time. What ends later is not looked at: a grant that expires
//! can break what must be allowed, and nothing that expires can break what must not be.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::regions::{Cell, Exploration, LeftRegion, SampleRequest, Space, Within};
use customs_engine::decision::Answer;
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::eval_context::EvalContext;
use customs_engine::rule::Rule;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::guard::{Claim, Guard};
use customs_policy::problem::{Code, Problem};

/// How many cells a server looks at for one guard, before it gives up. A reload waits for this.
pub const LOAD_BUDGET: usize = 500_000;

/// How many cells are looked at for a counter-example that is easier to understand.
const EASIER: usize = 1_000;

/// The most regions of an unfinished search that a message names.
const LEFT_NAMED: usize = 3;

/// What is known of a guard.
#[derive(Debug)]
pub struct Proof<'g> {
    /// The guard.
    pub guard: &'g Guard,
    /// Whether the policies keep it.
    pub outcome: ProofOutcome<'g>,
    /// The number of cells that were looked at.
    pub cells: usize,
    /// The settings of the policies, by which a request is written as a command.
    settings: Settings,
}

/// Whether policies keep a guard.
#[derive(Debug)]
pub enum ProofOutcome<'g> {
    /// They do, for every request.
    Proved,
    /// They do not.
    Broken(Box<CounterExample>),
    /// No policies can: another guard says the opposite of a request.
    Conflict(&'g Guard, Box<SampleRequest>),
    /// The guard covers no request.
    Empty,
    /// Nobody knows.
    NotProved(Unproved),
}

/// A request that breaks a guard, with the answer of the policies.
#[derive(Debug)]
pub struct CounterExample {
    /// The request.
    pub request: SampleRequest,
    /// The verdict.
    pub verdict: Answer,
    /// The answer that the request should get, for a guard that compares two sets.
    pub expected: Option<Answer>,
}

/// Why a guard is not proved.
#[derive(Debug)]
pub enum Unproved {
    /// The search left these regions out.
    Left(Vec<String>),
    /// The guard compares with a directory that is not known here.
    NotCompared(Box<str>),
}

/// Proves each guard, or finds what breaks it. Each search looks at no more cells than the budget
/// says.
pub fn prove<'g>(
    guards: &'g [Guard],
    snapshot: &Snapshot,
    now: UnixNanos,
    budget: usize,
) -> Vec<Proof<'g>> {
    let rules: Vec<Arc<Rule>> = guards
        .iter()
        .filter_map(|guard| guard.claim.rule().cloned())
        .collect();
    let space = Space::new(&[snapshot], &rules, now);
    let search = Search {
        guards,
        snapshot,
        now,
        budget,
    };
    let proof = |guard: &'g Guard| {
        let (outcome, cells) = match &guard.claim {
            Claim::Never(rule) | Claim::Only(rule) => search.run(&space, guard, rule, Effect::Deny),
            Claim::Always(rule) => search.run(&space, guard, rule, Effect::Allow),
            Claim::UnchangedFrom(directory) => {
                let unproved = Unproved::NotCompared(directory.clone());
                (ProofOutcome::NotProved(unproved), 0)
            }
        };
        Proof::new(guard, outcome, cells, snapshot)
    };
    guards.iter().map(proof).collect()
}

/// Proves that two sets give every request the same verdict, as a guard says, or finds a request
/// that gets another one from the second.
pub fn prove_unchanged<'g>(
    guard: &'g Guard,
    (old, new): (&Snapshot, &Snapshot),
    now: UnixNanos,
    budget: usize,
) -> Proof<'g> {
    let space = Space::new(&[old, new], &[], now);
    let (mut broken, mut unasked) = (None, Vec::new());
    let Exploration { cells, left, .. } = space.explore_changes(budget, |cell| {
        let [expected, given] = cell.decisions() else {
            return ControlFlow::Continue(());
        };
        if expected.verdict.effect() == given.verdict.effect() {
            return ControlFlow::Continue(());
        }
        match cell.witness() {
            Some(witness) => {
                broken = Some(CounterExample {
                    request: witness.clone(),
                    verdict: given.verdict.clone(),
                    expected: Some(expected.verdict.clone()),
                });
                ControlFlow::Break(())
            }
            None => {
                unasked.push(cell.to_left().to_string());
                ControlFlow::Continue(())
            }
        }
    });
    let left = left.iter().map(LeftRegion::to_string);
    let left: Vec<String> = unasked.into_iter().chain(left).collect();
    let outcome = match broken {
        Some(broken) => ProofOutcome::Broken(Box::new(broken)),
        None if left.is_empty() => ProofOutcome::Proved,
        None => ProofOutcome::NotProved(Unproved::Left(left)),
    };
    Proof::new(guard, outcome, cells, new)
}

/// Searches one set for requests that break a guard.
struct Search<'g, 's> {
    guards: &'g [Guard],
    snapshot: &'s Snapshot,
    now: UnixNanos,
    budget: usize,
}

/// What a search has found so far.
#[derive(Default)]
struct Found<'g> {
    covered: usize,
    /// The easiest counter-example, with its oddity.
    broken: Option<(usize, CounterExample)>,
    /// The number of cells since the first counter-example.
    since_broken: usize,
    conflict: Option<(&'g Guard, SampleRequest)>,
    /// Cells that would break the guard, if some request is of them.
    unasked: Vec<String>,
}

impl<'g> Search<'g, '_> {
    fn run(
        &self,
        space: &Space<'_>,
        guard: &'g Guard,
        rule: &Rule,
        effect: Effect,
    ) -> (ProofOutcome<'g>, usize) {
        let rivals: Vec<&Guard> = self
            .guards
            .iter()
            .filter(|rival| rival.claim.rule().is_some())
            .filter(|rival| rival.claim.forbids() != guard.claim.forbids())
            .collect();
        let mut found = Found::default();
        let within = Within { rule, effect };
        let Exploration { cells, left, .. } = space.explore(Some(within), self.budget, |cell| {
            self.look(cell, guard, &rivals, &mut found)
        });
        let outcome = match found {
            Found {
                conflict: Some((rival, request)),
                ..
            } => ProofOutcome::Conflict(rival, Box::new(request)),
            Found {
                broken: Some((_, broken)),
                ..
            } => ProofOutcome::Broken(Box::new(broken)),
            Found { unasked, .. } if !unasked.is_empty() || !left.is_empty() => {
                let left = left.iter().map(LeftRegion::to_string);
                ProofOutcome::NotProved(Unproved::Left(unasked.into_iter().chain(left).collect()))
            }
            Found { covered: 0, .. } => ProofOutcome::Empty,
            Found { .. } => ProofOutcome::Proved,
        };
        (outcome, cells)
    }

    fn look(
        &self,
        cell: &Cell<'_>,
        guard: &'g Guard,
        rivals: &[&'g Guard],
        found: &mut Found<'g>,
    ) -> ControlFlow<()> {
        let Some(decision) = cell.decisions().first() else {
            return ControlFlow::Continue(());
        };
        if !self.covers(guard, cell) {
            return ControlFlow::Continue(());
        }
        found.covered += 1;
        let rival = rivals.iter().find(|rival| self.covers(rival, cell));
        let is_allowed = decision.verdict.effect() == Effect::Allow;
        let is_broken = is_allowed == guard.claim.forbids();
        match (rival, cell.witness()) {
            (Some(rival), Some(witness)) => {
                found.conflict = Some((rival, witness.clone()));
                return ControlFlow::Break(());
            }
            (None, Some(witness)) if is_broken => {
                let oddity = self.oddity(witness);
                if found
                    .broken
                    .as_ref()
                    .is_none_or(|(least, _)| oddity < *least)
                {
                    let example = CounterExample {
                        request: witness.clone(),
                        verdict: decision.verdict.clone(),
                        expected: None,
                    };
                    found.broken = Some((oddity, example));
                }
            }
            // Whether such a request exists is not known.
            (_, None) if is_broken || rival.is_some() => {
                found.unasked.push(cell.to_left().to_string());
            }
            _ => {}
        }
        let Some((oddity, _)) = &found.broken else {
            return ControlFlow::Continue(());
        };
        found.since_broken += 1;
        // A conflict says more than a counter-example, so the search for one continues.
        let is_easy = *oddity == 0 || found.since_broken > EASIER;
        match is_easy && rivals.is_empty() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// How odd a request is: 0 for a plain GET or TCP connection of a caller with an identity.
    fn oddity(&self, request: &SampleRequest) -> usize {
        // `--from` and `--to`, each with a value.
        const PLAIN: usize = 4;
        const ODD: usize = 100;
        let flags = request.flags(self.snapshot.settings());
        let more = flags.map_or(ODD, |flags| flags.len().saturating_sub(PLAIN));
        match request.principal.is_empty() {
            true => more + ODD / 2,
            false => more,
        }
    }

    /// Whether a guard covers the requests of a cell: all of them, or none.
    fn covers(&self, guard: &Guard, cell: &Cell<'_>) -> bool {
        let Some(rule) = guard.claim.rule() else {
            return false;
        };
        let settings = self.snapshot.settings();
        let is_validated = settings.request_validation == Enforcement::Enforce;
        let applies = |effect, context: &EvalContext<'_>| {
            self.snapshot.would_apply(rule, effect, context, self.now)
        };
        cell.with_request(settings, |context| match guard.claim.forbids() {
            true => applies(Effect::Deny, context),
            false => {
                let is_refused = is_validated && context.request.finding.is_some();
                !is_refused && applies(Effect::Allow, context)
            }
        })
    }
}

impl<'g> Proof<'g> {
    /// The proof of a guard for a set.
    pub(crate) fn new(
        guard: &'g Guard,
        outcome: ProofOutcome<'g>,
        cells: usize,
        snapshot: &Snapshot,
    ) -> Proof<'g> {
        Proof {
            guard,
            outcome,
            cells,
            settings: snapshot.settings().clone(),
        }
    }

    /// Whether the policies keep the guard, for every request.
    pub fn is_proved(&self) -> bool {
        matches!(self.outcome, ProofOutcome::Proved)
    }

    /// Whether it is not known that the policies keep the guard, and not known that they break it.
    pub fn is_unproved(&self) -> bool {
        matches!(self.outcome, ProofOutcome::NotProved(_))
    }

    /// Returns what is wrong: at the guard, and at the entry of a policy that breaks it. Nothing is
    /// wrong with a guard that is proved.
    pub fn problems(&self) -> Vec<Problem> {
        let Guard {
            id,
            place,
            claim,
            about,
        } = self.guard;
        let error = |code, text: String| Problem::error(code, place.clone(), text);
        let asked = |request: &SampleRequest| format!("`{}`", request.command_line(&self.settings));
        match &self.outcome {
            ProofOutcome::Proved => Vec::new(),
            ProofOutcome::Broken(broken) => {
                let CounterExample {
                    request,
                    verdict,
                    expected,
                } = broken.as_ref();
                let request = asked(request);
                let text = format!("{}: {request} gives {}", said(claim, id), Gives(verdict));
                let text = match expected {
                    Some(expected) => format!("{text} instead of {}", Gives(expected)),
                    None => text,
                };
                let mut problems = vec![error(Code::GuardBroken, text).hint(advice(about, claim))];
                problems.extend(verdict.rule.infos().map(|info| {
                    let text = format!(
                        "`{}` breaks the guard `{id}` at {}: {request} gives {}",
                        info.id,
                        place.file_and_line(),
                        Gives(verdict)
                    );
                    Problem::error(Code::GuardBroken, info.place.clone(), text)
                }));
                problems
            }
            ProofOutcome::Conflict(rival, request) => {
                let text = format!(
                    "`{id}` ({}) and `{}` ({}) at {} cannot both be kept: both cover {}",
                    claim.as_str(),
                    rival.id,
                    rival.claim.as_str(),
                    rival.place.file_and_line(),
                    asked(request)
                );
                let hint = "write it into the `except` of the guard that forbids it";
                vec![error(Code::GuardConflict, text).hint(hint)]
            }
            ProofOutcome::Empty => {
                let text = format!("`{id}` covers no request, so every set of policies keeps it");
                vec![error(Code::EmptyGuard, text).hint("narrow its exceptions")]
            }
            ProofOutcome::NotProved(Unproved::Left(left)) => {
                let mut shown: Vec<&str> =
                    left.iter().map(String::as_str).take(LEFT_NAMED).collect();
                let more = left.len().saturating_sub(LEFT_NAMED);
                let more_text = format!("{more} more");
                if more > 0 {
                    shown.push(&more_text);
                }
                let text = format!(
                    "it is not known whether the policies keep `{id}`: the search left out {}",
                    shown.join("; ")
                );
                let hint = "`customs prove` searches longer; a narrower guard has less to search";
                vec![error(Code::GuardNotProved, text).hint(hint)]
            }
            ProofOutcome::NotProved(Unproved::NotCompared(directory)) => {
                let text = format!(
                    "`{id}` compares with `{directory}`, and a server has no other policies to compare with"
                );
                let hint =
                    "keep it outside of the policy directories, for `customs prove --guard FILE`";
                vec![error(Code::GuardNotProved, text).hint(hint)]
            }
        }
    }
}

/// What a broken guard says of the counter-example.
fn said(claim: &Claim, id: &customs_policy::guard::GuardId) -> String {
    match claim {
        Claim::Never(_) => format!("`{id}` says that this is never allowed"),
        Claim::Only(_) => format!("`{id}` says that only others may do this"),
        Claim::Always(_) => format!("`{id}` says that this is always allowed"),
        Claim::UnchangedFrom(directory) => {
            format!("`{id}` says that answers are those of `{directory}`")
        }
    }
}

/// What to do about a broken guard.
fn advice(about: &customs_policy::guard::AboutGuard, claim: &Claim) -> String {
    let ask = match (&about.owner, &about.ticket) {
        (Some(owner), Some(ticket)) => format!(", or ask {owner} ({ticket})"),
        (Some(owner), None) => format!(", or ask {owner}"),
        (None, Some(ticket)) => format!(" (see {ticket})"),
        (None, None) => String::new(),
    };
    match claim.forbids() {
        true => format!("deny it, for every port and spelling that the guard covers{ask}"),
        false => format!("change the policy that decides it{ask}"),
    }
}

/// An answer in a message: `allow (allowed_by_rule by ep:shop/egress#pay)`.
pub struct Gives<'a>(pub &'a Answer);

impl fmt::Display for Gives<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { reason, rule, .. } = self.0;
        write!(
            f,
            "{} ({} by {rule})",
            self.0.effect().as_str(),
            reason.as_str()
        )
    }
}

#[cfg(test)]
mod tests;
