//! Looking for an ASCII character in a text of some dozen bytes, as hosts and identities are.
//!
//! The standard library's search is made for long texts, and its start costs more than reading a short one to its end. The
//! rule: the same answers as `str` gives.

/// Where a character first stands, which is ASCII.
#[inline]
pub fn find(text: &str, character: u8) -> Option<usize> {
    debug_assert!(character.is_ascii());
    text.bytes().position(|byte| byte == character)
}

/// What stands before and behind the first of a character, which is ASCII.
#[inline]
pub fn split_once(text: &str, character: u8) -> Option<(&str, &str)> {
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
