//! Asks every row, and sorts the outcomes: agreement, method case, stricter by kind, wider by kind,
//! wrong.

use std::collections::BTreeMap;

use customs_engine::effect::Effect;
use customs_policy::compile::Compiled;

use crate::kinds::{is_method_case, kind, undocumented, wider_kind};
use crate::rows::{Check, Loading, Set};

/// The sorted outcome of a file.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    name: &'static str,
    pub sets: usize,
    pub rows: usize,
    pub ordinary: usize,
    pub ordinary_agree: usize,
    pub odd_agree: usize,
    /// Sets that use what is not built yet, with the fields.
    pub skipped: BTreeMap<String, String>,
    /// Sets that were refused, with the first problem.
    pub refused: BTreeMap<String, String>,
    /// Ordinary rows that differ in the case of the method only.
    pub method_case: Vec<String>,
    /// Istio allows and customs denies, by kind.
    pub stricter: BTreeMap<String, usize>,
    /// Istio denies and customs allows, by kind.
    pub wider: BTreeMap<String, usize>,
    /// Differences that are not documented.
    pub wrong: Vec<String>,
}

impl Tally {
    pub(crate) fn of(name: &'static str, sets: &[Set]) -> Tally {
        let mut tally = Tally {
            name,
            ..Tally::default()
        };
        for set in sets {
            match set.load() {
                Loading::Loaded(compiled) => {
                    tally.sets += 1;
                    for check in &set.checks {
                        tally.count(set, &compiled, check);
                    }
                }
                Loading::NotSupportedYet(problems) => {
                    let fields: Vec<_> = problems.iter().map(|p| p.text.as_str()).collect();
                    tally.skipped.insert(set.name.clone(), fields.join("; "));
                }
                Loading::Refused(problems) => {
                    let texts: Vec<_> = problems
                        .iter()
                        .map(|p| p.to_string())
                        .filter(|t| !t.contains("not-supported"))
                        .collect();
                    tally.refused.insert(set.name.clone(), texts.join("; "));
                }
            }
        }
        tally
    }

    fn count(&mut self, set: &Set, compiled: &Compiled, check: &Check) {
        self.rows += 1;
        let answer = set.ask(compiled, &check.request);
        let (ordinary, agrees) = (check.is_ordinary(), answer.effect == check.expected);
        self.ordinary += usize::from(ordinary);
        if agrees {
            self.ordinary_agree += usize::from(ordinary);
            self.odd_agree += usize::from(!ordinary);
            return;
        }
        let described = || format!("{}#{}: {answer:?}; {}", set.name, check.id, check.json);
        match (answer.effect, ordinary) {
            (Effect::Deny, true) if is_method_case(set, compiled, check) => {
                self.method_case.push(format!("{}#{}", set.name, check.id));
            }
            (_, true) => self.wrong.push(format!("ordinary: {}", described())),
            (Effect::Deny, false) => match kind(set, compiled, check, &answer) {
                Some(kind) => *self.stricter.entry(kind).or_default() += 1,
                None => self
                    .wrong
                    .push(format!("stricter for no known cause: {}", described())),
            },
            (Effect::Allow, false) => match wider_kind(check) {
                Some(kind) => *self.wider.entry(kind.to_owned()).or_default() += 1,
                None => self.wrong.push(format!("wider: {}", described())),
            },
        }
    }

    pub(crate) fn print(&self) {
        let name = self.name;
        crate::print(&format!(
            "{name}: {} sets, {} rows: {} ordinary, of which {} agree and {} differ in the method's case only ({})",
            self.sets,
            self.rows,
            self.ordinary,
            self.ordinary_agree,
            self.method_case.len(),
            self.method_case.join(", ")
        ));
        crate::print(&format!(
            "{name}: {} odd rows, of which {} agree",
            self.rows - self.ordinary,
            self.odd_agree
        ));
        for (kind, count) in &self.stricter {
            crate::print(&format!(
                "{name}: Istio allows, customs denies: {count:5} {kind}"
            ));
        }
        for (kind, count) in &self.wider {
            crate::print(&format!(
                "{name}: Istio denies, customs allows: {count:5} {kind}"
            ));
        }
        for (set, fields) in &self.skipped {
            crate::print(&format!("{name}: SKIPPED {set}: {fields}"));
        }
        for (set, problem) in &self.refused {
            crate::print(&format!("{name}: refused {set}: {problem}"));
        }
    }

    /// Checks that no row is wrong, that docs/reference/istio-differences.md lists every kind of difference, and that
    /// exactly these sets are refused.
    pub(crate) fn assert_as_documented(&self, refused: &[&str]) {
        assert!(
            self.wrong.is_empty(),
            "{} rows of {} are wrong:\n{}",
            self.wrong.len(),
            self.name,
            self.wrong.join("\n")
        );
        for set in self.refused.keys() {
            assert!(refused.contains(&set.as_str()), "{set} is refused");
        }
        let unlisted = undocumented(self);
        assert!(
            unlisted.is_empty(),
            "docs/reference/istio-differences.md, `Where customs differs from Istio`, has no row for {unlisted:?}"
        );
        for set in refused {
            let known = self.refused.contains_key(*set) || self.skipped.contains_key(*set);
            assert!(known, "{set} must be refused");
        }
    }
}
