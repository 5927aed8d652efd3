//! How many connections each port may have: by the settings, and by the descriptors that the process
//! may open.
//!
//! The rule: if descriptors are short, the ports have fewer connections, and what the rest of the
//! process needs is kept back. One line of the log says which limit to raise. If there are too few
//! to serve at all, the server does not start.

use std::ops::RangeInclusive;

use crate::app::settings::{Resolved, SettingValueError, Settings, SettingsError};
use customs_audit::config::Target;
use customs_net::{DescriptorLimit, SlotLimits};

/// The least and the most connections of a port.
const CONNECTIONS: RangeInclusive<u32> = 1..=100_000;

/// How many descriptors the process opens for its own needs, besides those that are open once its
/// addresses are bound and its audit log is started: what a reload reads at the same time, watches,
/// segments of the audit log, lookups of names, and connections that are refused.
const OWN_NEEDS: usize = 24;

/// How many descriptors a thread that answers checks opens.
const PER_THREAD: usize = 3;

/// How many descriptors the runtime opens, with its signals, before the addresses are bound.
const RUNTIME: usize = 9;

/// The fewest descriptors with which the process can read a policy, follow its audit log and refuse
/// a connection.
const LEAST_NEEDS: usize = 8;

/// The process may open too few files to serve at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the process may open {limit} files, and this server needs at least {least}: raise the limit of \
     open files (`ulimit -n`, `LimitNOFILE=`); with fewer than about 1,450, the ports have fewer \
     connections than the default settings say"
)]
pub(in crate::app) struct TooFewFilesError {
    limit: usize,
    least: usize,
}

/// Raises the limit of descriptors if that is needed to serve at all. Called before anything is
/// opened, so that no part of the start fails for it.
///
/// # Errors
/// If the process may open too few files.
pub(in crate::app) fn check_descriptors(settings: &Resolved) -> Result<(), TooFewFilesError> {
    let open = DescriptorLimit::open_now();
    let least = open + RUNTIME + least_needs(settings);
    let limit = DescriptorLimit::raise_to(least);
    match limit >= least {
        true => Ok(()),
        false => Err(TooFewFilesError { limit, least }),
    }
}

/// Returns the fewest descriptors that serving needs: those of addresses, sinks and threads, and one
/// connection of each address.
fn least_needs(settings: &Resolved) -> usize {
    let sinks = &settings.audit.sinks;
    let tails = sinks
        .iter()
        .filter(|sink| matches!(sink.target, Target::Tail(_)));
    let addresses = settings.listen.len() + usize::from(settings.admin.is_some()) + tails.count();
    // A file sink also has its directory or its next segment open now and then.
    let of_sinks = sinks.len().saturating_mul(2);
    let of_threads = PER_THREAD.saturating_mul(settings.threads.get());
    LEAST_NEEDS + addresses.saturating_mul(2) + of_sinks + of_threads
}

/// How many connections each port may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortSlots {
    /// All addresses for checks together.
    pub(crate) checks: SlotLimits,
    /// The address for operators.
    pub(crate) admin: SlotLimits,
    /// Each address of a tail.
    pub(crate) tail: SlotLimits,
}

/// Checks the settings, and adds each problem.
pub(in crate::app) fn resolve(settings: &Settings, wrong: &mut SettingsError) -> PortSlots {
    let (total, per_peer) = (settings.max_connections, settings.max_connections_per_peer);
    let admin = settings.admin_max_connections;
    for (name, value) in [("max_connections", total), ("admin_max_connections", admin)] {
        if !CONNECTIONS.contains(&value) {
            let expected = format!("1 to {}, such as 1024", CONNECTIONS.end());
            wrong.add(name, value, SettingValueError::OutOfRange(expected));
        }
    }
    if !(1..=total.max(1)).contains(&per_peer) {
        let expected = format!(
            "1 to max_connections ({total}), such as {}",
            total.div_ceil(2)
        );
        let problem = SettingValueError::OutOfRange(expected);
        wrong.add("max_connections_per_peer", per_peer, problem);
    }
    let checks = SlotLimits {
        total: size(total),
        per_peer: size(per_peer),
    };
    let operators = checks.with_total(size(admin));
    PortSlots {
        checks,
        admin: operators,
        tail: operators,
    }
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl PortSlots {
    /// Raises the limit of descriptors as far as the process may. If it is still too low, reduces
    /// the connections of each port and logs what to raise.
    pub(in crate::app) fn fit(self, threads: usize, has_admin: bool, tails: usize) -> PortSlots {
        let own = DescriptorLimit::open_now() + OWN_NEEDS + PER_THREAD.saturating_mul(threads);
        let needed = own.saturating_add(self.descriptors(has_admin, tails));
        let limit = DescriptorLimit::raise_to(needed);
        let fitting = self.reduced(limit.saturating_sub(own), has_admin, tails);
        if fitting != self {
            tracing::warn!(
                limit,
                needed,
                max_connections = fitting.checks.total,
                admin_max_connections = fitting.admin.total,
                "the process may open too few files for the connections of the settings, so each \
                 port has fewer; raise the limit of open files (`ulimit -n`, `LimitNOFILE=`) to \
                 what is needed"
            );
        }
        fitting
    }

    /// Returns how many descriptors the connections of all ports need at most.
    fn descriptors(&self, has_admin: bool, tails: usize) -> usize {
        let of_admin = if has_admin {
            self.admin.descriptors()
        } else {
            0
        };
        let of_tails = self.tail.descriptors().saturating_mul(tails);
        let of_operators = of_admin.saturating_add(of_tails);
        self.checks.descriptors().saturating_add(of_operators)
    }

    /// Returns slots that need at most so many descriptors. Each port keeps a few connections,
    /// whatever is left; the rest is shared in the proportion of the settings.
    fn reduced(self, available: usize, has_admin: bool, tails: usize) -> PortSlots {
        let needed = self.descriptors(has_admin, tails);
        if needed <= available {
            return self;
        }
        let least = PortSlots {
            checks: few(self.checks, 4),
            admin: few(self.admin, 2),
            tail: few(self.tail, 2),
        };
        let kept = least.descriptors(has_admin, tails);
        let (spare, missing) = (available.saturating_sub(kept), needed.saturating_sub(kept));
        let reduce = |wanted: SlotLimits, least: SlotLimits| {
            let more = wanted.descriptors().saturating_sub(least.descriptors());
            let share = least.descriptors() + more.saturating_mul(spare) / missing.max(1);
            // The largest total whose descriptors are not more than the share.
            let total = (share * 4 / 5).min(share.saturating_sub(2));
            wanted.with_total(total.clamp(least.total, wanted.total))
        };
        PortSlots {
            checks: reduce(self.checks, least.checks),
            admin: reduce(self.admin, least.admin),
            tail: reduce(self.tail, least.tail),
        }
    }
}

/// Returns limits with at most so many connections.
fn few(limits: SlotLimits, most: usize) -> SlotLimits {
    limits.with_total(limits.total.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(total: u32, per_peer: u32, admin: u32) -> (PortSlots, Vec<String>) {
        let settings = Settings {
            max_connections: total,
            max_connections_per_peer: per_peer,
            admin_max_connections: admin,
            ..Settings::default()
        };
        let mut wrong = SettingsError::default();
        let slots = resolve(&settings, &mut wrong);
        let wrong = wrong.errors().iter().map(ToString::to_string).collect();
        (slots, wrong)
    }

    fn limits(total: usize, per_peer: usize) -> SlotLimits {
        SlotLimits { total, per_peer }
    }

    #[test]
    fn a_peer_has_the_same_share_of_every_port() {
        for ((total, per_peer, admin), operators) in [
            ((1024, 512, 64), limits(64, 32)),
            ((1000, 1000, 64), limits(64, 64)),
            ((1000, 1, 64), limits(64, 1)),
            ((1, 1, 1), limits(1, 1)),
        ] {
            let (slots, wrong) = resolved(total, per_peer, admin);
            assert_eq!(wrong, Vec::<String>::new());
            assert_eq!((slots.admin, slots.tail), (operators, operators));
            assert_eq!(slots.checks, limits(size(total), size(per_peer)));
        }
        let defaults = resolve(&Settings::default(), &mut SettingsError::default());
        assert_eq!(defaults.checks, SlotLimits::default());
    }

    #[test]
    fn a_value_out_of_range_is_reported_with_what_to_write() {
        for ((total, per_peer, admin), expected) in [
            (
                (0, 1, 64),
                "invalid max_connections `0`: expected 1 to 100000",
            ),
            ((100_001, 1, 64), "invalid max_connections `100001`"),
            (
                (10, 11, 64),
                "invalid max_connections_per_peer `11`: expected 1 to max_connections (10), such as 5",
            ),
            ((10, 0, 64), "invalid max_connections_per_peer `0`"),
            ((10, 5, 0), "invalid admin_max_connections `0`"),
        ] {
            let (_, wrong) = resolved(total, per_peer, admin);
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(wrong[0].starts_with(expected), "{wrong:?}");
        }
    }

    #[test]
    fn short_descriptors_reduce_every_port_and_fit() {
        let (slots, _) = resolved(1024, 512, 64);
        for tails in [0, 1, 5] {
            for available in [10_000, 1_000, 200, 100, 60, 40] {
                let fitting = slots.reduced(available, true, tails);
                let needed = fitting.descriptors(true, tails);
                assert!(needed <= available, "{available} {tails} {fitting:?}");
                assert!(fitting.checks.total >= 4 && fitting.admin.total >= 2);
                assert!(fitting.checks.per_peer <= fitting.checks.total.div_ceil(2));
                assert_eq!(
                    fitting == slots,
                    slots.descriptors(true, tails) <= available
                );
            }
        }
    }

    #[test]
    fn a_port_keeps_a_few_connections_whatever_is_left() {
        let (slots, _) = resolved(1024, 512, 64);
        let fitting = slots.reduced(0, true, 1);
        assert_eq!(fitting.checks, limits(4, 2));
        assert_eq!((fitting.admin, fitting.tail), (limits(2, 1), limits(2, 1)));
        let (few, _) = resolved(1, 1, 1);
        assert_eq!(few.reduced(0, true, 1), few, "never more than the settings");
    }
}
