//! Times of the settings as their text says them.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads `250ms`, `5s`, `1m30s`; a bare `0` is no time at all.
pub(super) fn duration(knob: &str, text: &str, wrong: &mut Vec<String>) -> Duration {
    if text.trim() == "0" {
        return Duration::ZERO;
    }
    let parsed = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|d| Duration::try_from(d).ok());
    parsed.unwrap_or_else(|| {
        wrong.push(format!(
            "{knob}: `{text}` is no duration; write `250ms`, `5s` or `1m`"
        ));
        Duration::ZERO
    })
}
