//! Formats parts of a record as text: caller, destination and time.
//!
//! The rule: everything that this module returns is [`printable`](customs_policy::printable),
//! whatever a client or a file contains.

use std::borrow::Cow;

use jiff::Timestamp;

/// Returns the text escaped, so that it cannot move the cursor, colour the terminal or change the
/// writing direction.
pub use customs_policy::printable::line as visible;

/// Returns the text escaped, or a dash if it is empty.
pub fn or_dash(text: &str) -> Cow<'_, str> {
    match text {
        "" => Cow::Borrowed("-"),
        text => visible(text),
    }
}

/// Returns `namespace/service-account`, or why there is none.
pub fn caller<'t>(namespace: &'t str, service_account: &'t str, identity: &'t str) -> Cow<'t, str> {
    match namespace {
        "" => or_dash(identity),
        namespace => Cow::Owned(format!(
            "{}/{}",
            visible(namespace),
            or_dash(service_account)
        )),
    }
}

/// Returns the canonical host, or else the host as it was sent.
pub fn host<'t>(host: &'t str, raw_host: &'t str, sni: &'t str) -> Cow<'t, str> {
    match (host, raw_host, sni) {
        ("", "", "") => Cow::Borrowed("-"),
        ("", "", sent) | ("", sent, _) => Cow::Owned(format!("?{}", visible(sent))),
        (host, ..) => visible(host),
    }
}

/// Returns a time of a record.
pub fn timestamp(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}

/// Returns a time with milliseconds.
pub fn time(time: Option<prost_types::Timestamp>) -> String {
    timestamp(time).map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_and_where_to_have_a_text_in_any_case() {
        for (namespace, account, identity, expected) in [
            ("shop", "cart", "valid", "shop/cart"),
            ("shop", "", "valid", "shop/-"),
            ("", "", "unauthenticated", "unauthenticated"),
            ("", "", "", "-"),
            ("a\n", "b", "", "a\\u{a}/b"),
        ] {
            assert_eq!(caller(namespace, account, identity), expected);
        }
        for (canonical, sent, sni, expected) in [
            ("a.example", "A.example", "", "a.example"),
            ("", "A\n", "b", "?A\\u{a}"),
            ("", "", "b", "?b"),
            ("", "", "", "-"),
        ] {
            assert_eq!(host(canonical, sent, sni), expected);
        }
    }

    #[test]
    fn a_time_has_thousandths() {
        let at = |seconds, nanos| time(Some(prost_types::Timestamp { seconds, nanos }));
        assert_eq!(at(1_795_435_200, 123_456_789), "2026-11-23T12:00:00.123Z");
        assert_eq!((at(i64::MAX, 0), time(None)), ("-".into(), "-".into()));
    }
}
