//! How many descriptors the process may open.
//!
//! It only reads and raises the limit; who gets how many is not decided here. The rule: a limit that
//! is too low is raised as far as the process may, and what cannot be raised is reported as it is.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors count as open if the system does not list them.
const OPEN_IF_UNKNOWN: usize = 32;

/// The limit of descriptors of this process (`RLIMIT_NOFILE`).
#[derive(Debug)]
pub struct DescriptorLimit;

impl DescriptorLimit {
    /// Raises the limit to so many descriptors, or as far as the process may. Returns the limit in
    /// force.
    pub fn raise_to(needed: usize) -> usize {
        let limit = getrlimit(Resource::Nofile);
        let Some(wanted) = raised(limit, u64::try_from(needed).unwrap_or(u64::MAX)) else {
            return count(limit.current);
        };
        let raised = Rlimit {
            current: Some(wanted),
            ..limit
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => count(Some(wanted)),
            Err(problem) => {
                tracing::debug!(%problem, "the limit of open files cannot be raised");
                count(limit.current)
            }
        }
    }

    /// Returns how many descriptors are open.
    pub fn open_now() -> usize {
        // The listing has a descriptor itself.
        fs::read_dir("/proc/self/fd").map_or(OPEN_IF_UNKNOWN, |open| open.count().saturating_sub(1))
    }
}

/// Returns the limit to set; nothing if the present one suffices or is the most that the process
/// may have.
fn raised(limit: Rlimit, needed: u64) -> Option<u64> {
    let current = limit.current?;
    let wanted = limit.maximum.map_or(needed, |most| needed.min(most));
    (wanted > current).then_some(wanted)
}

/// Returns a limit as a count; no limit is the largest.
fn count(limit: Option<u64>) -> usize {
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_raised_as_far_as_the_process_may() {
        let limit = |current, maximum| Rlimit { current, maximum };
        for (limit, needed, expected) in [
            (limit(Some(1024), Some(4096)), 1300, Some(1300)),
            (limit(Some(1024), Some(4096)), 9000, Some(4096)),
            (limit(Some(1024), None), 9000, Some(9000)),
            (limit(Some(1024), Some(4096)), 1000, None),
            (limit(Some(256), Some(256)), 1300, None),
            (limit(None, None), 1300, None),
        ] {
            assert_eq!(raised(limit, needed), expected, "{limit:?} {needed}");
        }
    }

    #[test]
    fn open_descriptors_are_counted() {
        let before = DescriptorLimit::open_now();
        let files: Vec<_> = (0..20)
            .map(|_| fs::File::open("/dev/null").unwrap())
            .collect();
        // Other tests of this process open and close some meanwhile.
        assert!(DescriptorLimit::open_now() + 10 >= before + files.len());
    }
}
