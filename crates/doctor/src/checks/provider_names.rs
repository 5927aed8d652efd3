//! The names by which CUSTOM policies find a provider: is it there, is it one, may it have the name.

use std::collections::BTreeSet;

use super::{GIVE_MESH, GIVE_OBJECTS};
use crate::diagnosis::Diagnosis;
use crate::evidence::Evidence;
use crate::finding::{Code, Finding};
use crate::mesh_config::{Provider, ProviderKind};

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    rejected(evidence, diagnosis);
    if evidence.objects.mesh_configs.is_empty() {
        if !evidence.has_mesh_config {
            diagnosis.not_checked("the provider exists, by a name that Istio takes", GIVE_MESH);
        }
    } else {
        providers(evidence, diagnosis);
    }
    match evidence.has_objects {
        true => policies(evidence, diagnosis),
        false => diagnosis.not_checked(
            "CUSTOM policies name one provider that exists",
            GIVE_OBJECTS,
        ),
    }
}

/// What Envoy was given in place of a question.
fn rejected(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    for proxy in &evidence.proxies {
        let Some(config) = &proxy.config else {
            continue;
        };
        let providers = config.rejected_providers();
        let ids: BTreeSet<&str> = config
            .listeners
            .iter()
            .flat_map(|listener| &listener.chains)
            .flat_map(|chain| chain.rejected.iter().map(String::as_str))
            .collect();
        if providers.len() > 1 {
            let names: Vec<_> = providers.iter().map(|name| format!("`{name}`")).collect();
            diagnosis.add(several(
                &names,
                format!(
                    "{}: its filters deny for {}",
                    proxy.described(),
                    names.join(" and ")
                ),
            ));
        } else if !ids.is_empty() {
            let ids: Vec<_> = ids.into_iter().collect();
            diagnosis.add(Finding::new(
                Code::CustomActionRejected,
                proxy.described(),
                format!("its filters deny by {}", ids.join(", ")),
                "istiod could not make the CUSTOM policy work, so the gateway denies every request \
                 that it matches, and does not ask customs.",
                "Look at the provider in the mesh configuration: its name, its service, \
                 `statusOnError`; istiod's log says which:\nkubectl -n istio-system logs \
                 deploy/istiod | grep -i authorization",
            ));
        }
    }
}

fn several(names: &[String], seen: String) -> Finding {
    Finding::new(
        Code::SeveralProviders,
        format!("providers {}", names.join(", ")),
        seen,
        "Istio takes one CUSTOM provider for a workload. With several, the gateway denies every \
         request and asks nobody.",
        "Delete all CUSTOM policies of the gateway but one:\nkubectl get authorizationpolicies -A \
         | grep CUSTOM",
    )
}

fn providers(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    for mesh in &evidence.objects.mesh_configs {
        diagnosis.checked(
            "the provider exists, by a name that Istio takes",
            mesh.place.clone(),
        );
        let ours = |provider: &&Provider| provider.name == evidence.provider;
        let is_grpc = |provider: &Provider| matches!(provider.kind, ProviderKind::Grpc(_));
        if !mesh.providers.iter().filter(ours).any(is_grpc) {
            diagnosis.add(Finding::new(
                Code::ProviderMissing,
                format!("provider `{}`", evidence.provider),
                format!(
                    "{}: {}",
                    mesh.place,
                    match mesh.providers.is_empty() {
                        true => "there are no extensionProviders".to_owned(),
                        false => format!("the providers are {}", names(&mesh.providers)),
                    }
                ),
                "A CUSTOM policy that names a provider that is not there denies every request.",
                format!(
                    "Add the entry that this prints, or say the name with \
                     --provider-name:\ncustoms mesh istio --provider-name {}",
                    evidence.provider
                ),
            ));
        }
        for provider in mesh.providers.iter().filter(|provider| is_grpc(provider)) {
            name(provider, &mesh.providers, &mesh.place, diagnosis);
        }
    }
}

fn names(providers: &[Provider]) -> String {
    let names: Vec<_> = providers
        .iter()
        .map(|provider| format!("`{}`", provider.name))
        .collect();
    names.join(", ")
}

fn name(provider: &Provider, all: &[Provider], place: &str, diagnosis: &mut Diagnosis) {
    let name = &provider.name;
    let is_edge =
        |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    let is_label = name.len() <= 63
        && is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    if !is_label {
        diagnosis.add(Finding::new(
            Code::ProviderNameInvalid,
            format!("provider `{name}`"),
            format!("{place}: the name is `{name}`"),
            "Istio takes up to 63 lower-case letters, digits and `-`. With another name the gateway \
             denies every request.",
            "Rename it, here and in the CUSTOM policy:\nname: customs",
        ));
    }
    // Tracers and loggers have no part in what the gateway compares.
    let authorizers = all.iter().filter(|other| other.kind != ProviderKind::Other);
    let mut longer = authorizers.filter(|other| other.name != *name);
    let longer = longer.find(|other| other.name.starts_with(name.as_str()));
    if let Some(longer) = longer.filter(|_| !name.is_empty()) {
        diagnosis.add(Finding::new(
            Code::ProviderNamePrefix,
            format!("provider `{name}`"),
            format!("{place}: `{name}` is the beginning of `{}`", longer.name),
            "The gateway compares the beginning of names, so requests for the longer name may be \
             asked of the shorter one too.",
            format!("Rename one of them, here and in its CUSTOM policy, such as `{name}` to `{name}-egress-check`."),
        ));
    }
}

fn policies(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let known: BTreeSet<&str> = evidence
        .objects
        .mesh_configs
        .iter()
        .flat_map(|mesh| &mesh.providers)
        .map(|provider| provider.name.as_str())
        .collect();
    let custom = &evidence.objects.custom_policies;
    for policy in custom {
        diagnosis.checked(
            "CUSTOM policies name one provider that exists",
            policy.described(),
        );
        if !known.contains(policy.provider.as_str()) && !evidence.objects.mesh_configs.is_empty() {
            let list: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            diagnosis.add(Finding::new(
                Code::ProviderUnknown,
                policy.described(),
                format!(
                    "it names the provider `{}`; the mesh configuration has {}",
                    policy.provider,
                    match list.is_empty() {
                        true => "none".to_owned(),
                        false => list.join(", "),
                    }
                ),
                "istiod turns such a policy into a denial of every request, and nobody is asked.",
                "Use one name in both places:\ncustoms mesh istio",
            ));
        }
    }
    for (number, policy) in custom.iter().enumerate() {
        let rest = custom.iter().skip(number + 1);
        let same = |other: &&crate::istio_objects::CustomPolicy| {
            other.namespace == policy.namespace
                && other.selector == policy.selector
                && other.has_targets == policy.has_targets
                && other.provider != policy.provider
        };
        for other in rest.filter(same) {
            let mut names = [&policy.provider, &other.provider].map(|name| format!("`{name}`"));
            names.sort();
            let seen = format!(
                "{} and {} select the same pods",
                policy.described(),
                other.described()
            );
            diagnosis.add(several(&names, seen));
        }
    }
}
