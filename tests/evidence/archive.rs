//! The archive that a server writes: what is in it after changes, and what happens when it cannot be
//! written.

use std::fs;

use super::{archived, customs, denying, plan};
use customs_test_support::server::Plan;

#[test]
fn every_revision_that_was_in_force_is_in_the_archive() {
    let mut server = plan().start();
    let first = archived(&server);
    server.folder.put("policies/b.yaml", "kind: EgressPolicy\n");
    server.source(0, "refused");
    server.folder.put(
        "policies/b.yaml",
        &denying("b.example").replace("own", "more"),
    );
    let second = server.revision_after(&first);
    archived(&server);
    let mut both = [first.clone(), second.clone()];
    both.sort();
    let root = server.folder.at("");
    let checked = customs(&root, "revision --from-archive out/archive");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(checked.stdout.lines().collect::<Vec<_>>(), both);
    let objects = fs::read_dir(server.folder.at("out/archive/objects/sha256")).unwrap();
    assert_eq!(
        objects.count(),
        2,
        "what was refused is not in it, what both have is once"
    );
    let (_, metrics) = server.get("/metrics").unwrap();
    assert!(
        metrics.contains("\ncustoms_policy_archive_waiting 0\n"),
        "{metrics}"
    );
    let ended = server.stop();
    assert!(!ended.stderr.contains("archive"), "{}", ended.stderr);

    // A damaged object is named, and repaired by the next server that has it in force.
    let object = format!(
        "out/archive/objects/sha256/{}",
        sha256(&denying("a.example"))
    );
    fs::write(server.folder.at(&object), "nothing").unwrap();
    let checked = customs(&root, "revision --from-archive out/archive");
    assert_eq!(checked.code, Some(1));
    assert!(
        checked.stderr.contains(&object) && checked.stderr.contains("is damaged"),
        "{checked:?}"
    );
    let checked = customs(&root, "revision --from-archive policies");
    assert_eq!(checked.code, Some(2));
    assert!(
        checked.stderr.contains("is not a policy archive"),
        "{checked:?}"
    );
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn an_archive_that_cannot_be_written_refuses_no_set_and_is_written_later() {
    // A file is in the way.
    let server = plan().file("out/archive", "").start();
    assert_eq!(server.check("a.example").reason(), "denied_by_rule");
    let first = server.revision();
    let problem = server.until("the failure is shown", || {
        let archive = server.status()["policyArchive"].clone();
        archive["problem"].as_str().map(str::to_owned)
    });
    assert!(problem.contains("out/archive"), "{problem}");
    server.folder.put("policies/a.yaml", &denying("b.example"));
    let second = server.revision_after(&first);
    assert_eq!(server.check("b.example").reason(), "denied_by_rule");
    let (_, metrics) = server.get("/metrics").unwrap();
    assert!(
        metrics.contains("\ncustoms_policy_archive_waiting 2\n"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("\ncustoms_policy_archive_failures_total 0\n"),
        "{metrics}"
    );
    server.folder.remove("out/archive");
    server.until("both are written", || {
        let checked = customs(&server.folder.at(""), "revision --from-archive out/archive");
        (checked.code == Some(0) && checked.stdout.lines().count() == 2).then_some(())
    });
    let checked = customs(&server.folder.at(""), "revision --from-archive out/archive");
    assert!(
        [&first, &second]
            .iter()
            .all(|one| checked.stdout.contains(*one)),
        "{checked:?}"
    );
}

#[test]
fn an_archive_inside_the_policies_is_refused() {
    let ended = Plan::with("--policy-archive policies/archive")
        .file("policies/a.yaml", &denying("a.example"))
        .fails();
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("--policy-archive") && ended.stderr.contains("inside `./policies`"),
        "{}",
        ended.stderr
    );
}
