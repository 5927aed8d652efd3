//! Tests which sets of replicas are ready, and which agree.

use super::*;

/// Makes a status differ in one property.
type Change = fn(&mut CustomsStatus);

fn status(revision: &str, ready: bool) -> CustomsStatus {
    let text = format!(
        "{{\"version\": \"1\", \"ready\": {ready}, \"revision\": \"{revision}\", \"enforcement\": \"enforce\"}}"
    );
    CustomsStatus::read(text.as_bytes()).unwrap()
}

fn replica(address: &str, status: CustomsStatus) -> Replica {
    Replica {
        address: address.into(),
        status: Ok(status),
    }
}

fn silent(address: &str) -> Replica {
    Replica {
        address: address.into(),
        status: Err(ReplicaError::Unreachable("no answer".into())),
    }
}

#[test]
fn replicas_agree_only_if_every_one_was_heard_and_is_ready() {
    for (replicas, expected) in [
        (vec![], false),
        (vec![replica("a", status("aa", true))], true),
        (
            vec![
                replica("a", status("aa", true)),
                replica("b", status("aa", true)),
            ],
            true,
        ),
        (
            vec![
                replica("a", status("aa", true)),
                replica("b", status("bb", true)),
            ],
            false,
        ),
        (
            vec![
                replica("a", status("aa", true)),
                replica("b", status("aa", false)),
            ],
            false,
        ),
        (vec![replica("a", status("aa", true)), silent("b")], false),
        (vec![silent("b")], false),
    ] {
        assert_eq!(are_ready_and_agree(&replicas), expected, "{replicas:?}");
    }
}

#[test]
fn each_property_in_which_replicas_differ_is_found_with_its_replicas() {
    let changes: [(Property, Change); 5] = [
        (Property::Revision, |status| status.revision = "bb".into()),
        (Property::Enforcement, |status| {
            status.enforcement = "report".into();
        }),
        (Property::RequestValidation, |status| {
            status.request_validation = "report".into();
        }),
        (Property::Default, |status| status.default = "deny".into()),
        (Property::Version, |status| status.version = "2".into()),
    ];
    for (property, change) in changes {
        let mut other = status("aa", true);
        change(&mut other);
        let replicas = [
            replica("a", status("aa", true)),
            replica("b", other),
            replica("c", status("aa", true)),
            silent("d"),
        ];
        let found = differences(&replicas);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, property);
        let mut groups: Vec<_> = found[0].1.values().cloned().collect();
        groups.sort();
        assert_eq!(groups, [vec!["a", "c"], vec!["b"]]);
    }
}

#[test]
fn a_revision_may_be_given_by_its_beginning() {
    let replicas = [
        replica("a", status("abcdef00", true)),
        replica("b", status("abcdef00", true)),
    ];
    for (revision, expected) in [("abcdef00", true), ("abcdef", true), ("abcdef01", false)] {
        assert_eq!(are_ready_on(&replicas, revision), expected, "{revision}");
    }
    assert!(!are_ready_on(&[], "abcdef00"));
    let unready = [replica("a", status("abcdef00", false))];
    assert!(!are_ready_on(&unready, "abcdef00"));
    let with_silent = [replica("a", status("abcdef00", true)), silent("b")];
    assert!(!are_ready_on(&with_silent, "abcdef00"));
}
