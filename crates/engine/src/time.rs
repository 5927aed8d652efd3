//! A moment in time. The engine reads no clock: moments are arguments.

/// A moment of the wall clock, in nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixNanos(pub i128);
