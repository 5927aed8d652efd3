//! Files that an attacker wrote to hold customs up, each with the problem that is reported and its
//! place.

use std::fmt::Write;

/// The place of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    /// At a line and a column of the file.
    At,
    /// At this very line.
    Line(usize),
    /// Of the file as a whole.
    File,
    /// Of the directory: the document is not a policy, which a note reports with its place.
    Nowhere,
}

/// A hostile file.
#[derive(Debug)]
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    pub(crate) bytes: fn() -> Vec<u8>,
    pub(crate) code: &'static str,
    pub(crate) reported: Reported,
}

const fn hostile(
    name: &'static str,
    bytes: fn() -> Vec<u8>,
    code: &'static str,
    reported: Reported,
) -> Hostile {
    Hostile {
        name,
        bytes,
        code,
        reported,
    }
}

/// The policy that a hostile text is inserted into.
pub(crate) const HEAD: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
                               metadata: {name: a, namespace: b}\n";

const MIB: usize = 1024 * 1024;

#[rustfmt::skip]
pub(crate) const FILES: &[Hostile] = &[
    // Small files that become large.
    hostile("alias-bomb", alias_bomb, "too-large", Reported::At),
    hostile("alias-in-itself", || b"a: &a [*a]\n".to_vec(), "yaml-syntax", Reported::At),
    hostile("merge-keys", merge_keys, "yaml-syntax", Reported::Line(2)),
    hostile("many-anchors", || numbered(60_000, |n| format!("- &a{n} x\n")), "too-large", Reported::At),
    hostile("many-aliases", || [b"- &a x\n".to_vec(), b"- *a\n".repeat(400_000)].concat(), "too-large", Reported::At),
    // Depth.
    hostile("deep-flow", || b"[".repeat(100_000), "yaml-syntax", Reported::At),
    hostile("deep-flow-maps", || b"{a: ".repeat(100_000), "yaml-syntax", Reported::At),
    hostile("deep-block", || b"- ".repeat(100_000), "too-large", Reported::At),
    hostile("deep-keys", || b"? ".repeat(100_000), "too-large", Reported::At),
    hostile("deep-lines", || (0..2_000).flat_map(|n| format!("{:n$}a:\n", "").into_bytes()).collect(), "too-large", Reported::At),
    hostile("just-deep-enough", || [b"[".repeat(31), b"]".repeat(31)].concat(), "wrong-type", Reported::At),
    // Number.
    hostile("many-documents", || b"--- x\n".repeat(1_000_000), "too-large", Reported::File),
    hostile("many-keys", || numbered(1_000_000, |n| format!("k{n}: x\n")), "too-large", Reported::At),
    hostile("many-items", || b"- x\n".repeat(1_000_000), "too-large", Reported::At),
    hostile("many-comments", || b"# x\n".repeat(MIB), "too-large", Reported::At),
    hostile("many-empty-documents", || b"---\n".repeat(500_000), "too-large", Reported::At),
    hostile("many-equal-keys", || b"k: x\n".repeat(500_000), "duplicate-key", Reported::Line(2)),
    hostile("many-unclosed-keys", || [b"{".to_vec(), b"a,".repeat(400_000)].concat(), "duplicate-key", Reported::At),
    hostile("many-tags", || numbered(100_000, |n| format!("%TAG !t{n}! tag:x,2000:\n")), "yaml-syntax", Reported::At),
    // Length.
    hostile("long-key", || [b"x".repeat(MIB - 8), b": a\n".to_vec()].concat(), "yaml-syntax", Reported::At),
    hostile("long-anchor", || [b"a: &".to_vec(), b"x".repeat(MIB - 8), b" b\n".to_vec()].concat(), "no-policy", Reported::Nowhere),
    hostile("long-line", || [b"a: ".to_vec(), b"9".repeat(4 * MIB)].concat(), "too-large", Reported::Line(1)),
    hostile("long-number", || [b"a: ".to_vec(), b"9".repeat(MIB - 8)].concat(), "yaml-syntax", Reported::Line(1)),
    hostile("long-quoted", || [b"a: \"".to_vec(), b"x\\n\\\n".repeat(MIB / 2), b"\"".to_vec()].concat(), "no-policy", Reported::Nowhere),
    hostile("long-folded", || [b"a: >\n".to_vec(), b" x\n".repeat(MIB)].concat(), "no-policy", Reported::Nowhere),
    hostile("long-plain-lines", || [b"a: x\n".to_vec(), b"  x\n".repeat(MIB - 8)].concat(), "no-policy", Reported::Nowhere),
    hostile("long-document", || [b"a: >\n".to_vec(), b" x\n".repeat(5 * MIB)].concat(), "too-large", Reported::Line(1)),
    hostile("long-comment", || [b"#".to_vec(), b"x".repeat(15 * MIB)].concat(), "too-large", Reported::Line(1)),
    hostile("long-unclosed", || [b"a: \"".to_vec(), b"x\n".repeat(MIB)].concat(), "yaml-syntax", Reported::At),
    hostile("long-host", || entry(&format!("hosts: ['{}']", "a.".repeat(32 * 1024))), "bad-host", Reported::Line(4)),
    hostile("long-suffix", || entry(&format!("hosts: ['*.{}']", "a".repeat(64 * 1024))), "bad-host", Reported::Line(4)),
    hostile("long-unicode-host", || entry(&format!("hosts: ['{}']", "\u{fc}".repeat(32 * 1024))), "bad-host", Reported::Line(4)),
    hostile("long-path", || entry(&format!("hosts: [a.example], paths: ['/{}']", "{*}/".repeat(16 * 1024))), "bad-path", Reported::Line(4)),
    hostile("long-field", || entry(&format!("{}: x", "a".repeat(1000))), "unknown-field", Reported::Line(4)),
    hostile("larger-than-any", || b" ".repeat(33 * MIB), "too-large", Reported::File),
    // Mistakes without end.
    hostile("many-mistakes-one-line", || entry(&format!("hosts: [{}]", "A.b,".repeat(20_000))), "host-spelling", Reported::Line(4)),
    hostile("many-mistakes", || entry(&format!("hosts: [\n{}]", "A.b,\n".repeat(20_000))), "host-spelling", Reported::At),
    hostile("many-unknown-fields", || [HEAD.into(), b"spec:\n".to_vec(), numbered(20_000, |n| format!("  f{n}: x\n"))].concat(), "unknown-field", Reported::At),
    // Bytes that are not text, and unusual text.
    hostile("utf-16", || "a: b\n".encode_utf16().flat_map(u16::to_le_bytes).collect(), "yaml-syntax", Reported::At),
    hostile("utf-16-marked", || "\u{feff}a: b\n".encode_utf16().flat_map(u16::to_le_bytes).collect(), "yaml-syntax", Reported::File),
    hostile("not-utf-8", || b"a: caf\xe9\n".to_vec(), "yaml-syntax", Reported::File),
    hostile("nul", || b"a: b\nc: d\0e\n".to_vec(), "yaml-syntax", Reported::Line(2)),
    hostile("zeros", || vec![0; 1000], "yaml-syntax", Reported::At),
    hostile("mark-then-mistake", || b"\xef\xbb\xbfa: [\n".to_vec(), "yaml-syntax", Reported::At),
    hostile("tab", || b"a:\n\tb: c\n".to_vec(), "yaml-syntax", Reported::Line(2)),
    hostile("carriage-returns", || b"a: b\r\nc: [\r\n".to_vec(), "yaml-syntax", Reported::At),
    hostile("lone-surrogate", || b"a: \"\\ud800\"\n".to_vec(), "yaml-syntax", Reported::Line(1)),
    hostile("control-characters", || b"a: \"\x1b[2J\"\nb: [\x07\n".to_vec(), "yaml-syntax", Reported::At),
];

fn numbered(count: usize, line: fn(usize) -> String) -> Vec<u8> {
    (0..count).flat_map(|n| line(n).into_bytes()).collect()
}

fn alias_bomb() -> Vec<u8> {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for n in 1..20 {
        let before = format!("*a{},", n - 1).repeat(9);
        writeln!(text, "a{n}: &a{n} [{before}]").unwrap();
    }
    text.into_bytes()
}

fn merge_keys() -> Vec<u8> {
    let line = |n: usize| {
        format!(
            "m{n}: &m{n} {{<<: [*m{0}, *m{0}], k{n}: x}}\n",
            n.saturating_sub(1)
        )
    };
    [
        b"m0: &m0 {k: x}\n".to_vec(),
        (1..1000).flat_map(|n| line(n).into_bytes()).collect(),
    ]
    .concat()
}

/// Returns a policy whose one entry has these fields.
fn entry(fields: &str) -> Vec<u8> {
    format!("{HEAD}spec: {{deny: [{{name: a, {fields}}}]}}\n").into_bytes()
}
