//! The resolved settings, and the only conversion to them from the text of [`Settings`].

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::error::{SettingValueError, SettingsError};
use super::{DefaultEffect, Enforcement, IdentitySource, PolicyGuards, Settings};
use crate::app::durations::{duration, positive_duration};
use crate::app::ports::slots::{self as port_slots, PortSlots};
use crate::app::{audit_settings, connection_settings, policy_paths, tls_settings};
use customs_audit::start::AuditLogConfig;
use customs_engine::header_values::header_name;
use customs_engine::identity::{
    Accepted, TrustDomains, is_dns_label, is_dns_subdomain, is_trust_domain,
};
use customs_engine::settings as engine;
use customs_extauthz::response::{self, metadata};
use customs_net::{Address, ConnectionLimits, ParseAddressError};
use customs_sources::{GuardChecks, PolicyDirectory};
use customs_tls::server::{ApplicationProtocol, ServerOptions};

/// The settings that the server runs with.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// The settings that can change a verdict.
    pub(crate) engine: engine::Settings,
    /// The policy directories, without duplicates.
    pub(crate) policies: Vec<PolicyDirectory>,
    /// The archive of the policies in force, if there is one.
    pub(crate) policy_archive: Option<PathBuf>,
    /// What is done about guards that the policies break.
    pub(crate) policy_guards: GuardChecks,
    /// The addresses for Envoy's checks.
    pub(crate) listen: Vec<Address>,
    /// The number of threads that answer checks.
    pub(crate) threads: NonZeroUsize,
    /// The limits of each connection for checks.
    pub(crate) connections: ConnectionLimits,
    /// How many connections each port may have.
    pub(crate) slots: PortSlots,
    /// The TLS of the addresses for Envoy's checks; `None` is plain text.
    pub(crate) tls: Option<ServerOptions>,
    /// The address for operators; `None` is off.
    pub(crate) admin: Option<Address>,
    /// The TLS of the address for operators; `None` is plain text.
    pub(crate) admin_tls: Option<ServerOptions>,
    /// The sinks of the audit log, and their configuration.
    pub(crate) audit: AuditLogConfig,
    /// Headers whose values are recorded, in lower case.
    pub(crate) recorded_headers: Vec<String>,
    /// How checks are answered.
    pub(crate) responses: response::Options,
    /// Quiet time before files are read.
    pub(crate) reload_settle: Duration,
    /// Time between two reads.
    pub(crate) reload_rescan: Duration,
    /// Time in which checks are still answered after SIGTERM.
    pub(crate) drain_delay: Duration,
    /// Time for checks in flight after that.
    pub(crate) drain_timeout: Duration,
    /// Exit if the policies do not load at the start.
    pub(crate) require_policy: bool,
}

impl Settings {
    /// Checks every setting. [`LayeredSettings::resolve`](super::LayeredSettings::resolve) also
    /// adds the origin of each.
    ///
    /// # Errors
    /// Returns everything that is wrong.
    pub(crate) fn resolve(&self) -> Result<Resolved, SettingsError> {
        let mut wrong = SettingsError::default();
        let resolved = Resolved {
            engine: self.engine(&mut wrong),
            policies: policy_paths::resolve(&self.policies, &mut wrong),
            policy_archive: policy_paths::archive(
                self.policy_archive.as_deref(),
                &self.policies,
                &mut wrong,
            ),
            policy_guards: match self.policy_guards {
                PolicyGuards::Enforce => GuardChecks::Enforce,
                PolicyGuards::Report => GuardChecks::Report,
                PolicyGuards::Off => GuardChecks::Off,
            },
            listen: self.listen(&mut wrong),
            threads: self.threads.map_or_else(processors, NonZeroUsize::from),
            connections: connection_settings::resolve(self, &mut wrong),
            slots: port_slots::resolve(self, &mut wrong),
            tls: tls_settings::resolve(
                "tls",
                self.tls.as_ref(),
                ApplicationProtocol::Http2,
                &mut wrong,
            ),
            admin: self.admin(&mut wrong),
            admin_tls: tls_settings::resolve(
                "admin_tls",
                self.admin_tls.as_ref(),
                ApplicationProtocol::Http1,
                &mut wrong,
            ),
            audit: audit_settings::resolve(
                &self.audit,
                self.audit_durability,
                &self.audit_log,
                &mut wrong,
            ),
            recorded_headers: self
                .audit_log
                .header_values
                .iter()
                .map(|name| header_name(name))
                .collect(),
            responses: self.responses(&mut wrong),
            reload_settle: duration("reload_settle", &self.reload_settle, &mut wrong),
            reload_rescan: positive_duration("reload_rescan", &self.reload_rescan, &mut wrong),
            drain_delay: duration("drain_delay", &self.drain_delay, &mut wrong),
            drain_timeout: duration("drain_timeout", &self.drain_timeout, &mut wrong),
            require_policy: self.require_policy,
        };
        wrong.or(resolved)
    }

    fn engine(&self, wrong: &mut SettingsError) -> engine::Settings {
        if !is_dns_label(&self.root_namespace) {
            wrong.add(
                "root_namespace",
                &self.root_namespace,
                SettingValueError::Namespace,
            );
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
            gateway_hosts: self.gateway.own_hosts(wrong),
            trusted_hops: self.trusted_hops,
            root_namespace: self.root_namespace.clone(),
            identity_source: match self.identity_source {
                IdentitySource::Principal => engine::IdentitySource::Principal,
                IdentitySource::Xfcc => engine::IdentitySource::Xfcc,
            },
            require_sni_host_match: self.require_sni_host_match,
            gateway: self.gateway.identity(wrong),
            listeners: self.gateway.fixed_listeners(wrong),
        }
    }

    /// As for trust domains, an empty value means the default.
    fn cluster_domains(&self, wrong: &mut SettingsError) -> Vec<String> {
        let filled = filled(&self.cluster_domains);
        for (at, domain) in &filled {
            if !is_dns_subdomain(domain) {
                let path = format!("cluster_domains[{at}]");
                wrong.add(path, domain, SettingValueError::Domain);
            }
        }
        if filled.is_empty() {
            engine::Settings::default().cluster_domains
        } else {
            filled.into_iter().map(|(_, domain)| domain).collect()
        }
    }

    /// Parses the list. An empty value means the default, so that a chart may pass a value that is
    /// not set.
    fn trust_domains(&self, wrong: &mut SettingsError) -> TrustDomains {
        let mine = filled(&self.trust_domains);
        let mut accepted = filled(&self.accept_trust_domains);
        let count = accepted.len();
        accepted.retain(|(_, domain)| domain != "any");
        let any = accepted.len() < count;
        for (setting, domains) in [
            ("trust_domains", &mine),
            ("accept_trust_domains", &accepted),
        ] {
            for (at, domain) in domains {
                if !is_trust_domain(domain) {
                    let path = format!("{setting}[{at}]");
                    wrong.add(path, domain, SettingValueError::TrustDomain);
                }
            }
        }
        let mut mine = mine.into_iter().map(|(_, domain)| domain);
        TrustDomains {
            own: mine.next().unwrap_or_else(|| TrustDomains::default().own),
            aliases: mine.collect(),
            accepted: if any {
                Accepted::Any
            } else {
                Accepted::Only(accepted.into_iter().map(|(_, domain)| domain).collect())
            },
        }
    }

    fn listen(&self, wrong: &mut SettingsError) -> Vec<Address> {
        const EXPECTED: &str = "`HOST:PORT`, such as `127.0.0.1:9191` or `[::1]:9191`, or `unix:PATH`, such as `unix:/run/customs.sock`";
        if self.listen.is_empty() {
            wrong.add_whole("listen", SettingValueError::Empty("at least one address"));
        }
        let mut addresses = Vec::new();
        for (at, text) in self.listen.iter().enumerate() {
            let expected = EXPECTED;
            match text.parse() {
                Ok(address) => addresses.push(address),
                Err(ParseAddressError::UnixOption(why)) => {
                    wrong.add(
                        format!("listen[{at}]"),
                        text,
                        SettingValueError::UnixOption(why),
                    );
                }
                Err(cause) => wrong.add(
                    format!("listen[{at}]"),
                    text,
                    SettingValueError::Address { expected, cause },
                ),
            }
        }
        addresses
    }

    fn responses(&self, wrong: &mut SettingsError) -> response::Options {
        let metadata = metadata::Fields::of(&self.metadata).unwrap_or_else(|why| {
            wrong.add_whole("metadata", SettingValueError::MetadataField(why));
            metadata::Fields::default()
        });
        response::Options {
            help: self.help_url.clone(),
            metadata,
        }
    }

    fn admin(&self, wrong: &mut SettingsError) -> Option<Address> {
        if self.admin == "off" {
            return None;
        }
        let problem = match self.admin.parse() {
            Ok(address) => {
                if matches!(address, Address::Unix(_)) && self.admin_tls.is_some() {
                    let what =
                        "a unix socket has no TLS: remove `admin_tls`, or write `admin: HOST:PORT`";
                    wrong.add_whole("admin_tls", SettingValueError::Conflict(what.into()));
                }
                return Some(address);
            }
            Err(ParseAddressError::UnixOption(why)) => SettingValueError::UnixOption(why),
            Err(cause) => SettingValueError::Address {
                expected: "`HOST:PORT`, `unix:PATH` or `off`",
                cause,
            },
        };
        wrong.add("admin", &self.admin, problem);
        None
    }
}

/// Returns the number of processors that the process may use by its limits; one if it is unknown.
fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Returns the items of a list that are not empty, each with its index.
fn filled(list: &[String]) -> Vec<(usize, String)> {
    let items = list.iter().map(|item| item.trim().to_owned()).enumerate();
    items.filter(|(_, item)| !item.is_empty()).collect()
}
