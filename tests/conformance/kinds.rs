//! The causes of differences, and where docs/reference/istio-differences.md lists them.

use std::collections::BTreeSet;
use std::path::Path;

use customs_engine::pattern::TextPattern;
use customs_policy::compile::Compiled;

use crate::replay::Tally;
use crate::rows::{Answer, Check, Set};

/// Returns whether only the method's case makes the difference: the policies name it in another
/// case, and a method that they do not name at all is answered as Envoy answered this one.
pub(crate) fn is_method_case(set: &Set, compiled: &Compiled, check: &Check) -> bool {
    let mut words = set
        .yaml
        .split(|c: char| c.is_whitespace() || "\"'[],".contains(c))
        .filter(|word| !word.is_empty());
    let otherwise = |pattern: TextPattern| {
        let method = check.method();
        pattern.matches_ignore_case(method) && !pattern.matches(method)
    };
    let unnamed = check.with_method(&"~".repeat(check.method().len()));
    words.any(|word| otherwise(TextPattern::parse(word)))
        && set.ask(compiled, &unnamed).effect == check.expected
}

/// Why an odd row may differ: a tag or an oddity, the words in a policy without which it cannot
/// matter, and the words by which the tables in docs/reference/istio-differences.md lists it.
struct Cause {
    name: &'static str,
    asked: &'static [&'static str],
    listed: &'static str,
}

const IDENTITY: &[&str] = &[
    "rincipals:",
    "amespaces:",
    "erviceAccounts:",
    "rustDomains:",
    "source.principal",
    "source.namespace",
    "source.serviceAccount",
    "source.trustDomain",
];
const HOST: &[&str] = &["osts:"];
const PATH: &[&str] = &["aths:"];
const SNI: &[&str] = &["connection.sni"];
const ALWAYS: &[&str] = &[""];

const fn cause(name: &'static str, asked: &'static [&'static str], listed: &'static str) -> Cause {
    Cause {
        name,
        asked,
        listed,
    }
}

const CAUSES: [Cause; 19] = [
    cause("header-twice", &["request.headers"], "header"),
    cause("host-any-port", HOST, "`host:*`"),
    cause("host-port", HOST, "port in the host"),
    cause("host-trailing-dot", HOST, "trailing dot"),
    cause("id-dns", IDENTITY, "identity, "),
    cause("id-none", IDENTITY, "no identity, "),
    cause("id-not-spiffe", IDENTITY, "identity, "),
    cause("id-subject", IDENTITY, "identity, "),
    cause("id-two-uris", IDENTITY, "two URIs"),
    cause("identity", IDENTITY, "identity, "),
    cause("malformed-host", ALWAYS, "malformed host"),
    cause("method-case", &["ethods:"], "method, "),
    cause("no-sni", &["connection.sni", "osts:"], "no SNI"),
    cause("path-readings", PATH, "path, "),
    cause("path-unknown", PATH, "unreadable path"),
    cause("sni-case", SNI, "SNI in its case"),
    cause("sni-unknown", SNI, "SNI on HTTP"),
    cause("sni-wrapped", SNI, "SNI in a wrapper"),
    cause("tcp-host", HOST, "TCP host"),
];

fn known(name: &str) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| cause.name == name)
}

/// Returns which of the row's oddities can have made customs stricter under these policies, and the
/// reason of the answer; `None` if none can.
pub(crate) fn kind(
    set: &Set,
    compiled: &Compiled,
    check: &Check,
    answer: &Answer,
) -> Option<String> {
    let mut causes: Vec<&str> = check.odd_tags().collect();
    let tagged = causes.iter().any(|cause| cause.starts_with("id-"));
    causes.extend(
        check
            .oddities()
            .into_iter()
            .filter(|cause| *cause != "identity" || !tagged),
    );
    if is_method_case(set, compiled, check) {
        causes.push("method-case");
    }
    causes.retain(|name| {
        known(name).is_some_and(|cause| cause.asked.iter().any(|word| set.yaml.contains(word)))
    });
    (!causes.is_empty()).then(|| format!("{} / {}", causes.join("+"), answer.reason))
}

/// Returns the causes of the differences that no row of the tables in docs/reference/istio-differences.md lists.
pub(crate) fn undocumented(tally: &Tally) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/istio-differences.md");
    let document = std::fs::read_to_string(file).unwrap();
    let (_, table) = document
        .split_once("## Where customs differs from Istio")
        .expect("the section is there");
    let (table, _) = table.split_once("\n## ").unwrap_or((table, ""));
    let firsts: Vec<&str> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| ")?.split(" | ").next())
        .collect();
    let listed = |words: &str| firsts.iter().any(|first| first.starts_with(words));
    let words = |name: &str| known(name).map(|cause| cause.listed);
    let mut causes: BTreeSet<&str> = tally
        .stricter
        .keys()
        .chain(tally.wider.keys())
        .filter_map(|kind| kind.split(" / ").next())
        .flat_map(|causes| causes.split('+'))
        .flat_map(|causes| causes.split(" or "))
        .collect();
    causes.extend((!tally.method_case.is_empty()).then_some("method-case"));
    let unlisted = causes
        .into_iter()
        .filter(|cause| !words(cause).is_some_and(listed));
    unlisted
        .map(|cause| format!("{cause}: {:?}", words(cause)))
        .collect()
}

/// Returns the oddity of the row that lets customs allow what Istio denies.
pub(crate) fn wider_kind(check: &Check) -> Option<&'static str> {
    let single = [
        "tcp-host",
        "host-any-port",
        "header-twice",
        "sni-case",
        "id-two-uris",
    ];
    let host = check.has("host-port") || check.has("host-trailing-dot");
    single
        .into_iter()
        .find(|tag| check.has(tag))
        .or(host.then_some("host-port or host-trailing-dot"))
}
