//! The compiled rules of a set, list by list. What follows from them is decided in
//! [`snapshot`](super::snapshot).

use std::sync::Arc;

use super::condition::Condition;
use super::enforcement::Enforcement;
use super::operation::Operation;
use super::rule::Rule;
use super::rule_info::RuleInfo;
use super::rule_number::RuleList;
use super::subject::SubjectList;

/// What is kept of an EgressPolicy besides its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressScope {
    /// The policy as a whole: `ep:ns/name`.
    pub info: Arc<RuleInfo>,
    /// Whether it takes effect.
    pub mode: Enforcement,
    /// The callers it selects.
    pub subjects: Arc<SubjectList>,
    /// Whether it isolates them.
    pub isolate: bool,
}

/// The compiled rules, sorted by the order in which they are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// DENY rules of both families.
    pub denies: Vec<Arc<Rule>>,
    /// Rules of AuthorizationPolicies with action ALLOW.
    pub istio_allows: Vec<Arc<Rule>>,
    /// The modes of those policies. A policy without rules also closes the gate.
    pub istio_allow_policies: Vec<Enforcement>,
    /// The modes of the policies that are bound to hosts: they close the gate for what may go to
    /// those hosts, and for nothing else.
    pub istio_bound_allow_policies: Vec<(Enforcement, Operation)>,
    /// Rules of AuthorizationPolicies with action AUDIT. They only mark the record.
    pub audits: Vec<Arc<Rule>>,
    /// Allow entries of EgressPolicies.
    pub grants: Vec<Arc<Rule>>,
    /// The EgressPolicies themselves.
    pub egress_policies: Vec<Arc<EgressScope>>,
    /// Foreign trust domains that an ALLOW rule names literally, with that rule's mode.
    pub accepted_trust_domains: Vec<(String, Enforcement)>,
    /// How many policies of both families there are.
    pub policies: usize,
}

impl Rules {
    /// The rules of a list.
    pub(crate) fn list(&self, list: RuleList) -> &[Arc<Rule>] {
        match list {
            RuleList::Denies => &self.denies,
            RuleList::IstioAllows => &self.istio_allows,
            RuleList::Audits => &self.audits,
            RuleList::Grants => &self.grants,
        }
    }

    /// Every part of the policies that an answer can name, with what it is.
    pub fn named_parts(&self) -> impl Iterator<Item = (NamedPart, &Arc<RuleInfo>)> {
        let rules = || RuleList::ALL.into_iter().flat_map(|list| self.list(list));
        let exceptions = rules().flat_map(|rule| &rule.except);
        let is_named = |policy: &&Arc<EgressScope>| policy.isolate && !policy.info.id.is_unloaded();
        let isolating = self.egress_policies.iter().filter(is_named);
        let rules = rules().map(|rule| (NamedPart::Rule, &rule.info));
        rules
            .chain(exceptions.map(|except| (NamedPart::Exception, &except.info)))
            .chain(isolating.map(|policy| (NamedPart::Isolation, &policy.info)))
    }

    /// The conditions of all rules.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let rules = RuleList::ALL.into_iter().flat_map(|list| self.list(list));
        rules.flat_map(|rule| &rule.when)
    }
}

/// A part of the policies that an answer can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedPart {
    /// A rule of an AuthorizationPolicy, or an entry of an EgressPolicy.
    Rule,
    /// An exception of a deny.
    Exception,
    /// An EgressPolicy that isolates the callers that it selects.
    Isolation,
}

impl NamedPart {
    /// Returns the name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            NamedPart::Rule => "rule",
            NamedPart::Exception => "exception",
            NamedPart::Isolation => "isolation",
        }
    }
}

/// How many rules a snapshot holds, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// DENY rules of AuthorizationPolicies.
    pub istio_deny: usize,
    /// ALLOW rules of AuthorizationPolicies.
    pub istio_allow: usize,
    /// `deny` entries.
    pub egress_deny: usize,
    /// `allow` entries.
    pub egress_allow: usize,
    /// Policies of both families.
    pub policies: usize,
}
