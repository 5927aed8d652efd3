//! What was decided: an effect, the answers, and for each answer the reason and the rule behind it.
//!
//! A [`Decision`] always exists; trouble is a [`Reason`] inside it. The reasons are a closed list.
//! **An allow is made in one place**, `Decision::new`: it carries a [`Permit`], which no other code
//! can make, so no other code can turn a denial into an allow by mistake.

use std::fmt;
use std::sync::Arc;

use super::effect::Effect;
use super::enforcement::Enforcement;
use super::identity::{IdentityState, InvalidIdentity};
use super::reason::Reason;
use super::rule_info::RuleInfo;

/// The rule that an answer names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedRule {
    /// One of the product's own rules: `builtin#REASON`.
    BuiltIn(Reason),
    /// `builtin#unauthenticated`: the isolation of callers that no policy names.
    Unauthenticated,
    /// A rule, an entry or a policy from the policy files.
    Policy(Arc<RuleInfo>),
    /// The entry that opened the isolation gate, and the Istio rule that opened the other gate.
    Both(Arc<RuleInfo>, Arc<RuleInfo>),
}

impl NamedRule {
    /// Returns the rule from the policy files whose owner, reason and place are recorded.
    pub fn info(&self) -> Option<&RuleInfo> {
        match self {
            NamedRule::Policy(info) | NamedRule::Both(info, _) => Some(info),
            NamedRule::BuiltIn(_) | NamedRule::Unauthenticated => None,
        }
    }

    /// Returns every rule from the policy files that the answer names.
    pub fn infos(&self) -> impl Iterator<Item = &Arc<RuleInfo>> {
        let (first, second) = match self {
            NamedRule::Policy(info) => (Some(info), None),
            NamedRule::Both(entry, istio) => (Some(entry), Some(istio)),
            NamedRule::BuiltIn(_) | NamedRule::Unauthenticated => (None, None),
        };
        first.into_iter().chain(second)
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
    /// The gate did not concern the request, or an earlier stage had decided.
    NotAsked,
    /// The gate applied and opened.
    Open,
    /// The gate applied and stayed closed.
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
    pub(crate) const NONE: Gates = Gates {
        istio: Gate::NotAsked,
        isolation: Gate::NotAsked,
    };

    /// Returns the gates in `state` as records spell them: `istio`, `isolation`, both, or nothing.
    pub fn in_state(self, state: Gate) -> &'static str {
        match (self.istio == state, self.isolation == state) {
            (true, true) => "istio,isolation",
            (true, false) => "istio",
            (false, true) => "isolation",
            (false, false) => "",
        }
    }
}

/// One answer to the question "may this request leave the mesh?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Why; the reason also implies the effect.
    pub reason: Reason,
    /// The rule that decided.
    pub rule: NamedRule,
    /// What the gates did.
    pub gates: Gates,
    /// Whether the only thing missing was a valid identity.
    pub by_identity: bool,
    /// The exception that would have opened the deny, had it not expired.
    pub expired: Option<Arc<RuleInfo>>,
    /// The exception that opened a deny which otherwise applied.
    pub exception: Option<Arc<RuleInfo>>,
}

impl Answer {
    /// Returns an answer of one of the built-in rules.
    pub fn built_in(reason: Reason) -> Answer {
        let rule = NamedRule::BuiltIn(reason);
        Answer {
            reason,
            rule,
            gates: Gates::NONE,
            by_identity: false,
            expired: None,
            exception: None,
        }
    }

    /// Allow or deny.
    pub fn effect(&self) -> Effect {
        self.reason.effect()
    }

    /// Returns the gates that matter for this answer: those that stayed closed for a denial, those
    /// that opened for an allow.
    pub fn gate(&self) -> &'static str {
        self.gates.in_state(match self.effect() {
            Effect::Allow => Gate::Open,
            Effect::Deny => Gate::Closed,
        })
    }
}

/// The proof that the engine allowed a request. Only this module can make one.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit(());

/// The outcome that Envoy receives. An allow can only be built from a permit.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request may leave the mesh.
    Allow(Permit),
    /// The request may not leave the mesh.
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
    /// The outcome that Envoy receives.
    pub outcome: Outcome,
    /// The answer of the enforced rules.
    pub verdict: Answer,
    /// The answer if everything in a dry run were enforced too.
    pub dry_run: Answer,
    /// The caller's identity, as the verdict used it.
    pub identity: IdentityState,
    /// Why an invalid identity is invalid.
    pub identity_detail: Option<InvalidIdentity>,
    /// The first AUDIT rule that marks the request. It changes no answer.
    pub audit: Option<Arc<RuleInfo>>,
}

impl Decision {
    /// Makes the decision from its two answers. It allows if the verdict allows, or if the server
    /// only reports.
    pub(super) fn new(
        verdict: Answer,
        dry_run: Answer,
        identity: IdentityState,
        enforcement: Enforcement,
    ) -> Decision {
        let outcome = match (verdict.effect(), enforcement) {
            (Effect::Allow, _) | (Effect::Deny, Enforcement::Report) => Outcome::Allow(Permit(())),
            (Effect::Deny, Enforcement::Enforce) => Outcome::Deny,
        };
        Decision {
            outcome,
            verdict,
            dry_run,
            identity,
            identity_detail: None,
            audit: None,
        }
    }

    /// Returns the denial of a check that customs itself failed to decide. Nothing about the request
    /// is certain, so the caller counts as one without an identity.
    pub fn internal_error() -> Decision {
        let answer = Answer::built_in(Reason::InternalError);
        Decision {
            outcome: Outcome::Deny,
            verdict: answer.clone(),
            dry_run: answer,
            identity: IdentityState::Unauthenticated,
            identity_detail: None,
            audit: None,
        }
    }

    /// Returns the rules from the policy files that the decision names, each once: those of both
    /// answers, the exceptions that opened a deny, and the AUDIT rule that marks the request.
    pub fn named_rules(&self) -> impl Iterator<Item = &Arc<RuleInfo>> {
        let all = || {
            let answers = [&self.verdict, &self.dry_run].into_iter();
            let named = answers.flat_map(|answer| answer.rule.infos().chain(&answer.exception));
            named.chain(&self.audit)
        };
        let is_first = move |place: usize, info: &Arc<RuleInfo>| {
            !all().take(place).any(|before| Arc::ptr_eq(before, info))
        };
        let numbered = all().enumerate();
        numbered
            .filter(move |(place, info)| !info.id.is_unloaded() && is_first(*place, info))
            .map(|(_, info)| info)
    }

    /// Turns the decision into a denial, because it could not be recorded.
    pub fn withhold(&mut self) {
        self.deny(Reason::AuditUnavailable);
    }

    /// Turns the decision into a denial, because customs failed to answer it.
    pub fn fail(&mut self) {
        self.deny(Reason::InternalError);
    }

    fn deny(&mut self, reason: Reason) {
        self.outcome = Outcome::Deny;
        self.verdict = Answer::built_in(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;
    use crate::rule_info::{About, RuleId};

    #[test]
    fn gates_are_reported_by_name() {
        let gates = Gates {
            istio: Gate::Closed,
            isolation: Gate::Open,
        };
        assert_eq!(
            (gates.in_state(Gate::Closed), gates.in_state(Gate::Open)),
            ("istio", "isolation")
        );
        assert_eq!(Gates::NONE.in_state(Gate::Closed), "");
    }

    #[test]
    fn each_rule_that_a_decision_names_is_named_once() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| {
            let id = RuleId::entry("ns/p".into(), name);
            Arc::new(RuleInfo::new(id, Place::whole("f"), About::default()))
        });
        let unloaded = RuleInfo::new(RuleId::unloaded("ns"), Place::whole("f"), About::default());
        let unloaded = NamedRule::Policy(Arc::new(unloaded));
        let built_in = Answer::built_in(Reason::DefaultAllow);
        let answer = |rule, exception: Option<&Arc<RuleInfo>>| Answer {
            rule,
            exception: exception.cloned(),
            ..built_in.clone()
        };
        let policy = |info: &Arc<RuleInfo>| NamedRule::Policy(info.clone());
        let both = NamedRule::Both(a.clone(), b.clone());
        for (verdict, dry_run, audit, expected) in [
            (built_in.clone(), built_in.clone(), None, ""),
            (
                answer(policy(&a), None),
                answer(policy(&a), None),
                None,
                "a",
            ),
            (answer(unloaded, None), answer(policy(&a), None), None, "a"),
            (answer(both.clone(), None), answer(both, None), None, "ab"),
            (
                answer(policy(&a), None),
                answer(policy(&b), None),
                Some(&a),
                "ab",
            ),
            (
                answer(policy(&a), Some(&c)),
                answer(policy(&b), Some(&c)),
                Some(&d),
                "acbd",
            ),
            (built_in.clone(), answer(policy(&b), None), Some(&d), "bd"),
            (
                Answer {
                    expired: Some(c.clone()),
                    ..answer(policy(&a), None)
                },
                built_in.clone(),
                None,
                "a",
            ),
        ] {
            let decision = Decision {
                audit: audit.cloned(),
                ..Decision::new(verdict, dry_run, IdentityState::Valid, Enforcement::Enforce)
            };
            let named: String = decision
                .named_rules()
                .map(|info| info.id.part().to_string())
                .collect();
            assert_eq!(named, expected, "{decision:?}");
        }
    }
}
