//! Whose request it was: the principal and the forwarded certificate of a check, rebuilt from a
//! record.
//!
//! A record does not say from which attribute the identity was read then, so that is concluded from
//! what it holds. The rule: an identity is rebuilt only if every setting of then that is possible
//! gives the same caller; otherwise it is missing. If the principal is redacted and the identity
//! was well-formed, only the service account is missing: the record keeps trust domain and
//! namespace.

use std::borrow::Cow;

use super::lengthened;
use super::missing::{MissingCause, MissingInput, RequestInput, UnanswerableError};
use super::recorded_inputs::RecordedInputs;
use customs_engine::identity::{IdentityState, InvalidIdentity};
use customs_engine::settings::{IdentitySource, Settings};

/// The account of a caller whose account the record lacks. It means nothing.
pub(super) const UNKNOWN_ACCOUNT: &str = "unknown";

/// One byte more than the longest identity that is read, so that it counts as too long.
const TOO_LONG: usize = 2049;

/// The fewest bytes of a certificate's URI that may have been cut.
const MAYBE_CUT: usize = 2045;

/// A header that cannot be read: its quote is not closed.
const UNREADABLE: &str = "\"";

/// The attributes of a check from which its identity is read.
#[derive(Clone, Debug)]
pub(super) struct RecordedIdentity<'r> {
    /// The principal.
    pub principal: Cow<'r, str>,
    /// The header with the forwarded certificate.
    pub certificate: Option<String>,
    /// The account, if the record lacks it.
    pub missing: Option<MissingInput>,
}

/// What the record says of the identity.
struct Known<'i, 'r> {
    inputs: &'i RecordedInputs<'r>,
    is_hidden: bool,
    has_uris: bool,
    is_mismatch: bool,
    is_unreadable: bool,
}

/// Rebuilds the identity for a set with these settings.
///
/// # Errors
/// If the whole identity is missing.
pub(super) fn rebuild<'r>(
    inputs: &RecordedInputs<'r>,
    settings: &Settings,
    are_settings_known: bool,
) -> Result<RecordedIdentity<'r>, UnanswerableError> {
    if !IdentityState::ALL
        .map(IdentityState::as_str)
        .contains(&inputs.identity)
    {
        return Err(RequestInput::Identity.lacking_alone(MissingCause::OtherVersion));
    }
    let is = |detail: InvalidIdentity| inputs.identity_detail == detail.as_str();
    let known = Known {
        inputs,
        is_hidden: ["principal", "serviceAccount", "certificateUris"]
            .iter()
            .any(|field| inputs.is_redacted(field)),
        has_uris: !inputs.certificate_uris.is_empty() || inputs.is_redacted("certificateUris"),
        is_mismatch: is(InvalidIdentity::XfccMismatch),
        is_unreadable: is(InvalidIdentity::XfccUnreadable),
    };
    let source = settings.identity_source;
    if inputs.protocol != "http" {
        // There is no header; if the identity were read from one, there would be none either.
        return known.without_certificate();
    }
    let then = if are_settings_known {
        Some(source)
    } else {
        known.source()
    };
    match (then, source) {
        (Some(IdentitySource::Principal), IdentitySource::Principal) => known.of_principal(),
        (Some(IdentitySource::Xfcc), IdentitySource::Xfcc) => known.of_certificate(),
        (Some(IdentitySource::Xfcc), IdentitySource::Principal) => {
            if known.is_hidden || known.is_unreadable {
                return Err(known.is_missing());
            }
            known.as_recorded()
        }
        (Some(IdentitySource::Principal), IdentitySource::Xfcc) => Err(known.is_missing()),
        (None, IdentitySource::Principal) => known.of_principal_in_doubt(),
        (None, IdentitySource::Xfcc) => known.of_certificate_in_doubt(),
    }
}

impl<'r> Known<'_, 'r> {
    /// Returns the attribute from which the identity was read, if the record shows it.
    fn source(&self) -> Option<IdentitySource> {
        if self.is_mismatch || self.is_unreadable {
            return None;
        }
        // Otherwise a record has the URIs only if the identity was read from them.
        if self.has_uris {
            return Some(IdentitySource::Xfcc);
        }
        let has_principal = !self.inputs.principal.is_empty() || self.is_hidden;
        match (self.is_absent(), has_principal) {
            (true, true) => Some(IdentitySource::Xfcc),
            (true, false) => None,
            (false, _) => Some(IdentitySource::Principal),
        }
    }

    fn is_absent(&self) -> bool {
        self.inputs.identity == IdentityState::Unauthenticated.as_str()
    }

    /// Returns that the identity is missing: redacted, or read with other settings.
    fn is_missing(&self) -> UnanswerableError {
        let cause = if self.is_hidden {
            MissingCause::Redacted
        } else {
            MissingCause::OtherSettings
        };
        RequestInput::Identity.lacking_alone(cause)
    }

    /// Returns the principal as sent, or one that is as invalid as it was.
    fn principal(&self) -> Result<(Cow<'r, str>, Option<MissingInput>), UnanswerableError> {
        let Known { inputs, .. } = self;
        if !self.is_hidden {
            let principal = match inputs.is_truncated("principal") {
                true => lengthened(inputs.principal, TOO_LONG),
                false => Cow::Borrowed(inputs.principal),
            };
            return Ok((principal, None));
        }
        let account = RequestInput::Account.lacking(MissingCause::Redacted);
        let (trust_domain, namespace) = (inputs.trust_domain, inputs.namespace);
        if !trust_domain.is_empty() && !namespace.is_empty() {
            let id = format!("spiffe://{trust_domain}/ns/{namespace}/sa/{UNKNOWN_ACCOUNT}");
            return Ok((id.into(), Some(account)));
        }
        match inputs.identity_detail {
            detail if detail == InvalidIdentity::TooLong.as_str() => {
                Ok((lengthened("", TOO_LONG), None))
            }
            "" => Err(self.is_missing()),
            _ => Ok(("redacted".into(), None)),
        }
    }

    fn without_certificate(&self) -> Result<RecordedIdentity<'r>, UnanswerableError> {
        let (principal, missing) = self.principal()?;
        Ok(RecordedIdentity {
            principal,
            certificate: None,
            missing,
        })
    }

    /// Returns an identity that is invalid whatever its parts are.
    fn invalid(&self, certificate: &str) -> Result<RecordedIdentity<'r>, UnanswerableError> {
        Ok(RecordedIdentity {
            principal: match self.is_hidden {
                true => "redacted".into(),
                false => self.principal()?.0,
            },
            certificate: Some(certificate.to_owned()),
            missing: None,
        })
    }

    /// Returns the principal and the certificate as the record has them.
    fn as_recorded(&self) -> Result<RecordedIdentity<'r>, UnanswerableError> {
        Ok(RecordedIdentity {
            certificate: self.certificate(),
            ..self.without_certificate()?
        })
    }

    /// Returns a header with the recorded URIs in its only element.
    fn certificate(&self) -> Option<String> {
        let uris = &self.inputs.certificate_uris;
        if self.is_unreadable || uris.iter().any(|uri| uri.contains(['"', '\\'])) {
            return Some(UNREADABLE.to_owned());
        }
        let may_be_cut = self.inputs.is_truncated("certificateUris");
        let pairs: Vec<String> = uris
            .iter()
            .map(|uri| match may_be_cut && uri.len() >= MAYBE_CUT {
                true => format!("URI=\"{}\"", lengthened(uri, TOO_LONG)),
                false => format!("URI=\"{uri}\""),
            })
            .collect();
        (!pairs.is_empty()).then(|| pairs.join(";"))
    }

    /// The identity was the principal, and still is.
    fn of_principal(&self) -> Result<RecordedIdentity<'r>, UnanswerableError> {
        if self.is_unreadable {
            return self.invalid(UNREADABLE);
        }
        match (self.is_mismatch, self.is_hidden) {
            (true, true) => self.invalid("URI=other"),
            (true, false) => self.as_recorded(),
            (false, _) => self.without_certificate(),
        }
    }

    /// The identity was in the certificate, and still is.
    fn of_certificate(&self) -> Result<RecordedIdentity<'r>, UnanswerableError> {
        if self.is_unreadable {
            return self.invalid(UNREADABLE);
        }
        if !self.is_hidden {
            return self.as_recorded();
        }
        if self.is_absent() {
            return Ok(RecordedIdentity {
                principal: "".into(),
                certificate: None,
                missing: None,
            });
        }
        if self.is_mismatch {
            return self.invalid("URI=one;URI=two");
        }
        let (uri, missing) = self.principal()?;
        Ok(RecordedIdentity {
            principal: "".into(),
            certificate: Some(format!("URI=\"{uri}\"")),
            missing,
        })
    }

    /// The identity is the principal; what it was is not known. The certificate invalidates it if
    /// its URIs are not exactly the principal.
    fn of_principal_in_doubt(&self) -> Result<RecordedIdentity<'r>, UnanswerableError> {
        if self.is_absent() {
            return self.without_certificate();
        }
        match (self.is_mismatch, self.is_hidden) {
            (true, true) => self.invalid("URI=other"),
            (true, false) => self.as_recorded(),
            // Read to its end for one setting, and to its last element for the other.
            (false, _) => Err(self.is_missing()),
        }
    }

    /// The identity is in the certificate; what it was is not known.
    fn of_certificate_in_doubt(&self) -> Result<RecordedIdentity<'r>, UnanswerableError> {
        if self.is_unreadable {
            return self.invalid(UNREADABLE);
        }
        let several = self.inputs.certificate_uris.len() > 1;
        let has_principal = !self.inputs.principal.is_empty() && !self.is_hidden;
        if self.is_mismatch && (several || has_principal) {
            return self.invalid("URI=one;URI=two");
        }
        Err(self.is_missing())
    }
}
