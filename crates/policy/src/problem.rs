//! A problem of a policy file: what is wrong, where it is, and how to fix it.
//!
//! Codes are stable names: each has a section in docs/POLICY.md. A problem only reports.
//! [`compile`](super::compile) decides whether a set may be published: it must have no errors.

use std::fmt;

use crate::language::LanguageVersion;

pub use customs_engine::place::Place;

/// Declares the codes once, with their names. `#[since(0, 2)]` says which version brought a code, if
/// it was not the first.
macro_rules! codes {
    (@since) => { LanguageVersion::FIRST };
    (@since $major:literal, $minor:literal) => { LanguageVersion::new($major, $minor) };
    ($(
        $(#[doc = $doc:literal])+
        $(#[since($major:literal, $minor:literal)])?
        $variant:ident => $name:literal,
    )+) => {
        /// The kind of a problem.
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

            /// The version of the policy language that brought the code.
            pub fn since(self) -> LanguageVersion {
                match self {
                    $(Code::$variant => codes!(@since $($major, $minor)?),)+
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
    /// The text is not valid YAML.
    YamlSyntax => "yaml-syntax",
    /// A key occurs twice in one mapping.
    DuplicateKey => "duplicate-key",
    /// The document is of an unknown kind.
    UnknownKind => "unknown-kind",
    /// A field that does not exist.
    UnknownField => "unknown-field",
    /// A required field is missing.
    MissingField => "missing-field",
    /// An AuthorizationPolicy without a namespace, read as the Kubernetes API reads it.
    DefaultNamespace => "default-namespace",
    /// A value of another type than the field has.
    WrongType => "wrong-type",
    /// An empty list, mapping or text, which would silently mean everything or nothing.
    EmptyValue => "empty-value",
    /// A value that the field does not accept.
    BadValue => "bad-value",
    /// A name that Kubernetes would not accept.
    BadName => "bad-name",
    /// A host that cannot be read.
    BadHost => "bad-host",
    /// A host that is understood but spelt oddly.
    HostSpelling => "host-spelling",
    /// A listener port that is not a number from 0 to 65535.
    BadPort => "bad-port",
    /// A path that no request could have.
    BadPath => "bad-path",
    /// A method that no request could have.
    BadMethod => "bad-method",
    /// A principal, namespace, account or trust domain that no caller could have.
    BadIdentity => "bad-identity",
    /// An address or range that cannot be read.
    BadAddress => "bad-address",
    /// A field or value that a later version refuses.
    Deprecated => "deprecated",
    /// A field or value that the target of `customs lint --target` does not have.
    NewerThanTarget => "newer-than-target",
    /// Two fields that exclude each other.
    Conflict => "conflict",
    /// The same policy or entry occurs twice.
    Duplicate => "duplicate",
    /// A policy that does nothing.
    EmptyPolicy => "empty-policy",
    /// A DestinationSet that does not exist.
    MissingSet => "missing-set",
    /// A DestinationSet that hides one of the root namespace.
    HiddenSet => "hidden-set",
    /// A policy that selects callers of another namespace.
    NotYours => "not-yours",
    /// A policy that is beside the namespace directories instead of in one of them.
    Misplaced => "misplaced",
    /// Something that looks like a policy and is not read.
    NotRead => "not-read",
    /// A setting that cannot be read, is wrong, or would break what is in force.
    BadSetting => "bad-setting",
    /// A setting that changed while running.
    SettingChanged => "setting-changed",
    /// A key that a check cannot answer, and that would therefore never match.
    Unanswerable => "unanswerable",
    /// An object that customs does not read.
    NotOurs => "not-ours",
    /// A selector or target that is not used because no gateway is declared.
    SelectorUnused => "selector-unused",
    /// A policy that selects other workloads than the declared gateway.
    OutOfScope => "out-of-scope",
    /// A foreign trust domain is accepted because a rule names it.
    TrustDomainAccepted => "trust-domain-accepted",
    /// A rule that no request can match.
    NeverMatches => "never-matches",
    /// A rule that another of its kind covers.
    Covered => "covered",
    /// A grant that a deny always overrides.
    AlwaysDenied => "always-denied",
    /// A team's deny over a grant of the root namespace.
    GrantOverruled => "grant-overruled",
    /// A grant that has ended.
    Expired => "expired",
    /// A grant that ends soon.
    ExpiresSoon => "expires-soon",
    /// A DestinationSet that no policy names.
    UnusedSet => "unused-set",
    /// A grant that no Istio ALLOW policy permits.
    IstioGateClosed => "istio-gate-closed",
    /// A set that isolates callers but does not name callers without a valid identity.
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
    /// An ALLOW that admits every caller except a few.
    OnlyExclusions => "only-exclusions",
    /// An `Enforce` of a deny whose policy only reports.
    ModeOverruled => "mode-overruled",
    /// A policy that selects the callers of its own namespace only, because it names no namespace.
    OwnCallersOnly => "own-callers-only",
    /// A policy that marks requests and denies none.
    AuditOnly => "audit-only",
    /// A host that other YAML readers parse as a boolean or null.
    YamlWord => "yaml-word",
    /// A guard that the policies break.
    GuardBroken => "guard-broken",
    /// A guard of which it is not known whether the policies keep it.
    GuardNotProved => "guard-not-proved",
    /// Two guards that no set of policies can keep.
    GuardConflict => "guard-conflict",
    /// A guard that covers no request.
    EmptyGuard => "empty-guard",
    /// Findings that are omitted because the set is too large or there are too many.
    LeftOff => "left-off",
}

/// Whether a problem keeps a source from loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The source is refused.
    Error,
    /// The source loads, but its author should look at it.
    Warning,
    /// The source loads; the information may be useful.
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
    /// Its kind.
    pub code: Code,
    /// Whether it keeps the source from loading.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What is wrong, in one sentence without a full stop; the offending text is in backticks.
    pub text: String,
    /// What was probably meant, or what to do, if known.
    pub hint: Option<String>,
}

impl Problem {
    /// Creates an error.
    pub fn error(code: Code, place: Place, text: impl Into<String>) -> Problem {
        Problem {
            code,
            severity: Severity::Error,
            place,
            text: shortened(text.into()),
            hint: None,
        }
    }

    /// Creates a warning.
    pub fn warning(code: Code, place: Place, text: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Warning,
            ..Problem::error(code, place, text)
        }
    }

    /// Creates a note.
    pub fn note(code: Code, place: Place, text: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Note,
            ..Problem::error(code, place, text)
        }
    }

    /// Adds advice.
    pub fn hint(self, hint: impl Into<String>) -> Problem {
        Problem {
            hint: Some(shortened(hint.into())),
            ..self
        }
    }

    /// Adds advice, if there is any.
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

/// The longest text of a problem, in bytes. It fits the longest name and what is wrong with it.
const LONGEST: usize = 2048;

/// Shortens a text to its beginning and its end, because files may hold values of any length.
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
