//! Reads one source alone: takes files, and returns documents and every problem. A source with an
//! error is refused whole.
//!
//! An unchanged file is recognised and need not be read again. [`compile`](super::compile) reports
//! what only several sources together show. This module does not know what was in force before.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::foreign::SkippedDocuments;
use super::metadata::{self, Item, Kind, Object};
use super::problem::{Code, Place, Problem};
use super::validate::{self, Documents};
use super::{authorization_policy, bound, document, egress_policy, policy_guard};
use customs_engine::rules::EgressScope;
use customs_engine::settings::Settings;

/// A policy file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its name inside the source, without a directory.
    pub name: String,
    /// Its bytes; a copy of the file shares them.
    pub bytes: Arc<[u8]>,
}

/// A source as it was read: one `--policies` directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The directory as it was configured; unique.
    pub name: String,
    /// Its policy files, sorted by name.
    pub files: Vec<PolicyFile>,
    /// The one namespace to which it is bound, if it is bound.
    pub namespace: Option<String>,
    /// The namespace of documents without one.
    pub default_namespace: Option<String>,
    /// Warnings for files of it that look like policy files and are not read.
    pub unread: Vec<Problem>,
}

impl Source {
    /// Returns the path of a file of the source, as in places. A source without a name holds files
    /// whose names are whole paths.
    pub fn path_of(&self, file: &str) -> String {
        match self.name.as_str() {
            "" => file.to_owned(),
            name => format!("{}/{file}", name.trim_end_matches('/')),
        }
    }
}

/// One file read alone. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct LoadedFile(Arc<Content>);

#[derive(Debug)]
struct Content {
    /// Kept because other settings may change its meaning.
    file: PolicyFile,
    digest: Digest,
    documents: Documents,
    problems: Vec<Problem>,
}

/// SHA-256 of a file's bytes.
pub type Digest = [u8; 32];

impl LoadedFile {
    /// Reads one file of a source. Files can be read in parallel.
    pub fn read(source: &Source, file: &PolicyFile, settings: &Settings) -> LoadedFile {
        let path = source.path_of(&file.name);
        let (documents, problems, skipped) = (
            Documents::default(),
            Vec::new(),
            SkippedDocuments::default(),
        );
        let mut reader = FileReader {
            source,
            settings,
            documents,
            problems,
            skipped,
        };
        reader.read(&path, &file.bytes);
        let FileReader {
            mut documents,
            mut problems,
            skipped,
            ..
        } = reader;
        problems.extend(skipped.into_problems());
        documents.shrink();
        limit(&mut problems, &path);
        let digest = Sha256::digest(&file.bytes).into();
        LoadedFile(Arc::new(Content {
            file: file.clone(),
            digest,
            documents,
            problems,
        }))
    }

    /// Returns its name inside the source.
    pub fn name(&self) -> &str {
        &self.0.file.name
    }

    /// Returns its size in bytes.
    pub fn bytes(&self) -> usize {
        self.0.file.bytes.len()
    }

    /// Returns the digest of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// Whether this was read from an equal file.
    pub fn is(&self, file: &PolicyFile) -> bool {
        self.0.file == *file
    }
}

/// The most problems of one file that are listed.
const MAX_PROBLEMS: usize = 1_000;

/// Keeps the first errors, then the first of the other problems. More would not be read, and a
/// record has to hold them.
fn limit(problems: &mut Vec<Problem>, path: &str) {
    if let Some(more @ 1..) = problems.len().checked_sub(MAX_PROBLEMS) {
        problems.sort_by_key(|problem| (problem.severity, problem.code != Code::TooLarge));
        problems.truncate(MAX_PROBLEMS);
        let what = format!("{more} more problems of this file are not listed");
        problems.push(Problem::note(Code::LeftOff, Place::whole(path), what));
    }
}

/// Reads the documents of one file.
struct FileReader<'r> {
    source: &'r Source,
    settings: &'r Settings,
    documents: Documents,
    problems: Vec<Problem>,
    skipped: SkippedDocuments,
}

impl FileReader<'_> {
    fn read(&mut self, path: &str, bytes: &[u8]) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            let what = "the file is not UTF-8 text";
            return self.problems.push(
                Problem::error(Code::YamlSyntax, Place::whole(path), what).hint("save it as UTF-8"),
            );
        };
        for document in document::parse(path, text) {
            if self.problems.len() > 10 * MAX_PROBLEMS {
                let what = format!(
                    "the file has more than {} problems, and was not read to its end",
                    10 * MAX_PROBLEMS
                );
                return self.problems.push(Problem::error(
                    Code::TooLarge,
                    Place::whole(path),
                    what,
                ));
            }
            match document {
                Ok(node) => {
                    let default = self.source.default_namespace.as_deref();
                    for item in metadata::items(&node, default, &mut self.problems) {
                        match item {
                            Item::Policy(object) => self.object(&object),
                            Item::ServiceEntry(entry) => {
                                let namespace = self.source.namespace.as_deref();
                                self.problems.extend(
                                    namespace.and_then(|own| bound::not_its_entry(&entry, own)),
                                );
                                self.documents.service_entries.push(entry);
                            }
                            Item::Others(skipped, place) => self.skipped.count(skipped, place),
                        }
                    }
                }
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    fn object(&mut self, object: &Object<'_>) {
        let FileReader {
            source,
            settings,
            documents,
            problems,
            skipped: _,
        } = self;
        let namespace = source.namespace.as_deref();
        problems.extend(namespace.and_then(|namespace| bound::not_its_own(object, namespace)));
        match object.kind {
            Kind::AuthorizationPolicy => {
                documents
                    .istio
                    .extend(authorization_policy::read(object, settings, problems));
            }
            Kind::EgressPolicy => documents
                .egress
                .extend(egress_policy::read_policy(object, settings, problems)),
            Kind::DestinationSet => documents
                .sets
                .extend(egress_policy::read_set(object, problems)),
            Kind::PolicyGuard => documents
                .guards
                .extend(policy_guard::read(object, settings, problems)),
        }
    }
}

/// One source read alone: its documents, and every problem found in it. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct LoadedSource(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    /// The source without its files.
    head: Source,
    files: Vec<LoadedFile>,
    problems: Vec<Problem>,
    /// The scope that isolates its namespace while it has no good content.
    isolation: Option<Arc<EgressScope>>,
}

/// Reads one source alone, file after file.
pub fn load(source: &Source, settings: &Settings) -> LoadedSource {
    let files = source
        .files
        .iter()
        .map(|file| LoadedFile::read(source, file, settings))
        .collect();
    LoadedSource::of(source, files, settings)
}

/// A source without its files.
fn head(source: &Source) -> Source {
    let Source {
        name,
        files: _,
        namespace,
        default_namespace,
        unread,
    } = source.clone();
    Source {
        name,
        files: Vec::new(),
        namespace,
        default_namespace,
        unread,
    }
}

impl LoadedSource {
    /// Combines the files of a source, in their order, and reports what only all of them show.
    pub fn of(source: &Source, files: Vec<LoadedFile>, settings: &Settings) -> LoadedSource {
        let namespace = source.namespace.as_deref();
        let not_root =
            namespace.and_then(|namespace| bound::not_root(&source.name, namespace, settings));
        let mut problems: Vec<Problem> = not_root
            .into_iter()
            .chain(source.unread.iter().cloned())
            .collect();
        problems.extend(files.iter().flat_map(|file| &file.0.problems).cloned());
        validate::duplicates(files.iter().map(|file| &file.0.documents), &mut problems);
        problems.sort_by(|a, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
        LoadedSource(Arc::new(Loaded {
            head: head(source),
            files,
            problems,
            isolation: None,
        }))
    }

    /// Returns the substitute for a bound source that was never good: it isolates the namespace and
    /// grants nothing. Returns `None` for a source that is not bound.
    pub(crate) fn stand_in(source: &Source) -> Option<LoadedSource> {
        let isolation = Some(Arc::new(bound::isolation(
            &source.name,
            source.namespace.as_deref()?,
        )));
        let (files, problems) = (Vec::new(), Vec::new());
        Some(LoadedSource(Arc::new(Loaded {
            head: head(source),
            files,
            problems,
            isolation,
        })))
    }

    /// The scope that isolates its namespace while it has no good content.
    pub(crate) fn isolation(&self) -> Option<&Arc<EgressScope>> {
        self.0.isolation.as_ref()
    }

    /// Returns a copy of the source as it was read, to be parsed again with other settings.
    pub fn source(&self) -> Source {
        let files = self
            .0
            .files
            .iter()
            .map(|file| file.0.file.clone())
            .collect();
        Source {
            files,
            ..self.0.head.clone()
        }
    }

    /// Returns the source's name.
    pub fn name(&self) -> &str {
        &self.0.head.name
    }

    /// Returns its namespace and its default namespace, for the revision: beside the files, these
    /// determine the meaning.
    pub fn binding(&self) -> String {
        // Destructured completely, so that a new field must be handled here.
        let Source {
            name: _,
            files: _,
            namespace,
            default_namespace,
            unread: _,
        } = &self.0.head;
        format!(
            "namespace={namespace:?} default={default_namespace:?} stands_in={}",
            self.0.isolation.is_some()
        )
    }

    /// Returns its files.
    pub fn files(&self) -> &[LoadedFile] {
        &self.0.files
    }

    /// Returns every problem of the source: errors, warnings and notes.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Whether the source must be refused.
    pub fn has_errors(&self) -> bool {
        self.0.problems.iter().any(Problem::is_error)
    }

    /// Returns its documents, file by file.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Documents> {
        self.0.files.iter().map(|file| &file.0.documents)
    }

    /// Whether it has no document.
    pub fn is_empty(&self) -> bool {
        self.documents().all(Documents::is_empty)
    }

    /// Whether it has a document besides guards, which decide nothing.
    pub fn has_policies(&self) -> bool {
        self.documents().any(Documents::has_policies)
    }

    /// Whether this was read from an equal source.
    pub fn is(&self, source: &Source) -> bool {
        let Source {
            name,
            files: _,
            namespace,
            default_namespace,
            unread,
        } = &self.0.head;
        (name, namespace) == (&source.name, &source.namespace)
            && (default_namespace, unread) == (&source.default_namespace, &source.unread)
            && self.0.files.len() == source.files.len()
            && self
                .0
                .files
                .iter()
                .zip(&source.files)
                .all(|(loaded, file)| loaded.is(file))
    }

    /// Whether both were read from the same names and bytes, with the same warnings for unread
    /// files.
    pub fn is_same(&self, other: &LoadedSource) -> bool {
        let same =
            |(a, b): (&LoadedFile, &LoadedFile)| Arc::ptr_eq(&a.0, &b.0) || a.0.file == b.0.file;
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.head == other.0.head
                && self.0.files.len() == other.0.files.len()
                && self.0.files.iter().zip(&other.0.files).all(same))
    }

    /// Returns what was read from this file before, if the file is unchanged.
    pub fn unchanged(&self, file: &PolicyFile) -> Option<&LoadedFile> {
        let at = self
            .0
            .files
            .binary_search_by(|loaded| loaded.name().cmp(&file.name))
            .ok()?;
        self.0.files.get(at).filter(|loaded| loaded.is(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_countless_problems_the_errors_are_told_first() {
        let set = |hosts: &str| {
            format!(
                "apiVersion: egress.customs/v1alpha1\nkind: DestinationSet\nmetadata: {{name: s, namespace: n}}\n\
                 spec: {{hosts: [{hosts}]}}\n"
            )
        };
        let custom = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: n}\n\
                      spec: {action: CUSTOM, provider: {name: x}, rules: [{}]}\n---\n";
        let text = format!(
            "{}{}",
            custom.repeat(5),
            set(&"A.example, ".repeat(MAX_PROBLEMS))
        );
        let file = PolicyFile {
            name: "a.yaml".into(),
            bytes: text.into_bytes().into(),
        };
        let source = Source {
            name: "s".into(),
            files: vec![file],
            ..Source::default()
        };
        let loaded = load(&source, &Settings::default());
        let (reported, all) = (
            loaded.problems(),
            loaded.problems().iter().filter(|p| p.is_error()).count(),
        );
        assert_eq!((reported.len(), all), (MAX_PROBLEMS + 1, MAX_PROBLEMS));
        assert_eq!(
            reported[0].to_string(),
            "s/a.yaml: note[left-off]: 5 more problems of this file are not listed"
        );
    }
}
