//! Formats parts of a record as text: caller, destination and time.
//!
//! The rule: everything that this module returns is [`printable`](customs_policy::printable),
//! whatever a client or a file contains.

use jiff::Timestamp;

use customs_record::proto::Record;

/// Returns the text escaped, so that it cannot move the cursor, colour the terminal or change the
/// writing direction.
pub(super) use customs_policy::printable::line as visible;

/// Returns the text escaped, or a dash if it is empty.
pub(super) fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        visible(text).into_owned()
    }
}

/// Returns `namespace/service-account`, or why there is none.
pub(super) fn caller(record: &Record) -> String {
    match record.namespace.is_empty() {
        true => or_dash(&record.identity),
        false => format!(
            "{}/{}",
            visible(&record.namespace),
            or_dash(&record.service_account)
        ),
    }
}

/// Returns the canonical host, or else the host as it was sent.
pub(super) fn host(record: &Record) -> String {
    let sent = || {
        [&record.raw_host, &record.sni]
            .into_iter()
            .find(|text| !text.is_empty())
    };
    match record.host.is_empty() {
        false => visible(&record.host).into_owned(),
        true => sent().map_or_else(|| "-".to_owned(), |text| format!("?{}", visible(text))),
    }
}

/// Returns a time of a record.
pub(in crate::app::commands) fn timestamp(
    time: Option<prost_types::Timestamp>,
) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}

/// Returns a time with milliseconds.
pub(super) fn time(time: Option<prost_types::Timestamp>) -> String {
    timestamp(time).map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_and_where_to_have_a_text_in_any_case() {
        let text = str::to_owned;
        let known = Record {
            namespace: text("shop"),
            service_account: text("cart"),
            host: text("a.example"),
            ..Record::default()
        };
        assert_eq!(
            (caller(&known), host(&known)),
            (text("shop/cart"), text("a.example"))
        );
        let dropped = Record {
            service_account: String::new(),
            ..known
        };
        assert_eq!(caller(&dropped), "shop/-");
        let odd = Record {
            identity: text("unauthenticated"),
            raw_host: text("A\n"),
            ..Record::default()
        };
        assert_eq!(
            (caller(&odd), host(&odd)),
            (text("unauthenticated"), text("?A\\u{a}"))
        );
        assert_eq!(
            (caller(&Record::default()), host(&Record::default())),
            (text("-"), text("-"))
        );
    }

    #[test]
    fn a_time_has_thousandths() {
        let at = |seconds, nanos| time(Some(prost_types::Timestamp { seconds, nanos }));
        assert_eq!(at(1_795_435_200, 123_456_789), "2026-11-23T12:00:00.123Z");
        assert_eq!((at(i64::MAX, 0), time(None)), ("-".into(), "-".into()));
    }
}
