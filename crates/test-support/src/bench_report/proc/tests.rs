//! Parsing what Linux reports about a process.

use std::collections::BTreeMap;

use super::{CpuTime, Memory, Waits, memory, on_processor, waits};

#[test]
fn cpu_time_is_added_up_by_thread() {
    let at = |threads: &[(u32, u64)]| CpuTime(BTreeMap::from_iter(threads.iter().copied()));
    let before = at(&[(1, 100), (2, 5_000)]);
    assert_eq!(at(&[(1, 150), (2, 5_001)]).since(&before), 51);
    // One thread ended, another began.
    assert_eq!(at(&[(1, 150), (3, 20)]).since(&before), 70);
    assert_eq!(on_processor("123456 789 12\n"), Some(123_456));
    assert_eq!(on_processor(""), None);
}

#[test]
fn cpu_time_of_a_process_that_works_rises() {
    let before = CpuTime::of(std::process::id()).unwrap();
    let mut sum = 0_u64;
    while CpuTime::of(std::process::id()).unwrap().since(&before) == 0 {
        sum = std::hint::black_box(sum + 1);
    }
    assert!(CpuTime::of(u32::MAX).is_err());
}

#[test]
fn memory_is_parsed_as_mebibytes() {
    let status = "Name:\tcustoms\nVmPeak:\t  900000 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1536 kB\n";
    assert_eq!(
        memory(status),
        Some(Memory {
            now: 1.5,
            peak: 2.0
        })
    );
    assert_eq!(memory("Name:\tkthreadd\n"), None);
}

#[test]
fn waits_are_counted_by_thread() {
    let status = "Name:\tcustoms\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t31\n";
    assert_eq!(waits(status), Some(150));
    assert_eq!(waits("nonvoluntary_ctxt_switches:\t31\n"), None);
    let before = Waits::of(std::process::id()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1));
    assert!(Waits::of(std::process::id()).unwrap().since(&before) > 0);
}
