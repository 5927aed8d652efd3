//! Answers questions on a running server with the policy set in force, and records them as
//! questions.
//!
//! Questions never delay a check. As for checks, an answer is given only if it can be recorded. A
//! question is not a decision and is not counted as one.

use std::sync::Arc;

use super::answer;
use super::can_reach;
use super::read;
use super::read_reach;
use super::who_can;
use crate::app::decision_log::AuditedDecisionLog;
use crate::ops::questions::{ExplainError, ExplainRequest, QuestionKind};
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
        if request.kind != QuestionKind::Explain {
            return self.answer_for_all(request, snapshot).await;
        }
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

impl ExplainServer {
    /// Answers for all callers or all destinations. That is what the policies are and no answer to
    /// a request, so it is logged with the client, and not recorded.
    async fn answer_for_all(
        self,
        request: ExplainRequest,
        snapshot: Arc<Snapshot>,
    ) -> Result<String, ExplainError> {
        let (path, by) = (request.kind.path(), asked_by(&request.by));
        // It asks many requests, on a thread that answers no checks.
        let answered = tokio::task::spawn_blocking(move || for_all(&request, &snapshot));
        let document = answered.await.map_err(|_| ExplainError::Failed)??;
        tracing::info!(path, by, "answered a question about the policies");
        self.log.metrics.observe_question();
        Ok(document)
    }
}

fn for_all(request: &ExplainRequest, snapshot: &Snapshot) -> Result<String, ExplainError> {
    let bad = |problems: Vec<Problem>| ExplainError::BadQuestion(lines(&problems));
    let now = clock::now();
    match request.kind {
        QuestionKind::CanReach => {
            let (callers, time) = read_reach::can_reach(&request.body).map_err(bad)?;
            document(&can_reach::ask(&callers, snapshot, time.unwrap_or(now)))
        }
        QuestionKind::WhoCan | QuestionKind::Explain => {
            let (query, wanted) = read_reach::who_can(&request.body).map_err(bad)?;
            document(&who_can::ask(&query, wanted, snapshot, now))
        }
    }
}

fn document(answer: &impl serde::Serialize) -> Result<String, ExplainError> {
    let text = serde_json::to_string_pretty(answer).map_err(|_| ExplainError::Failed)?;
    Ok(printable::json(
        &(text
            + "
"),
    )
    .into_owned())
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
    let document = document(&explanation)?;
    let entry = QuestionEntry {
        time,
        asked_by: asked_by(&request.by),
        now: query.now.unwrap_or(time),
        answer,
    };
    Ok((document, entry))
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
