//! Why a request was decided as it was: a closed list, each reason with the effect that it
//! explains. The page of each is `reason/explanations/REASON.md`: `customs explain` prints it, the
//! reference is made of it, and the documentation of the variant shows it.

use super::effect::Effect;

/// Declares the reasons once, with their names. A reason without its page does not compile.
macro_rules! reasons {
    ($($variant:ident => $name:literal,)+) => {
        /// Why a request was decided as it was.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = include_str!(concat!("reason/explanations/", $name, ".md"))] $variant,)+
        }

        impl Reason {
            /// Every reason, in the order in which they are checked.
            pub const ALL: [Reason; [$($name),+].len()] = [$(Reason::$variant,)+];

            /// Returns the name in responses, records and metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$variant => $name,)+
                }
            }

            /// Returns the page that explains the reason, as Markdown: what it means in one line,
            /// then the rule that the answer names and what to do.
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Reason::$variant => {
                        include_str!(concat!("reason/explanations/", $name, ".md"))
                    })+
                }
            }
        }
    };
}

reasons! {
    NoPolicy => "no_policy",
    EmptyRequest => "empty_request",
    MalformedHost => "malformed_host",
    MalformedSni => "malformed_sni",
    ContradictoryAttributes => "contradictory_attributes",
    SniHostMismatch => "sni_host_mismatch",
    DeniedByRule => "denied_by_rule",
    NoIstioAllow => "no_istio_allow",
    ExpiredException => "expired_exception",
    NotInAllowList => "not_in_allow_list",
    DefaultDeny => "default_deny",
    AuditUnavailable => "audit_unavailable",
    InternalError => "internal_error",
    AllowedByRule => "allowed_by_rule",
    DefaultAllow => "default_allow",
}

impl Reason {
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
