//! What the requests of a part have in common, in words.

use std::fmt;

use super::callers::{CallerMember, CallerNames, PartName};
use super::cell::{DestinationKind, Part};
use super::hosts::HostName;

/// How many callers and hosts are written out.
const SHOWN: usize = 4;

/// Writes a part as `callers -> destinations, attributes`.
pub(super) fn part(part: &Part<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if part.callers.is_none() {
        return f.write_str("all requests");
    }
    write!(f, "{} -> {}", listed(&callers(part)), destination(part))
}

/// The callers of a part, as policies write them.
pub(super) fn callers(part: &Part<'_>) -> Vec<String> {
    part.callers().iter().map(caller).collect()
}

/// The destinations and the other attributes of a part.
pub(super) fn destination(part: &Part<'_>) -> String {
    let Some(hosts) = &part.hosts else {
        return "every destination".to_owned();
    };
    let scheme = if hosts.is_http { "http" } else { "tcp" };
    let mut words = match hosts.kind {
        DestinationKind::Known => {
            let names: Vec<String> = hosts.members.iter().map(|m| host(&m.name)).collect();
            format!("{scheme}://{}", listed(&names))
        }
        DestinationKind::Unnamed => "tcp without SNI".to_owned(),
        DestinationKind::MeshWrapper => "tcp with the mesh's own SNI".to_owned(),
        DestinationKind::Unreadable => format!("{scheme} to a host that cannot be read"),
    };
    for word in part.words() {
        words.push_str(", ");
        words.push_str(word);
    }
    words
}

fn listed(all: &[String]) -> String {
    let (shown, rest) = all.split_at_checked(SHOWN).unwrap_or((all, &[]));
    let more = match rest.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

/// Callers, as policies write them.
pub(super) fn caller(member: &CallerMember) -> String {
    caller_names(member.names.as_ref())
}

/// Callers by their names; `None` for callers without a valid identity.
pub(super) fn caller_names(names: Option<&CallerNames>) -> String {
    let Some(CallerNames {
        trust_domain,
        namespace,
        account,
    }) = names
    else {
        return "callers without a valid identity".to_owned();
    };
    let domain = trust_domain
        .as_ref()
        .map(|domain| format!("spiffe://{}/ns/", name(domain)))
        .unwrap_or_default();
    let between = if trust_domain.is_some() { "/sa/" } else { "/" };
    format!("{domain}{}{between}{}", name(namespace), name(account))
}

fn name(part: &PartName) -> String {
    match part {
        PartName::Exactly(text) => text.clone(),
        PartName::Matching(patterns) => patterns.join("&"),
        PartName::Other => "*".to_owned(),
    }
}

/// Hosts, as policies write them.
pub(super) fn host(name: &HostName) -> String {
    match name {
        HostName::Exactly(text) | HostName::Within(text) => text.clone(),
        HostName::Between(from, to) if from == to => from.to_string(),
        HostName::Between(from, to) => format!("{from}-{to}"),
        HostName::Other => "**".to_owned(),
    }
}
