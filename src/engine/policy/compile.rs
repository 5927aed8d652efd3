//! The set -> rules -> snapshot, and the decision whether a source or a set may be in force at all.
//!
//! [`load`] reads one source alone; with an error it is refused whole. [`compile`] puts sources together; what only the
//! whole set shows is an error of the set. Neither knows what was in force before: that is the reload's business.

use std::sync::Arc;

use super::authorization_policy::{self, Action, AuthorizationPolicy, IstioRule, Target};
use super::document;
use super::egress_policy::{self, EgressPolicy, Entry, ExceptionEntry};
use super::metadata::{self, Kind};
use super::problem::{Code, Place, Problem};
use super::validate::{self, Documents, Sets};
use crate::engine::decision::RuleInfo;
use crate::engine::field::Field;
use crate::engine::operation::Operation;
use crate::engine::rule::{Exception, Family, Mode, Rule, RuleKey};
use crate::engine::settings::Settings;
use crate::engine::snapshot::{EgressScope, Revision, Rules, Snapshot};
use crate::engine::who::{Subjects, Who};

/// A policy file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its name inside the source, without a directory.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A source as it was read: one `--policies` directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The directory as it was given; unique.
    pub name: String,
    /// Its policy files, sorted by name.
    pub files: Vec<PolicyFile>,
}

/// One source read alone: its documents, and every problem found in it. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct LoadedSource(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    source: Source,
    documents: Documents,
    problems: Vec<Problem>,
}

impl LoadedSource {
    /// Every problem of the source, errors and warnings.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Whether the source must be refused.
    pub fn has_errors(&self) -> bool {
        self.0.problems.iter().any(Problem::is_error)
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        &self.0.source.name
    }

    /// How many documents it has.
    pub fn documents(&self) -> usize {
        self.0.documents.len()
    }

    /// The source as it was read.
    pub fn source(&self) -> &Source {
        &self.0.source
    }
}

/// Reads one source alone, file after file.
pub fn load(source: Source, settings: &Settings) -> LoadedSource {
    let files = source.files.iter().map(|file| read_file(&source.name, file, settings)).collect();
    join_files(source, files)
}

/// One file read alone.
#[derive(Debug)]
pub struct LoadedFile {
    documents: Documents,
    problems: Vec<Problem>,
}

/// Reads one file of the source that is named; files can be read side by side.
pub fn read_file(source: &str, file: &PolicyFile, settings: &Settings) -> LoadedFile {
    let path = format!("{}/{}", source.trim_end_matches('/'), file.name);
    let (mut documents, mut problems) = (Documents::default(), Vec::new());
    load_file(&path, &file.bytes, settings, &mut documents, &mut problems);
    LoadedFile { documents, problems }
}

/// Puts the files of a source together, in their order, and looks for what only all of them show.
pub fn join_files(source: Source, files: Vec<LoadedFile>) -> LoadedSource {
    let (mut documents, mut problems) = (Documents::default(), Vec::new());
    for file in files {
        documents.append(file.documents);
        problems.extend(file.problems);
    }
    validate::duplicates(std::iter::once(&documents), &mut problems);
    problems.sort_by(|a, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
    LoadedSource(Arc::new(Loaded { source, documents, problems }))
}

fn load_file(path: &str, bytes: &[u8], settings: &Settings, documents: &mut Documents, problems: &mut Vec<Problem>) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let what = "the file is not UTF-8 text";
        problems.push(Problem::error(Code::YamlSyntax, Place::whole(path), what).hint("save it as UTF-8"));
        return;
    };
    let nodes = match document::parse(path, text) {
        Ok(nodes) => nodes,
        Err(problem) => return problems.push(problem),
    };
    for object in nodes.iter().flat_map(|node| metadata::objects(node, problems)).collect::<Vec<_>>() {
        match object.kind {
            Kind::AuthorizationPolicy => {
                documents.istio.extend(authorization_policy::read(&object, settings, problems));
            }
            Kind::EgressPolicy => documents.egress.extend(egress_policy::read_policy(&object, settings, problems)),
            Kind::DestinationSet => documents.sets.extend(egress_policy::read_set(&object, problems)),
        }
    }
}

/// A set that may be in force.
#[derive(Debug)]
pub struct Compiled {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Warnings and notes of all its sources and of the set.
    pub problems: Vec<Problem>,
}

/// Puts the sources together.
///
/// # Errors
/// The errors that only the whole set shows, and those of any source that has some.
pub fn compile(sources: &[LoadedSource], settings: &Settings) -> Result<Compiled, Vec<Problem>> {
    let documents = || sources.iter().map(|s| &s.0.documents);
    let mut problems: Vec<Problem> = sources.iter().flat_map(|s| s.problems().iter().cloned()).collect();
    validate::duplicates(documents(), &mut problems);
    let sets = Sets::of(documents(), &settings.root_namespace);
    sets.check(documents().flat_map(|d| &d.egress), &mut problems);
    if problems.iter().any(Problem::is_error) {
        problems.retain(Problem::is_error);
        return Err(problems);
    }
    let mut rules = Rules::default();
    for policy in documents().flat_map(|d| &d.istio) {
        istio_rules(policy, settings, &mut rules, &mut problems);
    }
    for policy in documents().flat_map(|d| &d.egress) {
        egress_rules(policy, &sets, &mut rules);
    }
    Ok(Compiled { snapshot: Snapshot::new(revision(sources, settings), settings.clone(), rules), problems })
}

fn revision(sources: &[LoadedSource], settings: &Settings) -> Revision {
    let mut sorted: Vec<&Source> = sources.iter().map(LoadedSource::source).collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let files =
        sorted.iter().flat_map(|s| s.files.iter().map(|f| (s.name.as_str(), f.name.as_str(), f.bytes.as_slice())));
    Revision::of(settings, files)
}

fn istio_rules(policy: &AuthorizationPolicy, settings: &Settings, rules: &mut Rules, problems: &mut Vec<Problem>) {
    if !in_scope(policy, settings, problems) {
        return;
    }
    rules.policies += 1;
    let compiled = policy.rules.iter().enumerate().map(|(index, rule)| istio_rule(policy, index, rule));
    match policy.action {
        Action::Deny => return rules.denies.extend(compiled),
        Action::Audit => return rules.audits.extend(compiled),
        Action::Allow => rules.istio_allows.extend(compiled),
    }
    rules.istio_allow_policies.push(policy.mode);
    for (domain, place) in &policy.named_trust_domains {
        if !settings.trust_domains.accepted.contains(domain) {
            let what = match policy.mode {
                Mode::Enforce => {
                    format!("trust domain `{domain}` is accepted for the whole set, because this ALLOW names it")
                }
                Mode::Report => {
                    format!("trust domain `{domain}` would be accepted for the whole set: this ALLOW on trial names it")
                }
            };
            problems.push(Problem::note(Code::TrustDomainAccepted, place.clone(), what));
            rules.accepted_trust_domains.push((domain.clone(), policy.mode));
        }
    }
}

/// Whether the policy is for this gateway; with none declared every policy is, and says so where it selects.
fn in_scope(policy: &AuthorizationPolicy, settings: &Settings, problems: &mut Vec<Problem>) -> bool {
    if let Some(gateway) = &settings.gateway {
        let applies = policy.target.applies_to(gateway, &policy.meta.namespace, &settings.root_namespace);
        if !applies {
            let what = format!(
                "AuthorizationPolicy `{}` is not for the declared gateway, and is left out",
                policy.meta.path()
            );
            problems.push(Problem::note(Code::OutOfScope, policy.meta.place.clone(), what));
        }
        return applies;
    }
    if let Target::Selector(_, place) | Target::Gateways(_, place) = &policy.target {
        let what = "the selector or target is not used: no gateway is declared, so the policy applies to every check";
        let problem = Problem::warning(Code::SelectorUnused, place.clone(), what);
        problems.push(problem.hint("declare `gateway` in the settings file"));
    }
    true
}

fn istio_rule(policy: &AuthorizationPolicy, index: usize, rule: &IstioRule) -> Rule {
    let path = policy.meta.path();
    let info = RuleInfo { id: format!("ap:{path}#{index}"), origin: rule.place.file_and_line(), ..RuleInfo::default() };
    Rule {
        key: RuleKey { family: Family::Istio, policy: path, index, entry: String::new() },
        info: Arc::new(info),
        mode: policy.mode,
        who: if rule.from.is_empty() { Who::Anyone } else { Who::Sources(rule.from.clone()) },
        to: rule.to.clone(),
        when: rule.when.clone(),
        except: Vec::new(),
    }
}

fn egress_rules(policy: &EgressPolicy, sets: &Sets<'_>, rules: &mut Rules) {
    rules.policies += 1;
    let subjects = Arc::new(policy.subjects.clone());
    let compile = |entry: &Entry| egress_rule(policy, entry, &subjects, sets);
    rules.denies.extend(policy.deny.iter().map(compile));
    rules.grants.extend(policy.allow.iter().map(compile));
    let path = policy.meta.path();
    let info = RuleInfo {
        id: format!("ep:{path}"),
        origin: policy.meta.place.file_and_line(),
        owner: policy.owner.clone(),
        ..RuleInfo::default()
    };
    rules.egress_policies.push(EgressScope {
        key: RuleKey { family: Family::Egress, policy: path, index: 0, entry: String::new() },
        info: Arc::new(info),
        namespace: policy.meta.namespace.clone(),
        mode: policy.mode,
        subjects,
        isolate: policy.isolate,
    });
}

fn egress_rule(policy: &EgressPolicy, entry: &Entry, subjects: &Arc<Subjects>, sets: &Sets<'_>) -> Rule {
    let hosts = sets.hosts(policy, entry);
    let path = policy.meta.path();
    let info = RuleInfo {
        id: format!("ep:{path}#{}", entry.name),
        origin: entry.place.file_and_line(),
        owner: policy.owner.clone(),
        reason: entry.reason.clone(),
        ticket: entry.ticket.clone(),
        expires: entry.expires,
    };
    let except = entry.except.iter().enumerate().map(|(index, e)| exception(policy, entry, (index, e), subjects, sets));
    let on_trial = policy.mode == Mode::Report || entry.mode == Mode::Report;
    Rule {
        key: RuleKey { family: Family::Egress, policy: path, index: 0, entry: entry.name.clone() },
        info: Arc::new(info),
        mode: if on_trial { Mode::Report } else { Mode::Enforce },
        who: Who::Subjects(subjects.clone()),
        to: vec![Operation {
            hosts: positive(hosts),
            ports: Field::default(),
            methods: positive(entry.methods.clone()),
            paths: positive(entry.paths.clone()),
        }],
        when: Vec::new(),
        except: except.collect(),
    }
}

/// An exception opens its own deny only; what it leaves out is not constrained.
fn exception(
    policy: &EgressPolicy,
    entry: &Entry,
    (index, exception): (usize, &ExceptionEntry),
    subjects: &Arc<Subjects>,
    sets: &Sets<'_>,
) -> Exception {
    let info = RuleInfo {
        id: format!("ep:{}#{}.except[{index}]", policy.meta.path(), entry.name),
        origin: exception.place.file_and_line(),
        owner: policy.owner.clone(),
        reason: exception.reason.clone(),
        ticket: exception.ticket.clone(),
        expires: exception.expires,
    };
    let named = sets.named(policy, &exception.destinations);
    let hosts = exception.hosts.iter().chain(named).cloned().collect();
    Exception {
        info: Arc::new(info),
        who: Who::Subjects(Arc::new(exception.subjects.clone().unwrap_or_else(|| subjects.own_workloads()))),
        to: Operation {
            hosts: positive(hosts),
            ports: Field::default(),
            methods: positive(exception.methods.clone()),
            paths: positive(exception.paths.clone()),
        },
    }
}

fn positive<P>(any_of: Vec<P>) -> Field<P> {
    Field { any_of, none_of: Vec::new() }
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
