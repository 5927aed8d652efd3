//! Policy sets and requests drawn from small alphabets, as text that a person could have written.
//! Each choice is read from one byte, so that bytes from any generator make sets: random ones in
//! the property tests, those of a fuzzer by what it has covered.

use customs_engine::enforcement::Enforcement;
use customs_engine::identity::{Accepted, TrustDomains};
use customs_engine::settings::{DefaultEffect, Settings};
use customs_engine::time::UnixNanos;

mod policies;
mod requests;

pub use policies::{allow_only, any_deny, authorization_policy, deny_only, policy, set, some_more};
pub use requests::{Ask, ask};

/// The moment of every decision; some grants expire before it.
pub const NOW: UnixNanos = UnixNanos(1_795_392_000 * 1_000_000_000);

/// Choices, each read from one byte. After the last byte each choice is the first one, and optional
/// parts are absent.
#[derive(Debug)]
pub struct Choices<'b>(std::slice::Iter<'b, u8>);

impl<'b> Choices<'b> {
    /// Creates the choices that these bytes make.
    pub fn of(bytes: &'b [u8]) -> Choices<'b> {
        Choices(bytes.iter())
    }

    /// Returns a number below `limit`, which is at most 256.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % limit
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Returns true in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(256) * 100 >= (100 - percent) * 256
    }

    fn maybe<T>(&mut self, percent: usize, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(percent).then(|| draw(self))
    }

    /// Draws from one to `limit` times.
    pub fn several<T>(
        &mut self,
        limit: usize,
        mut draw: impl FnMut(&mut Self, usize) -> T,
    ) -> Vec<T> {
        let count = 1 + self.below(limit);
        (0..count).map(|index| draw(self, index)).collect()
    }
}

/// Draws settings that change verdicts.
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
