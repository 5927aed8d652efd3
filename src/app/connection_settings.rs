//! The settings that bound a connection of the address for Envoy's checks.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::durations::{duration, positive_duration};
use super::settings::{SettingValueError, Settings, SettingsError};
use customs_audit::config;
use customs_net::ConnectionLimits;

/// The most calls that a connection may have open at once.
const MOST_STREAMS: u32 = 10_000;
/// The most resets of calls that a connection may have pending.
const MOST_RESETS: u32 = 100_000;
/// The least and the most frames without a call that a connection may send in a second.
const CONTROL_FRAMES: RangeInclusive<u32> = 10..=100_000;
/// The most checks that may be allowed to wait on a thread.
const MOST_QUEUED: u32 = 65_536;
/// The least and the most that a message may be limited to, in bytes.
const MESSAGES: RangeInclusive<u64> = 64 << 10..=64 << 20;
/// The least and the most memory for calls on all connections, in bytes.
const BODY_MEMORY: RangeInclusive<u64> = 1 << 20..=16 << 30;
/// The least and the most that the headers of a call may be limited to, in bytes.
const HEADER_LISTS: RangeInclusive<u64> = 4 << 10..=1 << 20;

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
    let frames = settings.max_control_frames;
    if !CONTROL_FRAMES.contains(&frames) {
        let expected = "10 to 100000, such as 200".to_owned();
        let problem = SettingValueError::OutOfRange(expected);
        wrong.add("max_control_frames", frames, problem);
    }
    let queued = settings.max_queued_checks;
    if queued > MOST_QUEUED {
        let expected = format!("at most {MOST_QUEUED}, such as 1024");
        let problem = SettingValueError::OutOfRange(expected);
        wrong.add("max_queued_checks", queued, problem);
    }
    let expected = "`64KiB` to `64MiB`, such as `4MiB`";
    let message = size("max_message_size", message, (MESSAGES, expected), wrong);
    let headers = &settings.max_header_list_size;
    let expected = "`4KiB` to `1MiB`, such as `16KiB`";
    let headers = size(
        "max_header_list_size",
        headers,
        (HEADER_LISTS, expected),
        wrong,
    );
    let memory = body_memory(settings, message, wrong);
    ConnectionLimits {
        concurrent_streams: streams,
        pending_resets: resets,
        control_frames: frames,
        queued_calls: queued,
        message_size: usize::try_from(message).unwrap_or(usize::MAX),
        body_memory: usize::try_from(memory).unwrap_or(usize::MAX),
        header_list_size: u32::try_from(headers).unwrap_or(u32::MAX),
        handshake_timeout: positive_duration(
            "handshake_timeout",
            &settings.handshake_timeout,
            wrong,
        ),
        request_timeout: positive_duration("request_timeout", &settings.request_timeout, wrong),
        idle_timeout: positive_duration("idle_timeout", &settings.idle_timeout, wrong),
        age: Some(duration(
            "max_connection_age",
            &settings.max_connection_age,
            wrong,
        ))
        .filter(|age| *age > Duration::ZERO),
    }
}

/// Parses the memory for messages. A connection gets half of it at most, so this is what lets the
/// largest message be read.
fn body_memory(settings: &Settings, message: u64, wrong: &mut SettingsError) -> u64 {
    let text = &settings.max_body_memory;
    let expected = "`1MiB` to `16GiB`, such as `32MiB`";
    let memory = size("max_body_memory", text, (BODY_MEMORY, expected), wrong);
    let least = message.saturating_mul(2);
    if BODY_MEMORY.contains(&memory) && MESSAGES.contains(&message) && memory < least {
        let expected = format!("twice max_message_size ({least} bytes) or more");
        let problem = SettingValueError::OutOfRange(expected);
        wrong.add("max_body_memory", text, problem);
    }
    memory
}

/// Parses a number of bytes, which must be within bounds.
fn size(
    name: &str,
    text: &str,
    (bounds, expected): (RangeInclusive<u64>, &str),
    wrong: &mut SettingsError,
) -> u64 {
    match config::bytes(text) {
        Ok(size) => {
            if !bounds.contains(&size) {
                let problem = SettingValueError::OutOfRange(expected.to_owned());
                wrong.add(name, text, problem);
            }
            size
        }
        Err(why) => {
            wrong.add(name, text, SettingValueError::Size(why));
            *bounds.start()
        }
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
    fn every_limit_of_a_connection_is_a_setting() {
        let settings = Settings {
            max_control_frames: 50,
            max_queued_checks: 0,
            max_body_memory: "16MiB".into(),
            max_header_list_size: "8KiB".into(),
            handshake_timeout: "1s".into(),
            request_timeout: "2s".into(),
            idle_timeout: "3m".into(),
            max_connection_age: "0".into(),
            ..Settings::default()
        };
        let mut wrong = SettingsError::default();
        let expected = ConnectionLimits {
            control_frames: 50,
            queued_calls: 0,
            body_memory: 16 << 20,
            header_list_size: 8 << 10,
            handshake_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_mins(3),
            age: None,
            ..ConnectionLimits::DEFAULT
        };
        assert_eq!(resolve(&settings, &mut wrong), expected);
        assert!(wrong.errors().is_empty());
        assert_eq!(
            resolve(&Settings::default(), &mut wrong),
            ConnectionLimits::DEFAULT
        );
    }

    #[test]
    fn timeouts_and_sizes_out_of_range_are_reported() {
        let nothing = Settings {
            max_control_frames: 1,
            max_queued_checks: 65_537,
            max_body_memory: "7MiB".into(),
            max_header_list_size: "1KiB".into(),
            handshake_timeout: "0".into(),
            request_timeout: "soon".into(),
            idle_timeout: "0s".into(),
            max_connection_age: "-1m".into(),
            ..Settings::default()
        };
        let mut wrong = SettingsError::default();
        resolve(&nothing, &mut wrong);
        let wrong: Vec<String> = wrong.errors().iter().map(ToString::to_string).collect();
        let names = [
            "max_control_frames `1`",
            "max_queued_checks `65537`",
            "max_header_list_size `1KiB`",
            "max_body_memory `7MiB`",
            "handshake_timeout `0`",
            "request_timeout `soon`",
            "idle_timeout `0s`",
            "max_connection_age `-1m`",
        ];
        assert_eq!(wrong.len(), names.len(), "{wrong:?}");
        for (wrong, name) in wrong.iter().zip(names) {
            assert!(
                wrong.starts_with(&format!("invalid {name}: expected ")),
                "{wrong}"
            );
        }
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
