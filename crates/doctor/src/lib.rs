//! Says what is wrong with customs, its proxies and the mesh around them, from what was collected
//! of them.
//!
//! The crate is pure: texts come in, findings go out. It opens no file and no connection and reads
//! no clock, so that a console can use it as well as a command; the time comes in as an argument.
//!
//! - [`customs_status`] reads what a replica of customs says about itself, and [`replica`] compares
//!   replicas.
//! - [`foreign_document`] recognises what was collected by mistake.

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

pub mod customs_status;
pub mod foreign_document;
pub mod replica;
