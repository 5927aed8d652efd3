//! Compares what a command printed with what a page says that it prints.
//!
//! The rule: everything is compared but what differs from one run to the next (times, revisions,
//! ids, digests, measured durations), and what a page leaves out by `...`.

use std::sync::LazyLock;

use regex::Regex;

/// What differs from run to run, and its name. The first that matches wins.
static VOLATILE: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?", "TIME"),
        (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
        (
            r"\b[0-9a-f]*(\d[0-9a-f]*[a-f]|[a-f][0-9a-f]*\d)[0-9a-f]*\b",
            "HEX",
        ),
        (r"\b\d+(\.\d+)?[  ]?(ns|us|µs|ms)\b", "DURATION"),
        (r"[A-Za-z0-9+/]{42,}={1,2}", "BASE64"),
        (r"/tmp/[A-Za-z0-9._/-]+", "SCRATCH"),
        (r"\b\d+ bytes\b", "SIZE"),
        (r#""bytes": ?\d+"#, "SIZE"),
        // The port of a client, which the system chose.
        (r"127\.0\.0\.1:[3-6]\d{4}\b", "CLIENT"),
    ]
    .into_iter()
    .map(|(pattern, name)| (Regex::new(pattern).unwrap(), name))
    .collect()
});

/// How long a word of hexadecimal digits must be to be an id.
const SHORTEST_ID: usize = 12;

/// Returns a line with names in place of what differs from run to run.
pub(crate) fn stable(line: &str) -> String {
    let mut line = line.trim_end().to_owned();
    for (pattern, name) in VOLATILE.iter() {
        let replaced = pattern.replace_all(&line, |found: &regex::Captures<'_>| {
            let is_kept = *name == "HEX" && found[0].len() < SHORTEST_ID;
            if is_kept {
                found[0].to_owned()
            } else {
                (*name).to_owned()
            }
        });
        line = replaced.into_owned();
    }
    // What lasted less than a second has one time.
    line.replace("TIME to TIME", "TIME")
}

/// Whether a line of output is as a line of a page says; `...` within it matches any text.
fn line_matches(expected: &str, line: &str) -> bool {
    let parts: Vec<&str> = expected.split("...").collect();
    let [first, middle @ .., last] = parts.as_slice() else {
        return expected == line;
    };
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn lines_match(expected: &[String], lines: &[String]) -> bool {
    match expected {
        [] => lines.is_empty(),
        [all, rest @ ..] if all.trim() == "..." => {
            (0..=lines.len()).any(|skipped| lines_match(rest, &lines[skipped..]))
        }
        [first, rest @ ..] => lines
            .split_first()
            .is_some_and(|(line, lines)| line_matches(first, line) && lines_match(rest, lines)),
    }
}

/// Whether an output is what a page says. Empty lines at its end do not count.
pub(crate) fn matches(expected: &str, output: &str) -> bool {
    let lines = |text: &str| -> Vec<String> { text.trim_end().lines().map(stable).collect() };
    lines_match(&lines(expected), &lines(output))
}

#[test]
fn outputs_are_compared_but_for_what_differs_in_each_run() {
    let cases = [
        ("a\n", "a\n\n", true),
        ("a\n", "b\n", false),
        ("", "a\n", false),
        ("...\n", "", true),
        ("...\nb\n", "a\na\nb\n", true),
        ("a\n...\n", "b\n", false),
        (
            "at 2026-11-30T02:17:30.672Z\n",
            "at 2027-01-01T00:00:00Z\n",
            true,
        ),
        ("revision 69d49077a8ab\n", "revision 0d49077a8ab1\n", true),
        ("revision 69d49077a8ab\n", "revision none\n", false),
        ("64 decisions\n", "65 decisions\n", false),
        ("in 102 ms\n", "in 7 ms\n", true),
        ("expires in 72h\n", "expires in 73h\n", false),
        (
            "{\"a\":1, ... \"z\":2}\n",
            "{\"a\":1, \"b\":3, \"z\":2}\n",
            true,
        ),
        (
            "{\"a\":1, ... \"z\":2}\n",
            "{\"a\":1, \"b\":3, \"z\":3}\n",
            false,
        ),
        ("facade of beef\n", "facade of beef\n", true),
    ];
    for (expected, output, same) in cases {
        assert_eq!(matches(expected, output), same, "{expected:?} {output:?}");
    }
}
