//! What a cycle reads: the directories that are sources, those that hold sources, and the settings
//! file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::directories::{list, read_bound};
use crate::policy_directories::PolicyDirectories;
use crate::policy_directory::SourceOptions;
use crate::progress::Progress;
use crate::read::read_changes;
use crate::settings::SettingsFile;
use crate::stat_cache::StatCache;
use customs_policy::policy_set::{
    NamespaceListing, PolicySet, SettingsBytes, SourceId, SourceReading, SourceScope,
};
use customs_policy::problem::Problem;

/// The name of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TargetId {
    Source(SourceId),
    Settings,
}

/// A target to read.
#[derive(Clone)]
pub(super) enum Target {
    Directory {
        path: PathBuf,
        scope: SourceScope,
        options: SourceOptions,
    },
    Settings(SettingsFile),
}

pub(super) type Targets = BTreeMap<TargetId, Target>;

/// The content that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Listing(Result<NamespaceListing, Vec<Problem>>),
    Directory(SourceReading),
    Settings(SettingsBytes),
}

impl Target {
    pub(super) fn path(&self) -> &Path {
        match self {
            Target::Directory { path, .. } => path,
            Target::Settings(file) => file.path(),
        }
    }

    pub(super) fn read(&self, cache: &StatCache, progress: &Progress) -> Content {
        progress.at(self.path());
        match self {
            Target::Directory {
                path,
                scope: SourceScope::NamespaceRoot,
                options,
            } => Content::Listing(list(path, options.recursive, cache, progress)),
            Target::Directory {
                path,
                scope: SourceScope::AnyNamespace,
                options,
            } => Content::Directory(read_changes(path, options, cache, progress)),
            Target::Directory {
                path,
                scope: SourceScope::Namespace { namespace, .. },
                options,
            } => Content::Directory(read_bound(path, namespace, options, cache, progress)),
            Target::Settings(file) => Content::Settings(file.read()),
        }
    }
}

/// Returns the sources of the set that are directories, filtered by `wanted`.
pub(super) fn targets(
    directories: &PolicyDirectories,
    set: &PolicySet,
    wanted: impl Fn(&SourceScope) -> bool,
) -> Targets {
    let target = |(id, scope): (&SourceId, &SourceScope)| {
        let (path, options) = directories.locate(id, scope)?;
        let target = Target::Directory {
            path,
            scope: scope.clone(),
            options: options.clone(),
        };
        Some((TargetId::Source(id.clone()), target))
    };
    set.sources()
        .filter(|(_, scope)| wanted(scope))
        .filter_map(target)
        .collect()
}
