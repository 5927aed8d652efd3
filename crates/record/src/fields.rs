//! The fields of a record: which each kind has, in their order, and each field's number and name.
//!
//! It renders nothing and knows no value; [`encode`](super::encode) says which value a field has. The lists are what
//! documents, tests and consumers go by. The rule: the order is that of the numbers in the proto, and [`CHAIN`] ends every
//! record.

/// The field that ends every record, and that no list here repeats.
pub const CHAIN: &str = "chain";

/// The fields with which every record begins.
pub const HEAD: &[&str] = &["time", "kind", "stream", "sequence"];

/// The kinds of records, and the fields that each has behind [`HEAD`].
pub const KINDS: &[(&str, &[&str])] = &[
    ("decision", DECISION),
    ("policyChange", POLICY_CHANGE),
    ("question", &["askedBy", "now", "answer"]),
    (
        "grantEnd",
        &[
            "rule",
            "origin",
            "owner",
            "ticket",
            "ruleReason",
            "expires",
            "revision",
        ],
    ),
    ("start", &["enforcement", "version", "listen"]),
    ("stop", &["revision", "cause", "decisions"]),
    ("withheld", &["decisionId", "decisionNumber", "reason"]),
    ("callerGone", &["decisionId", "decisionNumber"]),
    ("refusals", &["redacted", "first", "last", "refusals"]),
    ("stream", STREAM),
    ("gap", &["lost", "first", "last"]),
    ("lag", &["missedFrom", "missedTo"]),
    (
        "checkpoint",
        &[
            "sealedStream",
            "records",
            "head",
            "final",
            "key",
            "signature",
        ],
    ),
];

/// What a decision has.
#[rustfmt::skip]
const DECISION: &[&str] = &[
    "decisionId", "decisionNumber", "effect", "verdict", "dryRun", "reason", "rule", "dryRunReason", "dryRunRule", "gate",
    "openGate", "identityDecided", "identity", "identityDetail", "principal", "trustDomain", "namespace",
    "serviceAccount", "sourceAddress", "remoteAddress", "destinationAddress", "protocol", "host", "rawHost", "port",
    "listenerPort", "sni", "method", "path", "headers", "gateway", "requestId", "traceparent", "streamId", "origin",
    "owner", "ticket", "ruleReason", "expires", "expired", "exception", "exceptionExpires", "dryRunOrigin", "dryRunOwner",
    "auditRule", "enforcement", "revision", "durationMicros", "truncated", "redacted", "sniAbsent", "addressUnreadable",
    "authorityHeader", "certificateUris", "callerGone",
];

/// What a decision has and the answer of a question has not, because there was no check.
pub const OF_A_CHECK: &[&str] = &[
    "decisionId",
    "decisionNumber",
    "durationMicros",
    "callerGone",
];

/// What a policy change has.
#[rustfmt::skip]
const POLICY_CHANGE: &[&str] = &[
    "revision", "outcome", "previousRevision", "refusedSources", "problems", "problemsLeftOut", "policies",
    "istioDenyRules", "istioAllowRules", "egressDenyRules", "egressAllowRules", "sources",
];

/// What the first record of a stream has.
#[rustfmt::skip]
const STREAM: &[&str] = &[
    "sink", "filter", "format", "hash", "previousStream", "previousSequence", "previousChain", "tornBytes",
    "previousFile",
];

/// The fields of each of the `headers`.
pub const HEADER: &[&str] = &["name", "present", "matched", "value", "valueUnknown"];

/// The fields of each of the `problems`.
pub const PROBLEM: &[&str] = &["code", "severity", "file", "line", "column", "text", "hint"];

/// The fields of each of the `sources`.
pub const SOURCE: &[&str] = &["name", "namespace", "files", "filesLeftOut"];

/// The fields of each of the `files` of a source.
pub const FILE: &[&str] = &["name", "sha256"];

/// The fields of each of the `refusals`.
pub const REFUSAL: &[&str] = &["peer", "cause", "count", "example"];

/// The fields of `lost`.
pub const LOSS: &[&str] = &["allows", "denials", "differing", "withheld", "events"];

/// The fields of a kind of record, in their order, the head and the chain included; none for a word that is no kind.
pub fn of(kind: &str) -> Vec<&'static str> {
    let Some((_, own)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return Vec::new();
    };
    [HEAD, own, &[CHAIN]].concat()
}

/// The fields of the `answer` of a question, in their order.
pub fn of_answer() -> Vec<&'static str> {
    DECISION
        .iter()
        .copied()
        .filter(|field| !OF_A_CHECK.contains(field))
        .collect()
}

/// A field of a message: what each form writes before its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its number in protobuf.
    pub(super) number: u32,
    /// What JSON has before a text: the name in quotes, a colon, and the quote that opens the text.
    before_text: &'static str,
}

impl Field {
    /// What JSON has before a text.
    #[inline(always)]
    pub(super) fn before_text(self) -> &'static str {
        self.before_text
    }

    /// What JSON has before any other value.
    #[inline(always)]
    pub(super) fn before_value(self) -> &'static str {
        self.before_text.strip_suffix('"').unwrap_or_default()
    }
}

/// The fields of one message.
macro_rules! fields {
    ($(#[$what:meta])* $message:ident: $($field:ident = $number:literal, $name:literal;)*) => {
        $(#[$what])*
        pub(super) mod $message {
            use super::Field;

            $(pub(in super::super) const $field: Field =
                Field { number: $number, before_text: concat!("\"", $name, "\":\"") };)*
        }
    };
}

fields! {
    /// Those of `Record`.
    record:
    TIME = 1, "time";
    KIND = 2, "kind";
    STREAM = 3, "stream";
    SEQUENCE = 4, "sequence";
    DECISION_ID = 5, "decisionId";
    DECISION_NUMBER = 6, "decisionNumber";
    EFFECT = 7, "effect";
    VERDICT = 8, "verdict";
    DRY_RUN = 9, "dryRun";
    REASON = 10, "reason";
    RULE = 11, "rule";
    DRY_RUN_REASON = 12, "dryRunReason";
    DRY_RUN_RULE = 13, "dryRunRule";
    GATE = 14, "gate";
    OPEN_GATE = 15, "openGate";
    IDENTITY_DECIDED = 16, "identityDecided";
    IDENTITY = 17, "identity";
    IDENTITY_DETAIL = 18, "identityDetail";
    PRINCIPAL = 19, "principal";
    TRUST_DOMAIN = 20, "trustDomain";
    NAMESPACE = 21, "namespace";
    SERVICE_ACCOUNT = 22, "serviceAccount";
    SOURCE_ADDRESS = 23, "sourceAddress";
    REMOTE_ADDRESS = 24, "remoteAddress";
    DESTINATION_ADDRESS = 25, "destinationAddress";
    PROTOCOL = 26, "protocol";
    HOST = 27, "host";
    RAW_HOST = 28, "rawHost";
    PORT = 29, "port";
    LISTENER_PORT = 30, "listenerPort";
    SNI = 31, "sni";
    METHOD = 32, "method";
    PATH = 33, "path";
    HEADERS = 34, "headers";
    GATEWAY = 35, "gateway";
    REQUEST_ID = 36, "requestId";
    TRACEPARENT = 37, "traceparent";
    STREAM_ID = 38, "streamId";
    ORIGIN = 39, "origin";
    OWNER = 40, "owner";
    TICKET = 41, "ticket";
    RULE_REASON = 42, "ruleReason";
    EXPIRES = 43, "expires";
    EXPIRED = 44, "expired";
    EXCEPTION = 45, "exception";
    EXCEPTION_EXPIRES = 46, "exceptionExpires";
    DRY_RUN_ORIGIN = 47, "dryRunOrigin";
    DRY_RUN_OWNER = 48, "dryRunOwner";
    AUDIT_RULE = 49, "auditRule";
    ENFORCEMENT = 50, "enforcement";
    REVISION = 51, "revision";
    DURATION_MICROS = 52, "durationMicros";
    TRUNCATED = 53, "truncated";
    REDACTED = 54, "redacted";
    SNI_ABSENT = 55, "sniAbsent";
    ADDRESS_UNREADABLE = 56, "addressUnreadable";
    AUTHORITY_HEADER = 57, "authorityHeader";
    CERTIFICATE_URIS = 58, "certificateUris";
    CALLER_GONE = 59, "callerGone";
    OUTCOME = 60, "outcome";
    PREVIOUS_REVISION = 61, "previousRevision";
    REFUSED_SOURCES = 62, "refusedSources";
    PROBLEMS = 63, "problems";
    PROBLEMS_LEFT_OUT = 64, "problemsLeftOut";
    POLICIES = 65, "policies";
    ISTIO_DENY_RULES = 66, "istioDenyRules";
    ISTIO_ALLOW_RULES = 67, "istioAllowRules";
    EGRESS_DENY_RULES = 68, "egressDenyRules";
    EGRESS_ALLOW_RULES = 69, "egressAllowRules";
    SOURCES = 70, "sources";
    ASKED_BY = 80, "askedBy";
    NOW = 81, "now";
    ANSWER = 82, "answer";
    VERSION = 90, "version";
    LISTEN = 91, "listen";
    CAUSE = 92, "cause";
    DECISIONS = 93, "decisions";
    SINK = 100, "sink";
    FILTER = 101, "filter";
    FORMAT = 102, "format";
    HASH = 103, "hash";
    PREVIOUS_STREAM = 104, "previousStream";
    PREVIOUS_SEQUENCE = 105, "previousSequence";
    PREVIOUS_CHAIN = 106, "previousChain";
    TORN_BYTES = 107, "tornBytes";
    PREVIOUS_FILE = 108, "previousFile";
    LOST = 110, "lost";
    FIRST = 111, "first";
    LAST = 112, "last";
    MISSED_FROM = 120, "missedFrom";
    MISSED_TO = 121, "missedTo";
    SEALED_STREAM = 130, "sealedStream";
    RECORDS = 131, "records";
    HEAD = 132, "head";
    FINAL = 133, "final";
    KEY = 134, "key";
    SIGNATURE = 135, "signature";
    REFUSALS = 140, "refusals";
    CHAIN = 2000, "chain";
}

fields! {
    /// Those of `Header`.
    header:
    NAME = 1, "name";
    PRESENT = 2, "present";
    MATCHED = 3, "matched";
    VALUE = 4, "value";
    VALUE_UNKNOWN = 5, "valueUnknown";
}

fields! {
    /// Those of `Problem`.
    problem:
    CODE = 1, "code";
    SEVERITY = 2, "severity";
    FILE = 3, "file";
    LINE = 4, "line";
    COLUMN = 5, "column";
    TEXT = 6, "text";
    HINT = 7, "hint";
}

fields! {
    /// Those of `PolicySource`.
    source:
    NAME = 1, "name";
    NAMESPACE = 2, "namespace";
    FILES = 3, "files";
    FILES_LEFT_OUT = 4, "filesLeftOut";
}

fields! {
    /// Those of `PolicyFile`.
    file:
    NAME = 1, "name";
    SHA256 = 2, "sha256";
}

fields! {
    /// Those of `Refusal`.
    refusal:
    PEER = 1, "peer";
    CAUSE = 2, "cause";
    COUNT = 3, "count";
    EXAMPLE = 4, "example";
}

fields! {
    /// Those of `Loss`.
    loss:
    ALLOWS = 1, "allows";
    DENIALS = 2, "denials";
    DIFFERING = 3, "differing";
    WITHHELD = 4, "withheld";
    EVENTS = 5, "events";
}

fields! {
    /// Those of protobuf's own `Timestamp`, which JSON spells as one text.
    timestamp:
    SECONDS = 1, "seconds";
    NANOS = 2, "nanos";
}
