//! `customs revision`: prints the revision that a server with the same settings and directories
//! would have in force, or checks the revisions of a policy archive.

use std::path::Path;
use std::process::ExitCode;

use super::sources;
use super::{BAD_SETTING, FAILED, print, print_error, verdict, with_settings};
use crate::app::cli::RevisionArgs;
use crate::app::settings::Resolved;
use customs_sources::policy_archive::PolicyArchive;

/// Prints the revision, or those of the archive.
pub(super) fn run(args: RevisionArgs) -> ExitCode {
    let RevisionArgs { read, from_archive } = args;
    match from_archive {
        Some(directory) => of_archive(&directory),
        None => with_settings(read, of_directories),
    }
}

/// Prints the revision, or why the set cannot be in force.
fn of_directories(settings: &Resolved) -> ExitCode {
    let found = sources::load_as_server(settings);
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

/// Prints the revisions that can be computed again from the archive, and what is wrong with the
/// others.
fn of_archive(directory: &Path) -> ExitCode {
    let archive = PolicyArchive::new(directory);
    let revisions = match archive.revisions() {
        Ok(revisions) => revisions,
        Err(why) => {
            print_error(&why.to_string());
            return ExitCode::from(BAD_SETTING);
        }
    };
    let mut is_whole = true;
    for revision in revisions {
        match archive.load(&revision) {
            Ok(_) => print(&format!("{revision}\n")),
            Err(why) => {
                print_error(&format!("revision {revision}: {why}"));
                is_whole = false;
            }
        }
    }
    verdict(is_whole)
}
