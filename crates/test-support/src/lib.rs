//! What the tests of several crates share: oracles, builders and rigs. No program depends on it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

pub mod decoded_check;
