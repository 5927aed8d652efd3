//! `PolicyGuard`, read into its strict form: guards, whose callers and destinations are written and
//! read as in an EgressPolicy.
//!
//! A guard says something about every caller, so only the root namespace may have one. The names of
//! DestinationSets are resolved later, over the whole set.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::egress_policy::{
    Entry, Reader, destination, entry_name, errors, require_hosts, required_spec,
};
use super::guard::{AboutGuard, Claim, Guard, GuardId};
use super::metadata::{Meta, Object};
use super::problem::{Code, Place, Problem};
use super::reader::FromNode as _;
use super::reader::{List, Placed, Required, Text};
use super::spec::egress_policy::{Destination, Subject};
use super::spec::policy_guard::{
    AlwaysClaim, GuardEntry, GuardException, GuardSpec, NeverClaim, OnlyClaim,
};
use super::validate::Sets;
use customs_engine::enforcement::Enforcement;
use customs_engine::operation::Operation;
use customs_engine::rule::{Exception, Rule};
use customs_engine::rule_info::{About, RuleId, RuleInfo};
use customs_engine::settings::Settings;
use customs_engine::subject::{CallerMatch, NamespacePattern, SubjectList};

/// A PolicyGuard in its strict form.
#[derive(Clone, Debug)]
pub(crate) struct PolicyGuard {
    /// Its identity and place.
    pub(crate) meta: Meta,
    /// Its guards.
    pub(crate) guards: Box<[WrittenGuard]>,
}

/// A guard without what DestinationSets add to it.
#[derive(Clone, Debug)]
pub(crate) struct WrittenGuard {
    /// Its name in the document.
    name: Box<str>,
    place: Place,
    about: AboutGuard,
    claim: WrittenClaim,
}

#[derive(Clone, Debug)]
enum WrittenClaim {
    Never(Entry),
    Always(Entry),
    Only(Entry),
    UnchangedFrom(Box<str>),
}

impl WrittenGuard {
    /// Its rule with the DestinationSets that it names, unless it compares two sets.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        match &self.claim {
            WrittenClaim::Never(entry)
            | WrittenClaim::Always(entry)
            | WrittenClaim::Only(entry) => Some(entry),
            WrittenClaim::UnchangedFrom(_) => None,
        }
    }
}

impl PolicyGuard {
    /// Returns its guards with the hosts of the sets that they name. A set that does not exist is
    /// added to `problems`.
    pub(crate) fn link(&self, sets: &Sets<'_>, problems: &mut Vec<Problem>) -> Vec<Guard> {
        let own = self.meta.namespace();
        let mut link = |guard: &WrittenGuard| {
            let claim = match &guard.claim {
                WrittenClaim::Never(entry) => Claim::Never(sets.link(own, entry, problems)?),
                WrittenClaim::Always(entry) => Claim::Always(sets.link(own, entry, problems)?),
                WrittenClaim::Only(entry) => Claim::Only(sets.link(own, entry, problems)?),
                WrittenClaim::UnchangedFrom(directory) => Claim::UnchangedFrom(directory.clone()),
            };
            Some(Guard {
                id: GuardId::new(&self.meta.path, &guard.name),
                place: guard.place.clone(),
                claim,
                about: guard.about.clone(),
            })
        };
        self.guards.iter().filter_map(&mut link).collect()
    }
}

/// Reads a PolicyGuard. Returns `None` if it has an error, which is added to `problems`.
pub(crate) fn read(
    object: &Object<'_>,
    settings: &Settings,
    problems: &mut Vec<Problem>,
) -> Option<PolicyGuard> {
    let before = errors(problems);
    let meta = &object.meta;
    if meta.namespace() != settings.root_namespace {
        let what = format!(
            "PolicyGuard `{}` is not in the root namespace: a guard says something about every caller",
            meta.path
        );
        let hint = format!(
            "move it to namespace `{}`, in a directory that is not bound to a namespace",
            settings.root_namespace
        );
        problems.push(Problem::error(Code::NotYours, meta.place.clone(), what).hint(hint));
    }
    let spec = required_spec(object, problems)?;
    let spec: Placed<'_, GuardSpec<'_>> = Placed::from_node(spec, "spec", problems)?;
    let reader = GuardReader {
        subjects: Reader { meta, settings },
        owner: spec.owner.map(|owner| owner.text.into()),
    };
    let written = spec.fields.guards.0.map(|guards| guards.items);
    let written = written.unwrap_or_default();
    let guards: Box<[WrittenGuard]> = written
        .iter()
        .filter_map(|guard| reader.guard(guard, problems))
        .collect();
    unique_names(&guards, problems);
    (errors(problems) == before).then(|| PolicyGuard {
        meta: meta.clone(),
        guards,
    })
}

fn unique_names(guards: &[WrittenGuard], problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for WrittenGuard { name, place, .. } in guards {
        if let Some(first) = seen.insert(name, place) {
            let what = format!("duplicate guard `{name}` in one document; the other is at {first}");
            problems.push(Problem::error(Code::Duplicate, place.clone(), what));
        }
    }
}

/// Reads the guards of one document.
struct GuardReader<'a> {
    subjects: Reader<'a>,
    owner: Option<Arc<str>>,
}

impl GuardReader<'_> {
    fn guard(
        &self,
        guard: &Placed<'_, GuardEntry<'_>>,
        problems: &mut Vec<Problem>,
    ) -> Option<WrittenGuard> {
        // Destructured completely, so that a new field must be handled here.
        let GuardEntry {
            name,
            never,
            always,
            only,
            unchanged_from,
            remarks,
        } = &guard.fields;
        let name = name.0.and_then(|name| entry_name(name, problems));
        let claims: Vec<(&str, &Place)> = [
            ("never", never.place),
            ("always", always.place),
            ("only", only.place),
            ("unchangedFrom", unchanged_from.place),
        ]
        .into_iter()
        .filter_map(|(name, place)| Some((name, place?)))
        .collect();
        match claims.as_slice() {
            [_] => {}
            [] if guard.may_hold(&["never", "always", "only", "unchangedFrom"]) => {}
            [] => {
                let what = "a guard needs `never`, `always`, `only` or `unchangedFrom`";
                let problem = Problem::error(Code::MissingField, guard.place.clone(), what);
                problems.push(problem.hint("write what must hold: `never: {to: {hosts: [...]}}`"));
            }
            [(first, _), (second, place), ..] => {
                let what = format!("`{first}` and `{second}` exclude each other in one guard");
                let problem = Problem::error(Code::Conflict, (*place).clone(), what);
                problems.push(problem.hint("write two guards, each with a name"));
            }
        }
        let id = RuleId::entry(self.subjects.meta.path.clone(), name.unwrap_or_default());
        let info = RuleInfo::new(id, guard.place.clone(), About::default());
        let written = (
            &never.value,
            &always.value,
            &only.value,
            unchanged_from.value,
        );
        let claim = match written {
            (Some(claim), ..) => WrittenClaim::Never(self.never(claim, info, problems)?),
            (_, Some(claim), ..) => WrittenClaim::Always(self.always(claim, info, problems)?),
            (_, _, Some(claim), _) => WrittenClaim::Only(self.only(claim, info, problems)?),
            (.., Some(directory)) => WrittenClaim::UnchangedFrom(directory.text.into()),
            (None, None, None, None) => return None,
        };
        let text = |text: &Option<Text<'_>>| text.map(|text| text.text.into());
        Some(WrittenGuard {
            name: name?.into(),
            place: guard.place.clone(),
            about: AboutGuard {
                owner: self.owner.clone(),
                reason: text(&remarks.reason),
                ticket: text(&remarks.ticket),
            },
            claim,
        })
    }

    fn never(
        &self,
        claim: &Placed<'_, NeverClaim<'_>>,
        info: RuleInfo,
        problems: &mut Vec<Problem>,
    ) -> Option<Entry> {
        let callers = match claim.from.is_empty() {
            true => None,
            false => Some(self.subjects.subjects(&claim.from, problems)),
        };
        let to = required_destination(&claim.to, problems)?;
        let (to, mut sets) = destination(to, None, problems);
        let mut except = Vec::new();
        for (index, exception) in claim.except.items.iter().enumerate() {
            let GuardException { from, to } = &exception.fields;
            let (to, more) = match to {
                Some(to) => destination(to, Some(index), problems),
                None => (Operation::default(), Vec::new()),
            };
            sets.extend(more);
            let subjects = match (from.is_empty(), &callers) {
                (false, _) => self.subjects.subjects(from, problems),
                (true, Some(callers)) => callers.own_workloads(),
                (true, None) => every_workload(),
            };
            except.push(excepted(subjects, to, exception.place));
        }
        let callers = match callers {
            Some(subjects) => CallerMatch::Subjects(Arc::new(subjects)),
            None => CallerMatch::Anyone,
        };
        let rule = rule(info, callers, to, except.into());
        Some(Entry {
            rule,
            sets: sets.into(),
        })
    }

    fn always(
        &self,
        claim: &Placed<'_, AlwaysClaim<'_>>,
        info: RuleInfo,
        problems: &mut Vec<Problem>,
    ) -> Option<Entry> {
        let callers = self.required_callers(&claim.from, problems);
        let to = required_destination(&claim.to, problems)?;
        let (to, sets) = destination(to, None, problems);
        let rule = rule(
            info,
            CallerMatch::Subjects(Arc::new(callers?)),
            to,
            Box::default(),
        );
        Some(Entry {
            rule,
            sets: sets.into(),
        })
    }

    /// Reads a claim that only some callers go there: every other caller never does.
    fn only(
        &self,
        claim: &Placed<'_, OnlyClaim<'_>>,
        info: RuleInfo,
        problems: &mut Vec<Problem>,
    ) -> Option<Entry> {
        let callers = self.required_callers(&claim.from, problems);
        let to = required_destination(&claim.to, problems)?;
        let (to, sets) = destination(to, None, problems);
        let except = [excepted(callers?, Operation::default(), claim.place)];
        let rule = rule(info, CallerMatch::Anyone, to, except.into());
        Some(Entry {
            rule,
            sets: sets.into(),
        })
    }

    fn required_callers<'n>(
        &self,
        from: &Required<List<'n, Placed<'n, Subject<'n>>>>,
        problems: &mut Vec<Problem>,
    ) -> Option<SubjectList> {
        let from = from.0.as_ref().filter(|from| !from.is_empty())?;
        Some(self.subjects.subjects(from, problems))
    }
}

/// Returns a destination that must name hosts, so that no guard is about every host by omission.
fn required_destination<'t, 'n>(
    to: &'t Required<Placed<'n, Destination<'n>>>,
    problems: &mut Vec<Problem>,
) -> Option<&'t Destination<'n>> {
    let to = to.0.as_ref()?;
    require_hosts(to, &to.fields, problems);
    Some(&to.fields)
}

/// Every caller with a valid identity of an own trust domain.
fn every_workload() -> SubjectList {
    SubjectList(
        [customs_engine::subject::Subject::Workloads {
            namespaces: [NamespacePattern::Every].into(),
            accounts: Box::default(),
            trust_domains: Box::default(),
        }]
        .into(),
    )
}

fn excepted(callers: SubjectList, to: Operation, place: &Place) -> Exception {
    // No answer names an exception of a guard.
    let id = RuleId::exception(Arc::from(""), "", 0);
    Exception {
        info: Arc::new(RuleInfo::new(id, place.clone(), About::default())),
        callers: CallerMatch::Subjects(Arc::new(callers)),
        to,
    }
}

fn rule(
    info: RuleInfo,
    callers: CallerMatch,
    to: Operation,
    except: Box<[Exception]>,
) -> Arc<Rule> {
    Arc::new(Rule {
        info: Arc::new(info),
        mode: Enforcement::Enforce,
        callers,
        to: [to].into(),
        when: Box::default(),
        except,
    })
}

#[cfg(test)]
mod tests;
