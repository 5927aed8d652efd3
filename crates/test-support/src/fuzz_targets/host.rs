//! Target `host`: two lines of text, a host as a policy writes it and a host as a client sends it.
//!
//! A canonical form is its own canonical form. What a pattern matches strictly it also matches
//! broadly. What it matches has a key under which a table holds the pattern.

use customs_engine::host::{self, Authority, Host};
use customs_engine::pattern::{HostKey, HostPattern, Match, Port, parse_host_pattern};

/// Runs one input.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (pattern, sent) = text.split_once('\n').unwrap_or((text, text));
    let authority = Authority::parse(sent).ok();
    let named = host::parse_server_name(sent).ok();
    for read in [&authority, &named].into_iter().flatten() {
        let text = read.host.to_string();
        let again = Authority::parse(&text).expect("a canonical host is one");
        assert!(
            again.host.is_same(&read.host) && again.port.is_none(),
            "{sent:?}"
        );
        assert_eq!(again.host.to_string(), text, "{sent:?}");
    }
    let Ok((pattern, _)) = parse_host_pattern(pattern) else {
        return;
    };
    let canonical = reread(&pattern);
    assert_eq!(reread(&canonical), canonical, "{pattern:?}");
    assert_eq!(
        (
            pattern.key(),
            pattern.specificity(),
            pattern.is_anywhere(),
            pattern.is_lone_star()
        ),
        (
            canonical.key(),
            canonical.specificity(),
            canonical.is_anywhere(),
            canonical.is_lone_star()
        ),
        "{pattern:?}"
    );
    if let Some(Authority { host, port }) = authority {
        let written = port.map_or(Port::Absent(Some(8443)), Port::Known);
        for (port, raw) in [
            (written, Some(sent)),
            (port.map_or(Port::Unknown, Port::Known), None),
        ] {
            compare(&pattern, &canonical, &host, port, raw);
        }
    }
}

/// Parses a pattern's canonical spelling.
fn reread(pattern: &HostPattern) -> HostPattern {
    let text = pattern.to_string();
    parse_host_pattern(&text)
        .unwrap_or_else(|why| panic!("{pattern:?} is spelt {text:?}: {why}"))
        .0
}

fn compare(
    pattern: &HostPattern,
    canonical: &HostPattern,
    host: &Host<'_>,
    port: Port,
    raw: Option<&str>,
) {
    let strict = pattern.matches(host, port, raw, Match::Strict);
    let broad = pattern.matches(host, port, raw, Match::Broad);
    assert!(
        broad || !strict,
        "{pattern:?} grants and does not deny {host:?} {port:?}"
    );
    assert_eq!(
        strict,
        canonical.matches(host, port, raw, Match::Strict),
        "{pattern:?} {host:?} {port:?}"
    );
    assert!(
        !strict || has_key(host, pattern.key()),
        "{pattern:?} matches {raw:?}, which its key leaves out"
    );
    let carried = match host {
        Host::Ip(ip) => host::embedded::carried(*ip)
            .map(|ip| Host::Ip(ip.into()))
            .collect(),
        Host::Name(_) => Vec::new(),
    };
    let has_one = || {
        pattern
            .keys()
            .any(|key| has_key(host, key) || carried.iter().any(|form| has_key(form, key)))
    };
    assert!(
        !broad || has_one(),
        "{pattern:?} matches {raw:?}, which its keys leave out"
    );
}

fn has_key(host: &Host<'_>, key: HostKey<'_>) -> bool {
    match (key, host) {
        (HostKey::None, _) => true,
        (HostKey::Name(key), Host::Name(name)) => key == name,
        (HostKey::Suffix(key), Host::Name(name)) => name.ends_with(key),
        (HostKey::Address(key), Host::Ip(ip)) => key == *ip,
        (HostKey::Network(key), Host::Ip(ip)) => key.contains(ip),
        (HostKey::LocalHost, Host::Ip(ip)) => host::embedded::reaches_local_host(*ip),
        (HostKey::Name(_) | HostKey::Suffix(_), Host::Ip(_)) => false,
        (HostKey::Address(_) | HostKey::Network(_) | HostKey::LocalHost, Host::Name(_)) => false,
    }
}
