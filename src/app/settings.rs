//! The table of settings: each is declared once, in a row of [`settings!`](declare).
//!
//! A row has the setting's name, type and default, how it is written outside of the settings file,
//! and when a change takes effect; its comment is its documentation. The settings file, the flags,
//! the environment, their help, `customs settings` and docs/reference/settings.md follow from the
//! row. The first of these that is given wins: flag, environment, file, default.
//!
//! [`Settings`] has the text that people write; [`Resolved`] is what the server runs with.
//! [`LayeredSettings::resolve`] is the one way from the first to the second, and reports everything
//! that is wrong at once.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod declare;
mod document;
mod error;
mod gateway;
mod layers;
mod resolve;
mod value;

pub(crate) use declare::{PREFIX, Setting, TakesEffect, Written, section};
pub(crate) use document::{SettingPlaces, SettingsDocument, SettingsFileError};
pub(crate) use error::{LoadSettingsError, SettingError, SettingValueError, SettingsError};
pub(crate) use gateway::Gateway;
pub(crate) use layers::{LayeredSettings, Origin};
pub(crate) use resolve::Resolved;

use super::audit_settings::{AuditDurability, AuditLogSettings};
use super::policy_paths::PolicyPath;
use super::tls_settings::TlsSettings;
use Written::{FileOnly, Flag};
use customs_extauthz::response::metadata;
use declare::settings;
use value::SettingValue;

settings! {
    group "Policies";
    /// The directories of policy files; each is a source, which loads whole or not at all. An entry
    /// may have options: `{dir: ./git, recursive: true, default_namespace: shop}` here, and
    /// `./git?recursive=true&default_namespace=shop` on the command line. `{dir: ./teams,
    /// namespace_from: directory}` makes each directory in `./teams` a source whose policies may
    /// apply only to callers of the namespace of its name.
    policies: Vec<PolicyPath> = vec![PolicyPath::Plain("./policies".into())], Flag("DIR[,DIR..]"), Restart;

    /// The directory that keeps the policy files and the settings of each revision that was in
    /// force, so that `customs at` can ask the past; none by default. customs creates it, adds to it
    /// and deletes nothing. If it cannot be written, a warning and a metric say so, and the policies
    /// are in force all the same.
    policy_archive: Option<String> = None, Flag("DIR"), Restart;

    group "Addresses for checks";
    /// The addresses for Envoy's checks: `HOST:PORT` or `unix:PATH`. Options of a unix socket follow
    /// a question mark: `unix:/run/customs.sock?mode=0660&owner=1337:1337&peers=1337`.
    listen: Vec<String> = vec!["127.0.0.1:9191".into()], Flag("ADDR[,ADDR..]"), Restart;

    /// The number of threads that answer checks; by default one for each processor that the process
    /// may use. A connection stays on its thread, so more threads than the proxies have connections
    /// are idle.
    threads: Option<NonZeroU16> = None, Flag("N"), Restart;

    group "Limits of connections for checks";
    /// The number of connections that all addresses for checks may have at once, 1 to 100,000. If
    /// there are as many, the one that has waited longest without ever having sent a whole check
    /// gives way to a new one; if each has sent one, the new one is refused.
    max_connections: u32 = 1024, Flag("N"), Restart;

    /// The number of connections that one peer may have of `max_connections`: an IPv4 address, a
    /// network /64 of IPv6, or a user of a unix socket. Every connection through a sidecar has the
    /// same address.
    max_connections_per_peer: u32 = 512, Flag("N"), Restart;

    /// The number of calls that a connection may have open at once, 1 to 10,000. A proxy that has
    /// more opens another connection.
    max_concurrent_streams: u32 = 1024, Flag("N"), Restart;

    /// The number of calls that a client may reset at once and in a second, up to 100,000; by
    /// default four times `max_concurrent_streams`. While the server stalls, a proxy cancels one
    /// call after another and opens as many new ones. A connection that resets more is closed, with
    /// every call on it.
    max_pending_resets: Option<u32> = None, Flag("N"), Restart;

    /// The number of frames per second that a connection may send without a call, 10 to 100,000:
    /// pings, settings, window updates. Five seconds' worth may come at once, and each call adds
    /// eight, so a busy proxy may send as many as it needs. A connection that sends more is closed.
    max_control_frames: u32 = 200, Flag("N"), Restart;

    /// The largest list of headers of a call, `4KiB` to `1MiB`, as HTTP/2 counts it: names, values,
    /// and 32 bytes for each. The headers of a request that the proxy asks about are not among
    /// them: they are in the message.
    max_header_list_size: String = "16KiB".into(), Flag("SIZE"), Restart;

    /// The number of checks that may wait for their turn on one thread, up to 65,536. Further ones
    /// are refused at once with `RESOURCE_EXHAUSTED`. `0` refuses none.
    max_queued_checks: u32 = 1024, Flag("N"), Restart;

    /// The largest message that is read, `64KiB` to `64MiB`. If the proxy sends bodies
    /// (`with_request_body`), they must fit.
    max_message_size: String = "4MiB".into(), Flag("SIZE"), Restart;

    /// The memory for calls on all connections of `listen` that are not whole yet or whose answers are
    /// not taken, `1MiB` to `16GiB`, and at least twice `max_message_size`. Each connection has
    /// 96 KiB besides, and holds at most as much of this as it leaves free. A call beyond that is
    /// refused.
    max_body_memory: String = "32MiB".into(), Flag("SIZE"), Restart;

    /// How long a client may take from its connection to the first frame of HTTP/2, a TLS handshake
    /// included. Then the connection is closed.
    handshake_timeout: String = "5s".into(), Flag("TIME"), Restart;

    /// How long a client may take for the headers and the message of a call, and how long answers
    /// may wait for it without one being taken. Then the call is refused or the connection is
    /// closed.
    request_timeout: String = "5s".into(), Flag("TIME"), Restart;

    /// How long a connection may stay without a call. Then its client is asked to open another one
    /// when it needs one.
    idle_timeout: String = "5m".into(), Flag("TIME"), Restart;

    /// The age at which the client of a connection is asked to open another one, or `0` for never;
    /// it differs by up to a tenth from one connection to the next. So the connections of the
    /// proxies spread over new replicas. No call is lost.
    max_connection_age: String = "30m".into(), Flag("TIME"), Restart;

    group "Addresses for checks";
    /// The certificate of the TCP addresses of `listen`, and the clients that they accept; without
    /// it they are plain text. The keys are `certificate`, `private_key`, `client_ca`, `client_ids` and
    /// `min_version`. A change of the files takes effect without a restart. A unix socket stays
    /// plain: its file and `peers` say who may connect.
    tls: Option<TlsSettings> = None, Flag("KEY=VALUE[,KEY=VALUE..]"), Restart;

    group "Address for operators";
    /// The address for operators (health, status, metrics): `HOST:PORT`, `unix:PATH` with the
    /// options of `listen`, or `off`. Over TCP without `admin_tls` it is not protected: keep it
    /// private.
    admin: String = "127.0.0.1:9192".into(), Flag("ADDR"), Restart;

    /// The certificate of the address of `admin`, and the clients that it accepts, as in `tls`.
    admin_tls: Option<TlsSettings> = None, Flag("KEY=VALUE[,KEY=VALUE..]"), Restart;

    /// The number of connections that the address for operators may have at once, and each address
    /// of a `tail:` sink, 1 to 100,000. One peer may have the same share of them as of
    /// `max_connections`.
    admin_max_connections: u32 = 64, Flag("N"), Restart;

    group "Audit log";
    /// The sinks of the audit log: `stdout`, `file:PATH`, `otlp:URL`, `tail:ADDRESS`, or `off`.
    /// Options follow a question mark:
    /// `file:/var/log/customs/audit.jsonl?rotate_size=100MiB&keep=10`.
    /// `stdout?format=pretty` prints a line for each record on a terminal, for people: no tool can
    /// read or verify these lines.
    audit: Vec<String> = vec!["stdout".into()], Flag("SINK[,SINK..]"), Restart;

    /// When records of files reach the disk: `none`, `interval`, or `always`, which is before the
    /// answer is given.
    audit_durability: AuditDurability = AuditDurability::Interval, Flag("WHEN"), Restart;

    /// The limits, checkpoints and redaction of the audit log.
    audit_log: AuditLogSettings = AuditLogSettings::default(), FileOnly, Restart;

    group "Decisions";
    /// The mesh's own trust domain, then its aliases.
    trust_domains: Vec<String> = vec!["cluster.local".into()], Flag("OWN[,ALIAS..]"), ReloadIfWritten;

    /// The foreign trust domains whose workloads are accepted; `any` accepts every one.
    accept_trust_domains: Vec<String> = Vec::new(), Flag("D[,D..]|any"), Reload;

    /// The domains of the mesh's clusters. If the SNI of a TLS connection through the mesh is
    /// Istio's wrapper of a name under `.svc.` of one of them, it describes the route and not the
    /// destination: the host is unknown.
    cluster_domains: Vec<String> = vec!["cluster.local".into()], Flag("DOMAIN[,DOMAIN..]"), ReloadIfWritten;

    /// The number of trusted proxies in front of the gateway; undeclared by default.
    trusted_hops: Option<u32> = None, Flag("N"), ReloadIfWritten;

    /// The decision when no policy applies to a request: `allow`, as in Istio, or `deny`.
    default: DefaultEffect = DefaultEffect::Allow, Flag("EFFECT"), ReloadIfWritten;

    /// Whether verdicts are enforced: `enforce`, or `report`, which allows every request and only
    /// records the verdict.
    enforcement: Enforcement = Enforcement::Enforce, Flag("MODE"), Reload;

    /// Whether the built-in request validation is enforced: `enforce`, or `report`, which only
    /// records what it finds (malformed hosts, contradictory attributes).
    request_validation: Enforcement = Enforcement::Enforce, Flag("MODE"), Reload;

    group "Policies";
    /// What is done if policies break a PolicyGuard, or are not proved to keep it: `enforce` refuses
    /// them, `report` warns, and `off` does not look at guards.
    policy_guards: PolicyGuards = PolicyGuards::Enforce, Flag("MODE"), Restart;

    group "Decisions";
    /// The namespace whose policies may apply to callers of every namespace.
    root_namespace: String = "istio-system".into(), Flag("NAMESPACE"), ReloadIfWritten;

    /// The attribute that is the caller's identity: `principal`, or `xfcc`. `xfcc` is for waypoints
    /// that overwrite the header `x-forwarded-client-cert`.
    identity_source: IdentitySource = IdentitySource::Principal, Flag("SOURCE"), ReloadIfWritten;

    /// Whether to deny HTTP requests whose SNI is not their host. This needs an Envoy that sends
    /// the TLS session (`include_tls_session`, which istiod never sets): without it, everything
    /// over HTTP is denied. Mesh traffic has Istio's wrapper as its SNI, so leave this off there.
    require_sni_host_match: bool = false, Flag("BOOL"), ReloadIfWritten;

    /// The description of the gateway.
    gateway: Gateway = Gateway::default(), FileOnly, ReloadIfWritten;

    group "Answers to Envoy";
    /// A URL for people who are denied, sent with each denial; none by default.
    help_url: Option<String> = None, Flag("URL"), Restart;

    /// The fields of dynamic metadata that Envoy gets with each answer; `none` alone sends no
    /// field. Envoy parses each field for every request, so name only those that its access log or
    /// its filters read. The reference of the gRPC API lists all of them.
    metadata: Vec<String> = metadata::DEFAULT.map(str::to_owned).into(), Flag("NAME[,NAME..]"), Restart;

    group "Policies";
    /// How long policy files must be quiet before they are read; `0` reads at once.
    reload_settle: String = "250ms".into(), Flag("TIME"), Restart;

    /// How often policy files are checked even if no file event announces a change.
    reload_rescan: String = "10s".into(), Flag("TIME"), Restart;

    group "Shutdown";
    /// How long checks are still answered after SIGTERM, while health reports NOT_SERVING. Proxies
    /// need this time to notice the shutdown. SIGINT does not wait.
    drain_delay: String = "2s".into(), Flag("TIME"), Restart;

    /// How long checks in flight may take to finish after `drain_delay`.
    drain_timeout: String = "5s".into(), Flag("TIME"), Restart;

    group "Policies";
    /// Whether to exit with code 3 if the policies do not load at the start, instead of denying
    /// everything.
    require_policy: bool = false, Flag("BOOL"), Restart;
}

/// The decision when no policy applies to a request.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DefaultEffect {
    /// Allow, as Istio does
    Allow,
    /// Deny
    Deny,
}

/// Whether something is enforced.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Enforcement {
    /// Enforce
    Enforce,
    /// Only record
    Report,
}

/// What is done if policies break a guard.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PolicyGuards {
    /// Refuse the policies
    Enforce,
    /// Warn
    Report,
    /// Do not look at guards
    Off,
}

/// The attribute that is the caller's identity.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IdentitySource {
    /// `source.principal`
    Principal,
    /// `x-forwarded-client-cert`
    Xfcc,
}

#[cfg(test)]
mod tests;
