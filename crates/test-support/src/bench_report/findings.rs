//! What a part of the benchmark found: values of each round, lines that were drawn beforehand,
//! facts.
//!
//! It measures and writes nothing. The rule: every value of every round is kept, and a line is met
//! if the lower end of its interval is at or below the bound.

use serde::{Deserialize, Serialize};

use super::statistics::{Estimate, ratios};

/// One part's findings.
#[derive(Debug, Serialize, Deserialize)]
pub struct Findings {
    pub part: String,
    /// One sentence: what was done.
    pub how: String,
    /// The unit of all values.
    pub unit: String,
    pub measures: Vec<Measure>,
    pub lines: Vec<Line>,
    pub facts: Vec<Fact>,
}

/// One value per round, of one server or configuration under one condition.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measure {
    pub subject: String,
    pub condition: String,
    pub rounds: Vec<f64>,
}

/// A bound that was set before anything was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    pub says: String,
    pub unit: String,
    pub bound: f64,
    pub rounds: Vec<f64>,
    pub estimate: Option<Estimate>,
    pub met: bool,
}

/// A fact that was derived from the values.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fact {
    pub about: String,
    pub says: String,
}

impl Line {
    pub fn new(says: impl Into<String>, unit: &str, bound: f64, rounds: Vec<f64>) -> Line {
        let estimate = Estimate::of(&rounds);
        let met = estimate.is_some_and(|estimate| estimate.low <= bound);
        Line {
            says: says.into(),
            unit: unit.to_owned(),
            bound,
            rounds,
            estimate,
            met,
        }
    }
}

impl Findings {
    pub fn new(part: &str, unit: &str, how: impl Into<String>) -> Findings {
        Findings {
            part: part.to_owned(),
            how: how.into(),
            unit: unit.to_owned(),
            measures: Vec::new(),
            lines: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// Adds the value of one more round.
    pub fn record(&mut self, subject: &str, condition: &str, value: f64) {
        let known = self
            .measures
            .iter_mut()
            .find(|it| it.subject == subject && it.condition == condition);
        match known {
            Some(measure) => measure.rounds.push(value),
            None => self.measures.push(Measure {
                subject: subject.to_owned(),
                condition: condition.to_owned(),
                rounds: vec![value],
            }),
        }
    }

    /// Returns the values, one per round; empty if it was not measured.
    pub fn rounds(&self, subject: &str, condition: &str) -> &[f64] {
        let known = self
            .measures
            .iter()
            .find(|it| it.subject == subject && it.condition == condition);
        known.map_or(&[], |measure| &measure.rounds)
    }

    pub fn estimate(&self, subject: &str, condition: &str) -> Option<Estimate> {
        Estimate::of(self.rounds(subject, condition))
    }

    /// Adds a line about the ratio of one subject to another under a condition, round by round.
    pub fn draw_line(
        &mut self,
        says: impl Into<String>,
        bound: f64,
        condition: &str,
        subjects: [&str; 2],
    ) {
        let [one, other] = subjects.map(|subject| self.rounds(subject, condition));
        let line = Line::new(says, "times", bound, ratios(one, other));
        self.lines.push(line);
    }

    pub fn add_fact(&mut self, about: impl Into<String>, says: impl Into<String>) {
        self.facts.push(Fact {
            about: about.into(),
            says: says.into(),
        });
    }

    /// Returns the subjects in the order in which they were first measured.
    pub fn subjects(&self) -> Vec<&str> {
        in_order(self.measures.iter().map(|measure| measure.subject.as_str()))
    }

    /// Returns the conditions in the order in which they were first measured.
    pub fn conditions(&self) -> Vec<&str> {
        in_order(
            self.measures
                .iter()
                .map(|measure| measure.condition.as_str()),
        )
    }
}

fn in_order<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut known = Vec::new();
    for name in names {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known
}
