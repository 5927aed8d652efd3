//! Counts records by some of their texts, and returns the largest counts.
//!
//! The rule: memory is bounded. Once a table has the maximum of different rows, new ones are
//! counted as `others` and reported as such.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// The most different rows of one table.
const MAX_ROWS: usize = 100_000;

/// A table of counts.
#[derive(Debug)]
pub(super) struct TopK {
    /// The table's name in JSON.
    pub name: &'static str,
    /// The table's heading.
    pub title: &'static str,
    /// The names of the columns.
    pub columns: &'static [&'static str],
    rows: HashMap<Box<[String]>, u64>,
    limit: usize,
    others: u64,
}

/// The largest rows of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Top<'t> {
    /// The largest first; equal ones sorted by their texts.
    pub rows: Vec<(&'t [String], u64)>,
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
        }
    }

    /// Counts a record.
    pub(super) fn add<const N: usize>(&mut self, texts: [String; N]) {
        if let Some(count) = self.rows.get_mut(texts.as_slice()) {
            *count += 1;
        } else if self.rows.len() < self.limit {
            self.rows.insert(texts.into(), 1);
        } else {
            self.others += 1;
        }
    }

    /// Returns whether nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the largest rows.
    pub(super) fn top(&self, count: usize) -> Top<'_> {
        let mut rows: Vec<(&[String], u64)> = self
            .rows
            .iter()
            .map(|(texts, count)| (&**texts, *count))
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
        let row = |(texts, count): (&[String], u64)| {
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
        words
            .split(' ')
            .for_each(|word| table.add([word.to_owned()]));
        table
    }

    #[test]
    fn the_largest_are_listed_and_the_others_summed() {
        let table = counted("b a c a c d c", 10);
        let top = table.top(2);
        let rows: Vec<(&str, u64)> = top
            .rows
            .iter()
            .map(|(texts, count)| (texts[0].as_str(), *count))
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
}
