//! What is reported about a rule: its id, the place of its text, and its owner.
//!
//! A large set consists mostly of these, so what rules have in common is shared, and what few of
//! them have is kept apart.

use std::fmt;
use std::sync::Arc;

use super::place::Place;
use super::time::UnixNanos;

/// The two families of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `AuthorizationPolicy`: ids begin with `ap:`.
    Istio,
    /// `EgressPolicy`: ids begin with `ep:`.
    Egress,
}

/// The id of a rule, and its rank in the order in which rules are named: AuthorizationPolicy first,
/// then by policy and entry. An index is compared as a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId {
    family: Family,
    policy: Arc<str>,
    part: Part,
}

/// Which part of a policy an id means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    /// Not a policy, but the isolation that replaces the policies of a namespace that were never
    /// loaded.
    Unloaded,
    Whole,
    Index(u32),
    Entry(Box<str>),
    Exception(Box<str>, u32),
}

impl RuleId {
    /// Returns the id of a policy as a whole. `policy` is `ns/name`.
    pub fn policy(family: Family, policy: Arc<str>) -> RuleId {
        RuleId {
            family,
            policy,
            part: Part::Whole,
        }
    }

    /// Returns the id of the isolation of a namespace whose policies were never loaded. No policy
    /// has an empty name, so it sorts before every policy of its namespace.
    pub fn unloaded(namespace: &str) -> RuleId {
        RuleId {
            family: Family::Egress,
            policy: format!("{namespace}/").into(),
            part: Part::Unloaded,
        }
    }

    /// Returns the id of a rule of an AuthorizationPolicy, by its index.
    pub fn rule(policy: Arc<str>, index: usize) -> RuleId {
        RuleId {
            family: Family::Istio,
            policy,
            part: Part::Index(number(index)),
        }
    }

    /// Returns the id of an entry of an EgressPolicy, by its name.
    pub fn entry(policy: Arc<str>, name: &str) -> RuleId {
        RuleId {
            family: Family::Egress,
            policy,
            part: Part::Entry(name.into()),
        }
    }

    /// Returns the id of an exception of an entry, by its index.
    pub fn exception(policy: Arc<str>, entry: &str, index: usize) -> RuleId {
        RuleId {
            family: Family::Egress,
            policy,
            part: Part::Exception(entry.into(), number(index)),
        }
    }

    /// Returns whether it is the isolation of a namespace whose policies were never loaded, which is
    /// no part of a policy file.
    pub fn is_unloaded(&self) -> bool {
        self.part == Part::Unloaded
    }

    /// Returns the family of the rule.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Returns `ns/name` of its policy.
    pub fn policy_path(&self) -> &Arc<str> {
        &self.policy
    }

    /// Returns the part of the policy: `entry`, `entry.except[0]`, an index, or nothing for the
    /// whole policy.
    pub fn part(&self) -> &impl fmt::Display {
        &self.part
    }

    /// Returns the namespace of its policy.
    pub(crate) fn namespace(&self) -> &str {
        self.policy
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }
}

/// Converts an index. No file within the limits has more rules than this can count.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unloaded() {
            return f.write_str("builtin#namespace_unloaded");
        }
        // Each part is written by itself: a record spells one or two ids, and a format string costs
        // more than its parts.
        f.write_str(match self.family {
            Family::Istio => "ap:",
            Family::Egress => "ep:",
        })?;
        f.write_str(&self.policy)?;
        if self.part == Part::Whole {
            return Ok(());
        }
        f.write_str("#")?;
        self.part.fmt(f)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Unloaded | Part::Whole => Ok(()),
            Part::Index(index) => index.fmt(f),
            Part::Entry(name) => f.write_str(name),
            Part::Exception(entry, index) => write!(f, "{entry}.except[{index}]"),
        }
    }
}

/// What is reported about a rule or a policy: its place and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its id.
    pub id: RuleId,
    /// Where its text begins.
    pub place: Place,
    about: Option<Box<About>>,
}

/// What a rule may say about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The owner to contact.
    pub owner: Option<Arc<str>>,
    /// Why the rule exists.
    pub reason: Option<Box<str>>,
    /// Its ticket.
    pub ticket: Option<Box<str>>,
    /// When its grant expires.
    pub expires: Option<UnixNanos>,
}

impl RuleInfo {
    /// Creates the information about the rule with this id.
    pub fn new(id: RuleId, place: Place, about: About) -> RuleInfo {
        RuleInfo {
            id,
            place,
            about: (about != About::default()).then(|| Box::new(about)),
        }
    }

    /// Returns whether another rule says the same about itself, wherever its text is.
    pub fn says_the_same(&self, other: &RuleInfo) -> bool {
        (&self.id, &self.about) == (&other.id, &other.about)
    }

    /// Returns `file:line` of the text.
    pub fn origin(&self) -> String {
        self.place.file_and_line().to_string()
    }

    /// Returns the owner to contact, if the policy names one.
    pub fn owner(&self) -> Option<&str> {
        self.about.as_ref()?.owner.as_deref()
    }

    /// Returns why the rule exists, if it says so.
    pub fn reason(&self) -> Option<&str> {
        self.about.as_ref()?.reason.as_deref()
    }

    /// Returns its ticket, if it has one.
    pub fn ticket(&self) -> Option<&str> {
        self.about.as_ref()?.ticket.as_deref()
    }

    /// Returns when its grant expires, if it does.
    pub fn expires(&self) -> Option<UnixNanos> {
        self.about.as_ref()?.expires
    }

    /// Returns whether its grant has expired (rule R14).
    pub fn is_expired(&self, now: UnixNanos) -> bool {
        self.expires().is_some_and(|expires| now >= expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_spelt_and_ordered_as_they_are_named() {
        let rule = |policy: &str, index| RuleId::rule(policy.into(), index);
        let entry = |policy: &str, name| RuleId::entry(policy.into(), name);
        let ids = [
            (rule("a-b/p", 0), "ap:a-b/p#0"),
            (rule("a/p", 2), "ap:a/p#2"),
            (rule("a/p", 10), "ap:a/p#10"),
            (RuleId::policy(Family::Egress, "a/p".into()), "ep:a/p"),
            (entry("a/p", "x"), "ep:a/p#x"),
            (entry("a/p", "x-y"), "ep:a/p#x-y"),
            (entry("a/p2", "a"), "ep:a/p2#a"),
        ];
        assert!(ids.is_sorted_by_key(|(id, _)| id));
        for (id, text) in ids {
            assert_eq!(id.to_string(), text);
        }
        let exception = RuleId::exception("a/p".into(), "x", 1);
        assert_eq!(
            (exception.to_string().as_str(), exception.namespace()),
            ("ep:a/p#x.except[1]", "a")
        );
        assert_eq!(exception.part().to_string(), "x.except[1]");
    }

    #[test]
    fn a_grant_is_gone_from_its_moment_on() {
        let info = |expires| {
            let about = About {
                expires,
                ..About::default()
            };
            RuleInfo::new(RuleId::entry("a/p".into(), "x"), Place::whole("f"), about)
        };
        for (expires, expired) in [
            (None, false),
            (Some(9), true),
            (Some(10), true),
            (Some(11), false),
        ] {
            assert_eq!(
                info(expires.map(UnixNanos)).is_expired(UnixNanos(10)),
                expired,
                "{expires:?}"
            );
        }
    }
}
