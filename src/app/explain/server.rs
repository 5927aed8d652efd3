//! Questions to a running server: decided on what is in force, and on record as questions.
//!
//! They are never on the way of a check. An answer is given only once it is going to be on record, as for checks; a
//! question is no decision, so it is in no number of decisions.

use super::answer;
use super::read;
use crate::app::decision_log::AuditedDecisionLog;
use crate::ops::questions::{Asked, ExplainError};
use customs_engine::snapshot::Snapshot;
use customs_policy::printable;
use customs_policy::problem::Problem;
use customs_policy::store::Reader;
use customs_record::clock;
use customs_record::{DecisionRecord, Entry, Occasion, QuestionEntry};

/// What answers questions.
#[derive(Clone, Debug)]
pub struct ExplainServer {
    /// What is in force.
    pub reader: Reader,
    /// Where questions are recorded and counted.
    pub log: AuditedDecisionLog,
}

impl ExplainServer {
    /// Answers with a JSON document.
    ///
    /// # Errors
    /// Why it is not answered.
    pub async fn answer(self, asked: Asked) -> Result<String, ExplainError> {
        let snapshot = self.reader.shared();
        // Explaining looks at every rule, so it must not hold up the tasks that answer checks.
        let answered = tokio::task::spawn_blocking(move || answer(&asked, &snapshot));
        let (document, entry) = answered.await.map_err(|_| ExplainError::Failed)??;
        if !self
            .log
            .recorder
            .record_first(Entry::Question(entry.into()))
            .await
        {
            return Err(ExplainError::NotRecorded);
        }
        self.log.metrics.observe_question();
        Ok(document)
    }
}

fn answer(asked: &Asked, snapshot: &Snapshot) -> Result<(String, QuestionEntry), ExplainError> {
    let (query, notes) = read::posted(&asked.body)
        .map_err(|problems| ExplainError::BadQuestion(lines(&problems)))?;
    let time = clock::now();
    let (explanation, answer) = answer::ask(
        &query,
        snapshot,
        time,
        |attributes, request, decision, explanation| {
            let occasion = Occasion {
                time,
                duration_micros: 0,
                decision_id: "",
                decision_number: 0,
                recorded_headers: &[],
            };
            let entry = DecisionRecord::of(attributes, request, decision, snapshot, occasion);
            (explanation.noting(&notes), entry)
        },
    );
    let document = serde_json::to_string_pretty(&explanation).map_err(|_| ExplainError::Failed)?;
    let entry = QuestionEntry {
        time,
        asked_by: asked.by.to_string(),
        now: query.now.unwrap_or(time),
        answer,
    };
    Ok((printable::json(&(document + "\n")).into_owned(), entry))
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| printable::line(&problem.to_string()).into_owned() + "\n")
        .collect()
}
