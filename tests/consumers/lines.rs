//! Lines of JSON: their fields, and whether their chain holds. Written from the documentation,
//! without any code of customs.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A line as it is, and its fields.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) fields: Value,
}

impl Line {
    pub(crate) fn of(text: &str) -> Line {
        Line {
            text: text.to_owned(),
            fields: serde_json::from_str(text).unwrap(),
        }
    }

    /// A field that is text; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields[name].as_str().unwrap_or_default()
    }

    /// The number in the stream.
    pub(crate) fn sequence(&self) -> u64 {
        self.text("sequence").parse().unwrap()
    }
}

/// Every whole line of a text.
pub(crate) fn all(text: &str) -> Vec<Line> {
    text.lines().map(Line::of).collect()
}

/// The lines of one kind.
pub(crate) fn of_kind<'l>(lines: &'l [Line], kind: &str) -> Vec<&'l Line> {
    lines
        .iter()
        .filter(|line| line.text("kind") == kind)
        .collect()
}

/// One whole stream from its first record on: numbers without a gap, and a chain that holds.
pub(crate) fn verify(lines: &[Line]) {
    let mut head = [0; 32];
    for (line, expected) in lines.iter().zip(1..) {
        assert_eq!(line.sequence(), expected, "{}", line.text);
        assert_eq!(
            line.text("stream"),
            lines[0].text("stream"),
            "{}",
            line.text
        );
        let (covered, _) = line.text.rsplit_once(",\"chain\":\"").unwrap();
        head = Sha256::new()
            .chain_update(head)
            .chain_update(covered)
            .finalize()
            .into();
        let digits: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(line.text("chain"), digits, "{}", line.text);
    }
}
