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
use crate::engine::operation::PathPattern;
use crate::engine::path::Template;
use crate::engine::pattern::{self, HostPattern, Spelling, TextPattern};
use crate::engine::record::UnixNanos;
use crate::engine::rule::Mode;
use crate::engine::settings::Settings;
use crate::engine::who::Subjects;

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
    /// From when on a grant is gone.
    pub expires: Option<UnixNanos>,
    /// What opens a deny.
    pub except: Vec<ExceptionEntry>,
}

/// An entry of a deny's `except`; what is left out is not constrained.
#[derive(Clone, Debug)]
pub struct ExceptionEntry {
    /// Where it stands.
    pub place: Place,
    /// Whom it is for; `None` is whom the deny selects.
    pub subjects: Option<Subjects>,
    /// Its own hosts.
    pub hosts: Vec<HostPattern>,
    /// Names of DestinationSets, with their places.
    pub destinations: Vec<(String, Place)>,
    /// Methods; empty is any.
    pub methods: Vec<TextPattern>,
    /// Paths; empty is any.
    pub paths: Vec<PathPattern>,
    /// From when on it is gone.
    pub expires: Option<UnixNanos>,
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

/// Reads the objects of one policy.
pub(super) struct Reader<'a> {
    pub(super) meta: &'a Meta,
    pub(super) settings: &'a Settings,
}

impl Reader<'_> {
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

    fn entries(&self, nodes: &[Node], name: &'static str, kind: Kind, problems: &mut Vec<Problem>) -> Vec<Entry> {
        nodes.iter().filter_map(|node| self.entry(node, name, kind, problems)).collect()
    }

    fn entry(&self, node: &Node, what: &'static str, kind: Kind, problems: &mut Vec<Problem>) -> Option<Entry> {
        let mut fields = Fields::open(node, what, problems)?;
        let name = fields.require("name").and_then(|n| super::reader::text(n, "name", fields.problems()));
        let before = errors(fields.problems());
        let Scope { hosts, destinations, methods, paths } = Scope::read(&mut fields);
        if hosts.is_empty() && destinations.is_empty() && errors(fields.problems()) == before {
            let place = fields.place().clone();
            let problem =
                Problem::error(Code::MissingField, place, format!("`hosts` or `destinations` is missing in {what}"));
            fields.problems().push(problem.hint("write `hosts: [\"**\"]` for anywhere"));
        }
        let reason = fields.text("reason").map(|t| t.text.to_owned());
        let ticket = fields.text("ticket").map(|t| t.text.to_owned());
        let (mut mode_, mut expires, mut except) = (Mode::Enforce, None, &[][..]);
        match kind {
            Kind::Deny => {
                except = fields.list("except");
                mode_ = mode(&mut fields);
            }
            Kind::Allow => expires = expiry(&mut fields),
        }
        fields.close();
        let except = except.iter().filter_map(|node| self.exception(node, problems)).collect();
        let name = name.and_then(|name| entry_name(name, problems))?;
        let place = node.place.clone();
        Some(Entry { place, name, mode: mode_, hosts, destinations, methods, paths, reason, ticket, expires, except })
    }

    fn exception(&self, node: &Node, problems: &mut Vec<Problem>) -> Option<ExceptionEntry> {
        let mut fields = Fields::open_filled(node, "an entry of `except`", problems)?;
        let subjects = fields.list("subjects");
        let before = errors(fields.problems());
        let Scope { hosts, destinations, methods, paths } = Scope::read(&mut fields);
        let unscoped = hosts.is_empty() && destinations.is_empty() && methods.is_empty() && paths.is_empty();
        if unscoped && subjects.is_empty() && errors(fields.problems()) == before {
            let place = fields.place().clone();
            let what = "an exception needs `subjects`, `hosts`, `destinations`, `methods` or `paths`";
            let problem = Problem::error(Code::MissingField, place, what);
            fields.problems().push(problem.hint("without any it would open the whole deny: remove the deny instead"));
        }
        let expires = expiry(&mut fields);
        let reason = fields.text("reason").map(|t| t.text.to_owned());
        let ticket = fields.text("ticket").map(|t| t.text.to_owned());
        fields.close();
        let subjects = (!subjects.is_empty()).then(|| self.subjects(subjects, problems));
        let place = node.place.clone();
        Some(ExceptionEntry { place, subjects, hosts, destinations, methods, paths, expires, reason, ticket })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deny,
    Allow,
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

/// To where an entry applies.
struct Scope {
    hosts: Vec<HostPattern>,
    destinations: Vec<(String, Place)>,
    methods: Vec<TextPattern>,
    paths: Vec<PathPattern>,
}

impl Scope {
    fn read(fields: &mut Fields<'_, '_>) -> Scope {
        let hosts = hosts(fields.texts("hosts"), fields.problems());
        let destinations = fields.texts("destinations");
        let methods = fields.texts("methods");
        let paths = fields.texts("paths");
        Scope {
            hosts,
            destinations: destinations.iter().map(|t| (t.text.to_owned(), t.place.clone())).collect(),
            methods: methods.iter().filter_map(|t| method(*t, fields.problems())).collect(),
            paths: paths.iter().filter_map(|t| path(*t, fields.problems())).collect(),
        }
    }
}

/// Reads `expires`: RFC 3339 with an offset.
fn expiry(fields: &mut Fields<'_, '_>) -> Option<UnixNanos> {
    let text = fields.text("expires")?;
    match text.text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(UnixNanos(time.as_nanosecond())),
        Err(_) => {
            let what = format!("`{}` is no moment", text.text);
            fields
                .problems()
                .push(text.error(Code::BadValue, what).hint("write it with an offset: `2026-12-31T00:00:00Z`"));
            None
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
            Err(why) => refuse(format!("`{}`: {why}", text.text), "`{*}` is one segment, `{**}` any run of characters"),
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
