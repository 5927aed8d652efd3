//! The exact decision regions of policy sets: all requests, cut into finitely many cells, with one
//! request of each asked for real.
//!
//! A [`Space`] is cut by the rules of some sets, so that each rule holds for all requests of a
//! [`Cell`] or for none. A cell is asked by giving each set one of its requests, and `decide` answers
//! as it would answer a check. **No answer is worked out here**: this module only finds the cells.
//! It is exact if every request is in a cell; where it cannot be sure of that, the region is *left*,
//! and nothing is said of it. It never takes a region that is left for one without a difference.
//!
//! A cell says of an attribute only what rules ask of it. [`Space::explore`] narrows the search to
//! the requests of one rule.

mod addresses;
mod caller_kinds;
mod caller_parts;
mod callers;
mod candidates;
mod cell;
mod changes;
mod classes;
mod clause;
mod exact_namespaces;
mod explore;
mod frame;
mod host_names;
mod hosts;
mod level;
mod nat64;
mod sample_request;
mod space;
mod text_atoms;
mod text_cache;
mod words;

pub use caller_kinds::{CallerKind, CallerKinds, caller_kinds};
pub use callers::{CallerNames, PartName};
pub use cell::{Cell, LeftReason, LeftRegion};
pub use explore::{Exploration, Within};
pub use sample_request::{SampleHttp, SampleRequest, SampleTarget};
pub use space::Space;

#[cfg(test)]
mod tests;
