//! A directory of policies as the settings name it, and how it is read.
//!
//! It uses no file: [`directories`](super::directories) finds out which sources it holds.

use std::path::{Path, PathBuf};

/// A directory of policies, as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDirectory {
    path: PathBuf,
    holds_namespaces: bool,
    options: SourceOptions,
}

/// How a source is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceOptions {
    /// Whether its sub-directories belong to it.
    pub recursive: bool,
    /// The namespace of documents that name none.
    pub default_namespace: Option<String>,
}

impl PolicyDirectory {
    /// Returns a directory that is one source.
    pub fn source(path: PathBuf) -> PolicyDirectory {
        PolicyDirectory {
            path,
            holds_namespaces: false,
            options: SourceOptions::default(),
        }
    }

    /// Returns a directory in which each directory is a source, bound to the namespace of that
    /// name.
    pub fn namespaces(path: PathBuf) -> PolicyDirectory {
        PolicyDirectory {
            holds_namespaces: true,
            ..PolicyDirectory::source(path)
        }
    }

    /// Returns the same directory, with these options for its sources.
    pub fn read_with(self, options: SourceOptions) -> PolicyDirectory {
        PolicyDirectory { options, ..self }
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether each directory in it is a source.
    pub fn holds_namespaces(&self) -> bool {
        self.holds_namespaces
    }

    /// Returns how its sources are read.
    pub fn options(&self) -> &SourceOptions {
        &self.options
    }
}
