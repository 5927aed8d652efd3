//! Policy sets and requests drawn from small alphabets, as text that a person could have written.
//! Each choice is read off one byte, so that whoever makes bytes makes sets: the property tests at
//! random, a fuzzer by what it has seen.

use customs_engine::enforcement::Enforcement;
use customs_engine::identity::{Accepted, TrustDomains};
use customs_engine::settings::{DefaultEffect, Settings};
use customs_engine::time::UnixNanos;

mod policies;
mod requests;

pub use policies::{allow_only, any_deny, authorization_policy, deny_only, policy, set, some_more};
pub use requests::{Ask, ask};

/// The moment of every decision; some grants end before it.
pub const NOW: UnixNanos = UnixNanos(1_795_392_000 * 1_000_000_000);

/// Choices, each read off one byte. Behind the last byte each is the first one, and nothing is
/// there that need not be.
#[derive(Debug)]
pub struct Choices<'b>(std::slice::Iter<'b, u8>);

impl<'b> Choices<'b> {
    /// The choices that these bytes make.
    pub fn of(bytes: &'b [u8]) -> Choices<'b> {
        Choices(bytes.iter())
    }

    /// A number below `limit`, which is at most 256.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % limit
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Whether something is so that is so in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(256) * 100 >= (100 - percent) * 256
    }

    fn maybe<T>(&mut self, percent: usize, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(percent).then(|| draw(self))
    }

    /// From one to `limit` draws.
    pub fn several<T>(
        &mut self,
        limit: usize,
        mut draw: impl FnMut(&mut Self, usize) -> T,
    ) -> Vec<T> {
        let count = 1 + self.below(limit);
        (0..count).map(|index| draw(self, index)).collect()
    }
}

/// Settings that change verdicts.
pub fn settings(choices: &mut Choices<'_>) -> Settings {
    let only = Settings::default().trust_domains;
    Settings {
        default_effect: if choices.chance(50) {
            DefaultEffect::Deny
        } else {
            DefaultEffect::Allow
        },
        request_validation: if choices.chance(20) {
            Enforcement::Report
        } else {
            Enforcement::Enforce
        },
        trust_domains: if choices.chance(20) {
            TrustDomains {
                accepted: Accepted::Any,
                ..only
            }
        } else {
            only
        },
        trusted_hops: choices.maybe(20, |_| 0),
        ..Settings::default()
    }
}
