//! Policy sets and requests drawn from small alphabets, as text that a person could have written.

use customs::engine::identity::{Accepted, TrustDomains};
use customs::engine::record::UnixNanos;
use customs::engine::request::{Attributes, HttpAttributes};
use customs::engine::settings::{DefaultEffect, Enforcement, Settings};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// The moment of every decision; some grants end before it.
pub const NOW: UnixNanos = UnixNanos(1_795_392_000 * 1_000_000_000);

const NAMESPACES: [&str; 3] = ["web", "web-2", "istio-system"];
const HOSTS: [&str; 12] = [
    "a.example",
    "*.example",
    "b.a.example:8443",
    "*.a.example",
    "a.example:443",
    "a.example:*",
    "10.0.0.1",
    "10.0.0.0/8",
    "[2001:db8::1]",
    "[2001:db8::/32]:443",
    "**",
    "c.test",
];
const ISTIO_HOSTS: [&str; 9] =
    ["a.example", "*.example", "*", "A.example.", "b.a.*", "*example", "a.example:443", "10.0.0.1", "a.example:*"];
const PATHS: [&str; 5] = ["/admin", "/v1/*", "/v1/{*}/x", "/{**}", "/"];

fn list(items: Vec<&str>) -> String {
    format!("[{}]", items.iter().map(|item| format!("'{item}'")).collect::<Vec<_>>().join(", "))
}

fn some(items: &'static [&'static str]) -> impl Strategy<Value = String> {
    subsequence(items, 1..=items.len().min(3)).prop_map(list)
}

fn field(name: &'static str, items: &'static [&'static str]) -> impl Strategy<Value = String> {
    some(items).prop_map(move |list| format!("{name}: {list}"))
}

/// Up to two fields of a mapping, with their `not*` twins among the choices.
fn mapping(fields: Vec<BoxedStrategy<String>>) -> impl Strategy<Value = String> {
    let count = fields.len();
    let chosen = subsequence((0..count).collect::<Vec<_>>(), 1..=2);
    (fields, chosen).prop_map(|(fields, chosen)| {
        let fields: Vec<_> = chosen.into_iter().map(|index| fields[index].clone()).collect();
        format!("{{{}}}", fields.join(", "))
    })
}

fn source() -> impl Strategy<Value = String> {
    const PRINCIPALS: &[&str] =
        &["cluster.local/ns/web/sa/app", "*/sa/job", "cluster.local/ns/web/*", "*", "x.td/ns/web/sa/app"];
    mapping(vec![
        field("principals", PRINCIPALS).boxed(),
        field("notPrincipals", PRINCIPALS).boxed(),
        field("namespaces", &["web", "we*", "*", "shop"]).boxed(),
        field("notNamespaces", &["web", "web*"]).boxed(),
        field("ipBlocks", &["10.1.0.0/16", "192.0.2.1"]).boxed(),
        field("notIpBlocks", &["10.1.2.0/24"]).boxed(),
        field("trustDomains", &["cluster.local", "*.td"]).boxed(),
    ])
    .prop_map(|fields| format!("{{source: {fields}}}"))
}

fn operation() -> impl Strategy<Value = String> {
    mapping(vec![
        field("hosts", &ISTIO_HOSTS).boxed(),
        field("hosts", &ISTIO_HOSTS).boxed(),
        field("notHosts", &ISTIO_HOSTS).boxed(),
        field("ports", &["8443", "443"]).boxed(),
        field("methods", &["GET", "DEL*"]).boxed(),
        field("notMethods", &["GET"]).boxed(),
        field("paths", &PATHS).boxed(),
        field("notPaths", &PATHS).boxed(),
    ])
    .prop_map(|fields| format!("{{operation: {fields}}}"))
}

fn condition() -> impl Strategy<Value = String> {
    let values = prop_oneof![Just("values"), Just("notValues")];
    let key = select(vec![
        ("source.namespace", "'web'"),
        ("source.serviceAccount", "'web/app'"),
        ("connection.sni", "'a.example', '*.example'"),
        ("request.headers[x-role]", "'admin'"),
        ("destination.port", "'8443'"),
        ("source.ip", "'10.1.2.3'"),
    ]);
    (key, values).prop_map(|((key, list), values)| format!("{{key: '{key}', {values}: [{list}]}}"))
}

fn istio_rule() -> impl Strategy<Value = String> {
    let part = |name: &'static str, entry: BoxedStrategy<String>| {
        prop::option::weighted(0.7, prop::collection::vec(entry, 1..3))
            .prop_map(move |entries| entries.map(|entries| format!("{name}: [{}]", entries.join(", "))))
    };
    let when = prop::option::weighted(0.2, condition()).prop_map(|c| c.map(|c| format!("when: [{c}]")));
    (part("from", source().boxed()), part("to", operation().boxed()), when).prop_map(|(from, to, when)| {
        format!("{{{}}}", [from, to, when].into_iter().flatten().collect::<Vec<_>>().join(", "))
    })
}

fn head(kind: &str, version: &str, namespace: &str, name: &str, rest: &str) -> String {
    format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}{rest}}}\n")
}

/// An AuthorizationPolicy with one action.
pub fn authorization_policy(action: &'static str, name: &str) -> impl Strategy<Value = String> + use<> {
    let name = name.to_owned();
    let rules = prop::collection::vec(istio_rule(), 1..3);
    (select(&NAMESPACES[..]), rules, prop::bool::weighted(0.15)).prop_map(move |(namespace, rules, dry)| {
        let dry = if dry { ", annotations: {istio.io/dry-run: 'true'}" } else { "" };
        let head = head("AuthorizationPolicy", "security.istio.io/v1", namespace, &name, dry);
        format!("{head}spec: {{action: {action}, rules: [{}]}}\n", rules.join(", "))
    })
}

fn scope() -> impl Strategy<Value = String> {
    let methods = prop::option::weighted(0.2, field("methods", &["GET", "DELETE"]));
    let paths = prop::option::weighted(0.3, field("paths", &PATHS));
    (field("hosts", &HOSTS), methods, paths).prop_map(|(hosts, methods, paths)| {
        [Some(hosts), methods, paths].into_iter().flatten().collect::<Vec<_>>().join(", ")
    })
}

fn expires() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(0.3, select(vec!["2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"]))
        .prop_map(|date| date.map(|date| format!("expires: '{date}'")))
}

fn deny(index: usize) -> impl Strategy<Value = String> {
    let exception = (field("methods", &["GET", "POST"]), expires()).prop_map(|(methods, expires)| {
        format!("except: [{{{methods}{}}}]", expires.map(|e| format!(", {e}")).unwrap_or_default())
    });
    let parts = (prop::option::weighted(0.2, Just("mode: Report".to_owned())), prop::option::weighted(0.3, exception));
    (scope(), parts).prop_map(move |(scope, (mode, except))| {
        let rest: String = [mode, except].into_iter().flatten().map(|part| format!(", {part}")).collect();
        format!("{{name: d{index}, {scope}{rest}}}")
    })
}

fn allow(index: usize) -> impl Strategy<Value = String> {
    (scope(), expires()).prop_map(move |(scope, expires)| {
        format!("{{name: a{index}, {scope}{}}}", expires.map(|e| format!(", {e}")).unwrap_or_default())
    })
}

/// The subjects of a policy; only root may name others.
fn subjects(namespace: &'static str) -> BoxedStrategy<Option<String>> {
    let own = vec!["[{serviceAccounts: [app]}]".to_owned(), format!("[{{namespaces: [{namespace}]}}]")];
    let root = vec![
        "[{namespaces: ['**']}]",
        "[{namespaces: ['web*']}]",
        "[{namespaces: [web, shop], serviceAccounts: [app]}]",
        "[{serviceAccounts: [web/app, shop/job]}]",
        "[{unauthenticated: true}]",
        "[{namespaces: ['**']}, {unauthenticated: true}]",
    ];
    let root = root.into_iter().map(str::to_owned).collect();
    prop::option::weighted(0.7, select(if namespace == "istio-system" { root } else { own })).boxed()
}

fn policy(name: &str, denies: bool, allows: bool, isolate: Option<bool>) -> impl Strategy<Value = String> + use<> {
    let name = name.to_owned();
    select(&NAMESPACES[..]).prop_flat_map(move |namespace| {
        let name = name.clone();
        let isolate = match isolate {
            Some(isolate) => Just(Some(isolate)).boxed(),
            None => prop::option::of(any::<bool>()).boxed(),
        };
        let deny = prop::option::of((deny(0), prop::option::of(deny(1))));
        let allow = prop::option::of((allow(0), prop::option::of(allow(1))));
        let report = prop::bool::weighted(0.15);
        (subjects(namespace), isolate, deny, allow, report).prop_map(move |(subjects, isolate, deny, allow, report)| {
            let entries = |name: &str, entries: Option<(String, Option<String>)>| {
                entries.map(|(one, two)| {
                    format!("{name}: [{}]", [Some(one), two].into_iter().flatten().collect::<Vec<_>>().join(", "))
                })
            };
            let deny = entries("deny", deny.filter(|_| denies));
            let allow = entries("allow", allow.filter(|_| allows));
            let isolate = if deny.is_none() && allow.is_none() { Some(true) } else { isolate };
            let parts = [
                subjects.map(|s| format!("subjects: {s}")),
                isolate.map(|i| format!("isolate: {i}")),
                report.then(|| "mode: Report".to_owned()),
                deny,
                allow,
            ];
            let head = head("EgressPolicy", "egress.customs/v1alpha1", namespace, &name, "");
            format!("{head}spec: {{{}}}\n", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
        })
    })
}

/// An EgressPolicy of any kind.
fn egress_policy(name: &str) -> impl Strategy<Value = String> + use<> {
    policy(name, true, true, None)
}

/// A policy that denies, grants nothing, and names nobody who is unknown (that would free them, by the language).
pub fn deny_only(name: &str) -> impl Strategy<Value = String> + use<> {
    let name = name.to_owned();
    (deny(0), select(vec!["[{namespaces: ['**']}]", "[{namespaces: [web]}]"])).prop_map(move |(deny, subjects)| {
        let head = head("EgressPolicy", "egress.customs/v1alpha1", "istio-system", &name, "");
        format!("{head}spec: {{subjects: {subjects}, deny: [{deny}]}}\n")
    })
}

/// A policy that grants and isolates nobody.
pub fn allow_only(name: &str) -> impl Strategy<Value = String> + use<> {
    let name = name.to_owned();
    (allow(0), select(vec!["[{namespaces: ['**']}]", "[{namespaces: [web]}]"])).prop_map(move |(allow, subjects)| {
        let head = head("EgressPolicy", "egress.customs/v1alpha1", "istio-system", &name, "");
        format!("{head}spec: {{subjects: {subjects}, isolate: false, allow: [{allow}]}}\n")
    })
}

/// A set of up to six policies, each a document.
pub fn set() -> impl Strategy<Value = Vec<String>> {
    let one = |index: usize| {
        let name = format!("p{index}");
        prop_oneof![
            2 => authorization_policy("DENY", &name).boxed(),
            1 => authorization_policy("ALLOW", &name).boxed(),
            4 => egress_policy(&name).boxed(),
        ]
    };
    (1usize..6).prop_flat_map(move |count| (0..count).map(one).collect::<Vec<_>>())
}

/// Settings that change verdicts.
pub fn settings() -> impl Strategy<Value = Settings> {
    (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.2)).prop_map(
        |(deny, hygiene, accept, hops)| {
            let only = Settings::default().trust_domains;
            let accepted = if accept { Accepted::Any } else { only.accepted.clone() };
            Settings {
                default_effect: if deny { DefaultEffect::Deny } else { DefaultEffect::Allow },
                hygiene: if hygiene { Enforcement::Report } else { Enforcement::Enforce },
                trusted_hops: hops.then_some(0),
                trust_domains: TrustDomains { accepted, ..only },
                ..Settings::default()
            }
        },
    )
}

/// A request, owning its text.
#[derive(Clone, Debug)]
pub struct Ask {
    principal: String,
    host: String,
    path: &'static str,
    method: &'static str,
    sni: Option<&'static str>,
    http: bool,
    headers: Vec<(String, String)>,
    known: bool,
}

impl Ask {
    /// Calls `with` with the attributes.
    pub fn with<T>(&self, with: impl FnOnce(&Attributes<'_>) -> T) -> T {
        let http = HttpAttributes {
            method: self.method,
            path: self.path,
            host: &self.host,
            headers: &self.headers,
            ..HttpAttributes::default()
        };
        with(&Attributes {
            source_principal: &self.principal,
            source_address: self.known.then(|| "10.1.2.3".parse().unwrap()),
            listener_port: self.known.then_some(8443),
            has_address: true,
            service: if self.http { "" } else { &self.host },
            tls_sni: self.sni,
            http: self.http.then_some(http),
            ..Attributes::default()
        })
    }
}

/// Any request.
pub fn ask() -> impl Strategy<Value = Ask> {
    let principal = prop_oneof![
        8 => (select(vec!["web", "web-2", "shop", "istio-system"]), select(vec!["app", "job"]))
            .prop_map(|(ns, sa)| format!("spiffe://cluster.local/ns/{ns}/sa/{sa}")),
        1 => Just("spiffe://x.td/ns/web/sa/app".to_owned()),
        1 => Just(String::new()),
        1 => Just("spiffe://cluster.local/ns/web".to_owned()),
    ];
    let host = select(vec![
        "a.example",
        "A.example.",
        "b.a.example",
        "b.a.example:8443",
        "a.example:443",
        "a.example:8443",
        "example",
        "c.test",
        "10.0.0.1",
        "[::ffff:10.0.0.1]",
        "10.9.9.9:5432",
        "[2001:db8::1]",
        "x.y.z.example",
        "bad..host",
        "",
        "b.a.org",
    ]);
    let path =
        select(vec!["/", "/admin", "/v1/x", "/v1/a/x", "/v1/../admin", "/%61dmin", "/v1/%2e%2e/admin", "", "/a;b//c"]);
    let method = select(vec!["GET", "get", "DELETE", ""]);
    let sni = select(vec![None, Some(""), Some("a.example"), Some("outbound_.443_._.a.example")]);
    let headers = select(vec![vec![], vec!["admin"], vec!["user,admin"], vec!["user", "admin"]]);
    let kind = (prop::bool::weighted(0.8), prop::bool::weighted(0.9));
    (principal, host, path, method, sni, headers, kind).prop_map(
        |(principal, host, path, method, sni, headers, (http, known))| {
            let headers = headers.into_iter().map(|value| ("x-role".to_owned(), value.to_owned())).collect();
            Ask { principal, host: host.to_owned(), path, method, sni, http, headers, known }
        },
    )
}
