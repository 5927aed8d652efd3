//! `customs schema`: the documents as JSON Schema (draft 7, which editors know best).
//!
//! The types of this file mirror the text and exist for their schema alone; what a document means, and what else must
//! hold, the readers know. A test holds that both know the same fields.

#![expect(dead_code, reason = "the types are described and never made")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::print_json;
use crate::app::cli::SchemaKind;
use crate::app::explain::read::SHORTHAND_FIELDS;

/// Prints the schema of one kind of document, or of all.
pub fn run(kind: Option<SchemaKind>) -> ExitCode {
    print_json(&schema(kind));
    ExitCode::SUCCESS
}

fn schema(kind: Option<SchemaKind>) -> Value {
    let generator = SchemaGenerator::new(SchemaSettings::draft07());
    let schema = match kind {
        None => generator.into_root_schema_for::<Document>(),
        Some(SchemaKind::EgressPolicy) => generator.into_root_schema_for::<EgressPolicy>(),
        Some(SchemaKind::DestinationSet) => generator.into_root_schema_for::<DestinationSet>(),
        Some(SchemaKind::AuthorizationPolicy) => {
            generator.into_root_schema_for::<AuthorizationPolicy>()
        }
        Some(SchemaKind::PolicyTest) => generator.into_root_schema_for::<PolicyTest>(),
    };
    let mut value = Value::from(schema);
    refuse_null(&mut value);
    value
}

/// What may be left out may still not be null.
fn refuse_null(value: &mut Value) {
    let is_null =
        |value: &Value| value == "null" || value.get("type").is_some_and(|kind| kind == "null");
    if let Value::Object(map) = value {
        for alternatives in ["type", "anyOf"] {
            let Some(Value::Array(list)) = map.get_mut(alternatives) else {
                continue;
            };
            list.retain(|one| !is_null(one));
            if let (1, Some(only)) = (list.len(), list.first().cloned()) {
                let all_of = if alternatives == "anyOf" {
                    "allOf"
                } else {
                    "type"
                };
                map.remove(alternatives);
                map.insert(
                    all_of.into(),
                    if all_of == "allOf" {
                        Value::Array(vec![only])
                    } else {
                        only
                    },
                );
            }
        }
        map.values_mut().for_each(refuse_null);
    } else if let Value::Array(list) = value {
        list.iter_mut().for_each(refuse_null);
    }
}

/// A document that customs reads: a policy, a set of destinations, or a file of cases.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Document {
    Egress(EgressPolicy),
    Set(DestinationSet),
    Istio(AuthorizationPolicy),
    Test(PolicyTest),
}

#[derive(JsonSchema)]
enum EgressVersion {
    #[schemars(rename = "egress.customs/v1alpha1")]
    V1Alpha1,
}

#[derive(JsonSchema)]
enum IstioVersion {
    #[schemars(rename = "security.istio.io/v1")]
    V1,
    #[schemars(rename = "security.istio.io/v1beta1")]
    V1Beta1,
}

#[derive(JsonSchema)]
enum EgressPolicyKind {
    EgressPolicy,
}

#[derive(JsonSchema)]
enum DestinationSetKind {
    DestinationSet,
}

#[derive(JsonSchema)]
enum AuthorizationPolicyKind {
    AuthorizationPolicy,
}

#[derive(JsonSchema)]
enum PolicyTestKind {
    PolicyTest,
}

/// Who may go where, in the words of egress.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct EgressPolicy {
    api_version: EgressVersion,
    kind: EgressPolicyKind,
    metadata: Metadata,
    spec: EgressSpec,
    /// Read over.
    status: Option<Value>,
}

/// A list of hosts with a name. It is looked up in a policy's own namespace, then in the root namespace.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct DestinationSet {
    api_version: EgressVersion,
    kind: DestinationSetKind,
    metadata: Metadata,
    spec: SetSpec,
    /// Read over.
    status: Option<Value>,
}

/// Kubernetes' ObjectMeta. Name and namespace must be written; what the API server adds is read over.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Metadata {
    /// Part of every rule's id.
    name: String,
    /// Whose callers the policy is about; the root namespace may speak for everybody.
    namespace: String,
    annotations: Option<BTreeMap<String, Value>>,
    labels: Option<Value>,
    uid: Option<Value>,
    managed_fields: Option<Value>,
    resource_version: Option<Value>,
    generation: Option<Value>,
    creation_timestamp: Option<Value>,
    deletion_timestamp: Option<Value>,
    deletion_grace_period_seconds: Option<Value>,
    owner_references: Option<Value>,
    finalizers: Option<Value>,
    generate_name: Option<Value>,
    self_link: Option<Value>,
    cluster_name: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct EgressSpec {
    /// Who; the entries are alternatives. Left out: every caller of the policy's namespace.
    #[schemars(length(min = 1))]
    subjects: Option<Vec<Subject>>,
    /// The subjects may go only where an `allow` says. True where it is left out and `allow` has entries.
    isolate: Option<bool>,
    /// `Enforce`, or `Report`: judged and recorded, and changes nothing.
    mode: Option<Mode>,
    /// Whom to ask; told to the denied client and to the record.
    owner: Option<String>,
    /// Beats every allow, of any policy.
    #[schemars(length(min = 1))]
    deny: Option<Vec<DenyEntry>>,
    /// Where the subjects may go.
    #[schemars(length(min = 1))]
    allow: Option<Vec<AllowEntry>>,
}

#[derive(JsonSchema)]
enum Mode {
    Enforce,
    Report,
}

/// Who; the fields must all hold.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Subject {
    /// A name, `prefix-*`, or `**` for every namespace.
    #[schemars(length(min = 1))]
    namespaces: Option<Vec<String>>,
    /// `account` in these namespaces, or `namespace/account`.
    #[schemars(length(min = 1))]
    service_accounts: Option<Vec<String>>,
    /// Accepted foreign trust domains whose callers are admitted too.
    #[schemars(length(min = 1))]
    trust_domains: Option<Vec<String>>,
    /// Callers without a valid identity: `true`, alone in its entry, in the root namespace only.
    unauthenticated: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct DenyEntry {
    /// Unique in the policy; part of the rule's id.
    name: String,
    /// `name`, `*.suffix`, address or range, each with an optional `:port` or `:*`; or `**` for anywhere.
    #[schemars(length(min = 1))]
    hosts: Option<Vec<String>>,
    /// DestinationSets, by name.
    #[schemars(length(min = 1))]
    destinations: Option<Vec<String>>,
    /// In upper case. Left out: every method.
    #[schemars(length(min = 1))]
    methods: Option<Vec<String>>,
    /// Exact, `/prefix*`, or a template: `/v1/{*}/keys`. Left out: every path.
    #[schemars(length(min = 1))]
    paths: Option<Vec<String>>,
    /// Why; told to the denied client.
    reason: Option<String>,
    /// Where it was decided.
    ticket: Option<String>,
    /// `Report` tries this one deny out.
    mode: Option<Mode>,
    /// What opens this deny, and nothing else does.
    #[schemars(length(min = 1))]
    except: Option<Vec<ExceptEntry>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct AllowEntry {
    /// Unique in the policy; part of the rule's id.
    name: String,
    /// `name`, `*.suffix`, address or range, each with an optional `:port` or `:*`; or `**` for anywhere.
    #[schemars(length(min = 1))]
    hosts: Option<Vec<String>>,
    /// DestinationSets, by name.
    #[schemars(length(min = 1))]
    destinations: Option<Vec<String>>,
    /// In upper case. Left out: every method.
    #[schemars(length(min = 1))]
    methods: Option<Vec<String>>,
    /// Exact, `/prefix*`, or a template: `/v1/{*}/keys`. Left out: every path.
    #[schemars(length(min = 1))]
    paths: Option<Vec<String>>,
    /// Why.
    reason: Option<String>,
    /// Where it was decided.
    ticket: Option<String>,
    /// From when on the grant is gone: `2026-12-31T00:00:00Z`.
    expires: Option<String>,
}

/// An exception; what is left out is not constrained.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct ExceptEntry {
    /// Left out: every caller with a valid identity whom the deny is about.
    #[schemars(length(min = 1))]
    subjects: Option<Vec<Subject>>,
    /// As in an entry of `allow`.
    #[schemars(length(min = 1))]
    hosts: Option<Vec<String>>,
    /// DestinationSets, by name.
    #[schemars(length(min = 1))]
    destinations: Option<Vec<String>>,
    /// In upper case.
    #[schemars(length(min = 1))]
    methods: Option<Vec<String>>,
    /// Exact, `/prefix*`, or a template.
    #[schemars(length(min = 1))]
    paths: Option<Vec<String>>,
    /// From when on it is gone: `2026-12-31T00:00:00Z`.
    expires: Option<String>,
    /// Why.
    reason: Option<String>,
    /// Where it was decided.
    ticket: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct SetSpec {
    /// As in an entry of a policy.
    #[schemars(length(min = 1))]
    hosts: Vec<String>,
}

/// Istio's own object.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct AuthorizationPolicy {
    api_version: IstioVersion,
    kind: AuthorizationPolicyKind,
    metadata: Metadata,
    spec: Option<IstioSpec>,
    /// Read over.
    status: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct IstioSpec {
    /// `ALLOW` where it is left out. `CUSTOM` is not ours and is passed over.
    action: Option<Action>,
    /// Goes with `CUSTOM`.
    provider: Option<Value>,
    /// Which workloads, by labels.
    selector: Option<Selector>,
    /// Which Gateway.
    target_ref: Option<TargetRef>,
    /// Which Gateways.
    #[schemars(length(min = 1))]
    target_refs: Option<Vec<TargetRef>>,
    /// `[{}]` matches everything; an ALLOW without rules matches nothing and still closes the gate.
    rules: Option<Vec<IstioRule>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
enum Action {
    Allow,
    Deny,
    Audit,
    Custom,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Selector {
    match_labels: Option<BTreeMap<String, String>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct TargetRef {
    group: Option<String>,
    kind: String,
    name: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct IstioRule {
    /// Who; the entries are alternatives.
    #[schemars(length(min = 1))]
    from: Option<Vec<From_>>,
    /// Where to; the entries are alternatives.
    #[schemars(length(min = 1))]
    to: Option<Vec<To>>,
    /// What else must hold, all of it.
    #[schemars(length(min = 1))]
    when: Option<Vec<When>>,
}

#[derive(JsonSchema)]
#[schemars(rename = "From", rename_all = "camelCase", deny_unknown_fields)]
struct From_ {
    source: Source,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Source {
    principals: Option<Vec<String>>,
    not_principals: Option<Vec<String>>,
    namespaces: Option<Vec<String>>,
    not_namespaces: Option<Vec<String>>,
    service_accounts: Option<Vec<String>>,
    not_service_accounts: Option<Vec<String>>,
    trust_domains: Option<Vec<String>>,
    not_trust_domains: Option<Vec<String>>,
    /// The connection's peer.
    ip_blocks: Option<Vec<String>>,
    not_ip_blocks: Option<Vec<String>>,
    /// The client behind trusted proxies, where these were declared.
    remote_ip_blocks: Option<Vec<String>>,
    not_remote_ip_blocks: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct To {
    operation: Operation,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Operation {
    hosts: Option<Vec<String>>,
    not_hosts: Option<Vec<String>>,
    /// Ports on which the gateway listens, in quotes.
    ports: Option<Vec<String>>,
    not_ports: Option<Vec<String>>,
    methods: Option<Vec<String>>,
    not_methods: Option<Vec<String>>,
    paths: Option<Vec<String>>,
    not_paths: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct When {
    /// `source.ip`, `source.principal`, `connection.sni`, `request.headers[NAME]` and so on.
    key: String,
    values: Option<Vec<String>>,
    not_values: Option<Vec<String>>,
}

/// Questions with the answers that are expected; `customs test` asks them.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyTest {
    api_version: EgressVersion,
    kind: PolicyTestKind,
    metadata: TestMetadata,
    #[schemars(length(min = 1))]
    cases: Vec<Case>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct TestMetadata {
    name: String,
    namespace: Option<Value>,
    labels: Option<Value>,
    annotations: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, transform = words_or_request)]
struct Case {
    /// Unique in the file.
    name: String,
    /// `namespace/account`, a whole `spiffe://` id, or `unauthenticated`.
    from: Option<String>,
    /// `http://HOST[:PORT]/PATH`, `tcp://SNI:PORT`, or `tcp://:PORT` for a connection without SNI; on TCP the port is the
    /// gateway's.
    to: Option<String>,
    /// A whole CheckRequest of Envoy's as JSON or YAML, in the place of all of these.
    request: Option<serde_json::Map<String, Value>>,
    /// `GET` where it is left out.
    method: Option<String>,
    /// Headers of the request.
    headers: Option<BTreeMap<String, String>>,
    /// The port on which the gateway listens; unknown where it is left out.
    listener_port: Option<u16>,
    /// The connection's peer; unknown where it is left out.
    source_ip: Option<String>,
    /// The SNI of the TLS session.
    sni: Option<String>,
    /// What time it is: `2026-12-31T00:00:00Z`; the wall clock where it is left out.
    now: Option<String>,
    /// The verdict: what is enforced.
    expect: Expectation,
    /// The rule that the verdict names.
    rule: Option<String>,
    /// The verdict's reason.
    reason: Option<String>,
    /// What the verdict would be with everything on trial enforced.
    dry_run: Option<Expectation>,
    /// The reason of that answer.
    dry_run_reason: Option<String>,
    /// The rule that it names.
    dry_run_rule: Option<String>,
    /// What Envoy is told: the verdict, save where the server only reports.
    effect: Option<Expectation>,
    /// The gates that stayed shut for a denial, or opened for an allow: `istio`, `isolation` or `istio,isolation`.
    gate: Option<String>,
    /// The exception of a deny that ended: `ep:NAMESPACE/NAME#ENTRY.except[0]`.
    expired: Option<String>,
}

/// A case asks in words or with a whole check.
fn words_or_request(schema: &mut Schema) {
    let words = json!({"required": ["from", "to"], "properties": {"request": false}});
    let no: serde_json::Map<String, Value> = SHORTHAND_FIELDS
        .iter()
        .map(|name| ((*name).to_owned(), false.into()))
        .collect();
    let request = json!({"required": ["request"], "properties": no});
    schema.insert("anyOf".into(), json!([words, request]));
}

#[derive(JsonSchema)]
enum Expectation {
    Allow,
    Deny,
}

#[cfg(test)]
mod tests;
