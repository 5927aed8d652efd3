//! What the grants of a week open before and after `customs suggest`, as docs/benchmarks keeps it.
//!
//! It decides nothing: `benches/week` asks the engine. The rule: every number is a count.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::document::count;

/// The comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grants {
    /// The log that was compared, as a sentence.
    pub about: String,
    /// How many hosts anybody reached.
    pub hosts: usize,
    pub namespaces: Vec<NamespaceGrants>,
}

/// What is open to the accounts of a namespace. A pair is an account with a host that anybody
/// reached.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceGrants {
    pub namespace: String,
    pub accounts: usize,
    /// The pairs that crossed.
    pub used: usize,
    pub before: usize,
    pub after: usize,
    /// The `allow` entries of the namespace's policies.
    pub entries_before: usize,
    pub entries_after: usize,
}

impl Grants {
    /// Adds up all namespaces.
    pub fn sum(&self) -> NamespaceGrants {
        let mut sum = NamespaceGrants {
            namespace: "**all**".to_owned(),
            ..NamespaceGrants::default()
        };
        for row in &self.namespaces {
            sum.accounts += row.accounts;
            sum.used += row.used;
            sum.before += row.before;
            sum.after += row.after;
            sum.entries_before += row.entries_before;
            sum.entries_after += row.entries_after;
        }
        sum
    }

    /// Returns the table in Markdown.
    pub fn table(&self) -> String {
        let mut table = format!(
            "{} Pairs of an account and one of the {} hosts that were reached in the week:\n\n\
             | namespace | accounts | used | open before | open after | `allow` entries before | after |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
            self.about,
            count(self.hosts as f64)
        );
        for row in self.namespaces.iter().chain([&self.sum()]) {
            let _ = write!(table, "| {} |", row.namespace);
            for number in [
                row.accounts,
                row.used,
                row.before,
                row.after,
                row.entries_before,
                row.entries_after,
            ] {
                let _ = write!(table, " {} |", count(number as f64));
            }
            table.push('\n');
        }
        table
    }
}
