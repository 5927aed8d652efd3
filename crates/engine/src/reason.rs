//! Why a request was decided as it was: a closed list, each reason with the effect that it
//! explains.

use super::effect::Effect;

/// Why a request was decided as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No policy set has ever been loaded.
    NoPolicy,
    /// The check carries neither an HTTP request nor an address.
    EmptyRequest,
    /// The HTTP host cannot be read (rule R2).
    MalformedHost,
    /// The SNI cannot be read (rule R2).
    MalformedSni,
    /// Two attributes that must agree do not (rules R10, R11).
    ContradictoryAttributes,
    /// The SNI is not the host, and the settings require it (rule R11).
    SniHostMismatch,
    /// A deny rule matches.
    DeniedByRule,
    /// Istio ALLOW policies are in force and none matches.
    NoIstioAllow,
    /// Only an expired grant would have allowed it.
    ExpiredException,
    /// The caller is isolated and no allow entry matches.
    NotInAllowList,
    /// No policy applies, and the default is to deny.
    DefaultDeny,
    /// The answer could not be recorded, so it was withheld.
    AuditUnavailable,
    /// customs itself failed while it decided or answered.
    InternalError,
    /// An allow entry or rule opened every gate.
    AllowedByRule,
    /// No policy applies, and the default is to allow.
    DefaultAllow,
}

impl Reason {
    /// Every reason, in the order in which they are checked.
    pub const ALL: [Reason; 15] = [
        Reason::NoPolicy,
        Reason::EmptyRequest,
        Reason::MalformedHost,
        Reason::MalformedSni,
        Reason::ContradictoryAttributes,
        Reason::SniHostMismatch,
        Reason::DeniedByRule,
        Reason::NoIstioAllow,
        Reason::ExpiredException,
        Reason::NotInAllowList,
        Reason::DefaultDeny,
        Reason::AuditUnavailable,
        Reason::InternalError,
        Reason::AllowedByRule,
        Reason::DefaultAllow,
    ];

    /// Returns the name in responses, records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NoPolicy => "no_policy",
            Reason::EmptyRequest => "empty_request",
            Reason::MalformedHost => "malformed_host",
            Reason::MalformedSni => "malformed_sni",
            Reason::ContradictoryAttributes => "contradictory_attributes",
            Reason::SniHostMismatch => "sni_host_mismatch",
            Reason::DeniedByRule => "denied_by_rule",
            Reason::NoIstioAllow => "no_istio_allow",
            Reason::ExpiredException => "expired_exception",
            Reason::NotInAllowList => "not_in_allow_list",
            Reason::DefaultDeny => "default_deny",
            Reason::AuditUnavailable => "audit_unavailable",
            Reason::InternalError => "internal_error",
            Reason::AllowedByRule => "allowed_by_rule",
            Reason::DefaultAllow => "default_allow",
        }
    }

    /// Returns the effect that the reason explains.
    pub fn effect(self) -> Effect {
        match self {
            Reason::AllowedByRule | Reason::DefaultAllow => Effect::Allow,
            _ => Effect::Deny,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_name() {
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        let allows: Vec<_> = Reason::ALL
            .iter()
            .filter(|r| r.effect() == Effect::Allow)
            .map(|r| r.as_str())
            .collect();
        assert_eq!(allows, ["allowed_by_rule", "default_allow"]);
    }
}
