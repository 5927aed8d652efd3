//! Walks through the cells of a space, one level after the other, and asks the sets one request of
//! each.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;

use super::callers::{CallerGroup, caller_groups};
use super::candidates::Question;
use super::cell::{
    Cell, Cut, DestinationKind, Hosts, LeftHosts, LeftReason, LeftRegion, Part, Witness,
    forced_readings,
};
use super::classes::classes;
use super::clause::{Clause, ClauseId};
use super::frame::{Focus, Frame};
use super::hosts::{HostClass, HostTable, MissingHosts, bracketed};
use super::level::Level;
use super::sample_request::{SampleRequest, SampleTarget};
use super::space::{ClauseList, Owner, Space};
use super::text_cache::TextCache;
use customs_engine::decision::Decision;
use customs_engine::effect::Effect;
use customs_engine::eval_context::EvalContext;
use customs_engine::identity::Principal;
use customs_engine::rule::Rule;
use customs_engine::settings::{IdentitySource, Settings};

/// The most regions that are listed as left; further ones become one.
const MAX_LEFT: usize = 1_000;

/// The requests that a rule is about.
#[derive(Clone, Copy, Debug)]
pub struct Within<'w> {
    /// The rule. Its exceptions are cut out of cells, and do not narrow what is visited.
    pub rule: &'w Rule,
    /// How it is read: as a DENY, broadly, or as an ALLOW, strictly.
    pub effect: Effect,
}

/// The outcome of an exploration.
#[derive(Debug)]
pub struct Exploration<'f> {
    /// The number of cells.
    pub cells: usize,
    /// The number of requests that each set was asked.
    pub asked: usize,
    /// The regions that were not cut into cells. If there are none, every request that was to be
    /// looked at is in a cell that was visited.
    pub left: Vec<LeftRegion<'f>>,
}

impl Exploration<'_> {
    /// Returns whether every request is in a cell that was visited.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
    }
}

impl Space<'_> {
    /// Visits every cell, or every cell of a rule's requests, until the visitor stops. `budget` is
    /// the most cells that are asked; what is beyond it is left.
    pub fn explore<'e>(
        &'e self,
        within: Option<Within<'e>>,
        budget: usize,
        visit: impl FnMut(&Cell<'e>) -> ControlFlow<()>,
    ) -> Exploration<'e> {
        let mut list = ClauseList {
            clauses: Vec::new(),
            owners: self.owners.clone(),
        };
        let mut focus = Focus::Everything;
        if let Some(Within { rule, effect }) = within {
            list.rule(rule, effect, Owner::Guard);
            let of_space = self.clauses.iter().map(|_| false);
            let of_rule = list.clauses.iter().map(|clause| !clause.is_exception);
            focus = Focus::Only(of_space.chain(of_rule).collect());
        }
        let frame = Frame {
            space: self,
            extra: list.clauses,
            focus,
            texts: TextCache::default(),
        };
        explore(frame, budget, visit)
    }
}

/// Visits the cells of a frame.
pub(super) fn explore<'f>(
    frame: Frame<'f>,
    budget: usize,
    visit: impl FnMut(&Cell<'f>) -> ControlFlow<()>,
) -> Exploration<'f> {
    let mut explorer = Explorer {
        frame: Rc::new(frame),
        budget,
        visit,
        outcome: Exploration {
            cells: 0,
            asked: 0,
            left: Vec::new(),
        },
    };
    explorer.run();
    explorer.outcome
}

struct Explorer<'f, V> {
    frame: Rc<Frame<'f>>,
    budget: usize,
    visit: V,
    outcome: Exploration<'f>,
}

impl<'f, V: FnMut(&Cell<'f>) -> ControlFlow<()>> Explorer<'f, V> {
    fn run(&mut self) {
        let found = caller_groups(&self.frame);
        let mut part = Part {
            frame: self.frame.clone(),
            callers: None,
            hosts: None,
            cuts: Vec::new(),
        };
        if found.failed.is_some() {
            self.leave(&part, None, LeftReason::TooManyPatterns, None);
        }
        for group in found.groups {
            part.callers = Some(Rc::new(group));
            part.hosts = None;
            if self.callers(&mut part).is_break() {
                part.callers = None;
                part.hosts = None;
                self.leave(&part, None, LeftReason::Stopped, None);
                return;
            }
        }
    }

    fn leave(
        &mut self,
        part: &Part<'f>,
        hosts: Option<LeftHosts>,
        why: LeftReason,
        sample: Option<&SampleRequest>,
    ) {
        if self.outcome.left.len() > MAX_LEFT {
            return;
        }
        let mut part = part.clone();
        if self.outcome.left.len() == MAX_LEFT {
            (part.callers, part.hosts) = (None, None);
        }
        self.outcome.left.push(LeftRegion {
            part,
            hosts,
            why,
            sample: sample.cloned(),
        });
    }

    /// Cuts the destinations of one group of callers.
    fn callers(&mut self, part: &mut Part<'f>) -> ControlFlow<()> {
        let Some(group) = part.callers.clone() else {
            return ControlFlow::Continue(());
        };
        if self.outcome.asked >= self.budget {
            self.leave(part, None, LeftReason::Budget, None);
            return ControlFlow::Continue(());
        }
        let principal = principal(&group);
        let settings = self.frame.space.settings();
        let reads_header = |settings: &Settings| settings.identity_source == IdentitySource::Xfcc;
        let is_unknown_on_tcp = !principal.is_empty() && settings.is_some_and(reads_header);
        let table = Rc::new(HostTable::of(&self.frame, &group.clauses));
        let found = table.classes(&self.frame);
        for missing in found.missing {
            let hosts = match missing {
                MissingHosts::Names => LeftHosts::Names,
                MissingHosts::Addresses(_) => LeftHosts::Ipv6,
            };
            self.leave(part, Some(hosts), LeftReason::Hosts, None);
        }
        for class in found.classes {
            let HostClass {
                key,
                members,
                clauses,
            } = class;
            let text = members.first().map(|member| bracketed(&member.host));
            let (key, members): (Rc<[u64]>, _) = (key.into(), Rc::from(members));
            for is_http in [true, false] {
                if !is_http && is_unknown_on_tcp {
                    continue;
                }
                let text = text.clone().unwrap_or_default();
                part.hosts = Some(Hosts {
                    is_http,
                    kind: DestinationKind::Known,
                    table: table.clone(),
                    key: key.clone(),
                    members: Rc::clone(&members),
                });
                let sample = match is_http {
                    true => SampleRequest::http(principal, text),
                    false => SampleRequest::tcp(principal, text),
                };
                self.destination(part, sample, clauses.clone())?;
            }
        }
        for (kind, target) in odd_targets() {
            if is_unknown_on_tcp && !matches!(target, SampleTarget::Http(_)) {
                continue;
            }
            part.hosts = Some(Hosts {
                is_http: matches!(target, SampleTarget::Http(_)),
                kind,
                table: table.clone(),
                key: Rc::default(),
                members: Rc::default(),
            });
            let sample = SampleRequest::of(principal, target);
            self.destination(part, sample, group.clauses.clone())?;
        }
        ControlFlow::Continue(())
    }

    fn destination(
        &mut self,
        part: &mut Part<'f>,
        sample: SampleRequest,
        mut clauses: Vec<ClauseId>,
    ) -> ControlFlow<()> {
        if !sample.is_http() {
            clauses.retain(|number| {
                let clause = self.frame.clause(*number);
                clause.is_some_and(|clause| !clause.is_void_on_tcp)
            });
        }
        self.keep_opened(&mut clauses);
        if !self.frame.has_focus(&clauses) {
            return ControlFlow::Continue(());
        }
        self.cut(part, Witness::Real(sample), clauses, None)
    }

    /// Cuts a part at the next level that some clause asks.
    fn cut(
        &mut self,
        part: &mut Part<'f>,
        witness: Witness,
        clauses: Vec<ClauseId>,
        after: Option<&Level>,
    ) -> ControlFlow<()> {
        let sample = witness.sample();
        let Some(level) = self.next_level(part, &clauses, after) else {
            return self.ask(part, witness);
        };
        let asked: Rc<[ClauseId]> = clauses
            .iter()
            .copied()
            .filter(|number| {
                let clause = self.frame.clause(*number);
                clause.is_some_and(|clause| level.is_asked_by(clause))
            })
            .collect();
        let (Some(settings), Some(hosts)) = (self.frame.space.settings(), &part.hosts) else {
            return ControlFlow::Continue(());
        };
        let frame = self.frame.clone();
        let question = Question {
            settings,
            level: &level,
            clauses: asked
                .iter()
                .filter_map(|number| frame.clause(*number))
                .collect(),
            hosts,
            sample,
            texts: &frame.texts,
        };
        let candidates = match question.candidates() {
            Ok(candidates) => candidates
                .into_iter()
                .map(|candidate| candidate.after(&witness)),
            Err(why) => {
                self.leave(part, None, why, Some(sample));
                return ControlFlow::Continue(());
            }
        };
        let classes = classes(part, &level, &asked, candidates.collect());
        let is_cut = classes.len() > 1;
        for class in classes {
            let mut left = clauses.clone();
            left.retain(|number| !class.failed.contains(number));
            self.keep_opened(&mut left);
            if !self.frame.has_focus(&left) {
                continue;
            }
            let words = Some(class.words).filter(|words| is_cut && !words.is_empty());
            part.cuts.push(Cut {
                level: level.clone(),
                clauses: asked.clone(),
                bits: class.bits.into(),
                words: words.map(Rc::from),
            });
            let flow = self.cut(part, class.witness, left, Some(&level));
            part.cuts.pop();
            flow?;
        }
        ControlFlow::Continue(())
    }

    /// The next level that some clause asks.
    fn next_level(
        &self,
        part: &Part<'f>,
        clauses: &[ClauseId],
        after: Option<&Level>,
    ) -> Option<Level> {
        let is_http = part.hosts.as_ref().is_some_and(|hosts| hosts.is_http);
        let mut next: Option<Level> = None;
        let mut offer = |level: Level| {
            let is_open = match level {
                Level::Method | Level::Path | Level::Header(_) => is_http,
                Level::Port | Level::Address | Level::Sni => true,
            };
            if is_open
                && after.is_none_or(|after| *after < level)
                && next.as_ref().is_none_or(|next| level < *next)
            {
                next = Some(level);
            }
        };
        for clause in clauses
            .iter()
            .filter_map(|number| self.frame.clause(*number))
        {
            let fixed = [Level::Port, Level::Method, Level::Path, Level::Address];
            for level in fixed {
                if level.is_asked_by(clause) {
                    offer(level);
                }
            }
            clause
                .when
                .iter()
                .filter_map(Level::of_condition)
                .for_each(&mut offer);
        }
        let settings = self.frame.space.settings();
        if is_http && settings.is_some_and(|settings| settings.require_sni_host_match) {
            offer(Level::Sni);
        }
        next
    }

    /// Drops exceptions of rules that are no longer among the clauses.
    fn keep_opened(&self, clauses: &mut Vec<ClauseId>) {
        let all = |clauses: &[ClauseId]| -> Vec<Clause<'f>> {
            let clauses = clauses.iter();
            clauses
                .filter_map(|number| self.frame.clause(*number).copied())
                .collect()
        };
        let here = all(clauses);
        if !here.iter().any(|clause| clause.is_exception) {
            return;
        }
        let owners: BTreeSet<u32> = here
            .iter()
            .filter(|clause| !clause.is_exception)
            .map(|clause| clause.owner)
            .collect();
        clauses.retain(|number| {
            let clause = self.frame.clause(*number);
            clause.is_some_and(|clause| !clause.is_exception || owners.contains(&clause.owner))
        });
    }

    /// Asks every set one request of a part that nothing cuts further.
    fn ask(&mut self, part: &Part<'f>, witness: Witness) -> ControlFlow<()> {
        let sample = witness.sample();
        if self.outcome.asked >= self.budget {
            self.leave(part, None, LeftReason::Budget, Some(sample));
            return ControlFlow::Continue(());
        }
        let Some(settings) = self.frame.space.settings() else {
            return ControlFlow::Continue(());
        };
        let decisions = sample.with(settings, |request| {
            let context = match forced_readings(&witness) {
                Some(readings) => EvalContext::with_readings(request, readings),
                None => EvalContext::new(request),
            };
            let is_caller = request.principal == Principal::parse(&sample.principal);
            if !is_caller
                || !part.is_of_hosts(&request.destination.host)
                || !part.meets_cuts(&context)
            {
                return None;
            }
            let Space { snapshots, now, .. } = self.frame.space;
            let decide = |set: &&customs_engine::Snapshot| match forced_readings(&witness) {
                Some(readings) => set.decide_with_readings(request, readings, *now),
                None => set.decide(request, *now),
            };
            Some(snapshots.iter().map(decide).collect::<Vec<Decision>>())
        });
        let Some(decisions) = decisions else {
            self.leave(part, None, LeftReason::NoSample, Some(sample));
            return ControlFlow::Continue(());
        };
        self.outcome.asked += 1;
        self.outcome.cells += 1;
        let cell = Cell {
            part: part.clone(),
            witness,
            decisions,
        };
        (self.visit)(&cell)
    }
}

fn principal(group: &CallerGroup) -> &str {
    let first = group.members.first();
    first
        .map(|member| member.principal.as_str())
        .unwrap_or_default()
}

/// Requests whose destination is not a host that is known.
fn odd_targets() -> [(DestinationKind, SampleTarget); 4] {
    let unreadable = "made-up..invalid";
    let wrapped = "outbound_.443_._.made-up.made-up.svc";
    let http = SampleRequest::http("", unreadable).target;
    [
        (DestinationKind::Unnamed, SampleTarget::Tcp(String::new())),
        (
            DestinationKind::MeshWrapper,
            SampleTarget::Tcp(wrapped.into()),
        ),
        (DestinationKind::Unreadable, http),
        (
            DestinationKind::Unreadable,
            SampleTarget::Tcp(unreadable.into()),
        ),
    ]
}
