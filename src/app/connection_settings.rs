//! The settings that bound a connection of the address for Envoy's checks.

use super::settings::{SettingValueError, Settings, SettingsError};
use customs_audit::config;
use customs_net::ConnectionLimits;

/// The most calls that a connection may have open at once.
const MOST_STREAMS: u32 = 10_000;
/// The most resets of calls that a connection may have pending.
const MOST_RESETS: u32 = 100_000;
/// The least and the most that a message may be limited to, in bytes.
const MESSAGES: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 20;

/// Checks the settings, and adds each problem.
pub(super) fn resolve(settings: &Settings, wrong: &mut SettingsError) -> ConnectionLimits {
    let (streams, message) = (settings.max_concurrent_streams, &settings.max_message_size);
    if !(1..=MOST_STREAMS).contains(&streams) {
        let expected = format!("1 to {MOST_STREAMS}, such as 1024");
        let problem = SettingValueError::OutOfRange(expected);
        wrong.add("max_concurrent_streams", streams, problem);
    }
    let fitting = streams.saturating_mul(ConnectionLimits::RESETS_A_STREAM);
    let resets = settings.max_pending_resets.unwrap_or(fitting);
    if resets < streams || resets > MOST_RESETS {
        let expected = format!(
            "max_concurrent_streams ({streams}) to {MOST_RESETS}, such as {fitting}: with fewer, a stall of this server would end the proxy's connection"
        );
        let problem = SettingValueError::OutOfRange(expected);
        wrong.add("max_pending_resets", resets, problem);
    }
    let size = match config::bytes(message) {
        Ok(size) => {
            if !MESSAGES.contains(&size) {
                let expected = "`64KiB` to `64MiB`, such as `4MiB`".into();
                let problem = SettingValueError::OutOfRange(expected);
                wrong.add("max_message_size", message, problem);
            }
            size
        }
        Err(why) => {
            wrong.add("max_message_size", message, SettingValueError::Size(why));
            *MESSAGES.end()
        }
    };
    ConnectionLimits {
        concurrent_streams: streams,
        pending_resets: resets,
        message_size: usize::try_from(size).unwrap_or(usize::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(
        streams: u32,
        resets: Option<u32>,
        message: &str,
    ) -> (ConnectionLimits, Vec<String>) {
        let settings = Settings {
            max_concurrent_streams: streams,
            max_pending_resets: resets,
            max_message_size: message.into(),
            ..Settings::default()
        };
        let mut wrong = SettingsError::default();
        let limits = resolve(&settings, &mut wrong);
        let wrong = wrong.errors().iter().map(ToString::to_string).collect();
        (limits, wrong)
    }

    #[test]
    fn the_limit_of_resets_follows_that_of_streams() {
        for (streams, resets, expected) in [
            (1024, None, 4096),
            (100, None, 400),
            (10_000, None, 40_000),
            (7, Some(7), 7),
        ] {
            let (limits, wrong) = resolved(streams, resets, "4MiB");
            assert_eq!(
                (limits.concurrent_streams, limits.pending_resets, wrong),
                (streams, expected, Vec::new())
            );
        }
        assert_eq!(resolved(1024, None, "4MiB").0, ConnectionLimits::default());
    }

    #[test]
    fn a_value_out_of_range_is_reported_with_what_to_write() {
        for (streams, resets, message, expected) in [
            (0, None, "4MiB", "invalid max_concurrent_streams `0`"),
            (
                10_001,
                None,
                "4MiB",
                "invalid max_concurrent_streams `10001`",
            ),
            (100, Some(99), "4MiB", "invalid max_pending_resets `99`"),
            (
                100,
                Some(100_001),
                "4MiB",
                "invalid max_pending_resets `100001`",
            ),
            (100, None, "much", "invalid max_message_size `much`"),
            (100, None, "1KiB", "invalid max_message_size `1KiB`"),
            (100, None, "1GiB", "invalid max_message_size `1GiB`"),
        ] {
            let (_, wrong) = resolved(streams, resets, message);
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(
                wrong[0].starts_with(expected) && wrong[0].contains(": expected "),
                "{wrong:?}"
            );
        }
    }
}
