//! What the serving benchmark and the mixed load compute, read, draw and write: the part of it that
//! can be tested without measuring.
//!
//! Nothing is measured here. `benches/serving` starts the servers, sends them requests, and hands
//! its figures to these modules.

pub mod document;
pub mod findings;
pub mod h2load_output;
pub mod picture;
pub mod proc;
pub mod soak_table;
pub mod statistics;
