//! Sets of texts that are compared together, such as the readings of a path or the values of a
//! header.

use std::collections::BTreeSet;

/// The most sets that are distinguished.
const MAX_SETS: usize = 512;

/// Returns a set of texts, by their numbers, for everything that lists can say of such sets. What a
/// list says of a set is whether some text matches, or whether each does, so what the lists say of a
/// larger set follows from what they say of its parts. `None` if there are too many sets.
pub(super) fn sets(
    texts: usize,
    mut said: impl FnMut(&[usize]) -> Vec<bool>,
) -> Option<Vec<Vec<usize>>> {
    let mut known: BTreeSet<Vec<bool>> = BTreeSet::new();
    let mut sets: Vec<Vec<usize>> = Vec::new();
    let mut at = 0;
    for text in 0..texts {
        if known.insert(said(&[text])) {
            sets.push(vec![text]);
        }
    }
    while let Some(set) = sets.get(at).cloned() {
        for text in (0..texts).filter(|text| !set.contains(text)) {
            let larger: Vec<usize> = set.iter().copied().chain([text]).collect();
            if known.insert(said(&larger)) {
                sets.push(larger);
            }
        }
        if sets.len() > MAX_SETS {
            return None;
        }
        at += 1;
    }
    Some(sets)
}
