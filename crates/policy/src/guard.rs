//! A guard: what must hold for every request, whatever the policies say.
//!
//! A guard is read like the entries of an EgressPolicy, so its words mean what they mean there. What
//! is never allowed is read as a deny is: in doubt, a request is covered. What is always allowed is
//! read as a grant is: in doubt, a request is not covered. So a deny with the words of a `never`
//! keeps it, and a grant with the words of an `always` covers all of it.
//!
//! A guard changes no verdict. Whether policies keep one is decided elsewhere: here is only what it
//! says.

use std::fmt;
use std::sync::Arc;

use super::problem::Place;
use customs_engine::rule::Rule;

/// A guard of a set, with the hosts of the DestinationSets that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Its id.
    pub id: GuardId,
    /// Where its text begins.
    pub place: Place,
    /// What it says.
    pub claim: Claim,
    /// What else it says about itself.
    pub about: AboutGuard,
}

impl Guard {
    /// Whether another guard says the same, wherever its text is.
    pub fn says_the_same(&self, other: &Guard) -> bool {
        let is_same = |one: &Rule, other: &Rule| {
            let excepts = |rule: &Rule| -> Vec<_> {
                let except = rule.except.iter();
                except.map(|e| (e.callers.clone(), e.to.clone())).collect()
            };
            (&one.callers, &one.to) == (&other.callers, &other.to) && excepts(one) == excepts(other)
        };
        match (&self.claim, &other.claim) {
            (Claim::Never(one), Claim::Never(other))
            | (Claim::Always(one), Claim::Always(other))
            | (Claim::Only(one), Claim::Only(other)) => is_same(one, other),
            (Claim::UnchangedFrom(one), Claim::UnchangedFrom(other)) => one == other,
            _ => false,
        }
    }
}

/// `pg:ns/name#guard`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuardId(Arc<str>);

impl GuardId {
    /// The id of a guard of the document `ns/name`.
    pub(crate) fn new(document: &str, guard: &str) -> GuardId {
        GuardId(format!("pg:{document}#{guard}").into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GuardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a guard says of all requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// No request that the rule, as a deny, applies to is allowed.
    Never(Arc<Rule>),
    /// Every request that the rule, as a grant, covers is allowed, unless request validation refuses
    /// it.
    Always(Arc<Rule>),
    /// As `Never`: the rule is about every caller, and excepts those who alone may go.
    Only(Arc<Rule>),
    /// Every request gets the answer that the policies of this directory give. The directory is
    /// relative to the file of the guard.
    UnchangedFrom(Box<str>),
}

impl Claim {
    /// The field that says it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Claim::Never(_) => "never",
            Claim::Always(_) => "always",
            Claim::Only(_) => "only",
            Claim::UnchangedFrom(_) => "unchangedFrom",
        }
    }

    /// The rule of which its words are, unless it compares two sets.
    pub fn rule(&self) -> Option<&Arc<Rule>> {
        match self {
            Claim::Never(rule) | Claim::Always(rule) | Claim::Only(rule) => Some(rule),
            Claim::UnchangedFrom(_) => None,
        }
    }

    /// Whether it says that something is not allowed.
    pub fn forbids(&self) -> bool {
        matches!(self, Claim::Never(_) | Claim::Only(_))
    }
}

/// What a guard says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AboutGuard {
    /// Whom to ask.
    pub owner: Option<Arc<str>>,
    /// Why it exists.
    pub reason: Option<Arc<str>>,
    /// Where it was decided.
    pub ticket: Option<Arc<str>>,
}
