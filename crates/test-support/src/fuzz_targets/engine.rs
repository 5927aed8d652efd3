//! Target `engine`: bytes choose four requests, settings, a set of policies, and one more policy
//! that only denies.
//!
//! The indexed engine must answer as the naive evaluator does, and one more deny must never allow
//! more. Reading text is most of the cost of a set, so most policies are taken from a pool that is
//! read once; what the bytes add to the pool, they draw themselves. The pool depends on nothing but
//! its indexes.

use std::sync::OnceLock;

use customs_engine::effect::Effect;
use customs_engine::settings::Settings;
use customs_policy::compile;
use customs_policy::source::{self, LoadedSource, PolicyFile, Source};

use super::agree;
use crate::draw::{self, Choices};

/// How many policies the pool has of each kind.
const POOL: usize = 4096;

/// A policy of the pool, made on first use.
type Pool = [OnceLock<Option<LoadedSource>>; POOL];

static ANY: Pool = [const { OnceLock::new() }; POOL];
static DENIES: Pool = [const { OnceLock::new() }; POOL];

/// Runs one input.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let asks = [(); 4].map(|()| draw::ask(&mut choices));
    let settings = draw::settings(&mut choices);
    let deny = policy(&mut choices, &DENIES, "deny", draw::any_deny);
    let mut set: Vec<LoadedSource> = choices
        .several(6, |choices, _| policy(choices, &ANY, "any", draw::policy))
        .into_iter()
        .flatten()
        .collect();
    set.sort_by(|a, b| a.name().cmp(b.name()));
    set.dedup_by(|a, b| a.name() == b.name());
    let Ok(less) = compile::compile(&set, &settings) else {
        return;
    };
    set.extend(deny);
    let Ok(more) = compile::compile(&set, &settings) else {
        return;
    };
    for ask in asks {
        ask.with(|attributes| {
            let request = attributes.normalise(&settings);
            let less = agree::decide(&less.snapshot, &request);
            let more = agree::decide(&more.snapshot, &request);
            for (less, more) in [
                (&less.verdict, &more.verdict),
                (&less.dry_run, &more.dry_run),
            ] {
                assert!(
                    less.effect() == Effect::Allow || more.effect() == Effect::Deny,
                    "{ask:?}\n{less:?}\n{more:?}"
                );
            }
        });
    }
}

/// Returns one policy of the pool or, now and then, one that the next bytes draw; `None` if the
/// drawn policy is refused.
fn policy(
    choices: &mut Choices<'_>,
    pool: &'static Pool,
    kind: &str,
    draw: fn(&mut Choices<'_>, &str) -> String,
) -> Option<LoadedSource> {
    if choices.chance(4) {
        let name = format!("{kind}-drawn");
        return read(&name, &draw(choices, &name));
    }
    let index = choices.below(256) * 16 + choices.below(16);
    let made = || {
        let name = format!("{kind}-{index}");
        read(&name, &draw(&mut Choices::of(&numbers(index)), &name))
    };
    pool[index].get_or_init(made).clone()
}

/// Returns bytes that look random, the same for each index (SplitMix64).
fn numbers(index: usize) -> Vec<u8> {
    let number = |n: u64| {
        let mixed = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    };
    (1..=16_u64)
        .flat_map(|n| number((index as u64 * 16 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect()
}

fn read(name: &str, text: &str) -> Option<LoadedSource> {
    let file = PolicyFile {
        name: "p.yaml".into(),
        bytes: text.as_bytes().into(),
    };
    let read = source::load(
        &Source {
            name: name.into(),
            files: vec![file],
            ..Source::default()
        },
        &Settings::default(),
    );
    (!read.has_errors()).then_some(read)
}
