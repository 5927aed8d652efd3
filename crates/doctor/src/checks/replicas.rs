//! The replicas of customs: do they answer, are they ready, and do they agree.

use crate::customs_status::CustomsStatus;
use crate::diagnosis::Diagnosis;
use crate::evidence::Evidence;
use crate::finding::{Code, Finding};
use crate::replica::{self, Property, Replica, ReplicaError, Values};

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let replicas: Vec<Replica> = evidence
        .replicas
        .iter()
        .map(|found| found.replica.clone())
        .collect();
    if replicas.is_empty() {
        diagnosis.not_checked("replicas of customs", "give --admin ADDR[,ADDR..]");
        return;
    }
    for replica in &replicas {
        diagnosis.checked(
            "replicas answer, are ready, read their policies and record",
            &replica.address,
        );
        match &replica.status {
            Ok(status) => state(&replica.address, status, diagnosis),
            Err(why) => diagnosis.add(unheard(&replica.address, why)),
        }
    }
    match replicas.len() {
        1 => diagnosis.not_checked(
            "replicas agree in revision, enforcement and version",
            "give --admin with every replica, or with the name of a headless Service",
        ),
        count => diagnosis.checked(
            "replicas agree in revision, enforcement and version",
            format!("{count} replicas"),
        ),
    }
    for (property, values) in replica::differences(&replicas) {
        diagnosis.add(difference(property, &values));
    }
}

fn unheard(address: &str, why: &ReplicaError) -> Finding {
    let subject = format!("replica {address}");
    match why {
        ReplicaError::Unreachable(why) => Finding::new(
            Code::ReplicaUnreachable,
            subject,
            why.clone(),
            "Nobody knows what this replica answers. If the gateways cannot reach it either, their \
             checks fail.",
            format!(
                "Look whether it runs and is reachable:\nkubectl -n customs-system get pods -o \
                 wide\ncustoms status --admin {address}"
            ),
        ),
        ReplicaError::NotCustoms(why) => Finding::new(
            Code::NotCustoms,
            subject,
            why.clone(),
            "The address is not that of a replica of customs, so a replica may be missing in this \
             examination.",
            "Give with --admin the address of customs' setting `admin`, port 9192 by default, and \
             Envoys with --envoy.",
        ),
    }
}

fn state(address: &str, status: &CustomsStatus, diagnosis: &mut Diagnosis) {
    let subject = format!("replica {address}");
    if !status.ready {
        let seen = match status.draining {
            true => "it is shutting down",
            false => "its /status says `\"ready\": false`",
        };
        diagnosis.add(Finding::new(
            Code::ReplicaNotReady,
            subject.clone(),
            seen,
            "A replica that is not ready denies every check, or is left out by the gateways.",
            format!("Ask it why:\ncurl -s http://{address}/readyz"),
        ));
    }
    for source in status.sources.iter().filter(|source| !source.is_good()) {
        let problems = source.problems.iter().filter(|p| p.severity != "note");
        let first = problems.map(|problem| format!(": {}: {}", problem.place, problem.text));
        diagnosis.add(Finding::new(
            Code::SourceRefused,
            subject.clone(),
            format!(
                "source `{}` is {}{}",
                source.name,
                source.state,
                first.take(1).collect::<String>()
            ),
            "The files of this source are not in force as they are now. Its last good content is, \
             if there ever was one.",
            format!(
                "Repair the files, and check them first:\ncustoms lint {}",
                source.name
            ),
        ));
    }
    for sink in status.audit.iter().filter(|sink| !sink.healthy) {
        let why = sink.problem.as_deref().unwrap_or("it accepts no records");
        diagnosis.add(Finding::new(
            Code::AuditUnhealthy,
            subject.clone(),
            format!("audit sink `{}`: {why}", sink.sink),
            match sink.withholding {
                true => "Decisions cannot be recorded there, so every check is denied.",
                false => "Records are lost there, or wait for the sink.",
            },
            "Free the disk, or start the collector; docs/how-to/keep-the-audit-log-running.md says \
             what each sink does meanwhile.",
        ));
    }
    if status.enforcement != "enforce" {
        diagnosis.add(Finding::new(
            Code::NotEnforced,
            "enforcement",
            format!("{subject} has `enforcement: {}`", status.enforcement),
            "Every request is allowed; denials are only recorded. That is right for a trial.",
            "To enforce, set `enforcement: enforce` in the settings, or leave it out.",
        ));
    }
}

fn difference(property: Property, values: &Values<'_>) -> Finding {
    let groups = values
        .iter()
        .map(|(value, replicas)| format!("{value}: {}", replicas.join(", ")));
    let evidence: Vec<String> = groups.collect();
    let (code, meaning, remedy) = match property {
        Property::Revision => (
            Code::RevisionsDiffer,
            "The same request may get different answers, depending on the replica that is asked.",
            "If a rollout is under way, wait for its end; otherwise look why one of them does not \
             get the files:\ncustoms status --admin A,B,C --wait \"$(customs revision DIR)\"",
        ),
        Property::Enforcement | Property::RequestValidation | Property::Default => (
            Code::ModesDiffer,
            "One replica denies what another lets pass.",
            "Give every replica the same settings, from one ConfigMap, and restart those that \
             differ:\nkubectl -n customs-system rollout restart deploy/customs",
        ),
        Property::Version => (
            Code::VersionsDiffer,
            "Versions may decide differently. During an upgrade that is expected for a short time.",
            "Finish the rollout:\nkubectl -n customs-system rollout status deploy/customs",
        ),
    };
    let subject = match property {
        Property::Revision | Property::Version => "replicas".to_owned(),
        property => format!("replicas ({})", property.as_str()),
    };
    Finding {
        code,
        subject,
        evidence,
        meaning: meaning.to_owned(),
        remedy: remedy.to_owned(),
        consequences: Vec::new(),
    }
}
