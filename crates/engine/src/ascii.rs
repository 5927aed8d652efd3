//! Searches for one ASCII character in short texts, such as hosts and identities.
//!
//! The standard library's search is made for long texts: its start costs more than reading some
//! dozen bytes to the end. The rule: the answers are those that `str` gives.

/// Returns the position of the first `character`, which must be ASCII.
#[inline]
pub(crate) fn find(text: &str, character: u8) -> Option<usize> {
    debug_assert!(character.is_ascii());
    text.bytes().position(|byte| byte == character)
}

/// Returns the text before and after the first `character`, which must be ASCII.
#[inline]
pub(crate) fn split_once(text: &str, character: u8) -> Option<(&str, &str)> {
    let (before, from) = text.split_at_checked(find(text, character)?)?;
    Some((before, from.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_are_those_of_the_standard_library() {
        for text in [
            "",
            ":",
            "::",
            "a",
            "a:",
            ":a",
            "a:b",
            "a:b:c",
            "\u{fc}:\u{1f600}:",
            "a\u{3a}b",
            "\u{63a}",
        ] {
            assert_eq!(find(text, b':'), text.find(':'), "{text}");
            assert_eq!(split_once(text, b':'), text.split_once(':'), "{text}");
        }
    }
}
