//! Writes planned grants as policy files, one for each namespace.
//!
//! The rule: a text of a record gets into a file only as a comment without line ends, or as a value
//! that was parsed as a host, a path, a method or a Kubernetes name; what is not a plain word is
//! quoted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::Timestamp;

use super::collect::Collected;
use crate::app::commands::counted;
use customs_analysis::least_privilege::{
    LeftOutCause, LeftOutRow, Plan, PlannedGrant, SharedDestinations, Uses,
};
use customs_engine::time::UnixNanos;
use customs_policy::printable;
use customs_policy::reader::YAML_WORDS;

/// The most lines of a comment that list what is left out.
const MAX_LINES: usize = 50;

/// The longest name of an entry.
const MAX_NAME: usize = 63;

/// The longest name of an object.
const MAX_OBJECT_NAME: usize = 253;

/// A suggested file.
#[derive(Debug)]
pub(super) struct SuggestedFile {
    /// Its name in the directory.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Returns the files of a plan: one for each namespace, and one of the root namespace, which has
/// the callers without a valid identity and the destinations that several namespaces share.
pub(super) fn files(plan: &Plan, collected: &Collected<'_>, root: &str) -> Vec<SuggestedFile> {
    let mut namespaces: BTreeSet<&str> = plan.namespaces.keys().map(String::as_str).collect();
    namespaces.insert(root);
    let sets = set_names(plan);
    namespaces
        .into_iter()
        .map(|namespace| SuggestedFile {
            name: format!("{namespace}.yaml"),
            text: file(namespace, plan, collected, root, &sets),
        })
        .collect()
}

fn file(
    namespace: &str,
    plan: &Plan,
    collected: &Collected<'_>,
    root: &str,
    sets: &[String],
) -> String {
    let mut documents = Vec::new();
    if namespace == root {
        documents.push(unauthenticated(root));
    }
    for (shared, name) in plan.shared.iter().zip(sets) {
        if shared.namespace.as_deref().unwrap_or(root) == namespace {
            documents.push(destination_set(shared, name, namespace));
        }
    }
    if let Some(planned) = plan.namespaces.get(namespace) {
        documents.push(isolation(namespace, root));
        let mut names = UniqueNames::of(["egress", "unauthenticated"], MAX_OBJECT_NAME);
        for (account, planned) in &planned.accounts {
            let name = names.unique(&format!("egress-{account}"));
            let subject = subject(namespace, account, root);
            documents.push(policy(namespace, &subject, &name, &planned.grants, sets));
        }
    }
    format!(
        "{}{}",
        head(namespace, plan, collected, root),
        documents.join("---\n")
    )
}

/// Returns the comment that begins a file.
fn head(namespace: &str, plan: &Plan, collected: &Collected<'_>, root: &str) -> String {
    let mut out = format!("# The least egress of namespace {namespace}: ");
    let accounts = plan.namespaces.get(namespace).map(|plan| &plan.accounts);
    let uses = accounts.into_iter().flat_map(BTreeMap::values);
    let uses = uses.flat_map(|account| &account.grants);
    match total(uses.map(|grant| grant.uses)) {
        None => out.push_str("nothing crossed"),
        Some(uses) => {
            let accounts = counted(accounts.map_or(0, BTreeMap::len), "account");
            let _ = write!(out, "{} of {accounts}", crossings(uses));
        }
    }
    out.push_str(".\n");
    if collected.log.lost_decisions() > 0 {
        let _ = writeln!(
            out,
            "# The log lost {} decisions; what only those needed is missing here.",
            collected.log.lost_decisions()
        );
    }
    let overflow = collected.crossings().overflow();
    if overflow > 0 {
        let _ = writeln!(
            out,
            "# {overflow} crossings did not fit and are missing here."
        );
    }
    let is_here = |row: &LeftOutRow| {
        row.namespace == namespace || (namespace == root && row.namespace.is_empty())
    };
    let rows: Vec<(&LeftOutRow, &Uses)> = collected
        .crossings()
        .left_out()
        .iter()
        .filter(|(row, _)| is_here(row))
        .collect();
    if !rows.is_empty() {
        out.push_str("# These crossed and get no grant:\n");
    }
    for (row, uses) in rows.iter().take(MAX_LINES) {
        let _ = writeln!(
            out,
            "#   {} to {}: {} ({})",
            or_dash(&row.caller),
            or_dash(&row.host),
            row.cause.in_words(),
            crossings(**uses)
        );
    }
    if rows.len() > MAX_LINES {
        let _ = writeln!(out, "#   and {} more", rows.len() - MAX_LINES);
    }
    let one_offs = plan.one_offs_left_out.iter();
    let one_offs: Vec<_> = one_offs
        .filter(|(account, ..)| account.namespace == namespace)
        .collect();
    if !one_offs.is_empty() {
        out.push_str("# These one-offs get no grant:\n");
    }
    for (account, host, uses) in one_offs.iter().take(MAX_LINES) {
        let _ = writeln!(
            out,
            "#   {} to {host}: {}",
            account.account,
            crossings(*uses)
        );
    }
    if one_offs.len() > MAX_LINES {
        let _ = writeln!(out, "#   and {} more", one_offs.len() - MAX_LINES);
    }
    out
}

fn object(kind: &str, name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: {kind}\nmetadata: {{name: {}, namespace: {}}}\n",
        word(name),
        word(namespace)
    )
}

/// The policy of callers without a valid identity, who get nothing.
fn unauthenticated(root: &str) -> String {
    format!(
        "{}spec:\n  subjects:\n  - unauthenticated: true\n  isolate: true\n",
        object("EgressPolicy", "unauthenticated", root)
    )
}

/// The policy that isolates every account of a namespace.
fn isolation(namespace: &str, root: &str) -> String {
    let subjects = match namespace == root {
        true => format!("  subjects:\n  - namespaces: [{}]\n", word(namespace)),
        false => String::new(),
    };
    format!(
        "{}spec:\n{subjects}  isolate: true\n",
        object("EgressPolicy", "egress", namespace)
    )
}

/// Returns the subject of an account. Policies of the root namespace may name other namespaces, so
/// theirs say which one they mean.
fn subject(namespace: &str, account: &str, root: &str) -> String {
    let accounts = format!("serviceAccounts: [{}]", word(account));
    match namespace == root {
        true => format!("namespaces: [{}]\n    {accounts}", word(namespace)),
        false => accounts,
    }
}

fn destination_set(shared: &SharedDestinations, name: &str, namespace: &str) -> String {
    let mut out = format!(
        "# Shared by {}.\n",
        counted(shared.accounts.len(), "account")
    );
    out.push_str(&object("DestinationSet", name, namespace));
    out.push_str("spec:\n  hosts:\n");
    for host in &shared.hosts {
        let _ = writeln!(out, "  - {}", word(host));
    }
    out
}

fn policy(
    namespace: &str,
    subject: &str,
    name: &str,
    grants: &[PlannedGrant],
    sets: &[String],
) -> String {
    let mut out = object("EgressPolicy", name, namespace);
    let _ = writeln!(out, "spec:\n  subjects:\n  - {subject}\n  isolate: true");
    if !grants.is_empty() {
        out.push_str("  allow:\n");
    }
    let mut names = UniqueNames::of([], MAX_NAME);
    for grant in grants {
        entry(grant, sets, &mut names, &mut out);
    }
    out
}

fn entry(grant: &PlannedGrant, sets: &[String], names: &mut UniqueNames, out: &mut String) {
    let set = grant.shared.and_then(|index| sets.get(index));
    let mark = if grant.is_one_off { "one-off: " } else { "" };
    let hosts = match grant.host_count {
        0 | 1 => String::new(),
        count => format!(" to {count} hosts"),
    };
    let _ = writeln!(out, "  # {mark}{}{hosts}", crossings(grant.uses));
    if let Some(denied) = grant.denied {
        let _ = writeln!(
            out,
            "  # {} here {} denied; this entry may permit what it covers of them",
            counted(
                usize::try_from(denied.count).unwrap_or(usize::MAX),
                "request"
            ),
            if denied.count == 1 { "was" } else { "were" }
        );
    }
    let about = set.or(grant.hosts.first()).map_or("", String::as_str);
    let _ = writeln!(out, "  - name: {}", word(&names.unique(about)));
    let mut list = |field: &str, values: &[String]| {
        if !values.is_empty() {
            let values: Vec<String> = values.iter().map(|value| word(value)).collect();
            let _ = writeln!(out, "    {field}: [{}]", values.join(", "));
        }
    };
    list("hosts", &grant.hosts);
    if let Some(set) = set {
        list("destinations", std::slice::from_ref(set));
    }
    list("methods", &grant.methods);
    list("paths", &grant.paths);
    if grant.is_one_off {
        let _ = writeln!(
            out,
            "    reason: \"one-off: {}; check whether it is needed\"",
            crossings(grant.uses)
        );
    }
}

/// Names, each once.
struct UniqueNames {
    taken: BTreeSet<String>,
    longest: usize,
}

impl UniqueNames {
    fn of<const N: usize>(taken: [&str; N], longest: usize) -> UniqueNames {
        UniqueNames {
            taken: taken.map(str::to_owned).into(),
            longest,
        }
    }

    /// Returns a name that says what the text says, with letters, digits, `.`, `-` and `_`.
    fn unique(&mut self, text: &str) -> String {
        let text = match text.strip_prefix("*.") {
            Some(suffix) => format!("any.{suffix}"),
            None => text.to_owned(),
        };
        let kept = |c: char| match c {
            'a'..='z' | '0'..='9' | '.' | '-' | '_' => c,
            _ => '-',
        };
        let name: String = text.chars().map(kept).collect();
        let name = name.trim_matches(['-', '.', '_']);
        let name = if name.is_empty() { "entry" } else { name };
        let mut number = 1_usize;
        loop {
            let behind = match number {
                1 => String::new(),
                number => format!("-{number}"),
            };
            let room = self.longest - behind.len();
            // The name is ASCII.
            let front = name.get(..room.min(name.len())).unwrap_or_default();
            let unique = format!("{}{behind}", front.trim_end_matches(['-', '.', '_']));
            if self.taken.insert(unique.clone()) {
                return unique;
            }
            number += 1;
        }
    }
}

/// Returns the names of the shared destinations.
fn set_names(plan: &Plan) -> Vec<String> {
    let mut names = UniqueNames::of([], MAX_OBJECT_NAME);
    plan.shared
        .iter()
        .map(|shared| {
            let first = shared.hosts.first().map_or("hosts", String::as_str);
            names.unique(&format!("shared-{}", first.replace(['*', '_', ':'], "")))
        })
        .collect()
}

/// Returns a value as YAML reads it back.
fn word(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && !YAML_WORDS.contains(&text.to_ascii_lowercase().as_str());
    match is_plain {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

fn total(uses: impl Iterator<Item = Uses>) -> Option<Uses> {
    uses.reduce(|one, other| Uses {
        count: one.count + other.count,
        first: one.first.min(other.first),
        last: one.last.max(other.last),
    })
}

/// Returns how often something crossed, and when.
pub(super) fn crossings(uses: Uses) -> String {
    let count = counted(
        usize::try_from(uses.count).unwrap_or(usize::MAX),
        "crossing",
    );
    match (seconds(uses.first), seconds(uses.last)) {
        (first, last) if first == last => format!("{count}, {first}"),
        (first, last) => format!("{count}, {first} to {last}"),
    }
}

fn seconds(time: UnixNanos) -> String {
    Timestamp::from_nanosecond(time.0).map_or_else(|_| "-".to_owned(), |time| format!("{time:.0}"))
}

fn or_dash(text: &str) -> String {
    match text.is_empty() {
        true => "-".to_owned(),
        false => printable::line(text).into_owned(),
    }
}

/// Returns the causes for which something is left out, each with the number of crossings.
pub(super) fn left_out_by_cause(collected: &Collected<'_>) -> BTreeMap<LeftOutCause, u64> {
    let mut causes = BTreeMap::new();
    for (row, uses) in collected.crossings().left_out() {
        *causes.entry(row.cause).or_default() += uses.count;
    }
    causes
}
