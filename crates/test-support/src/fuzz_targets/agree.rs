//! The engine and the naive evaluator asked the same, which must give the same.

use customs_engine::decision::{Answer, Decision, Outcome};
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::reason::Reason;
use customs_engine::reference::{self, Said};
use customs_engine::request::Request;
use customs_engine::snapshot::Snapshot;

use crate::draw::NOW;

/// An answer, as far as two evaluators can be compared.
pub fn said(answer: &Answer) -> Said {
    Said {
        reason: answer.reason,
        rule: answer.rule.to_string(),
        gates: answer.gates,
    }
}

/// Decides, and checks the answer against the naive evaluator and its own reason.
pub fn decide(snapshot: &Snapshot, request: &Request<'_>) -> Decision {
    let decision = snapshot.decide(request, NOW);
    let (rules, settings) = (snapshot.rules(), snapshot.settings());
    assert_eq!(
        said(&decision.verdict),
        reference::verdict(rules, settings, request, NOW),
        "verdict"
    );
    assert_eq!(
        said(&decision.dry_run),
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
