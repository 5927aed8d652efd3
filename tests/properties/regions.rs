//! Regions are exact. Every request of a cell gets the cell's answers, whichever it is. Every request
//! is in a cell or in a region that is left, and so is every request whose answer differs between two
//! sets. The witness of a cell is asked of the sets and of the naive evaluator.
//!
//! `CUSTOMS_REGION_PAIRS` sets how many pairs of sets are compared, and `CUSTOMS_REGION_REQUESTS` how
//! many random requests are asked of each; `CUSTOMS_REGION_SEED` is the first seed.

#![allow(clippy::print_stdout)]

use std::ops::ControlFlow;

use customs_analysis::diff::{Group, Shift, diff};
use customs_analysis::regions::{Cell, Space};
use customs_engine::reference;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::{Effect, Request};
use customs_test_support::draw::{self, Ask, Choices, NOW};

use super::snapshot;

/// The most cells that are asked of one pair.
const BUDGET: usize = 40_000;

/// A pair of sets with the same settings, and what they are made of.
struct Pair {
    settings: Settings,
    sets: [Snapshot; 2],
    text: String,
}

/// Draws pairs one after the other, each from its own seed.
fn pair(seed: u64) -> Option<Pair> {
    let mut random = fastrand::Rng::with_seed(seed);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(600).collect();
    let mut choices = Choices::of(&bytes);
    let settings = draw::settings(&mut choices);
    let one = draw::set(&mut choices);
    // Half of the pairs differ in one document, as changes do.
    let mut other = draw::set(&mut choices);
    if seed.is_multiple_of(2) {
        let changed = other.first().cloned();
        other = one.clone();
        let at = random.usize(..other.len());
        if let Some(changed) = changed {
            other[at] = changed;
        }
    }
    let sets = [snapshot(&one, &settings)?, snapshot(&other, &settings)?];
    let text = format!("{}\n=====\n{}", one.join("---\n"), other.join("---\n"));
    Some(Pair {
        settings,
        sets,
        text,
    })
}

fn asks(seed: u64, count: usize) -> Vec<Ask> {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let mut ask = || {
        let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(32).collect();
        draw::ask(&mut Choices::of(&bytes))
    };
    (0..count).map(|_| ask()).collect()
}

/// The effects of both answers of a set.
fn effects(set: &Snapshot, request: &Request<'_>) -> [Effect; 2] {
    let decision = set.decide(request, NOW);
    [decision.verdict.effect(), decision.dry_run.effect()]
}

fn effects_of(cell: &Cell<'_>) -> Vec<[Effect; 2]> {
    let decisions = cell.decisions().iter();
    decisions
        .map(|decision| [decision.verdict.effect(), decision.dry_run.effect()])
        .collect()
}

fn count(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

/// The seeds of the pairs to compare.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let first = count("CUSTOMS_REGION_SEED", 0);
    first..first + count("CUSTOMS_REGION_PAIRS", usual)
}

/// Asserts that the cells of a pair are what they say, of the witnesses and of some requests.
fn check(seed: u64, pair: &Pair, asks: &[Ask]) -> (usize, usize) {
    let Pair {
        settings,
        sets: [one, other],
        text,
    } = pair;
    let space = Space::new(&[one, other], &[], NOW);
    let mut found = vec![false; asks.len()];
    let outcome = space.explore(None, BUDGET, |cell| {
        let said = effects_of(cell);
        if let Some(witness) = cell.witness() {
            witness.with(settings, |request| {
                assert!(
                    cell.contains(request),
                    "{seed}: {cell} has no {witness:?}\n{text}"
                );
                for (set, decision) in [one, other].into_iter().zip(cell.decisions()) {
                    let again = set.decide(request, NOW);
                    assert_eq!(again, *decision, "{seed}: {cell}\n{text}");
                    let rules = set.rules();
                    let naive = reference::verdict(rules, settings, request, NOW);
                    assert_eq!(naive, decision.verdict, "{seed}: {cell}\n{text}");
                    let naive = reference::dry_run(rules, settings, request, NOW);
                    assert_eq!(naive, decision.dry_run, "{seed}: {cell}\n{text}");
                }
            });
        }
        for (ask, found) in asks.iter().zip(&mut found) {
            ask.with(|attributes| {
                let request = attributes.normalise(settings);
                if cell.contains(&request) {
                    *found = true;
                    let asked = [effects(one, &request), effects(other, &request)];
                    assert_eq!(asked[..], said[..], "{seed}: {cell} {ask:?}\n{text}");
                }
            });
        }
        ControlFlow::Continue(())
    });
    for (ask, found) in asks.iter().zip(found) {
        ask.with(|attributes| {
            let request = attributes.normalise(settings);
            let is_left = outcome.left.iter().any(|left| left.contains(&request));
            let left: Vec<String> = outcome.left.iter().map(ToString::to_string).collect();
            assert!(
                found || is_left,
                "{seed}: {ask:?} is nowhere; left: {left:#?}\n{text}"
            );
        });
    }
    (outcome.cells, outcome.left.len())
}

#[test]
fn every_request_is_in_a_cell_that_says_its_answers() {
    let (mut cells, mut complete, mut loaded) = (0, 0, 0);
    let requests = usize::try_from(count("CUSTOMS_REGION_REQUESTS", 12)).unwrap();
    for seed in seeds(16) {
        let Some(pair) = pair(seed) else { continue };
        let (asked, left) = check(seed, &pair, &asks(seed, requests));
        loaded += 1;
        cells += asked;
        complete += usize::from(left == 0);
    }
    println!("{loaded} pairs, {cells} cells, {complete} without a region that is left");
    assert!(loaded > 0 && cells > loaded);
}

/// Asserts that what a comparison reports is real, and that it reports whatever differs.
fn check_changes(seed: u64, pair: &Pair, asks: &[Ask]) -> usize {
    let Pair {
        settings,
        sets: [one, other],
        text,
    } = pair;
    let both = |request: &Request<'_>| [effects(one, request), effects(other, request)];
    let asked = |ask: &Ask| ask.with(|attributes| both(&attributes.normalise(settings)));
    let differing: Vec<(&Ask, [[Effect; 2]; 2])> = asks
        .iter()
        .map(|ask| (ask, asked(ask)))
        .filter(|(_, [old, new])| old != new)
        .collect();
    let space = Space::new(&[one, other], &[], NOW);
    let mut is_found = vec![false; differing.len()];
    let mut unwitnessed = Vec::new();
    let outcome = space.explore_changes(BUDGET, |cell| {
        let said = effects_of(cell);
        if said[0] == said[1] {
            return ControlFlow::Continue(());
        }
        match cell.witness() {
            Some(witness) => {
                let answers = witness.with(settings, |request| both(request));
                assert_eq!(answers[..], said[..], "{seed}: {cell} {witness:?}\n{text}");
                for ((ask, effects), is_found) in differing.iter().zip(&mut is_found) {
                    *is_found = *is_found
                        || effects[..] == said[..]
                            && ask
                                .with(|attributes| cell.contains(&attributes.normalise(settings)));
                }
            }
            None => unwitnessed.push(cell.to_left()),
        }
        ControlFlow::Continue(())
    });
    for ((ask, _), is_found) in differing.iter().zip(is_found) {
        let is_left = ask.with(|attributes| {
            let request = attributes.normalise(settings);
            let mut left = outcome.left.iter().chain(&unwitnessed);
            left.any(|left| left.contains(&request))
        });
        assert!(
            is_found || is_left,
            "{seed}: {ask:?} differs unseen\n{text}"
        );
    }
    differing.len()
}

#[test]
fn whatever_differs_is_in_a_region_that_is_reported() {
    let mut differing = 0;
    let requests = usize::try_from(count("CUSTOMS_REGION_REQUESTS", 60)).unwrap();
    for seed in seeds(16) {
        let Some(pair) = pair(seed) else { continue };
        differing += check_changes(seed, &pair, &asks(seed, requests));
    }
    println!("{differing} requests whose answers differ");
    assert!(differing > 0);
}

/// How many regions have which shift, seen from one side.
fn shifts(one: &Snapshot, other: &Snapshot, seen: impl Fn(Shift) -> Shift) -> Vec<(Shift, usize)> {
    let found = diff(one, other, NOW);
    let of = |shift| {
        let groups = found.groups.iter();
        let of_shift = groups.filter(|group| seen(group.answers.shift) == shift);
        (shift, of_shift.map(Group::count).sum())
    };
    Shift::ALL.map(of).to_vec()
}

#[test]
fn a_difference_is_seen_from_both_sides_and_none_from_the_same() {
    let mirrored = |shift| match shift {
        Shift::Allowed => Shift::Denied,
        Shift::Denied => Shift::Allowed,
        same => same,
    };
    for seed in 0..8 {
        let Some(Pair {
            sets: [one, other],
            text,
            ..
        }) = pair(seed)
        else {
            continue;
        };
        let itself = diff(&one, &one, NOW);
        assert!(itself.rules.is_empty() && itself.groups.is_empty() && itself.is_proved());
        let (there, back) = (shifts(&one, &other, |s| s), shifts(&other, &one, mirrored));
        assert_eq!(there, back, "{seed}\n{text}");
    }
}
