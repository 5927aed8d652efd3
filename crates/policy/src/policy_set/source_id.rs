//! The identity of a source, and the namespaces that its policies may cover.
//!
//! A source is a name and nothing else: its reader knows where it is and how to read it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::problem::Problem;

/// The name of a source, which identifies it. A place that begins with the name is in the source.
/// Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(Arc<str>);

impl SourceId {
    /// Returns the name, as it is reported.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the source of a namespace in this namespace root.
    pub fn namespace(&self, namespace: &str) -> SourceId {
        let separator = if self.0.is_empty() || self.0.ends_with('/') {
            ""
        } else {
            "/"
        };
        SourceId(format!("{}{separator}{namespace}", self.0).into())
    }
}

impl From<&str> for SourceId {
    fn from(name: &str) -> SourceId {
        SourceId(name.into())
    }
}

impl From<String> for SourceId {
    fn from(name: String) -> SourceId {
        SourceId(name.into())
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The namespaces that the policies of a source may cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceScope {
    /// Any namespace.
    AnyNamespace,
    /// It has no policies itself; it holds a source for each namespace.
    NamespaceRoot,
    /// The one namespace to which it is bound.
    Namespace {
        /// The namespace root that holds it.
        root: SourceId,
        /// The namespace.
        namespace: String,
    },
}

/// A source, as the settings declare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDeclaration {
    /// Its name.
    pub id: SourceId,
    /// The namespaces that its policies may cover.
    pub scope: SourceScope,
    /// The namespace of documents without one.
    pub default_namespace: Option<String>,
}

impl SourceDeclaration {
    /// Declares a source whose policies may be in any namespace.
    pub fn any_namespace(id: impl Into<SourceId>) -> SourceDeclaration {
        SourceDeclaration {
            id: id.into(),
            scope: SourceScope::AnyNamespace,
            default_namespace: None,
        }
    }

    /// Declares a namespace root.
    pub fn namespace_root(id: impl Into<SourceId>) -> SourceDeclaration {
        SourceDeclaration {
            scope: SourceScope::NamespaceRoot,
            ..SourceDeclaration::any_namespace(id)
        }
    }
}

/// The content of a namespace root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceListing {
    /// The namespaces that have a source.
    pub namespaces: BTreeSet<String>,
    /// The problems of the listing.
    pub problems: Vec<Problem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_a_namespace_is_named_as_a_path_is_joined() {
        for root in ["teams", "teams/", "teams//", "/", ""] {
            let joined = std::path::Path::new(root).join("shop");
            assert_eq!(
                SourceId::from(root).namespace("shop").to_string(),
                joined.display().to_string()
            );
        }
    }
}
