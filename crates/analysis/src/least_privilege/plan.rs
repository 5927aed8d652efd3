//! Makes grants of what crossed: for each account of each namespace the hosts, ports, methods and
//! paths.
//!
//! The rule: without the options that widen, each grant covers only hosts and ports that crossed.
//! Methods and paths are listed only if they are steady, so that a grant does not break what merely
//! was not seen.

use std::collections::{BTreeMap, BTreeSet};

use super::crossings::{AccountName, Crossings, HostUse, Uses, Values};
use customs_engine::host::Host;
use customs_engine::pattern::{Match, Port, parse_host_pattern};

/// The fewest labels of a suffix that a number of hosts may be grouped to, so that `*.com` is none.
const MIN_LABELS: usize = 2;

/// When methods and paths are steady.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SteadyRule {
    /// The fewest crossings of the host.
    pub crossings: u64,
}

impl Default for SteadyRule {
    fn default() -> Self {
        SteadyRule { crossings: 20 }
    }
}

/// How grants are made.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Suffixes, such as `example.com`: hosts below one are granted as `*.example.com`.
    pub suffixes: Vec<String>,
    /// If an account has so many hosts below one parent, they are granted as one suffix.
    pub group_suffix: Option<usize>,
    /// Hosts that so many accounts share become a DestinationSet.
    pub share_threshold: Option<usize>,
    /// A host with at most so many crossings is a one-off.
    pub one_off: u64,
    /// Whether one-offs get no grant.
    pub leaves_one_offs_out: bool,
    /// When methods and paths are listed.
    pub steady: SteadyRule,
}

/// The grants for everything that crossed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By namespace.
    pub namespaces: BTreeMap<String, NamespacePlan>,
    /// The hosts that accounts share.
    pub shared: Vec<SharedDestinations>,
    /// The one-offs that get no grant.
    pub one_offs_left_out: Vec<(AccountName, String, Uses)>,
}

/// The grants of a namespace, by account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespacePlan {
    /// Each account that crossed.
    pub accounts: BTreeMap<String, AccountPlan>,
}

/// The grants of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountPlan {
    /// In the order of their hosts.
    pub grants: Vec<PlannedGrant>,
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedGrant {
    /// Host patterns with ports, in order; empty if the hosts are those of a set.
    pub hosts: Vec<String>,
    /// The index of the shared destinations, if it grants those.
    pub shared: Option<usize>,
    /// The methods; empty for every method.
    pub methods: Vec<String>,
    /// The paths; empty for every path.
    pub paths: Vec<String>,
    /// How often it was used.
    pub uses: Uses,
    /// How many different hosts it represents.
    pub host_count: usize,
    /// Whether it is a one-off.
    pub is_one_off: bool,
    /// The denied requests that it may permit.
    pub denied: Option<Uses>,
}

/// Hosts that several accounts share, with the same ports, methods and paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedDestinations {
    /// The host patterns.
    pub hosts: Vec<String>,
    /// The accounts.
    pub accounts: Vec<AccountName>,
    /// The namespace that all accounts have, if they have the same.
    pub namespace: Option<String>,
}

/// Returns the grants for what crossed.
pub fn plan(crossings: &Crossings, options: &PlanOptions) -> Plan {
    let mut plan = Plan::default();
    for (account, hosts) in &crossings.hosts {
        let denied = crossings.denied.get(account);
        let grouped = group(hosts, options);
        let mut grants = Vec::new();
        for (host, host_use) in grouped {
            let grant = grant(&host, &host_use, denied, options);
            if grant.is_one_off && options.leaves_one_offs_out {
                let one_off = (account.clone(), host.clone(), grant.uses);
                plan.one_offs_left_out.push(one_off);
            } else {
                grants.push(grant);
            }
        }
        let namespace = plan.namespaces.entry(account.namespace.clone());
        let accounts = &mut namespace.or_default().accounts;
        accounts.insert(account.account.clone(), AccountPlan { grants });
    }
    if let Some(threshold) = options.share_threshold {
        share(&mut plan, threshold.max(2));
    }
    plan
}

/// A host or a suffix, and what was used of it.
struct Grouped {
    host_use: HostUse,
    host_count: usize,
}

/// Returns the hosts of an account, those below suffixes together.
fn group(hosts: &BTreeMap<String, HostUse>, options: &PlanOptions) -> BTreeMap<String, Grouped> {
    let mut children: BTreeMap<&str, usize> = BTreeMap::new();
    for parent in hosts.keys().filter_map(|host| parent(host)) {
        *children.entry(parent).or_default() += 1;
    }
    let is_large = |parent: &str| {
        let enough = options.group_suffix.is_some_and(|enough| {
            children.get(parent).copied().unwrap_or_default() >= enough.max(2)
        });
        enough && parent.split('.').count() >= MIN_LABELS
    };
    let mut grouped: BTreeMap<String, Grouped> = BTreeMap::new();
    for (host, host_use) in hosts {
        let large = parent(host).filter(|parent| is_large(parent));
        let key = match suffix_of(host, &options.suffixes, large) {
            Some(suffix) => format!("*.{suffix}"),
            None => host.clone(),
        };
        match grouped.get_mut(&key) {
            Some(known) => {
                known.host_use.merge(host_use.clone());
                known.host_count += 1;
            }
            None => {
                let first = Grouped {
                    host_use: host_use.clone(),
                    host_count: 1,
                };
                grouped.insert(key, first);
            }
        }
    }
    grouped
}

/// Returns the suffix to which a host is grouped: the longest that was asked for, else the parent
/// that has enough hosts. An address has none.
fn suffix_of<'s>(host: &str, suffixes: &'s [String], large: Option<&'s str>) -> Option<&'s str> {
    if host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() {
        return None;
    }
    let is_below = |suffix: &&String| {
        host.strip_suffix(suffix.as_str())
            .is_some_and(|before| before.ends_with('.'))
    };
    let asked = suffixes.iter().filter(is_below);
    let asked = asked.max_by_key(|suffix| suffix.len()).map(String::as_str);
    asked.or(large)
}

/// Returns the name above a name.
fn parent(host: &str) -> Option<&str> {
    host.split_once('.').map(|(_, parent)| parent)
}

fn grant(
    host: &str,
    grouped: &Grouped,
    denied: Option<&BTreeMap<String, Uses>>,
    options: &PlanOptions,
) -> PlannedGrant {
    let Grouped {
        host_use,
        host_count,
    } = grouped;
    let is_steady = host_use.uses.count >= options.steady.crossings;
    let steady = |values: &Values| match is_steady {
        true => steady_values(values, host_use.uses),
        false => None,
    };
    let paths = steady(&host_use.paths).or_else(|| steady(&host_use.segments));
    PlannedGrant {
        hosts: with_ports(host, host_use),
        shared: None,
        methods: steady(&host_use.methods).unwrap_or_default(),
        paths: paths.unwrap_or_default(),
        uses: host_use.uses,
        host_count: *host_count,
        is_one_off: host_use.uses.count <= options.one_off,
        denied: denied_by(host, denied),
    }
}

/// Returns the patterns of a host for the ports that were used. A pattern without a port covers an
/// absent port, 80 and 443 (rule R4).
fn with_ports(host: &str, host_use: &HostUse) -> Vec<String> {
    let is_bare = host_use.ports.contains_key(&None);
    let ports = host_use.ports.keys().flatten();
    let ports = ports.filter(|port| !(is_bare && matches!(port, 80 | 443)));
    let bare = is_bare.then(|| host.to_owned());
    bare.into_iter()
        .chain(ports.map(|port| format!("{host}:{port}")))
        .collect()
}

/// Returns the values, if none of them was new in the second half of the time in which the host was
/// used.
fn steady_values(values: &Values, uses: Uses) -> Option<Vec<String>> {
    let middle = uses.first.0 + (uses.last.0 - uses.first.0) / 2;
    let is_steady = !values.is_open
        && !values.seen.is_empty()
        && values.seen.values().all(|value| value.first.0 <= middle);
    is_steady.then(|| values.seen.keys().cloned().collect())
}

/// Returns the denied requests to hosts that a pattern covers.
fn denied_by(host: &str, denied: Option<&BTreeMap<String, Uses>>) -> Option<Uses> {
    let (pattern, _) = parse_host_pattern(host).ok()?;
    let covers = |name: &str| {
        let name = Host::Name(name.into());
        pattern.matches(&name, Port::Absent(None), None, Match::Broad)
    };
    let mut sum: Option<Uses> = None;
    for (name, uses) in denied? {
        if name == host || covers(name) {
            match &mut sum {
                None => sum = Some(*uses),
                Some(sum) => sum.add(*uses),
            }
        }
    }
    sum
}

/// What grants that are shared have in common: hosts, methods and paths.
type SharedKey = (Vec<String>, Vec<String>, Vec<String>);

/// Replaces the grants that enough accounts have in common. Hosts are put into one set only if the
/// same accounts have all of them with the same methods and paths, so that a set grants no account
/// more than it used.
fn share(plan: &mut Plan, threshold: usize) {
    let mut owners: BTreeMap<SharedKey, BTreeSet<AccountName>> = BTreeMap::new();
    for (namespace, planned) in &plan.namespaces {
        for (account, planned) in &planned.accounts {
            for grant in planned.grants.iter().filter(|grant| !grant.is_one_off) {
                let owner = AccountName {
                    namespace: namespace.clone(),
                    account: account.clone(),
                };
                owners.entry(key(grant)).or_default().insert(owner);
            }
        }
    }
    type Constraint = (Vec<String>, Vec<String>);
    let mut sets: BTreeMap<(BTreeSet<AccountName>, Constraint), Vec<SharedKey>> = BTreeMap::new();
    for (shared, owners) in owners {
        if owners.len() >= threshold {
            let constraint = (shared.1.clone(), shared.2.clone());
            sets.entry((owners, constraint)).or_default().push(shared);
        }
    }
    for ((owners, _), keys) in sets {
        let index = plan.shared.len();
        for owner in &owners {
            let namespace = plan.namespaces.get_mut(&owner.namespace);
            if let Some(planned) =
                namespace.and_then(|namespace| namespace.accounts.get_mut(&owner.account))
            {
                replace(planned, &keys, index);
            }
        }
        let namespaces: BTreeSet<&String> = owners.iter().map(|owner| &owner.namespace).collect();
        let namespace = match namespaces.len() {
            1 => namespaces.first().map(|namespace| (*namespace).clone()),
            _ => None,
        };
        plan.shared.push(SharedDestinations {
            hosts: keys.into_iter().flat_map(|(hosts, ..)| hosts).collect(),
            accounts: owners.into_iter().collect(),
            namespace,
        });
    }
}

fn key(grant: &PlannedGrant) -> SharedKey {
    (
        grant.hosts.clone(),
        grant.methods.clone(),
        grant.paths.clone(),
    )
}

/// Replaces grants of an account by one of the shared destinations.
fn replace(planned: &mut AccountPlan, keys: &[SharedKey], index: usize) {
    let is_shared = |grant: &PlannedGrant| !grant.is_one_off && keys.contains(&key(grant));
    let grants = std::mem::take(&mut planned.grants);
    let (shared, own): (Vec<_>, Vec<_>) = grants.into_iter().partition(is_shared);
    planned.grants = own;
    let mut shared = shared.into_iter();
    let Some(mut sum) = shared.next() else {
        return;
    };
    for grant in shared {
        sum.uses.add(grant.uses);
        sum.host_count += grant.host_count;
        sum.denied = match (sum.denied, grant.denied) {
            (Some(mut sum), Some(more)) => {
                sum.add(more);
                Some(sum)
            }
            (one, other) => one.or(other),
        };
    }
    planned.grants.push(PlannedGrant {
        hosts: Vec::new(),
        shared: Some(index),
        ..sum
    });
}
