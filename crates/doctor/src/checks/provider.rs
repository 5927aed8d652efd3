//! How the gateway asks: its timeout, and what happens without an answer. Seen in the mesh
//! configuration and in the filters that istiod made of it.

use super::{GIVE_ENVOY, GIVE_MESH, is_ours, subject};
use crate::customs_status::CustomsStatus;
use crate::diagnosis::Diagnosis;
use crate::evidence::Evidence;
use crate::finding::{Code, Finding};
use crate::mesh_config::ProviderKind;
use crate::replica::ReplicaError;

/// What Istio waits if the provider has no timeout, in seconds.
const ISTIO_DEFAULT: f64 = 600.0;
/// A timeout above this is long, in seconds: every request waits as long while customs hangs.
const LONG: f64 = 1.0;
/// How long customs itself gives a client for a call by default (`request_timeout`), in seconds.
const CUSTOMS_DEADLINE: f64 = 5.0;
/// The part of checks that may take longer than the timeout: one in ten thousand.
const SLOW_SHARE: u64 = 10_000;

/// One place where the way of asking is written down.
struct Way<'e> {
    subject: String,
    /// Where it was seen.
    place: String,
    timeout: Option<f64>,
    fail_open: bool,
    /// The status without an answer; `None` where there can be none.
    status_on_error: Option<Option<&'e str>>,
    /// Whether a missing timeout is Istio's ten minutes; it is a fifth of a second in Envoy.
    is_mesh: bool,
}

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let mut ways = Vec::new();
    for mesh in &evidence.objects.mesh_configs {
        for provider in &mesh.providers {
            let ProviderKind::Grpc(grpc) = &provider.kind else {
                continue;
            };
            if provider.name == evidence.provider {
                ways.push(Way {
                    subject: format!("provider `{}`", provider.name),
                    place: mesh.place.clone(),
                    timeout: grpc.timeout,
                    fail_open: grpc.fail_open,
                    status_on_error: Some(grpc.status_on_error.as_deref()),
                    is_mesh: true,
                });
            }
        }
    }
    for proxy in &evidence.proxies {
        let asks = proxy.config.iter().flat_map(|config| config.asks());
        for (listener, chain, ask) in asks.filter(|(_, _, ask)| is_ours(evidence, ask)) {
            let status = ask.status_on_error.as_deref();
            ways.push(Way {
                subject: subject(proxy, ask),
                place: format!("{}, {}", proxy.described(), chain.described(listener)),
                timeout: ask.timeout,
                fail_open: ask.fail_open,
                status_on_error: chain.is_http.then_some(status),
                is_mesh: false,
            });
        }
    }
    if ways.is_empty() {
        let needs = format!("{GIVE_MESH}; or {GIVE_ENVOY}");
        diagnosis.not_checked("timeout, failOpen and statusOnError", &needs);
        return;
    }
    let is_trial = is_trial(evidence);
    for way in &ways {
        diagnosis.checked("timeout, failOpen and statusOnError", way.place.clone());
        timeout(way, diagnosis);
        failure(way, is_trial, diagnosis);
        slow_checks(way, evidence, diagnosis);
    }
}

fn timeout(way: &Way<'_>, diagnosis: &mut Diagnosis) {
    let (place, is_default) = (&way.place, way.timeout == Some(ISTIO_DEFAULT));
    let remedy = "Set it in the mesh configuration:\nextensionProviders:\n- name: customs\n  \
                  envoyExtAuthzGrpc:\n    timeout: 0.5s";
    match way.timeout {
        None if way.is_mesh => diagnosis.add(Finding::new(
            Code::TimeoutMissing,
            &way.subject,
            format!("{place}: no `timeout`"),
            MISSING,
            remedy,
        )),
        Some(_) if is_default && !way.is_mesh => diagnosis.add(Finding::new(
            Code::TimeoutMissing,
            &way.subject,
            format!("{place}: the filter waits 600 s, which is Istio's default"),
            MISSING,
            remedy,
        )),
        Some(seconds) if seconds > LONG => diagnosis.add(Finding::new(
            Code::TimeoutLong,
            &way.subject,
            format!("{place}: the timeout is {seconds} s"),
            match seconds > CUSTOMS_DEADLINE {
                true => {
                    "It is longer than customs' own deadlines (`request_timeout` and \
                         `drain_timeout`, 5 s by default), so the gateway waits for answers that \
                         will not come. While customs hangs, every request waits as long."
                }
                false => "While customs hangs, every request waits as long before it fails.",
            },
            remedy,
        )),
        _ => {}
    }
}

const MISSING: &str = "Istio waits 600 s if a provider has no timeout, so one replica that hangs \
                       makes every request hang for ten minutes.";

/// Returns whether every replica only records its verdicts, so that letting requests pass is meant.
fn is_trial(evidence: &Evidence) -> bool {
    let mut replicas = evidence.replicas.iter().map(|found| &found.replica.status);
    let reports = |status: &Result<CustomsStatus, ReplicaError>| {
        status
            .as_ref()
            .is_ok_and(|status| status.enforcement == "report")
    };
    !evidence.replicas.is_empty() && replicas.all(reports)
}

fn failure(way: &Way<'_>, is_trial: bool, diagnosis: &mut Diagnosis) {
    let place = &way.place;
    if way.fail_open && !is_trial {
        diagnosis.add(Finding::new(
            Code::FailOpen,
            &way.subject,
            format!("{place}: requests pass if customs does not answer"),
            "If customs is gone, late or overloaded, every request leaves the mesh unchecked. That \
             is right for a trial, and wrong once you rely on denials.",
            "Once the trial is over, set in the mesh configuration:\nextensionProviders:\n- name: \
             customs\n  envoyExtAuthzGrpc:\n    failOpen: false",
        ));
    }
    match way.status_on_error {
        Some(None) if !way.fail_open => diagnosis.add(Finding::new(
            Code::StatusOnErrorMissing,
            &way.subject,
            format!("{place}: no status for failures"),
            "A failure is answered with 403, like a denial, so clients and alerts cannot tell \"not \
             allowed\" from \"broken\".",
            "Set it in the mesh configuration, with the quotes:\nextensionProviders:\n- name: \
             customs\n  envoyExtAuthzGrpc:\n    statusOnError: \"503\"",
        )),
        Some(Some(status)) if way.is_mesh && !is_status(status) => diagnosis.add(Finding::new(
            Code::StatusOnErrorInvalid,
            &way.subject,
            format!("{place}: `statusOnError: {status}`"),
            "Envoy does not have this status, so istiod gives up on the policy and the gateway \
             denies every request.",
            "Set one that Envoy has, with the quotes:\nstatusOnError: \"503\"",
        )),
        _ => {}
    }
}

/// The statuses that Envoy can send, of errors; it knows no others.
const STATUSES: &[u16] = &[
    400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421,
    422, 423, 424, 426, 428, 429, 431, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
];

fn is_status(text: &str) -> bool {
    let number: Option<u16> = text.parse().ok();
    // Statuses of success are odd, and Envoy has them.
    number.is_some_and(|number| STATUSES.contains(&number) || (100..400).contains(&number))
}

fn slow_checks(way: &Way<'_>, evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let Some(seconds) = way.timeout else { return };
    for found in &evidence.replicas {
        let slower = found.counted().and_then(|all| all.slower_than(seconds));
        let Some((slow, all)) = slower else { continue };
        if slow > 0 && slow >= all / SLOW_SHARE {
            let address = &found.replica.address;
            diagnosis.add(Finding::new(
                Code::TimeoutShort,
                &way.subject,
                format!(
                    "replica {address} took longer than {seconds} s for {slow} of {all} checks; {}",
                    way.place
                ),
                "The gateway gives up on these checks before customs has decided.",
                "Find out why customs is slow (`customs_check_duration_seconds`, a sink that \
                 blocks), or raise the timeout:\ntimeout: 0.5s",
            ));
        }
    }
}
