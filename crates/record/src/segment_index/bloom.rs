//! The names of an index: a Bloom filter, which may say yes for a name that is not there, and never
//! no for one that is.
//!
//! It says what is put in for a record, and what is looked up for a question. The rule: whatever
//! [`RecordQuery`](crate::record_query::RecordQuery) compares is put in, in a form in which it can
//! be looked up.

use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::fields::DecisionFields;
use crate::record_query::{policy_of, rules_of};

/// How many bits each name gets, and how many of them are set: one in a hundred other names is
/// taken for one that is there.
const BITS: usize = 10;
const HASHES: u64 = 7;

/// A Bloom filter.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Bloom(Vec<u8>);

impl Bloom {
    /// Makes a filter of these names.
    pub(super) fn of<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> Bloom {
        let bytes = (names.len() * BITS).div_ceil(8).max(8);
        let mut bloom = Bloom(vec![0; bytes]);
        for name in names {
            for (byte, bit) in bloom.places(name) {
                if let Some(byte) = bloom.0.get_mut(byte) {
                    *byte |= bit;
                }
            }
        }
        bloom
    }

    fn has(&self, name: &str) -> bool {
        self.places(name)
            .iter()
            .all(|(byte, bit)| self.0.get(*byte).is_none_or(|byte| byte & bit != 0))
    }

    fn places(&self, name: &str) -> [(usize, u8); HASHES as usize] {
        let hash = Sha256::digest(name);
        let number = |at: usize| {
            let bytes = hash.get(at..at + 8).and_then(|bytes| bytes.as_array::<8>());
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let (one, two) = (number(0), number(8) | 1);
        let bits = (self.0.len() as u64).saturating_mul(8).max(1);
        let mut count = 0;
        [(); HASHES as usize].map(|()| {
            let place = one.wrapping_add(two.wrapping_mul(count)) % bits;
            count += 1;
            (
                usize::try_from(place / 8).unwrap_or(usize::MAX),
                1 << (place % 8),
            )
        })
    }
}

impl fmt::Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bloom({} bytes)", self.0.len())
    }
}

impl Serialize for Bloom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bloom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bloom, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
        match bytes.is_empty() {
            true => Err(de::Error::custom("a filter without a bit")),
            false => Ok(Bloom(bytes)),
        }
    }
}

/// Calls `put` with each name of a decision. `is_new` says whether a name is the first of its
/// value: what follows from a host that was there before was there before as well.
pub(super) fn names_of(decision: &DecisionFields<'_>, put: &mut impl FnMut(&[&str]) -> bool) {
    if !decision.host.is_empty() {
        let host = decision.host.to_ascii_lowercase();
        if put(&["h:", &host]) {
            for (at, _) in host.match_indices('.').filter(|(at, _)| *at > 0) {
                put(&["s:", host.get(at + 1..).unwrap_or_default()]);
            }
        }
    }
    if !decision.namespace.is_empty() {
        put(&["n:", &decision.namespace]);
    }
    if !decision.service_account.is_empty() {
        put(&["a:", &decision.service_account]);
        put(&["a:", &decision.namespace, "/", &decision.service_account]);
    }
    for rule in rules_of(decision) {
        if put(&["r:", rule]) {
            put(&["p:", policy_of(rule)]);
        }
    }
    for owner in [&decision.owner, &decision.dry_run_owner] {
        if !owner.is_empty() {
            put(&["o:", owner]);
        }
    }
}

pub(super) fn may_have_host(names: &Bloom, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    names.has(&match host.strip_prefix("*.") {
        Some(parent) => format!("s:{parent}"),
        None => format!("h:{host}"),
    })
}

pub(super) fn may_have_namespace(names: &Bloom, namespace: &str) -> bool {
    names.has(&format!("n:{namespace}"))
}

pub(super) fn may_have_account(names: &Bloom, account: &str) -> bool {
    names.has(&format!("a:{account}"))
}

pub(super) fn may_have_rule(names: &Bloom, rule: &str) -> bool {
    names.has(&format!("r:{rule}")) || (!rule.contains('#') && names.has(&format!("p:{rule}")))
}

pub(super) fn may_have_owner(names: &Bloom, owner: &str) -> bool {
    names.has(&format!("o:{owner}"))
}
