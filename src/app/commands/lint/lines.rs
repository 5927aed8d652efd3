//! The lines of a file while fixes change them, each with the number that it had, and the unified
//! diff of the outcome.

use super::edit::{Edit, LineChange};

/// The number of unchanged lines around a change in a diff.
const CONTEXT: usize = 3;

/// What a byte order mark takes at the beginning of a file. Places count from after it.
const MARK: &str = "\u{feff}";

/// A file as lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// The lines that the file had, with their ends.
    before: Vec<String>,
    /// The lines that it has now, each with its index among those before.
    now: Vec<(usize, String)>,
}

impl Lines {
    /// Divides a text into lines.
    pub(super) fn new(text: &str) -> Lines {
        let before: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let now = before.iter().cloned().enumerate().collect();
        Lines { before, now }
    }

    /// Returns the text as it is now.
    pub(super) fn text(&self) -> String {
        self.now.iter().map(|(_, line)| line.as_str()).collect()
    }

    /// Returns whether something has changed.
    pub(super) fn is_changed(&self) -> bool {
        let same = |(index, line): &(usize, String)| self.before.get(*index) == Some(line);
        self.now.len() != self.before.len() || !self.now.iter().all(same)
    }

    /// Applies edits to the lines as they are now, and returns those that were applied. Of edits
    /// that overlap, the first is applied.
    pub(super) fn apply<'e>(&mut self, edits: impl IntoIterator<Item = &'e Edit>) -> Vec<&'e Edit> {
        let mut edits: Vec<&Edit> = edits.into_iter().collect();
        // From the end to the beginning, so that the places of the others stay as they are.
        edits.sort_by(|a, b| b.place.cmp(&a.place));
        let mut applied: Vec<&Edit> = Vec::new();
        for edit in edits {
            if !applied.iter().any(|other| overlap(edit, other)) && self.apply_one(edit) {
                applied.push(edit);
            }
        }
        applied.reverse();
        applied
    }

    fn apply_one(&mut self, edit: &Edit) -> bool {
        let Some(index) = usize::try_from(edit.place.line)
            .ok()
            .and_then(|line| line.checked_sub(1))
            .filter(|index| *index < self.now.len())
        else {
            return false;
        };
        match &edit.change {
            LineChange::Remove => {
                self.now.remove(index);
                true
            }
            LineChange::Replace(span, with) => {
                let Some((_, line)) = self.now.get_mut(index) else {
                    return false;
                };
                let skipped = if line.starts_with(MARK) {
                    MARK.len()
                } else {
                    0
                };
                let (start, end) = (span.start + skipped, span.end + skipped);
                let is_inside = line.get(start..end).is_some();
                if is_inside {
                    line.replace_range(start..end, with);
                }
                is_inside
            }
        }
    }

    /// Returns the changes as a unified diff of a file with this name; empty if there are none.
    pub(super) fn diff(&self, name: &str) -> String {
        let lines = self.compared();
        let is_changed = |(_, new): &(&str, Option<&str>), old: &str| *new != Some(old);
        let changed: Vec<usize> = (0..)
            .zip(&lines)
            .filter(|(_, line)| is_changed(line, line.0))
            .map(|(index, _): (usize, _)| index)
            .collect();
        let mut out = String::new();
        let mut rest = changed.as_slice();
        // The line at which a hunk begins in the new file, less where it begins in the old one.
        let mut shift = 0_usize;
        while let [first, ..] = rest {
            let near = |pair: &&[usize]| matches!(pair, [a, b] if b - a <= 2 * CONTEXT);
            let length = 1 + rest.windows(2).take_while(near).count();
            let (group, behind) = rest.split_at(length);
            let last = group.last().unwrap_or(first);
            let range = first.saturating_sub(CONTEXT)..(last + 1 + CONTEXT).min(lines.len());
            let hunk = lines.get(range.clone()).unwrap_or_default();
            let kept = hunk.iter().filter(|(_, new)| new.is_some()).count();
            if out.is_empty() {
                out.push_str(&format!("--- {name}\n+++ {name}\n"));
            }
            out.push_str(&format!(
                "@@ -{},{} +{},{kept} @@\n",
                range.start + 1,
                hunk.len(),
                range.start + 1 - shift,
            ));
            hunk.iter().for_each(|line| push_line(&mut out, *line));
            shift += hunk.len() - kept;
            rest = behind;
        }
        out
    }

    /// Returns each line before, with what it is now if it is still there.
    fn compared(&self) -> Vec<(&str, Option<&str>)> {
        let mut now = self.now.iter().peekable();
        let before = self.before.iter().enumerate();
        before
            .map(|(index, old)| {
                let new = now.next_if(|(origin, _)| *origin == index);
                (old.as_str(), new.map(|(_, line)| line.as_str()))
            })
            .collect()
    }
}

fn push_line(out: &mut String, (old, new): (&str, Option<&str>)) {
    let mut push = |sign: char, line: &str| {
        out.push(sign);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    };
    match new {
        Some(new) if new == old => push(' ', old),
        new => {
            push('-', old);
            new.into_iter().for_each(|new| push('+', new));
        }
    }
}

fn overlap(one: &Edit, other: &Edit) -> bool {
    if one.place.line != other.place.line {
        return false;
    }
    match (&one.change, &other.change) {
        (LineChange::Replace(a, _), LineChange::Replace(b, _)) => {
            a.start < b.end && b.start < a.end
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_policy::problem::Place;

    fn edit(line: u32, column: u32, change: LineChange) -> Edit {
        let place = Place {
            file: "f".into(),
            line,
            column,
        };
        Edit {
            place,
            code: "bad-host",
            what: String::new(),
            change,
        }
    }

    fn replace(line: u32, span: std::ops::Range<usize>, with: &str) -> Edit {
        let column = u32::try_from(span.start + 1).unwrap();
        edit(line, column, LineChange::Replace(span, with.into()))
    }

    #[test]
    fn edits_are_applied_once_and_line_ends_stay() {
        let mut lines = Lines::new("\u{feff}a: A\r\nb: [A, A]\n- x");
        let edits = [
            replace(1, 3..4, "a"),
            replace(2, 4..5, "1"),
            replace(2, 7..8, "2"),
            replace(2, 5..8, ""),
            edit(3, 3, LineChange::Remove),
            replace(9, 0..1, "z"),
        ];
        let applied = lines.apply(&edits).len();
        assert_eq!(lines.text(), "\u{feff}a: a\r\nb: [1, 2]\n");
        assert_eq!(applied, 4);
        assert!(lines.is_changed());
    }

    #[test]
    fn a_diff_has_a_hunk_for_changes_that_are_near() {
        let text: String = (1..=20).map(|n| format!("{n}\n")).collect::<String>() + "end";
        let mut lines = Lines::new(&text);
        assert_eq!(lines.diff("f"), "");
        lines.apply(&[
            replace(2, 0..1, "two"),
            edit(4, 1, LineChange::Remove),
            replace(21, 0..3, "END"),
        ]);
        let expected = "--- f\n+++ f\n@@ -1,7 +1,6 @@\n 1\n-2\n+two\n 3\n-4\n 5\n 6\n 7\n\
            @@ -18,4 +17,4 @@\n 18\n 19\n 20\n-end\n\\ No newline at end of file\n+END\n\\ No newline at end of file\n";
        assert_eq!(lines.diff("f"), expected);
    }

    #[test]
    fn later_edits_count_in_the_lines_as_they_are_then() {
        let mut lines = Lines::new("a\nb\nc\n");
        lines.apply(&[edit(1, 1, LineChange::Remove)]);
        lines.apply(&[replace(1, 0..1, "B")]);
        assert_eq!(lines.text(), "B\nc\n");
        assert_eq!(
            lines.diff("f"),
            "--- f\n+++ f\n@@ -1,3 +1,2 @@\n-a\n-b\n+B\n c\n"
        );
    }
}
