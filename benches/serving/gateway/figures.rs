//! The names of the Envoys and of the figures that are taken of each, under which they are recorded
//! and compared.

/// What is measured of each Envoy, and added by its filters.
pub const P50: &str = "p50, us";
pub const P99: &str = "p99, us";
pub const ENVOY_CPU: &str = "CPU of Envoy, us";
pub const SERVER_CPU: &str = "CPU of the server, us";
pub const ALL_CPU: &str = "CPU of both, us";

/// The Envoys, by what their filters do.
pub const NONE: &str = "no filter";
pub const FLOOR: &str = "asking the floor";
pub const CUSTOMS: &str = "asking customs, 100,000 rules, audit to file";
/// The same without dynamic metadata, which the floor does not send either.
pub const BARE: &str = "asking customs, 100,000 rules, audit to file, no metadata";
