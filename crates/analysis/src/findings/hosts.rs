//! Patterns that cover less, or denies that cover more, than they seem to: `host:P` in a grant or a
//! deny, ranges of addresses, and denies for HTTP that also deny TCP.

use super::{id, note, warning};
use customs_engine::operation::Operation;
use customs_engine::pattern::{HostPattern, Match, Port, PortPattern};
use customs_engine::rule::{Exception, Rule};
use customs_engine::rule_info::Family;
use customs_engine::rule_info::RuleInfo;
use customs_engine::rules::Rules;
use customs_engine::subject::CallerMatch;
use customs_policy::problem::{Code, Problem};

/// The longest list of hosts that is searched for a narrow port.
const MOST: usize = 1_000;

/// Finds such patterns. Each entry is reported once.
pub(crate) fn look(rules: &Rules, found: &mut Vec<Problem>) {
    for rule in rules.istio_allows.iter().chain(&rules.grants) {
        found.extend(narrow_port(&rule.to).map(|host| narrow(host, &rule.info)));
        found.extend(range(&rule.to).map(|host| address_only(host, &rule.info)));
    }
    for rule in &rules.denies {
        found.extend(range(&rule.to).map(|host| address_only(host, &rule.info)));
        found.extend(
            passed_without_port(&rule.to).map(|(host, port)| passed(host, port, &rule.info)),
        );
        found.extend(denies_all_tcp(rule));
        for Exception { info, to, .. } in &rule.except {
            found.extend(narrow_port(std::slice::from_ref(to)).map(|host| narrow(host, info)));
            found.extend(range(std::slice::from_ref(to)).map(|host| address_only(host, info)));
        }
    }
}

/// Returns the first host with a port for which no other host of its list covers the absent and the
/// unknown port (rule R4).
fn narrow_port(to: &[Operation]) -> Option<&HostPattern> {
    let hosts = to.iter().map(|operation| operation.hosts.any_of());
    hosts
        .filter(|hosts| hosts.len() <= MOST)
        .find_map(|hosts| hosts.iter().find(|host| is_narrow(host, hosts)))
}

fn is_narrow(host: &HostPattern, hosts: &[HostPattern]) -> bool {
    let has_port = |host: &HostPattern| matches!(host.port(), PortPattern::Exactly(_));
    // Matched broadly, a host without a port or with every port contains the same host with any.
    let adds =
        |other: &HostPattern| !has_port(other) && other.contains(Match::Broad, host, Match::Strict);
    has_port(host) && !hosts.iter().any(adds)
}

fn narrow(host: &HostPattern, info: &RuleInfo) -> Problem {
    let what = format!(
        "`{host}` grants no request without a port, and no TCP connection whose port is not known"
    );
    note(Code::NarrowPort, info, what).hint("to grant these too, add the host without a port")
}

/// Returns the first host of a deny that a request without a port passes: its port is neither 80
/// nor 443, and no other host of the rule covers that request (rule R4).
fn passed_without_port(to: &[Operation]) -> Option<(&HostPattern, u16)> {
    let hosts = || to.iter().flat_map(|operation| operation.hosts.any_of());
    let only_port = |operation: &Operation, port| operation.ports.any_of() == [port];
    if hosts().count() > MOST {
        return None;
    }
    let adds = |host: &HostPattern, other: &HostPattern| {
        let covers_absent = other.port().covers(Port::Absent(None), Match::Broad);
        // Matched broadly, a host without a port contains the same host with any.
        covers_absent
            && other
                .with_port(PortPattern::Unsaid)
                .contains(Match::Broad, host, Match::Broad)
    };
    let named = to.iter().flat_map(|operation| {
        operation
            .hosts
            .any_of()
            .iter()
            .map(move |host| (operation, host))
    });
    let mut passed = named.filter_map(|(operation, host)| match host.port() {
        PortPattern::Exactly(80 | 443) => None,
        // If the deny applies to a listener of that port only, no request passes it.
        PortPattern::Exactly(port) if !only_port(operation, port) => Some((host, port)),
        PortPattern::Exactly(_) | PortPattern::Unsaid | PortPattern::Every => None,
    });
    passed.find(|(host, _)| !hosts().any(|other| adds(host, other)))
}

fn passed(host: &HostPattern, port: u16, info: &RuleInfo) -> Problem {
    let what = format!(
        "a request whose `Host` has no port passes the deny `{host}`, unless it arrives at a listener of port {port}: without \
         a port, the intended one is unknown"
    );
    warning(Code::DenyPassedWithoutPort, info, what)
        .hint("leave the port out to deny every port and none, or add the host without it")
}

fn range(to: &[Operation]) -> Option<&HostPattern> {
    to.iter()
        .flat_map(|operation| operation.hosts.any_of())
        .find(|host| host.is_network())
}

fn address_only(host: &HostPattern, info: &RuleInfo) -> Problem {
    let what = format!(
        "`{host}` matches addresses that a client wrote, never a name that resolves to one"
    );
    note(Code::AddressOnly, info, what)
        .hint("write the names too; only the network can guard the addresses that names resolve to")
}

/// Finds a deny with an operation that constrains HTTP only. On TCP, unknown attributes satisfy it
/// (rule R10).
fn denies_all_tcp(rule: &Rule) -> Option<Problem> {
    let http_conditions = rule.when.iter().all(|condition| condition.is_http_only());
    let any = |host: &HostPattern| {
        host.is_anywhere() || (host.is_lone_star() && host.port() == PortPattern::Every)
    };
    let no_host = |hosts: &[HostPattern]| hosts.is_empty() || hosts.iter().any(any);
    let everywhere = |op: &Operation| {
        no_host(op.hosts.any_of()) && op.hosts.none_of().is_empty() && !op.ports.is_set()
    };
    let to = match rule.to.as_ref() {
        [] => !rule.when.is_empty(),
        operations => operations
            .iter()
            .any(|op| everywhere(op) && (op.is_http_only() || !rule.when.is_empty())),
    };
    if !http_conditions || !to || !rule.except.is_empty() {
        return None;
    }
    let what = format!(
        "`{}` constrains HTTP only, so it denies every TCP connection of its callers too",
        id(&rule.info)
    );
    let problem = match (rule.info.id.family(), &rule.callers) {
        (Family::Istio, CallerMatch::Anyone) => warning(Code::DeniesAllTcp, &rule.info, what),
        _ => note(Code::DeniesAllTcp, &rule.info, what),
    };
    Some(problem.hint("add `hosts`, or in an AuthorizationPolicy the `ports` of HTTP listeners"))
}
