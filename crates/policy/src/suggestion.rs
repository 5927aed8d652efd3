//! Which known name was probably meant by one that is not known.
//!
//! It knows no kind of name.

/// Returns the known name that was probably meant: the same word in another form (case, `_` and
/// `-`, plural), or else the most similar one, if it is similar enough.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = squeezed(written);
    if let Some(same) = known.iter().find(|name| squeezed(name) == word) {
        return Some(same);
    }
    known
        .iter()
        .filter(|name| is_near(written, name))
        .min_by_key(|name| distance(written, name))
        .copied()
}

/// Returns whether a name differs from the written one in a few characters only.
pub(crate) fn is_near(written: &str, name: &str) -> bool {
    distance(written, name) <= 1 + name.len() / 4
}

/// Returns a name without case, separators and plural ending.
pub(crate) fn squeezed(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    let word: String = letters.flat_map(char::to_lowercase).collect();
    match (word.strip_suffix("ies"), word.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) => stem.to_owned(),
        (None, None) => word,
    }
}

/// Returns the number of single-character edits between two words, in any case.
pub fn distance(a: &str, b: &str) -> usize {
    strsim::levenshtein(&a.to_lowercase(), &b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested() {
        let known = ["hosts", "methods", "paths", "serviceAccounts"];
        for (written, meant) in [
            ("host", Some("hosts")),
            ("Hosts", Some("hosts")),
            ("serviceaccount", Some("serviceAccounts")),
            ("service_account", Some("serviceAccounts")),
            ("service-accounts ", Some("serviceAccounts")),
            ("hsots", Some("hosts")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(written, &known), meant, "{written}");
        }
        assert_eq!(
            (
                distance("kitten", "sitting"),
                distance("", "abc"),
                distance("abc", "abc")
            ),
            (3, 3, 0)
        );
    }
}
