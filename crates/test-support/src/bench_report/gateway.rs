//! What a filter adds to a request through Envoy: the names of the Envoys and of their figures, and
//! the number of policies from which Envoy's own RBAC adds more than asking customs.
//!
//! It measures nothing. The rule: a cost is that of a filter less that of no filter in the same
//! round.

use super::document::count;
use super::findings::Findings;
use super::statistics::{Crossing, Estimate, crossing, differences};

/// What is measured of each Envoy, and added by its filters.
pub const P50: &str = "p50, µs";
pub const P99: &str = "p99, µs";
pub const ENVOY_CPU: &str = "CPU of Envoy, µs";
pub const SERVER_CPU: &str = "CPU of the server, µs";
pub const ALL_CPU: &str = "CPU of both, µs";

/// The Envoys, by what their filters do.
pub const NONE: &str = "no filter";
pub const FLOOR: &str = "asking the floor";
pub const CUSTOMS: &str = "asking customs, 100,000 rules, audit to file";
/// The same without dynamic metadata, which the floor does not send either.
pub const BARE: &str = "asking customs, 100,000 rules, audit to file, no metadata";

/// The numbers of policies of Envoy's RBAC.
pub const RBAC_SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

/// What a policy of Envoy's RBAC denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RbacKind {
    /// A namespace may go nowhere.
    AnyHost,
    /// A namespace may not go to one host, a different one in each policy.
    DistinctHosts,
}

impl RbacKind {
    pub const ALL: [RbacKind; 2] = [RbacKind::AnyHost, RbacKind::DistinctHosts];

    /// Returns the name in the tables.
    pub fn name(self, size: usize) -> String {
        format!("RBAC, {} policies {}", count(size as f64), self.what())
    }

    /// Returns what the policies deny, in words.
    pub fn what(self) -> &'static str {
        match self {
            RbacKind::AnyHost => "by namespace",
            RbacKind::DistinctHosts => "by namespace and host",
        }
    }
}

/// Returns, round by round, how much a setup costs more than no filter.
pub fn added(findings: &Findings, setup: &str, cost: &str) -> Vec<f64> {
    differences(findings.rounds(setup, cost), findings.rounds(NONE, cost))
}

/// Returns what each size of RBAC adds, in ascending order of the sizes.
pub fn added_by_size(findings: &Findings, kind: RbacKind, cost: &str) -> Vec<(f64, Estimate)> {
    let estimate = |size: usize| Estimate::of(&added(findings, &kind.name(size), cost));
    RBAC_SIZES
        .into_iter()
        .filter_map(|size| Some((size as f64, estimate(size)?)))
        .collect()
}

/// Returns from how many policies on RBAC adds more than asking customs, by the medians.
pub fn crossing_with_customs(findings: &Findings, kind: RbacKind, cost: &str) -> Option<Crossing> {
    let flat = Estimate::of(&added(findings, CUSTOMS, cost))?;
    let costs: Vec<(f64, f64)> = added_by_size(findings, kind, cost)
        .into_iter()
        .map(|(size, estimate)| (size, estimate.median))
        .collect();
    crossing(&costs, flat.median)
}
