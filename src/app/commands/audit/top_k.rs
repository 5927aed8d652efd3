//! Counts records by some of their texts, and returns the largest counts.
//!
//! The rules: memory is bounded, and once a table has the maximum of different rows, new ones are
//! counted as `others` and reported as such; counting in parts and merging them in order counts the
//! same as counting at once.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// The most different rows of one table.
const MAX_ROWS: usize = 100_000;

/// What separates the texts of a row: they are escaped, so none has it.
const SEPARATOR: char = '\0';

/// What a row takes besides its texts, about.
const ROW: usize = 64;

/// A table of counts.
#[derive(Debug)]
pub(super) struct TopK {
    /// The table's name in JSON.
    pub name: &'static str,
    /// The table's heading.
    pub title: &'static str,
    /// The names of the columns.
    pub columns: &'static [&'static str],
    /// By the texts of a row.
    rows: HashMap<Box<str>, Row>,
    limit: usize,
    others: u64,
    /// A row that is looked up.
    looked_up: String,
    weight: usize,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    count: u64,
    /// How many rows were there before it.
    place: usize,
}

/// The largest rows of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Top<'t> {
    /// The largest first; equal ones sorted by their texts.
    pub rows: Vec<(Vec<&'t str>, u64)>,
    /// The number of other rows, and their sum.
    pub more: (usize, u64),
    /// The count of rows beyond the limit.
    pub others: u64,
}

impl TopK {
    /// Creates an empty table.
    pub(super) fn new(
        name: &'static str,
        title: &'static str,
        columns: &'static [&'static str],
    ) -> TopK {
        TopK {
            name,
            title,
            columns,
            rows: HashMap::new(),
            limit: MAX_ROWS,
            others: 0,
            looked_up: String::new(),
            weight: 0,
        }
    }

    /// Makes it the table of a part of the records: it has a row for each, because only the whole
    /// knows which rows are too many.
    pub(super) fn of_part(self) -> TopK {
        TopK {
            limit: usize::MAX,
            ..self
        }
    }

    /// Counts a record.
    pub(super) fn add<const N: usize>(&mut self, texts: [Cow<'_, str>; N]) {
        let mut row = std::mem::take(&mut self.looked_up);
        row.clear();
        for (number, text) in texts.iter().enumerate() {
            if number > 0 {
                row.push(SEPARATOR);
            }
            row.push_str(text);
        }
        self.count(&row, 1);
        self.looked_up = row;
    }

    fn count(&mut self, row: &str, count: u64) {
        let place = self.rows.len();
        if let Some(row) = self.rows.get_mut(row) {
            row.count += count;
        } else if place < self.limit {
            self.weight += row.len() + ROW;
            self.rows.insert(row.into(), Row { count, place });
        } else {
            self.others += count;
        }
    }

    /// Adds the table of the part of the records that comes next.
    pub(super) fn merge(&mut self, next: TopK) {
        let mut rows: Vec<(Box<str>, Row)> = next.rows.into_iter().collect();
        rows.sort_unstable_by_key(|(_, row)| row.place);
        for (texts, row) in rows {
            self.count(&texts, row.count);
        }
        self.others += next.others;
    }

    /// Returns about how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Returns whether nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the largest rows.
    pub(super) fn top(&self, count: usize) -> Top<'_> {
        let mut rows: Vec<(Vec<&str>, u64)> = self
            .rows
            .iter()
            .map(|(texts, row)| (texts.split(SEPARATOR).collect(), row.count))
            .collect();
        rows.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
        let rest = rows.split_off(count.min(rows.len()));
        Top {
            rows,
            more: (rest.len(), rest.iter().map(|(_, count)| count).sum()),
            others: self.others,
        }
    }

    /// Returns the largest rows as JSON.
    pub(super) fn json(&self, count: usize) -> Value {
        let Top { rows, more, others } = self.top(count);
        let row = |(texts, count): (Vec<&str>, u64)| {
            let texts = self
                .columns
                .iter()
                .zip(texts)
                .map(|(name, text)| ((*name).to_owned(), json!(text)));
            Value::Object(
                texts
                    .chain([("count".to_owned(), json!(count))])
                    .collect::<Map<_, _>>(),
            )
        };
        let rows: Vec<Value> = rows.into_iter().map(row).collect();
        json!({"rows": rows, "more": {"rows": more.0, "count": more.1}, "others": others})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(words: &str, limit: usize) -> TopK {
        let mut table = TopK {
            limit,
            ..TopK::new("words", "Words", &["word"])
        };
        words.split(' ').for_each(|word| table.add([word.into()]));
        table
    }

    #[test]
    fn the_largest_are_listed_and_the_others_summed() {
        let table = counted("b a c a c d c", 10);
        let top = table.top(2);
        let rows: Vec<(&str, u64)> = top
            .rows
            .iter()
            .map(|(texts, count)| (texts[0], *count))
            .collect();
        assert_eq!(
            (rows, top.more, top.others),
            (vec![("c", 3), ("a", 2)], (2, 2), 0)
        );
        assert_eq!(table.json(1)["rows"], json!([{"word": "c", "count": 3}]));
    }

    #[test]
    fn rows_are_bounded_and_nothing_is_uncounted() {
        let table = counted("a b c a c d b", 2);
        let top = table.top(9);
        assert_eq!(top.rows.len(), 2);
        assert_eq!(
            (
                top.rows.iter().map(|(_, count)| count).sum::<u64>(),
                top.others
            ),
            (4, 3)
        );
    }

    #[test]
    fn parts_count_what_the_whole_counts() {
        for words in ["b a c a c d c", "a b c a c d b e a", "a", "a a a b b c"] {
            for limit in 1..6 {
                let whole = counted(words, limit);
                for cut in 0..=words.len() / 2 {
                    let at = (cut * 2).min(words.len());
                    let (one, two) = words.split_at(at);
                    let mut merged = counted("", limit);
                    merged.rows.clear();
                    for part in [one.trim(), two]
                        .into_iter()
                        .filter(|part| !part.is_empty())
                    {
                        merged.merge(counted(part, usize::MAX));
                    }
                    assert_eq!(merged.top(9), whole.top(9), "{words}, {limit}, {at}");
                }
            }
        }
    }
}
