//! Where the gateway's questions go: the service and the port of the provider, HTTP/2, and the
//! authority of the calls.

use std::collections::BTreeSet;

use super::{GIVE_ENVOY, GIVE_OBJECTS, is_ours, subject};
use crate::diagnosis::Diagnosis;
use crate::envoy_config::Cluster;
use crate::evidence::{Evidence, ProxyEvidence};
use crate::finding::{Code, Finding};
use crate::mesh_config::ProviderKind;

const CHECK: &str = "the provider's service, port and HTTP/2";

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let mut any = false;
    for proxy in &evidence.proxies {
        any |= clusters(evidence, proxy, diagnosis);
    }
    any |= services(evidence, diagnosis);
    if !any {
        diagnosis.not_checked(CHECK, &format!("{GIVE_ENVOY}; or {GIVE_OBJECTS}"));
    }
}

/// Looks for the cluster of each filter, and returns whether there was something to look at.
fn clusters(evidence: &Evidence, proxy: &ProxyEvidence, diagnosis: &mut Diagnosis) -> bool {
    let Some(config) = &proxy.config else {
        return false;
    };
    let Some(clusters) = &config.clusters else {
        return false;
    };
    let mut any = false;
    for (_, _, ask) in config.asks().filter(|(_, _, ask)| is_ours(evidence, ask)) {
        any = true;
        diagnosis.checked(CHECK, proxy.described());
        let subject = subject(proxy, ask);
        let Some(cluster) = clusters.iter().find(|cluster| cluster.name == ask.cluster) else {
            diagnosis.add(missing(&subject, proxy, &ask.cluster, clusters));
            continue;
        };
        if !cluster.has_http2 {
            diagnosis.add(without_http2(
                &subject,
                format!(
                    "{}: cluster `{}` has no HTTP/2",
                    proxy.described(),
                    cluster.name
                ),
            ));
        }
        if ask.authority.is_none() && ask.cluster.contains('|') {
            diagnosis.add(Finding::new(
                Code::AuthorityMissing,
                &subject,
                format!(
                    "{}: its calls name `{}` as their authority",
                    proxy.described(),
                    ask.cluster
                ),
                "customs takes such calls. Another proxy on the way may refuse them, because a `|` \
                 is not allowed in an authority.",
                "In a configuration of your own set it beside `cluster_name`:\nauthority: \
                 customs.customs-system.svc.cluster.local",
            ));
        }
    }
    any
}

fn missing(subject: &str, proxy: &ProxyEvidence, wanted: &str, known: &[Cluster]) -> Finding {
    let seen = format!("{}: there is no cluster `{wanted}`", proxy.described());
    let host = Cluster::parts(wanted).map(|(_, _, host)| host);
    let ports: BTreeSet<&str> = known
        .iter()
        .filter_map(|cluster| Cluster::parts(&cluster.name))
        .filter(|(_, _, known)| Some(*known) == host)
        .map(|(port, _, _)| port)
        .collect();
    match ports.is_empty() {
        true => unknown_service(subject, seen),
        false => {
            let ports: Vec<_> = ports.into_iter().collect();
            unknown_port(subject, seen, &ports.join(", "))
        }
    }
}

fn unknown_service(subject: &str, seen: String) -> Finding {
    Finding::new(
        Code::ProviderServiceUnknown,
        subject,
        seen,
        "Every check fails, because the gateway does not know the service that it is to ask.",
        "Install customs, or name its Service whole in the mesh configuration:\nservice: \
         customs.customs-system.svc.cluster.local",
    )
}

fn unknown_port(subject: &str, seen: String, ports: &str) -> Finding {
    Finding::new(
        Code::ProviderPortUnknown,
        subject,
        format!("{seen}; the service has {ports}"),
        "Every check fails. istiod does not report it, because it takes any port.",
        format!(
            "Set a port of the Service in the mesh configuration ({ports}):\nport: {}",
            ports.split(',').next().unwrap_or_default()
        ),
    )
}

fn without_http2(subject: &str, seen: String) -> Finding {
    Finding::new(
        Code::Http2Missing,
        subject,
        seen,
        "gRPC needs HTTP/2, so every check fails.",
        "Declare the protocol in customs' Service:\nports:\n- name: grpc\n  port: 9191\n  \
         appProtocol: grpc",
    )
}

/// Looks for the service of the provider, and returns whether there was something to look at.
fn services(evidence: &Evidence, diagnosis: &mut Diagnosis) -> bool {
    let services = &evidence.objects.services;
    let mut any = false;
    for provider in evidence
        .objects
        .mesh_configs
        .iter()
        .flat_map(|mesh| &mesh.providers)
    {
        let ProviderKind::Grpc(grpc) = &provider.kind else {
            continue;
        };
        if provider.name != evidence.provider || services.is_empty() {
            continue;
        }
        any = true;
        let subject = format!("provider `{}`", provider.name);
        let Some(service) = services.iter().find(|service| service.host == grpc.service) else {
            let seen = format!(
                "no Service among the objects has the host `{}`",
                grpc.service
            );
            diagnosis.add(unknown_service(&subject, seen));
            continue;
        };
        diagnosis.checked(CHECK, service.described.clone());
        match service.ports.iter().find(|port| port.number == grpc.port) {
            None => {
                let ports: Vec<_> = service
                    .ports
                    .iter()
                    .map(|port| port.number.as_str())
                    .collect();
                let seen = format!("{} has no port {}", service.described, grpc.port);
                diagnosis.add(unknown_port(&subject, seen, &ports.join(", ")));
            }
            Some(port) if !port.is_http2 => diagnosis.add(without_http2(
                &subject,
                format!(
                    "{}: port {} has no protocol with HTTP/2",
                    service.described, port.number
                ),
            )),
            Some(_) => {}
        }
    }
    any
}
