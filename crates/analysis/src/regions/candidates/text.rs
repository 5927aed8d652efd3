//! Attributes that are compared as texts.

use super::{Candidate, Expression, LeftReason, Question, TextPattern, both};

/// The tokens of HTTP (RFC 9110, 5.6.2).
const TOKEN: &str = r"[!#$%&'*+.^_`|~0-9A-Za-z\-]+";

/// Methods that are distinguished whatever rules ask: the one that samples have, and the one that has
/// no path.
const PLAIN_METHODS: [&str; 2] = ["GET", "CONNECT"];

/// Returns a pattern of Istio as an expression.
pub(super) fn expression(pattern: &TextPattern) -> Expression {
    match pattern {
        TextPattern::Exact(text) => Expression::exactly(text),
        TextPattern::Prefix(text) => Expression::prefix(text),
        TextPattern::Suffix(text) => Expression::suffix(text),
        TextPattern::Any => Expression::language("(?s:.+)"),
    }
}

impl Question<'_, '_> {
    /// Returns requests for every class of methods.
    pub(super) fn methods(&self) -> Result<Vec<Candidate>, LeftReason> {
        let operations = self.clauses.iter().filter_map(|clause| clause.operation);
        let named: Vec<&TextPattern> = operations
            .flat_map(|operation| both(&operation.methods))
            .chain(self.header_patterns())
            .collect();
        let mut patterns: Vec<Expression> = PLAIN_METHODS
            .iter()
            .map(|text| Expression::exactly(text))
            .collect();
        for pattern in &named {
            patterns.push(expression(pattern));
            patterns.push(expression(pattern).in_any_case());
        }
        patterns.sort();
        patterns.dedup();
        let atoms = self
            .texts
            .atoms(&Expression::language(TOKEN), &patterns)
            .map_err(|_| LeftReason::TooManyPatterns)?;
        let mut texts: Vec<String> = atoms.into_iter().map(|atom| atom.text).collect();
        texts.sort_by_key(|text| text != "GET");
        texts.push(String::new());
        let is_named = |text: &str| {
            let is =
                |pattern: &&&TextPattern| matches!(pattern, TextPattern::Exact(t) if t == text);
            text == "GET" || named.iter().any(|pattern| is(&pattern))
        };
        let candidate = |text: String| {
            let words = match text.as_str() {
                "" => "no method".to_owned(),
                text if is_named(text) => format!("method {text}"),
                text => match named.iter().find(|pattern| pattern.matches(text)) {
                    Some(pattern) => format!("method {pattern}"),
                    None => "any other method".to_owned(),
                },
            };
            let mut sample = self.sample.clone();
            if let Some(http) = sample.http_mut() {
                http.method = text;
            }
            Candidate::of(sample, words)
        };
        Ok(texts.into_iter().map(candidate).collect())
    }
}
