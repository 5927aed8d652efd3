//! The wall clock, for whoever stamps an event (rule R14). The engine never reads it: a moment comes in as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use customs_engine::time::UnixNanos;

/// This moment; a clock before 1970 tells 1970.
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
