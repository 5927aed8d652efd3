//! Finds the rule that is nearest to a request that no rule allows, and the parts that do not
//! match.
//!
//! This module decides nothing. The trace of the naive evaluator lists the rules that might have
//! been meant. Each part of such a rule is evaluated by itself, as the engine evaluates all of them
//! together, to show which part to change: the caller, the host, its port, the gateway's port, the
//! method, the path, or a condition.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rule_facts::RuleFacts;
use customs_engine::condition::Condition;
use customs_engine::eval_context::EvalContext;
use customs_engine::field::Field;
use customs_engine::host::Host;
use customs_engine::operation::{Operation, PathPattern};
use customs_engine::path::Readings;
use customs_engine::pattern::{HostKey, HostPattern, Match, Port, PortPattern};
use customs_engine::reference::Candidate;
use customs_engine::request::DestinationHost;
use customs_engine::{Caller, Effect, Rule};

/// The most values of a rule that are listed.
const MAX_VALUES: usize = 6;

/// The rule that is nearest to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nearest {
    rule: RuleFacts,
    hosts: Vec<String>,
    shared_labels: usize,
    dry_run: bool,
    hosts_match: bool,
    /// The parts that do not match, in order.
    #[serde(default)]
    misses: Vec<Miss>,
}

/// A part of a rule that does not match a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miss {
    /// `caller`, `protocol`, `host`, `port`, `listenerPort`, `method`, `path` or `condition`.
    part: String,
    /// Why, in words.
    text: String,
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = if self.hosts.is_empty() {
            "any host".to_owned()
        } else {
            some(&self.hosts)
        };
        write!(
            f,
            "nearest: {} ({}) allows {hosts}",
            self.rule.id, self.rule.origin
        )?;
        if self.dry_run {
            f.write_str("; it is only a dry run")?;
        }
        let listed: Vec<&str> = self
            .misses
            .iter()
            .filter(|miss| miss.part != "host")
            .map(|m| m.text.as_str())
            .collect();
        match (listed.is_empty(), self.hosts_match) {
            (true, _) => Ok(()),
            (false, true) => {
                write!(f, "; the host matches, but {}", listed.join(", and "))
            }
            (false, false) => write!(f, "; besides the host, {}", listed.join(", and ")),
        }
    }
}

/// Joins the first few of some values.
fn some(values: &[String]) -> String {
    let listed = values
        .iter()
        .take(MAX_VALUES)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match values.len().saturating_sub(MAX_VALUES) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

/// How near a rule is; larger is nearer. The parts: how many of host and caller match, whether the
/// host is near, whether the caller matches, the number of shared labels, and how few parts do not
/// match.
type Rank = (usize, bool, bool, usize, usize);

/// Returns the nearest of these rules: one that selects the caller and whose host matches or shares
/// the most labels with the request's, counted from the end. Among several, the one with the fewest
/// mismatches wins. Returns `None` if none is near.
pub(super) fn nearest(
    candidates: &[Candidate<'_>],
    context: &EvalContext<'_>,
    caller: &Caller<'_>,
) -> Option<Nearest> {
    let mut best: Option<(Rank, Nearest)> = None;
    for Candidate { rule, is_in_force } in candidates {
        let Some((operation, shared_labels)) = nearest_operation(rule, context) else {
            continue;
        };
        let misses = misses(rule, operation, context, caller);
        let hosts_match = !misses.iter().any(|miss| miss.part == "host");
        let is_callers = !misses.iter().any(|miss| miss.part == "caller");
        let both = usize::from(hosts_match) + usize::from(is_callers);
        // One label is the top-level domain alone.
        let is_near = hosts_match || shared_labels > 1;
        let rank: Rank = (
            both,
            is_near,
            is_callers,
            shared_labels,
            usize::MAX - misses.len(),
        );
        // Of equal rules the first wins, so that the order of files does not matter more than that
        // of rules.
        if best.as_ref().is_none_or(|(most, _)| rank > *most) {
            let hosts = hosts(operation).map(HostPattern::to_string).collect();
            let dry_run = !is_in_force;
            let rule = RuleFacts::of(&rule.info);
            best = Some((
                rank,
                Nearest {
                    rule,
                    hosts,
                    shared_labels,
                    dry_run,
                    hosts_match,
                    misses,
                },
            ));
        }
    }
    best.map(|(_, nearest)| nearest)
}

/// Returns the nearest operation of a rule, and the number of labels that its hosts share. A rule
/// without operations applies everywhere.
fn nearest_operation<'r>(
    rule: &'r Rule,
    context: &EvalContext<'_>,
) -> Option<(Option<&'r Operation>, usize)> {
    if rule.to.is_empty() {
        return Some((None, 0));
    }
    let DestinationHost::Known(host) = &context.request.destination.host else {
        return None;
    };
    let shared = |operation: &Operation| {
        hosts(Some(operation))
            .map(|p| shared_labels(p, host))
            .max()
            .unwrap_or(0)
    };
    let near = |operation: &&Operation| host_fits(operation, context) || shared(operation) > 0;
    let fit = |operation: &Operation| {
        let parts = misses_of(operation, context).len();
        (
            host_fits(operation, context),
            shared(operation),
            usize::MAX - parts,
        )
    };
    let best = rule
        .to
        .iter()
        .filter(near)
        .max_by_key(|operation| fit(operation))?;
    Some((Some(best), shared(best)))
}

fn hosts(operation: Option<&Operation>) -> impl Iterator<Item = &HostPattern> {
    operation
        .into_iter()
        .flat_map(|operation| operation.hosts.any_of())
}

/// Whether the hosts of an operation match, for any port.
fn host_fits(operation: &Operation, context: &EvalContext<'_>) -> bool {
    let destination = &context.request.destination;
    let DestinationHost::Known(host) = &destination.host else {
        return false;
    };
    let asked = operation.hosts.any_of();
    (asked.is_empty()
        || asked
            .iter()
            .any(|pattern| covers_host(pattern, host, destination.raw_authority)))
        && !operation.hosts.none_of().iter().any(|pattern| {
            pattern.matches(
                host,
                destination.port,
                destination.raw_authority,
                Effect::Allow.negative_match(),
            )
        })
}

/// Whether a pattern covers a host on some port.
fn covers_host(pattern: &HostPattern, host: &Host<'_>, raw: Option<&str>) -> bool {
    let (.., port) = pattern.specificity();
    let port = match port {
        PortPattern::Exactly(port) => Port::Known(port),
        PortPattern::Unsaid | PortPattern::Every => Port::Absent(None),
    };
    pattern.matches(host, port, raw, Match::Strict)
}

fn miss(part: &str, text: impl Into<String>) -> Miss {
    Miss {
        part: part.to_owned(),
        text: text.into(),
    }
}

/// Returns the parts of a rule that do not match.
fn misses(
    rule: &Rule,
    operation: Option<&Operation>,
    context: &EvalContext<'_>,
    caller: &Caller<'_>,
) -> Vec<Miss> {
    let request = context.request;
    let mut found = Vec::new();
    if !rule.callers.grants(caller, request) {
        found.push(miss("caller", "it is not about this caller"));
    }
    let http_only = rule.to.iter().any(Operation::is_http_only)
        || rule.when.iter().any(Condition::is_http_only);
    if request.http.is_none() && http_only {
        found.push(miss(
            "protocol",
            "it asks for what only HTTP has, and this is a TCP connection",
        ));
    } else {
        found.extend(
            operation
                .map(|operation| misses_of(operation, context))
                .unwrap_or_default(),
        );
    }
    let conditions = rule
        .when
        .iter()
        .filter(|condition| !condition.holds(context, caller, Effect::Allow));
    found.extend(conditions.map(|condition| {
        miss(
            "condition",
            format!("its condition on `{}` does not hold", key(condition)),
        )
    }));
    found
}

/// Returns the parts of an operation that do not match.
fn misses_of(operation: &Operation, context: &EvalContext<'_>) -> Vec<Miss> {
    let request = context.request;
    // Each field is evaluated alone, as the engine evaluates it.
    let holds = |alone: Operation| alone.matches(context, Effect::Allow).is_some();
    let mut found = Vec::new();
    if !host_fits(operation, context) {
        found.push(miss("host", "its hosts do not match"));
    } else if !holds(Operation {
        hosts: operation.hosts.clone(),
        ..Operation::default()
    }) {
        found.push(miss("port", port(operation, context)));
    }
    if !holds(Operation {
        ports: operation.ports.clone(),
        ..Operation::default()
    }) {
        let port = request
            .listener_port
            .map_or("is not known".to_owned(), |port| format!("is {port}"));
        let text = format!(
            "the gateway's port {port}, and it is about {}",
            lists(&operation.ports, u16::to_string)
        );
        found.push(miss("listenerPort", text));
    }
    if !holds(Operation {
        methods: operation.methods.clone(),
        ..Operation::default()
    }) {
        let method = request.http.map(|http| http.method).unwrap_or_default();
        let text = format!(
            "the method is `{method}`, and it is about {}",
            lists(&operation.methods, |m| m.to_string())
        );
        found.push(miss("method", text));
    }
    if !holds(Operation {
        paths: operation.paths.clone(),
        ..Operation::default()
    }) {
        let about = lists(&operation.paths, |path| match path {
            PathPattern::Text(text) => text.to_string(),
            PathPattern::Template(template) => template.to_string(),
        });
        found.push(miss(
            "path",
            format!("the path {}, and it is about {about}", path(context)),
        ));
    }
    found
}

/// Explains why a port does not match if the host does.
fn port(operation: &Operation, context: &EvalContext<'_>) -> String {
    let destination = &context.request.destination;
    let asked = match destination.port {
        Port::Known(port) => format!("the port is {port}"),
        Port::Absent(_) => "the request names no port".to_owned(),
        Port::Unknown => "the port is not known".to_owned(),
    };
    let DestinationHost::Known(host) = &destination.host else {
        return asked;
    };
    let covered = |pattern: &HostPattern| match pattern.specificity().2 {
        PortPattern::Exactly(port) => format!("`{pattern}` covers {port} alone"),
        PortPattern::Unsaid => format!("`{pattern}` covers 80, 443 and none"),
        PortPattern::Every => format!("`{pattern}` covers every port"),
    };
    let listed: Vec<String> = hosts(Some(operation))
        .filter(|pattern| covers_host(pattern, host, destination.raw_authority))
        .map(covered)
        .collect();
    format!("the port does not: {asked}, and {}", some(&listed))
}

/// Describes the path in words.
fn path(context: &EvalContext<'_>) -> String {
    match context.readings() {
        Readings::One(path) => format!("is `{path}`"),
        Readings::Many(readings) => {
            let all: Vec<String> = readings
                .iter()
                .map(|reading| format!("`{reading}`"))
                .collect();
            format!("can be read as {}, all of which must match", some(&all))
        }
        Readings::Unknown => "cannot be read".to_owned(),
    }
}

/// Formats the values of a field.
fn lists<P>(field: &Field<P>, word: impl Fn(&P) -> String) -> String {
    let all = |values: &[P]| some(&values.iter().map(&word).collect::<Vec<_>>());
    match (field.any_of(), field.none_of()) {
        (yes, []) => all(yes),
        ([], no) => format!("all but {}", all(no)),
        (yes, no) => format!("{} but {}", all(yes), all(no)),
    }
}

/// Returns the key of a condition, as policies write it.
fn key(condition: &Condition) -> String {
    match condition {
        Condition::Source(_) => "source.* or remote.ip".to_owned(),
        Condition::DestinationIp(_) => "destination.ip".to_owned(),
        Condition::DestinationPort(_) => "destination.port".to_owned(),
        Condition::Sni(_) => "connection.sni".to_owned(),
        Condition::Header { name, .. } => format!("request.headers[{name}]"),
    }
}

/// Returns the number of labels that a pattern shares with a host, counted from the end. An address
/// shares all or nothing.
fn shared_labels(pattern: &HostPattern, host: &Host<'_>) -> usize {
    let labels = |text: &str, name: &str| {
        let (text, name) = (text.trim_start_matches('.').rsplit('.'), name.rsplit('.'));
        text.zip(name).take_while(|(a, b)| a == b).count()
    };
    match (pattern.key(), host) {
        (HostKey::Name(text) | HostKey::Suffix(text), Host::Name(name)) => labels(text, name),
        (HostKey::Address(address), Host::Ip(ip)) => usize::from(address == *ip),
        (HostKey::Network(network), Host::Ip(ip)) => usize::from(network.contains(ip)),
        _ => 0,
    }
}
