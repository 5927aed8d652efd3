//! The inputs of a decision that a record may lack, and why it does.
//!
//! An input is named by the field of the record that would hold it.

use std::fmt;

/// An input of a decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestInput {
    /// `http` or `tcp`.
    Protocol,
    /// The whole identity of the caller.
    Identity,
    /// The service account of a caller whose namespace is known.
    Account,
    /// The host.
    Host,
    /// The address of the connection's peer.
    SourceAddress,
    /// The address of the client behind trusted proxies.
    RemoteAddress,
    /// The address of the gateway's listener.
    DestinationAddress,
    /// The port of the gateway's listener.
    ListenerPort,
    /// The SNI of the TLS session.
    Sni,
    /// The method.
    Method,
    /// The path.
    Path,
    /// A header, by its name in lower case.
    Header(String),
}

impl RequestInput {
    /// Returns the name of the field.
    pub fn field(&self) -> &'static str {
        match self {
            RequestInput::Protocol => "protocol",
            RequestInput::Identity => "principal",
            RequestInput::Account => "serviceAccount",
            RequestInput::Host => "rawHost",
            RequestInput::SourceAddress => "sourceAddress",
            RequestInput::RemoteAddress => "remoteAddress",
            RequestInput::DestinationAddress => "destinationAddress",
            RequestInput::ListenerPort => "listenerPort",
            RequestInput::Sni => "sni",
            RequestInput::Method => "method",
            RequestInput::Path => "path",
            RequestInput::Header(_) => "headers",
        }
    }

    /// Returns that this input is missing.
    pub(super) fn lacking(self, cause: MissingCause) -> MissingInput {
        MissingInput { input: self, cause }
    }

    /// Returns the error for a request that no set can decide without this input.
    pub(super) fn lacking_alone(self, cause: MissingCause) -> UnanswerableError {
        UnanswerableError {
            missing: vec![self.lacking(cause)],
        }
    }
}

/// The name of the field; of a header, its own name as well.
impl fmt::Display for RequestInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestInput::Header(name) => write!(f, "headers[{name}]"),
            _ => f.write_str(self.field()),
        }
    }
}

/// Why a record lacks an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MissingCause {
    /// The settings had it hashed or left out.
    Redacted,
    /// It was longer than a record holds.
    Truncated,
    /// The set in force then did not ask for it.
    NotRecorded,
    /// The record says that the header was present, and not which values it had.
    ValueNotRecorded,
    /// The condition compares the path with its query, which no record holds.
    QueryNotRecorded,
    /// Its text cannot be read.
    Unreadable,
    /// It follows from settings which the set in force then did not have.
    OtherSettings,
    /// The record was written by a version that knows other words.
    OtherVersion,
}

impl MissingCause {
    /// Every cause, in the order in which reports list them.
    pub const ALL: [MissingCause; 8] = [
        MissingCause::Redacted,
        MissingCause::Truncated,
        MissingCause::NotRecorded,
        MissingCause::ValueNotRecorded,
        MissingCause::QueryNotRecorded,
        MissingCause::Unreadable,
        MissingCause::OtherSettings,
        MissingCause::OtherVersion,
    ];

    /// Returns the name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            MissingCause::Redacted => "redacted",
            MissingCause::Truncated => "truncated",
            MissingCause::NotRecorded => "notRecorded",
            MissingCause::ValueNotRecorded => "valueNotRecorded",
            MissingCause::QueryNotRecorded => "queryNotRecorded",
            MissingCause::Unreadable => "unreadable",
            MissingCause::OtherSettings => "otherSettings",
            MissingCause::OtherVersion => "otherVersion",
        }
    }

    /// Says it to people.
    pub fn in_words(self) -> &'static str {
        match self {
            MissingCause::Redacted => "is redacted",
            MissingCause::Truncated => "is truncated",
            MissingCause::NotRecorded => {
                "is not recorded, because the policies of then did not ask for it"
            }
            MissingCause::ValueNotRecorded => {
                "is recorded without its exact values (`audit_log.header_values`)"
            }
            MissingCause::QueryNotRecorded => "is recorded without its query",
            MissingCause::Unreadable => "cannot be read",
            MissingCause::OtherSettings => "was read with other settings",
            MissingCause::OtherVersion => "is of another version of customs",
        }
    }
}

/// An input that a record lacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MissingInput {
    /// The input.
    pub input: RequestInput,
    /// Why the record lacks it.
    pub cause: MissingCause,
}

impl fmt::Display for MissingInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.input, self.cause.in_words())
    }
}

/// A recorded request that a policy set cannot decide again, because the answer depends on what the
/// record lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", in_words(.missing))]
pub struct UnanswerableError {
    /// What it lacks, in order; never empty.
    pub missing: Vec<MissingInput>,
}

fn in_words(missing: &[MissingInput]) -> String {
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    missing.join("; ")
}
