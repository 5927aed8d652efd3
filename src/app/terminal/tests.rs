//! Lines at 80 and at 120 columns, and where there is no terminal.

use super::*;

const AT_80: Terminal = Terminal {
    width: Some(80),
    is_coloured: false,
};

const AT_120: Terminal = Terminal {
    width: Some(120),
    is_coloured: false,
};

const COLOURED: Terminal = Terminal {
    width: None,
    is_coloured: true,
};

fn stage() -> Line {
    Line::of("1 isolation  ")
        .then(Tone::Bad, "closed")
        .then(
            Tone::Plain,
            ": ep:shop/egress isolates shop/web, and none of its 12 allow entries covers \
             http://www.example.com/ (policies/shop.yaml:3)",
        )
        .hanging(13)
}

#[test]
fn a_line_is_wrapped_where_the_terminal_ends() {
    let words = "one two three ".repeat(12);
    let long = format!("https://www.example.com/{}", "a".repeat(100));
    for (terminal, line, expected) in [
        (Terminal::NONE, stage(), 1),
        (AT_80, stage(), 2),
        (AT_120, stage(), 2),
        (AT_80, Line::of("short"), 1),
        (AT_80, Line::of(""), 1),
        (AT_80, Line::of(words.trim()), 3),
        (AT_120, Line::of(words.trim()), 2),
        (AT_80, Line::of(words.trim()).whole(), 1),
        // A word that is longer than a line can still be copied.
        (AT_80, Line::of(long), 1),
    ] {
        let text = terminal.render(std::slice::from_ref(&line));
        assert_eq!(text.lines().count().max(1), expected, "{text}");
        let is_within = text
            .lines()
            .all(|line| terminal.width.is_none_or(|width| line.len() <= width));
        assert!(is_within || expected == 1, "{text}");
    }
}

#[test]
fn a_line_continues_below_its_text() {
    assert_eq!(
        AT_80.render(&[stage()]),
        "1 isolation  closed: ep:shop/egress isolates shop/web, and none of its 12 allow\n\
        \x20            entries covers http://www.example.com/ (policies/shop.yaml:3)\n"
    );
    assert_eq!(
        AT_120.render(&[stage()]),
        "1 isolation  closed: ep:shop/egress isolates shop/web, and none of its 12 allow entries \
         covers http://www.example.com/\n\
        \x20            (policies/shop.yaml:3)\n"
    );
}

#[test]
fn a_name_with_a_hyphen_is_not_broken() {
    let line = Line::of(format!("{} ep:shop/egress#no-aliyun", "x".repeat(70)));
    let text = AT_80.render(&[line]);
    assert_eq!(text.lines().nth(1), Some("ep:shop/egress#no-aliyun"));
}

#[test]
fn colours_have_no_width_and_foreign_text_has_none() {
    let line = Line::of("a").then(Tone::Good, "b\u{1b}[31m\n");
    assert_eq!(
        COLOURED.render(std::slice::from_ref(&line)),
        "a\u{1b}[32mb\\u{1b}[31m\\u{a}\u{1b}[0m\n"
    );
    assert_eq!(Terminal::NONE.render(&[line]), "ab\\u{1b}[31m\\u{a}\n");
    let both = Terminal {
        width: Some(80),
        is_coloured: true,
    };
    let ends = |text: &str| -> Vec<String> {
        let last = |line: &str| line.split(' ').next_back().unwrap().to_owned();
        text.lines().map(last).collect()
    };
    let plain = AT_80.render(&[stage()]);
    assert_eq!(ends(&both.render(&[stage()])), ends(&plain));
}

#[test]
fn only_a_terminal_has_a_width() {
    for (is_terminal, named, measured, expected) in [
        (true, None, Some(120), Some(120)),
        (true, Some("80"), Some(120), Some(80)),
        (true, Some("wide"), Some(120), Some(120)),
        (true, Some("0"), Some(120), None),
        (true, Some("5"), None, Some(NARROWEST)),
        (true, None, None, None),
        (false, Some("80"), Some(120), None),
    ] {
        assert_eq!(
            width(is_terminal, named, measured),
            expected,
            "{named:?}, {measured:?}"
        );
    }
}
