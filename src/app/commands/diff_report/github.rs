//! The differences as annotations for GitHub: one for each group of regions, at the rule that
//! decides them now or decided them before, and one for each case.

use super::{CaseChange, Report, counted, of, summary};
use crate::app::commands::finding::Finding;
use crate::app::commands::render;
use crate::app::commands::source_map::SourceMap;
use crate::app::terminal::Terminal;
use customs_analysis::diff::{Group, Shift};
use customs_engine::decision::Answer;
use customs_policy::printable;
use customs_policy::problem::{Place, Severity};

/// The number of annotations of one kind. GitHub shows ten of a step.
const SHOWN: usize = 10;

/// Returns the annotations, and the summary as the last line.
pub(in crate::app::commands) fn annotations(report: &Report, source_map: &SourceMap) -> String {
    let shifts = [Shift::Allowed, Shift::Denied, Shift::DryRun];
    let groups = shifts.into_iter().flat_map(|shift| {
        let groups = of(shift, report).into_iter().take(SHOWN);
        groups.map(move |group| of_group(shift, group, &report.own))
    });
    let cases = report.cases.changes.iter().take(SHOWN).map(of_case);
    let lines = groups
        .chain(cases)
        .map(|finding| render::github(&finding, source_map));
    let mut out: String = lines.collect();
    out.push_str(&format!("{}\n", printable::line(&summary(report))));
    out
}

/// Returns an answer on one line.
fn answer(answer: &Answer) -> String {
    let line = super::answer(String::new(), answer);
    Terminal::NONE.render(&[line]).trim_end().to_owned()
}

fn of_group(shift: Shift, group: &Group, own: &str) -> Finding {
    let (code, severity) = match shift {
        Shift::Allowed => ("newly-allowed", Severity::Warning),
        Shift::Denied => ("newly-denied", Severity::Warning),
        Shift::DryRun | Shift::Reason => ("dry-run-differs", Severity::Note),
    };
    let what = code.replace('-', " ");
    let count = counted(group.count(), "region");
    let first = group.regions.first();
    let text = match first {
        Some(region) => {
            let callers: Vec<&str> = region.callers.iter().map(String::as_str).collect();
            let callers = callers.join(", ");
            format!("{count} {what}: {callers} -> {}", region.destination)
        }
        None => format!("{count} {what}"),
    };
    let witness = first.map(|region| {
        let caller = region.witness.caller(own);
        format!("for example {caller} -> {}", region.witness)
    });
    let answers = [&group.answers.new, &group.answers.old];
    let places = answers
        .into_iter()
        .filter_map(|answer| answer.rule.info())
        .map(|info| info.place.clone());
    Finding {
        severity,
        code,
        place: places
            .into_iter()
            .next()
            .unwrap_or_else(|| Place::whole("")),
        text,
        note: Some(format!(
            "was {}, is {}",
            answer(&group.answers.old),
            answer(&group.answers.new)
        )),
        help: witness,
    }
}

fn of_case(change: &CaseChange) -> Finding {
    let held = match change.holds {
        (true, false) => "held for OLD and fails for NEW",
        (false, true) => "failed for OLD and holds for NEW",
        (true, true) => "has other answers",
        (false, false) => "fails for both",
    };
    let answers = change.answers.as_ref();
    Finding {
        severity: Severity::Warning,
        code: "case-differs",
        place: change.case.place.clone(),
        text: format!("the case `{}` {held}", change.case.name),
        note: answers
            .map(|answers| format!("was {}, is {}", answer(&answers.old), answer(&answers.new))),
        help: None,
    }
}
