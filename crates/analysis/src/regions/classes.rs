//! Puts candidates together that no clause tells apart.

use std::collections::BTreeSet;

use super::candidates::Candidate;
use super::cell::{Part, Witness, forced_readings};
use super::clause::ClauseId;
use super::level::{Level, Said};
use customs_engine::eval_context::EvalContext;

/// Candidates of which the clauses say the same.
pub(super) struct Class {
    pub bits: Vec<bool>,
    /// The clauses that do not hold.
    pub failed: BTreeSet<ClauseId>,
    pub witness: Witness,
    pub words: String,
}

impl Class {
    fn add(&mut self, words: &str) {
        const LONGEST: usize = 200;
        let is_said = self.words.split(", ").any(|said| said == words);
        if !is_said && !words.is_empty() && self.words.len() < LONGEST {
            let comma = if self.words.is_empty() { "" } else { ", " };
            self.words.push_str(comma);
            self.words.push_str(words);
        }
    }
}

/// Puts candidates of which the clauses say the same together.
pub(super) fn classes(
    part: &Part<'_>,
    level: &Level,
    asked: &[ClauseId],
    candidates: Vec<Candidate>,
) -> Vec<Class> {
    let mut classes: Vec<Class> = Vec::new();
    let Some(settings) = part.frame.space.settings() else {
        return classes;
    };
    for Candidate { witness, words } in candidates {
        let sample = witness.sample();
        let said = sample.with(settings, |request| {
            if !part.is_of_hosts(&request.destination.host) {
                return None;
            }
            let context = match forced_readings(&witness) {
                Some(readings) => EvalContext::with_readings(request, readings),
                None => EvalContext::new(request),
            };
            // On TCP the SNI may also say the port, which was cut before.
            if *level == Level::Sni && request.http.is_none() && !part.meets_cuts(&context) {
                return None;
            }
            let (_, variants) = part.frame.space.variants(request.principal);
            let (mut bits, mut failed) = (Vec::new(), BTreeSet::new());
            for number in asked {
                let Some(clause) = part.frame.clause(*number) else {
                    continue;
                };
                if level.ask(clause, &context, &variants, &mut bits) == Said::Fails {
                    failed.insert(*number);
                }
            }
            if *level == Level::Sni {
                bits.push(request.finding.is_some());
            }
            Some((bits, failed))
        });
        let Some((bits, failed)) = said else {
            continue;
        };
        match classes.iter_mut().find(|class| class.bits == bits) {
            // A path that is known to be read so represents readings that need one.
            Some(_) if *level == Level::Path && matches!(witness, Witness::WithReadings(..)) => {}
            Some(class) => {
                class.add(&words);
                if matches!(class.witness, Witness::WithReadings(..)) {
                    class.witness = witness;
                }
            }
            None => classes.push(Class {
                bits,
                failed,
                witness,
                words,
            }),
        }
    }
    classes
}
