//! Prints the differences of `customs diff`: as text with equal changes grouped, or as complete
//! JSON.

mod github;

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::cases::Case;
use super::counted;
use crate::app::terminal::{Line, Tone};
use customs_analysis::diff::{Change, Diff, Group, Region, RuleChange, Shift, Shifted};
use customs_analysis::regions::SampleRequest;
use customs_engine::decision::Answer;
pub(super) use github::annotations;

/// The number of regions that the text shows of a group.
const TOLD: usize = 8;

/// The number of groups that it shows of one kind.
const GROUPS_TOLD: usize = 12;

/// The number of groups, with one region each, that it shows if the verdict is the same.
const ASIDES_TOLD: usize = 3;

/// The number of rules that it shows.
const RULES_TOLD: usize = 40;

/// The number of callers that it shows of a region.
const CALLERS_TOLD: usize = 4;

/// The number of regions that it shows of those that are left.
const LEFT_TOLD: usize = 12;

/// Everything that differs.
pub(super) struct Report {
    /// The rules and the regions that differ.
    pub diff: Diff,
    /// The differences found with the test cases.
    pub cases: Cases,
    /// The mesh's own trust domain, which is left out of callers.
    pub own: String,
}

/// The test cases of both sets.
pub(super) struct Cases {
    /// The number of cases.
    pub asked: usize,
    /// The cases that differ.
    pub changes: Vec<CaseChange>,
}

/// A case with different answers, or that passes for only one of the sets.
pub(super) struct CaseChange {
    /// The case.
    pub case: Case,
    /// How its answers differ; `None` if they do not differ in anything that is compared.
    pub answers: Option<Shifted>,
    /// Whether it passes for the old set, and for the new one.
    pub holds: (bool, bool),
}

impl Report {
    /// Returns whether some verdict differs.
    pub(super) fn changes_verdicts(&self) -> bool {
        let case = |case: &CaseChange| {
            case.answers
                .as_ref()
                .is_some_and(|answers| answers.shift.is_verdict())
        };
        self.diff.changes_verdicts() || self.cases.changes.iter().any(case)
    }

    /// Returns whether a verdict may differ of which nothing is said.
    pub(super) fn is_proved(&self) -> bool {
        self.diff.is_proved()
    }
}

/// Returns all differences as text.
pub(super) fn paper(report: &Report) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut section = |tone: Tone, title: String, body: Vec<Line>| {
        if !body.is_empty() {
            let title = Line::default().then(tone, title);
            lines.extend([title].into_iter().chain(body).chain([Line::default()]));
        }
    };
    section(
        Tone::Strong,
        format!("rules ({})", report.diff.rules.len()),
        rules(&report.diff.rules),
    );
    for shift in Shift::ALL {
        let mut groups = of(shift, report);
        groups.sort_by_key(|group| Reverse(group.count()));
        section(
            tone(shift),
            format!("{} ({})", title(shift), regions(&groups)),
            shifted(shift, &groups, &report.own),
        );
    }
    section(
        Tone::Mark,
        format!("not compared ({})", report.diff.left.len()),
        left(report),
    );
    let cases = &report.cases.changes;
    section(
        Tone::Strong,
        format!("cases ({})", cases.len()),
        cases.iter().flat_map(case).collect(),
    );
    lines.push(Line::default().then(Tone::Strong, summary(report)));
    lines
}

fn of(shift: Shift, report: &Report) -> Vec<&Group> {
    report
        .diff
        .groups
        .iter()
        .filter(|group| group.answers.shift == shift)
        .collect()
}

fn regions(groups: &[&Group]) -> usize {
    groups.iter().map(|group| group.count()).sum()
}

/// Returns the first regions of which nothing is known.
fn left(report: &Report) -> Vec<Line> {
    let left = &report.diff.left;
    let line =
        |left: &customs_analysis::diff::Left| Line::of(format!("  {}", left.words)).hanging(4);
    let more = left.len().saturating_sub(LEFT_TOLD);
    let more =
        (more > 0).then(|| Line::of(format!("  and {more} more; `--format json` prints all")));
    left.iter().take(LEFT_TOLD).map(line).chain(more).collect()
}

/// Returns the largest groups of one kind.
fn shifted(shift: Shift, groups: &[&Group], own: &str) -> Vec<Line> {
    let most = if shift.is_verdict() {
        GROUPS_TOLD
    } else {
        ASIDES_TOLD
    };
    let shown = groups
        .iter()
        .take(most)
        .flat_map(|group| group_lines(group, own));
    let rest = groups.get(most..).unwrap_or_default();
    let more = || {
        let count = counted(regions(rest), "region");
        Line::of(format!(
            "  and {count} in {} more like these; `--format json` prints all",
            counted(rest.len(), "group")
        ))
        .hanging(4)
    };
    shown.chain((!rest.is_empty()).then(more)).collect()
}

fn rules(changes: &[RuleChange]) -> Vec<Line> {
    let more = || {
        Line::of(format!(
            "  and {} more; `--format json` prints all",
            changes.len() - RULES_TOLD
        ))
    };
    changes
        .iter()
        .take(RULES_TOLD)
        .map(rule)
        .chain((changes.len() > RULES_TOLD).then(more))
        .collect()
}

fn tone(shift: Shift) -> Tone {
    match shift {
        Shift::Allowed => Tone::Good,
        Shift::Denied => Tone::Bad,
        Shift::DryRun => Tone::Mark,
        Shift::Reason => Tone::Strong,
    }
}

fn title(shift: Shift) -> &'static str {
    match shift {
        Shift::Allowed => "newly allowed",
        Shift::Denied => "newly denied",
        Shift::DryRun => "same verdict, different dry run",
        Shift::Reason => "same verdict, different reason or rule",
    }
}

fn rule(change: &RuleChange) -> Line {
    let (what, parts) = match &change.change {
        Change::Added => ("added", String::new()),
        Change::Removed => ("removed", String::new()),
        Change::Changed(parts) => ("changed", format!(": {}", parts.join(", "))),
    };
    Line::of(format!("  {what:<8} {}", change.id))
        .then(Tone::Quiet, format!(" ({})", change.origin))
        .then(Tone::Plain, parts)
        .hanging(11)
}

/// Returns the old and the new answer of a group, and its first regions, each with a request.
fn group_lines(group: &Group, own: &str) -> Vec<Line> {
    let shown = if group.answers.shift.is_verdict() {
        TOLD
    } else {
        1
    };
    let mut lines = was_and_is(&group.answers, "  ");
    let first = group.regions.iter().take(shown);
    lines.extend(first.flat_map(|region| region_lines(region, own)));
    let rest = group.count().saturating_sub(shown);
    if rest > 0 {
        let count = counted(rest, "region");
        lines.push(Line::of(format!("    and {count} more like this")));
    }
    lines
}

/// Returns a region, and one of its requests as `customs check` would be asked.
fn region_lines(region: &Region, own: &str) -> [Line; 2] {
    let mut callers: Vec<&str> = region.callers.iter().map(String::as_str).collect();
    let more = callers.len().saturating_sub(CALLERS_TOLD) + region.more_callers;
    callers.truncate(CALLERS_TOLD);
    let callers = callers.join(", ");
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let Region {
        destination,
        witness,
        ..
    } = region;
    [
        Line::of(format!("    {callers}{more} -> {destination}")).hanging(6),
        Line::of("      ")
            .then(Tone::Quiet, format!("{} -> {witness}", witness.caller(own)))
            .hanging(8),
    ]
}

fn was_and_is(answers: &Shifted, indent: &str) -> Vec<Line> {
    [("was ", &answers.old), ("is  ", &answers.new)]
        .into_iter()
        .map(|(word, given)| answer(format!("{indent}{word}"), given))
        .collect()
}

fn answer(label: String, answer: &Answer) -> Line {
    let hang = label.len();
    let effect = answer.effect().as_str();
    let origin = answer
        .rule
        .info()
        .map(|info| format!(" ({})", info.origin()))
        .unwrap_or_default();
    Line::of(label)
        .then(Tone::of_effect(effect), effect)
        .then(
            Tone::Plain,
            format!(": {} by {}", answer.reason.as_str(), answer.rule),
        )
        .then(Tone::Quiet, origin)
        .hanging(hang)
}

fn case(change: &CaseChange) -> Vec<Line> {
    let held = match change.holds {
        (true, false) => "; it held for OLD and fails for NEW",
        (false, true) => "; it failed for OLD and holds for NEW",
        (true, true) => "",
        (false, false) => "; it fails for both",
    };
    let place = change.case.place.file_and_line();
    let mut lines = vec![
        Line::of(format!("  `{}`", change.case.name))
            .then(Tone::Quiet, format!(" ({place})"))
            .then(Tone::Plain, held)
            .hanging(4),
    ];
    if let Some(answers) = &change.answers {
        lines.extend(was_and_is(answers, "    "));
    }
    lines
}

fn summary(report: &Report) -> String {
    let count = |shift| regions(&of(shift, report));
    let (allowed, denied) = (count(Shift::Allowed), count(Shift::Denied));
    let found = match (allowed, denied, count(Shift::DryRun)) {
        (0, 0, 0) => "equivalent".to_owned(),
        (0, 0, _) => "equivalent but for the dry run".to_owned(),
        _ => {
            let (allowed, denied) = (counted(allowed, "region"), counted(denied, "region"));
            format!("{allowed} newly allowed, {denied} newly denied, and no other")
        }
    };
    let proved = match report.diff.left.len() {
        0 => "proved".to_owned(),
        left => format!("not proved, {} not compared", counted(left, "region")),
    };
    let asked = counted(report.diff.asked, "request");
    let cases = counted(report.cases.asked, "case");
    format!("{found}: {proved}; asked {asked} and {cases}")
}

/// Returns all differences as one JSON object.
pub(super) fn document(report: &Report) -> Value {
    let rules: Vec<Value> = report.diff.rules.iter().map(rule_document).collect();
    let groups: Vec<Value> = report
        .diff
        .groups
        .iter()
        .map(|group| group_document(group, &report.own))
        .collect();
    let cases: Vec<Value> = report.cases.changes.iter().map(case_document).collect();
    let left = report.diff.left.iter().map(|left| {
        let near = left.sample.as_ref();
        json!({
            "region": left.words,
            "near": near.map(|sample| request_document(sample, &report.own)),
        })
    });
    let left: Vec<Value> = left.collect();
    json!({
        "version": 1,
        "rules": rules,
        "changes": groups,
        "cases": cases,
        "asked": { "requests": report.diff.asked, "cases": report.cases.asked },
        "proved": report.is_proved(),
        "left": left,
    })
}

/// Returns a request as `customs check` would be asked.
fn request_document(sample: &SampleRequest, own: &str) -> Value {
    json!({ "from": sample.caller(own), "to": sample.to_string() })
}

fn rule_document(change: &RuleChange) -> Value {
    let (what, parts) = match &change.change {
        Change::Added => ("added", &[][..]),
        Change::Removed => ("removed", &[][..]),
        Change::Changed(parts) => ("changed", parts.as_slice()),
    };
    json!({ "id": change.id.to_string(), "change": what, "parts": parts, "origin": change.origin })
}

fn group_document(group: &Group, own: &str) -> Value {
    let region = |region: &Region| {
        json!({
            "callers": region.callers,
            "moreCallers": region.more_callers,
            "destination": region.destination,
            "witness": request_document(&region.witness, own),
        })
    };
    let regions: Vec<Value> = group.regions.iter().map(region).collect();
    json!({
        "shift": name(group.answers.shift),
        "old": answer_document(&group.answers.old),
        "new": answer_document(&group.answers.new),
        "regions": regions,
        "moreRegions": group.more,
    })
}

fn name(shift: Shift) -> &'static str {
    match shift {
        Shift::Allowed => "allowed",
        Shift::Denied => "denied",
        Shift::DryRun => "dry-run",
        Shift::Reason => "reason",
    }
}

fn answer_document(answer: &Answer) -> Value {
    json!({
        "effect": answer.effect().as_str(),
        "reason": answer.reason.as_str(),
        "rule": answer.rule.to_string(),
        "origin": answer.rule.info().map(|info| info.origin()),
    })
}

fn case_document(change: &CaseChange) -> Value {
    let answers = change.answers.as_ref();
    json!({
        "name": change.case.name,
        "file": change.case.place.file,
        "line": change.case.place.line,
        "shift": answers.map(|answers| name(answers.shift)),
        "old": answers.map(|answers| answer_document(&answers.old)),
        "new": answers.map(|answers| answer_document(&answers.new)),
        "held": change.holds.0,
        "holds": change.holds.1,
    })
}
