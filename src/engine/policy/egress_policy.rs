//! `EgressPolicy` and `DestinationSet`, read into their strict form.
//!
//! This family has one spelling for everything: what is odd is an error that says the spelling meant. A policy of the
//! root namespace may name any subject, every other only callers of its own namespace, so that a team can neither grant
//! nor block others. Which DestinationSet a name means is settled later, over the whole set.

use std::collections::BTreeMap;

use super::document::Node;
use super::metadata::{Meta, Object};
use super::problem::{Code, Place, Problem};
use super::reader::{Fields, Text};
use crate::engine::identity::{is_dns_label, is_dns_subdomain, is_trust_domain};
use crate::engine::path::Template;
use crate::engine::pattern::{self, HostPattern, Spelling, TextPattern};
use crate::engine::rule::{Account, Mode, NamespacePattern, PathPattern, Subject, Subjects};
use crate::engine::settings::Settings;

/// An EgressPolicy in its strict form.
#[derive(Clone, Debug)]
pub struct EgressPolicy {
    /// Its identity and place.
    pub meta: Meta,
    /// Whom it selects.
    pub subjects: Subjects,
    /// Whether they may go only where an allow entry says.
    pub isolate: bool,
    /// Whether it takes effect.
    pub mode: Mode,
    /// Who to ask.
    pub owner: Option<String>,
    /// The denials.
    pub deny: Vec<Entry>,
    /// The grants.
    pub allow: Vec<Entry>,
}

/// An entry of `deny` or `allow`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// Its name, unique in the policy.
    pub name: String,
    /// Its own mode; the policy's Report wins.
    pub mode: Mode,
    /// Its own hosts.
    pub hosts: Vec<HostPattern>,
    /// Names of DestinationSets, with their places.
    pub destinations: Vec<(String, Place)>,
    /// Methods; empty is any.
    pub methods: Vec<TextPattern>,
    /// Paths; empty is any.
    pub paths: Vec<PathPattern>,
    /// Why it exists.
    pub reason: Option<String>,
    /// Its ticket.
    pub ticket: Option<String>,
}

/// A DestinationSet in its strict form.
#[derive(Clone, Debug)]
pub struct DestinationSet {
    /// Its identity and place.
    pub meta: Meta,
    /// Its hosts.
    pub hosts: Vec<HostPattern>,
}

/// Reads an EgressPolicy. `None` if it has an error, which is among the problems.
pub fn read_policy(object: &Object<'_>, settings: &Settings, problems: &mut Vec<Problem>) -> Option<EgressPolicy> {
    let before = errors(problems);
    let reader = Reader { meta: &object.meta, settings };
    let policy = required_spec(object, problems).and_then(|spec| reader.policy(spec, problems));
    policy.filter(|_| errors(problems) == before)
}

/// Reads a DestinationSet. `None` if it has an error, which is among the problems.
pub fn read_set(object: &Object<'_>, problems: &mut Vec<Problem>) -> Option<DestinationSet> {
    let before = errors(problems);
    let mut fields = Fields::open(required_spec(object, problems)?, "`spec`", problems)?;
    let hosts = match fields.require("hosts") {
        Some(node) => hosts(super::reader::texts(node, "hosts", fields.problems()), fields.problems()),
        None => Vec::new(),
    };
    fields.close();
    (errors(problems) == before).then(|| DestinationSet { meta: object.meta.clone(), hosts })
}

fn errors(problems: &[Problem]) -> usize {
    problems.iter().filter(|p| p.is_error()).count()
}

fn required_spec<'n>(object: &Object<'n>, problems: &mut Vec<Problem>) -> Option<&'n Node> {
    if let Some(dry_run) = object.dry_run {
        let problem =
            dry_run.error(Code::Conflict, format!("`istio.io/dry-run` means nothing to a {}", object.kind.as_str()));
        problems.push(problem.hint("write `mode: Report` in the spec of an EgressPolicy"));
    }
    if object.spec.is_none() {
        let what = "`spec` is missing in the document";
        problems.push(Problem::error(Code::MissingField, object.meta.place.clone(), what));
    }
    object.spec
}

struct Reader<'a> {
    meta: &'a Meta,
    settings: &'a Settings,
}

impl Reader<'_> {
    fn is_root(&self) -> bool {
        self.meta.namespace == self.settings.root_namespace
    }

    fn policy(&self, spec: &Node, problems: &mut Vec<Problem>) -> Option<EgressPolicy> {
        let before = errors(problems);
        let mut fields = Fields::open(spec, "`spec`", problems)?;
        let subjects = fields.list("subjects");
        let isolate = fields.boolean("isolate");
        let mode = mode(&mut fields);
        let owner = fields.text("owner").map(|t| t.text.to_owned());
        let deny = fields.list("deny");
        let allow = fields.list("allow");
        fields.close();

        let subjects = self.subjects(subjects, problems);
        let deny = self.entries(deny, "an entry of `deny`", Kind::Deny, problems);
        let allow = self.entries(allow, "an entry of `allow`", Kind::Allow, problems);
        unique_names(deny.iter().chain(&allow), problems);
        let isolate = isolate.unwrap_or(!allow.is_empty());
        if deny.is_empty() && allow.is_empty() && !isolate && errors(problems) == before {
            let what =
                format!("`{}` does nothing: it has no `deny`, no `allow` and no `isolate: true`", self.meta.path());
            problems.push(Problem::error(Code::EmptyPolicy, self.meta.place.clone(), what));
        }
        Some(EgressPolicy { meta: self.meta.clone(), subjects, isolate, mode, owner, deny, allow })
    }

    fn subjects(&self, nodes: &[Node], problems: &mut Vec<Problem>) -> Subjects {
        if nodes.is_empty() {
            let own = NamespacePattern::Exact(self.meta.namespace.clone());
            return Subjects(vec![Subject::Workloads {
                namespaces: vec![own],
                accounts: Vec::new(),
                trust_domains: Vec::new(),
            }]);
        }
        Subjects(nodes.iter().filter_map(|node| self.subject(node, problems)).collect())
    }

    fn subject(&self, node: &Node, problems: &mut Vec<Problem>) -> Option<Subject> {
        let mut fields = Fields::open_filled(node, "a subject", problems)?;
        let unauthenticated = fields.take("unauthenticated");
        if let Some(value) = unauthenticated {
            let alone = fields.take("namespaces").is_none()
                & fields.take("serviceAccounts").is_none()
                & fields.take("trustDomains").is_none();
            fields.close();
            return self.unauthenticated(value, alone, problems);
        }
        let namespaces = fields.texts("namespaces");
        let accounts = fields.texts("serviceAccounts");
        let trust_domains = fields.texts("trustDomains");
        fields.close();
        let trust_domains = trust_domains.iter().filter_map(|t| self.trust_domain(*t, problems)).collect();
        if accounts.iter().any(|account| account.text.contains('/')) {
            return self.accounts(&namespaces, &accounts, trust_domains, problems);
        }
        let mut patterns: Vec<_> = namespaces.iter().filter_map(|t| self.namespace(*t, problems)).collect();
        if namespaces.is_empty() {
            patterns.push(NamespacePattern::Exact(self.meta.namespace.clone()));
        }
        let accounts = accounts.iter().filter_map(|t| account_name(*t, t.text, problems)).collect();
        Some(Subject::Workloads { namespaces: patterns, accounts, trust_domains })
    }

    fn unauthenticated(&self, value: &Node, alone: bool, problems: &mut Vec<Problem>) -> Option<Subject> {
        let mut refuse = |code, what: &str, hint: &str| {
            problems.push(Problem::error(code, value.place.clone(), what).hint(hint));
            None
        };
        if !matches!(value.value, super::document::Value::Bool(true)) {
            return refuse(
                Code::BadValue,
                "`unauthenticated` is `true` or is left out",
                "write `{unauthenticated: true}`",
            );
        }
        if !alone {
            return refuse(Code::Conflict, "`unauthenticated` stands alone in its entry", "write a second subject");
        }
        if !self.is_root() {
            let what = "only a policy of the root namespace names callers without an identity: they could be anyone";
            return refuse(Code::NotYours, what, &format!("move it to namespace `{}`", self.settings.root_namespace));
        }
        Some(Subject::Unauthenticated)
    }

    /// Accounts that name their own namespace.
    fn accounts(
        &self,
        namespaces: &[Text<'_>],
        accounts: &[Text<'_>],
        trust_domains: Vec<String>,
        problems: &mut Vec<Problem>,
    ) -> Option<Subject> {
        if let Some(first) = namespaces.first() {
            let what = "`namespaces` excludes accounts that name their own namespace";
            problems.push(
                first.error(Code::Conflict, what).hint("write the accounts without `namespace/`, or two subjects"),
            );
        }
        let read = |text: &Text<'_>, problems: &mut Vec<Problem>| {
            let (namespace, name) = text.text.split_once('/').unwrap_or((self.meta.namespace.as_str(), text.text));
            if !is_dns_label(namespace) {
                let what = format!("`{}` names no namespace", text.text);
                problems.push(text.error(Code::BadIdentity, what).hint("write `namespace/account`, without `*`"));
                return None;
            }
            self.own(*text, namespace, problems)?;
            let name = account_name(*text, name, problems)?;
            Some(Account { namespace: namespace.to_owned(), name })
        };
        Some(Subject::Accounts { accounts: accounts.iter().filter_map(|t| read(t, problems)).collect(), trust_domains })
    }

    /// Refuses to speak for another namespace, unless this is the root namespace.
    fn own(&self, text: Text<'_>, namespace: &str, problems: &mut Vec<Problem>) -> Option<()> {
        if self.is_root() || namespace == self.meta.namespace {
            return Some(());
        }
        let what = format!("`{}` speaks for callers outside its own namespace `{}`", text.text, self.meta.namespace);
        let hint = format!("only policies of the root namespace `{}` may", self.settings.root_namespace);
        problems.push(text.error(Code::NotYours, what).hint(hint));
        None
    }

    fn namespace(&self, text: Text<'_>, problems: &mut Vec<Problem>) -> Option<NamespacePattern> {
        let pattern = match text.text {
            "**" => NamespacePattern::Every,
            "*" => {
                let what = "a lone `*` is no namespace";
                problems.push(text.error(Code::BadIdentity, what).hint("write `**` for every namespace"));
                return None;
            }
            exact if is_dns_label(exact) => NamespacePattern::Exact(exact.to_owned()),
            other => match other.strip_suffix('*').filter(|prefix| is_dns_label(&format!("{prefix}x"))) {
                Some(prefix) => NamespacePattern::Prefix(prefix.to_owned()),
                None => {
                    let what = format!("`{other}` is no namespace");
                    let hint = "write a name in lower case, `prefix-*`, or `**` for every namespace";
                    problems.push(text.error(Code::BadIdentity, what).hint(hint));
                    return None;
                }
            },
        };
        self.own(text, text.text, problems)?;
        Some(pattern)
    }

    fn trust_domain(&self, text: Text<'_>, problems: &mut Vec<Problem>) -> Option<String> {
        let trust = &self.settings.trust_domains;
        if !is_trust_domain(text.text) {
            let what = format!("`{}` is no trust domain", text.text);
            problems
                .push(text.error(Code::BadIdentity, what).hint("write it in lower case, without `spiffe://` and `*`"));
            return None;
        }
        if !trust.is_own(text.text) && !trust.accepted.contains(text.text) {
            let what = format!("trust domain `{}` is not accepted by this server, so no caller has it", text.text);
            let hint = format!("start it with `--accept-trust-domains {}`", text.text);
            problems.push(text.error(Code::BadIdentity, what).hint(hint));
            return None;
        }
        Some(text.text.to_owned())
    }

    fn entries(&self, nodes: &[Node], name: &'static str, kind: Kind, problems: &mut Vec<Problem>) -> Vec<Entry> {
        nodes.iter().filter_map(|node| entry(node, name, kind, problems)).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deny,
    Allow,
}

fn entry(node: &Node, what: &'static str, kind: Kind, problems: &mut Vec<Problem>) -> Option<Entry> {
    let mut fields = Fields::open(node, what, problems)?;
    let name = fields.require("name").and_then(|n| super::reader::text(n, "name", fields.problems()));
    let before = errors(fields.problems());
    let hosts = hosts(fields.texts("hosts"), fields.problems());
    let destinations: Vec<_> =
        fields.texts("destinations").iter().map(|t| (t.text.to_owned(), t.place.clone())).collect();
    if hosts.is_empty() && destinations.is_empty() && errors(fields.problems()) == before {
        let place = fields.place().clone();
        let problem =
            Problem::error(Code::MissingField, place, format!("`hosts` or `destinations` is missing in {what}"));
        fields.problems().push(problem.hint("write `hosts: [\"**\"]` for anywhere"));
    }
    let methods = fields.texts("methods");
    let methods = methods.iter().filter_map(|t| method(*t, fields.problems())).collect();
    let paths = fields.texts("paths");
    let paths = paths.iter().filter_map(|t| path(*t, fields.problems())).collect();
    let reason = fields.text("reason").map(|t| t.text.to_owned());
    let ticket = fields.text("ticket").map(|t| t.text.to_owned());
    let mode = match kind {
        Kind::Deny => {
            fields.not_yet(&["except"]);
            mode(&mut fields)
        }
        Kind::Allow => {
            fields.not_yet(&["expires"]);
            Mode::Enforce
        }
    };
    fields.close();
    let name = name.and_then(|name| entry_name(name, problems))?;
    Some(Entry { place: node.place.clone(), name, mode, hosts, destinations, methods, paths, reason, ticket })
}

fn unique_names<'e>(entries: impl Iterator<Item = &'e Entry>, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for entry in entries {
        if let Some(first) = seen.insert(&entry.name, &entry.place) {
            let what = format!("the entry `{}` stands twice in one policy; the other is at {first}", entry.name);
            problems.push(Problem::error(Code::Duplicate, entry.place.clone(), what));
        }
    }
}

/// Entry names become part of rule ids, so they hold nothing that an id uses.
fn entry_name(name: Text<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.text.len() <= 63 && name.text.bytes().all(fits) {
        return Some(name.text.to_owned());
    }
    let what = format!("`{}` is no name of an entry", name.text);
    problems.push(name.error(Code::BadName, what).hint("letters, digits, `-`, `_` and `.`, at most 63"));
    None
}

fn mode(fields: &mut Fields<'_, '_>) -> Mode {
    match fields.text("mode").map(|t| (t.text, t)) {
        None | Some(("Enforce", _)) => Mode::Enforce,
        Some(("Report", _)) => Mode::Report,
        Some((other, text)) => {
            let problem =
                text.error(Code::BadValue, format!("`{other}` is no mode")).hint("write `Enforce` or `Report`");
            fields.problems().push(problem);
            Mode::Enforce
        }
    }
}

fn account_name(text: Text<'_>, name: &str, problems: &mut Vec<Problem>) -> Option<String> {
    if is_dns_subdomain(name) {
        return Some(name.to_owned());
    }
    let what = format!("`{}` is no service account", text.text);
    problems.push(
        text.error(Code::BadIdentity, what).hint("write `account` or `namespace/account` in lower case, without `*`"),
    );
    None
}

fn hosts(texts: Vec<Text<'_>>, problems: &mut Vec<Problem>) -> Vec<HostPattern> {
    texts.into_iter().filter_map(|text| host(text, problems)).collect()
}

/// Reads a host, insisting on its canonical spelling (rule R3).
fn host(text: Text<'_>, problems: &mut Vec<Problem>) -> Option<HostPattern> {
    let problem = match pattern::parse_host_pattern(text.text) {
        Err(why) => text.error(Code::BadHost, format!("`{}`: {why}", text.text)),
        Ok((pattern, _)) if pattern.is_lone_star() => {
            text.error(Code::BadHost, "a lone `*` is no host").hint("write `**` for anywhere")
        }
        Ok((pattern, spellings)) => match spellings.first() {
            None => return Some(pattern),
            Some(Spelling::Folded(meant) | Spelling::Unicode(meant)) => text
                .error(Code::HostSpelling, format!("`{}` is not the canonical spelling", text.text))
                .hint(format!("write `{meant}`")),
            Some(Spelling::Loose) => text
                .error(Code::HostSpelling, format!("`{}` would match more than whole labels", text.text))
                .hint("a `*` stands for the first labels of a name: `*.example.com`"),
        },
    };
    problems.push(problem);
    None
}

fn method(text: Text<'_>, problems: &mut Vec<Problem>) -> Option<TextPattern> {
    if text.text.bytes().all(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_')) {
        return Some(TextPattern::Exact(text.text.to_owned()));
    }
    let what = format!("`{}` is no method", text.text);
    problems.push(text.error(Code::BadMethod, what).hint(format!("write it exactly: `{}`", text.text.to_uppercase())));
    None
}

fn path(text: Text<'_>, problems: &mut Vec<Problem>) -> Option<PathPattern> {
    let refuse = |what: String, hint: &str| Problem::error(Code::BadPath, text.place.clone(), what).hint(hint);
    let problem = if !text.text.starts_with('/') {
        refuse(format!("`{}` does not begin with `/`", text.text), "paths are exact, `/prefix*`, or templates")
    } else if text.text.contains(['?', '#']) {
        refuse(format!("`{}` has a query or a fragment", text.text), "the query is cut off before paths are compared")
    } else if Template::is_template(text.text) {
        match Template::parse(text.text) {
            Ok(template) => return Some(PathPattern::Template(template)),
            Err(why) => refuse(format!("`{}`: {why}", text.text), "`{*}` is one segment, `{**}` at the end any rest"),
        }
    } else if text.text.trim_end_matches('*').len() + 1 < text.text.len()
        || text.text.trim_end_matches('*').contains('*')
    {
        refuse(format!("`{}` has a `*` that is not at its end", text.text), "write `/prefix*` or a template with `{*}`")
    } else {
        return Some(PathPattern::Text(TextPattern::parse(text.text)));
    };
    problems.push(problem);
    None
}
