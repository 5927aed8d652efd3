//! The kinds of callers that a set tells apart, for questions whose destination is known.

use std::fmt;

use super::callers::{CallerMember, CallerNames, caller_groups};
use super::frame::{Focus, Frame};
use super::space::Space;
use super::text_cache::TextCache;
use super::words;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;

/// Callers about whom every rule of a set says the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerKind {
    /// One of them, as Envoy names it; empty for a caller without a valid identity.
    pub principal: String,
    /// What the set asks of their names; `None` for callers without a valid identity.
    pub names: Option<CallerNames>,
}

/// The kinds of callers of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerKinds {
    /// Every kind, in the order of names, callers without a valid identity last.
    pub kinds: Vec<CallerKind>,
    /// Why kinds are missing.
    pub incomplete: Option<String>,
}

/// Returns the kinds of callers of a set.
pub fn caller_kinds(snapshot: &Snapshot, now: UnixNanos) -> CallerKinds {
    let space = Space::new(&[snapshot], &[], now);
    let frame = Frame {
        space: &space,
        extra: Vec::new(),
        focus: Focus::Everything,
        texts: TextCache::default(),
    };
    let found = caller_groups(&frame);
    let members = found.groups.into_iter().flat_map(|group| group.members);
    let mut kinds: Vec<CallerKind> = members
        .map(|CallerMember { principal, names }| CallerKind { principal, names })
        .collect();
    kinds.sort_by(|a, b| (a.names.is_none(), &a.names).cmp(&(b.names.is_none(), &b.names)));
    CallerKinds {
        kinds,
        incomplete: found.failed.map(|why| why.to_string()),
    }
}

/// As policies write them: `shop/web`, `shop/*`, `*/*`.
impl fmt::Display for CallerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::caller_names(self.names.as_ref()))
    }
}
