//! `EgressPolicy` and `DestinationSet`, read into their strict form.
//!
//! This family has one spelling for everything; any other is an error that suggests the expected
//! one. A policy of the root namespace may name any subject. Every other policy may name callers of
//! its own namespace only, so that a team can neither grant access to other teams nor block them.
//! The names of DestinationSets are resolved later, over the whole set.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::Node;
use super::egress_patterns::{hosts, method, path};
use super::metadata::{Meta, Object};
use super::problem::fix::same_in_another_case;
use super::problem::{Code, Fix, Place, Problem};
use super::reader::{FromNode, Mapping, Placed, Text};
use super::spec::egress_policy::{
    AllowEntry, DenyEntry, Destination, EgressSpec, ExceptEntry, Remarks, SetSpec,
};
use customs_engine::enforcement::Enforcement;
use customs_engine::field::Field;
use customs_engine::operation::Operation;
use customs_engine::pattern::HostPattern;
use customs_engine::rule::{Exception, Rule};
use customs_engine::rule_info::{About, Family, RuleId, RuleInfo};
use customs_engine::rules::EgressScope;
use customs_engine::settings::Settings;
use customs_engine::subject::{CallerMatch, SubjectList};
use customs_engine::time::UnixNanos;

/// An EgressPolicy in its strict form.
#[derive(Clone, Debug)]
pub(crate) struct EgressPolicy {
    /// Its identity and place.
    pub(crate) meta: Meta,
    /// The callers that it selects, and whether allow entries limit where they may go.
    pub(crate) scope: Arc<EgressScope>,
    /// Its deny entries.
    pub(crate) deny: Box<[Entry]>,
    /// Its allow entries.
    pub(crate) allow: Box<[Entry]>,
}

/// An entry of `deny` or `allow`: its rule, without what DestinationSets add to it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The rule, without the hosts of DestinationSets.
    pub(crate) rule: Arc<Rule>,
    /// The DestinationSets that it and its exceptions name.
    pub(crate) sets: Box<[SetName]>,
}

/// A DestinationSet as an entry names it.
#[derive(Clone, Debug)]
pub(crate) struct SetName {
    /// The index of the exception that names it; `None` if the entry itself does.
    pub(crate) exception: Option<usize>,
    /// Its name.
    pub(crate) name: Box<str>,
    /// Where it is named.
    pub(crate) place: Place,
}

/// A DestinationSet in its strict form.
#[derive(Clone, Debug)]
pub(crate) struct DestinationSet {
    /// Its identity and place.
    pub(crate) meta: Meta,
    /// Its hosts.
    pub(crate) hosts: Box<[HostPattern]>,
}

/// Reads an EgressPolicy. Returns `None` if it has an error, which is added to `problems`.
pub(crate) fn read_policy(
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

/// Reads a DestinationSet. Returns `None` if it has an error, which is added to `problems`.
pub(crate) fn read_set(object: &Object<'_>, problems: &mut Vec<Problem>) -> Option<DestinationSet> {
    let before = errors(problems);
    let spec = required_spec(object, problems)?;
    let spec: Placed<'_, SetSpec<'_>> = Placed::from_node(spec, "spec", problems)?;
    let written = spec.fields.hosts.0.map(|hosts| hosts.items);
    let hosts = hosts(&written.unwrap_or_default(), problems);
    (errors(problems) == before).then(|| DestinationSet {
        meta: object.meta.clone(),
        hosts: hosts.into(),
    })
}

pub(super) fn errors(problems: &[Problem]) -> usize {
    problems.iter().filter(|p| p.is_error()).count()
}

pub(super) fn required_spec<'n>(
    object: &Object<'n>,
    problems: &mut Vec<Problem>,
) -> Option<&'n Node> {
    if let Some(dry_run) = object.dry_run {
        let problem = dry_run.error(
            Code::Conflict,
            format!(
                "`istio.io/dry-run` is not supported on a {}",
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
        let spec: Placed<'_, EgressSpec<'_>> = Placed::from_node(spec, "spec", problems)?;
        let common = Common {
            mode: mode(spec.mode, problems),
            owner: spec.owner.map(|owner| owner.text.into()),
            subjects: Arc::new(self.subjects(&spec.subjects, problems)),
        };
        let deny = spec.deny.items.iter();
        let deny: Box<[_]> = deny
            .filter_map(|entry| self.deny(entry, &common, problems))
            .collect();
        let allow = spec.allow.items.iter();
        let allow: Box<[_]> = allow
            .filter_map(|entry| self.allow(entry, &common, problems))
            .collect();
        unique_names(deny.iter().chain(&allow), problems);
        let isolate = spec.isolate.unwrap_or(!allow.is_empty());
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

    fn deny(
        &self,
        entry: &Placed<'_, DenyEntry<'_>>,
        common: &Common,
        problems: &mut Vec<Problem>,
    ) -> Option<Entry> {
        require_hosts(entry, &entry.to, problems);
        let mode = mode(entry.mode, problems);
        if let (Enforcement::Report, Enforcement::Enforce, Some(written)) =
            (common.mode, mode, entry.mode)
        {
            problems.push(overruled(written));
        }
        let name = entry.name.0.and_then(|name| entry_name(name, problems));
        let (to, mut sets) = destination(&entry.to, None, problems);
        let mut except = Vec::new();
        for (index, exception) in entry.except.items.iter().enumerate() {
            let id = RuleId::exception(self.meta.path.clone(), name.unwrap_or_default(), index);
            let (to, more) = destination(&exception.to, Some(index), problems);
            sets.extend(more);
            except.push(self.exception(exception, (id, to), common, problems));
        }
        let info = RuleInfo::new(
            RuleId::entry(self.meta.path.clone(), name?),
            entry.place.clone(),
            about(&entry.remarks, common, None),
        );
        let except = except.into();
        Some(common.entry((info, mode), to, sets, except))
    }

    fn allow(
        &self,
        entry: &Placed<'_, AllowEntry<'_>>,
        common: &Common,
        problems: &mut Vec<Problem>,
    ) -> Option<Entry> {
        require_hosts(entry, &entry.to, problems);
        let name = entry.name.0.and_then(|name| entry_name(name, problems));
        let (to, sets) = destination(&entry.to, None, problems);
        let expires = expiry(entry.expires, problems);
        let info = RuleInfo::new(
            RuleId::entry(self.meta.path.clone(), name?),
            entry.place.clone(),
            about(&entry.remarks, common, expires),
        );
        Some(common.entry((info, Enforcement::Enforce), to, sets, Box::default()))
    }

    /// Reads an exception. It opens its own deny only, and the fields that it omits do not
    /// constrain it.
    fn exception(
        &self,
        exception: &Placed<'_, ExceptEntry<'_>>,
        (id, to): (RuleId, Operation),
        common: &Common,
        problems: &mut Vec<Problem>,
    ) -> Exception {
        let written = &exception.to;
        let lists = [
            &written.hosts,
            &written.destinations,
            &written.methods,
            &written.paths,
        ];
        let meant = ["subjects", "hosts", "destinations", "methods", "paths"];
        let is_scoped = lists.iter().any(|list| list.is_written()) || exception.may_hold(&meant);
        if exception.subjects.is_empty() && !is_scoped {
            let what =
                "an exception needs `subjects`, `hosts`, `destinations`, `methods` or `paths`";
            let problem = Problem::error(Code::MissingField, exception.place.clone(), what);
            problems.push(
                problem.hint("without any it would open the whole deny: remove the deny instead"),
            );
        }
        let expires = expiry(exception.expires, problems);
        let about = about(&exception.remarks, common, expires);
        let subjects = match exception.subjects.is_empty() {
            true => common.subjects.own_workloads(),
            false => self.subjects(&exception.subjects, problems),
        };
        Exception {
            info: Arc::new(RuleInfo::new(id, exception.place.clone(), about)),
            callers: CallerMatch::Subjects(Arc::new(subjects)),
            to,
        }
    }
}

/// The fields that the entries of a policy share.
struct Common {
    mode: Enforcement,
    owner: Option<Arc<str>>,
    subjects: Arc<SubjectList>,
}

impl Common {
    fn entry(
        &self,
        (info, mode): (RuleInfo, Enforcement),
        to: Operation,
        sets: Vec<SetName>,
        except: Box<[Exception]>,
    ) -> Entry {
        let is_reported = self.mode == Enforcement::Report || mode == Enforcement::Report;
        let rule = Rule {
            info: Arc::new(info),
            mode: match is_reported {
                true => Enforcement::Report,
                false => Enforcement::Enforce,
            },
            callers: CallerMatch::Subjects(self.subjects.clone()),
            to: [to].into(),
            when: Box::default(),
            except,
        };
        Entry {
            rule: Arc::new(rule),
            sets: sets.into(),
        }
    }
}

/// Collects the remarks of an entry or an exception.
fn about(remarks: &Remarks<'_>, common: &Common, expires: Option<UnixNanos>) -> About {
    About {
        owner: common.owner.clone(),
        reason: remarks.reason.map(|reason| reason.text.into()),
        ticket: remarks.ticket.map(|ticket| ticket.text.into()),
        expires,
    }
}

fn unique_names<'e>(entries: impl Iterator<Item = &'e Entry>, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&RuleId, &Place> = BTreeMap::new();
    for RuleInfo { id, place, .. } in entries.map(|entry| entry.rule.info.as_ref()) {
        if let Some(first) = seen.insert(id, place) {
            let what = format!(
                "duplicate entry `{}` in one policy; the other is at {first}",
                id.part()
            );
            problems.push(Problem::error(Code::Duplicate, place.clone(), what));
        }
    }
}

/// Refuses an entry without hosts, unless an unknown field may be meant as `hosts`.
pub(super) fn require_hosts<'n, T: Mapping<'n>>(
    entry: &Placed<'n, T>,
    to: &Destination<'_>,
    problems: &mut Vec<Problem>,
) {
    let is_written = to.hosts.is_written() || to.destinations.is_written();
    if is_written || entry.may_hold(&["hosts", "destinations"]) {
        return;
    }
    let what = format!("`hosts` or `destinations` is missing in {}", T::SPEC.called);
    let problem = Problem::error(Code::MissingField, entry.place.clone(), what);
    problems.push(problem.hint("name them: `hosts: [\"api.example.com\"]`"));
}

/// Returns the destination of an entry without what DestinationSets add to it, and the names of
/// these sets. `exception` is the index of the exception that is read, if it is one.
pub(super) fn destination(
    to: &Destination<'_>,
    exception: Option<usize>,
    problems: &mut Vec<Problem>,
) -> (Operation, Vec<SetName>) {
    let methods = to.methods.items.iter();
    let methods: Vec<_> = methods.filter_map(|t| method(*t, problems)).collect();
    let paths = to.paths.items.iter();
    let paths: Vec<_> = paths.filter_map(|t| path(*t, problems)).collect();
    let operation = Operation {
        hosts: Field::of(hosts(&to.hosts.items, problems)),
        ports: Field::default(),
        methods: Field::of(methods),
        paths: Field::of(paths),
    };
    let set = |text: &Text<'_>| SetName {
        exception,
        name: text.text.into(),
        place: text.place.clone(),
    };
    (operation, to.destinations.items.iter().map(set).collect())
}

/// Reads `expires`: RFC 3339 with an offset.
fn expiry(text: Option<Text<'_>>, problems: &mut Vec<Problem>) -> Option<UnixNanos> {
    let text = text?;
    match text.text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(UnixNanos(time.as_nanosecond())),
        Err(_) => {
            let what = format!("invalid time `{}`", text.text);
            problems.push(
                text.error(Code::BadValue, what)
                    .hint("write it with an offset: `2026-12-31T00:00:00Z`"),
            );
            None
        }
    }
}

/// Checks an entry name. It becomes part of rule ids, so it must not contain their separators.
pub(super) fn entry_name<'n>(name: Text<'n>, problems: &mut Vec<Problem>) -> Option<&'n str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.text.len() <= 63 && name.text.bytes().all(fits) {
        return Some(name.text);
    }
    let what = format!("invalid entry name `{}`", name.text);
    problems.push(
        name.error(Code::BadName, what)
            .hint("use letters, digits, `-`, `_` and `.`, at most 63 characters"),
    );
    None
}

/// Returns the problem of a deny with `Enforce` in a policy with `Report`.
fn overruled(written: Text<'_>) -> Problem {
    let what = "this `Enforce` has no effect: the whole policy says `mode: Report`, so this deny is not in force";
    written
        .warning(Code::ModeOverruled, what)
        .hint("move the deny to a policy without `mode: Report`, or leave this out")
}

/// Reads `mode`.
fn mode(text: Option<Text<'_>>, problems: &mut Vec<Problem>) -> Enforcement {
    match text.map(|t| (t.text, t)) {
        None | Some(("Enforce", _)) => Enforcement::Enforce,
        Some(("Report", _)) => Enforcement::Report,
        Some((other, text)) => {
            let problem = text
                .error(Code::BadValue, format!("invalid mode `{other}`"))
                .hint("write `Enforce` or `Report`")
                .fix(
                    same_in_another_case(other, &["Enforce", "Report"])
                        .map(|meant| Fix::text(other, meant)),
                );
            problems.push(problem);
            Enforcement::Enforce
        }
    }
}
