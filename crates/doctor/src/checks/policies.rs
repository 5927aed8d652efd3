//! The policies: is in force what the given directories hold, and which rules does nobody need.

use std::collections::BTreeMap;

use crate::diagnosis::Diagnosis;
use crate::evidence::Evidence;
use crate::finding::{Code, Finding};
use crate::replica;

/// The most rules that are named.
const NAMED: usize = 20;

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    in_force(evidence, diagnosis);
    unused(evidence, diagnosis);
}

fn in_force(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    const CHECK: &str = "the given policies are in force";
    let Some(policies) = &evidence.policies else {
        diagnosis.not_checked(CHECK, "give --policies DIR");
        return;
    };
    diagnosis.checked(CHECK, policies.place.clone());
    match &policies.revision {
        Err(why) => diagnosis.add(Finding::new(
            Code::SourceRefused,
            format!("policies in {}", policies.place),
            why.to_string(),
            "A replica with these files would not put them in force.",
            format!("Repair them:\ncustoms lint {}", policies.place),
        )),
        Ok(revision) => {
            let replicas: Vec<_> = evidence
                .replicas
                .iter()
                .map(|found| found.replica.clone())
                .collect();
            let values = replica::values(&replicas, replica::Property::Revision);
            let others = values.iter().filter(|(known, _)| *known != revision);
            for (known, replicas) in others {
                diagnosis.add(Finding::new(
                    Code::RevisionsDiffer,
                    "replicas",
                    format!("{} has {known}; {} would be {revision}", replicas.join(", "), policies.place),
                    "Not what the directory holds is in force. The revision also covers the settings \
                     that change verdicts, so other settings make another revision.",
                    format!(
                        "Wait for the rollout, or look why the files do not arrive:\ncustoms status \
                         --admin A,B,C --wait {revision}"
                    ),
                ));
            }
        }
    }
}

fn unused(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    const CHECK: &str = "every rule was hit by a request";
    let all: Vec<_> = evidence
        .replicas
        .iter()
        .filter_map(|found| found.rules.as_ref())
        .collect();
    if all.is_empty() || all.len() < evidence.replicas.len() {
        diagnosis.not_checked(
            CHECK,
            "give --admin with every replica, of a version with /rules",
        );
        return;
    }
    let mut hits: BTreeMap<&str, u64> = BTreeMap::new();
    for rule in all.iter().flat_map(|rules| &rules.rules) {
        if rule.kind != "isolation" {
            let sum = hits.entry(rule.rule.as_str()).or_default();
            *sum = sum.saturating_add(rule.hits);
        }
    }
    diagnosis.checked(CHECK, format!("{} rules", hits.len()));
    let unused: Vec<&str> = hits
        .iter()
        .filter(|(_, hits)| **hits == 0)
        .map(|(rule, _)| *rule)
        .collect();
    if unused.is_empty() {
        return;
    }
    let named: Vec<_> = unused.iter().take(NAMED).copied().collect();
    let more = match unused.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    diagnosis.add(Finding::new(
        Code::RulesUnused,
        "rules",
        format!("{} of {} rules were never hit: {}{more}", unused.len(), hits.len(), named.join(", ")),
        "No request needed them since they came into force in these processes. They may be misspelt, \
         or no longer needed.",
        "Look at each, and ask what it would decide:\ncustoms check --admin ADDR --from NS/SA --to URL",
    ));
}
