//! A review of the sets that are published.

use super::*;

/// Names the revision of every set that it sees.
#[derive(Debug)]
struct NamesRevision;

impl SnapshotReview for NamesRevision {
    fn review(&self, snapshot: &Snapshot, now: UnixNanos) -> Vec<Problem> {
        let text = format!("{} at {}", snapshot.revision(), now.0);
        vec![Problem::warning(Code::Expired, Place::whole("a"), text)]
    }
}

#[test]
fn what_the_review_finds_in_a_published_set_is_a_warning_of_it() {
    let declaration = SourceDeclaration::any_namespace("a");
    let set =
        PolicySet::new([declaration], Settings::default()).with_review(Arc::new(NamesRevision));
    let mut rounds = Rounds(set);
    let change = rounds
        .files(&[&denies("a", &["a.example"])])
        .change
        .unwrap();
    let expected = format!("{} at 0", change.revision);
    assert_eq!(
        change
            .problems
            .iter()
            .map(|p| p.text.as_str())
            .collect::<Vec<_>>(),
        [expected.as_str()]
    );
    assert_eq!(
        rounds
            .0
            .warnings()
            .map(|p| p.text.as_str())
            .collect::<Vec<_>>(),
        [expected.as_str()]
    );
    rounds.files(&["kind: ["]);
    assert_eq!(
        rounds.0.warnings().count(),
        1,
        "the set in force is the same"
    );
}
