//! Whether one pattern matches everything that another matches, and whether two can match the same
//! at all.
//!
//! Both answers are sound and not complete: "contains" is returned only if it is true, and "meets"
//! is denied only if nothing can match both. What Istio would compare with the raw authority is
//! left aside, since it never matches more than the canonical host under the broad match. The
//! exception is a prefix that ends in a dot, which meets the name before that dot.

use super::{HostPattern, HostShape, Match, Port, PortPattern, TextPattern, address};
use crate::host::Host;

impl PortPattern {
    /// Returns whether the pattern, matched as `matching` says, covers every port that `other`
    /// covers as `others` says.
    pub fn contains(self, matching: Match, other: PortPattern, others: Match) -> bool {
        probes(self, other).all(|port| !other.covers(port, others) || self.covers(port, matching))
    }

    /// Returns whether some port is covered by both.
    pub fn meets(self, matching: Match, other: PortPattern, others: Match) -> bool {
        probes(self, other).any(|port| other.covers(port, others) && self.covers(port, matching))
    }
}

/// Returns one port of each kind that two patterns could treat differently.
fn probes(one: PortPattern, two: PortPattern) -> impl Iterator<Item = Port> {
    let named = |pattern| match pattern {
        PortPattern::Exactly(port) => Some(port),
        PortPattern::Unsaid | PortPattern::Every => None,
    };
    let named = [named(one), named(two)];
    let other = (1..=3).find(|port| !named.contains(&Some(*port)));
    let named = named.into_iter().chain([other]).flatten();
    [
        Port::Absent(None),
        Port::Unknown,
        Port::Known(80),
        Port::Known(443),
    ]
    .into_iter()
    .chain(named.flat_map(|port| [Port::Known(port), Port::Absent(Some(port))]))
}

impl HostPattern {
    /// Returns the port part.
    pub fn port(&self) -> PortPattern {
        self.port
    }

    /// Returns the same hosts with another port.
    pub fn with_port(&self, port: PortPattern) -> HostPattern {
        HostPattern {
            port,
            ..self.clone()
        }
    }

    /// Returns whether the pattern, matched as `matching` says, matches every *known* host and port
    /// that `other` matches. It says nothing of `**` and connections that name no host.
    pub fn contains(&self, matching: Match, other: &HostPattern, others: Match) -> bool {
        // A pattern that only matches texts contains only the same text.
        let as_text = !self.is_text || matching == Match::Broad || self == other;
        as_text
            && self.port.contains(matching, other.port, others)
            && self.shape.contains(matching, &other.shape, others)
    }

    /// Returns whether both may match one known host and port.
    pub fn meets(&self, matching: Match, other: &HostPattern, others: Match) -> bool {
        self.port.meets(matching, other.port, others)
            && self.shape.meets(matching, &other.shape, others)
    }
}

impl HostShape {
    fn contains(&self, matching: Match, other: &HostShape, others: Match) -> bool {
        use HostShape::{Anywhere, Exact, LoosePrefix, LooseSuffix, Present, Suffix};
        if let (Some(outer), Some(inner)) = (self.range(), other.range()) {
            return address::contains(&outer, matching, &inner, others);
        }
        match (self, other) {
            (Anywhere | Present, _) => true,
            // The texts of an address are compared one by one.
            (_, Exact(host @ Host::Ip(_))) => {
                others == Match::Strict && self.matches(host, matching)
            }
            (_, Exact(host)) => self.matches(host, matching),
            (Suffix(outer) | LooseSuffix(outer), Suffix(inner)) => inner.ends_with(outer.as_ref()),
            // The broad match covers texts of addresses that no strict match covers.
            (LooseSuffix(_), LooseSuffix(_)) | (LoosePrefix(_), LoosePrefix(_))
                if (matching, others) == (Match::Strict, Match::Broad) =>
            {
                false
            }
            (LooseSuffix(outer), LooseSuffix(inner)) => inner.ends_with(outer.as_ref()),
            (LoosePrefix(outer), LoosePrefix(inner)) => inner.starts_with(outer.as_ref()),
            _ => false,
        }
    }

    /// Returns whether the broad match matches a name that was sent with a trailing dot: Istio
    /// compares `a.example.*` with that text, and its dot belongs to the prefix.
    fn matches_dotted(&self, host: &Host<'_>, matching: Match) -> bool {
        match (self, host) {
            (HostShape::LoosePrefix(prefix), Host::Name(name)) => {
                matching == Match::Broad && prefix.strip_suffix('.') == Some(name.as_ref())
            }
            _ => false,
        }
    }

    fn meets(&self, matching: Match, other: &HostShape, others: Match) -> bool {
        use HostShape::{Anywhere, Exact, LooseSuffix, Network, Present, Suffix};
        if let (Some(one), Some(two)) = (self.range(), other.range()) {
            return address::meets(&one, matching, &two, others);
        }
        match (self, other) {
            (Anywhere | Present, _) | (_, Anywhere | Present) => true,
            // An address has texts in more than one form.
            (Exact(Host::Ip(_)), shape) | (shape, Exact(Host::Ip(_))) => {
                !matches!(shape, Exact(_) | Suffix(_))
            }
            (Exact(host), shape) => {
                shape.matches(host, others) || shape.matches_dotted(host, others)
            }
            (shape, Exact(host)) => {
                shape.matches(host, matching) || shape.matches_dotted(host, matching)
            }
            (Suffix(_), Network(_)) | (Network(_), Suffix(_)) => false,
            (Suffix(one) | LooseSuffix(one), Suffix(two) | LooseSuffix(two)) => {
                one.ends_with(two.as_ref()) || two.ends_with(one.as_ref())
            }
            _ => true,
        }
    }
}

impl TextPattern {
    /// Returns whether it matches every text that `other` matches, case for case.
    pub fn contains(&self, other: &TextPattern) -> bool {
        use TextPattern::{Any, Exact, Prefix, Suffix};
        match (self, other) {
            (Any, Any) => true,
            (Any, Exact(text) | Prefix(text) | Suffix(text)) => !text.is_empty(),
            (_, Exact(text)) => self.matches(text),
            (Prefix(outer), Prefix(inner)) => inner.starts_with(outer.as_str()),
            (Suffix(outer), Suffix(inner)) => inner.ends_with(outer.as_str()),
            _ => false,
        }
    }

    /// Returns the same for a pattern that is compared in any ASCII case.
    pub fn contains_ignore_case(&self, other: &TextPattern) -> bool {
        self.lower_case().contains(&other.lower_case())
    }

    fn lower_case(&self) -> TextPattern {
        match self {
            TextPattern::Exact(text) => TextPattern::Exact(text.to_ascii_lowercase()),
            TextPattern::Prefix(text) => TextPattern::Prefix(text.to_ascii_lowercase()),
            TextPattern::Suffix(text) => TextPattern::Suffix(text.to_ascii_lowercase()),
            TextPattern::Any => TextPattern::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_host_pattern;
    use super::*;
    use Match::{Broad, Strict};

    fn host(text: &str) -> HostPattern {
        parse_host_pattern(text).unwrap().0
    }

    #[test]
    fn hosts_contain_and_meet() {
        for (outer, inner, contains, meets) in [
            ("a.example", "a.example", true, true),
            ("a.example", "b.example", false, false),
            ("*.example", "a.example", true, true),
            ("*.example", "example", false, false),
            ("*.example", "*.a.example", true, true),
            ("*.a.example", "*.example", false, true),
            ("*.a.example", "*.b.example", false, false),
            ("*.xample", "*.example", false, false),
            ("10.0.0.0/8", "10.1.0.0/16", true, true),
            ("10.1.0.0/16", "10.0.0.0/8", false, true),
            ("10.0.0.0/8", "10.1.2.3", true, true),
            ("10.0.0.0/8", "11.1.2.3", false, false),
            ("10.0.0.0/8", "*.example", false, false),
            ("10.0.0.0/8", "[2001:db8::/32]", false, false),
            ("10.0.0.0/8", "[::ffff:10.0.0.1]", false, false),
            ("[64:ff9b::/96]", "[64:ff9b::a00:1]", true, true),
            ("**", "10.0.0.0/8", true, true),
            ("**", "a.example:8443", true, true),
            ("*.example", "**", false, true),
            ("*example", "*.example", true, true),
            ("*.example", "*example", false, true),
            ("api.*", "api.a.example", true, true),
            ("api.*", "*.example", false, true),
        ] {
            let (outer, inner) = (host(outer), host(inner));
            let got = (
                outer.contains(Strict, &inner, Strict),
                outer.meets(Strict, &inner, Strict),
            );
            assert_eq!(got, (contains, meets), "{outer} {inner}");
            assert_eq!(
                inner.meets(Strict, &outer, Strict),
                meets,
                "{inner} {outer}"
            );
        }
    }

    #[test]
    fn addresses_are_compared_as_they_are_read() {
        for (outer, read_outer, inner, read_inner, contains, meets) in [
            ("10.0.0.0/8", Broad, "[::ffff:10.0.0.1]", Strict, true, true),
            ("10.0.0.0/8", Broad, "[::ffff:10.0.0.1]", Broad, true, true),
            ("10.0.0.0/8", Broad, "10.0.0.0/9", Broad, true, true),
            ("10.0.0.0/8", Broad, "[2001:db8::1]", Strict, false, true),
            (
                "10.0.0.0/8",
                Broad,
                "[::ffff:11.0.0.1]",
                Strict,
                false,
                true,
            ),
            ("10.0.0.0/8", Broad, "11.0.0.1", Strict, false, false),
            ("10.0.0.1:*", Strict, "10.0.0.1:*", Broad, false, true),
            (
                "[2001:db8::1]:*",
                Strict,
                "[2001:db8::1]:*",
                Broad,
                true,
                true,
            ),
            ("[::1]:*", Strict, "[::1]:*", Broad, false, true),
            ("[2001:db8::/32]", Broad, "[2001:db8::1]", Broad, true, true),
            ("127.0.0.0/8", Broad, "0.0.0.0", Strict, false, true),
            ("[::1]", Broad, "0.0.0.0", Strict, false, true),
            ("[2001:db8::/32]", Broad, "0.0.0.0", Strict, false, false),
            ("127.*", Broad, "127.0.0.1", Strict, true, true),
            ("127.*", Broad, "127.0.0.1", Broad, false, true),
            ("*.example", Broad, "127.0.0.1", Broad, false, false),
        ] {
            let (outer, inner) = (host(outer), host(inner));
            let got = (
                outer.contains(read_outer, &inner, read_inner),
                outer.meets(read_outer, &inner, read_inner),
            );
            assert_eq!(
                got,
                (contains, meets),
                "{outer} {read_outer:?} {inner} {read_inner:?}"
            );
            assert_eq!(
                inner.meets(read_inner, &outer, read_outer),
                meets,
                "{inner} {outer}"
            );
        }
    }

    #[test]
    fn loose_patterns_are_compared_as_they_are_read() {
        for (outer, read_outer, inner, read_inner, contains, meets) in [
            ("10.*", Strict, "10.0.*", Strict, true, true),
            ("10.*", Strict, "10.0.*", Broad, false, true),
            ("10.*", Broad, "10.0.*", Broad, true, true),
            ("10.*", Broad, "10.0.*", Strict, true, true),
            ("*mple", Strict, "*example", Broad, false, true),
            ("*mple", Broad, "*example", Broad, true, true),
            ("a.example.*", Broad, "a.example", Strict, false, true),
            ("a.example.*", Strict, "a.example", Strict, false, false),
            ("a.example.*", Broad, "b.example", Broad, false, false),
        ] {
            let (outer, inner) = (host(&format!("{outer}:*")), host(&format!("{inner}:*")));
            let got = (
                outer.contains(read_outer, &inner, read_inner),
                outer.meets(read_outer, &inner, read_inner),
            );
            assert_eq!(
                got,
                (contains, meets),
                "{outer} {read_outer:?} {inner} {read_inner:?}"
            );
            assert_eq!(
                inner.meets(read_inner, &outer, read_outer),
                meets,
                "{inner} {outer}"
            );
        }
    }

    #[test]
    fn ports_are_compared_as_they_are_read() {
        for (outer, read_outer, inner, read_inner, contains, meets) in [
            ("h", Strict, "h:443", Strict, true, true),
            ("h", Strict, "h:8443", Strict, false, false),
            ("h", Strict, "h:443", Broad, true, true),
            ("h", Strict, "h", Broad, false, true),
            ("h", Broad, "h:*", Strict, true, true),
            ("h:*", Strict, "h", Strict, true, true),
            ("h", Strict, "h:*", Strict, false, true),
            ("h:443", Broad, "h:443", Strict, true, true),
            ("h:443", Strict, "h:443", Broad, false, true),
            ("h:443", Strict, "h", Strict, false, true),
            ("h:80", Strict, "h:443", Strict, false, false),
            ("h:80", Broad, "h:443", Broad, false, true),
            ("h:1", Strict, "h:2", Strict, false, false),
        ] {
            let (outer, inner) = (host(outer), host(inner));
            let got = (
                outer.contains(read_outer, &inner, read_inner),
                outer.meets(read_outer, &inner, read_inner),
            );
            assert_eq!(
                got,
                (contains, meets),
                "{outer} {read_outer:?} {inner} {read_inner:?}"
            );
        }
    }

    #[test]
    fn texts_contain() {
        for (outer, inner, contains, any_case) in [
            ("GET", "GET", true, true),
            ("get", "GET", false, true),
            ("G*", "GET", true, true),
            ("*", "G*", true, true),
            ("G*", "*", false, false),
            ("*T", "*ET", true, true),
            ("*ET", "*T", false, false),
            ("GE*", "G*", false, false),
            ("*T", "GET", true, true),
            ("*T", "G*", false, false),
        ] {
            let (a, b) = (TextPattern::parse(outer), TextPattern::parse(inner));
            assert_eq!(
                (a.contains(&b), a.contains_ignore_case(&b)),
                (contains, any_case),
                "{outer} {inner}"
            );
        }
    }
}
