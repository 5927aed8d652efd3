//! Reads the wall clock for code that stamps an event (rule R14). The engine never reads a clock:
//! it gets the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use customs_engine::time::UnixNanos;

/// Returns the current time, clamped to the Unix epoch.
pub fn now() -> UnixNanos {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixNanos(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_not_before_this_was_written() {
        assert!(now() > UnixNanos(1_700_000_000 * 1_000_000_000));
    }
}
