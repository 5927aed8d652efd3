//! The figures that are taken of each Envoy, by the names under which they are recorded and compared.

/// What is measured of each Envoy, and added by its filters.
pub const P50: &str = "p50, us";
pub const P99: &str = "p99, us";
pub const ENVOY_CPU: &str = "CPU of Envoy, us";
pub const SERVER_CPU: &str = "CPU of the server, us";
pub const ALL_CPU: &str = "CPU of both, us";
