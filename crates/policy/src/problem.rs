//! A problem of a policy file: what, where, what was meant, and what to do.
//!
//! Codes are stable names: each has a section in docs/POLICY.md. A problem only tells; whether a set may be published
//! is decided by the presence of errors, in [`compile`](super::compile).

use std::fmt;

pub use customs_engine::place::Place;

/// Declares the codes once, with their names.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+) => {
        /// What kind of problem it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order in which docs/POLICY.md lists them.
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            /// The code's stable name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)+
                }
            }
        }
    };
}

codes! {
    /// A directory or file cannot be read.
    Unreadable => "unreadable",
    /// A source has no policy document.
    NoPolicy => "no-policy",
    /// A file or set is larger than the limits.
    TooLarge => "too-large",
    /// The text is no YAML.
    YamlSyntax => "yaml-syntax",
    /// A key stands twice in one mapping.
    DuplicateKey => "duplicate-key",
    /// The document is of a kind that is not known here.
    UnknownKind => "unknown-kind",
    /// A field that does not exist.
    UnknownField => "unknown-field",
    /// A field that must be there is not.
    MissingField => "missing-field",
    /// An AuthorizationPolicy without a namespace, read as the Kubernetes API reads it.
    DefaultNamespace => "default-namespace",
    /// A value of another type than the field has.
    WrongType => "wrong-type",
    /// An empty list, mapping or text, which would silently mean everything or nothing.
    EmptyValue => "empty-value",
    /// A value that the field does not have.
    BadValue => "bad-value",
    /// A name that Kubernetes would not accept.
    BadName => "bad-name",
    /// A host that cannot be read.
    BadHost => "bad-host",
    /// A host that is understood but spelt oddly.
    HostSpelling => "host-spelling",
    /// A listener port that is no number from 0 to 65535.
    BadPort => "bad-port",
    /// A path that no request could have.
    BadPath => "bad-path",
    /// A method that no request could have.
    BadMethod => "bad-method",
    /// A principal, namespace, account or trust domain that no caller could have.
    BadIdentity => "bad-identity",
    /// An address or range that cannot be read.
    BadAddress => "bad-address",
    /// Two fields that exclude each other.
    Conflict => "conflict",
    /// The same policy or entry stands twice.
    Duplicate => "duplicate",
    /// A policy that does nothing.
    EmptyPolicy => "empty-policy",
    /// A DestinationSet that does not exist.
    MissingSet => "missing-set",
    /// A DestinationSet that hides one of the root namespace.
    HiddenSet => "hidden-set",
    /// A policy that speaks for callers of another namespace.
    NotYours => "not-yours",
    /// A policy that lies beside the directories of namespaces and in none of them.
    Misplaced => "misplaced",
    /// Something that looks like a policy and is not read.
    NotRead => "not-read",
    /// A setting that cannot be read, is wrong, or would break what is in force.
    BadSetting => "bad-setting",
    /// A setting that changed while running.
    SettingChanged => "setting-changed",
    /// A key that a check cannot answer, and that would therefore never match.
    Unanswerable => "unanswerable",
    /// An object that is meant for somebody else.
    NotOurs => "not-ours",
    /// A selector or target that is not used because no gateway is declared.
    SelectorUnused => "selector-unused",
    /// A policy that is for other workloads than the declared gateway.
    OutOfScope => "out-of-scope",
    /// A foreign trust domain is accepted because a rule names it.
    TrustDomainAccepted => "trust-domain-accepted",
    /// A rule that no request can match.
    NeverMatches => "never-matches",
    /// A rule that another of its kind covers.
    Covered => "covered",
    /// A grant that a deny always beats.
    AlwaysDenied => "always-denied",
    /// A team's deny over a grant of the root namespace.
    GrantOverruled => "grant-overruled",
    /// A grant that has ended.
    Expired => "expired",
    /// A grant that ends soon.
    ExpiresSoon => "expires-soon",
    /// A DestinationSet that no policy names.
    UnusedSet => "unused-set",
    /// A grant that no ALLOW of Istio lets through.
    IstioGateClosed => "istio-gate-closed",
    /// A set that isolates somebody and says nothing of callers without a valid identity.
    UnauthenticatedUnsaid => "unauthenticated-unsaid",
    /// Callers without a valid identity may go where an isolated caller may not.
    UnauthenticatedFreer => "unauthenticated-freer",
    /// A grant with a port that covers less than it seems to.
    NarrowPort => "narrow-port",
    /// A deny with a port that a request without one passes.
    DenyPassedWithoutPort => "deny-passed-without-port",
    /// A range that matches addresses only, never a name that resolves into it.
    AddressOnly => "address-only",
    /// A deny for HTTP that denies every TCP connection too.
    DeniesAllTcp => "denies-all-tcp",
    /// An ALLOW that lets in everybody but a few.
    OnlyExclusions => "only-exclusions",
    /// An `Enforce` of a deny whose policy only reports.
    ModeOverruled => "mode-overruled",
    /// A policy that is about the callers of its own namespace alone, where a namespace was left out.
    OwnCallersOnly => "own-callers-only",
    /// A policy that marks requests and denies none.
    AuditOnly => "audit-only",
    /// A host that other readers of YAML take for something else.
    YamlWord => "yaml-word",
    /// Findings that were left off, because the set is too large or they are too many.
    LeftOff => "left-off",
}

/// Whether a problem keeps a source from loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The source is refused.
    Error,
    /// It loads, and somebody should look.
    Warning,
    /// It loads; worth knowing.
    Note,
}

impl Severity {
    /// The name in messages and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind it is.
    pub code: Code,
    /// Whether it keeps the source from loading.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What is wrong, in one sentence without its full stop; the offending text stands in backticks.
    pub text: String,
    /// What was meant or what to do, if that can be said.
    pub hint: Option<String>,
}

impl Problem {
    /// An error.
    pub fn error(code: Code, place: Place, text: impl Into<String>) -> Problem {
        Problem {
            code,
            severity: Severity::Error,
            place,
            text: shortened(text.into()),
            hint: None,
        }
    }

    /// A warning.
    pub fn warning(code: Code, place: Place, text: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Warning,
            ..Problem::error(code, place, text)
        }
    }

    /// A note.
    pub fn note(code: Code, place: Place, text: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Note,
            ..Problem::error(code, place, text)
        }
    }

    /// The same problem with advice.
    pub fn hint(self, hint: impl Into<String>) -> Problem {
        Problem {
            hint: Some(shortened(hint.into())),
            ..self
        }
    }

    /// The same problem with advice, if there is any.
    pub fn advised(self, hint: Option<String>) -> Problem {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Whether it keeps the source from loading.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The longest text of a problem, in bytes: room for the longest name and what is wrong with it.
const LONGEST: usize = 2048;

/// Files may hold values of any length; a problem shows the beginning and the end of a text.
fn shortened(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let (head, tail) = (
        text.floor_char_boundary(LONGEST / 2),
        text.ceil_char_boundary(text.len() - LONGEST / 4),
    );
    let (head, tail) = (
        text.get(..head).unwrap_or_default(),
        text.get(tail..).unwrap_or_default(),
    );
    format!("{head} [...] {tail}")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}[{}]: {}",
            self.place,
            self.severity.as_str(),
            self.code.as_str(),
            self.text
        )?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_keep_their_beginning_and_their_end() {
        let problem = |value: &str| {
            Problem::error(
                Code::BadHost,
                Place::whole("f"),
                format!("`{value}`: a URL"),
            )
            .hint(format!("write `{value}`"))
        };
        assert!(
            problem(&"\u{fc}".repeat(900))
                .text
                .ends_with("\u{fc}`: a URL")
        );
        let long = problem(&"\u{fc}".repeat(100_000));
        assert!(
            long.text.starts_with("`\u{fc}") && long.text.ends_with("\u{fc}`: a URL"),
            "{long}"
        );
        assert!(
            long.text.contains(" [...] ") && long.to_string().len() < 4_000,
            "{}",
            long.to_string().len()
        );
    }
}
