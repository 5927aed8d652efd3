//! The header `x-forwarded-client-cert`: whose certificate a proxy saw (rule R9).
//!
//! The header is a list of elements, one per proxy, joined by commas. An element is a list of
//! `key=value` pairs, joined by semicolons. A value may be quoted, with `\"` for a quote inside.
//! Proxies do not quote every value that a certificate's author chose, so a DNS name in a
//! certificate can contain separators.

use super::{InvalidIdentity, Principal};

/// Returns the only URI of a header that is the caller's identity: one element, read to its end,
/// with one URI.
///
/// # Errors
/// [`InvalidIdentity::XfccMismatch`] for several URIs, [`InvalidIdentity::XfccUnreadable`] for
/// everything else.
pub(super) fn only_uri(header: &str) -> Result<&str, InvalidIdentity> {
    let (mut uri, mut rest, mut after_dns, mut injected) = (None, header, false, false);
    let mut several = false;
    loop {
        let (pair, tail) = pair(rest).ok_or(InvalidIdentity::XfccUnreadable)?;
        match pair {
            (key, value) if key.eq_ignore_ascii_case("uri") => {
                several |= uri.is_some();
                // Envoy writes URIs before DNS names, so a URI after one is the text of a DNS name.
                injected |= after_dns;
                uri = Some(value);
            }
            (key, _) => after_dns |= key.eq_ignore_ascii_case("dns"),
        }
        match tail {
            Some(more) => rest = more,
            None => break,
        }
    }
    match uri {
        _ if several => Err(InvalidIdentity::XfccMismatch),
        Some(uri) if !uri.is_empty() && !injected => Ok(uri),
        _ => Err(InvalidIdentity::XfccUnreadable),
    }
}

/// Returns the first pair of an element and what follows its semicolon. `None` if the text is not a
/// pair, or if another element follows.
fn pair(text: &str) -> Option<((&str, &str), Option<&str>)> {
    let (key, rest) = text.split_once('=')?;
    let key = key.trim();
    if key.is_empty() || key.contains(['"', ';', ',']) {
        return None;
    }
    let (value, tail) = match rest.strip_prefix('"') {
        Some(quoted) => quoted
            .split_at_checked(closing_quote(quoted)?)
            .map(|(value, tail)| (value, tail.get(1..)))?,
        None => {
            let end = memchr::memchr3(b';', b',', b'"', rest.as_bytes()).unwrap_or(rest.len());
            let (value, tail) = rest.split_at_checked(end)?;
            (value.trim(), Some(tail))
        }
    };
    match tail? {
        "" => Some(((key, value), None)),
        tail => Some(((key, value), Some(tail.strip_prefix(';')?))),
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = None;
    memchr::memchr2_iter(b'"', b'\\', text.as_bytes()).find(|place| {
        let is_escaped = escaped == Some(*place);
        let is_quote = text.as_bytes().get(*place) == Some(&b'"');
        escaped = (!is_quote && !is_escaped).then_some(*place + 1);
        is_quote && !is_escaped
    })
}

/// Returns the URI values of the last element, in order; an empty value counts. `None` if a quote
/// is not closed.
pub(super) fn last_uris(header: &str) -> Option<impl Iterator<Item = &str>> {
    let mut commas = Outside::quotes(header, b',');
    let from = commas.by_ref().last().map_or(0, |comma| comma + 1);
    let last = header.get(from..).filter(|_| !commas.in_quotes)?;
    Some(split_outside_quotes(last).filter_map(uri))
}

/// Returns the URI values of the last element, to explain how the header invalidated an identity.
pub fn last_element_uris(header: &str) -> Vec<&str> {
    last_uris(header).into_iter().flatten().collect()
}

/// Checks that the last element names no URI, or exactly this one. A header that cannot be read
/// counts as naming others.
pub(super) fn agrees(header: &str, principal: &str) -> Result<(), InvalidIdentity> {
    let mut uris = last_uris(header).ok_or(InvalidIdentity::XfccUnreadable)?;
    match (uris.next(), uris.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only == principal => Ok(()),
        _ => Err(InvalidIdentity::XfccMismatch),
    }
}

/// Returns the value of a pair whose key is `URI`.
fn uri(pair: &str) -> Option<&str> {
    // A pair that clearly begins with another key needs no further reading.
    if pair
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() && !first.eq_ignore_ascii_case(&b'u'))
    {
        return None;
    }
    let (key, value) = pair.split_once('=')?;
    key.trim()
        .eq_ignore_ascii_case("uri")
        .then(|| unquoted(value.trim()))
}

fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .unwrap_or(value)
}

/// Splits at semicolons outside double quotes.
fn split_outside_quotes(text: &str) -> impl Iterator<Item = &str> {
    let ends = Outside::quotes(text, b';').map(Some).chain([None]);
    ends.scan(0, |from, end| {
        let part = text.get(*from..end.unwrap_or(text.len()));
        *from = end.map_or(text.len(), |end| end + 1);
        part
    })
}

/// Iterates over the positions of a separator outside double quotes. A backslash inside quotes
/// escapes the next character. It jumps from one significant position to the next, because most of
/// a header is hashes and names.
struct Outside<'t> {
    text: &'t [u8],
    places: memchr::Memchr3<'t>,
    in_quotes: bool,
    escaped: Option<usize>,
}

impl<'t> Outside<'t> {
    /// Creates the iterator. `separator` must be ASCII.
    fn quotes(text: &'t str, separator: u8) -> Self {
        let text = text.as_bytes();
        Outside {
            text,
            places: memchr::memchr3_iter(b'"', b'\\', separator, text),
            in_quotes: false,
            escaped: None,
        }
    }
}

impl Iterator for Outside<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let place = self.places.next()?;
            let is_escaped = self.escaped == Some(place);
            match self.text.get(place)? {
                b'"' if is_escaped => {}
                b'"' => self.in_quotes = !self.in_quotes,
                b'\\' => self.escaped = (self.in_quotes && !is_escaped).then_some(place + 1),
                _separator if self.in_quotes => {}
                _separator => return Some(place),
            }
        }
    }
}

impl<'a> Principal<'a> {
    /// Tightens the principal by the forwarded client certificate (rule R9): if the header's last
    /// element has a `URI` key, its URIs must be exactly the principal. The header never supplies
    /// an identity here.
    pub(crate) fn tightened(self, raw: &str, xfcc: Option<&str>) -> Principal<'a> {
        match xfcc.map(|header| agrees(header, raw)) {
            Some(Err(why)) => Principal::Invalid(why),
            None | Some(Ok(())) => self,
        }
    }

    /// Reads the identity from the forwarded client certificate, for gateways that are configured
    /// to do so (rule R9). The header must have one element with one URI, which must be the
    /// connection's principal too if there is one.
    pub(crate) fn from_xfcc(header: &'a str, principal: &str) -> Principal<'a> {
        match only_uri(header) {
            Ok(uri) if principal.is_empty() || principal == uri => Principal::parse(uri),
            Ok(_) => Principal::Invalid(InvalidIdentity::XfccMismatch),
            Err(why) => Principal::Invalid(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLEEP: &str = "spiffe://cluster.local/ns/demo-frontend/sa/sleep";

    #[test]
    fn the_forwarded_certificate_only_tightens() {
        let principal = Principal::parse(SLEEP);
        let mismatch = Principal::Invalid(InvalidIdentity::XfccMismatch);
        let unreadable = Principal::Invalid(InvalidIdentity::XfccUnreadable);
        for (header, expected) in [
            (None, principal),
            (
                Some("By=spiffe://x;Hash=1;URI=spiffe://cluster.local/ns/demo-frontend/sa/sleep"),
                principal,
            ),
            (Some("Hash=1;Subject=\"O=x,URI=spiffe://evil\""), principal),
            (
                Some("Hash=1;Subject=\"O=\\\"x,URI=spiffe://evil\""),
                principal,
            ),
            (Some("URI=spiffe://evil/ns/a/sa/b,Hash=1"), principal),
            (
                Some(
                    "URI=spiffe://cluster.local/ns/demo-frontend/sa/sleep,URI=spiffe://cluster.local/ns/o/sa/p",
                ),
                mismatch,
            ),
            (Some("Hash=1;URI="), mismatch),
            (
                Some(
                    "URI=spiffe://cluster.local/ns/demo-frontend/sa/sleep;URI=spiffe://cluster.local/ns/o/sa/p",
                ),
                mismatch,
            ),
            (Some("uri=spiffe://cluster.local/ns/other/sa/p"), mismatch),
            (
                Some("URI=\"spiffe://cluster.local/ns/demo-frontend/sa/sleep\""),
                principal,
            ),
            (
                Some("Hash=1;DNS=a\";URI=spiffe://cluster.local/ns/other/sa/p"),
                unreadable,
            ),
            (
                Some("Hash=1;Subject=\"x\\\";URI=spiffe://cluster.local/ns/other/sa/p"),
                unreadable,
            ),
        ] {
            assert_eq!(principal.tightened(SLEEP, header), expected, "{header:?}");
        }
        assert_eq!(
            Principal::Absent.tightened("", Some("URI=spiffe://cluster.local/ns/a/sa/b")),
            mismatch
        );
    }

    #[test]
    fn separators_inside_a_certificate_make_no_identity() {
        let root = "spiffe://cluster.local/ns/admin/sa/root";
        let sleep = format!("Hash=1;Cert=\"a%2Cb\";Subject=\"\";URI={SLEEP}");
        for (header, expected) in [
            (sleep.clone(), Ok(SLEEP)),
            (format!("{sleep};DNS=a.example;DNS=b.example"), Ok(SLEEP)),
            (format!("By=spiffe://x;Hash=1;uri=\"{SLEEP}\""), Ok(SLEEP)),
            (
                format!("Hash=1;Subject=\"O=\\\",URI={root}\";URI={SLEEP}"),
                Ok(SLEEP),
            ),
            (
                format!("Hash=1;DNS=a.example,URI={root}"),
                Err(InvalidIdentity::XfccUnreadable),
            ),
            (
                format!("Hash=1;DNS=a.example;URI={root}"),
                Err(InvalidIdentity::XfccUnreadable),
            ),
            (
                format!("{sleep};DNS=a.example,URI={root}"),
                Err(InvalidIdentity::XfccUnreadable),
            ),
            (
                format!("{sleep};DNS=a.example;URI={root}"),
                Err(InvalidIdentity::XfccMismatch),
            ),
            (
                format!("URI={root},{sleep}"),
                Err(InvalidIdentity::XfccUnreadable),
            ),
            (format!("{sleep},"), Err(InvalidIdentity::XfccUnreadable)),
            (format!("{sleep};"), Err(InvalidIdentity::XfccUnreadable)),
            (
                format!("{sleep};plain"),
                Err(InvalidIdentity::XfccUnreadable),
            ),
            (
                format!("Hash=1;URI={SLEEP}\";x=\""),
                Err(InvalidIdentity::XfccUnreadable),
            ),
            (
                format!("Hash=\"1;URI={SLEEP}"),
                Err(InvalidIdentity::XfccUnreadable),
            ),
            (
                format!("Hash=\"1\"x;URI={SLEEP}"),
                Err(InvalidIdentity::XfccUnreadable),
            ),
            (
                "Hash=1;Subject=\"CN=a\";DNS=a.example".into(),
                Err(InvalidIdentity::XfccUnreadable),
            ),
            ("Hash=1;URI=".into(), Err(InvalidIdentity::XfccUnreadable)),
            (
                "Hash=1;URI=\"\"".into(),
                Err(InvalidIdentity::XfccUnreadable),
            ),
            (
                format!("URI=;URI={SLEEP}"),
                Err(InvalidIdentity::XfccMismatch),
            ),
            (String::new(), Err(InvalidIdentity::XfccUnreadable)),
            (",".into(), Err(InvalidIdentity::XfccUnreadable)),
        ] {
            assert_eq!(only_uri(&header), expected, "{header}");
        }
    }

    #[test]
    fn the_last_uris_are_those_behind_the_last_comma_outside_quotes() {
        for (header, expected) in [
            ("", Some(&[][..])),
            (",", Some(&[])),
            ("URI=a", Some(&["a"])),
            ("By=b;URI=a;uri = c", Some(&["a", "c"])),
            ("URI=a,By=b", Some(&[])),
            ("x=1;URI=a,URI=b;URI=", Some(&["b", ""])),
            ("U=1;Ur=2; URI=3;=4", Some(&["3"])),
            ("x=\"a,URI=b\";URI=c", Some(&["c"])),
            ("x=\"a\\\",URI=b\";URI=c", Some(&["c"])),
            ("x=\"a\\\\\",URI=b", Some(&["b"])),
            ("x=\"a", None),
        ] {
            assert_eq!(
                last_uris(header)
                    .map(|uris| uris.collect::<Vec<_>>())
                    .as_deref(),
                expected,
                "{header}"
            );
        }
    }

    /// Returns the last element's pairs if every quote is closed, reading character by character.
    fn slow_split(header: &str) -> Option<Vec<String>> {
        let (mut pairs, mut quoted, mut escaped) = (vec![String::new()], false, false);
        for character in header.chars() {
            let was_escaped = std::mem::replace(&mut escaped, false);
            match character {
                '"' if !was_escaped => quoted = !quoted,
                '\\' => escaped = quoted && !was_escaped,
                ',' if !quoted => pairs.clear(),
                _ => {}
            }
            match character {
                ',' | ';' if !quoted => pairs.push(String::new()),
                _ => pairs
                    .last_mut()
                    .expect("there is always one")
                    .push(character),
            }
        }
        (!quoted).then_some(pairs)
    }

    proptest! {
        #[test]
        fn going_from_place_to_place_splits_as_every_character_read_does(header in r#"([\\";,=]|URI=|u|\u{fc}|.){0,24}"#) {
            let read: Option<Vec<_>> = last_uris(&header).map(|uris| uris.map(str::to_owned).collect());
            let pairs = slow_split(&header);
            let expected = pairs.map(|pairs| pairs.iter().filter_map(|pair| uri(pair)).map(str::to_owned).collect());
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn a_value_ends_at_the_first_quote_that_is_not_escaped(text in r#"([\\"]|.){0,12}"#) {
            let (mut escaped, mut end) = (false, None);
            for (place, character) in text.char_indices() {
                if character == '"' && !escaped {
                    end = Some(place);
                    break;
                }
                escaped = character == '\\' && !escaped;
            }
            prop_assert_eq!(closing_quote(&text), end);
        }
    }
}
