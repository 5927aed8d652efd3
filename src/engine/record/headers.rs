//! What a record tells of the headers of a request.
//!
//! A header is told only if some condition asks for it, and then only whether it was there and which patterns of the
//! policies it matched. Its value is told where the settings ask for that; never that of a header that carries secrets.

use crate::engine::condition::some_value;
use crate::engine::header_uses::HeaderUse;
use crate::engine::request::{Headers, last_value};

/// The most bytes of a value that are told.
const MAX_VALUE: usize = 256;

/// Headers whose values are never told.
pub const SECRET: &[&str] = &["authorization", "proxy-authorization", "cookie", "set-cookie"];

/// A header that a condition asks for, and how it stands to the patterns of the policies.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderEntry {
    /// Its name, in lower case.
    pub name: String,
    /// Whether the request has it.
    pub present: bool,
    /// The patterns that one of its values matches.
    pub matched: Vec<String>,
    /// Its value, only where it was asked for.
    pub value: String,
}

/// What a record tells of the headers of a request.
pub fn told(uses: &[HeaderUse], headers: &dyn Headers, valued: &[String]) -> Vec<HeaderEntry> {
    uses.iter().map(|asked| entry(asked, headers, valued)).collect()
}

fn entry(asked: &HeaderUse, headers: &dyn Headers, valued: &[String]) -> HeaderEntry {
    let HeaderUse { name, patterns } = asked;
    let mut present = false;
    headers.visit(name, &mut |_| present = true);
    let matched = patterns.iter().filter(|pattern| some_value(name, headers, std::slice::from_ref(pattern)));
    let is_valued = valued.contains(name) && !SECRET.contains(&name.as_str());
    let value = if is_valued { last_value(headers, name).unwrap_or_default() } else { "".into() };
    HeaderEntry {
        name: name.clone(),
        present,
        matched: matched.map(ToString::to_string).collect(),
        value: value.get(..value.floor_char_boundary(MAX_VALUE)).unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pattern::TextPattern;

    fn told_of(name: &str, patterns: &[&str], headers: &[(&str, &str)], valued: &[&str]) -> HeaderEntry {
        let patterns = patterns.iter().map(|text| TextPattern::parse(text)).collect();
        let asked = HeaderUse { name: name.to_owned(), patterns };
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let valued: Vec<String> = valued.iter().map(ToString::to_string).collect();
        told(&[asked], &headers, &valued).remove(0)
    }

    #[test]
    fn a_header_is_told_by_what_it_matches() {
        for (headers, present, matched) in [
            (&[][..], false, &[][..]),
            (&[("X-Team", "payments-eu")], true, &["payments*"]),
            (&[("x-team", "ops,payments-eu")], true, &["payments*", "ops"]),
            (&[("x-team", "other")], true, &[]),
            (&[("x-other", "ops")], false, &[]),
        ] {
            let entry = told_of("x-team", &["payments*", "ops"], headers, &[]);
            assert_eq!((entry.present, entry.matched.as_slice()), (present, &*owned(matched)), "{headers:?}");
            assert_eq!(entry.value, "", "a value is told only where that is asked for");
        }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_are_told_where_asked_for_and_secrets_never() {
        assert_eq!(told_of("x-team", &["*"], &[("x-team", "ops")], &["x-team"]).value, "ops");
        let long = "a".repeat(1000);
        assert_eq!(told_of("x-team", &["*"], &[("x-team", &long)], &["x-team"]).value.len(), MAX_VALUE);
        for secret in SECRET {
            let entry = told_of(secret, &["*"], &[(secret, "Bearer x")], &[secret]);
            assert_eq!((entry.present, entry.value.as_str()), (true, ""), "{secret}");
        }
    }
}
