//! Headers: how their values are split and read, their limits, and pseudo-headers.

use super::*;
use crate::request::tests::Apart;
use crate::request::{Attributes, Headers, HttpAttributes};
use crate::settings::Settings;

fn field(any_of: &[&str], none_of: &[&str]) -> Field<TextPattern> {
    let parse = |list: &[&str]| list.iter().map(|text| TextPattern::parse(text)).collect();
    Field::new(parse(any_of), parse(none_of))
}

fn both(http: HttpAttributes<'_>, name: &str, field: &Field<TextPattern>) -> (bool, bool) {
    let attributes = Attributes {
        http: Some(http),
        ..Attributes::default()
    };
    let values = attributes
        .normalise(&Settings::default())
        .http
        .unwrap()
        .header_values(name);
    (
        values.hold(field, Effect::Deny),
        values.hold(field, Effect::Allow),
    )
}

fn sent(headers: &dyn Headers) -> HttpAttributes<'_> {
    HttpAttributes {
        host: "a.example",
        headers,
        ..HttpAttributes::default()
    }
}

#[test]
fn headers_match_broadly_for_a_deny_and_strictly_for_an_allow() {
    for (values, any, none, deny, allow) in [
        (&["admin"][..], &["admin"][..], &[][..], true, true),
        (&["user,admin"], &["admin"], &[], true, false),
        (&["user", "admin"], &["admin"], &[], true, false),
        (&["admin,admin"], &["admin"], &[], true, true),
        (&["a,b"], &["a,b"], &[], true, false),
        (&["a", "b"], &["a,b"], &[], true, false),
        (&[], &["admin"], &[], false, false),
        (&[], &[], &["admin"], true, true),
        (&["admin"], &[], &["admin"], false, false),
        (&["user,admin"], &[], &["admin"], true, false),
        (&[""], &["*"], &[], true, true),
        (&[], &["*"], &[], false, false),
    ] {
        let headers: Vec<(String, String)> = values
            .iter()
            .map(|v| ("X-Role".to_owned(), (*v).to_owned()))
            .collect();
        let field = field(any, none);
        assert_eq!(
            both(sent(&headers), "x-role", &field),
            (deny, allow),
            "{values:?} {any:?} {none:?}"
        );
    }
}

/// A proxy joins repeated headers, so a value with commas of its own appears among others.
#[test]
fn a_denied_value_with_commas_is_found_among_joined_ones() {
    let long = ["a"; MAX_PATTERN_COMMAS + 3].join(",");
    for (values, pattern, deny) in [
        (&[",,second"][..], ",", true),
        (&["a,b,c"], "a,b", true),
        (&["x,a,b"], "a,b", true),
        (&["x, a,b ,c"], "a,b", true),
        (&["x", "a,b", "c"], "a,b", true),
        (&["a,b"], "a,b", true),
        (&[" a,b"], "a,b", true),
        (&["xa,b"], "a,b", false),
        (&["a,bx"], "a,b", false),
        (&["a,x,b"], "a,b", false),
        (&["b,a"], "a,b", false),
        (&["a"], "a,b", false),
        (&["x,a,bc,d"], "a,b*", true),
        (&["x,a,cb,d"], "a,b*", false),
        (&["x,ca,b,d"], "*a,b", true),
        (&["x,ac,b,d"], "*a,b", false),
        (&[&long], "a,a,a,a,a,a,a,a,b", false),
        // With more commas than are compared, nothing can be ruled out if there are as many parts.
        (&[&long], "a,a,a,a,a,a,a,a,a,b", true),
        (&["a,b"], "a,a,a,a,a,a,a,a,a,b", false),
    ] {
        let headers: Vec<(String, String)> = values
            .iter()
            .map(|v| ("x".to_owned(), (*v).to_owned()))
            .collect();
        let apart = Apart(headers.clone());
        for headers in [&headers as &dyn Headers, &apart] {
            let held = |any: &[&str], none: &[&str]| both(sent(headers), "x", &field(any, none));
            assert_eq!(held(&[pattern], &[]).0, deny, "{values:?} {pattern}");
            assert_eq!(
                held(&[], &[pattern]).1,
                !deny,
                "an ALLOW with notValues: {values:?} {pattern}"
            );
        }
    }
}

#[test]
fn no_pattern_with_commas_is_ruled_out_where_its_runs_are_too_long_to_compare() {
    let header = |bytes: usize| vec![("x".to_owned(), format!("{},", "a".repeat(bytes - 1)))];
    for (bytes, pattern, deny) in [
        (MAX_BYTES, "a,b", false),
        (MAX_BYTES * 2 / 3, "a,", false),
        (MAX_BYTES, "a,b,c", false),
        (64, "b,*", false),
    ] {
        assert_eq!(
            both(sent(&header(bytes)), "x", &field(&[pattern], &[])).0,
            deny,
            "{bytes} {pattern}"
        );
    }
    let header = |bytes: usize| vec![("x".to_owned(), format!("{},,", "a".repeat(bytes - 2)))];
    for (bytes, deny) in [(MAX_BYTES * 2 / 3, false), (MAX_BYTES * 2 / 3 + 1, true)] {
        assert_eq!(
            both(sent(&header(bytes)), "x", &field(&["a,b,c"], &[])).0,
            deny,
            "{bytes}"
        );
    }
}

#[test]
fn no_pattern_with_commas_is_ruled_out_where_it_has_too_many_runs_to_compare() {
    for (parts, pattern, deny) in [
        (129, "a,b", false),
        (130, "a,b", true),
        (130, "a,b,c", false),
        (131, "a,b,c", true),
        (130, "b", false),
    ] {
        let headers = vec![("x".to_owned(), vec!["a"; parts].join(","))];
        assert_eq!(
            both(sent(&headers), "x", &field(&[pattern], &[])),
            (deny, false),
            "{parts} {pattern}"
        );
    }
}

#[test]
fn values_that_were_never_joined_are_granted_whole() {
    for (values, any, allow) in [
        (&["red,red"][..], "red", false),
        (&["red", "red"], "red", true),
        (&["red,blue"], "red,blue", true),
        (&["red", "blue"], "red", false),
    ] {
        let headers = Apart(
            values
                .iter()
                .map(|v| ("x".to_owned(), (*v).to_owned()))
                .collect(),
        );
        assert_eq!(
            both(sent(&headers), "x", &field(&[any], &[])).1,
            allow,
            "{values:?} {any}"
        );
    }
}

#[test]
fn a_header_past_the_limits_is_unknown_and_satisfies_a_deny_alone() {
    let parts = |count: usize| vec![("x".to_owned(), vec!["a"; count].join(","))];
    let long = |bytes: usize| vec![("x".to_owned(), "a".repeat(bytes))];
    let twice = |bytes: usize| {
        vec![
            ("x".to_owned(), "a".repeat(bytes)),
            ("X".to_owned(), String::new()),
        ]
    };
    for (headers, any, expected) in [
        (parts(MAX_PARTS), "a", (true, true)),
        (parts(MAX_PARTS), "b", (false, false)),
        (parts(MAX_PARTS + 1), "a", (true, false)),
        (parts(MAX_PARTS + 1), "b", (true, false)),
        (parts(MAX_PARTS + 1), "*", (true, false)),
        (long(MAX_BYTES), "a*", (true, true)),
        (long(MAX_BYTES), "b", (false, false)),
        (long(MAX_BYTES + 1), "b", (true, false)),
        (twice(MAX_BYTES - 1), "b", (false, false)),
        (twice(MAX_BYTES), "b", (true, false)),
        (
            vec![("x".to_owned(), "b".to_owned()); MAX_PARTS],
            "a",
            (false, false),
        ),
        (
            vec![("x".to_owned(), "b".to_owned()); MAX_PARTS + 1],
            "a",
            (true, false),
        ),
    ] {
        let name = format!("{} x {:?} {any}", headers.len(), headers[0].1.len());
        assert_eq!(
            both(sent(&headers), "x", &field(&[any], &[])),
            expected,
            "{name}"
        );
        // An attribute that the rule leaves out is unknown in the same way.
        let unknown = expected == (true, false) && any != "a*";
        if unknown {
            assert_eq!(
                both(sent(&headers), "x", &field(&[], &[any])),
                (true, false),
                "{name}"
            );
        }
    }
}

#[test]
fn host_is_the_authority_in_whatever_case() {
    for name in ["host", "Host", "HOST", ":authority"] {
        assert_eq!(header_name(name), AUTHORITY, "{name}");
        let http = sent(crate::http::NO_HEADERS);
        for (pattern, expected) in [
            ("a.example", true),
            ("*.example", true),
            ("A.example", false),
            ("b.example", false),
        ] {
            assert_eq!(
                both(http, name, &field(&[pattern], &[])),
                (expected, expected),
                "{name} {pattern}"
            );
            assert_eq!(
                both(http, name, &field(&[], &[pattern])),
                (!expected, !expected),
                "{name} not {pattern}"
            );
        }
    }
    assert_eq!(header_name("X-Host"), "x-host");
}

#[test]
fn pseudo_headers_are_what_the_check_carries_under_either_name() {
    let headers = vec![
        (":protocol".to_owned(), "websocket".to_owned()),
        (":scheme".to_owned(), "http".to_owned()),
    ];
    let whole = HttpAttributes {
        method: "GET",
        path: "/a,b?x=1",
        scheme: "http",
        ..sent(&headers)
    };
    for (name, pattern, expected) in [
        (":method", "GET", (true, true)),
        (":method", "get", (false, false)),
        (":path", "/a,b?x=1", (true, true)),
        (":path", "/a*", (true, true)),
        (":path", "b?x=1", (false, false)),
        (":scheme", "http", (true, true)),
        (":protocol", "websocket", (true, true)),
        (":status", "*", (false, false)),
    ] {
        assert_eq!(
            both(whole, name, &field(&[pattern], &[])),
            expected,
            "{name} {pattern}"
        );
    }
    // A pseudo-header that a check must carry and does not is unknown. A CONNECT has no path.
    let none = sent(crate::http::NO_HEADERS);
    for name in [":method", ":path", ":scheme"] {
        assert_eq!(
            both(none, name, &field(&["x"], &[])),
            (true, false),
            "{name}"
        );
    }
    let connect = HttpAttributes {
        method: "CONNECT",
        ..none
    };
    assert_eq!(both(connect, ":path", &field(&["x"], &[])), (false, false));
    // Only a forged check states two values. Either is enough for a denial; a grant needs both.
    let forged = HttpAttributes {
        scheme: "https",
        ..sent(&headers)
    };
    for (pattern, expected) in [
        ("http", (true, false)),
        ("https", (true, false)),
        ("http*", (true, true)),
    ] {
        assert_eq!(
            both(forged, ":scheme", &field(&[pattern], &[])),
            expected,
            "{pattern}"
        );
    }
}

#[test]
fn blanks_around_a_part_are_spaces_and_tabs_alone() {
    for (value, any, deny, allow) in [
        ("a, admin\t", "admin", true, false),
        (" admin ,\tadmin", "admin", true, true),
        ("a,\u{a0}admin", "admin", false, false),
        ("a,\u{2003}admin\u{3000}", "admin", false, false),
        ("\u{a0}admin,admin", "admin", true, false),
        ("a,\u{a0}admin", "\u{a0}admin", true, false),
    ] {
        let headers = vec![("x".to_owned(), value.to_owned())];
        assert_eq!(
            both(sent(&headers), "x", &field(&[any], &[])),
            (deny, allow),
            "{value:?} {any:?}"
        );
    }
}

/// The value that the check carries is counted once, however often the headers repeat it; others
/// are bounded like those of any header.
#[test]
fn a_pseudo_header_that_is_repeated_past_the_limits_is_unknown() {
    let repeated = |value: &dyn Fn(usize) -> String, count: usize| -> Vec<(String, String)> {
        (0..count)
            .map(|at| (":path".to_owned(), value(at)))
            .collect()
    };
    let same = |_: usize| "/own".to_owned();
    let other = |at: usize| format!("/{at}");
    for (headers, pattern, expected) in [
        (repeated(&same, 20_000), "/own", (true, true)),
        (repeated(&same, 20_000), "/else", (false, false)),
        (repeated(&other, MAX_PARTS - 1), "/own", (true, false)),
        (repeated(&other, MAX_PARTS - 1), "/else", (false, false)),
        (repeated(&other, MAX_PARTS), "/else", (true, false)),
        (repeated(&other, 20_000), "/*", (true, false)),
    ] {
        let http = HttpAttributes {
            method: "GET",
            path: "/own",
            ..sent(&headers)
        };
        assert_eq!(
            both(http, ":path", &field(&[pattern], &[])),
            expected,
            "{} {pattern}",
            headers.len()
        );
    }
}

/// If they were compared with one another, this would take minutes.
#[test]
fn values_of_a_pseudo_header_are_not_compared_with_one_another() {
    let headers: Vec<(String, String)> = (0..100_000)
        .map(|at| (":path".to_owned(), format!("/{at:06}")))
        .collect();
    let begun = std::time::Instant::now();
    let http = HttpAttributes {
        method: "GET",
        path: "/000000",
        ..sent(&headers)
    };
    assert_eq!(both(http, ":path", &field(&["/none"], &[])), (true, false));
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}
