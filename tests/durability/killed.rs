//! `kill -9` under load: with `--audit-durability always` no answer was given whose record is
//! missing, and what is there can be read, verified and continued.

use std::sync::atomic::Ordering;
use std::time::Duration;

use customs_test_support::audited_server::{Count, Server, files, mixed, run, size, verify};
use customs_test_support::load::Load;

#[test]
fn no_answer_without_its_record() {
    let directory = tempfile::tempdir().unwrap();
    let flags = [
        "--audit",
        "file:audit.jsonl?rotate_size=1MiB",
        "--audit-durability",
        "always",
    ];
    let kills = size("CUSTOMS_DURABILITY_KILLS", 5);
    let (mut answered, mut torn) = (Vec::new(), 0);
    for round in 0..kills {
        let server = Server::start(directory.path(), &flags);
        let load = Load::new(server.port, u64::MAX, mixed());
        let stop = load.stop.clone();
        let asking = std::thread::spawn(move || run(&load));
        // A different moment each time.
        std::thread::sleep(Duration::from_millis(30 + round * 37 % 200));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        answered.extend(asking.join().unwrap().ids);

        let files = files(directory.path(), "audit.jsonl");
        let (code, words) = verify(&files);
        assert!([0, 3].contains(&code), "after kill {round}: {words}");
        torn += u64::from(words.contains("torn"));
        let count = Count::of(&files);
        let missing = answered
            .iter()
            .filter(|id| !count.ids.contains(*id))
            .count();
        assert_eq!(
            missing,
            0,
            "after kill {round}, {missing} of {} answers are not on record",
            answered.len()
        );
    }
    assert_eq!(Server::start(directory.path(), &flags).stop(), Some(0));
    let files = files(directory.path(), "audit.jsonl");
    let (code, words) = verify(&files);
    assert_eq!(code, 0, "{words}");
    let count = Count::of(&files);
    println!(
        "{kills} kills: {} answers, each on record among {} decisions in {} files; torn tails: {torn}; {}",
        answered.len(),
        count.decisions(),
        files.len(),
        words.trim()
    );
    assert!(answered.len() as u64 > kills * 10, "there was a load");
}
