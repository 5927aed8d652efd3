//! What the benchmarks and the mixed load compute, read and write: the part of it that can be tested
//! without measuring.
//!
//! Nothing is measured here. `benches/` start the servers, send them requests, and hand their figures
//! to these modules.

pub mod document;
pub mod findings;
pub mod gateway;
pub mod grants;
pub mod h2load_output;
pub mod machine;
pub mod proc;
pub mod scaling;
pub mod serving_run;
pub mod soak_table;
pub mod statistics;
