//! `customs suggest --tighten`: which grants of a set are not needed for what was recorded.
//!
//! The rule: a grant is reported with its evidence, and nothing is rewritten. The report says what
//! weakens the evidence: few days, losses, decisions that cannot be decided again.

use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::grant_uses::{GrantUse, GrantUses, MAX_HOSTS, SeenHost};
use crate::app::cli::{SuggestArgs, SuggestFormat};
use crate::app::commands::recorded;
use crate::app::commands::replay::answer_cache::AnswerCache;
use crate::app::commands::replay::load_set;
use crate::app::commands::{
    BAD_SETTING, counted, print, print_error, print_json, refuse_settings, verdict,
};
use crate::app::policy_paths::directories;
use crate::app::settings::Resolved;
use customs_engine::host::Authority;
use customs_engine::operation::Operation;
use customs_engine::pattern::{HostPattern, Match, Port};
use customs_engine::rule::Rule;
use customs_engine::rule_info::RuleInfo;
use customs_engine::rules::Rules;
use customs_engine::time::UnixNanos;
use customs_policy::printable;
use customs_record::recorded_request::RecordedPolicies;

/// What is known of a grant.
struct GrantFinding {
    info: Arc<RuleInfo>,
    uses: GrantUse,
    is_expired: bool,
    /// The host patterns that no permitted request needs.
    unused_hosts: Vec<String>,
    /// The hosts that were permitted by patterns for several hosts; empty if there were too many.
    narrower: Vec<String>,
}

impl GrantFinding {
    fn is_unused(&self) -> bool {
        self.uses.occurrences.count == 0
    }

    fn is_needed(&self) -> bool {
        !self.is_unused()
            && !self.is_expired
            && self.unused_hosts.is_empty()
            && self.narrower.is_empty()
    }
}

/// Reads the records and prints the report.
pub(super) fn run(args: &SuggestArgs, settings: &Resolved) -> Result<ExitCode, ExitCode> {
    let directories =
        directories("--tighten", &args.tighten).map_err(|wrong| refuse_settings(&wrong.into()))?;
    let snapshot = load_set(&directories, settings)?;
    let answers = AnswerCache::new(RecordedPolicies::new(snapshot));
    let period = recorded::period(&args.time)?;
    let uses = || GrantUses::new(&answers, period);
    let (uses, is_read) = recorded::fold(&args.records, "deciding", uses)?;
    if uses.log.decisions == 0 {
        let why = uses.log.nothing_found(period);
        print_error(&format!("no decision to judge grants by: {why}"));
        return Err(ExitCode::from(BAD_SETTING));
    }
    let now = customs_record::clock::now();
    let findings = findings(answers.snapshot().rules(), &uses, now);
    match args.format {
        SuggestFormat::Human => print(&text(&findings, &uses, args.min_days)),
        SuggestFormat::Json => print_json(&document(&findings, &uses, args.min_days)),
    }
    Ok(match is_read {
        true => verdict(findings.iter().all(GrantFinding::is_needed)),
        false => ExitCode::from(BAD_SETTING),
    })
}

fn findings(rules: &Rules, uses: &GrantUses<'_>, now: UnixNanos) -> Vec<GrantFinding> {
    let grants = rules.grants.iter().chain(&rules.istio_allows);
    let grants = grants.map(|rule| finding(&rule.info, hosts(rule), uses, now));
    let exceptions = rules.denies.iter().flat_map(|deny| &deny.except);
    let exceptions = exceptions.map(|exception| {
        let hosts = exception.to.hosts.any_of().iter().collect();
        finding(&exception.info, hosts, uses, now)
    });
    grants.chain(exceptions).collect()
}

fn hosts(rule: &Rule) -> Vec<&HostPattern> {
    let hosts = |to: &'_ Operation| to.hosts.any_of().len();
    // A rule of an AuthorizationPolicy that leaves hosts out in one operation asks for none.
    if rule.to.iter().any(|to| hosts(to) == 0) {
        return Vec::new();
    }
    rule.to.iter().flat_map(|to| to.hosts.any_of()).collect()
}

fn finding(
    info: &Arc<RuleInfo>,
    patterns: Vec<&HostPattern>,
    uses: &GrantUses<'_>,
    now: UnixNanos,
) -> GrantFinding {
    let used = uses.uses.get(&info.id.to_string()).cloned();
    let used = used.unwrap_or_default();
    let is_needed = |pattern: &&HostPattern| used.hosts.keys().any(|seen| covers(pattern, seen));
    let knows_hosts = !used.has_more_hosts && used.occurrences.count > 0;
    let unused_hosts = patterns
        .iter()
        .filter(|pattern| knows_hosts && !is_needed(pattern))
        .map(ToString::to_string)
        .collect();
    let wide: Vec<&&HostPattern> = patterns.iter().filter(|p| is_wide(p)).collect();
    let exact: Vec<&&HostPattern> = patterns.iter().filter(|p| !is_wide(p)).collect();
    let narrower = used
        .hosts
        .keys()
        .filter(|seen| knows_hosts && wide.iter().any(|pattern| covers(pattern, seen)))
        .filter(|seen| !exact.iter().any(|pattern| covers(pattern, seen)))
        .map(spelt)
        .collect();
    GrantFinding {
        info: info.clone(),
        is_expired: info.is_expired(now),
        unused_hosts,
        narrower,
        uses: used,
    }
}

/// Returns whether a pattern is for several hosts.
fn is_wide(pattern: &HostPattern) -> bool {
    let text = pattern.to_string();
    pattern.is_anywhere() || pattern.is_network() || text.contains('*')
}

fn covers(pattern: &HostPattern, (host, port): &SeenHost) -> bool {
    let port = port.map_or(Port::Absent(None), Port::Known);
    let text = spelt(&(host.clone(), None));
    pattern.is_anywhere()
        || Authority::parse(&text)
            .is_ok_and(|read| pattern.matches(&read.host, port, Some(&text), Match::Broad))
}

fn spelt((host, port): &SeenHost) -> String {
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.clone(),
    };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// Returns what weakens the evidence.
fn caveats(uses: &GrantUses<'_>, min_days: u32) -> Vec<String> {
    let mut caveats = Vec::new();
    if let Some((first, last)) = uses.log.span {
        let hours = last.duration_since(first).as_hours();
        if hours < i64::from(min_days) * 24 {
            caveats.push(format!(
                "the decisions cover {} days, fewer than {min_days}; a grant that is needed less often looks unused",
                hours / 24
            ));
        }
    }
    for (count, what) in [
        (
            uses.log.lost_decisions(),
            "lost by the log; a grant that only those needed looks unused",
        ),
        (
            uses.unanswerable,
            "cannot be decided again; a grant that only those needed looks unused",
        ),
    ] {
        if count > 0 {
            caveats.push(format!("{} {what}", many(count, "decision")));
        }
    }
    caveats
}

fn text(findings: &[GrantFinding], uses: &GrantUses<'_>, min_days: u32) -> String {
    let mut out = many(uses.log.decisions, "decision");
    if let Some((first, last)) = uses.log.span {
        let _ = write!(out, " from {first:.3} to {last:.3}");
    }
    out.push('\n');
    for caveat in caveats(uses, min_days) {
        let _ = writeln!(out, "note: {caveat}");
    }
    for finding in findings.iter().filter(|finding| !finding.is_needed()) {
        let _ = writeln!(
            out,
            "\n{} ({})",
            printable::line(&finding.info.id.to_string()),
            printable::line(&finding.info.origin())
        );
        for line in lines(finding) {
            let _ = writeln!(out, "  {line}");
        }
    }
    let count = |is: fn(&GrantFinding) -> bool| findings.iter().filter(|f| is(f)).count();
    let _ = writeln!(
        out,
        "\n{}: {} never used, {} expired, {} wider than what crossed",
        counted(findings.len(), "grant"),
        count(GrantFinding::is_unused),
        count(|finding| finding.is_expired),
        count(|finding| !finding.narrower.is_empty() || !finding.unused_hosts.is_empty())
    );
    out
}

fn lines(finding: &GrantFinding) -> Vec<String> {
    let mut lines = Vec::new();
    let Occurrence { count, last } = Occurrence::of(finding);
    match (count, last) {
        (0, _) => lines.push("never used: remove it".to_owned()),
        (count, Some(last)) => {
            lines.push(format!("used {}, last on {last:.0}", times(count)));
        }
        (count, None) => lines.push(format!("used {}", times(count))),
    }
    if finding.is_expired {
        lines.push("expired: remove it, or renew it".to_owned());
    }
    if !finding.unused_hosts.is_empty() {
        lines.push(format!(
            "no request needs: {}",
            joined(&finding.unused_hosts)
        ));
    }
    if !finding.narrower.is_empty() {
        lines.push(format!(
            "wider than what crossed, which was: {}",
            joined(&finding.narrower)
        ));
    }
    lines
}

/// How often a grant was used, and when last.
struct Occurrence {
    count: u64,
    last: Option<Timestamp>,
}

impl Occurrence {
    fn of(finding: &GrantFinding) -> Occurrence {
        let occurrences = finding.uses.occurrences;
        Occurrence {
            count: occurrences.count,
            last: occurrences.span.map(|(_, last)| last),
        }
    }
}

fn document(findings: &[GrantFinding], uses: &GrantUses<'_>, min_days: u32) -> Value {
    let grants: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let Occurrence { count, last } = Occurrence::of(finding);
            json!({
                "rule": finding.info.id.to_string(),
                "origin": finding.info.origin(),
                "owner": finding.info.owner(),
                "count": count,
                "last": last.map(|last| last.to_string()),
                "isNeeded": finding.is_needed(),
                "isExpired": finding.is_expired,
                "unusedHosts": finding.unused_hosts,
                "narrowerHosts": finding.narrower,
                "hostsLeftOut": finding.uses.has_more_hosts,
            })
        })
        .collect();
    json!({
        "version": 1,
        "decisions": uses.log.decisions,
        "span": uses.log.span.map(|(first, last)| json!({
            "first": first.to_string(), "last": last.to_string(),
        })),
        "caveats": caveats(uses, min_days),
        "maxHosts": MAX_HOSTS,
        "grants": grants,
    })
}

fn joined(hosts: &[String]) -> String {
    let hosts: Vec<_> = hosts.iter().map(|host| printable::line(host)).collect();
    hosts.join(", ")
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn many(count: u64, what: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), what)
}
