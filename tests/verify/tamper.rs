//! Edits, deletions, swaps, insertions and cuts at random places of a log with a signed checkpoint
//! after its last record: each is found, every time, and named with its word.

use std::sync::LazyLock;

use customs_record::verify::report::What;

use super::Folder;
use super::log::{Format, Log};
use super::real::sealed;

/// How often each of them is done; CUSTOMS_VERIFY_TIMES sets it.
const TIMES: usize = 40;

fn times() -> usize {
    let text = std::env::var("CUSTOMS_VERIFY_TIMES").ok();
    text.map_or(TIMES, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("CUSTOMS_VERIFY_TIMES={text} is no number"))
    })
}

/// The log of 10,000 records, and a smaller one in protobuf, each made once.
fn logs() -> &'static [Log; 2] {
    static LOGS: LazyLock<[Log; 2]> = LazyLock::new(|| {
        [
            sealed(Format::Json, 10_000),
            sealed(Format::Protobuf, 1_000),
        ]
    });
    &LOGS
}

/// Drawn at random, but the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }
}

/// Repeats it on each log.
fn always(tamper: impl Fn(&Log, &mut Dice) -> (Vec<u8>, What, String)) {
    let mut found = 0;
    for log in logs() {
        let folder = Folder::of(log);
        assert_eq!(folder.found(), None);
        let mut dice = Dice(42);
        for turn in 0..times() {
            let (bytes, expected, story) = tamper(log, &mut dice);
            folder.write("a.log", &bytes);
            let bad = folder.ask(&["a.log"], true, true).bad;
            assert_eq!(
                bad.as_ref().map(|bad| bad.what),
                Some(expected),
                "{:?} {turn}: {story}: {bad:?}",
                log.format
            );
            found += 1;
        }
    }
    println!("{found} of {found} found and named");
}

fn joined<'r>(records: impl Iterator<Item = &'r [u8]>) -> Vec<u8> {
    records.collect::<Vec<_>>().concat()
}

#[test]
fn any_changed_byte_is_an_edit() {
    always(|log, dice| {
        let mut bytes = log.bytes.clone();
        // Half of them at the ends, where lengths, links and checkpoints are.
        let at = match dice.below(4) {
            0 => dice.below(log.records[0].end),
            1 => bytes.len() - 1 - dice.below(log.records.last().unwrap().len() + 4),
            _ => dice.below(bytes.len()),
        };
        let flip = 1 + dice.below(255) as u8;
        bytes[at] ^= flip;
        (
            bytes,
            What::Edited,
            format!("byte {at} of {} ^ {flip}", log.bytes.len()),
        )
    });
}

#[test]
fn missing_records_are_deleted() {
    always(|log, dice| {
        let count = 1 + dice.below(3);
        let from = dice.below(log.records.len());
        let is_end = from + count >= log.records.len();
        let kept = (0..log.records.len()).filter(|index| !(from..from + count).contains(index));
        let expected = if is_end {
            What::Truncated
        } else {
            What::Deleted
        };
        (
            joined(kept.map(|index| log.record(index))),
            expected,
            format!("{count} from {from}"),
        )
    });
}

#[test]
fn two_records_in_each_others_place_are_reordered() {
    always(|log, dice| {
        let mut order: Vec<usize> = (0..log.records.len()).collect();
        let first = dice.below(order.len());
        let second = if dice.below(4) == 0 {
            (first + 1) % order.len()
        } else {
            dice.below(order.len())
        };
        let second = if first == second {
            (first + 1) % order.len()
        } else {
            second
        };
        order.swap(first, second);
        (
            joined(order.into_iter().map(|index| log.record(index))),
            What::Reordered,
            format!("{first} and {second}"),
        )
    });
}

#[test]
fn a_copy_of_a_record_is_an_insertion() {
    always(|log, dice| {
        let copied = dice.below(log.records.len());
        let at = if dice.below(8) == 0 {
            copied
        } else {
            dice.below(log.records.len() + 1)
        };
        let before = (0..at).map(|index| log.record(index));
        let after = (at..log.records.len()).map(|index| log.record(index));
        let bytes = joined(before.chain([log.record(copied)]).chain(after));
        (bytes, What::Inserted, format!("{copied} before {at}"))
    });
}

#[test]
fn a_forged_record_with_the_right_chain_is_an_insertion() {
    always(|log, dice| {
        let at = match dice.below(8) {
            0 => log.records.len() - dice.below(4),
            _ => dice.below(log.records.len() + 1),
        };
        let forged = log.forged(at);
        let before = (0..at).map(|index| log.record(index));
        let after = (at..log.records.len()).map(|index| log.record(index));
        (
            joined(before.chain([forged.as_slice()]).chain(after)),
            What::Inserted,
            format!("before {at}"),
        )
    });
}

#[test]
fn a_cut_at_any_byte_is_a_truncation() {
    always(|log, dice| {
        let end = match dice.below(4) {
            0 => log.records[dice.below(log.records.len())].start,
            1 => log.bytes.len() - 1 - dice.below(200),
            2 => dice.below(400),
            _ => dice.below(log.bytes.len()),
        };
        (
            log.bytes[..end].to_vec(),
            What::Truncated,
            format!("at {end} of {}", log.bytes.len()),
        )
    });
}
