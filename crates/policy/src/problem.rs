//! A problem of a policy file: what is wrong, where it is, and how to fix it.
//!
//! Codes are stable names. The page of each is `problem/explanations/CODE.md`: `customs explain`
//! prints it, the reference is made of it, and the documentation of the variant shows it. A problem
//! only reports. [`compile`](super::compile) decides whether a set may be published: it must have no
//! errors.

pub(crate) mod fix;

use std::fmt;

use crate::language::LanguageVersion;

pub use customs_engine::place::Place;
pub use fix::{Fix, FixChange};

/// Declares the codes once, with their names. `#[since(0, 2)]` says which version brought a code, if
/// it was not the first. A code without its page does not compile.
macro_rules! codes {
    (@since) => { LanguageVersion::FIRST };
    (@since $major:literal, $minor:literal) => { LanguageVersion::new($major, $minor) };
    ($(
        $(#[since($major:literal, $minor:literal)])?
        $variant:ident => $name:literal,
    )+) => {
        /// The kind of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = include_str!(concat!("problem/explanations/", $name, ".md"))] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            /// The code's stable name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)+
                }
            }

            /// The page that explains the code, as Markdown: what it means in one line, then its
            /// severity, an example and how to fix it.
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Code::$variant => {
                        include_str!(concat!("problem/explanations/", $name, ".md"))
                    })+
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
    Unreadable => "unreadable",
    NoPolicy => "no-policy",
    TooLarge => "too-large",
    YamlSyntax => "yaml-syntax",
    DuplicateKey => "duplicate-key",
    UnknownKind => "unknown-kind",
    UnknownField => "unknown-field",
    MissingField => "missing-field",
    DefaultNamespace => "default-namespace",
    WrongType => "wrong-type",
    EmptyValue => "empty-value",
    BadValue => "bad-value",
    BadName => "bad-name",
    BadHost => "bad-host",
    HostSpelling => "host-spelling",
    BadPort => "bad-port",
    BadPath => "bad-path",
    BadMethod => "bad-method",
    BadIdentity => "bad-identity",
    BadAddress => "bad-address",
    Deprecated => "deprecated",
    NewerThanTarget => "newer-than-target",
    Conflict => "conflict",
    Duplicate => "duplicate",
    EmptyPolicy => "empty-policy",
    MissingSet => "missing-set",
    HiddenSet => "hidden-set",
    NotYours => "not-yours",
    Misplaced => "misplaced",
    NotRead => "not-read",
    BadSetting => "bad-setting",
    SettingChanged => "setting-changed",
    Unanswerable => "unanswerable",
    NotOurs => "not-ours",
    SelectorUnused => "selector-unused",
    OutOfScope => "out-of-scope",
    TrustDomainAccepted => "trust-domain-accepted",
    NeverMatches => "never-matches",
    Covered => "covered",
    AlwaysDenied => "always-denied",
    GrantOverruled => "grant-overruled",
    Expired => "expired",
    ExpiresSoon => "expires-soon",
    UnusedSet => "unused-set",
    IstioGateClosed => "istio-gate-closed",
    UnauthenticatedUnsaid => "unauthenticated-unsaid",
    UnauthenticatedFreer => "unauthenticated-freer",
    NarrowPort => "narrow-port",
    DenyPassedWithoutPort => "deny-passed-without-port",
    AddressOnly => "address-only",
    DeniesAllTcp => "denies-all-tcp",
    OnlyExclusions => "only-exclusions",
    ModeOverruled => "mode-overruled",
    OwnCallersOnly => "own-callers-only",
    AuditOnly => "audit-only",
    YamlWord => "yaml-word",
    GuardBroken => "guard-broken",
    GuardNotProved => "guard-not-proved",
    GuardConflict => "guard-conflict",
    EmptyGuard => "empty-guard",
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
    /// What to write instead, if only one thing can be meant.
    pub fix: Option<Box<Fix>>,
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
            fix: None,
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

    /// Adds a fix, if there is one.
    pub fn fix(self, fix: impl Into<Option<Fix>>) -> Problem {
        Problem {
            fix: fix.into().map(Box::new),
            ..self
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
