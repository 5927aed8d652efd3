//! Prints what was suggested: how many grants of what, and what gets none.

use std::fmt::Write;

use serde_json::{Value, json};

use super::collect::Collected;
use super::yaml::{SuggestedFile, left_out_by_cause};
use crate::app::commands::counted;
use customs_analysis::least_privilege::{Plan, PlannedGrant};

/// Counts of a plan.
#[derive(Default)]
struct Totals {
    accounts: usize,
    grants: usize,
    one_offs: usize,
    with_methods: usize,
    with_paths: usize,
    beside_denials: usize,
}

impl Totals {
    fn of(plan: &Plan) -> Totals {
        let mut totals = Totals::default();
        for account in plan
            .namespaces
            .values()
            .flat_map(|plan| plan.accounts.values())
        {
            totals.accounts += 1;
            let count =
                |is: fn(&PlannedGrant) -> bool| account.grants.iter().filter(|g| is(g)).count();
            totals.grants += account.grants.len();
            totals.one_offs += count(|grant| grant.is_one_off);
            totals.with_methods += count(|grant| !grant.methods.is_empty());
            totals.with_paths += count(|grant| !grant.paths.is_empty());
            totals.beside_denials += count(|grant| grant.denied.is_some());
        }
        totals
    }
}

/// Returns the report as text.
pub(super) fn text(plan: &Plan, collected: &Collected<'_>, files: &[SuggestedFile]) -> String {
    let totals = Totals::of(plan);
    let mut out = format!(
        "{} crossed, {} denied",
        many(collected.crossed, "decision"),
        collected.denied
    );
    if let Some((first, last)) = collected.log.span {
        let _ = write!(out, ", from {first:.3} to {last:.3}");
    }
    let _ = writeln!(
        out,
        "\n{} for {} of {}, in {}",
        counted(totals.grants, "grant"),
        counted(totals.accounts, "account"),
        counted(plan.namespaces.len(), "namespace"),
        counted(files.len(), "file")
    );
    for (count, what) in [
        (totals.with_methods, "list methods"),
        (totals.with_paths, "list paths"),
        (totals.one_offs, "are one-offs"),
        (
            totals.beside_denials,
            "are for hosts to which other requests were denied, and may permit some of them",
        ),
        (
            plan.shared.len(),
            "DestinationSets hold hosts that accounts share",
        ),
        (plan.one_offs_left_out.len(), "one-offs get no grant"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "{count:>10}  {what}");
        }
    }
    for (cause, count) in left_out_by_cause(collected) {
        let _ = writeln!(
            out,
            "{count:>10}  crossings get no grant: {}",
            cause.in_words()
        );
    }
    for (count, what) in [
        (
            collected.crossings().overflow(),
            "records did not fit, and are missing in the policies",
        ),
        (
            collected.log.lost_decisions(),
            "decisions were lost by the log; what only those needed is missing",
        ),
        (
            collected.log.no_records + collected.log.torn,
            "lines skipped: not a record, or incomplete",
        ),
    ] {
        if count > 0 {
            let _ = writeln!(out, "{count:>10}  {what}");
        }
    }
    out
}

/// Returns the report as JSON.
pub(super) fn json(plan: &Plan, collected: &Collected<'_>, files: &[SuggestedFile]) -> Value {
    let totals = Totals::of(plan);
    let left_out: Vec<Value> = collected
        .crossings()
        .left_out()
        .iter()
        .map(|(row, uses)| {
            json!({
                "cause": row.cause.as_str(), "namespace": row.namespace, "caller": row.caller,
                "host": row.host, "count": uses.count,
            })
        })
        .collect();
    let one_offs: Vec<Value> = plan
        .one_offs_left_out
        .iter()
        .map(|(account, host, uses)| {
            json!({
                "namespace": account.namespace, "serviceAccount": account.account, "host": host,
                "count": uses.count,
            })
        })
        .collect();
    let files: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    json!({
        "version": 1,
        "crossed": collected.crossed,
        "denied": collected.denied,
        "span": collected.log.span.map(|(first, last)| json!({
            "first": first.to_string(), "last": last.to_string(),
        })),
        "files": files,
        "namespaces": plan.namespaces.len(),
        "accounts": totals.accounts,
        "grants": totals.grants,
        "oneOffs": totals.one_offs,
        "withMethods": totals.with_methods,
        "withPaths": totals.with_paths,
        "besideDenials": totals.beside_denials,
        "shared": plan.shared.len(),
        "oneOffsLeftOut": one_offs,
        "leftOut": left_out,
        "overflow": collected.crossings().overflow(),
        "lost": collected.log.lost_decisions(),
        "noRecords": collected.log.no_records + collected.log.torn,
    })
}

fn many(count: u64, what: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), what)
}
