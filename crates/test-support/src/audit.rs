//! The audit file as its reader sees it: lines of JSON that are appended. docs/reference/record.md has the
//! names of the fields.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A file of JSON lines.
pub struct Audit {
    path: PathBuf,
}

/// A position in the file. What is written later is new.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

/// One recorded decision: the line as written, and its parsed content.
#[derive(Clone, Debug)]
pub struct Line {
    pub text: String,
    value: Value,
}

impl Line {
    /// Returns a field as text, by JSON pointer; empty if there is none.
    pub fn text_at(&self, pointer: &str) -> &str {
        self.value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Returns the effect that Envoy received: `allow` or `deny`.
    pub fn effect(&self) -> String {
        self.text_at("/effect").to_ascii_lowercase()
    }

    /// Returns the reason of the verdict.
    pub fn reason(&self) -> &str {
        self.text_at("/reason")
    }

    /// Returns the rule of the verdict.
    pub fn rule(&self) -> &str {
        self.text_at("/rule")
    }

    fn is_decision(&self) -> bool {
        self.text_at("/kind") == "decision"
    }
}

impl Audit {
    /// Wraps the file at this path, which need not exist yet.
    pub fn at(path: PathBuf) -> Audit {
        Audit { path }
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the current end: everything so far is old.
    pub fn mark(&self) -> Mark {
        Mark(self.whole_lines().len())
    }

    /// Returns the decisions recorded since, which must be exactly `count`: waits for that many,
    /// then a moment for one too many.
    pub fn decisions_since(&self, mark: Mark, count: usize) -> Result<Vec<Line>> {
        crate::wait_for(|| (self.decisions(mark).ok()?.len() >= count).then_some(()));
        std::thread::sleep(Duration::from_millis(100));
        let found = self.decisions(mark)?;
        let texts: Vec<&str> = found.iter().map(|line| line.text.as_str()).collect();
        ensure!(
            found.len() == count,
            "{count} crossings must make {count} audit lines, not {}:\n{}",
            found.len(),
            texts.join("\n")
        );
        Ok(found)
    }

    fn decisions(&self, mark: Mark) -> Result<Vec<Line>> {
        let lines = self.whole_lines();
        let mut found = Vec::new();
        for text in lines.get(mark.0..).unwrap_or_default() {
            let value = serde_json::from_str(text)
                .with_context(|| format!("an audit line is not JSON: {text}"))?;
            found.push(Line {
                text: text.clone(),
                value,
            });
        }
        found.retain(Line::is_decision);
        Ok(found)
    }

    /// Returns the lines that are complete; the writer may be in the middle of the last one.
    fn whole_lines(&self) -> Vec<String> {
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let finished = text.rsplit_once('\n').map_or("", |(finished, _)| finished);
        finished.lines().map(str::to_owned).collect()
    }
}
