//! Paths of an operation: lists against readings.

use super::*;
use crate::request::{Attributes, HttpAttributes};
use crate::settings::Settings;

fn pattern(text: &str) -> PathPattern {
    match Template::is_template(text) {
        true => PathPattern::Template(Template::parse(text).unwrap()),
        false => PathPattern::Text(TextPattern::parse(text)),
    }
}

/// Returns whether lists of paths hold for a path, as a DENY and as an ALLOW.
fn holds(any_of: &[&str], none_of: &[&str], path: &str) -> (bool, bool) {
    let list = |texts: &[&str]| texts.iter().map(|text| pattern(text)).collect();
    let operation = Operation {
        paths: Field::new(list(any_of), list(none_of)),
        ..Operation::default()
    };
    let http = HttpAttributes {
        host: "a.example",
        method: "GET",
        path,
        ..HttpAttributes::default()
    };
    let attributes = Attributes {
        http: Some(http),
        ..Attributes::default()
    };
    let request = attributes.normalise(&Settings::default());
    let context = EvalContext::new(&request);
    let holds = |effect| operation.matches(&context, effect).is_some();
    (holds(Effect::Deny), holds(Effect::Allow))
}

#[test]
fn a_grant_lists_every_spelling_of_a_path_and_need_not_match_all_with_one_pattern() {
    let both = ["/@acme/*", "/@acme%2f*"];
    for (any_of, path, deny, allow) in [
        (&both[..], "/@acme/lib", true, true),
        (&both[..], "/@acme%2flib", true, true),
        (&both[..1], "/@acme%2flib", true, false),
        (&both[1..], "/@acme%2flib", true, false),
        (&both[..], "/@acme%2f..%2f@other%2flib", true, false),
        (&both[..], "/@other%2flib", false, false),
        (
            &["/p/{*}/jobs", "/p/{*}/{*}/jobs"],
            "/p/grp%2Fproj/jobs",
            true,
            true,
        ),
        (&["/p/{*}/jobs"], "/p/grp%2Fproj/jobs", true, false),
        (&["/{**}"], "/a%22b", true, true),
        // Envoy's own matcher must accept the path as sent.
        (&["/{**}"], "/a\"b", true, false),
        (&["/{**}", "/a\"b"], "/a\"b", true, true),
    ] {
        assert_eq!(holds(any_of, &[], path), (deny, allow), "{any_of:?} {path}");
    }
}

#[test]
fn what_is_left_out_of_a_deny_lists_every_spelling_as_well() {
    for (none_of, path, deny, allow) in [
        (&["/@acme/*"][..], "/@acme%2flib", true, false),
        (&["/@acme/*", "/@acme%2f*"], "/@acme%2flib", false, false),
        (&["/x"], "/@acme%2flib", true, true),
        (&["/x"], "/%zz", true, false),
    ] {
        assert_eq!(
            holds(&[], none_of, path),
            (deny, allow),
            "{none_of:?} {path}"
        );
    }
}
