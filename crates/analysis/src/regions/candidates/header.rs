//! The values of one header (rule R8): absent, unknown, or any list of texts.

use super::text::expression;
use super::{
    Candidate, Condition, Expression, LeftReason, Question, SampleRequest, TextPattern, closure,
};
use customs_engine::effect::Effect;
use customs_engine::eval_context::EvalContext;
use customs_engine::field::Field;
use customs_engine::header_values::MAX_PARTS;
use customs_engine::identity::{Caller, IdentityState};

/// A value without a comma, and without blanks around it.
const PART: &str = r"(?:[^,\x00-\x20\x7f](?:[^,\x00-\x1f\x7f]*[^,\x00-\x20\x7f])?)?";

impl Question<'_, '_> {
    /// Returns requests for every class of values of a header.
    pub(super) fn header(&self, name: &str) -> Result<Vec<Candidate>, LeftReason> {
        let patterns: Vec<&TextPattern> = self.header_patterns().collect();
        let has_parts = |pattern: &&TextPattern| {
            let text = pattern.to_string();
            text.contains(',') || text.trim_matches('*').trim() != text.trim_matches('*')
        };
        if patterns.iter().any(has_parts) {
            return Err(LeftReason::Header);
        }
        let expressions: Vec<Expression> = patterns
            .iter()
            .map(|pattern| match pattern {
                // Here a star only asks that the header is there.
                TextPattern::Any => Expression::language("(?s:.*)"),
                pattern => expression(pattern),
            })
            .collect();
        let atoms = self
            .texts
            .atoms(&Expression::language(PART), &expressions)
            .map_err(|_| LeftReason::TooManyPatterns)?;
        let texts: Vec<String> = atoms.into_iter().map(|atom| atom.text).collect();
        let mut candidates = vec![Candidate::of(self.sample.clone(), format!("no {name}"))];
        if name.starts_with(':') {
            // A pseudo-header is one value, and never joined with others.
            candidates.extend(
                texts
                    .iter()
                    .map(|text| self.with_header(name, text.clone())),
            );
            return Ok(candidates);
        }
        candidates.push(self.with_header(name, "x,".repeat(MAX_PARTS)));
        let said = |set: &[usize]| {
            let candidate = self.with_header(name, joined(&texts, set));
            self.said_of_header(name, candidate.witness.sample())
        };
        let sets = closure::sets(texts.len(), said).ok_or(LeftReason::TooManyPatterns)?;
        for set in sets {
            candidates.push(self.with_header(name, joined(&texts, &set)));
        }
        Ok(candidates)
    }

    fn with_header(&self, name: &str, value: String) -> Candidate {
        let words = match value.len() {
            0..=60 => format!("{name}: {value}"),
            _ => format!("{name} with too many values"),
        };
        let mut sample = self.sample.clone();
        if let Some(http) = sample.http_mut() {
            http.headers.retain(|(known, _)| known != name);
            http.headers.push((name.to_owned(), value));
        }
        Candidate::of(sample, words)
    }

    /// What each list of values of a header says of a request.
    pub(super) fn said_of_header(&self, name: &str, sample: &SampleRequest) -> Vec<bool> {
        let lists = self.header_lists(name);
        sample.with(self.settings, |request| {
            let context = EvalContext::new(request);
            let nobody = Caller::Unknown(IdentityState::Unauthenticated);
            lists
                .iter()
                .map(|(list, effect)| list.holds(&context, &nobody, *effect))
                .collect()
        })
    }

    /// Each list of values alone, with the effect that makes it match as it does in its clause.
    fn header_lists(&self, name: &str) -> Vec<(Condition, Effect)> {
        let mut lists = Vec::new();
        for clause in &self.clauses {
            for condition in self.level.conditions(clause) {
                let Condition::Header { values, .. } = condition else {
                    continue;
                };
                let opposite = match clause.effect {
                    Effect::Allow => Effect::Deny,
                    Effect::Deny => Effect::Allow,
                };
                for (list, effect) in [
                    (values.any_of(), clause.effect),
                    (values.none_of(), opposite),
                ] {
                    let alone = Condition::Header {
                        name: name.to_owned(),
                        values: Field::of(list.iter().cloned()),
                    };
                    if !list.is_empty() && !lists.contains(&(alone.clone(), effect)) {
                        lists.push((alone, effect));
                    }
                }
            }
        }
        lists
    }
}

fn joined(texts: &[String], set: &[usize]) -> String {
    let values = set.iter().filter_map(|number| texts.get(*number));
    values.cloned().collect::<Vec<_>>().join(",")
}
