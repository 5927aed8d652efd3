//! What the doctor finds, and the one list of what it can find.
//!
//! It finds nothing itself. The rules: a code is stable, because pipelines compare it; and
//! docs/DOCTOR.md has a section for every code, which a test compares with the list.

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

/// Declares the codes with their names and severities.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $severity:ident,)+) => {
        /// What can be found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// Every code, in the order in which docs/DOCTOR.md lists them.
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            /// Returns the code's stable name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)+
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
    /// Something that was given cannot be read.
    UnreadableEvidence = "unreadable-evidence" Error,
    /// A replica of customs does not answer.
    ReplicaUnreachable = "replica-unreachable" Error,
    /// Something else than customs answers at an admin address.
    NotCustoms = "not-customs" Error,
    /// A replica is not ready for checks.
    ReplicaNotReady = "replica-not-ready" Error,
    /// Replicas have different revisions in force.
    RevisionsDiffer = "revisions-differ" Error,
    /// Replicas enforce differently.
    ModesDiffer = "modes-differ" Error,
    /// Replicas have different versions.
    VersionsDiffer = "versions-differ" Warning,
    /// A source of a replica is refused.
    SourceRefused = "source-refused" Error,
    /// A sink of the audit log does not accept records.
    AuditUnhealthy = "audit-unhealthy" Error,
    /// Verdicts are recorded and not enforced.
    NotEnforced = "not-enforced" Note,
    /// A clock differs from the others.
    ClockSkew = "clock-skew" Warning,
    /// A certificate has expired.
    CertificateExpired = "certificate-expired" Error,
    /// A certificate should have been renewed by now.
    CertificateExpiresSoon = "certificate-expires-soon" Warning,
    /// Files of certificates are refused.
    CertificateRefused = "certificate-refused" Warning,
    /// No provider of the mesh configuration names customs.
    ProviderMissing = "provider-missing" Error,
    /// A CUSTOM policy names a provider that the mesh does not have.
    ProviderUnknown = "provider-unknown" Error,
    /// The name of a provider is none that Istio takes.
    ProviderNameInvalid = "provider-name-invalid" Error,
    /// The name of a provider is the beginning of another's.
    ProviderNamePrefix = "provider-name-prefix" Warning,
    /// The service of the provider does not exist.
    ProviderServiceUnknown = "provider-service-unknown" Error,
    /// The service of the provider does not have the port.
    ProviderPortUnknown = "provider-port-unknown" Error,
    /// CUSTOM policies of one gateway name several providers.
    SeveralProviders = "several-providers" Error,
    /// The gateway denies everything, because Istio could not make a CUSTOM policy work.
    CustomActionRejected = "custom-action-rejected" Error,
    /// The provider has no timeout.
    TimeoutMissing = "timeout-missing" Error,
    /// The timeout is long.
    TimeoutLong = "timeout-long" Warning,
    /// The timeout is shorter than checks take.
    TimeoutShort = "timeout-short" Warning,
    /// Requests pass if customs does not answer.
    FailOpen = "fail-open" Warning,
    /// A failure looks like a denial.
    StatusOnErrorMissing = "status-on-error-missing" Warning,
    /// The status for failures is none that Envoy knows.
    StatusOnErrorInvalid = "status-on-error-invalid" Error,
    /// A CUSTOM rule does not match every request.
    CustomRuleNarrow = "custom-rule-narrow" Error,
    /// A gateway does not ask customs at all.
    GatewayNotSelected = "gateway-not-selected" Error,
    /// Some filter chains of a gateway do not ask customs.
    ChainNotAsking = "chain-not-asking" Error,
    /// A gateway passes connections on by their SNI, which Istio never authorizes.
    AutoPassthrough = "auto-passthrough" Error,
    /// A route turns the filter off.
    RouteNotAsking = "route-not-asking" Error,
    /// The cluster of customs does not use HTTP/2.
    Http2Missing = "http2-missing" Error,
    /// Envoy's calls name a cluster in place of a host.
    AuthorityMissing = "authority-missing" Note,
    /// Callers come to the gateway in plain text.
    NoPrincipalPlaintext = "no-principal-plaintext" Error,
    /// The gateway passes the application's TLS through.
    NoPrincipalPassthrough = "no-principal-passthrough" Warning,
    /// The gateway is a waypoint, which does not tell who calls.
    NoPrincipalWaypoint = "no-principal-waypoint" Error,
    /// Callers are not known, and nothing that was given says why.
    NoPrincipal = "no-principal" Error,
    /// Callers have identities that customs does not accept.
    IdentityNotAccepted = "identity-not-accepted" Warning,
    /// TLS is wrapped in mutual TLS without the name of its host.
    SniMissing = "sni-missing" Error,
    /// Envoy is older than fixes that matter here.
    EnvoyOutdated = "envoy-outdated" Warning,
    /// Checks failed, so customs did not decide.
    ChecksFailed = "checks-failed" Error,
    /// Requests passed that customs did not decide.
    PassedUnchecked = "passed-unchecked" Error,
    /// Requests passed the filter without a question.
    NotAsked = "not-asked" Error,
    /// Envoy and customs count different numbers of answers.
    CountsDiffer = "counts-differ" Warning,
    /// The audit log has fewer records than customs made decisions.
    RecordsMissing = "records-missing" Error,
    /// Rules in force that no request ever hit.
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
