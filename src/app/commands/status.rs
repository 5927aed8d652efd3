//! `customs status`: what the replicas have in force, whether they agree, and a wait until all of
//! them are ready with one revision.
//!
//! It changes nothing. The exit code is made for scripts: 0 if every replica answers, is ready and
//! agrees with the others (with `--wait`, and has the revision), 1 if not, 2 for an invalid flag.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::{BAD_SETTING, block_on, print_error, print_json, print_lines, verdict};
use crate::app::cli::{StatusArgs, StatusFormat};
use crate::app::replicas;
use crate::app::terminal::{Line, Tone};
use customs_doctor::customs_status::CustomsStatus;
use customs_doctor::replica::{self, Property, Replica};
use customs_policy::printable;

/// How often replicas are asked while one is waited for.
const INTERVAL: Duration = Duration::from_millis(500);

/// Asks the replicas and prints what they answer.
pub(super) fn run(args: StatusArgs) -> ExitCode {
    let StatusArgs {
        admin,
        wait,
        timeout,
        format,
        tls,
    } = args;
    let asked = block_on(async {
        let addresses = replicas::open(&admin, &tls).await?;
        Ok::<_, crate::app::server_connection::ServerAddressError>(match &wait {
            Some(revision) => until(addresses, revision, timeout).await,
            None => states(replicas::ask(addresses).await).1,
        })
    });
    let states = match asked {
        Err(code) => return code,
        Ok(Ok(states)) => states,
        Ok(Err(why)) => {
            print_error(&why.to_string());
            return ExitCode::from(BAD_SETTING);
        }
    };
    let (report, now) = (
        StatusTable::new(&states, wait.as_deref(), timeout),
        Timestamp::now(),
    );
    match format {
        StatusFormat::Human => print_lines(&report.lines(now)),
        StatusFormat::Json => print_json(&report.document(now)),
    }
    verdict(report.is_good)
}

type Asked = (Vec<replicas::ReplicaAddress>, Vec<Replica>);

fn states(asked: Vec<(replicas::ReplicaAddress, Replica)>) -> Asked {
    asked.into_iter().unzip()
}

/// Asks again and again until every replica is ready with the revision, or the time is over; returns
/// the last answers. A replica that is not up yet is waited for like any other.
async fn until(
    mut addresses: Vec<replicas::ReplicaAddress>,
    revision: &str,
    wait: Duration,
) -> Vec<Replica> {
    let end = Instant::now() + wait;
    loop {
        let (again, answers) = states(replicas::ask(addresses).await);
        if replica::are_ready_on(&answers, revision) || Instant::now() >= end {
            return answers;
        }
        addresses = again;
        let _ = timeout_at(end, sleep(INTERVAL)).await;
    }
}

/// The replicas beside one another.
struct StatusTable<'r> {
    replicas: &'r [Replica],
    /// Whether they are as they should be.
    is_good: bool,
    /// The sentences below the table.
    summary: Vec<String>,
}

impl<'r> StatusTable<'r> {
    fn new(replicas: &'r [Replica], wait: Option<&str>, timeout: Duration) -> StatusTable<'r> {
        let mut summary = Vec::new();
        for replica in replicas {
            match &replica.status {
                Err(why) => summary.push(format!("{}: {why}", replica.address)),
                Ok(status) => summary.extend(troubles(&replica.address, status)),
            }
        }
        for (property, values) in replica::differences(replicas) {
            let groups = values.iter().map(|(value, replicas)| {
                let value = match property {
                    Property::Revision => short(value),
                    _ => value,
                };
                format!("{value} ({})", replicas.join(", "))
            });
            let groups: Vec<_> = groups.collect();
            summary.push(format!(
                "the replicas differ in {}: {}",
                property.as_str(),
                groups.join(", ")
            ));
        }
        let is_on = wait.is_none_or(|revision| replica::are_ready_on(replicas, revision));
        let is_good = replica::are_ready_and_agree(replicas) && is_on;
        let count = super::counted(replicas.len(), "replica");
        match (is_good, wait) {
            (true, _) => summary.push(format!("{count}, ready and in agreement")),
            (false, Some(revision)) if !is_on => summary.push(format!(
                "not every replica is ready with revision {} after {} s",
                short(revision),
                timeout.as_secs_f64()
            )),
            (false, _) => {}
        }
        StatusTable {
            replicas,
            is_good,
            summary,
        }
    }

    fn lines(&self, now: Timestamp) -> Vec<Line> {
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(self.replicas.iter().map(|replica| row(replica, now)));
        let mut widths = [0; HEAD.len()];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let row = |(number, row): (usize, &[String; HEAD.len()])| {
            let cells = row.iter().zip(widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            let tone = if number == 0 {
                Tone::Strong
            } else {
                Tone::Plain
            };
            Line::default()
                .then(tone, cells.join("  ").trim_end())
                .whole()
        };
        let mut lines: Vec<Line> = rows.iter().enumerate().map(row).collect();
        lines.push(Line::default());
        let tone = if self.is_good { Tone::Good } else { Tone::Bad };
        let summary = self.summary.iter();
        lines.extend(summary.map(|line| Line::default().then(tone, line).hanging(2)));
        lines
    }

    fn document(&self, now: Timestamp) -> StatusDocument<'_> {
        let replicas = self.replicas.iter().map(|replica| ReplicaDocument {
            address: &replica.address,
            problem: replica.status.as_ref().err().map(ToString::to_string),
            status: replica
                .status
                .as_ref()
                .ok()
                .map(|status| state(status, now)),
        });
        StatusDocument {
            version: 1,
            ready_and_agree: self.is_good,
            problems: if self.is_good { &[] } else { &self.summary },
            replicas: replicas.collect(),
        }
    }
}

const HEAD: [&str; 9] = [
    "REPLICA",
    "VERSION",
    "READY",
    "ENFORCEMENT",
    "REVISION",
    "AGE",
    "SOURCES",
    "AUDIT",
    "CERTIFICATES",
];

fn row(replica: &Replica, now: Timestamp) -> [String; HEAD.len()] {
    let address = printable::line(&replica.address).into_owned();
    let Ok(status) = &replica.status else {
        let mut row = [(); HEAD.len()].map(|()| "-".to_owned());
        let [first, ..] = &mut row;
        *first = address;
        return row;
    };
    let StateDocument {
        version,
        ready,
        enforcement,
        revision,
        age_seconds,
        sources_refused,
        audit_healthy,
        certificate_problems,
        ..
    } = state(status, now);
    let bad = |count: usize, of: usize, what: &str| match (count, of) {
        (_, 0) => "-".to_owned(),
        (0, of) => format!("{of} good"),
        (count, of) => format!("{count} of {of} {what}"),
    };
    [
        address,
        printable::line(version).into_owned(),
        match (ready, status.draining) {
            (true, _) => "yes".into(),
            (false, true) => "draining".into(),
            (false, false) => "no".into(),
        },
        printable::line(enforcement).into_owned(),
        printable::line(short(revision)).into_owned(),
        age_seconds.map_or("-".into(), age),
        bad(sources_refused, status.sources.len(), "refused"),
        match audit_healthy {
            true => "healthy".into(),
            false => "unhealthy".into(),
        },
        bad(certificate_problems, status.tls.len(), "to renew"),
    ]
}

/// Returns a time in its largest unit.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Returns the beginning of a revision, which tells it from others.
fn short(revision: &str) -> &str {
    revision.get(..12).unwrap_or(revision)
}

/// Returns what a replica says is wrong with it.
fn troubles(address: &str, status: &CustomsStatus) -> Vec<String> {
    let mut troubles = Vec::new();
    if !status.ready && !status.draining {
        troubles.push(format!("{address} is not ready for checks"));
    }
    if status.draining {
        troubles.push(format!("{address} is shutting down"));
    }
    for source in status.sources.iter().filter(|source| !source.is_good()) {
        let first = source.problems.first();
        let why = first.map_or(String::new(), |problem| {
            format!(": {}: {}", problem.place, problem.text)
        });
        let (name, state) = (&source.name, &source.state);
        troubles.push(format!("{address}: source `{name}` is {state}{why}"));
    }
    for sink in status.audit.iter().filter(|sink| !sink.healthy) {
        let why = sink.problem.as_deref().unwrap_or("it accepts no records");
        troubles.push(format!("{address}: audit sink `{}`: {why}", sink.sink));
    }
    for certificate in &status.tls {
        let problems = certificate.problems.iter();
        troubles.extend(problems.map(|why| format!("{address}: {}: {why}", certificate.address)));
    }
    troubles
}

/// The JSON document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusDocument<'r> {
    /// The version of this format.
    version: u32,
    ready_and_agree: bool,
    problems: &'r [String],
    replicas: Vec<ReplicaDocument<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplicaDocument<'r> {
    address: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(flatten)]
    status: Option<StateDocument<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StateDocument<'r> {
    version: &'r str,
    ready: bool,
    draining: bool,
    enforcement: &'r str,
    revision: &'r str,
    loaded_at: Option<Timestamp>,
    age_seconds: Option<i64>,
    sources_refused: usize,
    audit_healthy: bool,
    certificate_problems: usize,
}

fn state(status: &CustomsStatus, now: Timestamp) -> StateDocument<'_> {
    let loaded_at = status.loaded_at;
    StateDocument {
        version: &status.version,
        ready: status.ready,
        draining: status.draining,
        enforcement: &status.enforcement,
        revision: &status.revision,
        loaded_at,
        age_seconds: loaded_at.map(|at| at.duration_until(now).as_secs()),
        sources_refused: status
            .sources
            .iter()
            .filter(|source| !source.is_good())
            .count(),
        audit_healthy: status.audit.iter().all(|sink| sink.healthy),
        certificate_problems: status
            .tls
            .iter()
            .filter(|tls| !tls.problems.is_empty())
            .count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::terminal::Terminal;

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_200, "2h"),
            (172_800, "2d"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }

    #[test]
    fn what_a_replica_says_cannot_end_a_line_or_write_to_the_terminal() {
        let body = r#"{"version": "1\n2", "ready": false, "revision": "a\u001b[31mb", "enforcement": "e\tf",
            "sources": [{"name": "p\nq", "state": "refused\r", "problems": [{"text": "t\nu"}]}]}"#;
        let replicas = [Replica {
            address: "a\nb".into(),
            status: Ok(CustomsStatus::read(body.as_bytes()).unwrap()),
        }];
        let lines = StatusTable::new(&replicas, None, INTERVAL).lines(Timestamp::UNIX_EPOCH);
        let text = Terminal::NONE.render(&lines);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
        // The head, the replica, an empty line, not ready, the source.
        assert_eq!(text.lines().count(), 5, "{text}");
    }
}
