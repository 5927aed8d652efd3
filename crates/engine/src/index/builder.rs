//! How an index is made: rules are filed one by one under their pairs of keys.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::{EVERYONE, EVERYWHERE, HostId, Hosts, Id, Index, PairId, Sources, pair_id};
use crate::pattern::Match;

/// What is filed so far.
pub(super) struct Builder {
    pub(super) sources: Sources,
    pub(super) hosts: Hosts,
    /// The keys that every rule is filed under besides its own.
    always: (&'static [Id], &'static [HostId]),
    /// Every filing: its pair of keys and its position.
    filed: Vec<(PairId, u32)>,
}

impl Builder {
    pub(super) fn new(matching: Match) -> Builder {
        let always: (&[Id], &[HostId]) = match matching {
            Match::Broad => (&[EVERYONE], &[EVERYWHERE]),
            Match::Strict => (&[], &[]),
        };
        Builder {
            sources: Sources::default(),
            hosts: Hosts::default(),
            always,
            filed: Vec::new(),
        }
    }

    pub(super) fn file(&mut self, position: usize, sources: &[Id], hosts: &[HostId]) {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        for source in sources.iter().chain(self.always.0) {
            for host in hosts.iter().chain(self.always.1) {
                self.filed.push((pair_id(*source, *host), position));
            }
        }
    }

    pub(super) fn finish(mut self) -> Index {
        self.filed.sort_unstable();
        self.filed.dedup();
        let lists: Box<[u32]> = self.filed.iter().map(|(_, position)| *position).collect();
        let parts = || self.filed.chunk_by(|a, b| a.0 == b.0);
        let mut pairs = FxHashMap::with_capacity_and_hasher(parts().count(), Default::default());
        let mut from = 0;
        for part in parts() {
            let to = from + u32::try_from(part.len()).unwrap_or(u32::MAX);
            if let Some((pair, _)) = part.first() {
                pairs.insert(*pair, (from, to));
            }
            from = to;
        }
        let lengths: BTreeSet<usize> = self
            .sources
            .prefixes
            .keys()
            .map(|prefix| prefix.len())
            .collect();
        self.sources.prefix_lengths = lengths.into_iter().collect();
        Index {
            sources: self.sources,
            hosts: self.hosts,
            pairs,
            lists,
            dry_run: Box::default(),
        }
    }
}
