//! What Linux reports about a process: the CPU time of each of its threads, and its memory.
//!
//! It reads texts of `/proc` and draws no conclusion. The rule: CPU time is added up thread by
//! thread, so that a thread that ended in between does not reduce what others used.

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
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{process}/task"))? {
            let path = entry?.path();
            // A thread may end while it is read.
            let Ok(text) = fs::read_to_string(path.join("schedstat")) else {
                continue;
            };
            threads.extend(thread_number(&path).zip(on_processor(&text)));
        }
        Ok(CpuTime(threads))
    }

    /// Returns what was used since an earlier moment, in nanoseconds.
    pub fn since(&self, earlier: &CpuTime) -> u64 {
        let used = |(thread, now): (&u32, &u64)| {
            now.saturating_sub(earlier.0.get(thread).copied().unwrap_or_default())
        };
        self.0.iter().map(used).sum()
    }
}

fn thread_number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

/// Parses the first field of `schedstat`: time spent on a processor, in nanoseconds.
pub fn on_processor(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
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
