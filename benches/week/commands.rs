//! The commands that are measured, and how each ends for a week.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;
use customs_test_support::week::WeekPaths;

/// One command line.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Its name in the table.
    pub name: &'static str,
    /// What follows `customs`.
    pub arguments: Vec<OsString>,
    /// The exit codes that a week may give.
    pub codes: &'static [i32],
}

/// Returns the commands for a week; those that write do so in `scratch`.
pub(crate) fn of(paths: &WeekPaths, scratch: &Path) -> Result<Vec<Measured>> {
    let files: Vec<OsString> = paths.segments()?.into_iter().map(Into::into).collect();
    let command = |name, codes, head: &str, tail: &[&dyn AsRef<Path>]| {
        let mut arguments: Vec<OsString> = head.split(' ').map(OsString::from).collect();
        arguments.extend(files.iter().cloned());
        arguments.extend(tail.iter().map(|part| part.as_ref().into()));
        Measured {
            name,
            arguments,
            codes,
        }
    };
    let text: [&dyn AsRef<Path>; 0] = [];
    let (policies, parquet, bundle) = (
        paths.policies(),
        scratch.join("parquet"),
        scratch.join("bundle"),
    );
    let by_day = scratch.join("by-day");
    let (checkpoints, key) = (paths.checkpoints(), paths.public_key());
    let archive = paths.archive();
    Ok(vec![
        command("audit stats", &[0], "audit stats --format json", &text),
        command(
            "audit verify",
            &[0],
            "audit verify",
            &[&"--checkpoints", &checkpoints, &"--key", &key],
        ),
        command(
            "audit search, a denied host",
            &[0],
            "audit search --host paste.share.example --effect deny",
            &text,
        ),
        command(
            "audit search, an hour",
            &[0],
            "audit search --since 2026-11-19T10:00:00Z --until 2026-11-19T11:00:00Z --namespace billing",
            &text,
        ),
        command(
            "audit extract, a day",
            &[0],
            "audit extract --since 2026-11-19 --until 2026-11-20",
            &[
                &"--checkpoints",
                &checkpoints,
                &"--key",
                &key,
                &"--policy-archive",
                &archive,
                &"--output",
                &bundle,
            ],
        ),
        command(
            "audit export, a file an hour",
            &[0],
            "audit export",
            &[&"--parquet", &parquet],
        ),
        command(
            "audit export, by day",
            &[0],
            "audit export --partition day",
            &[&"--parquet", &by_day],
        ),
        command(
            "replay, same policies",
            &[0, 3],
            "replay",
            &[&"--policies", &policies],
        ),
        command("suggest", &[0], "suggest", &text),
    ])
}
