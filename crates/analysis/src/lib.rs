//! What a whole policy set means, beyond the answer to one request.
//!
//! [`findings`] says what a set would do that its authors may not have meant. [`diff`] compares two
//! compiled sets: which rules differ, and which callers are answered otherwise. [`explain`] says
//! why one request is answered as it is. Nothing here changes a verdict, and nothing here reads a
//! file.

#![warn(unreachable_pub)]
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

pub mod diff;
pub mod explain;
pub mod findings;
mod rule_changes;
mod sample_callers;
mod sample_destinations;
mod sample_requests;

pub use sample_callers::SampleCaller;
pub use sample_destinations::SampleDestination;
