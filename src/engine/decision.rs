//! What was decided: an effect, three answers, and for each the reason and the rule that spoke.
//!
//! A [`Decision`] always exists; trouble is a [`Reason`] inside it. The reasons are a closed list. An allow carries a
//! [`Permit`], which only the snapshot can make, so no other code can turn a denial into an
//! allow by mistake.

use std::fmt;
use std::sync::Arc;

use super::identity::{IdentityState, Invalid};
use super::rule_info::RuleInfo;
use super::snapshot::Permit;

/// Why a request was decided as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No policy set has ever been loaded.
    NoPolicy,
    /// The check says neither an HTTP request nor an address.
    EmptyRequest,
    /// The HTTP host cannot be read (rule R2).
    MalformedHost,
    /// The SNI cannot be read (rule R2).
    MalformedSni,
    /// Two attributes that must agree do not (rules R10, R11).
    ContradictoryAttributes,
    /// The SNI is not the host, where that is required (rule R11).
    SniHostMismatch,
    /// A deny rule matches.
    DeniedByRule,
    /// Istio ALLOW policies are in force and none matches.
    NoIstioAllow,
    /// Only an expired grant would have allowed it.
    ExpiredException,
    /// The caller is isolated and no allow entry matches.
    NotInAllowList,
    /// Nothing speaks, and the default is to deny.
    DefaultDeny,
    /// The answer could not be recorded, so it was withheld.
    AuditUnavailable,
    /// An allow entry or rule opened every gate.
    AllowedByRule,
    /// Nothing speaks, and the default is to allow.
    DefaultAllow,
}

impl Reason {
    /// Every reason, in the order in which they are looked for.
    pub const ALL: [Reason; 14] = [
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
        Reason::AllowedByRule,
        Reason::DefaultAllow,
    ];

    /// The name in responses, records and metrics.
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
            Reason::AllowedByRule => "allowed_by_rule",
            Reason::DefaultAllow => "default_allow",
        }
    }

    /// Whether the reason is one for an allow.
    pub fn effect(self) -> Effect {
        match self {
            Reason::AllowedByRule | Reason::DefaultAllow => Effect::Allow,
            _ => Effect::Deny,
        }
    }
}

/// Allow or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// The request may cross.
    Allow,
    /// It may not.
    Deny,
}

impl Effect {
    /// Both, in the order in which documents list them.
    pub const ALL: [Effect; 2] = [Effect::Allow, Effect::Deny];

    /// The name in responses, records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        }
    }
}

/// The rule that an answer names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedRule {
    /// One of the product's own rules: `builtin#REASON`.
    BuiltIn(Reason),
    /// `builtin#unauthenticated`: the isolation of callers that no policy names.
    Unauthenticated,
    /// A rule, an entry or a policy of the files.
    Policy(Arc<RuleInfo>),
    /// The entry that opened the isolation gate and the Istio rule that opened the other.
    Both(Arc<RuleInfo>, Arc<RuleInfo>),
}

impl NamedRule {
    /// The rule of the files whose owner, reason and place are told.
    pub fn info(&self) -> Option<&RuleInfo> {
        match self {
            NamedRule::Policy(info) | NamedRule::Both(info, _) => Some(info),
            NamedRule::BuiltIn(_) | NamedRule::Unauthenticated => None,
        }
    }
}

impl fmt::Display for NamedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamedRule::BuiltIn(reason) => write!(f, "builtin#{}", reason.as_str()),
            NamedRule::Unauthenticated => f.write_str("builtin#unauthenticated"),
            NamedRule::Policy(info) => info.id.fmt(f),
            NamedRule::Both(entry, istio) => write!(f, "{},{}", entry.id, istio.id),
        }
    }
}

/// What a gate did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It did not concern the request, or an earlier stage had spoken.
    NotAsked,
    /// It applied and opened.
    Open,
    /// It applied and stayed closed.
    Closed,
}

/// Both gates of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gates {
    /// Stage 3: some Istio ALLOW policy must match.
    pub istio: Gate,
    /// Stage 4: an isolated caller needs an allow entry.
    pub isolation: Gate,
}

impl Gates {
    /// No gate was asked.
    pub const NONE: Gates = Gates { istio: Gate::NotAsked, isolation: Gate::NotAsked };

    /// The gates in `state`, as records spell them: `istio`, `isolation`, both, or nothing.
    pub fn in_state(self, state: Gate) -> &'static str {
        match (self.istio == state, self.isolation == state) {
            (true, true) => "istio,isolation",
            (true, false) => "istio",
            (false, true) => "isolation",
            (false, false) => "",
        }
    }
}

/// One answer to the question "may this cross?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Why; it also says the effect.
    pub reason: Reason,
    /// The rule that spoke.
    pub rule: NamedRule,
    /// What the gates did.
    pub gates: Gates,
    /// Whether a valid identity, and nothing else, was missing.
    pub by_identity: bool,
    /// The exception that would have opened the deny, had it not expired.
    pub expired: Option<Arc<RuleInfo>>,
}

impl Answer {
    /// An answer of one of the product's own rules.
    pub fn built_in(reason: Reason) -> Answer {
        Answer { reason, rule: NamedRule::BuiltIn(reason), gates: Gates::NONE, by_identity: false, expired: None }
    }

    /// Allow or deny.
    pub fn effect(&self) -> Effect {
        self.reason.effect()
    }

    /// The gates that matter for this answer: those that stayed closed for a denial, those that opened for an allow.
    pub fn gate(&self) -> &'static str {
        self.gates.in_state(match self.effect() {
            Effect::Allow => Gate::Open,
            Effect::Deny => Gate::Closed,
        })
    }
}

/// What Envoy is told. An allow can only be built from a permit.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request may cross.
    Allow(Permit),
    /// It may not.
    Deny,
}

impl Outcome {
    /// Allow or deny.
    pub fn effect(&self) -> Effect {
        match self {
            Outcome::Allow(_) => Effect::Allow,
            Outcome::Deny => Effect::Deny,
        }
    }
}

/// A whole decision.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    /// What Envoy is told.
    pub outcome: Outcome,
    /// What the enforced rules say.
    pub verdict: Answer,
    /// What they would say with everything on trial enforced.
    pub would: Answer,
    /// The caller's identity, as the verdict saw it.
    pub identity: IdentityState,
    /// Why an invalid identity is invalid.
    pub identity_detail: Option<Invalid>,
    /// The first AUDIT rule that marks the request; it changes no answer.
    pub audit: Option<Arc<RuleInfo>>,
}

impl Decision {
    /// Withholds an answer that could not be recorded: a denial, whatever the engine said.
    pub fn withheld(self) -> Decision {
        Decision { outcome: Outcome::Deny, verdict: Answer::built_in(Reason::AuditUnavailable), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_name() {
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        let allows: Vec<_> = Reason::ALL.iter().filter(|r| r.effect() == Effect::Allow).map(|r| r.as_str()).collect();
        assert_eq!(allows, ["allowed_by_rule", "default_allow"]);
    }

    #[test]
    fn gates_are_told_by_name() {
        let gates = Gates { istio: Gate::Closed, isolation: Gate::Open };
        assert_eq!((gates.in_state(Gate::Closed), gates.in_state(Gate::Open)), ("istio", "isolation"));
        assert_eq!(Gates::NONE.in_state(Gate::Closed), "");
    }
}
