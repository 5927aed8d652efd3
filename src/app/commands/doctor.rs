//! `customs doctor`: says what is wrong with customs, its gateways and the mesh around them.
//!
//! [`collect`] gathers what the flags name, the crate `customs-doctor` examines it, and [`report`]
//! prints the result. Nothing is changed anywhere. The exit code is 0 if nothing is wrong in what
//! was given, 1 if something is, 2 if a flag is invalid. What cannot be reached or read is a
//! finding, and the rest is examined all the same.

mod collect;
mod envoys;
mod files;
mod records;
mod report;

use std::process::ExitCode;

use super::{
    BAD_SETTING, block_on, print_error, print_json, print_lines, refuse_settings, verdict,
};
use crate::app::cli::{DoctorArgs, DoctorFormat};
use crate::app::policy_paths::directories;
use crate::app::terminal::Terminal;
use customs_doctor::checks;
use customs_doctor::evidence::PolicyEvidence;

/// Collects, examines and prints.
pub(super) fn run(args: DoctorArgs) -> ExitCode {
    let policies = match policies(&args) {
        Ok(policies) => policies,
        Err(code) => return code,
    };
    let evidence = match block_on(collect::collect(&args, policies)) {
        Err(code) => return code,
        Ok(Ok(evidence)) => evidence,
        Ok(Err(why)) => {
            print_error(&why.to_string());
            return ExitCode::from(BAD_SETTING);
        }
    };
    let diagnosis = checks::examine(&evidence);
    match args.format {
        DoctorFormat::Human => {
            let width = Terminal::of_stdout().width();
            print_lines(&report::lines(&diagnosis, width));
        }
        DoctorFormat::Json => print_json(&report::document(&diagnosis)),
    }
    verdict(diagnosis.is_healthy())
}

/// Loads the policy directories that were given, with the settings of a server.
fn policies(args: &DoctorArgs) -> Result<Option<PolicyEvidence>, ExitCode> {
    if args.policies.is_empty() {
        return Ok(None);
    }
    let settings = args.settings.settings().map_err(Into::into);
    let settings = settings.and_then(|settings| settings.resolve().map_err(Into::into));
    let settings = settings.map_err(|why| refuse_settings(&why))?;
    let found = directories("--policies", &args.policies);
    let found = found.map_err(|why| refuse_settings(&why.into()))?;
    Ok(Some(files::policies(&found, &settings.engine)))
}
