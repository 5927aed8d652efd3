//! `AuthorizationPolicy`: Istio's own language, read into its strict form.
//!
//! What istiod accepts is accepted, save what rule R3 lists and the keys that a check cannot answer; those are errors,
//! because in a DENY they would silently never match. What is known and not built yet is refused by name.

use super::document::{Node, Value};
use super::metadata::{Meta, Object};
use super::problem::{Code, Place, Problem};
use super::reader::{self, Fields, Text};
use crate::engine::identity::{TrustDomains, is_dns_label, is_trust_domain};
use crate::engine::path::Template;
use crate::engine::pattern::{self, HostPattern, Spelling, TextPattern};
use crate::engine::rule::{Account, Field, Mode, Operation, PathPattern, Polarity, Source};

/// A policy in its strict form.
#[derive(Clone, Debug)]
pub struct AuthorizationPolicy {
    /// Its identity and place.
    pub meta: Meta,
    /// ALLOW or DENY.
    pub action: Polarity,
    /// Whether it takes effect.
    pub mode: Mode,
    /// Its rules; an ALLOW without rules matches nothing and still closes the gate.
    pub rules: Vec<IstioRule>,
    /// Trust domains that an ALLOW names literally in `principals`, with their places.
    pub named_trust_domains: Vec<(String, Place)>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct IstioRule {
    /// Where it stands.
    pub place: Place,
    /// `from`; empty is anyone.
    pub from: Vec<Source>,
    /// `to`; empty is anywhere.
    pub to: Vec<Operation>,
}

/// Reads an object into a policy. `None` if it is not for us or has an error, which is among the problems.
pub fn read(
    object: &Object<'_>,
    trust_domains: &TrustDomains,
    problems: &mut Vec<Problem>,
) -> Option<AuthorizationPolicy> {
    let before = problems.iter().filter(|p| p.is_error()).count();
    check_dry_run(object, problems);
    let policy = spec(object, trust_domains, problems);
    let good = problems.iter().filter(|p| p.is_error()).count() == before;
    policy.filter(|_| good)
}

/// The annotation takes the spellings of Go's ParseBool, as istiod does.
fn check_dry_run(object: &Object<'_>, problems: &mut Vec<Problem>) {
    let Some(value) = object.dry_run else { return };
    match value.text {
        "0" | "f" | "F" | "FALSE" | "false" | "False" => {}
        "1" | "t" | "T" | "TRUE" | "true" | "True" => problems.push(
            value
                .error(Code::NotSupportedYet, "not supported yet: istio.io/dry-run: \"true\"")
                .hint("the policy is refused rather than enforced"),
        ),
        other => problems.push(
            value
                .error(Code::BadValue, format!("`{other}` is no boolean"))
                .hint("write \"true\" or \"false\", in quotes"),
        ),
    }
}

fn spec(object: &Object<'_>, trust_domains: &TrustDomains, problems: &mut Vec<Problem>) -> Option<AuthorizationPolicy> {
    let allow_nothing = AuthorizationPolicy {
        meta: object.meta.clone(),
        action: Polarity::Allow,
        mode: Mode::Enforce,
        rules: Vec::new(),
        named_trust_domains: Vec::new(),
    };
    let Some(node) = object.spec else { return Some(allow_nothing) };
    let mut fields = Fields::open(node, "`spec`", problems)?;
    let action = action(fields.text("action"), &object.meta, fields.problems())?;
    let provider = fields.take("provider");
    if let Some(provider) = provider {
        let what = "`provider` goes with action CUSTOM only";
        fields.problems().push(Problem::error(Code::Conflict, provider.place.clone(), what));
    }
    if let Some(selector) = fields.take("selector") {
        read_selector(selector, fields.problems());
    }
    fields.not_yet(&["targetRef", "targetRefs"]);
    let rules = fields.take("rules");
    fields.close();

    let mut reader =
        RuleReader { policy_namespace: &object.meta.namespace, action, trust_domains, problems, named: Vec::new() };
    let rules = reader.rules(rules, &object.meta.place);
    let named_trust_domains = reader.named;
    Some(AuthorizationPolicy { action, rules, named_trust_domains, ..allow_nothing })
}

fn action(action: Option<Text<'_>>, meta: &Meta, problems: &mut Vec<Problem>) -> Option<Polarity> {
    let Some(action) = action else { return Some(Polarity::Allow) };
    match action.text {
        "ALLOW" => return Some(Polarity::Allow),
        "DENY" => return Some(Polarity::Deny),
        "AUDIT" => problems.push(action.error(Code::NotSupportedYet, "not supported yet: action AUDIT")),
        "CUSTOM" => {
            let what =
                format!("`{}` has action CUSTOM: it tells Istio when to ask, and is not evaluated here", meta.path());
            problems.push(action.warning(Code::NotOurs, what).hint("keep it out of the policy directory"));
        }
        other => {
            let problem = action.error(Code::BadValue, format!("`{other}` is no action"));
            problems.push(match reader::nearest(other, &["ALLOW", "DENY", "AUDIT", "CUSTOM"]) {
                Some(meant) => problem.hint(format!("did you mean `{meant}`? Actions are upper case")),
                None => problem.hint("the actions are `ALLOW` and `DENY`"),
            });
        }
    }
    None
}

/// Checks a selector's shape; with no gateway declared, it selects nothing away.
fn read_selector(node: &Node, problems: &mut Vec<Problem>) {
    let Some(mut fields) = Fields::open(node, "`selector`", problems) else { return };
    if let Some(labels) = fields.take("matchLabels") {
        if let Value::Map(pairs) = &labels.value {
            for (key, value) in pairs {
                let text = reader::text(value, "matchLabels", fields.problems());
                if key.name.is_empty() || key.name.contains('*') || text.is_some_and(|t| t.text.contains('*')) {
                    let what = format!("label `{}` is empty or has a `*`", key.name);
                    fields.problems().push(Problem::error(Code::BadValue, key.place.clone(), what));
                }
            }
        } else {
            let what = format!("`matchLabels` is {}, and must be a mapping", labels.value.kind());
            fields.problems().push(Problem::error(Code::WrongType, labels.place.clone(), what));
        }
    }
    fields.close();
    let what = "the selector is not used: no gateway is declared, so the policy applies to every check";
    problems.push(Problem::warning(Code::SelectorUnused, node.place.clone(), what));
}

/// Reads the rules of one policy.
struct RuleReader<'a> {
    policy_namespace: &'a str,
    action: Polarity,
    trust_domains: &'a TrustDomains,
    problems: &'a mut Vec<Problem>,
    named: Vec<(String, Place)>,
}

impl RuleReader<'_> {
    fn rules(&mut self, node: Option<&Node>, policy: &Place) -> Vec<IstioRule> {
        let items = match node.map(|n| (&n.value, n)) {
            None => &[][..],
            // Kubernetes drops an empty list here, so an ALLOW with one means what an ALLOW without rules means.
            Some((Value::List(items), _)) if items.is_empty() => &[],
            Some((_, node)) => reader::list(node, "rules", self.problems).unwrap_or_default(),
        };
        if items.is_empty() && self.action == Polarity::Deny {
            let place = node.map_or(policy, |n| &n.place).clone();
            let problem = Problem::error(Code::EmptyPolicy, place, "a DENY policy without rules denies nothing");
            self.problems.push(problem.hint("write `rules: [{}]` to deny everything"));
        }
        items.iter().filter_map(|item| self.rule(item)).collect()
    }

    fn rule(&mut self, node: &Node) -> Option<IstioRule> {
        let mut fields = Fields::open(node, "a rule", self.problems)?;
        let from = fields.list("from");
        let to = fields.list("to");
        fields.not_yet(&["when"]);
        fields.close();
        let from = from.iter().filter_map(|n| self.source(n)).collect();
        let to = to.iter().filter_map(|n| self.operation(n)).collect();
        Some(IstioRule { place: node.place.clone(), from, to })
    }

    fn source(&mut self, node: &Node) -> Option<Source> {
        let source = wrapped(node, "source", "an entry of `from`", self.problems)?;
        let mut fields = Fields::open_filled(source, "source", self.problems)?;
        let both = |fields: &mut Fields<'_, '_>, yes, no| [fields.list(yes).to_vec(), fields.list(no).to_vec()];
        let principals = both(&mut fields, "principals", "notPrincipals");
        let namespaces = both(&mut fields, "namespaces", "notNamespaces");
        let accounts = both(&mut fields, "serviceAccounts", "notServiceAccounts");
        let blocks = both(&mut fields, "ipBlocks", "notIpBlocks");
        fields.not_yet(&["trustDomains", "notTrustDomains", "remoteIpBlocks", "notRemoteIpBlocks"]);
        refuse_unanswerable(&mut fields, &["requestPrincipals", "notRequestPrincipals"]);
        fields.close();
        let asked = |lists: &[Vec<Node>; 2]| lists.iter().any(|list| !list.is_empty());
        if asked(&accounts) && (asked(&principals) || asked(&namespaces)) {
            let what = "`serviceAccounts` excludes `principals` and `namespaces` in one source";
            self.problems.push(Problem::error(Code::Conflict, source.place.clone(), what).hint("write two sources"));
        }
        Some(Source {
            principals: self.field("principals", principals, Self::principal),
            namespaces: self.field("namespaces", namespaces, Self::namespace),
            service_accounts: self.field("serviceAccounts", accounts, Self::account),
            ip_blocks: self.field("ipBlocks", blocks, Self::ip_block),
        })
    }

    fn operation(&mut self, node: &Node) -> Option<Operation> {
        let operation = wrapped(node, "operation", "an entry of `to`", self.problems)?;
        let mut fields = Fields::open_filled(operation, "operation", self.problems)?;
        let both = |fields: &mut Fields<'_, '_>, yes, no| [fields.list(yes).to_vec(), fields.list(no).to_vec()];
        let hosts = both(&mut fields, "hosts", "notHosts");
        let ports = both(&mut fields, "ports", "notPorts");
        let methods = both(&mut fields, "methods", "notMethods");
        let paths = both(&mut fields, "paths", "notPaths");
        fields.close();
        Some(Operation {
            hosts: self.field("hosts", hosts, Self::host),
            ports: self.field("ports", ports, Self::port),
            methods: self.field("methods", methods, Self::method),
            paths: self.field("paths", paths, Self::path),
        })
    }

    /// Reads the two lists of a field; `read` turns one text into any number of patterns.
    fn field<P>(
        &mut self,
        name: &str,
        [yes, no]: [Vec<Node>; 2],
        read: impl Fn(&mut Self, Text<'_>, bool) -> Vec<P>,
    ) -> Field<P> {
        let mut patterns = |list: &[Node], positive| {
            let mut all = Vec::new();
            for item in list {
                if let Some(text) = reader::text(item, name, self.problems) {
                    all.extend(read(self, text, positive));
                }
            }
            all
        };
        Field { any_of: patterns(&yes, true), none_of: patterns(&no, false) }
    }

    fn principal(&mut self, value: Text<'_>, positive: bool) -> Vec<TextPattern> {
        if let Some(meant) = value.text.strip_prefix("spiffe://") {
            let problem = value.error(Code::BadIdentity, "a principal has no `spiffe://` here, and would never match");
            self.problems.push(problem.hint(format!("write `{meant}`")));
            return Vec::new();
        }
        let inner = value.text.trim_start_matches('*');
        if inner.strip_suffix('*').unwrap_or(inner).contains('*')
            || (inner.len() < value.text.len() && inner.ends_with('*'))
        {
            let what = format!("`{}` has a `*` that is a plain character, and no identity has one", value.text);
            self.problems.push(value.warning(Code::BadIdentity, what).hint("a `*` stands at one end only"));
        }
        if positive && self.action == Polarity::Allow {
            self.note_trust_domain(value);
        }
        expand_principal(value.text, self.trust_domains).iter().map(|text| TextPattern::parse(text)).collect()
    }

    /// Notes a foreign trust domain that an ALLOW names literally: it is accepted from then on (rule R6).
    fn note_trust_domain(&mut self, value: Text<'_>) {
        let Some((domain, _)) = value.text.split_once('/') else { return };
        if is_trust_domain(domain) && domain != "cluster.local" && !self.trust_domains.is_own(domain) {
            self.named.push((domain.to_owned(), value.place.clone()));
        }
    }

    fn namespace(&mut self, value: Text<'_>, _positive: bool) -> Vec<String> {
        if !value.text.contains('*') && !is_dns_label(value.text) {
            let what = format!("`{}` is no namespace that could exist, so it never matches", value.text);
            self.problems.push(value.warning(Code::BadIdentity, what));
        }
        vec![value.text.to_owned()]
    }

    fn account(&mut self, value: Text<'_>, _positive: bool) -> Vec<Account> {
        let (namespace, name) = value.text.split_once('/').unwrap_or((self.policy_namespace, value.text));
        let bad = value.text.contains('*') || name.contains('/') || namespace.is_empty() || name.is_empty();
        if bad || value.text.len() > 320 {
            let what = format!("`{}` is no service account", value.text);
            self.problems
                .push(value.error(Code::BadIdentity, what).hint("write `account` or `namespace/account`, without `*`"));
            return Vec::new();
        }
        vec![Account { namespace: namespace.to_owned(), name: name.to_owned() }]
    }

    fn ip_block(&mut self, value: Text<'_>, _positive: bool) -> Vec<ipnet::IpNet> {
        let block = pattern::parse_ip_block(value.text);
        if block.is_none() {
            let what = format!("`{}` is neither an IP address nor a range", value.text);
            self.problems.push(value.error(Code::BadAddress, what).hint("write `192.0.2.1` or `192.0.2.0/24`"));
        }
        block.into_iter().collect()
    }

    fn host(&mut self, value: Text<'_>, _positive: bool) -> Vec<HostPattern> {
        match pattern::parse_host_pattern(value.text) {
            Err(why) => self.problems.push(value.error(Code::BadHost, format!("`{}`: {why}", value.text))),
            Ok((pattern, _)) if pattern.is_anywhere() => {
                self.problems
                    .push(value.error(Code::BadHost, "`**` is no host of an AuthorizationPolicy").hint("write `*`"));
            }
            Ok((pattern, _)) if pattern.is_network() => {
                let what =
                    format!("`{}` is a range: Istio compares hosts as text and would never match it", value.text);
                self.problems
                    .push(value.error(Code::BadHost, what).hint("ranges of destinations belong into an EgressPolicy"));
            }
            Ok((pattern, spellings)) => {
                self.problems.extend(spellings.iter().map(|spelling| odd_spelling(value, spelling)));
                return vec![pattern];
            }
        }
        Vec::new()
    }

    fn port(&mut self, value: Text<'_>, _positive: bool) -> Vec<u16> {
        let port = value.text.parse().ok().filter(|_| value.text.bytes().all(|b| b.is_ascii_digit()));
        if port.is_none() {
            let what = format!("`{}` is no port", value.text);
            self.problems.push(value.error(Code::BadPort, what).hint("write a number from 0 to 65535, in quotes"));
        }
        port.into_iter().collect()
    }

    fn method(&mut self, value: Text<'_>, _positive: bool) -> Vec<TextPattern> {
        if value.text.bytes().any(|b| b.is_ascii_lowercase()) {
            let what = format!("method `{}` is not upper case: an ALLOW compares case for case", value.text);
            self.problems.push(value.warning(Code::BadMethod, what));
        }
        vec![TextPattern::parse(value.text)]
    }

    fn path(&mut self, value: Text<'_>, _positive: bool) -> Vec<PathPattern> {
        if Template::is_template(value.text) {
            return match Template::parse(value.text) {
                Ok(template) => vec![PathPattern::Template(template)],
                Err(why) => {
                    self.problems.push(value.error(Code::BadPath, format!("`{}`: {why}", value.text)));
                    Vec::new()
                }
            };
        }
        if !value.text.starts_with(['/', '*']) {
            let what = format!("`{}` does not begin with `/`, and no path of HTTP matches it", value.text);
            self.problems.push(value.warning(Code::BadPath, what));
        }
        vec![PathPattern::Text(TextPattern::parse(value.text))]
    }
}

/// The value of an entry that has one field only.
fn wrapped<'n>(
    node: &'n Node,
    field: &'static str,
    name: &'static str,
    problems: &mut Vec<Problem>,
) -> Option<&'n Node> {
    let mut fields = Fields::open(node, name, problems)?;
    let value = fields.require(field);
    fields.close();
    value
}

fn refuse_unanswerable(fields: &mut Fields<'_, '_>, names: &[&'static str]) {
    for name in names {
        if let Some(node) = fields.take(name) {
            let what = format!(
                "`{name}` asks for claims of a token, which a check never carries: it runs before they are read"
            );
            let problem = Problem::error(Code::Unanswerable, node.place.clone(), what);
            fields.problems().push(problem.hint("leave this rule with Istio, which evaluates it behind customs"));
        }
    }
}

fn odd_spelling(value: Text<'_>, spelling: &Spelling) -> Problem {
    let warn = |what: String| value.warning(Code::HostSpelling, what);
    match spelling {
        Spelling::Folded(meant) => warn(format!("`{}` is read as `{meant}`", value.text)),
        Spelling::Unicode(meant) => warn(format!("`{}` is read as its A-label `{meant}`", value.text)),
        Spelling::Loose => warn(format!("`{}` matches more than whole labels", value.text))
            .hint("other people can register names that match; write `*.example.com`"),
    }
}

/// Expands a principal to the own trust domain and its aliases, as istiod does.
fn expand_principal(value: &str, trust: &TrustDomains) -> Vec<String> {
    let unchanged = vec![value.to_owned()];
    let Some((domain, rest)) = value.split_once('/') else { return unchanged };
    if rest.split('/').count() != 4 || domain == "*" {
        return unchanged;
    }
    let own = |candidate: &str| match domain.strip_prefix('*') {
        Some(suffix) => candidate.ends_with(suffix),
        None => candidate == domain,
    };
    if domain != "cluster.local" && !trust.own_and_aliases().any(own) {
        return unchanged;
    }
    let mut all: Vec<String> = trust.own_and_aliases().map(|td| format!("{td}/{rest}")).collect();
    if domain.starts_with('*') {
        all.extend(unchanged);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_expand_to_own_and_aliases() {
        let trust =
            TrustDomains { own: "corp.example".into(), aliases: vec!["old.example".into()], ..Default::default() };
        let both = |rest: &str| vec![format!("corp.example/{rest}"), format!("old.example/{rest}")];
        for (value, expected) in [
            ("corp.example/ns/a/sa/b", both("ns/a/sa/b")),
            ("old.example/ns/a/sa/b", both("ns/a/sa/b")),
            ("cluster.local/ns/a/sa/*", both("ns/a/sa/*")),
            ("x.example/ns/a/sa/b", vec!["x.example/ns/a/sa/b".into()]),
            ("*/ns/a/sa/b", vec!["*/ns/a/sa/b".into()]),
            ("corp.example/ns/a/*", vec!["corp.example/ns/a/*".into()]),
            ("*", vec!["*".into()]),
        ] {
            assert_eq!(expand_principal(value, &trust), expected, "{value}");
        }
        assert_eq!(expand_principal("*.example/ns/a/sa/b", &trust).len(), 3);
    }
}
