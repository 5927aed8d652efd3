//! What must hold for any bytes: each target is a function of bytes that panics if it does not.
//!
//! libFuzzer calls them from `fuzz/fuzz_targets`; `tests/fuzz` calls the same functions on the
//! stable toolchain, with the corpus and with mutations of it. They do not know their caller, and
//! keep nothing from one call to the next.

mod agree;
pub mod attributes;
pub mod borrowed;
pub mod engine;
pub mod host;
pub mod load;
