//! Asks the engine and the naive evaluator the same question, and requires the same answer.

use customs_engine::decision::{Answer, Decision, Gates, Outcome};
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::reason::Reason;
use customs_engine::reference;
use customs_engine::request::Request;
use customs_engine::snapshot::Snapshot;

use crate::draw::NOW;

/// Returns what an answer says, without the places of the rules that it names.
pub(super) fn spelt(answer: &Answer) -> (Reason, String, Gates) {
    (answer.reason, answer.rule.to_string(), answer.gates)
}

/// Decides, and checks the answer against the naive evaluator and its own reason.
pub(super) fn decide(snapshot: &Snapshot, request: &Request<'_>) -> Decision {
    let decision = snapshot.decide(request, NOW);
    let (rules, settings) = (snapshot.rules(), snapshot.settings());
    assert_eq!(
        decision.verdict,
        reference::verdict(rules, settings, request, NOW),
        "verdict"
    );
    assert_eq!(
        decision.dry_run,
        reference::dry_run(rules, settings, request, NOW),
        "dry run"
    );
    let allows = matches!(
        decision.verdict.reason,
        Reason::AllowedByRule | Reason::DefaultAllow
    );
    assert_eq!(
        decision.verdict.effect() == Effect::Allow,
        allows,
        "{:?}",
        decision.verdict
    );
    let crosses = matches!(decision.outcome, Outcome::Allow(_));
    assert_eq!(
        crosses,
        allows || settings.enforcement == Enforcement::Report,
        "{decision:?}"
    );
    decision
}
