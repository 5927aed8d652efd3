//! Policies of both families, as text.

use super::Choices;

const NAMESPACES: &[&str] = &["web", "web-2", "istio-system"];
const HOSTS: &[&str] = &[
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
    "[::ffff:10.0.0.1]",
    "[64:ff9b::a00:0/104]",
    "[2002:a00::/24]",
    "[2001:0:c000:201::f5ff:fffe]",
    "[64:ff9b:1::/48]",
    "[fe80::5efe:10.0.0.0/104]",
    "127.0.0.0/8",
    "[::1]",
    "0.0.0.0",
    "**",
    "c.test",
];
const ISTIO_HOSTS: &[&str] = &[
    "a.example",
    "*.example",
    "*",
    "A.example.",
    "b.a.*",
    "*example",
    "a.example:443",
    "10.0.0.1",
    "a.example:*",
    "*:*",
    "a.example:",
    "*.example:*",
    "10.*",
    "[::ffff:10.0.0.1]",
    "127.0.0.1",
    "a.example:8443",
];
const PATHS: &[&str] = &[
    "/admin",
    "/v1/*",
    "/v1/{*}/x",
    "/{**}",
    "/",
    "/v1%2f*",
    "/v1/{*}/{*}/x",
];
const PRINCIPALS: &[&str] = &[
    "cluster.local/ns/web/sa/app",
    "*/sa/job",
    "cluster.local/ns/web/*",
    "*",
    "x.td/ns/web/sa/app",
];

/// The fields of a mapping with the values that each may list. A field that is listed twice is
/// chosen more often.
type Fields = &'static [(&'static str, &'static [&'static str])];

const SOURCE: Fields = &[
    ("principals", PRINCIPALS),
    ("notPrincipals", PRINCIPALS),
    ("namespaces", &["web", "we*", "*", "shop"]),
    ("notNamespaces", &["web", "web*"]),
    ("ipBlocks", &["10.1.0.0/16", "192.0.2.1"]),
    ("notIpBlocks", &["10.1.2.0/24"]),
    ("trustDomains", &["cluster.local", "*.td"]),
];
const OPERATION: Fields = &[
    ("hosts", ISTIO_HOSTS),
    ("hosts", ISTIO_HOSTS),
    ("notHosts", ISTIO_HOSTS),
    ("ports", &["8443", "443"]),
    ("methods", &["GET", "DEL*"]),
    ("notMethods", &["GET"]),
    ("paths", PATHS),
    ("notPaths", PATHS),
];
const CONDITION: Fields = &[
    ("source.namespace", &["web"]),
    ("source.serviceAccount", &["web/app"]),
    ("connection.sni", &["a.example", "*.example"]),
    ("request.headers[x-role]", &["admin", "ad*", "*min", "*"]),
    ("request.headers[x-role]", &["admin", "user"]),
    (
        "request.headers[Host]",
        &["a.example", "*.example", "b.a.example:8443"],
    ),
    ("request.headers[:method]", &["GET", "D*"]),
    ("request.headers[:path]", &["/admin", "/v1/*"]),
    ("request.headers[:scheme]", &["https"]),
    ("destination.port", &["8443"]),
    ("source.ip", &["10.1.2.3"]),
];

fn join(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Draws up to three items as a list, each once.
fn list(choices: &mut Choices<'_>, items: &[&str]) -> String {
    let mut chosen = choices.several(3, |choices, _| choices.below(items.len()));
    chosen.sort_unstable();
    chosen.dedup();
    format!(
        "[{}]",
        chosen
            .into_iter()
            .map(|at| format!("'{}'", items[at]))
            .collect::<Vec<_>>()
            .join(", ")
    )
}

fn field(choices: &mut Choices<'_>, name: &str, items: &[&str]) -> String {
    format!("{name}: {}", list(choices, items))
}

/// Draws up to two fields of a mapping.
fn mapping(choices: &mut Choices<'_>, fields: Fields) -> String {
    let mut chosen = choices.several(2, |choices, _| choices.pick(fields));
    chosen.dedup_by_key(|(name, _)| *name);
    join(
        chosen
            .into_iter()
            .map(|(name, items)| Some(field(choices, name, items))),
    )
}

fn condition(choices: &mut Choices<'_>) -> String {
    let (key, items) = choices.pick(CONDITION);
    let values = choices.pick(&["values", "notValues"]);
    format!("{{key: '{key}', {}}}", field(choices, values, items))
}

fn istio_rule(choices: &mut Choices<'_>) -> String {
    let mut part = |name: &str, entry: &str, fields| {
        choices.maybe(70, |choices| {
            let entries = choices.several(2, |choices, _| {
                Some(format!("{{{entry}: {{{}}}}}", mapping(choices, fields)))
            });
            format!("{name}: [{}]", join(entries))
        })
    };
    let (from, to) = (
        part("from", "source", SOURCE),
        part("to", "operation", OPERATION),
    );
    let when = choices.maybe(20, |choices| format!("when: [{}]", condition(choices)));
    format!("{{{}}}", join([from, to, when]))
}

fn head(kind: &str, version: &str, namespace: &str, name: &str, rest: &str) -> String {
    format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}{rest}}}\n"
    )
}

/// Draws an AuthorizationPolicy with one action.
pub fn authorization_policy(choices: &mut Choices<'_>, action: &str, name: &str) -> String {
    let namespace = choices.pick(NAMESPACES);
    let dry = if choices.chance(15) {
        ", annotations: {istio.io/dry-run: 'true'}"
    } else {
        ""
    };
    let rules = choices.several(2, |choices, _| Some(istio_rule(choices)));
    let head = head(
        "AuthorizationPolicy",
        "security.istio.io/v1",
        namespace,
        name,
        dry,
    );
    format!(
        "{head}spec: {{action: {action}, rules: [{}]}}\n",
        join(rules)
    )
}

fn scope(choices: &mut Choices<'_>) -> String {
    let hosts = field(choices, "hosts", HOSTS);
    let methods = choices.maybe(20, |choices| field(choices, "methods", &["GET", "DELETE"]));
    let paths = choices.maybe(30, |choices| field(choices, "paths", PATHS));
    join([Some(hosts), methods, paths])
}

fn expires(choices: &mut Choices<'_>) -> Option<String> {
    choices.maybe(30, |c| {
        format!(
            "expires: '{}'",
            c.pick(&["2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"])
        )
    })
}

fn deny(choices: &mut Choices<'_>, index: usize) -> String {
    let scope = scope(choices);
    let mode = choices.maybe(20, |_| "mode: Report".to_owned());
    let except = choices.maybe(30, |choices| {
        let methods = field(choices, "methods", &["GET", "POST"]);
        format!("except: [{{{}}}]", join([Some(methods), expires(choices)]))
    });
    format!("{{name: d{index}, {}}}", join([Some(scope), mode, except]))
}

fn allow(choices: &mut Choices<'_>, index: usize) -> String {
    let scope = scope(choices);
    format!(
        "{{name: a{index}, {}}}",
        join([Some(scope), expires(choices)])
    )
}

/// Draws the subjects of a policy; only root may name other namespaces.
fn subjects(choices: &mut Choices<'_>, namespace: &str) -> String {
    const ROOT: &[&str] = &[
        "[{namespaces: ['**']}]",
        "[{namespaces: ['web*']}]",
        "[{namespaces: [web, shop], serviceAccounts: [app]}]",
        "[{serviceAccounts: [web/app, shop/job]}]",
        "[{unauthenticated: true}]",
        "[{namespaces: ['**']}, {unauthenticated: true}]",
    ];
    match (namespace, choices.below(2)) {
        ("istio-system", _) => choices.pick(ROOT).to_owned(),
        (_, 0) => "[{serviceAccounts: [app]}]".to_owned(),
        _ => format!("[{{namespaces: [{namespace}]}}]"),
    }
}

/// Draws an EgressPolicy of any kind.
fn egress_policy(choices: &mut Choices<'_>, name: &str) -> String {
    let namespace = choices.pick(NAMESPACES);
    let subjects = choices.maybe(70, |choices| {
        format!("subjects: {}", subjects(choices, namespace))
    });
    let mode = choices.maybe(15, |_| "mode: Report".to_owned());
    let mut entries = |name: &str, entry: fn(&mut Choices<'_>, usize) -> String| {
        choices.maybe(50, |choices| {
            format!(
                "{name}: [{}]",
                join(choices.several(2, |choices, index| Some(entry(choices, index))))
            )
        })
    };
    let (deny, allow) = (entries("deny", deny), entries("allow", allow));
    let isolate = match (&deny, &allow) {
        (None, None) => Some(true),
        _ => choices.maybe(50, |choices| choices.chance(50)),
    };
    let isolate = isolate.map(|isolate| format!("isolate: {isolate}"));
    let head = head(
        "EgressPolicy",
        "egress.customs/v1alpha1",
        namespace,
        name,
        "",
    );
    format!(
        "{head}spec: {{{}}}\n",
        join([subjects, mode, isolate, deny, allow])
    )
}

/// Draws a policy of root about known workloads only.
fn of_root(choices: &mut Choices<'_>, name: &str, rest: &str) -> String {
    let subjects = choices.pick(&["[{namespaces: ['**']}]", "[{namespaces: [web]}]"]);
    let head = head(
        "EgressPolicy",
        "egress.customs/v1alpha1",
        "istio-system",
        name,
        "",
    );
    format!("{head}spec: {{subjects: {subjects}, {rest}}}\n")
}

/// Draws a policy that denies, grants nothing, and does not name unknown callers (which would free
/// them, by the language).
pub fn deny_only(choices: &mut Choices<'_>, name: &str) -> String {
    let deny = format!("deny: [{}]", deny(choices, 0));
    of_root(choices, name, &deny)
}

/// Draws a policy of either family that only denies.
pub fn any_deny(choices: &mut Choices<'_>, name: &str) -> String {
    if choices.chance(50) {
        authorization_policy(choices, "DENY", name)
    } else {
        deny_only(choices, name)
    }
}

/// Draws a policy that grants and does not isolate.
pub fn allow_only(choices: &mut Choices<'_>, name: &str) -> String {
    let allow = format!("isolate: false, allow: [{}]", allow(choices, 0));
    of_root(choices, name, &allow)
}

/// Draws a policy of either family.
pub fn policy(choices: &mut Choices<'_>, name: &str) -> String {
    match choices.below(7) {
        0 | 1 => authorization_policy(choices, "DENY", name),
        2 => authorization_policy(choices, "ALLOW", name),
        _ => egress_policy(choices, name),
    }
}

/// Draws a set of up to five policies, each a document.
pub fn set(choices: &mut Choices<'_>) -> Vec<String> {
    choices.several(5, |choices, index| policy(choices, &format!("p{index}")))
}

/// Draws a larger set with more allows and denies, so that more rules meet.
pub fn some_more(choices: &mut Choices<'_>) -> Vec<String> {
    choices.several(9, |choices, index| {
        let name = format!("p{index}");
        match choices.below(10) {
            0 | 1 => authorization_policy(choices, "DENY", &name),
            2 => authorization_policy(choices, "ALLOW", &name),
            3..=5 => egress_policy(choices, &name),
            6 | 7 => deny_only(choices, &name),
            _ => allow_only(choices, &name),
        }
    })
}
