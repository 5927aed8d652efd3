//! Tests how findings are joined, explained and put in order.

use super::*;

fn finding(code: Code, subject: &str, evidence: &str) -> Finding {
    Finding::new(code, subject, evidence, "means", "do")
}

#[test]
fn a_fault_seen_in_two_places_is_one_finding() {
    let mut diagnosis = Diagnosis::default();
    diagnosis.add(finding(Code::FailOpen, "provider `a`", "in the mesh"));
    diagnosis.add(finding(Code::FailOpen, "provider `a`", "in Envoy"));
    diagnosis.add(finding(Code::FailOpen, "provider `a`", "in Envoy"));
    diagnosis.add(finding(Code::FailOpen, "provider `b`", "in the mesh"));
    assert_eq!(diagnosis.findings.len(), 2);
    assert_eq!(diagnosis.findings[0].evidence, ["in the mesh", "in Envoy"]);
}

#[test]
fn what_a_fault_explains_is_told_with_it() {
    for (consequence, causes) in EXPLAINED_BY {
        for cause in *causes {
            let mut diagnosis = Diagnosis::default();
            diagnosis.add(finding(*consequence, "gateway", "six"));
            diagnosis.add(finding(*cause, "provider", "wrong"));
            let diagnosis = diagnosis.conclude();
            let codes: Vec<Code> = diagnosis.findings.iter().map(|found| found.code).collect();
            assert_eq!(codes, [*cause], "{consequence:?} of {cause:?}");
            assert_eq!(diagnosis.findings[0].consequences, ["gateway: six"]);
        }
        let mut alone = Diagnosis::default();
        alone.add(finding(*consequence, "gateway", "six"));
        assert!(alone.conclude().has(*consequence), "{consequence:?}");
    }
}

#[test]
fn the_worst_comes_first_and_notes_do_not_count() {
    let mut diagnosis = Diagnosis::default();
    diagnosis.add(finding(Code::RulesUnused, "a", "x"));
    assert!(diagnosis.is_healthy());
    diagnosis.add(finding(Code::FailOpen, "a", "x"));
    diagnosis.add(finding(Code::SniMissing, "a", "x"));
    let diagnosis = diagnosis.conclude();
    let order: Vec<Code> = diagnosis.findings.iter().map(|found| found.code).collect();
    assert_eq!(order, [Code::SniMissing, Code::FailOpen, Code::RulesUnused]);
    assert!(!diagnosis.is_healthy());
}

#[test]
fn codes_have_distinct_names() {
    let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
}
