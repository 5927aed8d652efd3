//! `customs audit verify --bundle`: checks a bundle with the verifier of the audit log.
//!
//! The script in a bundle makes the same checks without customs. The rule: every finding names the
//! file, and the record if it is one; the chain is asked first, because it says more than a digest.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use super::files::{self, BundleFileError, FileFinding};
use super::report::{BundleReport, Finding, LogResult, human};
use super::{BundleLog, BundleManifest, BundleRecord, MANIFEST, POLICIES, VERSION, edge_text};
use crate::app::cli::VerifyFormat;
use crate::app::commands::audit::verify::{bad_line, exit_code};
use crate::app::commands::print_json;
use crate::app::{BAD_SETTING, print_error, print_lines};
use customs_policy::revision_manifest::is_revision;
use customs_record::entry::audit_log::Position;
use customs_record::plain_file;
use customs_record::signing::{SigningKeyError, Verifier};
use customs_record::verify::VerifyOptions;
use customs_record::verify::range::{self, FilteredReport, RangeReport};
use customs_record::verify::record::Seen;
use customs_record::verify::report::Outcome;
use customs_sources::policy_archive::PolicyArchive;

/// The largest manifest that is read.
const MAX_MANIFEST: usize = 256 << 20;

/// Why a bundle cannot be checked at all.
#[derive(Debug, thiserror::Error)]
enum VerifyBundleError {
    #[error("{0}; name a directory that `customs audit extract` wrote")]
    NoManifest(BundleFileError),
    #[error(
        "`{MANIFEST}` has version {0}, and this version of customs reads version {VERSION}; use a newer customs"
    )]
    Version(u64),
    #[error(transparent)]
    File(#[from] BundleFileError),
    #[error(transparent)]
    Key(#[from] SigningKeyError),
}

/// Checks a bundle and prints the result.
pub(in crate::app::commands::audit) fn run(
    root: &Path,
    keys: &[std::path::PathBuf],
    format: VerifyFormat,
) -> ExitCode {
    let report = match check(root, keys) {
        Ok(report) => report,
        Err(why) => {
            print_error(&why.to_string());
            return ExitCode::from(BAD_SETTING);
        }
    };
    match format {
        VerifyFormat::Json => print_json(&report),
        VerifyFormat::Human => print_lines(&human(&report)),
    }
    exit_code(report.outcome)
}

fn check(root: &Path, keys: &[std::path::PathBuf]) -> Result<BundleReport, VerifyBundleError> {
    let path = root.join(MANIFEST);
    let bytes = plain_file::read(&path, MAX_MANIFEST)
        .map_err(|why| VerifyBundleError::NoManifest(files::at(&path)(why)))?;
    let mut report = BundleReport {
        version: 1,
        outcome: Outcome::Bad,
        findings: Vec::new(),
        since: None,
        until: None,
        filter: None,
        logs: Vec::new(),
        keys: Vec::new(),
        revisions: 0,
        notes: Vec::new(),
    };
    let manifest: BundleManifest = match read_manifest(&bytes) {
        Ok(manifest) => manifest,
        Err(ManifestError::Version(version)) => return Err(VerifyBundleError::Version(version)),
        Err(why @ ManifestError::Syntax(_)) => {
            report.findings.push(Finding::new("changed", MANIFEST, why));
            return Ok(report);
        }
    };
    (report.since, report.until) = (manifest.since, manifest.until);
    report.filter.clone_from(&manifest.filter);
    let listed = files::compare(root, &manifest.files)?;
    let mut check = BundleCheck {
        root,
        manifest: &manifest,
        keys: Vec::new(),
        named: BTreeSet::new(),
        report,
    };
    check.read_keys(keys)?;
    for log in &manifest.logs {
        check.log(log);
    }
    check.policies();
    for FileFinding { path, word, why } in listed {
        check.find(word, &path, why);
    }
    Ok(check.report.judged())
}

/// Why a manifest cannot be read.
#[derive(Debug, thiserror::Error)]
enum ManifestError {
    #[error("it is not the manifest of a bundle: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("it has version {0}")]
    Version(u64),
}

fn read_manifest(bytes: &[u8]) -> Result<BundleManifest, ManifestError> {
    let value: serde_json::Value = serde_json::from_slice(bytes)?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version != u64::from(VERSION) => Err(ManifestError::Version(version)),
        _ => Ok(serde_json::from_value(value)?),
    }
}

struct BundleCheck<'c> {
    root: &'c Path,
    manifest: &'c BundleManifest,
    keys: Vec<Verifier>,
    /// The revisions that records name.
    named: BTreeSet<String>,
    report: BundleReport,
}

impl BundleCheck<'_> {
    fn find(&mut self, word: &str, place: &str, why: impl fmt::Display) {
        self.report.findings.push(Finding::new(word, place, why));
    }

    /// Reads the keys that are given, or those of the bundle.
    fn read_keys(&mut self, given: &[std::path::PathBuf]) -> Result<(), VerifyBundleError> {
        for path in given {
            self.keys.push(Verifier::read(path)?);
        }
        for id in &self.manifest.keys {
            let name = format!("keys/{id}.pem");
            match Verifier::read(&self.root.join(&name)) {
                Ok(key) if key.id() != id => self.find(
                    "changed",
                    &name,
                    format!("it is the key {}, not {id}", key.id()),
                ),
                Ok(key) if given.is_empty() => self.keys.push(key),
                Ok(_) => {}
                Err(why) => self.find("changed", &name, why),
            }
        }
        self.report.keys = self.keys.iter().map(|key| key.id().to_owned()).collect();
        if given.is_empty() && !self.keys.is_empty() {
            self.report.notes.push(
                "the keys are the bundle's own: compare their ids with what you know from elsewhere, or give the keys with --key".into(),
            );
        }
        Ok(())
    }

    fn log(&mut self, log: &BundleLog) {
        if log.record_files.is_empty() {
            return self.find(
                "missing",
                &log.directory,
                "the manifest lists no file of records",
            );
        }
        let options = VerifyOptions {
            files: log
                .record_files
                .iter()
                .map(|name| self.root.join(name))
                .collect(),
            checkpoints: log
                .checkpoint_file
                .as_ref()
                .map(|name| self.root.join(name)),
            keys: self.keys.clone(),
        };
        let start: Option<Position> = log.start.clone().map(Into::into);
        let mut named = BTreeSet::new();
        let mut take = |seen: &Seen| named.extend(revisions_of(seen));
        let verified = match &log.omitted_file {
            None => {
                let report = range::verify_range(&options, start.as_ref(), |seen| {
                    take(seen);
                    true
                });
                report.map(|report| self.whole(log, report))
            }
            Some(omitted) => {
                let omitted = self.root.join(omitted);
                let report = range::verify_filtered(&options, &omitted, start.as_ref(), take);
                report.map(|report| self.filtered(log, report))
            }
        };
        if let Err(why) = verified {
            self.find("damaged", &log.directory, why);
        }
        self.named.append(&mut named);
    }

    fn whole(&mut self, log: &BundleLog, report: RangeReport) {
        let covers_window = report.covers(self.manifest.window());
        let RangeReport {
            report,
            first,
            last,
            ..
        } = report;
        if let Some(bad) = &report.bad {
            return self.found_bad(bad);
        }
        let result = LogResult {
            directory: log.directory.clone(),
            sink: log.sink.clone(),
            records: report.records,
            decisions: report.decisions,
            omitted: 0,
            sealed: report.records.saturating_sub(report.unsealed_records),
            first: edge_text(first.as_ref()),
            last: edge_text(last.as_ref()),
            covers_window,
            last_checkpoint: report.last_checkpoint,
        };
        let ends = [first.map(BundleRecord::from), last.map(BundleRecord::from)];
        self.compare(log, &result, &ends);
        if let Some(torn) = report.torn {
            self.find("changed", &torn.file, "it ends in an unfinished record");
        }
        self.report.logs.push(result);
    }

    fn filtered(&mut self, log: &BundleLog, report: FilteredReport) {
        if let Some(bad) = &report.bad {
            return self.found_bad(bad);
        }
        let result = LogResult {
            directory: log.directory.clone(),
            sink: log.sink.clone(),
            records: report.records,
            decisions: report.decisions,
            omitted: report.omitted,
            sealed: report.proven,
            first: edge_text(report.first.as_ref()),
            last: edge_text(report.last.as_ref()),
            covers_window: false,
            last_checkpoint: None,
        };
        // An omitted record has no time.
        let end = |edge: Option<range::RangeEdge>, listed: &BundleRecord| {
            edge.map(|edge| BundleRecord {
                time: if edge.time.is_empty() {
                    listed.time.clone()
                } else {
                    edge.time.clone()
                },
                ..edge.into()
            })
        };
        let ends = [end(report.first, &log.first), end(report.last, &log.last)];
        self.compare(log, &result, &ends);
        self.report.logs.push(result);
    }

    fn found_bad(&mut self, bad: &customs_record::verify::report::Bad) {
        let mut bad = bad.clone();
        let root = format!("{}/", self.root.display());
        bad.named.file = bad.named.file.trim_start_matches(&root).to_owned();
        bad.why = bad.why.replace(&root, "");
        self.report.findings.push(Finding {
            word: bad.what.as_str().to_owned(),
            text: bad_line(&bad),
        });
    }

    /// Compares a log with what the manifest says of it.
    fn compare(&mut self, log: &BundleLog, found: &LogResult, ends: &[Option<BundleRecord>; 2]) {
        let counts = [
            ("records", found.records, log.records),
            ("decisions", found.decisions, log.decisions),
            ("omitted records", found.omitted, log.omitted),
        ];
        for (what, found, listed) in counts {
            if found != listed {
                let why = format!("it has {found} {what}, and the manifest says {listed}");
                self.find("truncated", &log.directory, why);
            }
        }
        for (what, found, listed) in [
            ("first", &ends[0], &log.first),
            ("last", &ends[1], &log.last),
        ] {
            if found.as_ref() != Some(listed) {
                let why = format!(
                    "its {what} record is not record {} of stream {}, {}, as the manifest says",
                    listed.sequence, listed.stream, listed.time
                );
                self.find("truncated", &log.directory, why);
            }
        }
    }

    /// Computes the revisions again, and looks for those that the records name.
    fn policies(&mut self) {
        let archive = PolicyArchive::new(self.root.join(POLICIES));
        let root = format!("{}/", self.root.display());
        let missing: BTreeSet<&String> = self.manifest.missing_revisions.iter().collect();
        let listed: BTreeSet<&String> = self.manifest.revisions.iter().collect();
        for revision in listed.difference(&missing) {
            match archive.load(revision) {
                Ok(_) => self.report.revisions += 1,
                Err(why) => self.find(
                    "policy",
                    &format!("revision {revision}"),
                    why.to_string().replace(&root, ""),
                ),
            }
        }
        let named = std::mem::take(&mut self.named);
        for revision in named.iter().filter(|revision| !listed.contains(revision)) {
            self.find(
                "policy",
                &format!("revision {revision}"),
                "records name it, and the manifest does not list it",
            );
        }
        if !missing.is_empty() {
            let missing: Vec<&str> = missing.iter().map(|revision| revision.as_str()).collect();
            self.report.notes.push(format!(
                "the policies of these revisions are not in the bundle: {}",
                missing.join(", ")
            ));
        }
    }
}

/// Returns the revisions that a record names.
pub(super) fn revisions_of(seen: &Seen) -> Vec<String> {
    use customs_record::verify::record::About;
    let named = match &seen.about {
        About::PolicyChange(change) => vec![change.revision.clone(), change.previous.clone()],
        About::Stream(_) | About::Gap(_) | About::Checkpoint(_) => Vec::new(),
        About::Decision | About::Other => seen.revision().into_iter().collect(),
    };
    let is_name = |revision: &String| is_revision(revision);
    named.into_iter().filter(is_name).collect()
}
