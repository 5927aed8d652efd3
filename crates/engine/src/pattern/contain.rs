//! Whether one pattern matches everything that another matches, and whether two can match the same at all.
//!
//! Both answers are sound and not complete: "contains" is only said where it is so, and "meets" is only denied where it
//! cannot be. What Istio would compare with the raw authority is left aside, since it never matches more than the
//! canonical host under the wide reading; but for a prefix that ends in a dot, which meets the name before that dot.

use super::{HostPattern, HostShape, Port, PortPattern, Reading, TextPattern, address};
use crate::host::Host;

impl PortPattern {
    /// Whether the pattern read as `reading` covers every port that `other` covers as it is read.
    pub fn contains(self, reading: Reading, other: PortPattern, others: Reading) -> bool {
        probes(self, other).all(|port| !other.covers(port, others) || self.covers(port, reading))
    }

    /// Whether some port is covered by both.
    pub fn meets(self, reading: Reading, other: PortPattern, others: Reading) -> bool {
        probes(self, other).any(|port| other.covers(port, others) && self.covers(port, reading))
    }
}

/// One port of each kind that two patterns could tell apart.
fn probes(one: PortPattern, two: PortPattern) -> impl Iterator<Item = Port> {
    let named = |pattern| match pattern {
        PortPattern::Exactly(port) => Some(port),
        PortPattern::Unsaid | PortPattern::Every => None,
    };
    let named = [named(one), named(two)];
    let other = (1..=3).find(|port| !named.contains(&Some(*port)));
    let named = named.into_iter().chain([other]).flatten();
    [Port::Absent(None), Port::Unknown, Port::Known(80), Port::Known(443)]
        .into_iter()
        .chain(named.flat_map(|port| [Port::Known(port), Port::Absent(Some(port))]))
}

impl HostPattern {
    /// The port part.
    pub fn port(&self) -> PortPattern {
        self.port
    }

    /// The same hosts with another port.
    pub fn with_port(&self, port: PortPattern) -> HostPattern {
        HostPattern { port, ..self.clone() }
    }

    /// Whether the pattern read as `reading` matches every *known* host and port that `other` matches as it is read. Of
    /// `**` and connections that name no host this says nothing.
    pub fn contains(&self, reading: Reading, other: &HostPattern, others: Reading) -> bool {
        // What only texts tell is known of the same text alone.
        let as_text = !self.is_text || reading == Reading::Wide || self == other;
        as_text && self.port.contains(reading, other.port, others) && self.shape.contains(reading, &other.shape, others)
    }

    /// Whether both may match one known host and port.
    pub fn meets(&self, reading: Reading, other: &HostPattern, others: Reading) -> bool {
        self.port.meets(reading, other.port, others) && self.shape.meets(reading, &other.shape, others)
    }
}

impl HostShape {
    fn contains(&self, read: Reading, other: &HostShape, reads: Reading) -> bool {
        use HostShape::{Anywhere, Exact, LoosePrefix, LooseSuffix, Present, Suffix};
        if let (Some(outer), Some(inner)) = (self.range(), other.range()) {
            return address::contains(&outer, read, &inner, reads);
        }
        match (self, other) {
            (Anywhere | Present, _) => true,
            // Of an address, texts are looked at one by one.
            (_, Exact(host @ Host::Ip(_))) => reads == Reading::Narrow && self.matches(host, read),
            (_, Exact(host)) => self.matches(host, read),
            (Suffix(outer) | LooseSuffix(outer), Suffix(inner)) => inner.ends_with(outer.as_ref()),
            // Read widely they match texts of addresses that nothing read narrowly does.
            (LooseSuffix(_), LooseSuffix(_)) | (LoosePrefix(_), LoosePrefix(_))
                if (read, reads) == (Reading::Narrow, Reading::Wide) =>
            {
                false
            }
            (LooseSuffix(outer), LooseSuffix(inner)) => inner.ends_with(outer.as_ref()),
            (LoosePrefix(outer), LoosePrefix(inner)) => inner.starts_with(outer.as_ref()),
            _ => false,
        }
    }

    /// Whether the wide reading matches a name that was sent with a dot behind it: Istio compares `a.example.*` with that text,
    /// of which the dot is the prefix's.
    fn matches_dotted(&self, host: &Host<'_>, reading: Reading) -> bool {
        match (self, host) {
            (HostShape::LoosePrefix(prefix), Host::Name(name)) => {
                reading == Reading::Wide && prefix.strip_suffix('.') == Some(name.as_ref())
            }
            _ => false,
        }
    }

    fn meets(&self, read: Reading, other: &HostShape, reads: Reading) -> bool {
        use HostShape::{Anywhere, Exact, LooseSuffix, Network, Present, Suffix};
        if let (Some(one), Some(two)) = (self.range(), other.range()) {
            return address::meets(&one, read, &two, reads);
        }
        match (self, other) {
            (Anywhere | Present, _) | (_, Anywhere | Present) => true,
            // An address has texts in more than one form.
            (Exact(Host::Ip(_)), shape) | (shape, Exact(Host::Ip(_))) => !matches!(shape, Exact(_) | Suffix(_)),
            (Exact(host), shape) => shape.matches(host, reads) || shape.matches_dotted(host, reads),
            (shape, Exact(host)) => shape.matches(host, read) || shape.matches_dotted(host, read),
            (Suffix(_), Network(_)) | (Network(_), Suffix(_)) => false,
            (Suffix(one) | LooseSuffix(one), Suffix(two) | LooseSuffix(two)) => {
                one.ends_with(two.as_ref()) || two.ends_with(one.as_ref())
            }
            _ => true,
        }
    }
}

impl TextPattern {
    /// Whether every text that `other` matches is matched, case for case.
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

    /// The same, where this pattern is compared in any ASCII case.
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
    use Reading::{Narrow, Wide};

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
            let got = (outer.contains(Narrow, &inner, Narrow), outer.meets(Narrow, &inner, Narrow));
            assert_eq!(got, (contains, meets), "{outer} {inner}");
            assert_eq!(inner.meets(Narrow, &outer, Narrow), meets, "{inner} {outer}");
        }
    }

    #[test]
    fn addresses_are_compared_as_they_are_read() {
        for (outer, read_outer, inner, read_inner, contains, meets) in [
            ("10.0.0.0/8", Wide, "[::ffff:10.0.0.1]", Narrow, true, true),
            ("10.0.0.0/8", Wide, "[::ffff:10.0.0.1]", Wide, true, true),
            ("10.0.0.0/8", Wide, "10.0.0.0/9", Wide, true, true),
            ("10.0.0.0/8", Wide, "[2001:db8::1]", Narrow, false, true),
            ("10.0.0.0/8", Wide, "[::ffff:11.0.0.1]", Narrow, false, true),
            ("10.0.0.0/8", Wide, "11.0.0.1", Narrow, false, false),
            ("10.0.0.1:*", Narrow, "10.0.0.1:*", Wide, false, true),
            ("[2001:db8::1]:*", Narrow, "[2001:db8::1]:*", Wide, true, true),
            ("[::1]:*", Narrow, "[::1]:*", Wide, false, true),
            ("[2001:db8::/32]", Wide, "[2001:db8::1]", Wide, true, true),
            ("127.0.0.0/8", Wide, "0.0.0.0", Narrow, false, true),
            ("[::1]", Wide, "0.0.0.0", Narrow, false, true),
            ("[2001:db8::/32]", Wide, "0.0.0.0", Narrow, false, false),
            ("127.*", Wide, "127.0.0.1", Narrow, true, true),
            ("127.*", Wide, "127.0.0.1", Wide, false, true),
            ("*.example", Wide, "127.0.0.1", Wide, false, false),
        ] {
            let (outer, inner) = (host(outer), host(inner));
            let got = (outer.contains(read_outer, &inner, read_inner), outer.meets(read_outer, &inner, read_inner));
            assert_eq!(got, (contains, meets), "{outer} {read_outer:?} {inner} {read_inner:?}");
            assert_eq!(inner.meets(read_inner, &outer, read_outer), meets, "{inner} {outer}");
        }
    }

    #[test]
    fn loose_patterns_are_compared_as_they_are_read() {
        for (outer, read_outer, inner, read_inner, contains, meets) in [
            ("10.*", Narrow, "10.0.*", Narrow, true, true),
            ("10.*", Narrow, "10.0.*", Wide, false, true),
            ("10.*", Wide, "10.0.*", Wide, true, true),
            ("10.*", Wide, "10.0.*", Narrow, true, true),
            ("*mple", Narrow, "*example", Wide, false, true),
            ("*mple", Wide, "*example", Wide, true, true),
            ("a.example.*", Wide, "a.example", Narrow, false, true),
            ("a.example.*", Narrow, "a.example", Narrow, false, false),
            ("a.example.*", Wide, "b.example", Wide, false, false),
        ] {
            let (outer, inner) = (host(&format!("{outer}:*")), host(&format!("{inner}:*")));
            let got = (outer.contains(read_outer, &inner, read_inner), outer.meets(read_outer, &inner, read_inner));
            assert_eq!(got, (contains, meets), "{outer} {read_outer:?} {inner} {read_inner:?}");
            assert_eq!(inner.meets(read_inner, &outer, read_outer), meets, "{inner} {outer}");
        }
    }

    #[test]
    fn ports_are_compared_as_they_are_read() {
        for (outer, read_outer, inner, read_inner, contains, meets) in [
            ("h", Narrow, "h:443", Narrow, true, true),
            ("h", Narrow, "h:8443", Narrow, false, false),
            ("h", Narrow, "h:443", Wide, true, true),
            ("h", Narrow, "h", Wide, false, true),
            ("h", Wide, "h:*", Narrow, true, true),
            ("h:*", Narrow, "h", Narrow, true, true),
            ("h", Narrow, "h:*", Narrow, false, true),
            ("h:443", Wide, "h:443", Narrow, true, true),
            ("h:443", Narrow, "h:443", Wide, false, true),
            ("h:443", Narrow, "h", Narrow, false, true),
            ("h:80", Narrow, "h:443", Narrow, false, false),
            ("h:80", Wide, "h:443", Wide, false, true),
            ("h:1", Narrow, "h:2", Narrow, false, false),
        ] {
            let (outer, inner) = (host(outer), host(inner));
            let got = (outer.contains(read_outer, &inner, read_inner), outer.meets(read_outer, &inner, read_inner));
            assert_eq!(got, (contains, meets), "{outer} {read_outer:?} {inner} {read_inner:?}");
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
            assert_eq!((a.contains(&b), a.contains_ignore_case(&b)), (contains, any_case), "{outer} {inner}");
        }
    }
}
