//! Whether customs knows who calls, and why not.

use super::{GIVE_ENVOY, is_ours};
use crate::diagnosis::Diagnosis;
use crate::envoy_config::{ChainTls, Role};
use crate::evidence::Evidence;
use crate::finding::{Code, Finding};

const CHECK: &str = "customs knows who calls";

/// How many decisions were made by the state of the caller's identity.
#[derive(Clone, Copy, Debug, Default)]
struct Callers {
    valid: u64,
    unknown: u64,
    not_accepted: u64,
    untrusted: u64,
}

impl Callers {
    fn all(&self) -> u64 {
        let known = self.valid.saturating_add(self.unknown);
        known
            .saturating_add(self.not_accepted)
            .saturating_add(self.untrusted)
    }
}

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let mut callers = Callers::default();
    let mut any = false;
    for found in &evidence.replicas {
        let Some(metrics) = found.counted() else {
            continue;
        };
        any = true;
        diagnosis.checked(CHECK, format!("replica {}", found.replica.address));
        for (state, count) in metrics.decisions_by("identity") {
            match state {
                "valid" => callers.valid = callers.valid.saturating_add(count),
                "unauthenticated" => callers.unknown = callers.unknown.saturating_add(count),
                "untrusted_domain" => callers.untrusted = callers.untrusted.saturating_add(count),
                _ => callers.not_accepted = callers.not_accepted.saturating_add(count),
            }
        }
    }
    if !any {
        diagnosis.not_checked(
            CHECK,
            "give --admin with addresses, so that the decisions are seen",
        );
    }
    let waypoints: Vec<_> = evidence
        .proxies
        .iter()
        .filter(|proxy| {
            proxy
                .config
                .as_ref()
                .is_some_and(|config| config.role == Role::Waypoint)
        })
        .collect();
    let is_unknown = callers.unknown > 0 || callers.not_accepted > 0;
    if let Some(proxy) = waypoints.first().filter(|_| is_unknown) {
        // A header that customs does not read contradicts the missing identity, so it is invalid.
        diagnosis.add(waypoint(proxy.described(), &callers));
        callers.unknown = 0;
        callers.not_accepted = 0;
    }
    accepted(&callers, diagnosis);
    if callers.unknown > 0 {
        unknown(evidence, &callers, diagnosis);
    }
}

fn accepted(callers: &Callers, diagnosis: &mut Diagnosis) {
    if callers.untrusted > 0 {
        diagnosis.add(Finding::new(
            Code::IdentityNotAccepted,
            "callers",
            format!(
                "{} decisions for callers of another trust domain",
                callers.untrusted
            ),
            "Their identity satisfies no grant, and every denial that compares identities.",
            "If they are of this mesh, name its trust domain and aliases; foreign ones need to be \
             accepted:\ncustoms serve --trust-domains OWN,ALIAS --accept-trust-domains FOREIGN",
        ));
    }
    if callers.not_accepted > 0 {
        diagnosis.add(Finding::new(
            Code::IdentityNotAccepted,
            "callers",
            format!("{} decisions for callers whose identity is none of Istio's form", callers.not_accepted),
            "Their identity satisfies no grant, and every denial that compares identities.",
            "Look at `principal` of the records, and at the certificates of these callers:\ncustoms \
             audit tail FILE --format json | grep invalid_identity",
        ));
    }
}

fn unknown(evidence: &Evidence, callers: &Callers, diagnosis: &mut Diagnosis) {
    let seen = format!(
        "{} of {} decisions are for callers without an identity",
        callers.unknown,
        callers.all()
    );
    let mut explained = false;
    for proxy in &evidence.proxies {
        let Some(config) = &proxy.config else {
            continue;
        };
        for (listener, chain, _) in config.asks().filter(|(_, _, ask)| is_ours(evidence, ask)) {
            let place = format!("{}, {}", proxy.described(), chain.described(listener));
            match (chain.tls, chain.is_http) {
                (ChainTls::Mutual, _) => {}
                (_, true) => {
                    explained = true;
                    diagnosis.add(plaintext(place, &seen));
                }
                (_, false) => {
                    explained = true;
                    diagnosis.add(passthrough(place, &seen));
                }
            }
        }
    }
    // Some callers without an identity beside others may be on purpose; all of them are not.
    if !explained && callers.valid == 0 {
        let why = match evidence.proxies.iter().any(|proxy| proxy.config.is_some()) {
            true => "the gateway's listeners that were given do terminate mutual TLS, so another \
                     gateway or a health check asks"
                .to_owned(),
            false => format!("to see why, {GIVE_ENVOY}"),
        };
        diagnosis.add(Finding::new(
            Code::NoPrincipal,
            "callers",
            format!("{seen}; {why}"),
            "Rules about namespaces and service accounts cannot hold for them: no grant does, and \
             every denial does. Three causes are usual: plain text to the gateway, TLS that is \
             passed through, and a waypoint of the ambient mesh.",
            "Lead traffic to the gateway in the mesh's mutual TLS:\ncustoms mesh istio --host HOST",
        ));
    }
}

fn plaintext(place: String, seen: &str) -> Finding {
    Finding::new(
        Code::NoPrincipalPlaintext,
        "callers of http",
        format!("{place} does not terminate mutual TLS; {seen}"),
        "The callers of this listener are unknown. Rules about namespaces and service accounts cannot \
         tell them apart, so no grant applies, and every denial does.",
        "Set ISTIO_MUTUAL in the Gateway's server and in the DestinationRule for the \
         gateway:\ncustoms mesh istio --host HOST",
    )
}

fn passthrough(place: String, seen: &str) -> Finding {
    Finding::new(
        Code::NoPrincipalPassthrough,
        "callers of https",
        format!("{place} passes TLS through; {seen}"),
        "The application's TLS hides who calls; customs sees the name of the host alone. Rules \
         about namespaces and service accounts cannot hold for these connections.",
        "Wrap it in the mesh's mutual TLS, or let the gateway use https:\ncustoms mesh istio --host \
         HOST --https wrapped",
    )
}

fn waypoint(subject: String, callers: &Callers) -> Finding {
    Finding::new(
        Code::NoPrincipalWaypoint,
        subject,
        format!(
            "its node is a waypoint; {} decisions are for callers without an identity, and {} for \
             callers with an invalid one",
            callers.unknown, callers.not_accepted
        ),
        "A waypoint does not name the caller to authorizers. It can write the caller into a header, \
         which customs reads only if its settings say so.",
        "Do both, with an Istio that knows the annotation:\nkubectl annotate gateway NAME \
         ambient.istio.io/xfcc-include-client-identity=true\ncustoms serve --identity-source=xfcc",
    )
}
