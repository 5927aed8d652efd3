//! The escaping of untrusted text that is printed.
//!
//! Policies, file names, requests and records hold untrusted text. Some characters control a
//! terminal (ESC, the C1 controls), some reverse the direction of writing (U+202E and similar),
//! some end a line, and some are invisible, so that two texts look alike. Every text that is
//! printed for people passes one of these functions:
//!
//! - [`line()`] for a text within a line: the result has no line end;
//! - [`page`] for a text that is made of such lines: it keeps their ends;
//! - [`json`] for a JSON document: it still reads back to the same values;
//! - [`masked`] for a line of a file that is underlined: each character becomes one character.
//!
//! **The class.** A character is printed as it is if it has ink of its own: letters, marks,
//! numbers, punctuation and symbols (Unicode's general categories L, M, N, P and S), and the space.
//! Everything else is escaped as `\u{202e}`: controls (Cc), formats such as the direction and tag
//! characters, joiners and the soft hyphen (Cf), private use (Co), unassigned code points (Cn),
//! line and paragraph separators (Zl, Zp), and every space but U+0020 (Zs). So is what Unicode
//! calls default-ignorable (fillers and variation selectors, which are letters and marks without
//! ink), the empty Braille pattern, and a mark with no letter before it or with a pile of marks
//! before it, since those draw over their neighbours. Backslashes are left alone, so what was
//! escaped once is not escaped again.

use std::borrow::Cow;
use std::fmt::Write;

/// The most marks that a letter may carry. More would overlap the lines above.
const MARKS: usize = 4;

/// Letters, marks and symbols without ink: Unicode's `Default_Ignorable_Code_Point` outside of C*
/// and Z*, and U+2800.
const INKLESS: [std::ops::RangeInclusive<char>; 11] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fffc}'..='\u{fffc}',
    '\u{1d159}'..='\u{1d159}',
    '\u{e0100}'..='\u{e01ef}',
];

/// Escapes a text within a line: everything that is not printable, including line ends.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Escapes a text of several lines: keeps line ends and escapes everything else that is not
/// printable.
pub fn page(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n')
}

/// Escapes a JSON document so that everything in it is printable. The values stay the same: outside
/// strings a document has only ASCII and line ends, and within strings every character may be
/// escaped.
pub fn json(document: &str) -> Cow<'_, str> {
    replaced(
        document,
        |c| c == '\n',
        |c, out| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                push(out, format_args!("\\u{unit:04x}"));
            }
        },
    )
}

/// Masks a line of a file without changing its number of characters: an unprintable one becomes
/// U+FFFD, and a tab becomes a space.
pub fn masked(text: &str) -> Cow<'_, str> {
    replaced(
        text,
        |_| false,
        |c, out| {
            out.push(if c == '\t' {
                ' '
            } else {
                char::REPLACEMENT_CHARACTER
            })
        },
    )
}

/// Whether a text is printed unchanged.
pub fn is_printable(text: &str) -> bool {
    matches!(line(text), Cow::Borrowed(_))
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    replaced(text, is_kept, |c, out| {
        push(out, format_args!("{}", c.escape_unicode()))
    })
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = out.write_fmt(text);
}

/// Replaces each character that is neither printable nor kept. Returns the text itself if there is
/// none.
fn replaced(
    text: &str,
    is_kept: impl Fn(char) -> bool,
    replace: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let (mut carries, mut is_changed) = (None, false);
    for c in text.chars() {
        let kind = if is_kept(c) { Kind::Kept } else { kind(c) };
        carries = match (kind, carries) {
            (Kind::Ink, _) => Some(0),
            (Kind::Mark, Some(marks)) if marks < MARKS => Some(marks + 1),
            _ => None,
        };
        if carries.is_some() || kind == Kind::Kept {
            out.push(c);
        } else {
            is_changed = true;
            replace(c, &mut out);
        }
    }
    if is_changed { out.into() } else { text.into() }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It has ink and may carry marks.
    Ink,
    /// A mark, which is drawn over the preceding character.
    Mark,
    /// It is kept although it is not printable.
    Kept,
    /// It is not printable.
    Not,
}

fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return if matches!(c, ' '..='~') {
            Kind::Ink
        } else {
            Kind::Not
        };
    }
    if INKLESS.iter().any(|range| range.contains(&c)) {
        return Kind::Not;
    }
    // Characters that `str::escape_debug` does not escape are not of the categories C* and Z*. It
    // escapes marks at a text's beginning only.
    let is_escaped = |text: &str| {
        text.escape_debug()
            .nth(1 + usize::from(text.len() > c.len_utf8()))
            .is_some()
    };
    match (
        is_escaped(c.encode_utf8(&mut [0; 4])),
        is_escaped(&format!("a{c}")),
    ) {
        (false, _) => Kind::Ink,
        (true, false) => Kind::Mark,
        (true, true) => Kind::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_nobody_sees_is_escaped() {
        for (text, expected) in [
            ("", ""),
            ("www.example.com ~", "www.example.com ~"),
            ("a\x1b[31mb\n", "a\\u{1b}[31mb\\u{a}"),
            (
                "\u{202e}x\u{9b}\u{7f}\r\t\0",
                "\\u{202e}x\\u{9b}\\u{7f}\\u{d}\\u{9}\\u{0}",
            ),
            (
                "Z\u{fc}rich \u{2013} \u{65e5}\u{672c} \u{1f600}",
                "Z\u{fc}rich \u{2013} \u{65e5}\u{672c} \u{1f600}",
            ),
            ("e\u{301}", "e\u{301}"),
            ("\u{301}e", "\\u{301}e"),
            ("\u{202e}\u{301}", "\\u{202e}\\u{301}"),
            (
                "a\u{301}\u{301}\u{301}\u{301}\u{301}",
                "a\u{301}\u{301}\u{301}\u{301}\\u{301}",
            ),
            ("a\u{e0041}\u{fe0f}", "a\\u{e0041}\\u{fe0f}"),
            ("already \\u{1b}", "already \\u{1b}"),
        ] {
            assert_eq!(line(text), expected);
            assert_eq!(
                line(&line(text)),
                expected,
                "what was escaped is not escaped again"
            );
        }
    }

    #[test]
    fn no_character_of_the_classes_without_ink_is_printed() {
        let ranges = [
            '\0'..='\u{1f}',
            '\u{7f}'..='\u{a0}',
            '\u{ad}'..='\u{ad}',
            '\u{61c}'..='\u{61c}',
            '\u{2000}'..='\u{200f}',
            '\u{2028}'..='\u{202f}',
            '\u{205f}'..='\u{206f}',
            '\u{3000}'..='\u{3000}',
            '\u{e000}'..='\u{f8ff}',
            '\u{feff}'..='\u{feff}',
            '\u{fff0}'..='\u{fffb}',
            '\u{fffe}'..='\u{ffff}',
            '\u{e0000}'..='\u{10ffff}',
        ];
        for c in ranges
            .into_iter()
            .flatten()
            .chain(INKLESS.into_iter().flatten())
        {
            assert_eq!(kind(c), Kind::Not, "{}", c.escape_unicode());
        }
        for c in [
            '\u{a1}', '\u{df}', '\u{3a9}', '\u{5d0}', '\u{2026}', '\u{20ac}', '\u{ac00}',
            '\u{fffd}',
        ] {
            assert_eq!(kind(c), Kind::Ink, "{}", c.escape_unicode());
        }
    }

    #[test]
    fn a_page_keeps_its_lines_and_nothing_else() {
        assert_eq!(page("a\nb\u{2028}\x1b\n"), "a\nb\\u{2028}\\u{1b}\n");
    }

    #[test]
    fn a_json_document_reads_back_to_the_same_values() {
        let value = serde_json::json!({"a": "\u{202e}\u{e0041}\u{7f}\u{fc}\n\u{1b}"});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let printed = json(&text);
        assert!(is_printable(&printed.replace('\n', "")), "{printed}");
        assert!(
            printed.contains("\\u202e\\udb40\\udc41\\u007f\u{fc}\\n"),
            "{printed}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&printed).unwrap(),
            value
        );
    }

    #[test]
    fn a_masked_line_has_as_many_characters() {
        let text = "a\u{202e}\tb\u{1b}\u{301}";
        assert_eq!(masked(text), "a\u{fffd} b\u{fffd}\u{fffd}");
        assert_eq!(masked(text).chars().count(), text.chars().count());
    }
}
