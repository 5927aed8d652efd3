//! Every knob of the server: its default, its doc comment, and how a file, the environment and flags are laid over one
//! another, in this order of precedence: flag, environment, file, default.
//!
//! [`Settings`] mirrors the text; [`Resolved`] is what the server runs with; [`Settings::resolve`] is the one way from
//! the first to the second, and reports everything that is wrong at once.

use std::num::{NonZeroU16, NonZeroUsize};
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audit_settings::{self, AuditDurability, AuditTrail};
use super::connection_settings;
use super::durations::duration;
use super::gateway_listeners;
use super::policy_paths::{self, PolicyPath};
use customs_audit::start::TrailConfig;
use customs_engine::header_values::header_name;
use customs_engine::host::{Authority, Host};
use customs_engine::identity::{
    Accepted, TrustDomains, is_dns_label, is_dns_subdomain, is_trust_domain,
};
use customs_engine::settings as engine;
use customs_extauthz::response::{self, metadata};
use customs_net::Address;
use customs_net::ConnectionLimits;
use customs_policy::document;
use customs_policy::problem::Problem;
use customs_policy::targets;
use customs_sources::PolicyDirectory;

/// Every knob, as the settings file spells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Directories of policy files; each is a source that loads whole or not at all. An entry may have options:
    /// `{dir: ./git, recursive: true, default_namespace: shop}`. `{dir: ./teams, namespace_from: directory}` makes each directory
    /// in `./teams` a source that may speak for the namespace of its name only.
    pub policies: Vec<PolicyPath>,
    /// Where Envoy asks: `HOST:PORT` or `unix:PATH`.
    pub listen: Vec<String>,
    /// How many threads answer checks; null is one for each processor that the process may use. A connection stays on its
    /// thread, so more threads than the proxies have connections are idle.
    pub threads: Option<NonZeroU16>,
    /// How many calls a connection may have open at once, 1 to 10,000. A proxy that has more opens another connection.
    pub max_concurrent_streams: u32,
    /// How many calls a client may reset, at once and in a second, up to 100,000; null is four times
    /// `max_concurrent_streams`. While the server is held up, a proxy gives up one call after another and opens as many;
    /// beyond this limit its connection is ended, with all that is on it.
    pub max_pending_resets: Option<u32>,
    /// The largest message that is read, `64KiB` to `64MiB`. A proxy that sends bodies along needs room for them here.
    pub max_message_size: String,
    /// Where operators look in (health, status, metrics): `HOST:PORT`, or `off`. It is not protected: keep it private.
    pub admin: String,
    /// Where audit records go: `stdout`, `file:PATH`, `otlp:URL`, `tail:ADDRESS`, or `off`. Options follow a question
    /// mark: `file:/var/log/customs/audit.jsonl?filter=denies&on_full=deny&rotate_size=100MiB&keep=10&gzip=true`.
    pub audit: Vec<String>,
    /// When records of files reach the disk: `none`, `interval`, or `always`, which is before the answer is given.
    pub audit_durability: AuditDurability,
    /// What bounds the record, what seals it, and what is left out of it. Each sink holds at most `queue_records` and
    /// `queue_size`, whose last quarter is for denials, differing answers and events; where it blocks, at most
    /// `waiting_checks` wait for it, up to `block_deadline`, which must stay below the proxy's timeout. `sync_interval`
    /// is how often files are synced under `interval`. A checkpoint comes after `checkpoint_records` and after
    /// `checkpoint_interval`; those of files are appended to `checkpoint_file` as well, and `signing_key` (an Ed25519
    /// private key, PEM) signs all of them; null is none. `header_values` names headers whose values are recorded where
    /// a policy asks for them. `redact` is `keep`, `hash` or `drop` for each field; `key` is a file with the secret of
    /// the hashes.
    pub audit_trail: AuditTrail,
    /// The mesh's own trust domain, then its aliases.
    pub trust_domains: Vec<String>,
    /// Foreign trust domains whose workloads are accepted beside these; `any` accepts every one.
    pub accept_trust_domains: Vec<String>,
    /// The domains of the mesh's clusters. A TLS connection through the mesh whose SNI is Istio's wrapper of a name under
    /// `.svc.` of one says how it came and not where it goes: its host is unknown.
    pub cluster_domains: Vec<String>,
    /// How many trusted proxies stand before the gateway; null is undeclared.
    pub trusted_hops: Option<u32>,
    /// What happens to a request that no rule and no gate concerns: `allow`, as in Istio, or `deny`.
    pub default: DefaultEffect,
    /// `enforce`, or `report`: every request is allowed, and the verdict is only recorded.
    pub enforcement: Enforcement,
    /// The same for the built-in request validation alone (malformed hosts, contradictory attributes).
    pub request_validation: Enforcement,
    /// The namespace whose policies may speak for everybody.
    pub root_namespace: String,
    /// The attribute that is the caller's identity: `principal`, or `xfcc` for waypoints that overwrite that header.
    pub identity_source: IdentitySource,
    /// Deny HTTP requests whose SNI is not their host. Mesh traffic has a wrapper for an SNI; leave it off there.
    pub require_sni_host_match: bool,
    /// What is declared of the gateway.
    pub gateway: Gateway,
    /// A URL told to people who are denied; null tells none.
    pub help_url: Option<String>,
    /// The fields of the dynamic metadata that Envoy is told with each answer; `[none]` are none. Envoy takes each field
    /// apart for every request, so name those that its access log or its filters read.
    pub metadata: Vec<String>,
    /// How long policy files must be quiet before they are read; `0` reads at once.
    pub reload_settle: String,
    /// How often policy files are looked at even if nothing seems to have changed.
    pub reload_rescan: String,
    /// How long checks are still answered after SIGTERM, while health says NOT_SERVING, so that proxies have the time to
    /// learn of it; after SIGINT they are not.
    pub drain_delay: String,
    /// How long checks in flight may take to finish after that.
    pub drain_timeout: String,
    /// Exit with the problems if the policies do not load at the start, instead of denying everything.
    pub require_policy: bool,
}

/// What is declared of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// The namespace of the gateway's pods; with it, AuthorizationPolicies apply as istiod would apply them.
    pub namespace: Option<String>,
    /// The labels of its pods, for selectors.
    pub labels: std::collections::BTreeMap<String, String>,
    /// The name of its Gateway, if it is one of the Gateway API, for targetRefs.
    pub name: Option<String>,
    /// Hosts of ServiceEntries that no policy directory holds, for policies that target them: `{psp: ["api.psp.example"]}`.
    pub service_entries: std::collections::BTreeMap<String, Vec<String>>,
    /// Other names by which the mesh reaches the gateway, outside `cluster_domains`. In Istio's wrapper of an SNI they say
    /// how a connection came and not where it goes.
    pub hosts: Vec<String>,
    /// TCP listeners with one fixed destination, which holds whatever SNI a client sends:
    /// `[{port: 5432, host: db.example, target_port: 5432}]`.
    pub listeners: Vec<GatewayListener>,
}

/// A TCP listener with one fixed destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayListener {
    /// The gateway's listener port.
    pub port: u16,
    /// The destination's host.
    pub host: String,
    /// The destination's port.
    pub target_port: Option<u16>,
}

/// What happens where nothing else speaks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum DefaultEffect {
    /// Allow, as Istio does
    Allow,
    /// Deny
    Deny,
}

/// Whether something takes effect.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Enforcement {
    /// It takes effect
    Enforce,
    /// It is only recorded
    Report,
}

/// The attribute that is the caller's identity.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum IdentitySource {
    /// `source.principal`
    Principal,
    /// `x-forwarded-client-cert`
    Xfcc,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            policies: vec![PolicyPath::Plain("./policies".into())],
            listen: vec!["127.0.0.1:9191".into()],
            threads: None,
            max_concurrent_streams: 1024,
            max_pending_resets: None,
            max_message_size: "4MiB".into(),
            admin: "127.0.0.1:9192".into(),
            audit: vec!["stdout".into()],
            audit_durability: AuditDurability::Interval,
            audit_trail: AuditTrail::default(),
            trust_domains: vec!["cluster.local".into()],
            accept_trust_domains: Vec::new(),
            cluster_domains: vec!["cluster.local".into()],
            trusted_hops: None,
            default: DefaultEffect::Allow,
            enforcement: Enforcement::Enforce,
            request_validation: Enforcement::Enforce,
            root_namespace: "istio-system".into(),
            identity_source: IdentitySource::Principal,
            require_sni_host_match: false,
            gateway: Gateway::default(),
            help_url: None,
            metadata: metadata::NAMES.map(str::to_owned).into(),
            reload_settle: "250ms".into(),
            reload_rescan: "10s".into(),
            drain_delay: "2s".into(),
            drain_timeout: "5s".into(),
            require_policy: false,
        }
    }
}

/// What the server runs with.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings that can change a verdict.
    pub engine: engine::Settings,
    /// Policy directories, none twice.
    pub policies: Vec<PolicyDirectory>,
    /// Where Envoy asks.
    pub listen: Vec<Address>,
    /// How many threads answer checks.
    pub threads: NonZeroUsize,
    /// What bounds each connection there.
    pub connections: ConnectionLimits,
    /// Where operators look in; `None` is off.
    pub admin: Option<String>,
    /// Where the record goes, and how.
    pub audit: TrailConfig,
    /// Headers whose values are recorded, in lower case.
    pub told_headers: Vec<String>,
    /// How checks are answered.
    pub responses: response::Options,
    /// Quiet time before files are read.
    pub reload_settle: Duration,
    /// Time between two reads.
    pub reload_rescan: Duration,
    /// Time in which checks are still answered after SIGTERM.
    pub drain_delay: Duration,
    /// Time for checks in flight after that.
    pub drain_timeout: Duration,
    /// Exit if the policies do not load at the start.
    pub require_policy: bool,
}

/// Why a settings file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsFileError {
    /// It cannot be read.
    #[error("cannot read settings file {file}: {problem}")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        problem: std::io::Error,
    },
    /// It holds something that is wrong.
    #[error("{0}; `customs settings` prints every setting with its default")]
    Invalid(Box<Problem>),
}

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// What is wrong, with the place.
    pub fn read(path: &Path) -> Result<Settings, SettingsFileError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|problem| SettingsFileError::Read {
            file: file.clone(),
            problem,
        })?;
        Settings::parse(&file, &text)
            .map_err(|problem| SettingsFileError::Invalid(Box::new(problem)))
    }

    /// Reads the text of a settings file.
    ///
    /// # Errors
    /// What is wrong, with the place.
    pub fn parse(file: &str, text: &str) -> Result<Settings, Problem> {
        if text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        {
            return Ok(Settings::default());
        }
        document::parse_typed(file, text)
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// Everything that is wrong, a sentence each.
    pub fn resolve(&self) -> Result<Resolved, Vec<String>> {
        let mut wrong = Vec::new();
        let engine = self.engine(&mut wrong);
        let resolved = Resolved {
            engine,
            policies: policy_paths::resolve(&self.policies, &mut wrong),
            listen: parse_all("listen", &self.listen, &mut wrong),
            threads: self.threads.map_or_else(processors, NonZeroUsize::from),
            connections: connection_settings::resolve(self, &mut wrong),
            admin: self.admin(&mut wrong),
            audit: audit_settings::resolve(
                &self.audit,
                self.audit_durability,
                &self.audit_trail,
                &mut wrong,
            ),
            told_headers: self
                .audit_trail
                .header_values
                .iter()
                .map(|name| header_name(name))
                .collect(),
            responses: self.responses(&mut wrong),
            reload_settle: duration("reload-settle", &self.reload_settle, &mut wrong),
            reload_rescan: duration("reload-rescan", &self.reload_rescan, &mut wrong),
            drain_delay: duration("drain-delay", &self.drain_delay, &mut wrong),
            drain_timeout: duration("drain-timeout", &self.drain_timeout, &mut wrong),
            require_policy: self.require_policy,
        };
        if resolved.reload_rescan.is_zero()
            && !wrong.iter().any(|why| why.starts_with("reload-rescan"))
        {
            wrong.push("reload-rescan: `0` would read without a pause; write `10s`".into());
        }
        if wrong.is_empty() {
            Ok(resolved)
        } else {
            Err(wrong)
        }
    }

    fn engine(&self, wrong: &mut Vec<String>) -> engine::Settings {
        if !is_dns_label(&self.root_namespace) {
            wrong.push(format!(
                "root-namespace: `{}` is no namespace",
                self.root_namespace
            ));
        }
        let enforcement = |e| match e {
            Enforcement::Enforce => customs_engine::enforcement::Enforcement::Enforce,
            Enforcement::Report => customs_engine::enforcement::Enforcement::Report,
        };
        engine::Settings {
            default_effect: match self.default {
                DefaultEffect::Allow => engine::DefaultEffect::Allow,
                DefaultEffect::Deny => engine::DefaultEffect::Deny,
            },
            enforcement: enforcement(self.enforcement),
            request_validation: enforcement(self.request_validation),
            trust_domains: self.trust_domains(wrong),
            cluster_domains: self.cluster_domains(wrong),
            gateway_hosts: self
                .gateway
                .hosts
                .iter()
                .filter_map(|host| own_host(host, wrong))
                .collect(),
            trusted_hops: self.trusted_hops,
            root_namespace: self.root_namespace.clone(),
            identity_source: match self.identity_source {
                IdentitySource::Principal => engine::IdentitySource::Principal,
                IdentitySource::Xfcc => engine::IdentitySource::Xfcc,
            },
            require_sni_host_match: self.require_sni_host_match,
            gateway: self.gateway_identity(wrong),
            listeners: gateway_listeners::resolve(&self.gateway.listeners, wrong),
        }
    }

    fn gateway_identity(&self, wrong: &mut Vec<String>) -> Option<engine::GatewayIdentity> {
        let Gateway {
            namespace,
            labels,
            name,
            service_entries,
            hosts: _,
            listeners: _,
        } = &self.gateway;
        let Some(namespace) = namespace else {
            if name.is_some() || !labels.is_empty() || !service_entries.is_empty() {
                wrong.push(
                    "gateway: `labels`, `name` and `service_entries` need `namespace`".into(),
                );
            }
            return None;
        };
        if !is_dns_label(namespace) {
            wrong.push(format!("gateway.namespace: `{namespace}` is no namespace"));
        }
        let service_entries = targets::declared(namespace, service_entries, wrong);
        let (labels, name) = (labels.clone(), name.clone());
        Some(engine::GatewayIdentity {
            namespace: namespace.clone(),
            labels,
            name,
            service_entries,
        })
    }

    /// As of trust domains, an empty value means the default.
    fn cluster_domains(&self, wrong: &mut Vec<String>) -> Vec<String> {
        let filled: Vec<&str> = self
            .cluster_domains
            .iter()
            .map(|d| d.trim())
            .filter(|d| !d.is_empty())
            .collect();
        for domain in filled.iter().filter(|domain| !is_dns_subdomain(domain)) {
            wrong.push(format!("cluster-domains: `{domain}` is no domain: write it in lower case, as `cluster.local`"));
        }
        match filled.as_slice() {
            [] => engine::Settings::default().cluster_domains,
            domains => domains.iter().map(|domain| (*domain).to_owned()).collect(),
        }
    }

    /// An empty value means the default, so that a chart may pass a value that is not set.
    fn trust_domains(&self, wrong: &mut Vec<String>) -> TrustDomains {
        let filled = |list: &[String]| -> Vec<String> {
            list.iter()
                .map(|d| d.trim().to_owned())
                .filter(|d| !d.is_empty())
                .collect()
        };
        let mut domains = filled(&self.trust_domains).into_iter();
        let own = domains
            .next()
            .unwrap_or_else(|| TrustDomains::default().own);
        let aliases: Vec<String> = domains.collect();
        let accepted = filled(&self.accept_trust_domains);
        let any = accepted.iter().any(|d| d == "any");
        let (mine, theirs) = (
            std::iter::once(&own).chain(&aliases),
            accepted.iter().filter(|d| *d != "any"),
        );
        for (knob, domain) in mine
            .map(|d| ("trust-domains", d))
            .chain(theirs.map(|d| ("accept-trust-domains", d)))
        {
            if !is_trust_domain(domain) {
                wrong.push(format!(
                    "{knob}: `{domain}` is no trust domain: write it in lower case, without `spiffe://`"
                ));
            }
        }
        let accepted = if any {
            Accepted::Any
        } else {
            Accepted::Only(accepted.into_iter().collect())
        };
        TrustDomains {
            own,
            aliases,
            accepted,
        }
    }

    fn responses(&self, wrong: &mut Vec<String>) -> response::Options {
        let metadata = metadata::Fields::of(&self.metadata).unwrap_or_else(|why| {
            wrong.push(why.to_string());
            metadata::Fields::ALL
        });
        response::Options {
            help: self.help_url.clone(),
            metadata,
        }
    }

    fn admin(&self, wrong: &mut Vec<String>) -> Option<String> {
        if self.admin == "off" {
            return None;
        }
        match self.admin.parse() {
            Ok(Address::Tcp(address)) => return Some(address),
            Ok(Address::Unix(_)) => wrong.push("admin: write `HOST:PORT` or `off`".into()),
            Err(why) => wrong.push(format!("admin: {why}, or `off`")),
        }
        None
    }
}

/// How many processors the process may use, as its limits say; one where nothing says it.
fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn parse_all<T: std::str::FromStr<Err = E>, E: std::fmt::Display>(
    knob: &str,
    texts: &[String],
    wrong: &mut Vec<String>,
) -> Vec<T> {
    if texts.is_empty() {
        wrong.push(format!("{knob}: the list is empty"));
    }
    let parse = |text: &String| {
        text.parse()
            .map_err(|why| wrong.push(format!("{knob}: {why}")))
            .ok()
    };
    texts.iter().filter_map(parse).collect()
}

fn own_host(text: &str, wrong: &mut Vec<String>) -> Option<Host<'static>> {
    let read = Authority::parse(text)
        .map_err(|why| why.to_string())
        .and_then(|read| match read.port {
            None => Ok(read.host.into_owned()),
            Some(_) => Err("leave out the port".into()),
        });
    read.map_err(|why| wrong.push(format!("gateway.hosts: `{text}`: {why}")))
        .ok()
}

#[cfg(test)]
mod tests;
