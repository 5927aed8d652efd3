//! What the requests of a part have in common, in words.

use std::fmt;

use super::callers::{CallerMember, CallerNames, PartName};
use super::cell::{DestinationKind, Part};
use super::hosts::HostName;

/// How many callers and hosts are written out.
const SHOWN: usize = 4;

/// Writes a part as `callers -> destinations, attributes`.
pub(super) fn part(part: &Part<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let callers: Vec<String> = part.callers().iter().map(caller).collect();
    match part.callers {
        None => return f.write_str("all requests"),
        Some(_) => f.write_str(&listed(&callers))?,
    }
    let Some(hosts) = &part.hosts else {
        return f.write_str(" -> every destination");
    };
    let scheme = if hosts.is_http { "http" } else { "tcp" };
    f.write_str(" -> ")?;
    match hosts.kind {
        DestinationKind::Known => {
            let names: Vec<String> = hosts.members.iter().map(|m| host(&m.name)).collect();
            write!(f, "{scheme}://{}", listed(&names))?;
        }
        DestinationKind::Unnamed => f.write_str("tcp without SNI")?,
        DestinationKind::MeshWrapper => f.write_str("tcp with the mesh's own SNI")?,
        DestinationKind::Unreadable => write!(f, "{scheme} to a host that cannot be read")?,
    }
    for words in part.words() {
        write!(f, ", {words}")?;
    }
    Ok(())
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
    let Some(CallerNames {
        trust_domain,
        namespace,
        account,
    }) = &member.names
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
