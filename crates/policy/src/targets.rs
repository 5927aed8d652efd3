//! Binds policies that target ServiceEntries to the hosts of these entries, which are in the
//! sources or in the settings.
//!
//! Such a policy does not apply to other destinations. A DENY or AUDIT rule that may match a host
//! of the entry is kept unchanged, so it is never narrower than Istio's. An ALLOW rule is reduced
//! to the entry's hosts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::Action;
use super::metadata::ServiceEntry;
use super::problem::{Code, Problem};
use super::validate::Documents;
use customs_engine::field::Field;
use customs_engine::operation::Operation;
use customs_engine::pattern::{self, HostPattern, Match, PortPattern};
use customs_engine::rule::Rule;
use customs_engine::settings::Settings;

/// The ServiceEntries of a set, by `ns/name`.
#[derive(Debug, Default)]
pub(super) struct ServiceEntries(BTreeMap<String, EntryHosts>);

/// The hosts of a ServiceEntry.
#[derive(Debug, Default)]
struct EntryHosts {
    /// The hosts that can be compared. A known entry has at least one.
    compared: Vec<HostPattern>,
    /// The other hosts, as they are written.
    unread: Vec<String>,
}

impl EntryHosts {
    fn of(hosts: &[String]) -> EntryHosts {
        let (mut compared, mut unread) = (Vec::new(), Vec::new());
        for host in hosts {
            match host_pattern(host) {
                Some(pattern) => compared.push(pattern),
                None => unread.push(host.clone()),
            }
        }
        EntryHosts { compared, unread }
    }
}

impl ServiceEntries {
    /// Collects the entries of the sources and those that the settings declare. An entry in both is
    /// a problem, because it is not known which one a policy means. Duplicates among the sources
    /// are reported elsewhere.
    pub(super) fn of<'d>(
        documents: impl Iterator<Item = &'d Documents>,
        settings: &Settings,
        problems: &mut Vec<Problem>,
    ) -> ServiceEntries {
        let declared = settings
            .gateway
            .iter()
            .flat_map(|gateway| &gateway.service_entries);
        let mut entries: BTreeMap<String, EntryHosts> = declared
            .map(|(path, hosts)| (path.clone(), EntryHosts::of(hosts)))
            .collect();
        let is_declared = |path: &str| {
            settings
                .gateway
                .as_ref()
                .is_some_and(|gateway| gateway.service_entries.contains_key(path))
        };
        for ServiceEntry { path, hosts, place } in
            documents.flat_map(|document| &document.service_entries)
        {
            if is_declared(path) {
                let what = format!(
                    "duplicate ServiceEntry `{path}`; the other is in `gateway.service_entries` of the settings"
                );
                problems.push(
                    Problem::error(Code::Duplicate, place.clone(), what)
                        .hint("remove one of the two"),
                );
            }
            entries.insert(path.clone(), EntryHosts::of(hosts));
        }
        entries.retain(|_, hosts| !hosts.compared.is_empty());
        ServiceEntries(entries)
    }

    /// Whether an entry with a comparable host is known.
    pub(super) fn is_known(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Returns the hosts of an entry that can be compared.
    pub(super) fn hosts(&self, path: &str) -> &[HostPattern] {
        self.0.get(path).map_or(&[], |hosts| &hosts.compared)
    }

    /// Returns the hosts of an entry that cannot be compared, as they are written.
    pub(super) fn unread(&self, path: &str) -> &[String] {
        self.0.get(path).map_or(&[], |hosts| &hosts.unread)
    }
}

/// An invalid host of a ServiceEntry in the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a name, `*.suffix` or an IP address")]
pub struct ServiceEntryHostError {
    /// The ServiceEntry, as the settings name it.
    pub entry: String,
    /// The number of the host in its list, from 0.
    pub index: usize,
    /// The host.
    pub host: String,
}

/// Returns the ServiceEntries that the settings declare, by `ns/name`. A name alone is in the
/// gateway's namespace. Hosts that cannot be compared are added to `errors`.
pub fn declared(
    namespace: &str,
    entries: &BTreeMap<String, Vec<String>>,
    errors: &mut Vec<ServiceEntryHostError>,
) -> BTreeMap<String, Vec<String>> {
    for (entry, hosts) in entries {
        for (index, host) in hosts.iter().enumerate() {
            if host_pattern(host).is_none() {
                errors.push(ServiceEntryHostError {
                    entry: entry.clone(),
                    index,
                    host: host.clone(),
                });
            }
        }
    }
    let whole = |path: &String| {
        if path.contains('/') {
            path.clone()
        } else {
            format!("{namespace}/{path}")
        }
    };
    entries
        .iter()
        .map(|(path, hosts)| (whole(path), hosts.clone()))
        .collect()
}

/// Parses a host of a ServiceEntry: a name, `*.suffix` or an address, at any port. `*` is invalid:
/// Istio refuses it, and a policy that is bound to it would apply to everything.
pub(super) fn host_pattern(text: &str) -> Option<HostPattern> {
    let (pattern, _) = pattern::parse_host_pattern(text).ok()?;
    let (every, _) = pattern::parse_host_pattern(&format!("{text}:*")).ok()?;
    (!pattern.is_anywhere() && !pattern.is_lone_star() && !pattern.is_network()).then_some(every)
}

/// Returns the rule of a bound policy, or `None` if it does not apply to these hosts.
pub(super) fn bind(rule: &Rule, action: Action, hosts: &[HostPattern]) -> Option<Arc<Rule>> {
    let everything = [Operation::default()];
    let to = if rule.to.is_empty() {
        &everything[..]
    } else {
        &rule.to
    };
    let to: Box<[Operation]> = to
        .iter()
        .filter_map(|operation| narrow(operation, action, hosts))
        .collect();
    // Without any operation the rule would apply to everything.
    (!to.is_empty()).then(|| Arc::new(Rule { to, ..rule.clone() }))
}

fn narrow(operation: &Operation, action: Action, hosts: &[HostPattern]) -> Option<Operation> {
    let own = operation.hosts.any_of();
    let matching = if action == Action::Allow {
        Match::Strict
    } else {
        Match::Broad
    };
    let kept: Vec<HostPattern> = if own.is_empty() {
        hosts.to_vec()
    } else {
        // If neither contains the other and both may match one host, a DENY keeps its own pattern.
        let overlaps = |host: &HostPattern, pattern: &HostPattern| {
            action != Action::Allow
                && host.meets(matching, pattern, matching)
                && !pattern.contains(matching, host, matching)
        };
        let within = |pattern: &&HostPattern| {
            hosts
                .iter()
                .any(|host| host.contains(matching, pattern, matching) || overlaps(host, pattern))
        };
        let covered = |host: &&HostPattern| {
            own.iter()
                .any(|pattern| pattern.contains(matching, host, matching))
        };
        // If a grant names a host at some ports only, the entry's hosts are granted at these ports.
        let at_ports = own
            .iter()
            .filter(|pattern| action == Action::Allow && !pattern.is_text())
            .flat_map(|pattern| {
                let at_every = pattern.with_port(PortPattern::Every);
                let is_new = move |host: &&HostPattern| {
                    at_every.contains(matching, host, matching)
                        && !pattern.contains(matching, host, matching)
                        && !host.contains(matching, pattern, matching)
                };
                hosts
                    .iter()
                    .filter(is_new)
                    .map(|host| host.with_port(pattern.port()))
            });
        own.iter()
            .filter(within)
            .chain(hosts.iter().filter(covered))
            .cloned()
            .chain(at_ports)
            .collect()
    };
    (!kept.is_empty()).then(|| Operation {
        hosts: Field::new(kept.into(), operation.hosts.none_of().into()),
        ..operation.clone()
    })
}

#[cfg(test)]
mod tests;
