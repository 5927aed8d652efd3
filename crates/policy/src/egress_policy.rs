//! `EgressPolicy` and `DestinationSet`, read into their strict form.
//!
//! This family has one spelling for everything: what is odd is an error that says the spelling meant. A policy of the
//! root namespace may name any subject, every other only callers of its own namespace, so that a team can neither grant
//! nor block others. Which DestinationSet a name means is settled later, over the whole set.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::Node;
use super::metadata::{Meta, Object};
use super::methods;
use super::problem::{Code, Place, Problem};
use super::reader::{self, Fields, Text};
use customs_engine::enforcement::Enforcement;
use customs_engine::field::Field;
use customs_engine::operation::{Operation, PathPattern};
use customs_engine::path::Template;
use customs_engine::pattern::{self, HostPattern, Spelling, TextPattern};
use customs_engine::rule::{Exception, Rule};
use customs_engine::rule_info::{About, Family, RuleId, RuleInfo};
use customs_engine::rules::EgressScope;
use customs_engine::settings::Settings;
use customs_engine::subject::{CallerMatch, SubjectList};
use customs_engine::time::UnixNanos;

/// An EgressPolicy in its strict form.
#[derive(Clone, Debug)]
pub struct EgressPolicy {
    /// Its identity and place.
    pub meta: Meta,
    /// Whom it selects, and whether they may go only where an allow entry says.
    pub scope: Arc<EgressScope>,
    /// The denials.
    pub deny: Box<[Entry]>,
    /// The grants.
    pub allow: Box<[Entry]>,
}

/// An entry of `deny` or `allow`: its rule, as far as the policy itself tells it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The rule, without the hosts of DestinationSets.
    pub rule: Arc<Rule>,
    /// The DestinationSets that it and its exceptions name.
    pub sets: Box<[SetName]>,
}

/// A DestinationSet as an entry names it.
#[derive(Clone, Debug)]
pub struct SetName {
    /// The index of the exception that names it; `None` is the entry itself.
    pub exception: Option<usize>,
    /// Its name.
    pub name: Box<str>,
    /// Where it is named.
    pub place: Place,
}

/// A DestinationSet in its strict form.
#[derive(Clone, Debug)]
pub struct DestinationSet {
    /// Its identity and place.
    pub meta: Meta,
    /// Its hosts.
    pub hosts: Box<[HostPattern]>,
}

/// Reads an EgressPolicy. `None` if it has an error, which is among the problems.
pub fn read_policy(
    object: &Object<'_>,
    settings: &Settings,
    problems: &mut Vec<Problem>,
) -> Option<EgressPolicy> {
    let before = errors(problems);
    let reader = Reader {
        meta: &object.meta,
        settings,
    };
    let policy = required_spec(object, problems).and_then(|spec| reader.policy(spec, problems));
    policy.filter(|_| errors(problems) == before)
}

/// Reads a DestinationSet. `None` if it has an error, which is among the problems.
pub fn read_set(object: &Object<'_>, problems: &mut Vec<Problem>) -> Option<DestinationSet> {
    let before = errors(problems);
    let mut fields = Fields::open(required_spec(object, problems)?, "`spec`", problems)?;
    let hosts = match fields.require("hosts") {
        Some(node) => hosts(
            reader::texts(node, "hosts", fields.problems()),
            fields.problems(),
        ),
        None => Vec::new(),
    };
    fields.close();
    (errors(problems) == before).then(|| DestinationSet {
        meta: object.meta.clone(),
        hosts: hosts.into(),
    })
}

fn errors(problems: &[Problem]) -> usize {
    problems.iter().filter(|p| p.is_error()).count()
}

fn required_spec<'n>(object: &Object<'n>, problems: &mut Vec<Problem>) -> Option<&'n Node> {
    if let Some(dry_run) = object.dry_run {
        let problem = dry_run.error(
            Code::Conflict,
            format!(
                "`istio.io/dry-run` means nothing to a {}",
                object.kind.as_str()
            ),
        );
        problems.push(problem.hint("write `mode: Report` in the spec of an EgressPolicy"));
    }
    if object.spec.is_none() {
        let what = "`spec` is missing in the document";
        problems.push(Problem::error(
            Code::MissingField,
            object.meta.place.clone(),
            what,
        ));
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
        let (mode, _) = mode(&mut fields);
        let owner = fields.text("owner").map(|t| t.text.into());
        let deny = fields.list("deny");
        let allow = fields.list("allow");
        fields.close();

        let common = Common {
            mode,
            owner,
            subjects: Arc::new(self.subjects(subjects, problems)),
        };
        let deny = self.entries(deny, Kind::Deny, &common, problems);
        let allow = self.entries(allow, Kind::Allow, &common, problems);
        unique_names(deny.iter().chain(&allow), problems);
        let isolate = isolate.unwrap_or(!allow.is_empty());
        if deny.is_empty() && allow.is_empty() && !isolate && errors(problems) == before {
            let path = &self.meta.path;
            let what = format!(
                "`{path}` does nothing: it has no `deny`, no `allow` and no `isolate: true`"
            );
            problems.push(Problem::error(
                Code::EmptyPolicy,
                self.meta.place.clone(),
                what,
            ));
        }
        Some(EgressPolicy {
            meta: self.meta.clone(),
            scope: Arc::new(self.scope(common, isolate)),
            deny,
            allow,
        })
    }

    fn scope(&self, common: Common, isolate: bool) -> EgressScope {
        let id = RuleId::policy(Family::Egress, self.meta.path.clone());
        let about = About {
            owner: common.owner,
            ..About::default()
        };
        EgressScope {
            info: Arc::new(RuleInfo::new(id, self.meta.place.clone(), about)),
            mode: common.mode,
            subjects: common.subjects,
            isolate,
        }
    }

    fn entries(
        &self,
        nodes: &[Node],
        kind: Kind,
        common: &Common,
        problems: &mut Vec<Problem>,
    ) -> Box<[Entry]> {
        nodes
            .iter()
            .filter_map(|node| self.entry(node, kind, common, problems))
            .collect()
    }

    fn entry(
        &self,
        node: &Node,
        kind: Kind,
        common: &Common,
        problems: &mut Vec<Problem>,
    ) -> Option<Entry> {
        let what = kind.entry();
        let mut fields = Fields::open(node, what, problems)?;
        let name = fields
            .require("name")
            .and_then(|n| reader::text(n, "name", fields.problems()));
        let before = errors(fields.problems());
        let to = Destination::read(&mut fields);
        if to.names_no_host()
            && errors(fields.problems()) == before
            && !fields.may_hold(&["hosts", "destinations"])
        {
            let place = fields.place().clone();
            let problem = Problem::error(
                Code::MissingField,
                place,
                format!("`hosts` or `destinations` is missing in {what}"),
            );
            fields
                .problems()
                .push(problem.hint("name them: `hosts: [\"api.example.com\"]`"));
        }
        let (mut own_mode, mut except) = (Enforcement::Enforce, &[][..]);
        let about = match kind {
            Kind::Deny => {
                except = fields.list("except");
                let (mode, written) = mode(&mut fields);
                own_mode = mode;
                if let (Enforcement::Report, Enforcement::Enforce, Some(written)) =
                    (common.mode, mode, written)
                {
                    fields.problems().push(overruled(written));
                }
                about(&mut fields, common, None)
            }
            Kind::Allow => {
                let expires = expiry(&mut fields);
                about(&mut fields, common, expires)
            }
        };
        fields.close();
        let name = name.and_then(|name| entry_name(name, problems));
        let mut sets: Vec<SetName> = to.sets(None).collect();
        let mut read = |(index, node)| {
            self.exception(
                node,
                (index, name.unwrap_or_default()),
                common,
                &mut sets,
                problems,
            )
        };
        let except = except.iter().enumerate().filter_map(&mut read).collect();
        let info = RuleInfo::new(
            RuleId::entry(self.meta.path.clone(), name?),
            node.place.clone(),
            about,
        );
        let on_trial = common.mode == Enforcement::Report || own_mode == Enforcement::Report;
        let rule = Rule {
            info: Arc::new(info),
            mode: if on_trial {
                Enforcement::Report
            } else {
                Enforcement::Enforce
            },
            callers: CallerMatch::Subjects(common.subjects.clone()),
            to: [to.operation].into(),
            when: Box::default(),
            except,
        };
        Some(Entry {
            rule: Arc::new(rule),
            sets: sets.into(),
        })
    }

    /// An exception opens its own deny only; what it leaves out is not constrained.
    fn exception(
        &self,
        node: &Node,
        (index, entry): (usize, &str),
        common: &Common,
        sets: &mut Vec<SetName>,
        problems: &mut Vec<Problem>,
    ) -> Option<Exception> {
        let mut fields = Fields::open_filled(node, "an entry of `except`", problems)?;
        let subjects = fields.list("subjects");
        let before = errors(fields.problems());
        let to = Destination::read(&mut fields);
        let unscoped = to.names_no_host() && !to.operation.is_http_only();
        let meant = ["subjects", "hosts", "destinations", "methods", "paths"];
        if unscoped
            && subjects.is_empty()
            && errors(fields.problems()) == before
            && !fields.may_hold(&meant)
        {
            let place = fields.place().clone();
            let what =
                "an exception needs `subjects`, `hosts`, `destinations`, `methods` or `paths`";
            let problem = Problem::error(Code::MissingField, place, what);
            fields.problems().push(
                problem.hint("without any it would open the whole deny: remove the deny instead"),
            );
        }
        let expires = expiry(&mut fields);
        let about = about(&mut fields, common, expires);
        fields.close();
        let subjects = match subjects {
            [] => common.subjects.own_workloads(),
            subjects => self.subjects(subjects, problems),
        };
        sets.extend(to.sets(Some(index)));
        let id = RuleId::exception(self.meta.path.clone(), entry, index);
        Some(Exception {
            info: Arc::new(RuleInfo::new(id, node.place.clone(), about)),
            callers: CallerMatch::Subjects(Arc::new(subjects)),
            to: to.operation,
        })
    }
}

/// What the entries of a policy have in common.
struct Common {
    mode: Enforcement,
    owner: Option<Arc<str>>,
    subjects: Arc<SubjectList>,
}

/// What an entry or an exception says of itself.
fn about(fields: &mut Fields<'_, '_>, common: &Common, expires: Option<UnixNanos>) -> About {
    let reason = fields.text("reason").map(|t| t.text.into());
    let ticket = fields.text("ticket").map(|t| t.text.into());
    About {
        owner: common.owner.clone(),
        reason,
        ticket,
        expires,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deny,
    Allow,
}

impl Kind {
    /// What its entries are called in messages.
    fn entry(self) -> &'static str {
        match self {
            Kind::Deny => "an entry of `deny`",
            Kind::Allow => "an entry of `allow`",
        }
    }
}

fn unique_names<'e>(entries: impl Iterator<Item = &'e Entry>, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&RuleId, &Place> = BTreeMap::new();
    for RuleInfo { id, place, .. } in entries.map(|entry| entry.rule.info.as_ref()) {
        if let Some(first) = seen.insert(id, place) {
            let what = format!(
                "the entry `{}` stands twice in one policy; the other is at {first}",
                id.part()
            );
            problems.push(Problem::error(Code::Duplicate, place.clone(), what));
        }
    }
}

/// To where an entry applies, as far as the policy itself tells it.
struct Destination<'n> {
    operation: Operation,
    sets: Vec<Text<'n>>,
}

impl<'n> Destination<'n> {
    fn read(fields: &mut Fields<'n, '_>) -> Destination<'n> {
        let hosts = hosts(fields.texts("hosts"), fields.problems());
        let sets = fields.texts("destinations");
        let methods = fields.texts("methods");
        let paths = fields.texts("paths");
        let operation = Operation {
            hosts: Field::of(hosts),
            ports: Field::default(),
            methods: Field::of(methods.iter().filter_map(|t| method(*t, fields.problems()))),
            paths: Field::of(paths.iter().filter_map(|t| path(*t, fields.problems()))),
        };
        Destination { operation, sets }
    }

    fn names_no_host(&self) -> bool {
        self.operation.hosts.any_of().is_empty() && self.sets.is_empty()
    }

    fn sets(&self, exception: Option<usize>) -> impl Iterator<Item = SetName> {
        self.sets.iter().map(move |t| SetName {
            exception,
            name: t.text.into(),
            place: t.place.clone(),
        })
    }
}

/// Reads `expires`: RFC 3339 with an offset.
fn expiry(fields: &mut Fields<'_, '_>) -> Option<UnixNanos> {
    let text = fields.text("expires")?;
    match text.text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(UnixNanos(time.as_nanosecond())),
        Err(_) => {
            let what = format!("`{}` is no moment", text.text);
            fields.problems().push(
                text.error(Code::BadValue, what)
                    .hint("write it with an offset: `2026-12-31T00:00:00Z`"),
            );
            None
        }
    }
}

/// Entry names become part of rule ids, so they hold nothing that an id uses.
fn entry_name<'n>(name: Text<'n>, problems: &mut Vec<Problem>) -> Option<&'n str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.text.len() <= 63 && name.text.bytes().all(fits) {
        return Some(name.text);
    }
    let what = format!("`{}` is no name of an entry", name.text);
    problems.push(
        name.error(Code::BadName, what)
            .hint("letters, digits, `-`, `_` and `.`, at most 63"),
    );
    None
}

/// A deny that says it is in force, in a policy that is not.
fn overruled(written: Text<'_>) -> Problem {
    let what = "this `Enforce` has no effect: the whole policy says `mode: Report`, so this deny is not in force";
    written
        .warning(Code::ModeOverruled, what)
        .hint("move the deny to a policy without `mode: Report`, or leave this out")
}

/// The mode, and its text where one is written.
fn mode<'n>(fields: &mut Fields<'n, '_>) -> (Enforcement, Option<Text<'n>>) {
    let text = fields.text("mode");
    let mode = match text.map(|t| (t.text, t)) {
        None | Some(("Enforce", _)) => Enforcement::Enforce,
        Some(("Report", _)) => Enforcement::Report,
        Some((other, text)) => {
            let problem = text
                .error(Code::BadValue, format!("`{other}` is no mode"))
                .hint("write `Enforce` or `Report`");
            fields.problems().push(problem);
            Enforcement::Enforce
        }
    };
    (mode, text)
}

fn hosts(texts: Vec<Text<'_>>, problems: &mut Vec<Problem>) -> Vec<HostPattern> {
    texts
        .into_iter()
        .filter_map(|text| host(text, problems))
        .collect()
}

/// Reads a host, insisting on its canonical spelling (rule R3).
fn host(text: Text<'_>, problems: &mut Vec<Problem>) -> Option<HostPattern> {
    let problem = match pattern::parse_host_pattern(text.text) {
        Err(why) => text
            .error(Code::BadHost, format!("`{}`: {why}", text.text))
            .advised(why.advice(text.text)),
        Ok((pattern, _)) if pattern.is_lone_star() => text
            .error(Code::BadHost, "a lone `*` is no host")
            .hint("write `**` for anywhere"),
        Ok((pattern, spellings)) => match spellings.first() {
            None => {
                problems.extend(reader::yaml_word(text));
                return Some(pattern);
            }
            Some(Spelling::Folded(meant) | Spelling::Unicode(meant)) => text
                .error(
                    Code::HostSpelling,
                    format!("`{}` is not the canonical spelling", text.text),
                )
                .hint(format!("write `{meant}`")),
            Some(Spelling::Loose) => text
                .error(
                    Code::HostSpelling,
                    format!("`{}` would match more than whole labels", text.text),
                )
                .hint(whole_labels(
                    text.text,
                    "a `*` stands for the first labels of a name: ",
                )),
        },
    };
    problems.push(problem);
    None
}

/// What was meant by a star that is not followed by a dot, behind a few words.
pub(super) fn whole_labels(text: &str, words: &str) -> String {
    let suffix = text
        .strip_prefix('*')
        .filter(|suffix| !suffix.contains('*'))
        .unwrap_or("example.com");
    format!("{words}`*.{suffix}`")
}

fn method(text: Text<'_>, problems: &mut Vec<Problem>) -> Option<TextPattern> {
    if text
        .text
        .bytes()
        .all(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_'))
    {
        problems.extend(methods::unregistered(text));
        return Some(TextPattern::Exact(text.text.to_owned()));
    }
    let what = format!("`{}` is no method", text.text);
    problems.push(
        text.error(Code::BadMethod, what)
            .hint(format!("write it exactly: `{}`", text.text.to_uppercase())),
    );
    None
}

fn path(text: Text<'_>, problems: &mut Vec<Problem>) -> Option<PathPattern> {
    let refuse = |what: String, hint: &str| {
        Problem::error(Code::BadPath, text.place.clone(), what).hint(hint)
    };
    let problem = if !text.text.starts_with('/') {
        refuse(
            format!("`{}` does not begin with `/`", text.text),
            "paths are exact, `/prefix*`, or templates",
        )
    } else if text.text.contains(['?', '#']) {
        refuse(
            format!("`{}` has a query or a fragment", text.text),
            "the query is cut off before paths are compared",
        )
    } else if Template::is_template(text.text) {
        match Template::parse(text.text) {
            Ok(template) => return Some(PathPattern::Template(template)),
            Err(why) => refuse(
                format!("`{}`: {why}", text.text),
                "`{*}` is one segment, `{**}` any run of characters",
            ),
        }
    } else if text.text.trim_end_matches('*').len() + 1 < text.text.len()
        || text.text.trim_end_matches('*').contains('*')
    {
        refuse(
            format!("`{}` has a `*` that is not at its end", text.text),
            "write `/prefix*` or a template with `{*}`",
        )
    } else {
        return Some(PathPattern::Text(TextPattern::parse(text.text)));
    };
    problems.push(problem);
    None
}
