//! Reads the records of an export, and hands them to the crate that writes Parquet.
//!
//! The rules: the files get their names when everything was read and written; what the records do
//! not hold (losses, torn ends, lines that are no records) is in the metadata, and said on stderr.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::json;

use crate::app::cli::{ExportArgs, ExportPartition, Period};
use crate::app::commands::audit::filter::{filter, wants};
use crate::app::commands::audit::losses::{add_losses, losses_json};
use crate::app::commands::counted;
use crate::app::record_files::{RecordFileError, RecordFiles};
use crate::app::{BAD_SETTING, FAILED, print, print_error};
use customs_parquet::export::{
    Export, ExportError, ExportOptions, ExportTarget, ExportedFile, GatheredRecords,
};
use customs_policy::printable;
use customs_record::pretty::timestamp;
use customs_record::proto::{Filter, Loss};
use customs_record::scan::{RecordFold, ScannedRecord};

/// What names one file rather than a directory.
const ENDING: &str = "parquet";

/// Exports, and prints what was made.
pub(super) fn run(args: &ExportArgs) -> ExitCode {
    let period = match args.time.period() {
        Ok(period) => period,
        Err(why) => return refuse(&why.to_string(), BAD_SETTING),
    };
    let Some(target) = target(args) else {
        let why = "--partition day makes a directory of files: name one with --parquet DIR";
        return refuse(why, BAD_SETTING);
    };
    let files = match RecordFiles::find(&args.files.records) {
        Ok(files) => files,
        Err(why) => return refuse(&why.to_string(), FAILED),
    };
    match export(args, period, target, &files) {
        Ok((made, totals)) => {
            print(&human(&made, &args.parquet));
            totals.notes().iter().for_each(|note| print_error(note));
            match totals.unread_files {
                0 => ExitCode::SUCCESS,
                _ => ExitCode::from(FAILED),
            }
        }
        Err(why) => refuse(&why.to_string(), FAILED),
    }
}

fn refuse(why: &str, code: u8) -> ExitCode {
    print_error(why);
    ExitCode::from(code)
}

/// Returns where the export goes; `None` for a file that is to hold several days apart.
fn target(args: &ExportArgs) -> Option<ExportTarget> {
    let path = args.parquet.clone();
    let is_file = path.extension().is_some_and(|ending| ending == ENDING);
    match (is_file, args.partition) {
        (true, None) => Some(ExportTarget::File(path)),
        (true, Some(ExportPartition::Day)) => None,
        (false, None) => Some(ExportTarget::Directory(path)),
        (false, Some(ExportPartition::Day)) => Some(ExportTarget::DirectoryByDay(path)),
    }
}

/// The records of a part of a file that are exported.
struct ExportedPart<'f> {
    period: Period,
    filter: &'f Filter,
    gathered: GatheredRecords,
    totals: ExportTotals,
}

impl RecordFold for ExportedPart<'_> {
    fn take(&mut self, scanned: &ScannedRecord<'_>) {
        if !self.period.contains(timestamp(scanned.fields.head.time)) {
            return;
        }
        let record = scanned.record();
        if wants(self.filter, &record) {
            self.totals.take(scanned);
            self.gathered.add(&record);
        }
    }

    fn weight(&self) -> usize {
        self.gathered.weight()
    }
}

/// What an export says about itself besides its rows.
#[derive(Debug, Default)]
struct ExportTotals {
    records: u64,
    gaps: u64,
    lost: Loss,
    missed: u64,
    no_records: u64,
    torn: u64,
    unread_files: u64,
    unheld_times: u64,
}

impl ExportTotals {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        self.records += 1;
        let Some(record) = record.whole() else {
            return;
        };
        match record.kind.as_str() {
            "gap" => {
                self.gaps += 1;
                add_losses(&mut self.lost, record.lost.unwrap_or_default());
            }
            "lag" => {
                let missed = record.missed_to.saturating_sub(record.missed_from);
                self.missed = self.missed.saturating_add(missed).saturating_add(1);
            }
            _ => {}
        }
    }

    fn merge(&mut self, part: &ExportTotals) {
        self.records += part.records;
        self.gaps += part.gaps;
        add_losses(&mut self.lost, part.lost);
        self.missed = self.missed.saturating_add(part.missed);
    }

    /// Returns the metadata of the export: what it was asked for, and what the records lack.
    fn metadata(&self, args: &ExportArgs, period: Period) -> Vec<(String, String)> {
        let lost = losses_json(self.lost);
        let Filter {
            kinds,
            namespaces,
            hosts,
            reasons,
            effect,
        } = filter(&args.filter);
        let filter = json!({
            "kinds": kinds,
            "namespaces": namespaces,
            "hosts": hosts,
            "reasons": reasons,
            "effect": effect,
        });
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
        [
            ("records", self.records.to_string()),
            ("gaps", self.gaps.to_string()),
            ("lost", lost.to_string()),
            ("missed", self.missed.to_string()),
            ("no_records", self.no_records.to_string()),
            ("torn", self.torn.to_string()),
            ("unread_files", self.unread_files.to_string()),
            ("unheld_times", self.unheld_times.to_string()),
            ("since", time(period.since)),
            ("until", time(period.until)),
            ("filter", filter.to_string()),
        ]
        .map(|(key, value)| (format!("customs.{key}"), value))
        .into()
    }

    /// Returns what a reader of the export should know.
    fn notes(&self) -> Vec<String> {
        let gaps = of(self.gaps, "gap");
        [
            (
                self.gaps,
                format!(
                    "records that were lost, by {gaps}: {}",
                    customs_record::Loss::from(self.lost).total()
                ),
            ),
            (
                self.missed,
                format!("records that a subscriber missed: {}", self.missed),
            ),
            (
                self.no_records,
                format!(
                    "lines or messages that are not records, left out: {}",
                    self.no_records
                ),
            ),
            (
                self.torn,
                format!(
                    "unfinished records at the end of a file, left out: {}",
                    self.torn
                ),
            ),
            (
                self.unheld_times,
                format!(
                    "times before 1677 or after 2262, which became NULL: {}",
                    self.unheld_times
                ),
            ),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(_, note)| note)
        .collect()
    }
}

/// Writes `1 record`, `2 records`.
fn of(count: u64, what: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), what)
}

fn export(
    args: &ExportArgs,
    period: Period,
    target: ExportTarget,
    files: &RecordFiles,
) -> Result<(Vec<ExportedFile>, ExportTotals), ExportError> {
    let mut export = Export::begin(ExportOptions::to(target))?;
    let (gatherer, filter) = (export.gatherer(), filter(&args.filter));
    let (mut totals, mut failure) = (ExportTotals::default(), None);
    let make = |_| ExportedPart {
        period,
        filter: &filter,
        gathered: gatherer.begin(),
        totals: ExportTotals::default(),
    };
    let outcome = files.scan("exporting", make, |_, part| {
        totals.merge(&part.totals);
        match export.take(part.gathered) {
            Ok(()) => ControlFlow::Continue(()),
            Err(why) => {
                failure = Some(why);
                ControlFlow::Break(())
            }
        }
    });
    if let Some(why) = failure {
        return Err(why);
    }
    for (input, file) in files.inputs.iter().zip(&outcome.files) {
        totals.no_records += file.no_records;
        totals.torn += u64::from(file.torn > 0);
        if let Some(why) = RecordFileError::of(&input.path, file) {
            print_error(&why.to_string());
            totals.unread_files += 1;
        }
    }
    totals.unheld_times = export.unheld_times();
    let made = export.end(&totals.metadata(args, period))?;
    Ok((made, totals))
}

/// Returns what was made, as text.
fn human(made: &[ExportedFile], target: &Path) -> String {
    let records = made.iter().map(|file| file.records).sum();
    let bytes: u64 = made.iter().map(|file| file.bytes).sum();
    let line = format!(
        "exported {} to {} ({}, {})",
        of(records, "record"),
        target.display(),
        of(made.len() as u64, "file"),
        of(bytes, "byte"),
    );
    format!("{}\n", printable::line(&line))
}
