//! What the doctor finds, and the one list of what it can find.
//!
//! It finds nothing itself. A code is stable, because pipelines compare it. The page of each is
//! `finding/explanations/CODE.md`: `customs explain` prints it, the reference is made of it, and the
//! documentation of the variant shows it.

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Requests pass that nobody judged, or are refused that nobody denied.
    Error,
    /// It will become an error, or it makes one harder to see.
    Warning,
    /// Something to know; it does not change the exit code.
    Note,
}

impl Severity {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// Declares the codes with their names and severities. A code without its page does not compile.
macro_rules! codes {
    ($($variant:ident = $name:literal $severity:ident,)+) => {
        /// What can be found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = include_str!(concat!("finding/explanations/", $name, ".md"))] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            /// Returns the code's stable name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)+
                }
            }

            /// Returns the page that explains the code, as Markdown: what it means in one line,
            /// then more about it and how to fix it.
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Code::$variant => {
                        include_str!(concat!("finding/explanations/", $name, ".md"))
                    })+
                }
            }

            /// Returns how much such a finding matters.
            pub fn severity(self) -> Severity {
                match self {
                    $(Code::$variant => Severity::$severity,)+
                }
            }
        }
    };
}

codes! {
    UnreadableEvidence = "unreadable-evidence" Error,
    ReplicaUnreachable = "replica-unreachable" Error,
    NotCustoms = "not-customs" Error,
    ReplicaNotReady = "replica-not-ready" Error,
    RevisionsDiffer = "revisions-differ" Error,
    ModesDiffer = "modes-differ" Error,
    VersionsDiffer = "versions-differ" Warning,
    SourceRefused = "source-refused" Error,
    AuditUnhealthy = "audit-unhealthy" Error,
    NotEnforced = "not-enforced" Note,
    ClockSkew = "clock-skew" Warning,
    CertificateExpired = "certificate-expired" Error,
    CertificateExpiresSoon = "certificate-expires-soon" Warning,
    CertificateRefused = "certificate-refused" Warning,
    ProviderMissing = "provider-missing" Error,
    ProviderUnknown = "provider-unknown" Error,
    ProviderNameInvalid = "provider-name-invalid" Error,
    ProviderNamePrefix = "provider-name-prefix" Warning,
    ProviderServiceUnknown = "provider-service-unknown" Error,
    ProviderPortUnknown = "provider-port-unknown" Error,
    SeveralProviders = "several-providers" Error,
    CustomActionRejected = "custom-action-rejected" Error,
    TimeoutMissing = "timeout-missing" Error,
    TimeoutLong = "timeout-long" Warning,
    TimeoutShort = "timeout-short" Warning,
    FailOpen = "fail-open" Warning,
    StatusOnErrorMissing = "status-on-error-missing" Warning,
    StatusOnErrorInvalid = "status-on-error-invalid" Error,
    CustomRuleNarrow = "custom-rule-narrow" Error,
    GatewayNotSelected = "gateway-not-selected" Error,
    ChainNotAsking = "chain-not-asking" Error,
    AutoPassthrough = "auto-passthrough" Error,
    RouteNotAsking = "route-not-asking" Error,
    Http2Missing = "http2-missing" Error,
    AuthorityMissing = "authority-missing" Note,
    NoPrincipalPlaintext = "no-principal-plaintext" Error,
    NoPrincipalPassthrough = "no-principal-passthrough" Warning,
    NoPrincipalWaypoint = "no-principal-waypoint" Error,
    NoPrincipal = "no-principal" Error,
    IdentityNotAccepted = "identity-not-accepted" Warning,
    SniMissing = "sni-missing" Error,
    EnvoyOutdated = "envoy-outdated" Warning,
    ChecksFailed = "checks-failed" Error,
    PassedUnchecked = "passed-unchecked" Error,
    NotAsked = "not-asked" Error,
    CountsDiffer = "counts-differ" Warning,
    RecordsMissing = "records-missing" Error,
    RulesUnused = "rules-unused" Note,
}

/// One thing that is wrong, or that is good to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// What it is about: a provider, a proxy, a replica.
    pub subject: String,
    /// What was seen, and where.
    pub evidence: Vec<String>,
    /// What it means, in a sentence or two.
    pub meaning: String,
    /// What to do: a sentence, and a command or a snippet below it.
    pub remedy: String,
    /// What else was seen that this explains.
    pub consequences: Vec<String>,
}

impl Finding {
    /// Returns a finding with one piece of evidence.
    pub fn new(
        code: Code,
        subject: impl Into<String>,
        evidence: impl Into<String>,
        meaning: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            code,
            subject: subject.into(),
            evidence: vec![evidence.into()],
            meaning: meaning.into(),
            remedy: remedy.into(),
            consequences: Vec::new(),
        }
    }
}
