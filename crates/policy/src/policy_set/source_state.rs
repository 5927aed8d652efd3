//! The state of one source: its last read, its last good content, and whether that may be tried.
//!
//! This module does not know the other sources. A source that is bound to one namespace and was
//! never good has a substitute that isolates its namespace.

use super::{SourceDeclaration, SourceHealth, SourceId, SourceLoader, SourceScope, SourceStatus};
use crate::policy_change::{PublishedFile, PublishedSource};
use crate::problem::{Code, Place, Problem};
use crate::source::{self, LoadedFile, LoadedSource, Source};
use customs_engine::settings::Settings;
use customs_engine::time::UnixNanos;

/// One source, or a namespace root that holds some.
#[derive(Clone, Debug)]
pub(super) struct SourceState {
    id: SourceId,
    scope: SourceScope,
    default_namespace: Option<String>,
    /// The position in the settings of this source or of its namespace root.
    order: usize,
    /// Its last read.
    pub(super) last_read: LastRead,
    /// When it was last read completely, with any result.
    pub(super) last_read_at: Option<UnixNanos>,
    /// The last good content. It is in force once a set is published.
    pub(super) last_good: Option<LoadedSource>,
    pub(super) last_good_at: Option<UnixNanos>,
    /// Why the last read is not good.
    pub(super) refusal: Option<Refusal>,
}

/// The last read of a source.
#[derive(Clone, Debug)]
pub(super) enum LastRead {
    /// It has not been read yet.
    Never,
    /// It could not be read.
    Failed(Vec<Problem>),
    /// Its files.
    Loaded(LoadedSource),
    /// The namespaces in it are sources themselves; these are its own problems.
    Listed(Vec<Problem>),
}

/// Why the last read of a source is not in force.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) state: SourceHealth,
    pub(super) problems: Vec<Problem>,
}

impl LastRead {
    /// Whether two listings of a namespace root are equal, apart from the namespaces.
    pub(super) fn is_listed_as(&self, other: &LastRead) -> bool {
        match (self, other) {
            (LastRead::Listed(a), LastRead::Listed(b))
            | (LastRead::Failed(a), LastRead::Failed(b)) => a == b,
            _ => false,
        }
    }
}

impl SourceState {
    pub(super) fn new(order: usize, declaration: SourceDeclaration) -> SourceState {
        let SourceDeclaration {
            id,
            scope,
            default_namespace,
        } = declaration;
        SourceState {
            id,
            scope,
            default_namespace,
            order,
            last_read: LastRead::Never,
            last_read_at: None,
            last_good: None,
            last_good_at: None,
            refusal: None,
        }
    }

    /// Returns the source of a namespace in this namespace root.
    pub(super) fn namespace_source(&self, namespace: &str) -> SourceState {
        let scope = SourceScope::Namespace {
            root: self.id.clone(),
            namespace: namespace.to_owned(),
        };
        let (id, default_namespace) =
            (self.id.namespace(namespace), self.default_namespace.clone());
        SourceState::new(
            self.order,
            SourceDeclaration {
                id,
                scope,
                default_namespace,
            },
        )
    }

    pub(super) fn id(&self) -> &SourceId {
        &self.id
    }

    pub(super) fn scope(&self) -> &SourceScope {
        &self.scope
    }

    pub(super) fn is_bound(&self) -> bool {
        self.namespace().is_some()
    }

    /// Returns the namespace that it is bound to.
    pub(super) fn namespace(&self) -> Option<&String> {
        match &self.scope {
            SourceScope::Namespace { namespace, .. } => Some(namespace),
            SourceScope::AnyNamespace | SourceScope::NamespaceRoot => None,
        }
    }

    /// Returns the order in which sources are reported and compiled. Bound ones are last, so that
    /// they are refused for a conflict with others.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        (self.is_bound(), self.order, self.namespace().cloned())
    }

    /// Whether it is the source of a namespace in that namespace root.
    pub(super) fn is_in(&self, other: &SourceState) -> bool {
        matches!(&self.scope, SourceScope::Namespace { root, .. } if *root == other.id)
    }

    /// Whether it can be dropped: nothing of it is in force, and it has no problems.
    pub(super) fn is_idle(&self) -> bool {
        self.refusal.is_none() && self.last_good.as_ref().is_some_and(LoadedSource::is_empty)
    }

    /// Checks the last read by itself. Returns content that is good and not accepted yet; otherwise
    /// refuses it or leaves it in force.
    pub(super) fn check_alone(
        &mut self,
        published: bool,
        settings: &Settings,
    ) -> Option<LoadedSource> {
        let (state, problems) = match &self.last_read {
            LastRead::Never => return None,
            LastRead::Listed(problems) => {
                let refusal = Refusal {
                    state: SourceHealth::Refused,
                    problems: problems.clone(),
                };
                self.refusal = (!problems.is_empty()).then_some(refusal);
                let nothing = source::load(&self.source(), settings);
                self.last_good.get_or_insert(nothing);
                return None;
            }
            LastRead::Failed(problems) => (SourceHealth::Refused, problems.clone()),
            LastRead::Loaded(found) if found.has_errors() => {
                (SourceHealth::Refused, found.problems().to_vec())
            }
            LastRead::Loaded(found) if published && self.lost_everything(found) => {
                (SourceHealth::Emptied, vec![self.emptied()])
            }
            LastRead::Loaded(found) => {
                self.refusal = None;
                let is_taken = self
                    .last_good
                    .as_ref()
                    .is_some_and(|good| good.is_same(found));
                return (!is_taken).then(|| found.clone());
            }
        };
        // A directory that was empty at first and then cannot be read was never good, because its
        // policies are not known.
        self.last_good.take_if(|good| !published && good.is_empty());
        self.refuse(state, problems);
        None
    }

    /// Parses everything again, with other settings.
    pub(super) fn reparse(&mut self, settings: &Settings, published: bool, loader: SourceLoader) {
        let again = |loaded: &LoadedSource| loader(&loaded.source(), None, settings);
        let found = match &self.last_read {
            LastRead::Loaded(found) => Some(again(found)),
            LastRead::Never | LastRead::Failed(_) | LastRead::Listed(_) => None,
        };
        self.last_good = self.last_good.as_ref().map(|good| match &found {
            Some(found) if found.is_same(good) => found.clone(),
            _ => again(good),
        });
        // With a set in force, the errors refuse the settings.
        self.last_good
            .take_if(|good| !published && good.has_errors());
        self.last_read = found.map_or_else(|| self.last_read.clone(), LastRead::Loaded);
    }

    /// Returns its last load, whose unchanged files need not be parsed again.
    pub(super) fn last_loaded(&self) -> Option<&LoadedSource> {
        match &self.last_read {
            LastRead::Loaded(found) => Some(found),
            LastRead::Never | LastRead::Failed(_) | LastRead::Listed(_) => self.last_good.as_ref(),
        }
    }

    /// Records why the last read is not accepted.
    pub(super) fn refuse(&mut self, state: SourceHealth, mut problems: Vec<Problem>) {
        let state = if self.last_good.is_some() {
            state
        } else {
            SourceHealth::NeverLoaded
        };
        if let (Some(namespace), None, Some(first)) =
            (self.namespace(), &self.last_good, problems.first())
        {
            problems.insert(0, isolated(first.code, &self.id, namespace));
        }
        self.refusal = Some(Refusal { state, problems });
    }

    /// Whether all policies disappeared, or all the mistakes that kept them from being good.
    /// Neither shows that the policies are no longer wanted.
    fn lost_everything(&self, found: &LoadedSource) -> bool {
        let had_some = match &self.last_good {
            Some(good) => !good.is_empty(),
            None => self.is_bound() && self.refusal.is_some(),
        };
        had_some && found.is_empty()
    }

    /// Returns what is compiled while there is no good content: for a bound source, the isolation
    /// of its namespace.
    pub(super) fn stand_in(&self) -> Option<LoadedSource> {
        match (&self.last_good, &self.last_read) {
            (Some(_), _) | (None, LastRead::Never) => None,
            (None, _) => LoadedSource::stand_in(&self.source()),
        }
    }

    /// Returns the source without files.
    fn source(&self) -> Source {
        Source {
            name: self.id.to_string(),
            namespace: self.namespace().cloned(),
            default_namespace: self.default_namespace.clone(),
            ..Source::default()
        }
    }

    pub(super) fn status(&self, published: bool) -> SourceStatus {
        SourceStatus {
            name: self.id.to_string(),
            state: self
                .refusal
                .as_ref()
                .map_or(SourceHealth::Good, |refusal| refusal.state),
            files: self.in_force(published),
            problems: self
                .refusal
                .iter()
                .flat_map(|refusal| refusal.problems.clone())
                .collect(),
            last_good_at: self.last_good_at,
            last_read_at: self.last_read_at,
        }
    }

    /// Returns what a change reports about it: nothing if it has no policies itself.
    pub(super) fn published(&self, published: bool) -> Option<PublishedSource> {
        let namespace = self.namespace().cloned().unwrap_or_default();
        let files = self.in_force(published);
        (self.scope != SourceScope::NamespaceRoot).then(|| PublishedSource {
            name: self.id.to_string(),
            namespace,
            files,
        })
    }

    fn in_force(&self, published: bool) -> Vec<PublishedFile> {
        let file = |file: &LoadedFile| PublishedFile {
            name: file.name().to_owned(),
            digest: *file.digest(),
        };
        let good = self.last_good.as_ref().filter(|_| published);
        good.map(|source| source.files().iter().map(file).collect())
            .unwrap_or_default()
    }

    fn emptied(&self) -> Problem {
        let what = match &self.last_good {
            Some(_) => "emptied directory; its last good content stays in force",
            None => "emptied directory, and it was never good",
        };
        let hint = match &self.scope {
            SourceScope::Namespace { .. } => "to withdraw all its policies on purpose, restart",
            _ => {
                "to withdraw all its policies on purpose, take the directory out of the settings and restart"
            }
        };
        Problem::error(Code::NoPolicy, Place::whole(self.id.as_str()), what).hint(hint)
    }
}

fn isolated(code: Code, id: &SourceId, namespace: &str) -> Problem {
    let what = format!(
        "namespace `{namespace}` is isolated, because this directory has not been good since the start"
    );
    Problem::warning(code, Place::whole(id.as_str()), what)
        .hint("its callers may go only where other sources allow; fix the problems that follow")
}
