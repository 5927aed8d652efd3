//! The table of a decision: one row a field, in the order of the numbers.
//!
//! A row is the only place where a field is declared. The structs, both encoders, redaction, the
//! dynamic metadata, the attributes for OpenTelemetry and the table in docs/reference/record.md follow from
//! it; a test holds the proto to it. Which value a field has is said where a record is made, in
//! [`DecisionRecord::of`](crate::DecisionRecord::of). The rule: a number or a name never gets
//! another meaning.

use std::sync::Arc;

use super::value::{
    Absent, FieldValue, Headers, Names, OptionalPort, OptionalText, OptionalTime, OptionalWord,
    TextValue, Texts, Word, Writer,
};
use super::{FieldSpec, MetadataScope, Presence, Redactable, RedactionClass};
use crate::DecisionRecord;
use crate::entry::decision_record::Span;
use crate::proto::Record;
use crate::record_encoder::RecordEncoder;
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::identity::IdentityState;
use customs_engine::reason::Reason;
use customs_engine::time::UnixNanos;

// Each row: the meaning as a doc comment; the number; the name in the proto; the name in JSON; the
// struct and its field that hold the value; its type; then what applies of
//
//   if Check             a question has no such field, because there was no check
//   if OtherRule         only if the dry run's rule is another than the verdict's
//   even 0               a zero is written too
//   redact CLASS         the setting `redact` of this class takes it out
//   metadata SCOPE       Envoy gets it as dynamic metadata: Always, or only IfValid, the identity
//   otlp attribute       an OpenTelemetry collector gets it as an attribute
//   tail filter          a subscriber can choose records by it
//
// and an example. The structs are `entry`, a DecisionEntry; `verdict` and `dry_run`, its two
// AnswerEntry, whose fields the rows of `verdict` declare; `optional`, its OptionalFields. `T` is a
// text.
decision_fields! {
    /// A UUID of version 7. The caller and Envoy get it as well.
    5 decision_id "decisionId" entry.decision_id: T, if Check, metadata Always, otlp attribute
        = "019ab2c4-7f10-7c1e-9a55-0d6c5f1b2a34";
    /// The number of the decision in its process, from 1. A sink with a filter, or one that lost
    /// records, shows gaps here.
    6 decision_number "decisionNumber" entry.decision_number: u64, if Check = "\"40\"";
    /// The answer that Envoy got, or would have got if it had waited (`callerGone`): `allow` or
    /// `deny`.
    7 effect "effect" entry.effect: Effect, metadata Always, otlp attribute, tail filter = "deny";
    /// What the enforced rules say: `allow` or `deny`.
    8 verdict "verdict" verdict.effect: Effect, metadata Always, otlp attribute = "deny";
    /// What they would say if everything in dry run were enforced too: `allow` or `deny`.
    9 dry_run "dryRun" dry_run.effect: Effect, metadata Always, otlp attribute = "deny";
    /// Why the verdict is what it is, of a closed list ([reasons](reasons.md)).
    10 reason "reason" verdict.reason: Reason, metadata Always, otlp attribute, tail filter
        = "denied_by_rule";
    /// The rule of the verdict; two with a comma if both gates opened.
    11 rule "rule" verdict.rule: T, metadata Always, otlp attribute
        = "ep:demo-frontend/egress#no-aliyun";
    /// The reason of `dryRun`.
    12 dry_run_reason "dryRunReason" dry_run.reason: Reason, metadata Always = "denied_by_rule";
    /// The rule of `dryRun`.
    13 dry_run_rule "dryRunRule" dry_run.rule: T, metadata Always
        = "ep:demo-frontend/egress#no-aliyun";
    /// The gates that stayed closed (a denial) or opened (an allow): `istio`, `isolation`, or both
    /// with a comma.
    14 gate "gate" verdict.gate: Word, metadata Always = "isolation";
    /// For a denial at one gate: the other one, if it was open.
    15 open_gate "openGate" verdict.open_gate: Word = "istio";
    /// True if a valid identity, and nothing else, was missing.
    16 identity_decided "identityDecided" verdict.by_identity: bool = "true";
    /// `valid`, `unauthenticated`, `invalid_identity` or `untrusted_domain`.
    17 identity "identity" entry.identity: IdentityState, metadata Always = "valid";
    /// Why it is invalid: `not_a_workload`, `too_long`, `xfcc_mismatch`, `xfcc_unreadable`.
    18 identity_detail "identityDetail" entry.identity_detail: OptionalWord = "xfcc_mismatch";
    /// The caller's principal, as sent.
    19 principal "principal" entry.principal: T, redact Principal
        = "spiffe://cluster.local/ns/demo-frontend/sa/sleep";
    /// Its trust domain, if it is well-formed.
    20 trust_domain "trustDomain" entry.trust_domain: T = "cluster.local";
    /// Its namespace, if it is well-formed.
    21 namespace "namespace" entry.namespace: T, metadata IfValid, otlp attribute, tail filter
        = "demo-frontend";
    /// Its service account, if it is well-formed.
    22 service_account "serviceAccount" entry.service_account: T,
        redact Principal, metadata IfValid, otlp attribute
        = "sleep";
    /// The address of the connection's peer.
    23 source_address "sourceAddress" entry.source_address: T, redact Address = "10.1.2.3";
    /// The client's address behind the declared trusted proxies, if some are declared.
    24 remote_address "remoteAddress" entry.remote_address: T, redact Address = "192.0.2.7";
    /// The address on which the gateway took the connection.
    25 destination_address "destinationAddress" entry.destination_address: T = "10.1.2.4";
    /// `http` or `tcp`.
    26 protocol "protocol" entry.protocol: Word = "http";
    /// The destination in its canonical form, if it is known: not if an SNI is absent or only
    /// names the gateway.
    27 host "host" entry.host: T, metadata Always, otlp attribute, tail filter = "www.aliyun.com";
    /// The authority, or on TCP the SNI, as sent.
    28 raw_host "rawHost" entry.raw_host: T = "WWW.aliyun.com:80";
    /// The port that belongs to the host, if it is known.
    29 port "port" entry.port: OptionalPort = "80";
    /// The port on which the gateway took the connection.
    30 listener_port "listenerPort" entry.listener_port: OptionalPort = "8443";
    /// The SNI of the TLS session, as sent.
    31 sni "sni" entry.sni: T = "outbound_.80_._.egress.istio-system.svc.cluster.local";
    /// The HTTP method, as sent.
    32 method "method" entry.method: T = "GET";
    /// The path as sent, without its query.
    33 path "path" entry.path: T, redact Path = "/index.html";
    /// The headers that conditions of the policies in force ask for; see below.
    34 headers "headers" optional.headers: Headers = "[{\"name\":\"x-team\",\"present\":true}]";
    /// The gateway's own principal.
    35 gateway "gateway" entry.gateway: T = "spiffe://cluster.local/ns/istio-system/sa/egress";
    /// The header `x-request-id`.
    36 request_id "requestId" entry.request_id: T = "4f3c8a52-9a55-4f3c-8a52-9a554f3c8a52";
    /// The W3C trace context: of the request; without one, of the call of the check, or of the span
    /// that customs itself begins.
    37 traceparent "traceparent" entry.traceparent: T
        = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// Envoy's number of the HTTP stream; unrelated to `stream`.
    38 stream_id "streamId" entry.stream_id: T = "1234567890";
    /// The file and line of the rule of the verdict.
    39 origin "origin" verdict.origin: T = "demo.yaml:7";
    /// The owner of the rule.
    40 owner "owner" verdict.owner: T, metadata Always = "team-network";
    /// The ticket of the rule.
    41 ticket "ticket" verdict.ticket: T = "NET-42";
    /// Why the rule exists, in its author's words.
    42 rule_reason "ruleReason" verdict.rule_reason: T = "reached through the partner gateway";
    /// When the grant of the rule ends or ended.
    43 expires "expires" verdict.expires: OptionalTime = "2026-12-31T00:00:00.000000000Z";
    /// The exception that would have opened the deny, had it not expired.
    44 expired "expired" verdict.expired: T = "ep:shop/own#d.except[0]";
    /// The exception that opened a deny that otherwise matched.
    45 exception "exception" verdict.exception: T = "ep:shop/own#d.except[1]";
    /// When that exception ends.
    46 exception_expires "exceptionExpires" verdict.exception_expires: OptionalTime
        = "2026-12-31T00:00:00.000000000Z";
    /// The file and line of the rule of `dryRun`, if it is another rule.
    47 dry_run_origin "dryRunOrigin" dry_run.origin: T, if OtherRule = "trial.yaml:12";
    /// The owner of that rule.
    48 dry_run_owner "dryRunOwner" dry_run.owner: T, if OtherRule = "team-security";
    /// The first AUDIT rule that marks the request; it changes no answer.
    49 audit_rule "auditRule" entry.audit_rule: T = "ap:istio-system/watch#0";
    /// `enforce`, or `report` if the server only records.
    50 enforcement "enforcement" entry.enforcement: Enforcement = "enforce";
    /// The policy set that decided; equal revisions give equal answers.
    51 revision "revision" entry.revision: T, metadata Always, otlp attribute
        = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    /// How long the decision took, in microseconds.
    52 duration_micros "durationMicros" entry.duration_micros: u32, if Check, even 0 = "18";
    /// The names of the fields that were truncated.
    53 truncated "truncated" optional.truncated: Names = "[\"path\"]";
    /// The names of the fields that were hashed or left out, as the settings ask.
    54 redacted "redacted" optional.redacted: Names = "[\"sourceAddress\"]";
    /// True if there was a TLS session in which the client sent no SNI.
    55 sni_absent "sniAbsent" optional.sni_absent: bool = "true";
    /// True if the check has addresses, and none of them has an IP address or a port: pipes,
    /// internal listeners.
    56 address_unreadable "addressUnreadable" optional.address_unreadable: bool = "true";
    /// The header `:authority`, or `host`, if it is not `rawHost`; it may be empty.
    57 authority_header "authorityHeader" optional.authority_header: OptionalText = "other.example";
    /// The URIs in the last element of `x-forwarded-client-cert`, if the identity was read from
    /// them or contradicts them; at most 8.
    58 certificate_uris "certificateUris" optional.certificate_uris: Texts, redact Principal
        = "[\"spiffe://cluster.local/ns/shop/sa/cart\"]";
    /// True if the caller gave up before the decision was recorded, and so did not get the answer:
    /// its stream was reset, or the time of its `grpc-timeout` had passed.
    59 caller_gone "callerGone" entry.caller_gone: bool, if Check = "true";
    /// Who sent the check, as proven to customs: the SPIFFE id in the client certificate of the
    /// connection, or `uid:` and the number of the user over a unix socket. Left out if the
    /// connection proves none; `gateway` is what the check says.
    150 peer_identity "peerIdentity" entry.peer_identity: T, if Check
        = "spiffe://cluster.local/ns/istio-system/sa/egress";
}

/// The parts of a decision that the rows name, and what decides which fields its record has.
pub(crate) struct Parts<'d> {
    entry: &'d DecisionEntry<Span>,
    verdict: &'d AnswerEntry<Span>,
    dry_run: &'d AnswerEntry<Span>,
    optional: &'d OptionalFields,
    is_check: bool,
    is_other_rule: bool,
}

impl<'d> Parts<'d> {
    /// The parts of a record of a check, or of the answer of a question.
    #[inline(always)]
    pub(crate) fn of(record: &'d DecisionRecord, is_check: bool) -> Parts<'d> {
        let entry = record.facts();
        let DecisionEntry {
            verdict, dry_run, ..
        } = entry;
        Parts {
            entry,
            verdict,
            dry_run,
            optional: entry.optional(),
            is_check,
            is_other_rule: record.text(dry_run.rule) != record.text(verdict.rule),
        }
    }

    #[inline(always)]
    fn has(&self, presence: Presence) -> bool {
        match presence {
            Presence::Always => true,
            Presence::Check => self.is_check,
            Presence::OtherRule => self.is_other_rule,
        }
    }

    fn is_in_scope(&self, scope: MetadataScope) -> bool {
        match scope {
            MetadataScope::Always => true,
            MetadataScope::IfValid => self.entry.identity == IdentityState::Valid,
        }
    }
}
