//! Selects the rules that are worth comparing with a rule, so that findings about pairs do not have
//! quadratic cost.
//!
//! Rules are indexed by host key and namespace. A rule that covers another is indexed under a key
//! that contains a key of the other, so few rules are compared. None is missed, unless the
//! [`Budget`] is spent.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::covers;
use customs_engine::host::embedded;
use customs_engine::pattern::HostKey;
use customs_engine::rule::Rule;
use customs_engine::subject::{CallerMatch, NamespacePattern, Source, Subject};

/// The number of comparisons that the findings of one set may use.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    /// Creates a budget. It should suffice for large sets and limit extreme ones.
    pub(crate) fn new(comparisons: usize) -> Budget {
        Budget { left: comparisons }
    }

    /// Uses one comparison. Returns whether one was left.
    pub(crate) fn spend(&mut self) -> bool {
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }

    /// Whether nothing is left, so that findings may be missing.
    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }
}

/// A namespace, or `None` for more than one.
type Namespace<'r> = Option<&'r str>;

/// An index of rules.
#[derive(Debug)]
pub(crate) struct Candidates<'r> {
    by_key: HashMap<(HostKey<'r>, Namespace<'r>), Vec<&'r Rule>>,
    /// The prefix lengths of networks, separately for IPv4 and IPv6.
    lengths: BTreeSet<(bool, u8)>,
}

impl<'r> Candidates<'r> {
    /// Indexes rules that may cover others.
    pub(crate) fn of(rules: impl Iterator<Item = &'r Rule>) -> Candidates<'r> {
        Candidates::file(rules, namespaces)
    }

    /// Indexes rules by their destinations alone, for any callers.
    pub(crate) fn by_host(rules: impl Iterator<Item = &'r Rule>) -> Candidates<'r> {
        Candidates::file(rules, |_| vec![None])
    }

    fn file(
        rules: impl Iterator<Item = &'r Rule>,
        namespaces: impl Fn(&'r CallerMatch) -> Vec<Namespace<'r>>,
    ) -> Candidates<'r> {
        let mut filed = Candidates {
            by_key: HashMap::new(),
            lengths: BTreeSet::new(),
        };
        for rule in rules {
            let namespaces = namespaces(&rule.callers);
            for host in hosts(rule) {
                if let HostKey::Network(net) = host {
                    filed
                        .lengths
                        .insert((matches!(net, IpNet::V4(_)), net.prefix_len()));
                }
                for namespace in &namespaces {
                    filed
                        .by_key
                        .entry((host, *namespace))
                        .or_default()
                        .push(rule);
                }
            }
        }
        filed
    }

    /// Returns the first rule that covers `rule`. Only the first host and namespace of `rule` are
    /// looked up, because a rule that covers it covers these.
    pub(crate) fn find<'c>(
        &'c self,
        rule: &'c Rule,
        budget: &mut Budget,
        mut covers: impl FnMut(&'r Rule) -> bool,
    ) -> Option<&'r Rule> {
        let host = hosts(rule).into_iter().next().unwrap_or(HostKey::None);
        let namespace = namespaces(&rule.callers)
            .into_iter()
            .next()
            .unwrap_or_default();
        let both = [namespace, None];
        let namespaces = if namespace.is_some() {
            both.as_slice()
        } else {
            &[None]
        };
        for host in self.containing(host) {
            for namespace in namespaces {
                for candidate in self.by_key.get(&(host, *namespace)).into_iter().flatten() {
                    if !budget.spend() {
                        return None;
                    }
                    if covers(candidate) {
                        return Some(candidate);
                    }
                }
            }
        }
        None
    }

    /// Returns the keys of patterns that contain one with this key.
    fn containing<'k>(&self, key: HostKey<'k>) -> Vec<HostKey<'k>> {
        let mut keys = vec![key];
        match key {
            HostKey::Name(name) => keys.extend(suffixes(name, 0)),
            HostKey::Suffix(suffix) => keys.extend(suffixes(suffix, 1)),
            HostKey::Address(ip) => {
                keys.extend(self.networks(ip, u8::MAX));
                keys.extend(embedded::reaches_local_host(ip).then_some(HostKey::LocalHost));
            }
            HostKey::Network(net) => {
                keys.extend(self.networks(net.network(), net.prefix_len().saturating_sub(1)))
            }
            HostKey::LocalHost => {}
            HostKey::None => return keys,
        }
        if let Some(carried) = key.carried() {
            // It ends with `HostKey::None`, as this list does.
            keys.extend(self.containing(carried));
            return keys;
        }
        keys.push(HostKey::None);
        keys
    }

    /// Returns the networks that contain an address, of the known prefix lengths up to `longest`.
    fn networks<'k>(&self, ip: IpAddr, longest: u8) -> Vec<HostKey<'k>> {
        let lengths = self
            .lengths
            .range((ip.is_ipv4(), 0)..=(ip.is_ipv4(), longest));
        lengths
            .filter_map(|(_, length)| {
                IpNet::new(ip, *length)
                    .ok()
                    .map(|net| HostKey::Network(net.trunc()))
            })
            .collect()
    }
}

fn suffixes(name: &str, from: usize) -> impl Iterator<Item = HostKey<'_>> {
    let dots = name
        .match_indices('.')
        .map(|(at, _)| at)
        .filter(move |at| *at >= from);
    dots.filter_map(|at| name.get(at..).map(HostKey::Suffix))
}

/// Returns the keys under which a rule's hosts are indexed.
pub(crate) fn hosts(rule: &Rule) -> Vec<HostKey<'_>> {
    let mut keys = Vec::new();
    for operation in &rule.to {
        keys.extend(
            operation
                .hosts
                .any_of()
                .iter()
                .flat_map(|pattern| pattern.keys()),
        );
        if operation.hosts.any_of().is_empty() {
            keys.push(HostKey::None);
        }
    }
    if rule.to.is_empty() {
        keys.push(HostKey::None);
    }
    keys
}

fn namespaces(callers: &CallerMatch) -> Vec<Namespace<'_>> {
    let mut namespaces = match callers {
        CallerMatch::Anyone => vec![None],
        CallerMatch::Sources(sources) => sources.iter().flat_map(of_source).collect(),
        CallerMatch::Subjects(subjects) => {
            subjects.0.iter().flat_map(of_subject).collect::<Vec<_>>()
        }
    };
    let mut seen = BTreeSet::new();
    namespaces.retain(|namespace| seen.insert(*namespace));
    namespaces
}

fn of_subject(subject: &Subject) -> Vec<Namespace<'_>> {
    match subject {
        Subject::Workloads { namespaces, .. } => namespaces
            .iter()
            .map(|namespace| match namespace {
                NamespacePattern::Exact(name) => Some(name.as_str()),
                NamespacePattern::Prefix(_) | NamespacePattern::Every => None,
            })
            .collect(),
        Subject::Accounts { accounts, .. } => accounts
            .iter()
            .map(|account| Some(account.namespace.as_str()))
            .collect(),
        Subject::Unauthenticated => vec![None],
    }
}

fn of_source(source: &Source) -> Vec<Namespace<'_>> {
    if let Some(accounts) = covers::named_accounts(source) {
        return accounts
            .into_iter()
            .map(|(namespace, _)| Some(namespace))
            .collect();
    }
    let namespaces = source.namespaces.any_of();
    let named = !namespaces.is_empty() && namespaces.iter().all(|name| !name.contains('*'));
    if named {
        namespaces.iter().map(|name| Some(name.as_str())).collect()
    } else {
        vec![None]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_is_told() {
        let mut budget = Budget::new(1);
        assert!(!budget.is_spent() && budget.spend() && budget.is_spent() && !budget.spend());
    }

    #[test]
    fn suffixes_begin_at_dots() {
        let all = |name, from| suffixes(name, from).collect::<Vec<_>>();
        assert_eq!(
            all("a.b.c", 0),
            [HostKey::Suffix(".b.c"), HostKey::Suffix(".c")]
        );
        assert_eq!(all(".b.c", 1), [HostKey::Suffix(".c")]);
    }
}
