//! `customs revision`: prints the revision that a server with the same settings and directories
//! would have in force.

use std::process::ExitCode;

use super::sources;
use super::{FAILED, print, print_error};
use crate::app::settings::Resolved;

/// Prints the revision, or why the set cannot be in force.
pub(super) fn run(settings: &Resolved) -> ExitCode {
    let found = sources::load(&settings.policies, &settings.engine);
    found
        .problems
        .iter()
        .filter(|p| p.is_error())
        .for_each(|problem| print_error(&problem.to_string()));
    if let Some(snapshot) = &found.snapshot {
        print(&format!("{}\n", snapshot.revision()));
        return ExitCode::SUCCESS;
    }
    print_error("the policies do not load, so they have no revision");
    ExitCode::from(FAILED)
}
