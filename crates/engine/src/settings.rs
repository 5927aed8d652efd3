//! The settings that can change a verdict. They are part of every snapshot and of its revision, so
//! equal revisions give equal answers. Their origin (flags, environment, a file) is not known here.

use super::enforcement::Enforcement;
use super::host::Host;
use super::identity::{Accepted, TrustDomains};

/// Everything besides the policy files that a decision may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The decision when no policy applies.
    pub default_effect: DefaultEffect,
    /// Whether verdicts are enforced or only recorded.
    pub enforcement: Enforcement,
    /// Whether the built-in request validation is enforced, or only records what it finds.
    pub request_validation: Enforcement,
    /// The mesh's trust domain, its aliases, and accepted foreign domains.
    pub trust_domains: TrustDomains,
    /// The domains of the mesh's clusters: a name under `.svc.` of one is a name of the mesh (rule
    /// R10).
    pub cluster_domains: Vec<String>,
    /// Other names of the gateway, by which the mesh reaches it.
    pub gateway_hosts: Vec<Host<'static>>,
    /// How many trusted proxies are in front of the gateway, if that was declared.
    pub trusted_hops: Option<u32>,
    /// The namespace whose policies may apply to every namespace.
    pub root_namespace: String,
    /// Which attribute is the caller's identity (rule R9).
    pub identity_source: IdentitySource,
    /// Whether to deny HTTP requests whose SNI is not their host (rule R11).
    pub require_sni_host_match: bool,
    /// Which gateway this is, if that was declared. Istio's selectors and targets are matched
    /// against it.
    pub gateway: Option<GatewayIdentity>,
    /// Listeners of the gateway whose destination is fixed, whatever a client says (rule R10).
    pub listeners: Vec<Listener>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            default_effect: DefaultEffect::Allow,
            enforcement: Enforcement::Enforce,
            request_validation: Enforcement::Enforce,
            trust_domains: TrustDomains::default(),
            cluster_domains: vec!["cluster.local".into()],
            gateway_hosts: Vec::new(),
            trusted_hops: None,
            root_namespace: "istio-system".into(),
            identity_source: IdentitySource::Principal,
            require_sni_host_match: false,
            gateway: None,
            listeners: Vec::new(),
        }
    }
}

impl Settings {
    /// Returns the settings as lines of text, in a fixed order, for the revision.
    pub fn fingerprint(&self) -> String {
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
        } = self;
        let mut aliases = aliases.clone();
        aliases.sort_unstable();
        let accepted = match accepted {
            Accepted::Any => "any".to_owned(),
            Accepted::Only(domains) => format!("{domains:?}"),
        };
        let mut listeners: Vec<_> = listeners.iter().map(|l| format!("{l:?}")).collect();
        listeners.sort_unstable();
        let mut cluster_domains = cluster_domains.clone();
        cluster_domains.sort_unstable();
        let mut gateway_hosts = gateway_hosts.clone();
        gateway_hosts.sort_unstable();
        format!(
            "default={default_effect:?}\nenforcement={enforcement:?}\nrequest_validation={request_validation:?}\nown={own:?}\naliases={aliases:?}\n\
             accepted={accepted}\nhops={trusted_hops:?}\nroot={root_namespace:?}\nidentity={identity_source:?}\n\
             sni-host={require_sni_host_match}\ngateway={gateway:?}\nlisteners={listeners:?}\nclusters={cluster_domains:?}\n\
             gateway-hosts={gateway_hosts:?}\n"
        )
    }

    /// Returns whether a host is a name of the mesh itself: under `.svc.` of a cluster's domain,
    /// short under `.svc`, or a name by which the gateway is reached.
    pub(crate) fn names_the_mesh(&self, host: &Host<'_>) -> bool {
        let of_cluster = |name: &str| {
            let in_cluster = self
                .cluster_domains
                .iter()
                .filter_map(|domain| name.strip_suffix(domain.as_str()));
            in_cluster
                .filter_map(|rest| rest.strip_suffix('.'))
                .chain([name])
                .any(|service| service.ends_with(".svc"))
        };
        matches!(host, Host::Name(name) if of_cluster(name))
            || self.gateway_hosts.iter().any(|own| own.is_same(host))
    }
}

/// The decision when no policy applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultEffect {
    /// Allow, as Istio does.
    Allow,
    /// Deny with `default_deny`.
    Deny,
}

/// Which attribute is the caller's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// `source.principal`, which the gateway took from the client's certificate.
    Principal,
    /// The `x-forwarded-client-cert` header, for waypoints that overwrite it. Never a fallback.
    Xfcc,
}

/// The gateway's names in Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayIdentity {
    /// The namespace of its pods.
    pub namespace: String,
    /// The labels of its pods.
    pub labels: std::collections::BTreeMap<String, String>,
    /// The name of its Gateway resource, if it uses the Gateway API.
    pub name: Option<String>,
    /// Hosts of ServiceEntries that no source holds, by `ns/name`, for the policies that target
    /// them.
    pub service_entries: std::collections::BTreeMap<String, Vec<String>>,
}

/// A listener of the gateway with one fixed destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The port on which the gateway listens.
    pub port: u16,
    /// The destination's canonical host.
    pub host: Host<'static>,
    /// The destination's port; unknown if it is left out.
    pub target_port: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_aliases_is_no_difference() {
        let with = |aliases: &[&str]| {
            let mut settings = Settings::default();
            settings.trust_domains.aliases = aliases.iter().map(ToString::to_string).collect();
            settings.fingerprint()
        };
        assert_eq!(with(&["a", "b"]), with(&["b", "a"]));
        assert_ne!(with(&["a", "b"]), with(&["a"]));
    }

    #[test]
    fn the_names_of_the_mesh_are_part_of_the_revision() {
        let plain = Settings::default().fingerprint();
        let hosts = vec![Host::Name("egress.example".into())];
        let cluster_domains = vec!["cluster.local".into(), "corp.internal".into()];
        assert_ne!(
            Settings {
                gateway_hosts: hosts,
                ..Settings::default()
            }
            .fingerprint(),
            plain
        );
        assert_ne!(
            Settings {
                cluster_domains,
                ..Settings::default()
            }
            .fingerprint(),
            plain
        );
    }
}
