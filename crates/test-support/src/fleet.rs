//! A simulation of a fleet: many gateways, several replicas of customs, and a change of policies on
//! its way to all of them. docs/explanation/scale.md has its tables and plots.
//!
//! Nothing is measured here. The costs come from the benchmarks, and a seed makes every run
//! the same. The rule: where the model must choose, it chooses what makes waits longer.

pub mod distribution;
pub mod queues;
pub mod report;
