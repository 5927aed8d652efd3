//! Analyses of whole policy sets, beyond the answer to one request.
//!
//! [`findings`] reports effects of a set that its authors may not have intended. [`regions`] cuts all
//! requests into the cells that no rule tells apart. [`diff`] compares two compiled sets by them:
//! which rules differ, and which requests get other answers. [`explain`] shows why one request gets
//! its answer. [`least_privilege`] makes grants of what crossed. This crate never changes a verdict
//! and never reads a file.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod check_command;
pub mod diff;
pub mod explain;
pub mod findings;
pub mod guards;
pub mod least_privilege;
pub mod regions;
mod rule_changes;
