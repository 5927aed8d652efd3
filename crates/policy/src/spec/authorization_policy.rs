//! The fields of AuthorizationPolicy.

use crate::document::Node;
use crate::mapping;
use crate::reader::{List, Placed, Refused, Required, Text};
use crate::spec::{Shape, Word};

/// The values of `action`.
const ACTION: Shape = Shape::OneOf(&[
    Word::new("ALLOW"),
    Word::new("DENY"),
    Word::new("AUDIT"),
    Word::new("CUSTOM"),
]);

mapping! {
    /// The fields of `spec`. At most one of `selector`, `targetRef` and `targetRefs` may be set.
    pub(crate) struct IstioSpec<'n> = "`spec`" {
        /// `ALLOW` by default. An object with `CUSTOM` is reported with `not-ours` and skipped.
        action: Option<Text<'n>> = "action" as ACTION,
        /// Valid with `CUSTOM` only.
        provider: Option<&'n Node> = "provider",
        /// The workloads, by labels.
        selector: Option<Placed<'n, Selector<'n>>> = "selector",
        /// The Gateway or ServiceEntry.
        target_ref: Option<Placed<'n, TargetRef<'n>>> = "targetRef",
        /// The Gateways or ServiceEntries, at most 16.
        target_refs: List<'n, Placed<'n, TargetRef<'n>>> = "targetRefs",
        /// `[{}]` matches everything. Without rules an ALLOW matches nothing and still closes the
        /// gate, an AUDIT marks nothing, and a DENY is an error. At most 512.
        rules: List<'n, Placed<'n, IstioRule<'n>>, true> = "rules",
    }
}

mapping! {
    /// The workloads that a policy selects.
    pub(crate) struct Selector<'n> = "`selector`" {
        /// The labels that a workload must have.
        match_labels: Option<&'n Node> = "matchLabels" as Shape::Map(&Shape::AnyText),
    }
}

mapping! {
    /// What a policy is attached to.
    pub(crate) struct TargetRef<'n> = "a target reference", filled {
        /// The API group of the kind.
        group: Option<&'n Node> = "group" as Shape::AnyText,
        /// `Gateway`, `GatewayClass`, `ServiceEntry` or `Service`.
        kind: Required<Text<'n>> = "kind",
        /// The name of the object.
        name: Required<Text<'n>> = "name",
        /// The namespace of a ServiceEntry: the policy's own or the root namespace.
        namespace: Option<Text<'n>> = "namespace",
    }
}

mapping! {
    /// A rule. Its fields must all hold; a rule without any matches everything.
    pub(crate) struct IstioRule<'n> = "a rule" {
        /// The callers. The entries are alternatives, at most 512.
        from: List<'n, Placed<'n, FromEntry<'n>>> = "from",
        /// The destinations. The entries are alternatives.
        to: List<'n, Placed<'n, ToEntry<'n>>> = "to",
        /// Additional conditions, which must all hold.
        when: List<'n, Placed<'n, WhenEntry<'n>>> = "when",
    }
}

mapping! {
    /// An entry of `from`.
    pub(crate) struct FromEntry<'n> = "an entry of `from`" {
        /// The callers.
        source: Required<Placed<'n, Source<'n>>> = "source",
    }
}

mapping! {
    /// The callers. The fields must all hold.
    pub(crate) struct Source<'n> = "source", filled {
        /// `TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`, without `spiffe://`.
        principals: List<'n, Text<'n>> = "principals",
        /// None of these.
        not_principals: List<'n, Text<'n>> = "notPrincipals",
        /// Namespaces of callers.
        namespaces: List<'n, Text<'n>> = "namespaces",
        /// None of these.
        not_namespaces: List<'n, Text<'n>> = "notNamespaces",
        /// `ns/sa`, or `sa` in the policy's namespace. At most 16; without `principals` and
        /// `namespaces`.
        service_accounts: List<'n, Text<'n>> = "serviceAccounts",
        /// None of these.
        not_service_accounts: List<'n, Text<'n>> = "notServiceAccounts",
        /// The connection's peer: addresses and ranges.
        ip_blocks: List<'n, Text<'n>> = "ipBlocks",
        /// None of these.
        not_ip_blocks: List<'n, Text<'n>> = "notIpBlocks",
        /// Trust domains of callers. The own domain and each alias mean all of them.
        trust_domains: List<'n, Text<'n>> = "trustDomains",
        /// None of these.
        not_trust_domains: List<'n, Text<'n>> = "notTrustDomains",
        /// The client behind trusted proxies, if these are declared.
        remote_ip_blocks: List<'n, Text<'n>> = "remoteIpBlocks",
        /// None of these.
        not_remote_ip_blocks: List<'n, Text<'n>> = "notRemoteIpBlocks",
        /// Refused: a check carries no claims of a token.
        request_principals: Refused<'n> = "requestPrincipals",
        /// Refused as well.
        not_request_principals: Refused<'n> = "notRequestPrincipals",
    }
}

mapping! {
    /// An entry of `to`.
    pub(crate) struct ToEntry<'n> = "an entry of `to`" {
        /// The destination.
        operation: Required<Placed<'n, Operation<'n>>> = "operation",
    }
}

mapping! {
    /// The destinations. The fields must all hold.
    pub(crate) struct Operation<'n> = "operation", filled {
        /// Hosts as Istio writes them: exact, `*.suffix`, `prefix*`, `*`.
        hosts: List<'n, Text<'n>> = "hosts",
        /// None of these.
        not_hosts: List<'n, Text<'n>> = "notHosts",
        /// Ports on which the gateway listens, in quotes.
        ports: List<'n, Text<'n>> = "ports",
        /// None of these.
        not_ports: List<'n, Text<'n>> = "notPorts",
        /// Methods in upper case.
        methods: List<'n, Text<'n>> = "methods",
        /// None of these.
        not_methods: List<'n, Text<'n>> = "notMethods",
        /// Exact, `/prefix*`, `*suffix`, or a template with `{*}` and `{**}`.
        paths: List<'n, Text<'n>> = "paths",
        /// None of these.
        not_paths: List<'n, Text<'n>> = "notPaths",
    }
}

mapping! {
    /// A condition. It needs `values` or `notValues`, or both.
    pub(crate) struct WhenEntry<'n> = "an entry of `when`" {
        /// The attribute: `source.ip`, `connection.sni`, `request.headers[NAME]` and so on.
        key: Required<Text<'n>> = "key",
        /// The values that satisfy it.
        values: List<'n, Text<'n>> = "values",
        /// The values that do not satisfy it.
        not_values: List<'n, Text<'n>> = "notValues",
    }
}
