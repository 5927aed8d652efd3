//! Which records a sink takes.
//!
//! The rule: a record that is not a decision always passes, and no filter drops a decision whose
//! three answers differ.

use std::fmt;
use std::str::FromStr;

use crate::{DecisionRecord, Entry};
use customs_engine::effect::Effect;

/// Which decisions a sink takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// All of them.
    #[default]
    All,
    /// Those whose effect is deny, and those whose answers differ.
    Denies,
    /// Those whose effect, verdict and dry run differ.
    DryRunDiffers,
    /// All but plain allows, and one in this many plain allows. An allow that rests on a grant or
    /// an exception that expires is not plain.
    Sample(u64),
}

impl Filter {
    /// Returns whether a sink takes this record.
    pub fn wants(self, entry: &Entry) -> bool {
        match entry {
            Entry::Decision(decision) => self.wants_decision(decision),
            _ => true,
        }
    }

    /// Returns whether a sink takes this decision.
    pub fn wants_decision(self, decision: &DecisionRecord) -> bool {
        let decision = decision.facts();
        match self {
            Filter::All => true,
            Filter::Denies => decision.effect == Effect::Deny || decision.differs(),
            Filter::DryRunDiffers => decision.differs(),
            Filter::Sample(one_in) => {
                decision.effect == Effect::Deny
                    || decision.differs()
                    || decision.rests_on_an_end()
                    || decision.decision_number.is_multiple_of(one_in)
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::All => f.write_str("all"),
            Filter::Denies => f.write_str("denies"),
            Filter::DryRunDiffers => f.write_str("dry-run-differs"),
            Filter::Sample(one_in) => write!(f, "sample 1/{one_in}"),
        }
    }
}

/// A text that does not name a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid filter `{0}`: expected `all`, `denies`, `dry-run-differs` or `sample 1/100`")]
pub struct ParseFilterError(String);

impl FromStr for Filter {
    type Err = ParseFilterError;

    fn from_str(text: &str) -> Result<Filter, ParseFilterError> {
        let sample = || {
            text.strip_prefix("sample 1/")
                .or_else(|| text.strip_prefix("sample:1/"))
        };
        match text {
            "all" => Ok(Filter::All),
            "denies" => Ok(Filter::Denies),
            "dry-run-differs" => Ok(Filter::DryRunDiffers),
            _ => {
                let one_in = sample()
                    .and_then(|number| number.parse().ok())
                    .filter(|one_in| *one_in > 0);
                // One in one is every decision.
                let filter = |one_in| {
                    if one_in == 1 {
                        Filter::All
                    } else {
                        Filter::Sample(one_in)
                    }
                };
                one_in
                    .map(filter)
                    .ok_or_else(|| ParseFilterError(text.to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DecisionEntry;
    use crate::examples::full_decision;
    use customs_engine::time::UnixNanos;

    fn decision(effect: Effect, verdict: Effect, dry_run: Effect, number: u64) -> DecisionEntry {
        let mut entry = full_decision();
        (entry.effect, entry.verdict.effect, entry.dry_run.effect) = (effect, verdict, dry_run);
        entry.decision_number = number;
        for answer in [&mut entry.verdict, &mut entry.dry_run] {
            (answer.expires, answer.exception_expires) = (None, None);
        }
        entry
    }

    #[test]
    fn filters_take_what_they_say() {
        use Effect::{Allow, Deny};
        let sample = Filter::Sample(10);
        for (answers, number, wanted_by) in [
            ((Allow, Allow, Allow), 7, vec![Filter::All]),
            ((Allow, Allow, Allow), 20, vec![Filter::All, sample]),
            (
                (Deny, Deny, Deny),
                7,
                vec![Filter::All, Filter::Denies, sample],
            ),
            (
                (Allow, Allow, Deny),
                7,
                vec![Filter::All, Filter::Denies, Filter::DryRunDiffers, sample],
            ),
            (
                (Allow, Deny, Deny),
                7,
                vec![Filter::All, Filter::Denies, Filter::DryRunDiffers, sample],
            ),
            (
                (Deny, Deny, Allow),
                7,
                vec![Filter::All, Filter::Denies, Filter::DryRunDiffers, sample],
            ),
        ] {
            let (effect, verdict, dry_run) = answers;
            let entry = Entry::Decision(decision(effect, verdict, dry_run, number).into());
            for filter in [Filter::All, Filter::Denies, Filter::DryRunDiffers, sample] {
                assert_eq!(
                    filter.wants(&entry),
                    wanted_by.contains(&filter),
                    "{filter} of {answers:?}, {number}"
                );
            }
        }
    }

    #[test]
    fn a_sample_keeps_every_allow_that_rests_on_an_end() {
        type Set = fn(&mut DecisionEntry);
        let ways: [Set; 4] = [
            |entry| entry.verdict.expires = Some(UnixNanos(1)),
            |entry| entry.verdict.exception_expires = Some(UnixNanos(1)),
            |entry| entry.dry_run.expires = Some(UnixNanos(1)),
            |entry| entry.dry_run.exception_expires = Some(UnixNanos(1)),
        ];
        for set in ways {
            let mut entry = decision(Effect::Allow, Effect::Allow, Effect::Allow, 7);
            assert!(!Filter::Sample(10).wants_decision(&(&entry).into()));
            set(&mut entry);
            assert!(Filter::Sample(10).wants_decision(&(&entry).into()));
        }
    }

    #[test]
    fn filters_are_parsed_as_they_are_printed() {
        for text in ["all", "denies", "dry-run-differs", "sample 1/100"] {
            assert_eq!(text.parse::<Filter>().unwrap().to_string(), text);
        }
        assert_eq!("sample:1/3".parse(), Ok(Filter::Sample(3)));
        for text in ["sample:1/1", "sample 1/1"] {
            assert_eq!(
                text.parse(),
                Ok(Filter::All),
                "a sample of everything is not a filter"
            );
        }
        for text in ["", "sample", "sample 1/0", "sample 2/3", "denials"] {
            assert!(text.parse::<Filter>().is_err(), "{text}");
        }
    }
}
