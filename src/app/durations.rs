//! Parses the durations of the settings.

use std::time::Duration;

use jiff::SignedDuration;

use super::settings::{SettingValueError, SettingsError};

/// Parses `250ms`, `5s` or `1m30s`; a bare `0` is a duration of zero.
pub(super) fn duration(path: &str, text: &str, wrong: &mut SettingsError) -> Duration {
    parse(text).unwrap_or_else(|why| {
        wrong.add(path, text, SettingValueError::Duration(why));
        Duration::ZERO
    })
}

/// Parses a duration above zero.
pub(super) fn positive_duration(path: &str, text: &str, wrong: &mut SettingsError) -> Duration {
    let problem = match parse(text) {
        Ok(time) if !time.is_zero() => return time,
        Ok(_) => SettingValueError::OutOfRange(
            "a duration above zero, such as `100ms` or `10s`".to_owned(),
        ),
        Err(why) => SettingValueError::Duration(why),
    };
    wrong.add(path, text, problem);
    Duration::ZERO
}

/// Parses a duration.
///
/// # Errors
/// Why the text is not one.
pub(super) fn parse(text: &str) -> Result<Duration, jiff::Error> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    Duration::try_from(text.parse::<SignedDuration>()?)
}
