//! Istio's `when`: conditions on attributes that are not part of a source or an operation.
//!
//! A condition on the caller is a [`Source`] with one field, so that `when` and `from` cannot
//! differ. A key that a check cannot answer never gets here: the policy is refused.

use ipnet::IpNet;

use super::effect::Effect;
use super::eval_context::EvalContext;
use super::field::Field;
use super::identity::Caller;
use super::pattern::{Match, TextPattern};
use super::request::Sni;
use super::rule_number::ConditionNumber;
use super::subject::{Source, address_holds};

/// One entry of `when`. All entries must hold.
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
        /// The header's name, as [`header_name`](super::header_values::header_name) spells it.
        name: String,
        /// Its values.
        values: Field<TextPattern>,
    },
}

impl Condition {
    /// Returns whether the condition holds.
    pub fn holds(&self, context: &EvalContext<'_>, caller: &Caller<'_>, effect: Effect) -> bool {
        self.holds_numbered(None, context, caller, effect)
    }

    /// Returns the same for the condition of this number in the set that the context is of.
    pub(crate) fn holds_numbered(
        &self,
        number: Option<ConditionNumber>,
        context: &EvalContext<'_>,
        caller: &Caller<'_>,
        effect: Effect,
    ) -> bool {
        let request = context.request;
        match self {
            Condition::Source(source) => source.matches(caller, request, effect),
            Condition::DestinationIp(blocks) => {
                address_holds(blocks, request.destination_address, effect)
            }
            Condition::DestinationPort(ports) => {
                ports.holds_if_known(request.listener_port, effect, |want, port, _| *want == port)
            }
            Condition::Sni(values) => sni_holds(values, &request.sni, effect),
            Condition::Header { name, values } => {
                context.header_holds(number, name, values, effect)
            }
        }
    }

    /// Returns whether the condition needs an attribute that only HTTP has.
    pub fn is_http_only(&self) -> bool {
        matches!(self, Condition::Header { .. })
    }

    /// Returns whether the answer depends on the caller's identity.
    pub(crate) fn asks_identity(&self) -> bool {
        matches!(self, Condition::Source(source) if source.asks_identity())
    }
}

fn sni_holds(values: &Field<TextPattern>, sni: &Sni<'_>, effect: Effect) -> bool {
    match sni {
        Sni::Unknown => values.holds_unknown(effect),
        Sni::None => values.holds(effect, |_, _| false),
        // The wrapper says how the connection arrived, and could wrap any name.
        Sni::MeshWrapper { raw } => values.holds(effect, |pattern, matching| {
            matching == Match::Broad || pattern.matches_ignore_case(raw)
        }),
        Sni::Known {
            raw,
            canonical,
            unwrapped,
        } => values.holds(effect, |pattern, matching| {
            let as_sent = pattern.matches_ignore_case(raw);
            let as_host = || {
                [canonical, unwrapped]
                    .into_iter()
                    .flatten()
                    .any(|host| pattern.matches(&host.to_string()))
            };
            as_sent || (matching == Match::Broad && as_host())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(any_of: &[&str], none_of: &[&str]) -> Field<TextPattern> {
        let parse = |list: &[&str]| list.iter().map(|text| TextPattern::parse(text)).collect();
        Field::new(parse(any_of), parse(none_of))
    }

    #[test]
    fn an_sni_is_compared_in_lower_case() {
        let raw = "outbound_.443_._.API.example.";
        let read = |text: &'static str| Some(super::super::host::Host::Name(text.into()));
        let sni = Sni::Known {
            raw,
            canonical: read("outbound_.443_._.api.example"),
            unwrapped: read("api.example"),
        };
        for (pattern, deny, allow) in [
            ("api.example", true, false),
            ("outbound_.443_._.api.example", true, false),
            ("outbound_.443_._.api.example.", true, true),
            ("*.example", true, false),
            ("x", false, false),
        ] {
            let field = field(&[pattern], &[]);
            let got = |effect| sni_holds(&field, &sni, effect);
            assert_eq!(
                (got(Effect::Deny), got(Effect::Allow)),
                (deny, allow),
                "{pattern}"
            );
        }
        let any = field(&["*"], &[]);
        assert!(!sni_holds(&any, &Sni::None, Effect::Deny));
        assert!(
            sni_holds(&any, &Sni::Unknown, Effect::Deny)
                && !sni_holds(&any, &Sni::Unknown, Effect::Allow)
        );
    }
}
