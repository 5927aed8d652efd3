//! The fix of a problem, where only one thing can be meant.
//!
//! A fix says what the value at the problem's place should be; it knows no text of a file. The
//! rule: it never changes which requests a policy decides how, except to what its author plainly
//! wrote.

/// What to write at the place of a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// The value or the key at the place, as it was read.
    pub written: String,
    /// What becomes of it.
    pub change: FixChange,
}

/// What becomes of a value or a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FixChange {
    /// It becomes this text.
    Text(String),
    /// It is put in quotes.
    Quotes,
    /// It is removed from its list, in which it is not the first.
    Removal,
}

impl Fix {
    /// Replaces a text by another.
    pub fn text(written: impl Into<String>, meant: impl Into<String>) -> Fix {
        Fix {
            written: written.into(),
            change: FixChange::Text(meant.into()),
        }
    }

    /// Puts a value in quotes.
    pub fn quotes(written: impl Into<String>) -> Fix {
        Fix {
            written: written.into(),
            change: FixChange::Quotes,
        }
    }

    /// Removes a value from its list.
    pub fn removal(written: impl Into<String>) -> Fix {
        Fix {
            written: written.into(),
            change: FixChange::Removal,
        }
    }
}

/// Returns the one of these words that differs from the written one in case only.
pub(crate) fn same_in_another_case<'w>(written: &str, words: &[&'w str]) -> Option<&'w str> {
    let mut same = words
        .iter()
        .filter(|word| word.eq_ignore_ascii_case(written));
    same.next().filter(|_| same.next().is_none()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_in_another_case() {
        let words = ["ALLOW", "DENY", "Report"];
        for (written, expected) in [
            ("deny", Some("DENY")),
            ("report", Some("Report")),
            ("REPORT", Some("Report")),
            ("den", None),
        ] {
            assert_eq!(same_in_another_case(written, &words), expected, "{written}");
        }
        assert_eq!(same_in_another_case("a", &["A", "a"]), None);
    }
}
