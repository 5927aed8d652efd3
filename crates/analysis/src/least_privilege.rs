//! The least EgressPolicies that permit what crossed: what was asked for is collected in
//! [`Crossings`], and [`plan()`] makes grants of it.
//!
//! The rules:
//!
//! - A grant covers what crossed. A host is exact unless the caller asks for suffixes, and methods
//!   and paths are listed only if they are steady ([`SteadyRule`]).
//! - Nothing is granted that no policy can say exactly: a caller without a valid identity, a
//!   connection that names no host, a host that cannot be read. These are left out, with the cause.
//! - The result depends on what crossed, and not on the order in which it was seen.
//!
//! It reads no record and writes no YAML.

mod crossings;
mod plan;

pub use crossings::{
    AccountName, Crossing, Crossings, HostUse, LeftOut, LeftOutCause, LeftOutRow, Uses,
};
pub use plan::{
    AccountPlan, NamespacePlan, Plan, PlanOptions, PlannedGrant, SharedDestinations, SteadyRule,
    plan,
};

#[cfg(test)]
mod tests;
