//! One exploration of a space: the clauses that cut it, and those that say where to look.

use super::clause::{Clause, ClauseId};
use super::exact_namespaces;
use super::space::Space;
use super::text_cache::TextCache;

/// Where an exploration looks.
#[derive(Clone, Debug)]
pub(super) enum Focus {
    /// At all requests.
    Everything,
    /// At requests that satisfy one of the clauses with a mark.
    Only(Vec<bool>),
}

/// The clauses of a space and of one exploration of it.
#[derive(Debug)]
pub(super) struct Frame<'f> {
    pub space: &'f Space<'f>,
    /// Numbered behind those of the space.
    pub extra: Vec<Clause<'f>>,
    pub focus: Focus,
    pub texts: TextCache,
}

impl<'f> Frame<'f> {
    pub(super) fn clause(&self, number: ClauseId) -> Option<&Clause<'f>> {
        let number = number as usize;
        let all = &self.space.clauses;
        all.get(number)
            .or_else(|| self.extra.get(number.checked_sub(all.len())?))
    }

    pub(super) fn all_clauses(&self) -> impl Iterator<Item = (ClauseId, &Clause<'f>)> {
        (0..).zip(self.space.clauses.iter().chain(&self.extra))
    }

    /// The clauses that may be about callers of a namespace, or of any; ascending.
    pub(super) fn clauses_for(&self, namespace: Option<&str>) -> Vec<ClauseId> {
        let count = self.space.clauses.len() + self.extra.len();
        let count = ClauseId::try_from(count).unwrap_or(ClauseId::MAX);
        let Some(namespace) = namespace else {
            return (0..count).collect();
        };
        let of_space = ClauseId::try_from(self.space.clauses.len()).unwrap_or(ClauseId::MAX);
        let named = self.space.by_namespace.get(namespace);
        let mut clauses: Vec<ClauseId> = named
            .into_iter()
            .flatten()
            .chain(&self.space.generic)
            .copied()
            .chain(of_space..count)
            .collect();
        clauses.sort_unstable();
        clauses.dedup();
        clauses
    }

    /// Whether one of these clauses says where to look.
    pub(super) fn has_focus(&self, clauses: &[ClauseId]) -> bool {
        match &self.focus {
            Focus::Everything => true,
            Focus::Only(marks) => clauses
                .iter()
                .any(|number| marks.get(*number as usize).copied().unwrap_or_default()),
        }
    }

    /// The namespaces that the focus is about, if it lists them.
    pub(super) fn focus_namespaces(&self) -> Option<Vec<&'f str>> {
        let Focus::Only(marks) = &self.focus else {
            return None;
        };
        let marked = (0..).zip(marks).filter(|(_, mark)| **mark);
        let mut namespaces = Vec::new();
        for (number, _) in marked {
            namespaces.extend(exact_namespaces::of(self.clause(number)?)?);
        }
        namespaces.sort_unstable();
        namespaces.dedup();
        Some(namespaces)
    }
}
