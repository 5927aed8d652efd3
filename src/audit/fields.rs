//! Which fields each kind of record has, in their order: the one list that documents, tests and consumers go by.
//!
//! It renders nothing; [`json`](super::json) and [`binary`](super::binary) do. The rule: the order is that of the numbers
//! in the proto, and [`CHAIN`] ends every record.

/// The field that ends every record, and that no list here repeats.
pub const CHAIN: &str = "chain";

/// The fields with which every record begins.
pub const HEAD: &[&str] = &["time", "kind", "stream", "sequence"];

/// The kinds of records, and the fields that each has behind [`HEAD`].
pub const KINDS: &[(&str, &[&str])] = &[
    ("decision", DECISION),
    ("policyChange", POLICY_CHANGE),
    ("question", &["askedBy", "now", "answer"]),
    ("grantEnd", &["rule", "origin", "owner", "ticket", "ruleReason", "expires", "revision"]),
    ("start", &["enforcement", "version", "listen"]),
    ("stop", &["revision", "cause", "decisions"]),
    ("withheld", &["decisionId", "decisionNumber", "reason"]),
    ("stream", STREAM),
    ("gap", &["lost", "first", "last"]),
    ("lag", &["missedFrom", "missedTo"]),
    ("checkpoint", &["sealedStream", "records", "head", "final", "key", "signature"]),
];

/// What a decision has.
#[rustfmt::skip]
const DECISION: &[&str] = &[
    "decisionId", "decisionNumber", "effect", "verdict", "would", "reason", "rule", "wouldReason", "wouldRule", "gate",
    "openGate", "identityDecided", "identity", "identityDetail", "principal", "trustDomain", "namespace",
    "serviceAccount", "sourceAddress", "remoteAddress", "destinationAddress", "protocol", "host", "rawHost", "port",
    "listenerPort", "sni", "method", "path", "headers", "gateway", "requestId", "traceparent", "streamId", "origin",
    "owner", "ticket", "ruleReason", "expires", "expired", "exception", "exceptionExpires", "wouldOrigin", "wouldOwner",
    "auditRule", "enforcement", "revision", "durationMicros", "truncated", "redacted", "sniAbsent", "addressUnreadable",
    "authorityHeader", "certificateUris",
];

/// What a decision has and the answer of a question has not, because there was no check.
pub const OF_A_CHECK: &[&str] = &["decisionId", "decisionNumber", "durationMicros"];

/// What a policy change has.
#[rustfmt::skip]
const POLICY_CHANGE: &[&str] = &[
    "revision", "outcome", "previousRevision", "refusedSources", "problems", "problemsLeftOut", "policies",
    "istioDenyRules", "istioAllowRules", "egressDenyRules", "egressAllowRules",
];

/// What the first record of a stream has.
#[rustfmt::skip]
const STREAM: &[&str] = &[
    "sink", "filter", "format", "hash", "previousStream", "previousSequence", "previousChain", "tornBytes",
];

/// The fields of each of the `headers`.
pub const HEADER: &[&str] = &["name", "present", "matched", "value"];

/// The fields of each of the `problems`.
pub const PROBLEM: &[&str] = &["code", "severity", "file", "line", "column", "text", "hint"];

/// The fields of `lost`.
pub const LOSS: &[&str] = &["allows", "denials", "differing", "withheld", "events"];

/// The fields of a kind of record, in their order, the head and the chain included; none for a word that is no kind.
pub fn of(kind: &str) -> Vec<&'static str> {
    let Some((_, own)) = KINDS.iter().find(|(name, _)| *name == kind) else { return Vec::new() };
    [HEAD, own, &[CHAIN]].concat()
}

/// The fields of the `answer` of a question, in their order.
pub fn of_answer() -> Vec<&'static str> {
    DECISION.iter().copied().filter(|field| !OF_A_CHECK.contains(field)).collect()
}
