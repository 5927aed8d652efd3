//! Records = checks, exactly: with one file, and with many.

use customs_test_support::audited_server::{Count, Server, files, mixed, run, size, verify};
use customs_test_support::load::Load;

/// Sends checks over four connections, and counts what is on record after an orderly stop.
fn every_check_is_on_record(sink: &str) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--audit", sink]);
    let checks = size("CUSTOMS_DURABILITY_CHECKS", 20_000);
    let result = run(&Load {
        in_flight: 32,
        ..Load::new(server.port, checks, mixed())
    });
    assert_eq!(
        (result.answered(), result.failed, result.withheld),
        (checks, 0, 0)
    );
    assert_eq!(server.stop(), Some(0));
    let files = files(directory.path(), "audit.jsonl");
    let count = Count::of(&files);
    assert_eq!(
        count.numbers,
        (1..=checks).collect::<Vec<_>>(),
        "each decision once"
    );
    assert!(result.ids.iter().all(|id| count.ids.contains(id)));
    assert_eq!(
        (
            count.kinds.get("start"),
            count.kinds.get("stop"),
            count.kinds.get("gap")
        ),
        (Some(&1), Some(&1), None)
    );
    let (code, words) = verify(&files);
    assert_eq!(code, 0, "{words}");
    println!(
        "{checks} checks to {sink}: {} decisions in {} files, {}",
        count.decisions(),
        files.len(),
        words.trim()
    );
    files.len()
}

#[test]
fn every_check_is_on_record_in_one_file() {
    assert_eq!(every_check_is_on_record("file:audit.jsonl"), 1);
}

#[test]
fn every_check_is_on_record_over_many_files() {
    let files = every_check_is_on_record("file:audit.jsonl?rotate_size=10MiB");
    let few = size("CUSTOMS_DURABILITY_CHECKS", 20_000) < 20_000;
    assert!(files > 1 || few, "twenty thousand records fill ten MiB");
}
