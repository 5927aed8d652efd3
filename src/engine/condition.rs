//! Istio's `when`: conditions on attributes that neither a source nor an operation names.
//!
//! A condition on the caller is a [`Source`] with one field, so that `when` and `from` cannot differ. Keys that a check
//! cannot answer never get here: the policy is refused.

use ipnet::IpNet;

use super::field::{Field, Polarity};
use super::identity::Caller;
use super::pattern::{Reading, TextPattern};
use super::request::{Headers, Request, Sni};
use super::who::{Source, address_holds};

/// One entry of `when`; all must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `source.*` and `remote.ip`
    Source(Box<Source>),
    /// `destination.ip`: the gateway's own address.
    DestinationIp(Field<IpNet>),
    /// `destination.port`: the gateway's listener port.
    DestinationPort(Field<u16>),
    /// `connection.sni`, compared in lower case (rule R11).
    Sni(Field<TextPattern>),
    /// `request.headers[NAME]`
    Header {
        /// The header's name, in lower case.
        name: String,
        /// Its values.
        values: Field<TextPattern>,
    },
}

impl Condition {
    /// Whether the condition holds.
    pub fn holds(&self, caller: &Caller<'_>, request: &Request<'_>, polarity: Polarity) -> bool {
        match self {
            Condition::Source(source) => source.matches(caller, request, polarity),
            Condition::DestinationIp(blocks) => address_holds(blocks, request.destination_address, polarity),
            Condition::DestinationPort(ports) => {
                ports.holds_if_known(request.listener_port, polarity, |want, port, _| *want == port)
            }
            Condition::Sni(values) => sni_holds(values, &request.sni, polarity),
            Condition::Header { name, values } => match request.http {
                Some(http) => header_holds(name, values, http.headers, polarity),
                None => values.holds_unknown(polarity),
            },
        }
    }

    /// Whether only HTTP can answer it.
    pub fn is_http_only(&self) -> bool {
        matches!(self, Condition::Header { .. })
    }

    /// Whether it matters who asks.
    pub fn asks_identity(&self) -> bool {
        matches!(self, Condition::Source(source) if source.asks_identity())
    }
}

fn sni_holds(values: &Field<TextPattern>, sni: &Sni<'_>, polarity: Polarity) -> bool {
    match sni {
        Sni::Unknown => values.holds_unknown(polarity),
        Sni::None => values.holds(polarity, |_, _| false),
        // It names how the connection came, and could wrap any name.
        Sni::MeshWrapper { raw } => {
            values.holds(polarity, |pattern, reading| reading == Reading::Wide || pattern.matches_ignore_case(raw))
        }
        Sni::Known { raw, canonical, unwrapped } => values.holds(polarity, |pattern, reading| {
            let as_sent = pattern.matches_ignore_case(raw);
            let as_host =
                || [canonical, unwrapped].into_iter().flatten().any(|host| pattern.matches(&host.to_string()));
            as_sent || (reading == Reading::Wide && as_host())
        }),
    }
}

fn header_holds(name: &str, values: &Field<TextPattern>, headers: &dyn Headers, polarity: Polarity) -> bool {
    let matched = |patterns: &[TextPattern], reading| match reading {
        Reading::Wide => some_value(name, headers, patterns),
        Reading::Narrow => every_value(name, headers, patterns),
    };
    (values.any_of().is_empty() || matched(values.any_of(), polarity.positive()))
        && (values.none_of().is_empty() || !matched(values.none_of(), polarity.negative()))
}

/// Whether a header's value matches; `*` asks only that the header is there.
fn value_matches(patterns: &[TextPattern], value: &str) -> bool {
    patterns.iter().any(|pattern| *pattern == TextPattern::Any || pattern.matches(value))
}

/// Any value, whole or one of its parts between commas, or all of them joined: Envoy joins repeated headers with commas
/// unless it is told not to (rule R8).
pub(in crate::engine) fn some_value(name: &str, headers: &dyn Headers, patterns: &[TextPattern]) -> bool {
    let (mut any, mut count, mut joined) = (false, 0, String::new());
    headers.visit(name, &mut |value| {
        any = any || value_matches(patterns, &value) || value.split(',').any(|p| value_matches(patterns, p.trim()));
        if count > 0 {
            joined.push(',');
        }
        joined.push_str(&value);
        count += 1;
    });
    any || (count > 1 && value_matches(patterns, &joined))
}

/// Every value, and at least one; where values were joined, every part between commas.
fn every_value(name: &str, headers: &dyn Headers, patterns: &[TextPattern]) -> bool {
    let joined = headers.are_joined();
    let (mut some, mut every) = (false, true);
    headers.visit(name, &mut |value| {
        some = true;
        every = every
            && match joined {
                true => value.split(',').all(|part| value_matches(patterns, part.trim())),
                false => value_matches(patterns, &value),
            };
    });
    some && every
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(any_of: &[&str], none_of: &[&str]) -> Field<TextPattern> {
        let parse = |list: &[&str]| list.iter().map(|text| TextPattern::parse(text)).collect();
        Field::new(parse(any_of), parse(none_of))
    }

    #[test]
    fn headers_are_read_widely_for_a_deny_and_narrowly_for_an_allow() {
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
            let headers: Vec<(String, String)> =
                values.iter().map(|v| ("X-Role".to_owned(), (*v).to_owned())).collect();
            let field = field(any, none);
            let got = |polarity| header_holds("x-role", &field, &headers, polarity);
            assert_eq!((got(Polarity::Deny), got(Polarity::Allow)), (deny, allow), "{values:?} {any:?} {none:?}");
        }
    }

    #[derive(Debug)]
    struct Apart(Vec<(String, String)>);

    impl Headers for Apart {
        fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(std::borrow::Cow<'s, str>)) {
            self.0.visit(name, each);
        }

        fn are_joined(&self) -> bool {
            false
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
            let headers = Apart(values.iter().map(|v| ("x".to_owned(), (*v).to_owned())).collect());
            assert_eq!(header_holds("x", &field(&[any], &[]), &headers, Polarity::Allow), allow, "{values:?} {any}");
        }
    }

    #[test]
    fn an_sni_is_compared_in_lower_case() {
        let raw = "outbound_.443_._.API.example.";
        let read = |text: &'static str| Some(super::super::host::Host::Name(text.into()));
        let sni = Sni::Known { raw, canonical: read("outbound_.443_._.api.example"), unwrapped: read("api.example") };
        for (pattern, deny, allow) in [
            ("api.example", true, false),
            ("outbound_.443_._.api.example", true, false),
            ("outbound_.443_._.api.example.", true, true),
            ("*.example", true, false),
            ("x", false, false),
        ] {
            let field = field(&[pattern], &[]);
            let got = |polarity| sni_holds(&field, &sni, polarity);
            assert_eq!((got(Polarity::Deny), got(Polarity::Allow)), (deny, allow), "{pattern}");
        }
        let any = field(&["*"], &[]);
        assert!(!sni_holds(&any, &Sni::None, Polarity::Deny));
        assert!(sni_holds(&any, &Sni::Unknown, Polarity::Deny) && !sni_holds(&any, &Sni::Unknown, Polarity::Allow));
    }
}
