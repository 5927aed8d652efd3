//! The tables of every other record, and of the messages inside of records.
//!
//! A row is the only place where a field is declared, as in [`decision`](super::decision). The
//! structs `..Fields` are views: they show a value that another crate or another shape keeps as the
//! fields of its record. The rule: rows have the order of the numbers.

use std::borrow::Cow;

use prost::encoding::WireType;
use serde::de::MapAccess;

use super::borrowed::{BorrowedFields, BorrowedValue, NotBorrowed, ReadAs, Slot};
use super::decision::field as decision;
use super::value::{FieldValue, Names, Texts, Word, Writer};
use super::{FieldSpec, Message, Presence, RedactionClass};
use crate::DecisionRecord;
use crate::entry::RefusalCause;
use crate::proto;
use crate::record_encoder::RecordEncoder;
use customs_engine::enforcement::Enforcement;
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::{ChangeOutcome, PublishedFile};
use customs_policy::problem::{Code, Problem, Severity};

// Each row: the meaning as a doc comment; the number, or in brackets the table that has it; the
// name; with a number, the name in JSON; the type; `even 0` if a zero is written too; an example.
// `has time` adds the time of the record, which `RecordHead` writes.

message_fields! {
    /// What every record begins with.
    pub(crate) struct RecordHead<'a> = "Record" in head, read as HeadFields of Record {
        /// When it happened, UTC, by the server's clock.
        1 time "time": UnixNanos = "2026-11-23T12:00:00.123456789Z";
        /// What it is, of a closed list.
        2 kind "kind": Word = "decision";
        /// The stream that the record is part of: the output of one sink in one process. A random
        /// UUID.
        3 stream "stream": Cow<'a, str> = "5f0c8a52-9a55-4f3c-8a52-9a554f3c8a52";
        /// The number of the record in its stream, from 1 without a gap.
        4 sequence "sequence": u64 = "\"42\"";
    }
}

message_fields! {
    /// A header that a condition asks for, and which patterns of the policies it matches.
    #[derive(Clone, Debug, PartialEq)]
    pub struct HeaderEntry = "Header" in header, read as HeaderFields of Header {
        /// Its name, in lower case.
        1 name "name": String = "x-team";
        /// True if the request had it.
        2 present "present": bool = "true";
        /// The patterns of the policies that one of its values matches.
        3 matched "matched": Texts = "[\"payments*\"]";
        /// Its value, or its values joined with commas, only if `audit_log.header_values` names the
        /// header; at most 256 bytes; never that of a cookie or of an authorization header.
        4 value "value": String = "payments-eu";
        /// True if its value counts as unknown, which matches a DENY and never an ALLOW: it has
        /// more than 1,024 parts between commas or 64 KiB, or the check does not carry it.
        5 value_unknown "valueUnknown": bool = "true";
    }
}

message_fields! {
    /// A change of the policies, as a record lists it.
    pub(crate) struct PolicyChangeFields<'a> = "policyChange" in policy_change {
        /// The revision in force afterwards.
        (decision) revision: Cow<'a, str> = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        /// `published`; `published_in_part` (some source was refused); `refused` (nothing changed);
        /// `recovered` (nothing changed, and every source is good again); `warned` (nothing changed
        /// but the warnings).
        60 outcome "outcome": ChangeOutcome = "published";
        /// The revision in force before; `none` at the start.
        61 previous_revision "previousRevision": Cow<'a, str> = "none";
        /// The directories that keep their last good content, or isolate their namespace, and the
        /// settings file if the last settings stay.
        62 refused_sources "refusedSources": &'a [String] = "[\"policies\"]";
        /// What is wrong, and the warnings of what is in force; at most 50; see below.
        63 problems "problems": &'a [Problem] = "[{\"code\":\"bad-host\"}]";
        /// How many more there are.
        64 problems_left_out "problemsLeftOut": u32 = "3";
        /// Policies in force, of both families.
        65 policies "policies": u32, even 0 = "4";
        /// DENY rules of AuthorizationPolicies in force.
        66 istio_deny_rules "istioDenyRules": u32, even 0 = "1";
        /// ALLOW rules of AuthorizationPolicies in force.
        67 istio_allow_rules "istioAllowRules": u32, even 0 = "0";
        /// `deny` entries of EgressPolicies in force.
        68 egress_deny_rules "egressDenyRules": u32, even 0 = "2";
        /// `allow` entries of EgressPolicies in force.
        69 egress_allow_rules "egressAllowRules": u32, even 0 = "5";
        /// The files in force with their digests, source by source; see below.
        70 sources "sources": Vec<SourceFields<'a>> = "[{\"name\":\"policies\"}]";
    }
}

message_fields! {
    /// Something wrong with a policy, as a record lists it.
    pub(crate) struct ProblemFields<'a> = "Problem" in problem {
        /// Its code, of a closed list ([problem codes](problem-codes.md)).
        1 code "code": Code = "bad-host";
        /// `error`, `warning` or `note`.
        2 severity "severity": Severity = "error";
        /// The file; a directory if no file is meant.
        3 file "file": Cow<'a, str> = "policies/a.yaml";
        /// The line, from 1; left out if the problem is about the whole file.
        4 line "line": u32 = "3";
        /// The column, from 1.
        5 column "column": u32 = "9";
        /// What is wrong; cut after 1024 bytes, with `...` behind.
        6 text "text": Cow<'a, str> = "`http://x` is a URL";
        /// What to do, if there is advice; cut likewise.
        7 hint "hint": Cow<'a, str> = "write `x`";
    }
}

message_fields! {
    /// What is in force of one source of policies, as a record lists it.
    pub(crate) struct SourceFields<'a> = "PolicySource" in source {
        /// The directory, as it was given.
        1 name "name": Cow<'a, str> = "policies";
        /// The namespace that it is bound to; left out for a directory that is bound to none.
        2 namespace "namespace": Cow<'a, str> = "shop";
        /// Its files in force; a record lists at most 500; see below.
        3 files "files": &'a [PublishedFile] = "[{\"name\":\"team-shop/deny.yaml\"}]";
        /// How many more there are; the revision covers them too.
        4 files_left_out "filesLeftOut": u32 = "12";
    }
}

message_fields! {
    /// A policy file in force, as a record lists it.
    pub(crate) struct FileFields<'a> = "PolicyFile" in file {
        /// Its name inside the source.
        1 name "name": Cow<'a, str> = "team-shop/deny.yaml";
        /// The SHA-256 of its bytes, in lower-case hexadecimal digits.
        2 sha256 "sha256": String
            = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
    }
}

message_fields! {
    /// A question about a check that did not happen, and what it would have got. It is never
    /// counted as a decision.
    #[derive(Clone, Debug, PartialEq)]
    pub struct QuestionEntry = "question" in question, has time {
        /// The address and port of the operator's client, or `uid:` and the number of its user over
        /// a unix socket.
        80 asked_by "askedBy": String = "127.0.0.1:40312";
        /// The time that the query asks about; `time` unless the query names another.
        81 now "now": UnixNanos = "2026-12-31T00:00:00.000000000Z";
        /// The inputs and the answers, with the fields of a decision.
        82 answer "answer": DecisionRecord = "{\"effect\":\"allow\",\"verdict\":\"allow\"}";
    }
}

message_fields! {
    /// The end of a grant: from then on it opens nothing.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GrantExpiredEntry = "grantEnd" in grant_end, has time {
        /// The `allow` entry or the exception.
        (decision) rule: String = "ep:demo-frontend/egress#no-aliyun.except[0]";
        /// Its file and line.
        (decision) origin: String = "policies/a.yaml:12";
        /// The owner of the entry.
        (decision) owner: String = "team-network";
        /// Its ticket.
        (decision) ticket: String = "SEC-2211";
        /// Why it existed, in its author's words.
        (decision) rule_reason: String = "until the migration ends";
        /// The moment of its end; `time` is when it was seen.
        (decision) expires: UnixNanos = "2026-12-07T00:00:00.000000000Z";
        /// The revision in force.
        (decision) revision: String = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    }
}

message_fields! {
    /// The process starts: its first record.
    #[derive(Clone, Debug, PartialEq)]
    pub struct StartEntry = "start" in start, has time {
        /// `enforce`, or `report` if the server only records.
        (decision) enforcement: Enforcement = "enforce";
        /// The version that starts.
        90 version "version": Word = "0.1.0";
        /// The addresses on which it answers checks.
        91 listen "listen": Texts = "[\"127.0.0.1:9000\"]";
    }
}

message_fields! {
    /// The process stops in order: its last record.
    #[derive(Clone, Debug, PartialEq)]
    pub struct StopEntry = "stop" in stop, has time {
        /// The revision in force at the end.
        (decision) revision: String = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        /// Why it stops: a signal, or what ended by itself.
        92 cause "cause": String = "a signal";
        /// How many checks the process decided. Each is in a record or counted in a gap of every
        /// sink without a filter.
        93 decisions "decisions": u64, even 0 = "\"1031\"";
    }
}

message_fields! {
    /// The answer of a decision that is on record was withheld after all: its record was not on the
    /// disk in time.
    #[derive(Clone, Debug, PartialEq)]
    pub struct WithheldEntry = "withheld" in withheld, has time {
        /// The decision.
        (decision) decision_id: String = "019ab2c4-7f10-7c1e-9a55-0d6c5f1b2a34";
        /// Its number in the process.
        (decision) decision_number: u64 = "\"40\"";
        /// The reason that the caller got instead.
        (decision) reason: Word = "audit_unavailable";
    }
}

message_fields! {
    /// The caller of a decision that is on record gave up before it was answered: the record was
    /// written first, as an answer that waits for the disk needs it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct CallerGoneEntry = "callerGone" in caller_gone, has time {
        /// The decision.
        (decision) decision_id: String = "019ab2c4-7f10-7c1e-9a55-0d6c5f1b2a34";
        /// Its number in the process.
        (decision) decision_number: u64 = "\"40\"";
    }
}

message_fields! {
    /// What was refused before it was a check, over a while.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RefusalsEntry = "refusals" in refusals, has time {
        /// `refusals`, if the peers are hashed or left out.
        (decision) redacted: Names = "[\"refusals\"]";
        /// When the first of them happened.
        (gap) first: UnixNanos = "2026-11-23T12:00:07.000456789Z";
        /// When the last of them happened.
        (gap) last: UnixNanos = "2026-11-23T12:00:59.900456789Z";
        /// How many, by peer and cause; see below.
        140 refusals "refusals": Vec<RefusalCount> = "[{\"peer\":\"10.1.2.3\",\"count\":\"3\"}]";
    }
}

message_fields! {
    /// How often one peer was refused for one cause.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RefusalCount = "Refusal" in refusal {
        /// The peer's address without its port; `unix` on a unix socket; `other` for all peers
        /// beyond 256 pairs of a peer and a cause.
        1 peer "peer": String = "10.1.2.3";
        /// Why: one of [the causes](refusal-causes.md).
        2 cause "cause": RefusalCause = "message_too_large";
        /// How often.
        3 count "count": u64 = "\"3\"";
        /// What the first of them was, in a few words.
        4 example "example": String = "a message of 8388637 bytes";
    }
}

message_fields! {
    /// The beginning of a stream, as its record lists it.
    pub(crate) struct StreamFields<'a> = "stream" in stream {
        /// The sink, as the settings name it.
        100 sink "sink": Cow<'a, str> = "file:/var/log/customs/audit.jsonl";
        /// Which decisions it takes: `all`, `denies`, `dry-run-differs`, or `sample 1/N` of plain
        /// allows. A record that is not a decision always passes.
        101 filter "filter": Cow<'a, str> = "sample 1/100";
        /// `json` or `protobuf`.
        102 format "format": Word = "json";
        /// How the chain is made: `sha256`.
        103 hash "hash": Word = "sha256";
        /// The stream before; the stream itself if a file is continued in another; left out in the
        /// very first record.
        104 previous_stream "previousStream": Cow<'a, str> = "9d2e6f1a-0b1c-4d2e-8f3a-4b5c6d7e8f90";
        /// The number of that stream's last record.
        105 previous_sequence "previousSequence": u64 = "\"1045\"";
        /// The chain of that record, which the chain of this one continues.
        106 previous_chain "previousChain": Cow<'a, str> = "64 hexadecimal digits";
        /// The number of bytes of an unfinished record that an earlier process left, and that were
        /// cut off.
        107 torn_bytes "tornBytes": u64 = "\"120\"";
        /// What another process did with the file before, while customs wrote to it: `moved` or
        /// `deleted`; left out if customs itself closed it.
        108 previous_file "previousFile": Word = "deleted";
    }
}

message_fields! {
    /// Records that a sink did not get.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GapEntry = "gap" in gap, has time {
        /// How many, by class; see below.
        110 lost "lost": Loss = "{\"allows\":\"812\",\"denials\":\"3\"}";
        /// When the first of them happened.
        111 first "first": UnixNanos = "2026-11-23T12:00:01.000456789Z";
        /// When the last of them happened.
        112 last "last": UnixNanos = "2026-11-23T12:00:04.900456789Z";
    }
}

message_fields! {
    /// How many records were lost, by class.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Loss = "Loss" in loss {
        /// Decisions whose three answers are allow.
        1 allows "allows": u64 = "\"812\"";
        /// Decisions whose three answers are deny.
        2 denials "denials": u64 = "\"3\"";
        /// Decisions whose three answers differ.
        3 differing "differing": u64 = "\"1\"";
        /// Decisions whose answer was withheld, because it could not be recorded.
        4 withheld "withheld": u64 = "\"2\"";
        /// Records that are not decisions.
        5 events "events": u64 = "\"1\"";
    }
}

message_fields! {
    /// Records that a subscriber missed, because it was slower than the audit log.
    #[derive(Clone, Debug, PartialEq)]
    pub struct LagEntry = "lag" in lag, has time {
        /// The number of the first record that it missed, in its stream.
        120 missed_from "missedFrom": u64 = "\"48\"";
        /// The number of the last one.
        121 missed_to "missedTo": u64 = "\"1071\"";
    }
}

message_fields! {
    /// A checkpoint, as its record lists it.
    pub(crate) struct CheckpointFields<'a> = "checkpoint" in checkpoint {
        /// The stream that the checkpoint seals. It is not `stream` if the checkpoint was copied to
        /// another sink.
        130 sealed_stream "sealedStream": Cow<'a, str> = "5f0c8a52-9a55-4f3c-8a52-9a554f3c8a52";
        /// How many records it had.
        131 records "records": u64 = "\"10000\"";
        /// The chain of the last of them.
        132 head "head": Cow<'a, str> = "64 hexadecimal digits";
        /// True for the last checkpoint of a process that ended in order: nothing follows it in its
        /// stream.
        133 is_final "final": bool = "true";
        /// The first 16 digits of the SHA-256 of the public key, if checkpoints are signed.
        134 key "key": Cow<'a, str> = "0123456789abcdef";
        /// The Ed25519 signature, 128 hexadecimal digits, of the text that [the page about tamper
        /// evidence](../explanation/tamper-evidence.md) defines.
        135 signature "signature": Cow<'a, str> = "128 hexadecimal digits";
    }
}
