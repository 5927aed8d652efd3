//! What a record holds about the headers of a request.
//!
//! A header is recorded only if some condition asks for it, and then only whether the request had
//! it and which patterns of the policies it matched. Its value is recorded only if the settings ask
//! for it, and never for a header that carries secrets.

use std::borrow::Cow;
use std::sync::Arc;

use super::HeaderEntry;
use customs_engine::header_table::{HeaderState, HeaderTables};
use customs_engine::header_uses::HeaderUse;
use customs_engine::header_values::UnknownHeader;
use customs_engine::path::without_query;
use customs_engine::pattern::TextPattern;
use customs_engine::request::{Http, Request};

/// The most bytes of a value that are recorded.
const MAX_VALUE: usize = 256;

/// Headers whose values are never recorded.
pub const SECRET: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
];

/// Returns what a record holds about the headers of a request.
pub fn recorded(
    tables: &Arc<HeaderTables>,
    request: &Request<'_>,
    valued: &[String],
) -> Vec<HeaderEntry> {
    let mut entries = Vec::new();
    if let Some(http) = &request.http {
        tables.for_each_recorded(&request.header_matches, http, |header, state, has| {
            entries.push(entry(header, state, has, http, valued))
        });
    }
    entries
}

fn entry(
    header: &HeaderUse,
    state: &HeaderState,
    has: &dyn Fn(&TextPattern) -> bool,
    http: &Http<'_>,
    valued: &[String],
) -> HeaderEntry {
    let HeaderUse { name, patterns } = header;
    let (present, value_unknown) = match state {
        HeaderState::Absent => (false, false),
        HeaderState::Unknown(UnknownHeader::NotSent) => (false, true),
        HeaderState::Unknown(UnknownHeader::TooLong | UnknownHeader::TooManyParts) => (true, true),
        HeaderState::Known(_) => (true, false),
    };
    let is_valued = valued.contains(name) && !SECRET.contains(&name.as_str());
    let value = if is_valued {
        whole_value(http, name)
    } else {
        "".into()
    };
    // A query is never recorded.
    let value = if name == ":path" {
        without_query(&value)
    } else {
        &value
    };
    HeaderEntry {
        name: name.clone(),
        present,
        value_unknown,
        matched: patterns
            .iter()
            .filter(|pattern| has(pattern))
            .map(ToString::to_string)
            .collect(),
        value: value
            .get(..value.floor_char_boundary(MAX_VALUE))
            .unwrap_or_default()
            .to_owned(),
    }
}

/// Returns the value of a header; several values joined with commas, as proxies join them, so that
/// a value without a comma is the only one.
fn whole_value<'h>(http: &Http<'h>, name: &str) -> Cow<'h, str> {
    if name.starts_with(':') {
        return http.last_header_value(name).unwrap_or_default();
    }
    let mut whole: Option<Cow<'h, str>> = None;
    http.headers.visit(name, &mut |value| match &mut whole {
        None => whole = Some(value),
        Some(joined) if joined.len() <= MAX_VALUE => {
            joined.to_mut().push(',');
            joined.to_mut().push_str(&value);
        }
        // The rest would be cut.
        Some(_) => {}
    });
    whole.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_engine::condition::Condition;
    use customs_engine::enforcement::Enforcement;
    use customs_engine::field::Field;
    use customs_engine::request::{Attributes, HttpAttributes};
    use customs_engine::rule::Rule;
    use customs_engine::rule_info::{About, RuleId, RuleInfo};
    use customs_engine::rules::Rules;
    use customs_engine::settings::Settings;
    use customs_engine::subject::CallerMatch;
    use customs_policy::problem::Place;

    fn recorded_of(
        name: &str,
        patterns: &[&str],
        headers: &[(&str, &str)],
        valued: &[&str],
    ) -> HeaderEntry {
        let values = patterns.iter().map(|text| TextPattern::parse(text));
        let condition = Condition::Header {
            name: name.to_owned(),
            values: Field::of(values),
        };
        let rule = Rule {
            info: RuleInfo::new(
                RuleId::rule("n/p".into(), 0),
                Place::whole("f"),
                About::default(),
            )
            .into(),
            mode: Enforcement::Enforce,
            callers: CallerMatch::Anyone,
            to: Box::default(),
            when: [condition].into(),
            except: Box::default(),
        };
        let rules = Rules {
            denies: [Arc::new(rule)].into(),
            ..Rules::default()
        };
        let tables = Arc::new(HeaderTables::of_rules(&rules));
        let headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let valued: Vec<String> = valued.iter().map(ToString::to_string).collect();
        let http = HttpAttributes {
            host: "a.example",
            path: "/x?secret",
            method: "GET",
            headers: &headers,
            ..HttpAttributes::default()
        };
        let attributes = Attributes {
            http: Some(http),
            ..Attributes::default()
        };
        recorded(
            &tables,
            &attributes.normalise(&Settings::default()),
            &valued,
        )
        .remove(0)
    }

    #[test]
    fn a_header_is_recorded_by_what_it_matches() {
        for (headers, present, matched) in [
            (&[][..], false, &[][..]),
            (&[("X-Team", "payments-eu")], true, &["payments*"]),
            (
                &[("x-team", "ops,payments-eu")],
                true,
                &["payments*", "ops"],
            ),
            (&[("x-team", "other")], true, &[]),
            (&[("x-other", "ops")], false, &[]),
        ] {
            let entry = recorded_of("x-team", &["payments*", "ops"], headers, &[]);
            assert_eq!(
                (entry.present, entry.matched.as_slice()),
                (present, &*owned(matched)),
                "{headers:?}"
            );
            assert_eq!(
                entry.value, "",
                "a value is recorded only if the settings ask for it"
            );
        }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_are_recorded_where_asked_for_and_secrets_never() {
        assert_eq!(
            recorded_of("x-team", &["*"], &[("x-team", "ops")], &["x-team"]).value,
            "ops"
        );
        let twice = [("x-team", "ops"), ("x-team", "dev")];
        assert_eq!(
            recorded_of("x-team", &["*"], &twice, &["x-team"]).value,
            "ops,dev"
        );
        let long = "a".repeat(1000);
        assert_eq!(
            recorded_of("x-team", &["*"], &[("x-team", &long)], &["x-team"])
                .value
                .len(),
            MAX_VALUE
        );
        for secret in SECRET {
            let entry = recorded_of(secret, &["*"], &[(secret, "Bearer x")], &[secret]);
            assert_eq!(
                (entry.present, entry.value.as_str()),
                (true, ""),
                "{secret}"
            );
        }
    }

    #[test]
    fn a_header_past_the_limits_is_recorded_as_unknown() {
        let many = "admin,".repeat(2_000);
        let entry = recorded_of("x-role", &["admin"], &[("x-role", &many)], &[]);
        assert_eq!(
            (entry.present, entry.value_unknown, entry.matched.len()),
            (true, true, 0)
        );
        let entry = recorded_of(":scheme", &["https"], &[], &[]);
        assert_eq!((entry.present, entry.value_unknown), (false, true));
    }

    #[test]
    fn a_pseudo_header_is_recorded_without_its_query() {
        let entry = recorded_of(":path", &["/x*"], &[], &[":path"]);
        assert_eq!(
            (entry.present, entry.value.as_str(), entry.matched),
            (true, "/x", owned(&["/x*"]))
        );
        assert_eq!(
            recorded_of(":authority", &["a.example"], &[], &[":authority"]).value,
            "a.example"
        );
    }
}
