//! Certificates that have expired, or that should have been renewed by now.
//!
//! A certificate is renewed in time if a fifth of its lifetime is left, and at least seven days of a
//! long one: the rule that customs has for its own.

use jiff::{SignedDuration, Timestamp};

use crate::diagnosis::Diagnosis;
use crate::evidence::Evidence;
use crate::finding::{Code, Finding};

/// The longest time before the end in which a certificate should have been renewed.
const NEAR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The part of the lifetime in which it should have been.
const NEAR_PART: i32 = 5;

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let Some(now) = evidence.now else { return };
    for found in &evidence.replicas {
        let Ok(status) = &found.replica.status else {
            continue;
        };
        let subject = format!("replica {}", found.replica.address);
        diagnosis.checked("certificates are valid", subject.clone());
        for certificate in &status.tls {
            let what = format!("the certificate of `{}`", certificate.address);
            let end = certificate.not_after;
            let judged = expiry(&what, certificate.not_before, end, now);
            diagnosis_of(&subject, judged, diagnosis);
            if let Some(end) = certificate.client_ca_not_after {
                let what = format!("an authority of the clients of `{}`", certificate.address);
                diagnosis_of(&subject, expiry(&what, None, end, now), diagnosis);
            }
            // What it says of times is judged above.
            let refused = certificate.problems.iter().filter(|problem| {
                !(problem.contains(" expires at ") || problem.contains(" expired at "))
            });
            for problem in refused {
                diagnosis.add(Finding::new(
                    Code::CertificateRefused,
                    subject.clone(),
                    format!("`{}`: {problem}", certificate.address),
                    "The files hold something else than what is in use, and it cannot be used. A \
                     restart would fail.",
                    "Replace the files with a certificate and its private key.",
                ));
            }
        }
    }
    let mut any = false;
    for proxy in &evidence.proxies {
        let Some(certificates) = &proxy.certificates else {
            continue;
        };
        any = true;
        let subject = proxy.described();
        diagnosis.checked("certificates are valid", subject.clone());
        for certificate in certificates {
            let what = match certificate.is_authority {
                true => format!("the authority {}", certificate.name),
                false => format!("the certificate of {}", certificate.name),
            };
            let judged = expiry(&what, certificate.not_before, certificate.not_after, now);
            diagnosis_of(&subject, judged, diagnosis);
        }
    }
    if !any {
        let needs = "give --envoy URL, or a folder with `certs.json`";
        diagnosis.not_checked("certificates of Envoys are valid", needs);
    }
}

fn diagnosis_of(subject: &str, judged: Option<(Code, String)>, diagnosis: &mut Diagnosis) {
    let Some((code, seen)) = judged else { return };
    let meaning = match code {
        Code::CertificateExpired => {
            "Connections with it fail: gateways do not reach customs, or \
                                     callers do not reach the gateway."
        }
        _ => "It should have been renewed by now; whatever renews it may have stopped.",
    };
    diagnosis.add(Finding::new(
        code,
        subject,
        seen,
        meaning,
        "Renew it. Certificates of the mesh are renewed by istiod:\nkubectl -n istio-system logs \
         deploy/istiod | grep -i cert\nistioctl proxy-config secret POD -n NAMESPACE",
    ));
}

fn expiry(
    what: &str,
    begin: Option<Timestamp>,
    end: Timestamp,
    now: Timestamp,
) -> Option<(Code, String)> {
    let left = now.duration_until(end);
    if left.is_negative() {
        return Some((Code::CertificateExpired, format!("{what} expired at {end}")));
    }
    let part = begin.map_or(NEAR, |begin| begin.duration_until(end) / NEAR_PART);
    let is_near = left <= NEAR.min(part);
    is_near.then(|| {
        (
            Code::CertificateExpiresSoon,
            format!("{what} expires at {end}"),
        )
    })
}
