//! `customs audit extract`: writes a bundle.
//!
//! The records are read twice: once to find the range of the window in each log, and once to verify
//! and copy it, in bounded memory. The rule: a bundle is written only of a log that is right, and
//! what was written is verified again before the command ends.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use super::files::{self, BundleFileError, FileWriter};
use super::policies::{self, AddPoliciesError};
use super::{
    BundleFile, BundleLog, BundleManifest, CHECKPOINTS, MANIFEST, README, SCRIPT, VERSION,
    WRITTEN_BY, verify, window,
};
use crate::app::cli::{EmptyPeriodError, ExtractArgs};
use crate::app::commands::audit::filter;
use crate::app::commands::audit::verify::bad_line;
use crate::app::progress::Progress;
use crate::app::record_files::{RecordFiles, RecordFilesError};
use crate::app::{BAD_SETTING, FAILED, print_error};
use customs_record::proto::Filter;
use customs_record::scan::ScanInput;
use customs_record::signing::{SigningKeyError, Verifier};
use customs_record::stream::Format;
use customs_record::verify::files::LogReadError;
use customs_record::verify::range::{self, LogRange, RangeError, RangeReport};
use customs_record::verify::record::Seen;
use customs_record::verify::report::Bad;
use customs_sources::policy_archive::PolicyArchive;

/// What a bundle says to its reader, and the script that checks it.
const README_TEXT: &str = include_str!("README.md");
const SCRIPT_TEXT: &str = include_str!("verify.py");

/// The kinds that every bundle keeps, whatever its filter: they say how the log hangs together, and
/// what was in force.
const KEPT: [&str; 7] = [
    "stream",
    "checkpoint",
    "gap",
    "lag",
    "start",
    "stop",
    "policyChange",
];

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
enum ExtractError {
    /// The window is none.
    #[error(transparent)]
    Period(#[from] EmptyPeriodError),
    /// There are no records.
    #[error(transparent)]
    Files(#[from] RecordFilesError),
    /// Standard input.
    #[error("-: the records are read twice, so they cannot be read from stdin; name a file")]
    Stdin,
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// There is no range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A file of records or checkpoints cannot be read.
    #[error(transparent)]
    Read(#[from] LogReadError),
    /// The bundle cannot be written.
    #[error("the bundle cannot be written: {0}")]
    Write(#[from] BundleFileError),
    /// The output is there already.
    #[error("`{}` is there already; name a directory that does not exist", .0.display())]
    Exists(PathBuf),
    /// The log is not what was written.
    #[error("there is no bundle, because the audit log is not what was written: {}", bad_line(.0))]
    Bad(Box<Bad>),
    /// The policies cannot be added.
    #[error(transparent)]
    Policies(AddPoliciesError),
    /// The archive does not have all revisions.
    #[error(
        "the policy archive `{}` does not have {}, which the records name; with --allow-missing-policies the bundle says so instead",
        archive.display(), revisions.join(", ")
    )]
    MissingRevisions {
        archive: PathBuf,
        revisions: Vec<String>,
    },
}

impl From<AddPoliciesError> for ExtractError {
    fn from(why: AddPoliciesError) -> ExtractError {
        match why {
            AddPoliciesError::Bundle(why) => why.into(),
            why @ AddPoliciesError::Archive(_) => ExtractError::Policies(why),
        }
    }
}

/// Writes a bundle, verifies it and prints the result.
pub(in crate::app::commands::audit) fn run(args: &ExtractArgs) -> ExitCode {
    let written = create(&args.output).and_then(|()| {
        let written = write(args);
        if written.is_err() {
            // Half a bundle would be taken for a whole one that was changed.
            let _ = fs::remove_dir_all(&args.output);
        }
        written
    });
    match written {
        Ok(()) => verify::run(&args.output, &args.key, args.format),
        Err(why) => {
            print_error(&why.to_string());
            ExitCode::from(match why {
                ExtractError::Bad(_) => FAILED,
                _ => BAD_SETTING,
            })
        }
    }
}

fn create(output: &Path) -> Result<(), ExtractError> {
    match fs::create_dir(output) {
        Ok(()) => Ok(()),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
            Err(ExtractError::Exists(output.to_owned()))
        }
        Err(why) => Err(files::at(output)(why).into()),
    }
}

fn write(args: &ExtractArgs) -> Result<(), ExtractError> {
    let root = args.output.as_path();
    let mut keys = Vec::new();
    let mut written: BTreeSet<BundleFile> = BTreeSet::new();
    for path in &args.key {
        let key = Verifier::read(path)?;
        if keys.iter().any(|other: &Verifier| other.id() == key.id()) {
            continue;
        }
        let text = fs::read(path).map_err(files::at(path))?;
        written.insert(files::write(
            root,
            &format!("keys/{}.pem", key.id()),
            &text,
        )?);
        keys.push(key);
    }
    let period = args.time.period()?;
    let window = window(period.since, period.until);
    let records = RecordFiles::find(&args.files.records)?;
    if records.inputs.iter().any(ScanInput::is_stdin) {
        return Err(ExtractError::Stdin);
    }
    records.notes.iter().for_each(|note| print_error(note));
    let ranges = {
        let progress = Progress::of_bytes("looking for the window", records.bytes);
        range::find(&records.paths(), window, &keys, progress.counter())?
    };
    let progress = Progress::of_bytes("copying", None);
    let selected = filter::filter(&args.filter);
    let selected = (selected != Filter::default()).then_some(selected);
    let (mut logs, mut revisions) = (Vec::new(), BTreeSet::new());
    for (number, range) in (1..).zip(ranges) {
        let directory = format!("logs/{number}");
        let mut copy = LogCopy::new(root, directory, selected.as_ref(), progress.counter());
        let report = copy.read(&range, &keys)?;
        revisions.append(&mut copy.revisions);
        logs.push(copy.finish(&range, report, args.checkpoints.as_deref(), &mut written)?);
    }
    let missing = match &args.policy_archive {
        Some(path) => {
            let archive = PolicyArchive::new(path);
            let missing = policies::add(root, &archive, &revisions, &mut written)?;
            if !missing.is_empty() && !args.allow_missing_policies {
                return Err(ExtractError::MissingRevisions {
                    archive: path.clone(),
                    revisions: missing,
                });
            }
            missing
        }
        None => revisions.iter().cloned().collect(),
    };
    written.insert(files::write(root, README, README_TEXT.as_bytes())?);
    written.insert(files::write(root, SCRIPT, SCRIPT_TEXT.as_bytes())?);
    let manifest = BundleManifest {
        version: VERSION,
        written_by: WRITTEN_BY.to_owned(),
        written_at: Timestamp::now(),
        since: period.since,
        until: period.until,
        filter: selected.map(|filter| in_words(&filter)),
        logs,
        keys: keys.iter().map(|key| key.id().to_owned()).collect(),
        revisions: revisions.into_iter().collect(),
        missing_revisions: missing,
        files: written.into_iter().collect(),
    };
    // Only maps with keys that are not texts could fail, and there are none.
    let text = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
    files::write(root, MANIFEST, text.as_bytes())?;
    Ok(())
}

/// Says what a filter selects.
fn in_words(filter: &Filter) -> String {
    let Filter {
        kinds,
        namespaces,
        hosts,
        reasons,
        effect,
    } = filter;
    let one = |name: &str, values: &[String]| {
        (!values.is_empty()).then(|| format!("{name} {}", values.join(" or ")))
    };
    let effect: Vec<String> = Some(effect.clone())
        .filter(|effect| !effect.is_empty())
        .into_iter()
        .collect();
    let parts = [
        one("kind", kinds),
        one("namespace", namespaces),
        one("host", hosts),
        one("reason", reasons),
        one("effect", &effect),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A log that is being copied.
struct LogCopy<'c> {
    root: &'c Path,
    directory: String,
    filter: Option<&'c Filter>,
    /// The files of records that are complete, and the one that is being written.
    complete: Vec<BundleFile>,
    current: Option<(Format, FileWriter)>,
    omitted: Option<OmittedWriter>,
    revisions: BTreeSet<String>,
    records: u64,
    decisions: u64,
    failure: Option<BundleFileError>,
    /// Counts the bytes that were read.
    progress: &'c AtomicU64,
}

/// Writes which records are omitted.
struct OmittedWriter {
    file: FileWriter,
    run: Option<range::OmittedRun>,
    records: u64,
}

impl OmittedWriter {
    fn omit(&mut self, seen: &Seen) {
        self.records += 1;
        match &mut self.run {
            Some(run) => run.extend(seen),
            None => self.run = Some(range::OmittedRun::of(seen)),
        }
    }

    fn end_run(&mut self) -> Result<(), BundleFileError> {
        match self.run.take() {
            Some(run) => self.file.write(run.to_line().as_bytes()),
            None => Ok(()),
        }
    }
}

impl<'c> LogCopy<'c> {
    fn new(
        root: &'c Path,
        directory: String,
        filter: Option<&'c Filter>,
        progress: &'c AtomicU64,
    ) -> LogCopy<'c> {
        LogCopy {
            root,
            directory,
            filter,
            complete: Vec::new(),
            current: None,
            omitted: None,
            revisions: BTreeSet::new(),
            records: 0,
            decisions: 0,
            failure: None,
            progress,
        }
    }

    /// Verifies and copies a range.
    fn read(&mut self, range: &LogRange, keys: &[Verifier]) -> Result<RangeReport, ExtractError> {
        if self.filter.is_some() {
            let name = format!("{}/omitted.jsonl", self.directory);
            self.omitted = Some(OmittedWriter {
                file: FileWriter::create(self.root, &name)?,
                run: None,
                records: 0,
            });
        }
        let report = range.read(keys, |seen| match self.take(seen) {
            Ok(()) => true,
            Err(why) => {
                self.failure = Some(why);
                false
            }
        })?;
        match (self.failure.take(), &report.report.bad) {
            (Some(why), _) => Err(why.into()),
            (None, Some(bad)) => Err(ExtractError::Bad(bad.clone().into())),
            (None, None) => Ok(report),
        }
    }

    fn take(&mut self, seen: &Seen) -> Result<(), BundleFileError> {
        self.progress
            .fetch_add(seen.size() as u64, Ordering::Relaxed);
        if let (Some(filter), Some(omitted)) = (self.filter, &mut self.omitted) {
            let is_kept = KEPT.contains(&seen.kind.as_str())
                || seen
                    .decode()
                    .is_ok_and(|record| filter::wants(filter, &record));
            if !is_kept {
                omitted.omit(seen);
                return Ok(());
            }
            omitted.end_run()?;
        }
        self.revisions.extend(verify::revisions_of(seen));
        self.records += 1;
        self.decisions += u64::from(seen.kind == "decision");
        let mut bytes = Vec::new();
        seen.write(&mut bytes);
        self.writer(seen.format())?.write(&bytes)
    }

    /// Returns the file for records of a format; a log may change its format.
    fn writer(&mut self, format: Format) -> Result<&mut FileWriter, BundleFileError> {
        if let Some((other, file)) = self.current.take_if(|(current, _)| *current != format) {
            debug_assert_ne!(other, format);
            self.complete.push(file.finish()?);
        }
        let ending = match format {
            Format::Json => "jsonl",
            Format::Protobuf => "binpb",
        };
        let number = self.complete.len() + 1;
        let name = format!("{}/records-{number}.{ending}", self.directory);
        let current = match self.current.take() {
            Some(current) => current,
            None => (format, FileWriter::create(self.root, &name)?),
        };
        Ok(&mut self.current.insert(current).1)
    }

    /// Completes the files of the log.
    fn finish(
        mut self,
        range: &LogRange,
        report: RangeReport,
        checkpoints: Option<&Path>,
        written: &mut BTreeSet<BundleFile>,
    ) -> Result<BundleLog, ExtractError> {
        if let Some((_, file)) = self.current.take() {
            self.complete.push(file.finish()?);
        }
        let record_files = self.complete.iter().map(|file| file.path.clone()).collect();
        written.extend(self.complete);
        let mut log = BundleLog {
            directory: self.directory,
            sink: range.sink.clone(),
            sink_filter: range.filter.clone(),
            start: None,
            first: edge(report.first.clone()),
            last: edge(report.last.clone()),
            records: self.records,
            decisions: self.decisions,
            record_files,
            omitted_file: None,
            omitted: 0,
            checkpoint_file: None,
        };
        if let Some(mut omitted) = self.omitted {
            omitted.end_run()?;
            log.omitted = omitted.records;
            let file = omitted.file.finish()?;
            log.omitted_file = Some(file.path.clone());
            written.insert(file);
        }
        if let Some(path) = checkpoints {
            let lines = range::checkpoint_lines(path, &report)?;
            let name = format!("{}/{CHECKPOINTS}", log.directory);
            if !lines.is_empty() {
                written.insert(files::write(self.root, &name, &lines)?);
                log.checkpoint_file = Some(name);
            }
        }
        log.start = report.start.map(Into::into);
        Ok(log)
    }
}

/// A range has at least one record.
fn edge(edge: Option<range::RangeEdge>) -> super::BundleRecord {
    let none = range::RangeEdge {
        stream: String::new(),
        sequence: 0,
        time: String::new(),
    };
    edge.unwrap_or(none).into()
}
