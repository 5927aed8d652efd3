//! Paths: plain ones, unknown ones, and those that servers read in several ways (rule R7).
//!
//! A plain path is one text, so plain paths are cut as texts are. Which readings a path may have
//! together is not known in full. So every set of readings that the rules could tell apart is asked,
//! whether or not a path has it; and paths that are known to have several readings are tried, so that
//! most sets get a path.

use super::text::expression;
use super::{
    BTreeSet, Candidate, Expression, LeftReason, Question, SampleRequest, TextPattern, Witness,
    both, closure,
};
use customs_engine::effect::Effect;
use customs_engine::eval_context::EvalContext;
use customs_engine::field::Field;
use customs_engine::operation::{Operation, PathPattern};
use customs_engine::path::Readings;

/// A path that every server reads in one way.
const PLAIN: &str = concat!(
    r"/(?:(?:[^./%;\\?#\x00-\x1f\x7f][^/%;\\?#\x00-\x1f\x7f]*",
    r"|\.[^./%;\\?#\x00-\x1f\x7f][^/%;\\?#\x00-\x1f\x7f]*",
    r"|\.\.[^/%;\\?#\x00-\x1f\x7f]+)/)*",
    r"(?:[^./%;\\?#\x00-\x1f\x7f][^/%;\\?#\x00-\x1f\x7f]*",
    r"|\.[^./%;\\?#\x00-\x1f\x7f][^/%;\\?#\x00-\x1f\x7f]*",
    r"|\.\.[^/%;\\?#\x00-\x1f\x7f]+)?"
);

/// A path that cannot be read.
const UNREADABLE: &str = r"(?s:.*)(?:%zz|#)(?s:.*)";

/// Characters that Envoy's template matcher lets operators match.
const OPERATORS_MATCH: &str = r"[A-Za-z0-9\-._~%!$&'()*+,;=:@/]*";

/// A query.
const QUERY: &str = r"(?:\?(?s:.*))?";

/// The most texts that are combined into paths with several readings.
const MAX_COMBINED: usize = 16;

impl Question<'_, '_> {
    /// Returns requests for every class of paths.
    pub(super) fn paths(&self) -> Result<Vec<Candidate>, LeftReason> {
        let operations = self.clauses.iter().filter_map(|clause| clause.operation);
        let patterns: Vec<&PathPattern> = operations
            .flat_map(|operation| both(&operation.paths))
            .collect();
        let conditions: Vec<&TextPattern> = self.header_patterns().collect();
        let too_many = |_| LeftReason::TooManyPatterns;
        let mut candidates = Vec::new();

        let mut plain: Vec<Expression> = patterns
            .iter()
            .map(|pattern| path_expression(pattern, "[^?]").then(QUERY))
            .chain(conditions.iter().map(|pattern| expression(pattern)))
            .collect();
        plain.push(Expression::language(OPERATORS_MATCH).then(QUERY));
        let query = if conditions.is_empty() { "" } else { QUERY };
        let language = Expression::language(PLAIN).then(query);
        let mut texts: Vec<String> = self
            .texts
            .atoms(&language, &plain)
            .map_err(too_many)?
            .into_iter()
            .map(|atom| atom.text)
            .collect();
        if !conditions.is_empty() {
            let named: Vec<Expression> = conditions.iter().map(|p| expression(p)).collect();
            let unreadable = Expression::language(UNREADABLE);
            let atoms = self.texts.atoms(&unreadable, &named).map_err(too_many)?;
            texts.extend(atoms.into_iter().map(|atom| atom.text));
        }
        texts.sort_by_key(|text| text != "/");
        for text in &texts {
            candidates.push(self.with_path(text));
        }
        candidates.push(self.with_path(""));
        if patterns.is_empty() {
            return self.paths_by_text(&conditions, candidates);
        }
        let mut readings: Vec<Expression> = patterns
            .iter()
            .map(|pattern| path_expression(pattern, "(?s:.)"))
            .collect();
        readings.push(Expression::language(OPERATORS_MATCH));
        let readings = self
            .texts
            .atoms(&Expression::language("(?s:.+)"), &readings)
            .map_err(too_many)?;
        let readings: Vec<String> = readings.into_iter().map(|atom| atom.text).collect();
        let lists = self.path_lists();
        let odd = self.texts.odd_paths(format!("{lists:?}"), || {
            let mut known = BTreeSet::new();
            let mut paths = odd_paths(&readings);
            paths.retain(|path| known.insert(self.said_of(&lists, Readings::of(path))));
            paths
        });
        for text in odd {
            candidates.push(self.with_path(&text));
        }
        if !conditions.is_empty() {
            // What the path is as a text and how it is read are not told apart together.
            return Err(LeftReason::TooManyPatterns);
        }
        candidates.extend(self.sets_of_readings(&lists, &readings)?);
        Ok(candidates)
    }

    /// Paths that are compared as texts alone, however they are read.
    fn paths_by_text(
        &self,
        conditions: &[&TextPattern],
        mut candidates: Vec<Candidate>,
    ) -> Result<Vec<Candidate>, LeftReason> {
        let named: Vec<Expression> = conditions.iter().map(|p| expression(p)).collect();
        let atoms = self
            .texts
            .atoms(&Expression::language("(?s:.+)"), &named)
            .map_err(|_| LeftReason::TooManyPatterns)?;
        candidates.extend(atoms.iter().map(|atom| self.with_path(&atom.text)));
        Ok(candidates)
    }

    fn with_path(&self, path: &str) -> Candidate {
        let operations = self.clauses.iter().filter_map(|clause| clause.operation);
        let mut patterns = operations.flat_map(|operation| both(&operation.paths));
        let named = patterns.find(|pattern| match pattern {
            PathPattern::Text(pattern) => pattern.matches(path),
            PathPattern::Template(template) => {
                template.matches(path, &customs_engine::path::SegmentEnds::of(path))
            }
        });
        let words = match (path, named) {
            ("", _) => "no path".to_owned(),
            (_, Some(PathPattern::Text(pattern))) => format!("path {pattern}"),
            (_, Some(PathPattern::Template(template))) => format!("path {template}"),
            (path, None) if path.contains(['%', ';']) => format!("path {path}"),
            (_, None) => "any other path".to_owned(),
        };
        Candidate::of(self.sample_with_path(path), words)
    }

    fn sample_with_path(&self, path: &str) -> SampleRequest {
        let mut sample = self.sample.clone();
        if let Some(http) = sample.http_mut() {
            http.path = path.to_owned();
        }
        sample
    }

    /// Every set of readings that the lists of paths tell apart.
    fn sets_of_readings(
        &self,
        lists: &[(Operation, Effect)],
        texts: &[String],
    ) -> Result<Vec<Candidate>, LeftReason> {
        let said = |set: &[usize]| self.said_of(lists, readings_of(texts, set));
        let sets = closure::sets(texts.len(), said).ok_or(LeftReason::TooManyPatterns)?;
        let candidate = |set: Vec<usize>| {
            let readings: Vec<String> = set
                .iter()
                .filter_map(|number| texts.get(*number).cloned())
                .collect();
            let words = format!("a path that is read as {}", readings.join(" and "));
            Candidate {
                witness: Witness::WithReadings(self.sample_with_path("/"), readings),
                words,
            }
        };
        Ok(sets.into_iter().map(candidate).collect())
    }

    /// What lists say of the readings of a path.
    fn said_of(&self, lists: &[(Operation, Effect)], readings: Readings<'_>) -> Vec<bool> {
        self.sample.with(self.settings, |request| {
            let context = EvalContext::with_readings(request, readings);
            let said = lists.iter();
            said.map(|(list, effect)| list.match_path(&context, *effect))
                .collect()
        })
    }

    /// Each list of paths alone, with the effect that makes it match as it does in its clause.
    fn path_lists(&self) -> Vec<(Operation, Effect)> {
        let mut lists = Vec::new();
        for clause in &self.clauses {
            let Some(operation) = clause.operation else {
                continue;
            };
            let opposite = match clause.effect {
                Effect::Allow => Effect::Deny,
                Effect::Deny => Effect::Allow,
            };
            let paths = &operation.paths;
            for (list, effect) in [(paths.any_of(), clause.effect), (paths.none_of(), opposite)] {
                let alone = Operation {
                    paths: Field::of(list.iter().cloned()),
                    ..Operation::default()
                };
                if !list.is_empty() && !lists.contains(&(alone.clone(), effect)) {
                    lists.push((alone, effect));
                }
            }
        }
        lists
    }
}

fn readings_of<'t>(texts: &'t [String], set: &[usize]) -> Readings<'t> {
    let mut readings = set.iter().filter_map(|number| texts.get(*number));
    match set {
        [_] => readings
            .next()
            .map_or(Readings::Unknown, |text| Readings::One(text)),
        _ => Readings::Many(readings.map(|text| text.as_str().into()).collect()),
    }
}

/// A pattern for paths as an expression, in which this is any character.
fn path_expression(pattern: &PathPattern, any: &str) -> Expression {
    match pattern {
        PathPattern::Text(TextPattern::Exact(text)) => Expression::exactly(text),
        PathPattern::Text(TextPattern::Prefix(text)) => {
            Expression::exactly(text).then(&format!("{any}*"))
        }
        PathPattern::Text(TextPattern::Suffix(text)) => {
            Expression::language(&format!("{any}*")).followed_by(Expression::exactly(text))
        }
        PathPattern::Text(TextPattern::Any) => Expression::language(&format!("{any}+")),
        PathPattern::Template(template) => {
            let text = template.to_string();
            let segments = text.split('/').skip(1);
            segments.fold(Expression::exactly(""), |all, segment| {
                let next = match segment {
                    "{*}" => Expression::language(&format!("[^/{}]+", excluded(any))),
                    "{**}" => Expression::language(&format!("{any}*")),
                    literal => Expression::exactly(literal),
                };
                all.then("/").followed_by(next)
            })
        }
    }
}

/// The characters that `any` is not.
fn excluded(any: &str) -> &'static str {
    match any {
        "[^?]" => "?",
        _ => "",
    }
}

/// Paths that servers read in several ways, made of texts that rules tell apart.
fn odd_paths(texts: &[String]) -> Vec<String> {
    let texts: Vec<&str> = texts
        .iter()
        .map(String::as_str)
        .filter(|text| text.starts_with('/'))
        .take(MAX_COMBINED)
        .collect();
    let mut paths = vec!["/x;y".to_owned(), "//x".to_owned()];
    for one in &texts {
        let encoded = encoded(one);
        paths.extend([
            encoded.clone(),
            format!("{one};x"),
            format!("/{one}"),
            format!("{one}/."),
            format!("/x/..{one}"),
            format!("/x/..%2f{}", one.trim_start_matches('/')),
        ]);
        let up = one.matches('/').count();
        for other in &texts {
            let rest = other.trim_start_matches('/');
            paths.extend([
                format!("{one}{}{other}", "/..".repeat(up)),
                format!("{one}/{}{rest}", "..%2f".repeat(up)),
                format!("{encoded}{}{other}", "/..".repeat(up)),
                format!("{one}{}{}", "/..".repeat(up), self::encoded(other)),
                format!("{one};/{}{rest}", "../".repeat(up)),
                format!("{one}x/{}{rest}", "..%2f".repeat(up)),
                format!("{one}%2f{}{rest}", "..%2f".repeat(up)),
            ]);
        }
    }
    paths
}

/// A path with its first letter percent-encoded.
fn encoded(path: &str) -> String {
    let Some(at) = path.find(|letter: char| letter.is_ascii_alphanumeric()) else {
        return format!("{path}%78");
    };
    let (head, tail) = path.split_at_checked(at).unwrap_or((path, ""));
    let mut letters = tail.chars();
    let first = letters.next().map(u32::from).unwrap_or_default();
    format!("{head}%{first:02x}{}", letters.as_str())
}
