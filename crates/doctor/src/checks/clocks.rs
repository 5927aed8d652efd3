//! The clocks of the replicas, of the Envoys and of this machine beside one another.
//!
//! A `Date` header has whole seconds, and an answer takes its time, so a difference of a few seconds
//! is none.

use crate::diagnosis::Diagnosis;
use crate::evidence::{ClockReading, Evidence};
use crate::finding::{Code, Finding};

/// The largest difference that may be one of measuring, in seconds.
const TOLERATED: i64 = 5;

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let replicas = evidence.replicas.iter().filter_map(|found| {
        let clock: ClockReading = found.clock?;
        Some((format!("replica {}", found.replica.address), clock.ahead()))
    });
    let proxies = evidence
        .proxies
        .iter()
        .filter_map(|found| Some((found.described(), found.clock?.ahead())));
    let clocks: Vec<(String, i64)> = replicas.chain(proxies).collect();
    if clocks.is_empty() {
        diagnosis.not_checked("clocks agree", "give --admin and --envoy with addresses");
        return;
    }
    for (subject, _) in &clocks {
        diagnosis.checked("clocks agree", subject.clone());
    }
    let mut order: Vec<i64> = clocks.iter().map(|(_, ahead)| *ahead).collect();
    order.sort_unstable();
    // With two clocks and more that agree, the one of this machine may be the wrong one.
    let middle = match clocks.len() {
        0 | 1 => 0,
        count => order.get(count / 2).copied().unwrap_or_default(),
    };
    let agree = clocks
        .iter()
        .all(|(_, ahead)| (ahead - middle).abs() <= TOLERATED);
    if agree && middle.abs() > TOLERATED {
        diagnosis.add(skewed("this machine", -middle, "the clocks of all others"));
        return;
    }
    let middle = if middle.abs() <= TOLERATED { 0 } else { middle };
    for (subject, ahead) in &clocks {
        if (ahead - middle).abs() > TOLERATED {
            diagnosis.add(skewed(subject, ahead - middle, "the other clocks"));
        }
    }
}

fn skewed(subject: &str, ahead: i64, of: &str) -> Finding {
    let (seconds, direction) = (
        ahead.unsigned_abs(),
        if ahead > 0 { "ahead of" } else { "behind" },
    );
    Finding::new(
        Code::ClockSkew,
        subject,
        format!("its clock is {seconds} s {direction} {of}"),
        "Grants end too early or too late, certificates seem expired or not valid yet, and records \
         of one request cannot be put in order.",
        "Synchronise the node's clock:\nchronyc tracking",
    )
}
