//! What was worked out of text patterns, kept for the cells that ask for the same.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use super::text_atoms::{Expression, TextAtom, TooManyPatternsError, text_atoms};

/// The texts of a language, by the patterns that cut it.
type Atoms = FxHashMap<(Expression, Vec<Expression>), Result<Vec<TextAtom>, TooManyPatternsError>>;

/// Texts that were found for some patterns.
#[derive(Debug, Default)]
pub(super) struct TextCache {
    atoms: RefCell<Atoms>,
    /// Paths that servers read in several ways, by the lists that tell them apart.
    odd_paths: RefCell<FxHashMap<String, Vec<String>>>,
}

impl TextCache {
    /// Returns what [`text_atoms`] does.
    pub(super) fn atoms(
        &self,
        language: &Expression,
        patterns: &[Expression],
    ) -> Result<Vec<TextAtom>, TooManyPatternsError> {
        let key = (language.clone(), patterns.to_vec());
        let mut atoms = self.atoms.borrow_mut();
        let found = atoms.entry(key);
        found
            .or_insert_with(|| text_atoms(language, patterns))
            .clone()
    }

    /// Returns the paths of some lists, which `find` finds.
    pub(super) fn odd_paths(
        &self,
        lists: String,
        find: impl FnOnce() -> Vec<String>,
    ) -> Vec<String> {
        if let Some(paths) = self.odd_paths.borrow().get(&lists) {
            return paths.clone();
        }
        let paths = find();
        self.odd_paths.borrow_mut().insert(lists, paths.clone());
        paths
    }
}
