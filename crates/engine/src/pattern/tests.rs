//! Tables for the patterns of policies: what each spelling matches, broadly and strictly, and what
//! is refused.

use super::*;
use crate::host::Authority;

fn pattern(text: &str) -> HostPattern {
    parse_host_pattern(text)
        .unwrap_or_else(|why| panic!("{text}: {why}"))
        .0
}

fn both(text: &str, authority: &str) -> (bool, bool) {
    let read = Authority::parse(authority).unwrap();
    let port = read.port.map_or(Port::Absent(None), Port::Known);
    let at = |reading| pattern(text).matches(&read.host, port, Some(authority), reading);
    (at(Match::Broad), at(Match::Strict))
}

#[test]
fn hosts_match_by_their_canonical_form() {
    for (text, authority, expected) in [
        ("api.example.com", "API.example.com.", (true, true)),
        ("api.example.com", "api.example.com:443", (true, true)),
        ("api.example.com", "api.example.com:80", (true, true)),
        ("api.example.com", "api.example.com:8443", (true, false)),
        ("api.example.com:443", "api.example.com", (true, false)),
        ("api.example.com:8443", "api.example.com", (false, false)),
        ("api.example.com:8443", "api.example.com:8443", (true, true)),
        ("api.example.com:*", "api.example.com:8443", (true, true)),
        ("api.example.com", "xapi.example.com", (false, false)),
        ("*.example.com", "a.b.example.com", (true, true)),
        ("*.example.com", "example.com", (false, false)),
        ("*.example.com", "evilexample.com", (false, false)),
        ("*.example.com:8443", "a.example.com:8443", (true, true)),
        ("*.example.com:8443", "a.example.com", (false, false)),
        ("*example.com", "evilexample.com", (true, true)),
        ("api.example.*", "api.example.org", (true, true)),
        ("api.example.*", "api.example.org:8443", (true, false)),
        ("169.254.*", "169.254.169.254", (true, true)),
        ("*", "anything.example:8443", (true, true)),
        ("**", "anything.example:8443", (true, true)),
        ("192.0.2.0/24", "192.0.2.77", (true, true)),
        ("192.0.2.0/24", "[::ffff:192.0.2.77]", (true, false)),
        ("192.0.2.0/24", "192.0.3.1", (false, false)),
        ("[2001:db8::/32]:443", "[2001:db8::1]:443", (true, true)),
        ("[2001:db8::/32]:443", "[2001:db8::1]", (true, false)),
        ("[::ffff:169.254.0.0/112]", "169.254.1.1", (true, false)),
        (
            "[::ffff:169.254.0.0/112]",
            "[::ffff:a9fe:101]",
            (true, true),
        ),
        ("[2002:a00::/24]", "10.9.9.9", (true, false)),
        ("[fd00:ec2::254]", "[fd00:ec2:0:0::254]", (true, true)),
        ("fd00:ec2::254", "[fd00:ec2::254]:80", (true, true)),
        ("b\u{fc}cher.example", "xn--bcher-kva.example", (true, true)),
    ] {
        assert_eq!(
            both(text, authority),
            expected,
            "{text} against {authority}"
        );
    }
}

/// Every form in which 169.254.169.254 may be reached.
const FORMS: [&str; 13] = [
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[::ffff:0:169.254.169.254]",
    "[::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[64:ff9b:1:a9fe:a9:fe00::1]",
    "[64:ff9b:1:a9:fe:a9fe::1]",
    "[64:ff9b:1:0:a9:fea9:fe00:0]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:c000:201::5601:5601]",
    "[fe80::5efe:169.254.169.254]",
    "[2001:db8::200:5efe:a9fe:a9fe]",
];

#[test]
fn a_denied_ipv4_address_is_denied_in_every_form_that_may_carry_it() {
    for form in FORMS {
        for text in [
            "169.254.0.0/16",
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "[::ffff:0:169.254.0.0/112]",
            "169.254.*",
        ] {
            assert!(both(text, form).0, "{text} does not cover {form}");
        }
        assert!(
            !both("192.168.0.0/16", form).0 && !both("10.0.0.1", form).0,
            "{form}"
        );
    }
    // The relay of Teredo is reached as well.
    assert!(both("192.0.2.1", "[2001:0:c000:201::5601:5601]").0);
}

#[test]
fn a_granted_address_is_granted_in_the_form_in_which_it_is_written() {
    for written in FORMS.iter().filter(|form| !form.contains("/")) {
        for form in FORMS {
            assert_eq!(
                both(written, form).1,
                *written == form,
                "{written} and {form}"
            );
        }
    }
    assert!(!both("169.254.*", "[::ffff:169.254.169.254]").1);
    // A grant of a form does not grant what the form carries.
    for range in [
        "[64:ff9b::/96]",
        "[2002::/16]",
        "[2001::/32]",
        "[64:ff9b:1::/48]",
    ] {
        assert!(
            !both(range, "10.0.0.1").1 && both(range, "10.0.0.1").0,
            "{range}"
        );
    }
}

#[test]
fn what_reaches_the_local_host_is_denied_with_it() {
    for host in ["0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "[64:ff9b::]"] {
        for text in [
            "127.0.0.0/8",
            "127.0.0.1",
            "127.0.0.53",
            "[::1]",
            "127.*",
            "0.0.0.0",
            "0.0.0.0/8",
        ] {
            assert!(both(text, host).0, "{text} does not cover {host}");
        }
        for text in ["10.0.0.0/8", "169.254.169.254", "[fd00::/8]", "*.example"] {
            assert_eq!(both(text, host), (false, false), "{text} covers {host}");
        }
    }
    assert!(!both("127.0.0.0/8", "0.0.0.0").1 && !both("[::1]", "[::]").1);
    assert!(!both("127.0.0.0/8", "[::1]").0 && both("127.0.0.0/8", "[::ffff:127.0.0.1]").0);
    assert!(!both("127.0.0.0/8", "[64:ff9b:1::a9fe:a9fe]").0);
}

#[test]
fn a_denied_port_covers_no_port_where_the_listener_has_it() {
    let host = Host::Name("a.example".into());
    for (text, listener, broad) in [
        ("a.example:8443", Some(8443), true),
        ("a.example:8443", Some(443), false),
        ("a.example:8443", None, false),
        ("a.example:443", Some(8443), true),
        ("a.example:80", None, true),
    ] {
        let at = |reading| {
            pattern(text).matches(&host, Port::Absent(listener), Some("a.example"), reading)
        };
        assert_eq!(
            (at(Match::Broad), at(Match::Strict)),
            (broad, false),
            "{text} {listener:?}"
        );
    }
}

#[test]
fn in_istio_a_grant_covers_no_more_than_the_text_does() {
    for (text, authority, expected) in [
        ("*:*", "a.example", (true, false)),
        ("*:*", "a.example:443", (true, false)),
        ("a.example:", "a.example", (true, false)),
        ("a.example:", "a.example:", (true, true)),
        ("a.example:", "a.example:80", (true, false)),
        ("*.example:*", "a.example:8443", (true, false)),
        ("a.*:*", "a.example:8443", (true, false)),
        ("a.*:443", "a.example:443", (true, false)),
        ("a.example*:443", "a.example:443", (true, false)),
        ("a.example:0443", "a.example:443", (true, false)),
        ("a.example:0443", "a.example:0443", (true, true)),
        ("*.example:443", "a.example:443", (true, true)),
        ("*:443", "a.example:443", (true, true)),
        ("a.example:*", "a.example:8443", (true, true)),
        ("a.example:*", "a.example", (true, true)),
        ("*", "a.example:8443", (true, true)),
        ("2001*", "[2001:db8::1]", (true, false)),
        ("*b8", "[2001:db8::db8]", (true, false)),
    ] {
        let read = Authority::parse(authority).unwrap();
        let port = read.port.map_or(Port::Absent(None), Port::Known);
        let pattern = pattern(text).in_istio(text);
        let at = |reading| pattern.matches(&read.host, port, Some(authority), reading);
        assert_eq!(
            (at(Match::Broad), at(Match::Strict)),
            expected,
            "{text} against {authority}"
        );
    }
    assert_eq!(pattern("*:*").in_istio("*:*").to_string(), "*:*");
}

#[test]
fn an_unknown_port_is_covered_broadly_only_by_a_port() {
    let host = Host::Name("a.example".into());
    let at = |text, reading| pattern(text).matches(&host, Port::Unknown, None, reading);
    for (text, expected) in [
        ("a.example", (true, true)),
        ("a.example:5432", (true, false)),
        ("a.example:*", (true, true)),
    ] {
        assert_eq!(
            (at(text, Match::Broad), at(text, Match::Strict)),
            expected,
            "{text}"
        );
    }
}

#[test]
fn odd_spellings_are_understood_and_noted() {
    for (text, spelling) in [
        ("API.example", Spelling::Folded("api.example".into())),
        ("api.example.", Spelling::Folded("api.example".into())),
        (
            "API.example:443",
            Spelling::Folded("api.example:443".into()),
        ),
        (
            "api.example:00443",
            Spelling::Folded("api.example:443".into()),
        ),
        (
            "*.Example.com:*",
            Spelling::Folded("*.example.com:*".into()),
        ),
        ("api.example:", Spelling::Folded("api.example".into())),
        ("*.Example.com", Spelling::Folded("*.example.com".into())),
        ("10.0.0.1.", Spelling::Folded("10.0.0.1".into())),
        (
            "b\u{fc}cher.example",
            Spelling::Unicode("xn--bcher-kva.example".into()),
        ),
        (
            "*.b\u{fc}cher.example:8443",
            Spelling::Unicode("*.xn--bcher-kva.example:8443".into()),
        ),
        ("*example.com", Spelling::Loose),
        ("api.example.*", Spelling::Loose),
    ] {
        assert_eq!(parse_host_pattern(text).unwrap().1, [spelling], "{text}");
    }
    assert_eq!(parse_host_pattern("api.example:443").unwrap().1, []);
}

#[test]
fn what_is_no_host_is_refused() {
    for text in [
        "",
        "https://api.example",
        "api.example/x",
        "u@api.example",
        "a.*.b",
        "*.x.*",
        "a*b",
        "***",
        "**.example",
        "**:443",
        "*.",
        "*..a",
        "a..b",
        ".a",
        "a b",
        "a:0",
        "a:65536",
        "a:http",
        "a:443:443",
        "1234",
        "*.1",
        "0x7f",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "[10.0.0.1]",
        "[::1",
        "[::1]x",
        "::/0",
        "2000::/3",
        "::/95",
        "::/96",
        "[2002::/15]",
        "[2002:a00:1:1::/64]",
        "[64:ff9b::/64]",
        "[64:ff9b:1::/64]",
        "[64:ff9b:1::a9fe:0/112]",
        "[64:ff9b::/32]",
        "[2001::/16]",
        "[2001:0:c000:201::/64]",
        "[fe80::1%eth0]",
        "a,b",
        "a%2eb",
    ] {
        assert!(
            parse_host_pattern(text).is_err(),
            "{text} is accepted as {:?}",
            parse_host_pattern(text)
        );
    }
}

#[test]
fn narrower_patterns_come_first() {
    let ordered = [
        "a.example:443",
        "a.example",
        "a.example:*",
        "10.0.0.0/24",
        "10.0.0.0/8",
        "*.b.a.example",
        "*.a.example",
        "a.*",
        "*",
    ];
    for pair in ordered.windows(2) {
        let [a, b] = pair else { continue };
        assert!(
            pattern(a).specificity() < pattern(b).specificity(),
            "{a} before {b}"
        );
    }
}

#[test]
fn text_patterns_follow_istio() {
    for (text, candidate, expected) in [
        ("GET", "GET", true),
        ("GET", "get", false),
        ("/v1/*", "/v1/", true),
        ("/v1/*", "/v1", false),
        ("*/x", "/a/x", true),
        ("*", "", false),
        ("*", "x", true),
        ("*a*", "xa*", true),
        ("*a*", "xab", false),
        ("a*b", "a*b", true),
        ("a*b", "axb", false),
    ] {
        assert_eq!(
            TextPattern::parse(text).matches(candidate),
            expected,
            "{text} {candidate}"
        );
    }
    assert!(TextPattern::parse("de*").matches_ignore_case("DELETE"));
    assert!(!TextPattern::parse("delete*").matches_ignore_case("\u{fc}"));
}

#[test]
fn namespace_globs_match_runs() {
    for (pattern, text, expected) in [
        ("pay*", "payments", true),
        ("*ments", "payments", true),
        ("p*m*s", "payments", true),
        ("p*x*s", "payments", false),
        ("*", "x", true),
        ("a*a", "a", false),
        ("pay.ents", "payments", false),
    ] {
        assert_eq!(glob_matches(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn ip_blocks_take_addresses_and_ranges() {
    let block = parse_ip_block("10.1.2.3/8").unwrap();
    assert_eq!(block.to_string(), "10.0.0.0/8");
    let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
    assert!(block_contains(&block, mapped, Match::Broad));
    assert!(!block_contains(&block, mapped, Match::Strict));
    assert!(parse_ip_block("::/0").is_some());
    assert!(parse_ip_block("10.0.0.0/40").is_none() && parse_ip_block("a").is_none());
}

#[test]
fn a_pattern_is_told_as_it_is_read() {
    for (text, told) in [
        ("api.example.com", "api.example.com"),
        ("API.example.com.:8443", "api.example.com:8443"),
        ("api.example.com:*", "api.example.com:*"),
        ("*.example.com", "*.example.com"),
        ("*.example.com:443", "*.example.com:443"),
        ("*example.com", "*example.com"),
        ("api.example.*", "api.example.*"),
        ("169.254.*:80", "169.254.*:80"),
        ("*", "*"),
        ("*:8443", "*:8443"),
        ("**", "**"),
        ("192.0.2.1:443", "192.0.2.1:443"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.0/24:*", "192.0.2.0/24:*"),
        ("fd00:ec2::254", "[fd00:ec2::254]"),
        ("[2001:db8::/32]:443", "[2001:db8::/32]:443"),
        ("[::ffff:169.254.0.0/112]", "[::ffff:169.254.0.0/112]"),
        ("[2002:a00::/24]", "[2002:a00::/24]"),
        ("api.example:0443", "api.example:443"),
        ("b\u{fc}cher.example", "xn--bcher-kva.example"),
    ] {
        let (read, again) = (pattern(text), pattern(told));
        assert_eq!(read.to_string(), told, "{text}");
        assert_eq!(
            (again.shape, again.port),
            (read.shape, read.port),
            "{text} told as {told}"
        );
    }
}

#[test]
fn of_a_url_the_host_is_meant() {
    for (text, meant) in [
        ("https://files.example/", Some("files.example")),
        (
            "http://Files.example:8443/x?y=1#z",
            Some("files.example:8443"),
        ),
        ("files.example/x", Some("files.example")),
        ("user@files.example", Some("files.example")),
        ("https://*.files.example/", Some("*.files.example")),
        ("https:///x", None),
        ("https://user:secret@files.example/", None),
        ("a.*.example", None),
    ] {
        let problem = parse_host_pattern(text).unwrap_err();
        assert_eq!(problem.meant(text).as_deref(), meant, "{text}: {problem}");
    }
}

#[test]
fn what_istio_compares_is_kept_only_where_it_matches_more_than_the_name() {
    for (text, kept) in [
        ("api.example", false),
        ("API.example", false),
        ("*.example", false),
        ("api.example.", true),
        ("api.example:443", true),
        ("api.example:*", true),
        ("*example", true),
        ("api.*", true),
        ("10.0.0.0/8", true),
    ] {
        assert_eq!(pattern(text).raw.is_some(), kept, "{text}");
    }
}
