//! The directories that the settings name, as sources of a policy set: which directory is read for
//! which source.
//!
//! The set knows its sources by name and knows no path. What the directories contain, and when, is
//! not known here.

use std::path::PathBuf;
use std::sync::Arc;

use super::load::load;
use super::policy_directory::{PolicyDirectory, SourceOptions};
use customs_analysis::findings::{self, Horizon};
use customs_analysis::guards;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::compile::Compiled;
use customs_policy::guard::Claim;
use customs_policy::policy_set::{
    PolicySet, SnapshotReview, SourceDeclaration, SourceId, SourceScope, UnkeptGuard,
};
use customs_policy::problem::Problem;

/// The directories, in order, each under the name of its source. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct PolicyDirectories(Arc<[(SourceId, PolicyDirectory)]>);

impl PolicyDirectories {
    /// Creates the directories, named as they were given.
    pub fn new(directories: impl IntoIterator<Item = PolicyDirectory>) -> PolicyDirectories {
        let named =
            |directory: PolicyDirectory| (directory.path().display().to_string().into(), directory);
        PolicyDirectories(directories.into_iter().map(named).collect())
    }

    /// Creates their policy set, which warns of grants that expire within `expiry_days`, and looks
    /// at guards as `guards` says. Nothing has been read yet.
    pub fn policy_set(
        &self,
        settings: Settings,
        expiry_days: u32,
        guards: GuardChecks,
    ) -> PolicySet {
        let declarations = self.0.iter().map(|(id, directory)| SourceDeclaration {
            id: id.clone(),
            scope: match directory.holds_namespaces() {
                true => SourceScope::NamespaceRoot,
                false => SourceScope::AnyNamespace,
            },
            default_namespace: directory.options().default_namespace.clone(),
        });
        PolicySet::new(declarations, settings)
            .with_loader(load)
            .with_review(Arc::new(SetReview {
                expiry_days,
                guards,
            }))
    }

    /// Returns the directory of a source and how it is read; `None` for a source that is not a
    /// directory.
    pub fn locate(&self, id: &SourceId, scope: &SourceScope) -> Option<(PathBuf, &SourceOptions)> {
        let named = |name: &SourceId| {
            self.0
                .iter()
                .find(|(id, _)| id == name)
                .map(|(_, directory)| directory)
        };
        match scope {
            SourceScope::AnyNamespace | SourceScope::NamespaceRoot => {
                named(id).map(|directory| (directory.path().to_owned(), directory.options()))
            }
            SourceScope::Namespace { root, namespace } => {
                named(root).map(|directory| (directory.path().join(namespace), directory.options()))
            }
        }
    }
}

/// What is done about guards that a set does not keep, or of which that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardChecks {
    /// The set is refused.
    Enforce,
    /// There is a warning.
    Report,
    /// Guards are not looked at.
    Off,
}

/// Warns of grants that have expired or expire soon, and finds the guards that a set does not keep.
#[derive(Debug)]
struct SetReview {
    expiry_days: u32,
    guards: GuardChecks,
}

impl SnapshotReview for SetReview {
    fn review(&self, snapshot: &Snapshot, now: UnixNanos) -> Vec<Problem> {
        findings::expirations(
            snapshot,
            Horizon {
                now: Some(now),
                days: self.expiry_days,
            },
        )
    }

    fn unkept_guards(&self, compiled: &Compiled, now: UnixNanos) -> Vec<UnkeptGuard> {
        if self.guards == GuardChecks::Off {
            return Vec::new();
        }
        let proofs = guards::prove(
            &compiled.guards,
            &compiled.snapshot,
            now,
            guards::LOAD_BUDGET,
        );
        let unkept = |proof: &guards::Proof<'_>| {
            let problems = proof.problems();
            (!problems.is_empty()).then(|| UnkeptGuard {
                id: proof.guard.id.clone(),
                demands: matches!(proof.guard.claim, Claim::Always(_)),
                is_enforced: self.guards == GuardChecks::Enforce,
                problems,
            })
        };
        proofs.iter().filter_map(unkept).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_policy::policy_set::NamespaceListing;

    #[test]
    fn every_source_of_the_set_is_found_in_its_directory() {
        let options = SourceOptions {
            recursive: true,
            default_namespace: None,
        };
        let teams = PolicyDirectory::namespaces("teams/".into()).read_with(options.clone());
        let directories = PolicyDirectories::new([PolicyDirectory::source("root".into()), teams]);
        let mut set = directories.policy_set(Settings::default(), 0, GuardChecks::Off);
        let listing = NamespaceListing {
            namespaces: ["shop".to_owned()].into(),
            problems: Vec::new(),
        };
        set.discover_namespaces(&"teams/".into(), Ok(listing));
        let found: Vec<_> = set
            .sources()
            .map(|(id, scope)| directories.locate(id, scope).unwrap())
            .collect();
        let plain = SourceOptions::default();
        let expected = [
            ("root", &plain),
            ("teams/", &options),
            ("teams/shop", &options),
        ];
        assert_eq!(
            found,
            expected.map(|(path, options)| (PathBuf::from(path), options))
        );
        assert_eq!(
            directories.locate(&"elsewhere".into(), &SourceScope::AnyNamespace),
            None
        );
        for (path, id) in found
            .iter()
            .map(|(path, _)| path)
            .zip(set.sources().map(|(id, _)| id))
        {
            assert_eq!(
                path.display().to_string(),
                id.to_string(),
                "a place in the file is in the source"
            );
        }
    }
}
