//! The names of the Envoys and of the figures that are taken of each, under which they are recorded
//! and compared.

/// What is measured of each Envoy, and added by its filters.
pub(super) const P50: &str = "p50, us";
pub(super) const P99: &str = "p99, us";
pub(super) const ENVOY_CPU: &str = "CPU of Envoy, us";
pub(super) const SERVER_CPU: &str = "CPU of the server, us";
pub(super) const ALL_CPU: &str = "CPU of both, us";

/// The Envoys, by what their filters do.
pub(super) const NONE: &str = "no filter";
pub(super) const FLOOR: &str = "asking the floor";
pub(super) const CUSTOMS: &str = "asking customs, 100,000 rules, audit to file";
/// The same without dynamic metadata, which the floor does not send either.
pub(super) const BARE: &str = "asking customs, 100,000 rules, audit to file, no metadata";
