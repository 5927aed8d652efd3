//! The edge at which people change policy: a file event becomes a new set in force, or a refusal
//! that says why.
//!
//! 1. [`watch`]: something may have changed.
//! 2. [`directories`]: which directories are sources; [`mod@walk`] and [`names`]: which of their
//!    files are policies; `lookalikes`: which only look like policies; [`read`]: their bytes;
//!    [`stat_cache`]: which files a rescan need not open; `read_cycle`: all of them are read twice,
//!    until both reads agree, by `readers` that can be abandoned.
//! 3. [`policy_directories`]: the policy set of the directories, which decides what may be in
//!    force; [`mod@load`]: parses its files side by side.
//! 4. [`reload`]: the one loop that does these in turn, publishes the set, and hands over the
//!    record of the change.
//! 5. [`status`]: what operators see; [`policy_archive`]: keeps what was in force, so that the past
//!    can be asked.
//!
//! [`FileWatch`] does the first step for files that are not policies, such as certificates: it says
//! when to read them again, and does not know what they hold.
//!
//! A host without a runtime can read: [`read_once`] reads every directory once, on the calling
//! thread, and gives the policy set what it read. The loop, the watches and the threads behind
//! checks need tokio, so this crate depends on it.
//!
//! Once a set is in force, all of this runs on threads that the system schedules behind checks, see
//! `background`.
//!
//! This crate is the only home of `notify` and, with the audit sinks and the settings file, of
//! `std::fs`. It does not know what a policy means: the engine receives bytes and returns problems.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod background;
mod directories;
mod file_watch;
mod load;
mod lookalikes;
mod names;
pub mod policy_archive;
mod policy_directories;
mod policy_directory;
mod problems;
mod progress;
mod read;
mod read_cycle;
mod readers;
mod reload;
mod settings;
mod settling;
mod stat_cache;
pub mod status;
mod walk;
mod watch;

pub use file_watch::FileWatch;
pub use load::load;
pub use policy_directories::{GuardChecks, PolicyDirectories};
pub use policy_directory::{PolicyDirectory, SourceOptions};
pub use progress::Progress;
pub use read::read_source;
pub use read_cycle::{read_once, read_sources};
pub use reload::{ReloadOptions, Reloader, Trigger, first_load};
pub use settings::SettingsFile;
pub use stat_cache::{CacheEntries, StatCache};
pub use status::{LastProblem, Reloads, Status};
pub use walk::{Walk, walk};
