//! Answers questions on a running server with the policy set in force, and records them as
//! questions.
//!
//! Questions never delay a check. As for checks, an answer is given only if it can be recorded. A
//! question is not a decision and is not counted as one.

use super::answer;
use super::read;
use crate::app::decision_log::AuditedDecisionLog;
use crate::ops::questions::{ExplainError, ExplainRequest};
use customs_engine::snapshot::Snapshot;
use customs_net::ConnectionPeer;
use customs_policy::printable;
use customs_policy::problem::Problem;
use customs_policy::store::Reader;
use customs_record::clock;
use customs_record::{DecisionRecord, Entry, Occasion, QuestionEntry};

/// Answers questions.
#[derive(Clone, Debug)]
pub(crate) struct ExplainServer {
    /// The policy set in force.
    pub reader: Reader,
    /// Where questions are recorded and counted.
    pub log: AuditedDecisionLog,
}

impl ExplainServer {
    /// Returns the answer as a JSON document.
    ///
    /// # Errors
    /// Returns why there is no answer.
    pub(crate) async fn answer(self, request: ExplainRequest) -> Result<String, ExplainError> {
        let snapshot = self.reader.shared();
        // An explanation evaluates every rule, so it must not block the tasks that answer checks.
        let answered = tokio::task::spawn_blocking(move || answer(&request, &snapshot));
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

fn answer(
    request: &ExplainRequest,
    snapshot: &Snapshot,
) -> Result<(String, QuestionEntry), ExplainError> {
    let (query, notes) = read::posted(&request.body)
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
                peer_identity: "",
                trace_context: None,
            };
            let entry = DecisionRecord::of(attributes, request, decision, snapshot, occasion);
            (explanation.noting(&notes), entry)
        },
    );
    let document = serde_json::to_string_pretty(&explanation).map_err(|_| ExplainError::Failed)?;
    let entry = QuestionEntry {
        time,
        asked_by: asked_by(&request.by),
        now: query.now.unwrap_or(time),
        answer,
    };
    Ok((printable::json(&(document + "\n")).into_owned(), entry))
}

/// Returns a client as a record of its question names it.
fn asked_by(client: &ConnectionPeer) -> String {
    match client {
        ConnectionPeer::Tcp(address) => address.to_string(),
        ConnectionPeer::Unix(_) => client.proven_user().unwrap_or_else(|| client.to_string()),
    }
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| printable::line(&problem.to_string()).into_owned() + "\n")
        .collect()
}
