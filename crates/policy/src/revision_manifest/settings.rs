//! The settings in a manifest: the engine's settings with names and texts.
//!
//! It is not the settings file, which has more settings and spells some of them in another way. The
//! rule: what is read is what was written, so `read` after `of` returns equal settings.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::RevisionManifestError;
use customs_engine::enforcement::Enforcement;
use customs_engine::host::{Authority, Host};
use customs_engine::identity::{Accepted, TrustDomains};
use customs_engine::settings::{
    DefaultEffect, GatewayIdentity, IdentitySource, Listener, Settings,
};

/// The settings that can change a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ManifestSettings {
    default: ManifestDefault,
    enforcement: ManifestEnforcement,
    request_validation: ManifestEnforcement,
    trust_domain: String,
    trust_domain_aliases: Vec<String>,
    accept_every_trust_domain: bool,
    accept_trust_domains: Vec<String>,
    cluster_domains: Vec<String>,
    trusted_hops: Option<u32>,
    root_namespace: String,
    identity_source: ManifestIdentitySource,
    require_sni_host_match: bool,
    gateway: Option<ManifestGateway>,
    gateway_hosts: Vec<String>,
    listeners: Vec<ManifestListener>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ManifestDefault {
    Allow,
    Deny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ManifestEnforcement {
    Enforce,
    Report,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ManifestIdentitySource {
    Principal,
    Xfcc,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ManifestGateway {
    namespace: String,
    labels: BTreeMap<String, String>,
    name: Option<String>,
    service_entries: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ManifestListener {
    port: u16,
    host: String,
    target_port: Option<u16>,
}

impl From<Enforcement> for ManifestEnforcement {
    fn from(enforcement: Enforcement) -> ManifestEnforcement {
        match enforcement {
            Enforcement::Enforce => ManifestEnforcement::Enforce,
            Enforcement::Report => ManifestEnforcement::Report,
        }
    }
}

impl From<ManifestEnforcement> for Enforcement {
    fn from(enforcement: ManifestEnforcement) -> Enforcement {
        match enforcement {
            ManifestEnforcement::Enforce => Enforcement::Enforce,
            ManifestEnforcement::Report => Enforcement::Report,
        }
    }
}

impl ManifestSettings {
    pub(super) fn of(settings: &Settings) -> ManifestSettings {
        // Destructured completely, so that a new setting stops the build until it is listed here.
        let Settings {
            default_effect,
            enforcement,
            request_validation,
            trust_domains:
                TrustDomains {
                    own,
                    aliases,
                    accepted,
                },
            cluster_domains,
            gateway_hosts,
            trusted_hops,
            root_namespace,
            identity_source,
            require_sni_host_match,
            gateway,
            listeners,
        } = settings;
        let accepted: Option<&BTreeSet<String>> = match accepted {
            Accepted::Any => None,
            Accepted::Only(domains) => Some(domains),
        };
        ManifestSettings {
            default: match default_effect {
                DefaultEffect::Allow => ManifestDefault::Allow,
                DefaultEffect::Deny => ManifestDefault::Deny,
            },
            enforcement: (*enforcement).into(),
            request_validation: (*request_validation).into(),
            trust_domain: own.clone(),
            trust_domain_aliases: aliases.clone(),
            accept_every_trust_domain: accepted.is_none(),
            accept_trust_domains: accepted.into_iter().flatten().cloned().collect(),
            cluster_domains: cluster_domains.clone(),
            trusted_hops: *trusted_hops,
            root_namespace: root_namespace.clone(),
            identity_source: match identity_source {
                IdentitySource::Principal => ManifestIdentitySource::Principal,
                IdentitySource::Xfcc => ManifestIdentitySource::Xfcc,
            },
            require_sni_host_match: *require_sni_host_match,
            gateway: gateway.as_ref().map(|gateway| {
                let GatewayIdentity {
                    namespace,
                    labels,
                    name,
                    service_entries,
                } = gateway.clone();
                ManifestGateway {
                    namespace,
                    labels,
                    name,
                    service_entries,
                }
            }),
            gateway_hosts: gateway_hosts.iter().map(text_of).collect(),
            listeners: listeners
                .iter()
                .map(|listener| ManifestListener {
                    port: listener.port,
                    host: text_of(&listener.host),
                    target_port: listener.target_port,
                })
                .collect(),
        }
    }

    /// Returns the engine's settings.
    ///
    /// # Errors
    /// If a host is not one.
    pub(super) fn read(&self) -> Result<Settings, RevisionManifestError> {
        let ManifestSettings {
            default,
            enforcement,
            request_validation,
            trust_domain,
            trust_domain_aliases,
            accept_every_trust_domain,
            accept_trust_domains,
            cluster_domains,
            trusted_hops,
            root_namespace,
            identity_source,
            require_sni_host_match,
            gateway,
            gateway_hosts,
            listeners,
        } = self.clone();
        let gateway_hosts: Result<Vec<_>, _> = gateway_hosts
            .iter()
            .map(|text| host_of("gatewayHosts", text))
            .collect();
        let listeners: Result<Vec<_>, RevisionManifestError> = listeners
            .iter()
            .map(|listener| {
                Ok(Listener {
                    port: listener.port,
                    host: host_of("listeners", &listener.host)?,
                    target_port: listener.target_port,
                })
            })
            .collect();
        Ok(Settings {
            default_effect: match default {
                ManifestDefault::Allow => DefaultEffect::Allow,
                ManifestDefault::Deny => DefaultEffect::Deny,
            },
            enforcement: enforcement.into(),
            request_validation: request_validation.into(),
            trust_domains: TrustDomains {
                own: trust_domain,
                aliases: trust_domain_aliases,
                accepted: if accept_every_trust_domain {
                    Accepted::Any
                } else {
                    Accepted::Only(accept_trust_domains.into_iter().collect())
                },
            },
            cluster_domains,
            gateway_hosts: gateway_hosts?,
            trusted_hops,
            root_namespace,
            identity_source: match identity_source {
                ManifestIdentitySource::Principal => IdentitySource::Principal,
                ManifestIdentitySource::Xfcc => IdentitySource::Xfcc,
            },
            require_sni_host_match,
            gateway: gateway.map(|gateway| {
                let ManifestGateway {
                    namespace,
                    labels,
                    name,
                    service_entries,
                } = gateway;
                GatewayIdentity {
                    namespace,
                    labels,
                    name,
                    service_entries,
                }
            }),
            listeners: listeners?,
        })
    }
}

/// Returns a host as it was written: an address keeps its own form, unlike in a record.
fn text_of(host: &Host<'_>) -> String {
    match host {
        Host::Name(name) => name.to_string(),
        Host::Ip(ip) => ip.to_string(),
    }
}

fn host_of(setting: &'static str, text: &str) -> Result<Host<'static>, RevisionManifestError> {
    match Authority::parse(text) {
        Ok(Authority { host, port: None }) => Ok(host.into_owned()),
        Ok(Authority { port: Some(_), .. }) | Err(_) => Err(RevisionManifestError::Setting {
            setting,
            value: text.to_owned(),
        }),
    }
}
