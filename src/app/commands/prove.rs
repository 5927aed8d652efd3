//! `customs prove`: proves that policies keep their guards for every request, or finds one that
//! breaks them.
//!
//! The policies are loaded as `serve` would, but for their guards: a set that breaks one is what
//! this command is for. Guards may also be in files of their own. The exit code is 0 if every guard
//! is proved, 1 if one is broken, 3 if none is and one is not proved, 2 if there is no answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::lint::ProblemLine;
use super::prove_report::{self, Report};
use super::render::print_problems;
use super::source_map::SourceMap;
use super::sources::{self, Found};
use super::{BAD_SETTING, FAILED, print_error, print_json, print_lines};
use crate::app::cli::{ProofFormat, ProveOptions};
use crate::app::settings::Resolved;
use customs_analysis::guards::{self, Proof};
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::document::MAX_FILE;
use customs_policy::guard::{Claim, Guard};
use customs_policy::problem::{Code, Place, Problem};
use customs_policy::source::{self, LoadedSource, PolicyFile, Source};
use customs_record::clock;
use customs_record::plain_file;
use customs_sources::PolicyDirectory;

/// The exit code if no guard is broken, and one is not proved.
const NOT_PROVED: u8 = 3;

/// Proves the guards and prints what is known of each.
pub(super) fn run(settings: &Resolved, options: &ProveOptions) -> ExitCode {
    let mut read = Read::default();
    let Some((snapshot, guards)) = read.guarded(settings, &options.guard) else {
        return read.refuse(options.format);
    };
    let now = options
        .now
        .map_or_else(clock::now, |time| UnixNanos(time.as_nanosecond()));
    let (compared, own): (Vec<Guard>, Vec<Guard>) = guards
        .into_iter()
        .partition(|guard| matches!(guard.claim, Claim::UnchangedFrom(_)));
    let others = read.others(&compared, &settings.engine);
    if !read.problems.is_empty() {
        return read.refuse(options.format);
    }
    let mut proofs = guards::prove(&own, &snapshot, now, options.budget);
    for guard in &compared {
        if let Some(other) = others.get(&directory(guard)) {
            let proof = guards::prove_unchanged(guard, (other, &snapshot), now, options.budget);
            proofs.push(proof);
        }
    }
    proofs.sort_by(|a, b| (&a.guard.place, &a.guard.id).cmp(&(&b.guard.place, &b.guard.id)));
    let directories = settings.policies.iter();
    let report = Report {
        proofs: &proofs,
        snapshot: &snapshot,
        directories: directories
            .map(|directory| directory.path().display().to_string())
            .collect(),
        now,
        given: options.now,
    };
    match options.format {
        ProofFormat::Human => print_lines(&prove_report::paper(&report)),
        ProofFormat::Json => print_json(&prove_report::document(&report)),
    }
    ExitCode::from(code(&proofs))
}

/// Returns the exit code: a broken guard says more than one that is not proved.
fn code(proofs: &[Proof<'_>]) -> u8 {
    let is_unproved = |proof: &Proof<'_>| proof.is_unproved();
    match proofs {
        proofs if proofs.iter().all(Proof::is_proved) => 0,
        proofs
            if proofs
                .iter()
                .all(|proof| proof.is_proved() || is_unproved(proof)) =>
        {
            NOT_PROVED
        }
        _ => FAILED,
    }
}

/// What was read, and why it is no answer.
#[derive(Default)]
struct Read {
    source_map: SourceMap,
    problems: Vec<Problem>,
}

impl Read {
    /// Reads the policies, with the guards of their directories and of files.
    fn guarded(
        &mut self,
        settings: &Resolved,
        files: &[PathBuf],
    ) -> Option<(Snapshot, Vec<Guard>)> {
        let found = sources::load(&settings.policies, &settings.engine);
        let Found {
            problems,
            source_map,
            snapshot,
            loaded,
            ..
        } = found;
        self.source_map.take_in(source_map);
        let errors = problems.into_iter().filter(Problem::is_error);
        match &snapshot {
            // An error of a source that is bound to a namespace leaves a set in force.
            Some(_) => errors.for_each(|problem| print_error(&problem.to_string())),
            None => self.problems.extend(errors),
        }
        let files: Vec<LoadedSource> = files
            .iter()
            .filter_map(|file| self.guard_file(file, &settings.engine))
            .collect();
        let snapshot = snapshot.filter(|_| self.problems.is_empty())?;
        let good = loaded.into_iter().filter(|source| !source.has_errors());
        let all: Vec<LoadedSource> = good.chain(files).collect();
        let guards = match compile::compile(&all, &settings.engine) {
            Ok(compiled) => compiled.guards,
            Err(problems) => {
                self.problems.extend(problems);
                return None;
            }
        };
        if guards.is_empty() {
            let names: Vec<_> = settings
                .policies
                .iter()
                .map(|directory| directory.path().display().to_string())
                .collect();
            let what = "there is no PolicyGuard, so there is nothing to prove";
            let problem = Problem::error(Code::MissingField, Place::whole(names.join(", ")), what);
            let hint = "add one to a directory, or name a file with `--guard FILE`";
            self.problems.push(problem.hint(hint));
            return None;
        }
        Some((snapshot, guards))
    }

    /// Reads a file that holds guards and nothing else.
    fn guard_file(&mut self, path: &Path, settings: &Settings) -> Option<LoadedSource> {
        let place = Place::whole(path.display().to_string());
        let bytes = match plain_file::read(path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(why) => {
                let what = format!("the file cannot be read: {why}");
                self.problems
                    .push(Problem::error(Code::Unreadable, place, what));
                return None;
            }
        };
        let parent = path.parent().map(|parent| parent.display().to_string());
        let parent = parent.filter(|parent| !parent.is_empty());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let source = Source {
            name: parent.unwrap_or_else(|| ".".into()),
            files: vec![PolicyFile {
                name: name.into_owned(),
                bytes: bytes.into(),
            }],
            ..Source::default()
        };
        for file in &source.files {
            let name = source.path_of(&file.name);
            self.source_map.add(name, file.bytes.clone());
        }
        let loaded = source::load(&source, settings);
        let errors = loaded
            .problems()
            .iter()
            .filter(|problem| problem.is_error());
        self.problems.extend(errors.cloned());
        if loaded.has_policies() {
            let what = "a file of `--guard` holds PolicyGuards only";
            let hint = "put policies and DestinationSets into a policy directory";
            self.problems
                .push(Problem::error(Code::Conflict, place, what).hint(hint));
        }
        (!loaded.has_errors()).then_some(loaded)
    }

    /// Reads the policies that guards compare with, each directory once.
    fn others(&mut self, guards: &[Guard], settings: &Settings) -> BTreeMap<PathBuf, Snapshot> {
        let mut others = BTreeMap::new();
        for guard in guards {
            let path = directory(guard);
            if others.contains_key(&path) {
                continue;
            }
            let found = sources::load(&[PolicyDirectory::source(path.clone())], settings);
            self.source_map.take_in(found.source_map);
            match found.snapshot {
                Some(snapshot) => drop(others.insert(path, snapshot)),
                None => {
                    let what = format!(
                        "`{}` compares with policies that do not load: {}",
                        guard.id,
                        path.display()
                    );
                    let problem = Problem::error(Code::BadValue, guard.place.clone(), what);
                    self.problems.push(problem);
                    let errors = found.problems.into_iter().filter(Problem::is_error);
                    self.problems.extend(errors);
                }
            }
        }
        others
    }

    /// Prints why there is no answer.
    fn refuse(&self, format: ProofFormat) -> ExitCode {
        match format {
            ProofFormat::Human => {
                print_problems(&self.source_map, &self.problems);
            }
            ProofFormat::Json => {
                let problems: Vec<_> = self
                    .problems
                    .iter()
                    .map(|problem| ProblemLine::of(problem, &self.source_map))
                    .collect();
                print_json(&serde_json::json!({ "version": 1, "problems": problems }));
            }
        }
        print_error("nothing is proved: the policies or the guards do not load");
        ExitCode::from(BAD_SETTING)
    }
}

/// Returns the directory that a guard compares with: relative to the file of the guard.
fn directory(guard: &Guard) -> PathBuf {
    let named = match &guard.claim {
        Claim::UnchangedFrom(directory) => directory.as_ref(),
        Claim::Never(_) | Claim::Always(_) | Claim::Only(_) => "",
    };
    let file: &str = &guard.place.file;
    Path::new(file)
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .join(named)
}
