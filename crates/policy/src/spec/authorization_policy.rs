//! The fields of AuthorizationPolicy.

use crate::document::Node;
use crate::mapping;
use crate::reader::{List, Placed, Refused, Required, Text};
use crate::spec::{Constraint, Shape, Word, forms};

const HOSTS: Shape = Shape::list(&Shape::Form(&forms::ISTIO_HOST));
const PORTS: Shape = Shape::list(&Shape::Form(&forms::ISTIO_PORT));
const PATHS: Shape = Shape::list(&Shape::Form(&forms::ISTIO_PATH));
const PRINCIPALS: Shape = Shape::list(&Shape::Form(&forms::PRINCIPAL));
const ACCOUNTS: Shape = Shape::list(&Shape::Form(&forms::ISTIO_ACCOUNT));
const IP_BLOCKS: Shape = Shape::list(&Shape::Form(&forms::IP_BLOCK));
const TRUST_DOMAINS: Shape = Shape::list(&Shape::Form(&forms::ISTIO_TRUST_DOMAIN));

/// The values of `action`.
const ACTION: Shape = Shape::OneOf(&[
    Word::new("ALLOW"),
    Word::new("DENY"),
    Word::new("AUDIT"),
    Word::new("CUSTOM"),
]);

mapping! {
    /// What the policy says.
    pub(crate) struct IstioSpec<'n> = "`spec`" {
        /// What a rule that matches does. A policy with `CUSTOM` is for another service: it is
        /// reported with `not-ours` and skipped.
        #[default("`ALLOW`")]
        action: Option<Text<'n>> = "action" as ACTION,
        /// The service that decides, with `CUSTOM`.
        provider: Option<&'n Node> = "provider",
        /// The workloads, by labels.
        selector: Option<Placed<'n, Selector<'n>>> = "selector",
        /// The Gateway or ServiceEntry.
        target_ref: Option<Placed<'n, TargetRef<'n>>> = "targetRef",
        /// The Gateways or ServiceEntries.
        #[at_most(16)]
        target_refs: List<'n, Placed<'n, TargetRef<'n>>> = "targetRefs",
        /// `[{}]` matches everything. Without rules an ALLOW matches nothing and still closes the
        /// gate, an AUDIT marks nothing, and a DENY is an error.
        #[at_most(512)]
        rules: List<'n, Placed<'n, IstioRule<'n>>, true> = "rules",
    }
    where [
        Constraint::AtMostOne(&["selector", "targetRef", "targetRefs"]),
        Constraint::Needs("provider", "action", "CUSTOM"),
    ]
}

/// The kinds that a policy may be attached to.
const TARGET_KIND: Shape = Shape::OneOf(&[
    Word::new("Gateway"),
    Word::new("GatewayClass"),
    Word::new("ServiceEntry"),
    Word::new("Service"),
]);

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
        /// The kind.
        kind: Required<Text<'n>> = "kind" as TARGET_KIND,
        /// The name of the object.
        name: Required<Text<'n>> = "name",
        /// The namespace of a ServiceEntry: the policy's own or the root namespace.
        #[default("the policy's own")]
        namespace: Option<Text<'n>> = "namespace",
    }
}

mapping! {
    /// A rule. Its fields must all hold; a rule without any matches everything.
    pub(crate) struct IstioRule<'n> = "a rule" {
        /// The callers. The entries are alternatives.
        #[default("every caller")]
        #[at_most(512)]
        from: List<'n, Placed<'n, FromEntry<'n>>> = "from",
        /// The destinations. The entries are alternatives.
        #[default("every destination")]
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
        /// Principals of callers.
        principals: List<'n, Text<'n>> = "principals" as PRINCIPALS,
        /// None of these.
        not_principals: List<'n, Text<'n>> = "notPrincipals" as PRINCIPALS,
        /// Namespaces of callers.
        namespaces: List<'n, Text<'n>> = "namespaces",
        /// None of these.
        not_namespaces: List<'n, Text<'n>> = "notNamespaces",
        /// Service accounts of callers.
        #[at_most(16)]
        service_accounts: List<'n, Text<'n>> = "serviceAccounts" as ACCOUNTS,
        /// None of these.
        #[at_most(16)]
        not_service_accounts: List<'n, Text<'n>> = "notServiceAccounts" as ACCOUNTS,
        /// The connection's peer: addresses and ranges.
        ip_blocks: List<'n, Text<'n>> = "ipBlocks" as IP_BLOCKS,
        /// None of these.
        not_ip_blocks: List<'n, Text<'n>> = "notIpBlocks" as IP_BLOCKS,
        /// Trust domains of callers. The own domain and each alias mean all of them.
        trust_domains: List<'n, Text<'n>> = "trustDomains" as TRUST_DOMAINS,
        /// None of these.
        not_trust_domains: List<'n, Text<'n>> = "notTrustDomains" as TRUST_DOMAINS,
        /// The client behind trusted proxies, if these are declared.
        remote_ip_blocks: List<'n, Text<'n>> = "remoteIpBlocks" as IP_BLOCKS,
        /// None of these.
        not_remote_ip_blocks: List<'n, Text<'n>> = "notRemoteIpBlocks" as IP_BLOCKS,
        /// Refused: a check carries no claims of a token.
        request_principals: Refused<'n> = "requestPrincipals",
        /// Refused as well.
        not_request_principals: Refused<'n> = "notRequestPrincipals",
    }
    where [
        Constraint::Excludes(
            "serviceAccounts",
            &["principals", "notPrincipals", "namespaces", "notNamespaces"],
        ),
        Constraint::Excludes(
            "notServiceAccounts",
            &["principals", "notPrincipals", "namespaces", "notNamespaces"],
        ),
    ]
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
        /// The hosts.
        hosts: List<'n, Text<'n>> = "hosts" as HOSTS,
        /// None of these.
        not_hosts: List<'n, Text<'n>> = "notHosts" as HOSTS,
        /// Ports on which the gateway listens.
        ports: List<'n, Text<'n>> = "ports" as PORTS,
        /// None of these.
        not_ports: List<'n, Text<'n>> = "notPorts" as PORTS,
        /// Methods in upper case.
        methods: List<'n, Text<'n>> = "methods",
        /// None of these.
        not_methods: List<'n, Text<'n>> = "notMethods",
        /// The paths.
        paths: List<'n, Text<'n>> = "paths" as PATHS,
        /// None of these.
        not_paths: List<'n, Text<'n>> = "notPaths" as PATHS,
    }
}

mapping! {
    /// A condition.
    pub(crate) struct WhenEntry<'n> = "an entry of `when`" {
        /// The attribute.
        key: Required<Text<'n>> = "key" as Shape::Form(&forms::CONDITION_KEY),
        /// The values that satisfy it.
        values: List<'n, Text<'n>> = "values",
        /// The values that do not satisfy it.
        not_values: List<'n, Text<'n>> = "notValues",
    }
    where [Constraint::AnyOf(&["values", "notValues"])]
}
