//! What Linux reports about a process: the CPU time and the wake-ups of each of its threads, and
//! its memory.
//!
//! It reads texts of `/proc` and draws no conclusion. The rule: what threads use is added up thread
//! by thread, so that a thread that ended in between does not reduce what others used.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// The nanoseconds that each thread has been on a processor so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuTime(pub BTreeMap<u32, u64>);

impl CpuTime {
    /// Reads the current times of a process.
    pub fn of(process: u32) -> io::Result<CpuTime> {
        each_thread(process, "schedstat", on_processor).map(CpuTime)
    }

    /// Returns what was used since an earlier moment, in nanoseconds.
    pub fn since(&self, earlier: &CpuTime) -> u64 {
        difference(&self.0, &earlier.0)
    }
}

/// How often each thread has given up its processor to wait for something. Each wait ends with a
/// wake-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits(pub BTreeMap<u32, u64>);

impl Waits {
    /// Reads the current counts of a process.
    pub fn of(process: u32) -> io::Result<Waits> {
        each_thread(process, "status", waits).map(Waits)
    }

    /// Returns how many there were since an earlier moment.
    pub fn since(&self, earlier: &Waits) -> u64 {
        difference(&self.0, &earlier.0)
    }
}

/// Reads a number from a file of each thread.
fn each_thread(
    process: u32,
    file: &str,
    number: impl Fn(&str) -> Option<u64>,
) -> io::Result<BTreeMap<u32, u64>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = entry?.path();
        // A thread may end while it is read.
        let Ok(text) = fs::read_to_string(path.join(file)) else {
            continue;
        };
        threads.extend(thread_number(&path).zip(number(&text)));
    }
    Ok(threads)
}

fn difference(now: &BTreeMap<u32, u64>, earlier: &BTreeMap<u32, u64>) -> u64 {
    let used = |(thread, now): (&u32, &u64)| {
        now.saturating_sub(earlier.get(thread).copied().unwrap_or_default())
    };
    now.iter().map(used).sum()
}

fn thread_number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

/// Parses the first field of `schedstat`: time spent on a processor, in nanoseconds.
pub fn on_processor(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// Parses the voluntary switches in a thread's `status`.
pub fn waits(status: &str) -> Option<u64> {
    let count = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    count.trim().parse().ok()
}

/// Resident memory, in MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    pub now: f64,
    pub peak: f64,
}

impl Memory {
    /// Reads the current memory of a process.
    pub fn of(process: u32) -> io::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        memory(&status)
            .ok_or_else(|| io::Error::other(format!("process {process} has no memory: {status}")))
    }
}

/// Parses `/proc/PID/status`, which counts in KiB.
pub fn memory(status: &str) -> Option<Memory> {
    let mebibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
    };
    Some(Memory {
        now: mebibytes("VmRSS:")?,
        peak: mebibytes("VmHWM:")?,
    })
}

#[cfg(test)]
mod tests;
