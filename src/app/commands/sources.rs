//! Loads policy directories as `serve` does at its start: with the same reader, to the same policy
//! set, and with every problem.
//!
//! A server reports what prevents a source from loading. An author wants everything at once, so if
//! a set cannot be in force, the warnings of the good sources and the problems of the whole set are
//! also reported.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::source_map::SourceMap;
use crate::app::settings::Resolved;
use customs_analysis::findings::{self, Horizon};
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_policy::compile;
use customs_policy::document::MAX_FILE;
use customs_policy::language::{self, LanguageVersion};
use customs_policy::policy_set::{PolicySet, SourceReadings};
use customs_policy::problem::{Code, Place, Problem};
use customs_policy::source::{LoadedSource, PolicyFile, Source};
use customs_record::clock::now;
use customs_record::plain_file;
use customs_sources::Progress;
use customs_sources::StatCache;
use customs_sources::{GuardChecks, PolicyDirectories, PolicyDirectory, read_sources};
use customs_sources::{Walk, walk};

/// The content of the directories.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Every problem, sorted by place.
    pub problems: Vec<Problem>,
    /// The policy files.
    pub source_map: SourceMap,
    /// The set that would be in force. There may still be errors of sources that are bound to a
    /// namespace.
    pub snapshot: Option<Snapshot>,
    /// The sources that could be read.
    pub loaded: Vec<LoadedSource>,
    /// The directories with test cases, and whether their subdirectories belong to them.
    pub sources: Vec<(String, bool)>,
}

/// The text of one policy file, which is looked at beside the directories, or in place of a file
/// of theirs.
#[derive(Clone, Debug)]
pub(super) struct PolicyText {
    /// The path of the file, as in places.
    pub path: String,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

impl Found {
    /// Adds what an older version of customs would refuse.
    pub(super) fn require_version(&mut self, target: LanguageVersion) {
        for (file, bytes) in self.source_map.files() {
            // A file that is not text is an error already.
            if let Ok(text) = std::str::from_utf8(bytes) {
                self.problems
                    .extend(language::newer_than(target, file, text));
            }
        }
        in_order(&mut self.problems);
    }
}

/// Reads the directories of one set, without a look at its guards.
pub(super) fn load(directories: &[PolicyDirectory], settings: &Settings) -> Found {
    let horizon = Horizon::at(now());
    read(directories, &[], settings, GuardChecks::Off, horizon)
}

/// Reads the directories of one set, as a server would now.
pub(super) fn load_as_server(settings: &Resolved) -> Found {
    let (directories, guards) = (&settings.policies, settings.policy_guards);
    let horizon = Horizon::at(now());
    read(directories, &[], &settings.engine, guards, horizon)
}

/// Reads directories and texts as a server would at a given time, and adds the problems of the whole
/// set.
pub(super) fn look(
    settings: &Resolved,
    directories: &[PolicyDirectory],
    texts: &[PolicyText],
    horizon: Horizon,
) -> Found {
    let guards = settings.policy_guards;
    let mut found = read(directories, texts, &settings.engine, guards, horizon);
    if let Some(snapshot) = &found.snapshot {
        found.problems.extend(findings::findings(snapshot, horizon));
        in_order(&mut found.problems);
    }
    found
}

fn read(
    directories: &[PolicyDirectory],
    texts: &[PolicyText],
    settings: &Settings,
    guards: GuardChecks,
    horizon: Horizon,
) -> Found {
    let loose = loose_texts(directories, texts);
    let first = loose.first().map(|text| text.path.clone());
    let apart = (!loose.is_empty()).then(|| PolicyDirectory::source(LOOSE.into()));
    let directories = PolicyDirectories::new(directories.iter().cloned().chain(apart));
    let mut set = directories.policy_set(settings.clone(), horizon.days, guards);
    let mut readings = read_sources(&directories, &mut set);
    replace_files(&mut readings, texts);
    if !loose.is_empty() {
        readings
            .policies
            .insert(LOOSE.into(), Ok(loose_source(loose)));
    }
    let outcome = set.reload(readings, horizon.now.unwrap_or_else(now));
    let mut source_map = SourceMap::default();
    for source in set.loaded_sources().map(LoadedSource::source) {
        for file in &source.files {
            source_map.add(source.path_of(&file.name), file.bytes.clone());
        }
    }
    let statuses = set.statuses();
    let mut problems: Vec<Problem> = set.warnings().cloned().collect();
    problems.extend(statuses.iter().flat_map(|source| source.problems.clone()));
    if outcome.snapshot.is_none() {
        problems.extend(beyond_the_set(&set, settings));
    }
    // A problem of the source of single files is one of the first of them.
    for problem in problems.iter_mut().filter(|p| p.place.file.is_empty()) {
        problem.place = Place::whole(first.clone().unwrap_or_default());
    }
    in_order(&mut problems);
    let located = set
        .sources()
        .filter_map(|(id, scope)| Some((id.to_string(), directories.locate(id, scope)?.1)));
    let sources = located
        .filter(|(name, _)| name != LOOSE)
        .map(|(name, options)| (name, options.recursive))
        .collect();
    Found {
        problems,
        source_map,
        snapshot: outcome.snapshot,
        loaded: set.loaded_sources().cloned().collect(),
        sources,
    }
}

/// The name of the source of single files, whose names are whole paths.
const LOOSE: &str = "";

/// Returns the texts that are not of a file in one of the directories.
fn loose_texts<'t>(
    directories: &[PolicyDirectory],
    texts: &'t [PolicyText],
) -> Vec<&'t PolicyText> {
    if texts.is_empty() {
        return Vec::new();
    }
    let directories = PolicyDirectories::new(directories.iter().cloned());
    let mut set = directories.policy_set(Settings::default(), 0, GuardChecks::Off);
    let readings = read_sources(&directories, &mut set);
    let sources = readings.policies.values().flatten();
    let held: BTreeSet<PathBuf> = sources
        .flat_map(|source| source.files.iter().map(|file| source.path_of(&file.name)))
        .map(|path| normal(&path))
        .collect();
    let is_loose = |text: &&PolicyText| !held.contains(&normal(&text.path));
    texts.iter().filter(is_loose).collect()
}

/// Returns a path without `.` components.
fn normal(path: &str) -> PathBuf {
    let parts = Path::new(path).components();
    parts.filter(|part| *part != Component::CurDir).collect()
}

fn loose_source(mut texts: Vec<&PolicyText>) -> Source {
    texts.sort_by(|a, b| a.path.cmp(&b.path));
    let file = |text: &PolicyText| PolicyFile {
        name: text.path.clone(),
        bytes: text.bytes.clone(),
    };
    Source {
        name: LOOSE.to_owned(),
        files: texts.into_iter().map(file).collect(),
        ..Source::default()
    }
}

/// Puts texts in place of the files that they are of.
fn replace_files(readings: &mut SourceReadings, texts: &[PolicyText]) {
    for source in readings.policies.values_mut().flatten() {
        let paths: Vec<PathBuf> = source
            .files
            .iter()
            .map(|file| normal(&source.path_of(&file.name)))
            .collect();
        for (file, path) in source.files.iter_mut().zip(paths) {
            if let Some(text) = texts.iter().find(|text| normal(&text.path) == path) {
                file.bytes = text.bytes.clone();
            }
        }
    }
}

/// Sorts the problems by place and removes duplicates.
fn in_order(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| (&a.place, a.code, &a.text).cmp(&(&b.place, b.code, &b.text)));
    problems.dedup();
}

/// Returns the problems that a server does not report while a source is rejected: the warnings of
/// good sources, and the errors of the whole set.
fn beyond_the_set(set: &PolicySet, settings: &Settings) -> Vec<Problem> {
    let loaded: Vec<_> = set.loaded_sources().cloned().collect();
    // A file that could not be read may contain what the others refer to.
    let whole = if set.is_completely_read() {
        compile::compile(&loaded, settings).err()
    } else {
        None
    };
    let alone = loaded.iter().flat_map(LoadedSource::problems).cloned();
    alone.chain(whole.into_iter().flatten()).collect()
}

/// A test file as it was read.
pub(super) struct CasesFile {
    /// Its path, as in places.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Reads a file that a flag names.
pub(super) fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    fs::read(path)
}

/// Reads the `*.cases.yaml` files of a directory, sorted by name.
pub(super) fn cases_files(
    directory: &Path,
    recursive: bool,
    problems: &mut Vec<Problem>,
) -> Vec<CasesFile> {
    let found = walk(
        directory,
        recursive,
        &StatCache::default(),
        &Progress::default(),
    )
    .unwrap_or_else(|unreadable| {
        // A problem that prevents reading the policies is reported with them.
        let new: Vec<_> = unreadable
            .into_iter()
            .filter(|problem| !problems.contains(problem))
            .collect();
        problems.extend(new);
        Walk::default()
    });
    found
        .cases
        .iter()
        .filter_map(|name| {
            read_cases(directory, name)
                .map_err(|problem| problems.push(*problem))
                .ok()
        })
        .collect()
}

fn read_cases(directory: &Path, name: &str) -> Result<CasesFile, Box<Problem>> {
    let path = format!(
        "{}/{name}",
        directory.display().to_string().trim_end_matches('/')
    );
    let bytes = policy_bytes(&directory.join(name), path.clone())?;
    Ok(CasesFile { path, bytes })
}

/// Reads a file of policies or cases; `file` is its name in problems.
///
/// # Errors
/// The problem of a file that cannot be read.
pub(super) fn policy_bytes(path: &Path, file: String) -> Result<Vec<u8>, Box<Problem>> {
    let problem =
        |code, text: String| Box::new(Problem::error(code, Place::whole(file.clone()), text));
    let cannot =
        |why: std::io::Error| problem(Code::Unreadable, format!("the file cannot be read: {why}"));
    plain_file::read(path, MAX_FILE).map_err(|why| match why.kind() {
        ErrorKind::FileTooLarge => problem(Code::TooLarge, why.to_string()),
        _ => cannot(why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_every_source_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["a", "b"] {
            fs::create_dir(at(name)).unwrap();
        }
        let policy = |name: &str, spec: &str| {
            format!(
                "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}, namespace: n}}\nspec: {spec}\n"
            )
        };
        fs::write(
            at("a/x.yaml"),
            policy("x", "{deny: [{name: a, hosts: [A.example]}]}"),
        )
        .unwrap();
        fs::write(
            at("b/x.yaml"),
            policy("y", "{deny: [{name: a, destinations: [none]}]}"),
        )
        .unwrap();
        let codes = |dirs: &[&str]| {
            let dirs: Vec<_> = dirs
                .iter()
                .map(|d| PolicyDirectory::source(at(d)))
                .collect();
            let found = load(&dirs, &Settings::default());
            assert!(found.snapshot.is_none());
            found.problems.iter().map(|p| p.code).collect::<Vec<_>>()
        };
        assert_eq!(codes(&["a", "b"]), [Code::HostSpelling, Code::MissingSet]);
        assert_eq!(
            codes(&["b", "gone"]),
            [Code::Unreadable],
            "the missing set may be in the directory that does not exist"
        );
        fs::create_dir(at("empty")).unwrap();
        assert_eq!(codes(&["empty"]), [Code::NoPolicy]);
    }
}
