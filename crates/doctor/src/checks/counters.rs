//! The counters of Envoy's filters beside those of customs, and those of customs beside the audit
//! log.
//!
//! Counters begin at zero with their process. So totals agree only if neither side was restarted,
//! and only what was counted in between two readings can be held against each other.

use super::GIVE_ENVOY;
use crate::customs_metrics::CustomsMetrics;
use crate::diagnosis::Diagnosis;
use crate::envoy_stats::AuthorizationCounts;
use crate::evidence::{Evidence, ProxyEvidence, RecordCounts};
use crate::finding::{Code, Finding};

const CHECK: &str = "Envoy's counters agree with customs' decisions";

/// What customs counted.
#[derive(Clone, Copy, Debug, Default)]
struct Decided {
    allow: u64,
    deny: u64,
    gone: u64,
    withheld: u64,
}

impl Decided {
    fn of(metrics: &CustomsMetrics) -> Decided {
        let by_effect = metrics.decisions_by("effect");
        let of = |effect: &str| by_effect.get(effect).copied().unwrap_or_default();
        Decided {
            allow: of("allow"),
            deny: of("deny"),
            gone: metrics.sum("customs_callers_gone_total", &[]),
            withheld: metrics.sum("customs_answers_withheld_total", &[]),
        }
    }

    fn all(&self) -> u64 {
        self.allow.saturating_add(self.deny)
    }

    fn add(&mut self, other: Decided) {
        self.allow = self.allow.saturating_add(other.allow);
        self.deny = self.deny.saturating_add(other.deny);
        self.gone = self.gone.saturating_add(other.gone);
        self.withheld = self.withheld.saturating_add(other.withheld);
    }

    fn since(&self, before: Decided) -> Option<Decided> {
        Some(Decided {
            allow: self.allow.checked_sub(before.allow)?,
            deny: self.deny.checked_sub(before.deny)?,
            gone: self.gone.checked_sub(before.gone)?,
            withheld: self.withheld.checked_sub(before.withheld)?,
        })
    }
}

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let proxies: Vec<_> = evidence
        .proxies
        .iter()
        .filter(|proxy| proxy.stats.as_ref().is_some_and(|stats| stats.filters > 0))
        .collect();
    let mut asked = AuthorizationCounts::default();
    let mut is_watch = !proxies.is_empty();
    for proxy in &proxies {
        let Some(stats) = &proxy.stats else { continue };
        let total = stats.authorization;
        let since = proxy
            .stats_before
            .as_ref()
            .map(|before| total.since(&before.authorization));
        let (counts, restarted) = match since {
            None => {
                is_watch = false;
                (total, false)
            }
            Some(Some(since)) => (since, false),
            Some(None) => (total, true),
        };
        is_watch &= !restarted;
        failures(&proxy.described(), &counts, diagnosis);
        sum(&mut asked, &counts);
        for (what, number) in numbers(&counts) {
            diagnosis.count(&proxy.described(), what, number);
        }
    }
    if asked.error > 0 {
        explain_failures(evidence, &proxies, diagnosis);
    }
    let mut decided = Decided::default();
    let mut heard = !evidence.replicas.is_empty();
    for found in &evidence.replicas {
        let Some(metrics) = &found.metrics else {
            heard = false;
            continue;
        };
        let total = Decided::of(metrics);
        let since = found
            .metrics_before
            .as_ref()
            .map(|before| total.since(Decided::of(before)));
        let counts = match since {
            Some(Some(since)) if is_watch => since,
            Some(None) | None => {
                is_watch = false;
                total
            }
            Some(Some(_)) => total,
        };
        let by = format!("replica {}", found.replica.address);
        diagnosis.count(&by, "allow", counts.allow);
        diagnosis.count(&by, "deny", counts.deny);
        decided.add(counts);
    }
    if proxies.is_empty() {
        diagnosis.not_checked(
            CHECK,
            &format!("{GIVE_ENVOY}; for a file, a folder with `stats.txt`"),
        );
    } else if !heard {
        diagnosis.not_checked(CHECK, "give --admin with every replica");
    } else {
        diagnosis.checked(
            CHECK,
            match is_watch {
                true => "what was counted while it watched",
                false => "totals since the start of each process",
            },
        );
        if is_watch {
            compare(&asked, &decided, diagnosis);
        } else if asked.verdicts() != decided.all() && !counts_began_anew(&asked, &decided) {
            diagnosis.not_checked(
                "Envoy's totals agree with customs' totals",
                &format!(
                    "Envoy got {} verdicts and customs made {} decisions since each was started; \
                     give --watch 10s to compare what is counted in between",
                    asked.verdicts(),
                    decided.all()
                ),
            );
        }
    }
    records(evidence.records.as_ref(), &decided, heard, diagnosis);
}

/// Totals of processes that were started at other times say nothing.
fn counts_began_anew(asked: &AuthorizationCounts, decided: &Decided) -> bool {
    asked.verdicts() == 0 && decided.all() == 0
}

fn numbers(counts: &AuthorizationCounts) -> [(&'static str, u64); 5] {
    [
        ("ok", counts.ok),
        ("denied", counts.denied),
        ("error", counts.error),
        ("disabled", counts.disabled),
        ("failure_mode_allowed", counts.failure_mode_allowed),
    ]
}

fn sum(into: &mut AuthorizationCounts, counts: &AuthorizationCounts) {
    into.ok = into.ok.saturating_add(counts.ok);
    into.denied = into.denied.saturating_add(counts.denied);
    into.error = into.error.saturating_add(counts.error);
    into.disabled = into.disabled.saturating_add(counts.disabled);
    into.failure_mode_allowed = into
        .failure_mode_allowed
        .saturating_add(counts.failure_mode_allowed);
}

fn failures(subject: &str, counts: &AuthorizationCounts, diagnosis: &mut Diagnosis) {
    if counts.error > 0 {
        diagnosis.add(Finding::new(
            Code::ChecksFailed,
            subject,
            format!("ext_authz.error is {}", counts.error),
            "These checks got no verdict: customs could not be reached, was late, or refused them. \
             Without failOpen the requests were refused, and customs has no record of them.",
            "Look at customs' refusals, its overload and its readiness, and at the timeout:\ncustoms \
             status --admin A,B,C\ncurl -s http://ADMIN/metrics | grep customs_refusals_total",
        ));
    }
    if counts.failure_mode_allowed > 0 {
        diagnosis.add(Finding::new(
            Code::PassedUnchecked,
            subject,
            format!(
                "ext_authz.failure_mode_allowed is {}",
                counts.failure_mode_allowed
            ),
            "These requests left the mesh without a verdict, because a check failed and `failOpen` \
             is set.",
            "Find out why checks fail, and end the trial:\nfailOpen: false",
        ));
    }
    if counts.disabled > 0 {
        diagnosis.add(Finding::new(
            Code::NotAsked,
            subject,
            format!("ext_authz.disabled is {}", counts.disabled),
            "These requests passed the filter without a question, because no CUSTOM rule matched \
             them.",
            "Use one empty rule in the CUSTOM policy:\nrules:\n- {}",
        ));
    }
}

/// Adds what customs knows of checks that failed: what it refused, and what it decided too late.
fn explain_failures(evidence: &Evidence, proxies: &[&ProxyEvidence], diagnosis: &mut Diagnosis) {
    let mut known = Vec::new();
    for found in &evidence.replicas {
        let Some(counted) = found.counted() else {
            continue;
        };
        let address = &found.replica.address;
        let causes = counted.by("customs_refusals_total", "cause");
        let causes = causes.iter().filter(|(_, count)| **count > 0);
        let causes: Vec<_> = causes
            .map(|(cause, count)| format!("{cause} {count}"))
            .collect();
        if !causes.is_empty() {
            known.push(format!("replica {address} refused: {}", causes.join(", ")));
        }
        let gone = counted.sum("customs_callers_gone_total", &[]);
        if gone > 0 {
            known.push(format!(
                "replica {address} decided {gone} after the gateway had given up"
            ));
        }
    }
    if known.is_empty() && !evidence.replicas.is_empty() {
        known.push("the replicas know nothing of them: they did not arrive".to_owned());
    }
    let failed = proxies.iter().filter(|proxy| {
        let stats = proxy.stats.as_ref();
        stats.is_some_and(|stats| stats.authorization.error > 0)
    });
    let subjects: Vec<_> = failed.map(|proxy| proxy.described()).collect();
    for finding in &mut diagnosis.findings {
        if finding.code == Code::ChecksFailed && subjects.contains(&finding.subject) {
            finding.evidence.extend(known.iter().cloned());
        }
    }
}

/// Holds what both sides counted in the same time against each other.
fn compare(asked: &AuthorizationCounts, decided: &Decided, diagnosis: &mut Diagnosis) {
    let (got, made) = (asked.verdicts(), decided.all());
    // The readings are not taken at one moment, so a few checks are counted on one side only.
    let tolerated = got.max(made) / 50 + 2;
    let (subject, remedy) = (
        "verdicts",
        "Give every replica and every gateway, and watch again:\ncustoms doctor --admin A,B,C \
         --envoy URL --envoy URL --watch 30s",
    );
    if got > made.saturating_add(tolerated) {
        diagnosis.add(Finding::new(
            Code::CountsDiffer,
            subject,
            format!("the Envoys got {got} verdicts, and the replicas made {made} decisions"),
            "Some verdicts come from elsewhere: a replica that was not given with --admin, or \
             another authorizer that these filters ask.",
            remedy,
        ));
    } else if made > got.saturating_add(asked.error).saturating_add(tolerated) {
        diagnosis.add(Finding::new(
            Code::CountsDiffer,
            subject,
            format!(
                "the replicas made {made} decisions ({} for callers that had given up), and the \
                 Envoys got {got} verdicts and {} errors",
                decided.gone, asked.error
            ),
            "Others ask as well: a gateway that was not given with --envoy, or a client of another \
             kind.",
            remedy,
        ));
    }
    let withheld = decided.withheld.min(asked.denied);
    let denied = asked.denied.abs_diff(decided.deny.saturating_add(withheld));
    if got.abs_diff(made) <= tolerated && denied > tolerated.saturating_add(decided.withheld) {
        diagnosis.add(Finding::new(
            Code::CountsDiffer,
            "denials",
            format!(
                "the Envoys refused {}, and the replicas denied {}",
                asked.denied, decided.deny
            ),
            "As many answers were given as were taken, and they were other answers: something \
             between customs and the gateway changes them, or these Envoys ask other replicas.",
            remedy,
        ));
    }
}

/// Holds what customs decided against what is on record.
fn records(
    records: Option<&RecordCounts>,
    decided: &Decided,
    heard: bool,
    diagnosis: &mut Diagnosis,
) {
    const CHECK: &str = "every decision is on record";
    let Some(records) = records else {
        diagnosis.not_checked(CHECK, "give --audit FILE of every replica");
        return;
    };
    diagnosis.count("audit log", "decisions", records.decisions);
    if records.is_filtered {
        diagnosis.not_checked(
            CHECK,
            "the sinks have a filter; give files of a sink without one",
        );
        return;
    }
    if !heard {
        diagnosis.not_checked(CHECK, "give --admin with every replica");
        return;
    }
    diagnosis.checked(CHECK, records.files.join(", "));
    // With a watch, `decided` is only what was counted meanwhile, which the files have too.
    let on_record = records.decisions.saturating_add(records.dropped);
    let made = decided.all();
    if made > on_record.saturating_add(made / 50 + 2) {
        diagnosis.add(Finding::new(
            Code::RecordsMissing,
            "audit log",
            format!(
                "the replicas made {made} decisions since their start, and the files have \
                 {on_record} ({} of them as gaps)",
                records.dropped
            ),
            "Decisions are not in these files: older files were left out or deleted, a replica's \
             file is missing, or a sink loses records.",
            "Give the files of every replica, rotated ones too, and verify them:\ncustoms audit \
             verify FILE..",
        ));
    }
}
