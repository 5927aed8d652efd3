//! Paths: their readings, and which paths have none.

use super::*;

fn readings(path: &str) -> Vec<String> {
    match Readings::of(path) {
        Readings::One(one) => vec![one.to_owned()],
        Readings::Many(all) => all.into_iter().map(Cow::into_owned).collect(),
        Readings::Unknown => Vec::new(),
    }
}

#[test]
fn a_plain_path_has_one_reading() {
    assert_eq!(readings("/v1/x"), ["/v1/x"]);
    assert_eq!(readings("/v1/x?y=/../z#f"), ["/v1/x"]);
    assert_eq!(readings("/"), ["/"]);
}

#[test]
fn the_short_cut_is_right() {
    for path in [
        "/", "/a", "/a/", "/a/b.c", "/a//b", "/a/./b", "/a/..", "/a;b", "/a%2e", "/.a", "/...",
        "/a\\b", "a", "//",
    ] {
        let raw = path.to_owned();
        let several = readings(path).len() > 1;
        assert_eq!(is_plain(&raw), !several, "{path}: {:?}", readings(path));
    }
}

#[test]
fn tricks_are_among_the_readings() {
    for (path, reading) in [
        ("/x/../admin", "/admin"),
        ("//admin", "/admin"),
        ("/%61dmin", "/admin"),
        ("/%5cadmin", "/admin"),
        ("/x/..%2fadmin", "/admin"),
        ("/v1/%2e%2e/admin", "/admin"),
        ("/admin;x=1", "/admin"),
        ("/v1/..;/admin", "/admin"),
        ("/a%3b/admin", "/a/admin"),
        ("/admin/.", "/admin/"),
        ("/a\\..\\admin", "/admin"),
        ("/v1/%2e%2e/%2e%2e/x%2fy", "/x%2fy"),
        // Parameters are cut off first; what they hid is decoded afterwards.
        ("/x;%2fy/..;/%61dmin", "/admin"),
        ("/%61dmin;%2fx", "/admin"),
        ("/public/x/%2e%2e;%2fy/%2e%2e/admin", "/admin"),
        // Resolved first, cut off or decoded afterwards.
        ("/x/../admin;y", "/admin"),
        ("/a/../%2e%2e/b", "/../b"),
        // A dot segment at the end leaves a slash, or none.
        ("/admin/.", "/admin"),
        ("/admin;/.", "/admin"),
        ("/admin/x/..", "/admin"),
        ("/admin/%2e", "/admin"),
        ("/admin;x/.", "/admin"),
        ("/admin;x/.", "/admin;x"),
    ] {
        assert!(
            readings(path).iter().any(|r| r == reading),
            "{path}: {:?}",
            readings(path)
        );
    }
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let long = format!("/{}", "a".repeat(MAX_PATH));
    for path in [
        "",
        "?x",
        "/%zz",
        "/%4",
        "/%",
        "/..%c0%afadmin",
        "/a%00",
        "/a%0a",
        "/a\u{7f}",
        "/a#b",
        &long,
    ] {
        assert_eq!(Readings::of(path), Readings::Unknown, "{path:?}");
    }
}

#[test]
fn normalising_twice_changes_nothing() {
    for path in [
        "/a//b/../c/.",
        "a/b",
        "..",
        "/..",
        "/a/b/",
        "\\a\\b",
        "/a/./b/../../c//",
    ] {
        assert_eq!(normalise(&normalise(path)), normalise(path), "{path}");
    }
}

/// Every order of the steps, spelt out.
fn by_every_order(path: &str) -> Vec<String> {
    const ORDERS: [&str; 16] = [
        "", "d", "p", "n", "dp", "pd", "dn", "nd", "pn", "np", "dpn", "dnp", "pdn", "pnd", "ndp",
        "npd",
    ];
    let decode = |path: &str| percent_decode(path, |_| true).unwrap().into_owned();
    let unreserved = percent_decode(path, is_unreserved).unwrap().into_owned();
    let mut all = Vec::new();
    let starts = ORDERS
        .iter()
        .map(|order| (path, *order))
        .chain([(unreserved.as_str(), ""), (&unreserved, "n")]);
    for (start, order) in starts {
        let mut ways = vec![start.to_owned()];
        for step in order.chars() {
            let outcomes = ways.iter().flat_map(|path| match step {
                'd' => vec![decode(path)],
                'p' => vec![without_parameters(path)],
                _ if ends_with_dots(path) => {
                    let whole = normalise(path);
                    let bare = whole.trim_end_matches('/').to_owned();
                    [whole, bare]
                        .into_iter()
                        .filter(|path| !path.is_empty())
                        .collect()
                }
                _ => vec![normalise(path)],
            });
            ways = outcomes.collect();
        }
        all.extend(ways);
    }
    all.sort();
    all.dedup();
    all
}

#[test]
fn the_readings_are_what_every_order_of_the_steps_gives() {
    let pieces = [
        "/", "a", ".", "..", ";", "%2e", "%2f", "%3b", "%5c", "\\", "%2561", "%c3%a9",
    ];
    let mut number: usize = 7;
    for _ in 0..4_000 {
        let mut path = "/".to_owned();
        for _ in 0..8 {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            path.push_str(pieces[(number >> 33) % pieces.len()]);
        }
        let mut got = readings(&path);
        assert_eq!(got[0], path);
        assert!(got.len() <= MAX_READINGS, "{path}: {got:?}");
        got.sort();
        assert_eq!(got, by_every_order(&path), "{path}");
    }
}

#[test]
fn what_can_be_decoded_at_first_can_be_decoded_after_any_step() {
    for path in [
        "/%c3;x/%a9",
        "/%c3/..%a9",
        "/%c3%;a9",
        "/%c%61",
        "/%2",
        "/a;%",
        "/a;%zz/b",
    ] {
        assert_eq!(Readings::of(path), Readings::Unknown, "{path}");
    }
}

#[test]
fn a_query_is_cut_off_a_long_path_as_off_a_short_one() {
    for length in [1, SHORT - 1, SHORT, SHORT + 1, 9_000] {
        let path = format!("/{}", "a".repeat(length));
        assert_eq!(without_query(&path), path);
        assert_eq!(without_query(&format!("{path}?x?y=/..")), path);
    }
}
