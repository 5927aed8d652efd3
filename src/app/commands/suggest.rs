//! `customs suggest`: writes the least policies that permit what crossed, or says which grants of a
//! set are not needed.
//!
//! The rule: nothing is granted in silence. Whatever crossed and gets no grant, or gets one that is
//! wider than what crossed, is said in a comment and in the report. The exit code is 0 if there are
//! policies (or a report), and 2 if there is no answer.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

mod collect;
mod grant_uses;
mod report;
mod tighten;
mod yaml;

use super::recorded;
use super::{BAD_SETTING, FAILED, print, print_document, print_error, print_json, with_resolved};
use crate::app::cli::{SuggestArgs, SuggestFormat};
use crate::app::settings::Resolved;
use collect::Collected;
use customs_analysis::least_privilege::{PlanOptions, SteadyRule, plan};
use yaml::SuggestedFile;

/// Suggests, and prints the result.
pub(super) fn run(args: SuggestArgs) -> ExitCode {
    with_resolved(args.settings.settings(), |settings| {
        let ended = match args.tighten.is_empty() {
            true => suggest(&args, settings),
            false => tighten::run(&args, settings),
        };
        ended.unwrap_or_else(|code| code)
    })
}

fn suggest(args: &SuggestArgs, settings: &Resolved) -> Result<ExitCode, ExitCode> {
    let period = recorded::period(&args.time)?;
    let collect = || Collected::new(args, &settings.engine, period);
    let (collected, is_read) = recorded::fold(&args.records, "collecting", collect)?;
    if collected.crossings().is_empty() {
        print_error(&format!(
            "nothing crossed, so there is nothing to suggest: {}",
            collected.nothing_found()
        ));
        return Err(ExitCode::from(BAD_SETTING));
    }
    let planned = plan(collected.crossings(), &options(args));
    let root = &settings.engine.root_namespace;
    let files = yaml::files(&planned, &collected, root);
    match &args.output {
        None => {
            let texts: Vec<&str> = files.iter().map(|file| file.text.as_str()).collect();
            print_document(&texts.join("---\n"));
        }
        Some(directory) => {
            write_files(directory, &files)?;
            match args.format {
                SuggestFormat::Human => print(&report::text(&planned, &collected, &files)),
                SuggestFormat::Json => print_json(&report::json(&planned, &collected, &files)),
            }
        }
    }
    Ok(match is_read {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(BAD_SETTING),
    })
}

fn options(args: &SuggestArgs) -> PlanOptions {
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    PlanOptions {
        suffixes: args.suffixes.clone(),
        group_suffix: args.group_suffix.map(number),
        share_threshold: (args.share > 0).then(|| number(args.share)),
        one_off: args.one_off,
        leaves_one_offs_out: args.without_one_offs,
        steady: SteadyRule {
            crossings: args.steady,
        },
    }
}

/// Writes the files, and none of them over another.
fn write_files(directory: &Path, files: &[SuggestedFile]) -> Result<(), ExitCode> {
    let failed = |what: String, code: u8| {
        print_error(&what);
        ExitCode::from(code)
    };
    fs::create_dir_all(directory).map_err(|why| {
        let directory = directory.display();
        failed(format!("--output: cannot make {directory}: {why}"), FAILED)
    })?;
    let taken = |file: &&SuggestedFile| directory.join(&file.name).exists();
    if let Some(file) = files.iter().find(taken) {
        let path = directory.join(&file.name);
        let what = format!(
            "--output: {} exists already; name a directory without suggestions",
            path.display()
        );
        return Err(failed(what, BAD_SETTING));
    }
    for file in files {
        let path = directory.join(&file.name);
        let written =
            fs::File::create_new(&path).and_then(|mut new| new.write_all(file.text.as_bytes()));
        written.map_err(|why| {
            let advice = match why.kind() {
                ErrorKind::AlreadyExists => "; name a directory without suggestions",
                _ => "",
            };
            failed(
                format!("--output: cannot write {}: {why}{advice}", path.display()),
                FAILED,
            )
        })?;
    }
    Ok(())
}
