//! One source in the judgement: what its directory holds, its last good content, and whether that content may be tried.
//!
//! A source that speaks for one namespace and was never good is stood in for: its namespace is isolated.

use std::path::{Path, PathBuf};

use super::super::directories::{PolicyDirectory, SourceOptions};
use super::super::load::load;
use super::super::status::{SourceState, SourceStatus};
use crate::engine::policy::policy_change::{PublishedFile, PublishedSource};
use crate::engine::policy::problem::{Code, Place, Problem};
use crate::engine::policy::source::{self, LoadedFile, LoadedSource, Source};
use crate::engine::settings::Settings;
use crate::engine::time::UnixNanos;

/// What a directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A source.
    Whole,
    /// It holds the directories of namespaces and no policies itself.
    Namespaces,
    /// A source that is bound to this namespace.
    Bound(String),
}

/// One source, or a directory that holds some.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    path: PathBuf,
    role: Role,
    options: SourceOptions,
    /// The place in the settings of the directory that it is, or lies in.
    order: usize,
    /// What the directory holds.
    pub(super) found: Found,
    /// When it was last read to the end, whatever was found.
    pub(super) read_at: Option<UnixNanos>,
    /// The last good content: in force once a set is.
    pub(super) good: Option<LoadedSource>,
    pub(super) good_since: Option<UnixNanos>,
    /// Why what the directory holds is not good.
    pub(super) refusal: Option<Refusal>,
}

#[derive(Clone, Debug)]
pub(super) enum Found {
    Nothing,
    Unreadable(Vec<Problem>),
    Loaded(LoadedSource),
    /// The namespaces in it are members themselves; these are its mistakes.
    Listed(Vec<Problem>),
}

#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) state: SourceState,
    pub(super) problems: Vec<Problem>,
}

impl Found {
    /// Whether a directory of namespaces was listed like this, its namespaces apart.
    pub(super) fn is_listed_as(&self, other: &Found) -> bool {
        match (self, other) {
            (Found::Listed(a), Found::Listed(b)) | (Found::Unreadable(a), Found::Unreadable(b)) => a == b,
            _ => false,
        }
    }
}

impl Member {
    pub(super) fn new(order: usize, directory: PolicyDirectory) -> Member {
        let role = if directory.holds_namespaces() { Role::Namespaces } else { Role::Whole };
        Member::at(directory.path().to_owned(), role, directory.options().clone(), order)
    }

    /// The source of a namespace whose directory lies in this one.
    pub(super) fn bound(&self, namespace: String) -> Member {
        Member::at(self.path.join(&namespace), Role::Bound(namespace), self.options.clone(), self.order)
    }

    fn at(path: PathBuf, role: Role, options: SourceOptions, order: usize) -> Member {
        let name = path.display().to_string();
        Member {
            name,
            path,
            role,
            options,
            order,
            found: Found::Nothing,
            read_at: None,
            good: None,
            good_since: None,
            refusal: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn role(&self) -> &Role {
        &self.role
    }

    pub(super) fn options(&self) -> &SourceOptions {
        &self.options
    }

    pub(super) fn is_bound(&self) -> bool {
        matches!(self.role, Role::Bound(_))
    }

    /// The namespace that it is bound to.
    pub(super) fn namespace(&self) -> Option<&String> {
        match &self.role {
            Role::Bound(namespace) => Some(namespace),
            Role::Whole | Role::Namespaces => None,
        }
    }

    /// The order in which members are told and compiled: bound ones last, so that what two of them claim is theirs to
    /// give up.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        (self.is_bound(), self.order, self.namespace().cloned())
    }

    /// Whether it is a source of some namespace in that directory.
    pub(super) fn lies_in(&self, directory: &Member) -> bool {
        self.order == directory.order && self.is_bound()
    }

    /// Whether nothing would be lost with it: nothing of it is in force, and nothing was wrong with it.
    pub(super) fn is_idle(&self) -> bool {
        self.refusal.is_none() && self.good.as_ref().is_some_and(LoadedSource::is_empty)
    }

    /// Judges what was found by itself: content to be taken, or a refusal, or what is good already.
    pub(super) fn alone(&mut self, published: bool, settings: &Settings) -> Option<LoadedSource> {
        let (state, problems) = match &self.found {
            Found::Nothing => return None,
            Found::Listed(problems) => {
                let refusal = Refusal { state: SourceState::Refused, problems: problems.clone() };
                self.refusal = (!problems.is_empty()).then_some(refusal);
                let nothing = source::load(&self.source(), settings);
                self.good.get_or_insert(nothing);
                return None;
            }
            Found::Unreadable(problems) => (SourceState::Refused, problems.clone()),
            Found::Loaded(found) if found.has_errors() => (SourceState::Refused, found.problems().to_vec()),
            Found::Loaded(found) if published && self.lost_everything(found) => {
                (SourceState::Emptied, vec![self.emptied()])
            }
            Found::Loaded(found) => {
                self.refusal = None;
                let is_taken = self.good.as_ref().is_some_and(|good| good.is_same(found));
                return (!is_taken).then(|| found.clone());
            }
        };
        // A directory that was empty at first and then cannot be read was never good: its policies are not known.
        self.good.take_if(|good| !published && good.is_empty());
        self.refuse(state, problems);
        None
    }

    /// Reads everything anew, with other settings.
    pub(super) fn reload(&mut self, settings: &Settings, published: bool) {
        let again = |loaded: &LoadedSource| load(&loaded.source(), None, settings);
        let found = match &self.found {
            Found::Loaded(found) => Some(again(found)),
            Found::Nothing | Found::Unreadable(_) | Found::Listed(_) => None,
        };
        self.good = self.good.as_ref().map(|good| match &found {
            Some(found) if found.is_same(good) => found.clone(),
            _ => again(good),
        });
        // With a set in force the errors count against the settings.
        self.good.take_if(|good| !published && good.has_errors());
        self.found = found.map_or_else(|| self.found.clone(), Found::Loaded);
    }

    /// What was read of it last, of which unchanged files need not be read again.
    pub(super) fn last_loaded(&self) -> Option<&LoadedSource> {
        match &self.found {
            Found::Loaded(found) => Some(found),
            Found::Nothing | Found::Unreadable(_) | Found::Listed(_) => self.good.as_ref(),
        }
    }

    /// Notes why what was found is not taken.
    pub(super) fn refuse(&mut self, state: SourceState, mut problems: Vec<Problem>) {
        let state = if self.good.is_some() { state } else { SourceState::NeverLoaded };
        if let (Some(namespace), None, Some(first)) = (self.namespace(), &self.good, problems.first()) {
            problems.insert(0, isolated(first.code, &self.name, namespace));
        }
        self.refusal = Some(Refusal { state, problems });
    }

    /// Whether policies were taken away, or the mistakes that kept them from being good: neither says that nobody wants
    /// them any more.
    fn lost_everything(&self, found: &LoadedSource) -> bool {
        let had_some = match &self.good {
            Some(good) => !good.is_empty(),
            None => self.is_bound() && self.refusal.is_some(),
        };
        had_some && found.is_empty()
    }

    /// What is compiled while there is no good content: of a bound source the isolation of its namespace.
    pub(super) fn stand_in(&self) -> Option<LoadedSource> {
        match (&self.good, &self.found) {
            (Some(_), _) | (None, Found::Nothing) => None,
            (None, _) => LoadedSource::stand_in(&self.source()),
        }
    }

    /// The source without any file.
    fn source(&self) -> Source {
        Source {
            name: self.name.clone(),
            namespace: self.namespace().cloned(),
            default_namespace: self.options.default_namespace.clone(),
            ..Source::default()
        }
    }

    pub(super) fn status(&self, published: bool) -> SourceStatus {
        SourceStatus {
            name: self.name.clone(),
            state: self.refusal.as_ref().map_or(SourceState::Good, |refusal| refusal.state),
            files: self.in_force(published),
            problems: self.refusal.iter().flat_map(|refusal| refusal.problems.clone()).collect(),
            last_good_at: self.good_since,
            last_read_at: self.read_at,
        }
    }

    /// What the record tells of it: nothing where it has no policies itself.
    pub(super) fn entry(&self, published: bool) -> Option<PublishedSource> {
        let namespace = self.namespace().cloned().unwrap_or_default();
        let files = self.in_force(published);
        (self.role != Role::Namespaces).then(|| PublishedSource { name: self.name.clone(), namespace, files })
    }

    fn in_force(&self, published: bool) -> Vec<PublishedFile> {
        let file = |file: &LoadedFile| PublishedFile { name: file.name().to_owned(), digest: *file.digest() };
        let good = self.good.as_ref().filter(|_| published);
        good.map(|source| source.files().iter().map(file).collect()).unwrap_or_default()
    }

    fn emptied(&self) -> Problem {
        let what = match &self.good {
            Some(_) => "emptied directory; its last good content stays in force",
            None => "emptied directory, and it was never good",
        };
        let hint = match &self.role {
            Role::Bound(_) => "to withdraw all its policies on purpose, restart",
            _ => "to withdraw all its policies on purpose, take the directory out of the settings and restart",
        };
        Problem::error(Code::NoPolicy, Place::whole(self.name.as_str()), what).hint(hint)
    }
}

fn isolated(code: Code, name: &str, namespace: &str) -> Problem {
    let what = format!("namespace `{namespace}` is isolated, because this directory has not been good since the start");
    Problem::warning(code, Place::whole(name), what)
        .hint("its callers may go only where other sources allow; repair what follows")
}
