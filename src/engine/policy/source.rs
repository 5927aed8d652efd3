//! One source read alone: files in, documents and every problem out. With an error it is refused whole.
//!
//! What is kept of a file is what it means and a digest of its bytes, not the bytes: so a file that has not changed is
//! recognised and need not be read again. What only several sources together show is [`compile`](super::compile)'s
//! business, and what was in force before is nobody's here.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::metadata::{self, Kind, Object};
use super::problem::{Code, Place, Problem};
use super::validate::{self, Documents};
use super::{authorization_policy, document, egress_policy};
use crate::engine::settings::Settings;

/// A policy file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its name inside the source, without a directory.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A source as it was read: one `--policies` directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The directory as it was given; unique.
    pub name: String,
    /// Its policy files, sorted by name.
    pub files: Vec<PolicyFile>,
}

/// One file read alone. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct LoadedFile(Arc<Content>);

#[derive(Debug)]
struct Content {
    name: String,
    bytes: usize,
    digest: Digest,
    documents: Documents,
    problems: Vec<Problem>,
}

/// SHA-256 of a file's bytes.
pub type Digest = [u8; 32];

impl LoadedFile {
    /// Reads one file of the source that is named; files can be read side by side.
    pub fn read(source: &str, file: &PolicyFile, settings: &Settings) -> LoadedFile {
        let path = format!("{}/{}", source.trim_end_matches('/'), file.name);
        let (mut documents, mut problems) = (Documents::default(), Vec::new());
        read(&path, &file.bytes, settings, &mut documents, &mut problems);
        documents.shrink();
        let name = file.name.clone();
        LoadedFile(Arc::new(Content { name, bytes: file.bytes.len(), digest: digest(file), documents, problems }))
    }

    /// Its name inside the source.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many bytes it had.
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// Whether this is what was read from the file.
    pub fn is(&self, file: &PolicyFile) -> bool {
        self.0.name == file.name && self.0.bytes == file.bytes.len() && self.0.digest == digest(file)
    }
}

fn digest(file: &PolicyFile) -> Digest {
    Sha256::digest(&file.bytes).into()
}

fn read(path: &str, bytes: &[u8], settings: &Settings, documents: &mut Documents, problems: &mut Vec<Problem>) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let what = "the file is not UTF-8 text";
        problems.push(Problem::error(Code::YamlSyntax, Place::whole(path), what).hint("save it as UTF-8"));
        return;
    };
    for document in document::parse(path, text) {
        match document {
            Ok(node) => {
                for object in metadata::objects(&node, problems) {
                    read_object(&object, settings, documents, problems);
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
}

fn read_object(object: &Object<'_>, settings: &Settings, documents: &mut Documents, problems: &mut Vec<Problem>) {
    match object.kind {
        Kind::AuthorizationPolicy => documents.istio.extend(authorization_policy::read(object, settings, problems)),
        Kind::EgressPolicy => documents.egress.extend(egress_policy::read_policy(object, settings, problems)),
        Kind::DestinationSet => documents.sets.extend(egress_policy::read_set(object, problems)),
    }
}

/// One source read alone: its documents, and every problem found in it. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct LoadedSource(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    name: String,
    files: Vec<LoadedFile>,
    problems: Vec<Problem>,
}

/// Reads one source alone, file after file.
pub fn load(source: &Source, settings: &Settings) -> LoadedSource {
    let files = source.files.iter().map(|file| LoadedFile::read(&source.name, file, settings)).collect();
    LoadedSource::of(source.name.clone(), files)
}

impl LoadedSource {
    /// Puts the files of a source together, in their order, and looks for what only all of them show.
    pub fn of(name: String, files: Vec<LoadedFile>) -> LoadedSource {
        let mut problems: Vec<Problem> = files.iter().flat_map(|file| &file.0.problems).cloned().collect();
        validate::duplicates(files.iter().map(|file| &file.0.documents), &mut problems);
        problems.sort_by(|a, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
        LoadedSource(Arc::new(Loaded { name, files, problems }))
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its files.
    pub fn files(&self) -> &[LoadedFile] {
        &self.0.files
    }

    /// Every problem of the source, errors and warnings.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Whether the source must be refused.
    pub fn has_errors(&self) -> bool {
        self.0.problems.iter().any(Problem::is_error)
    }

    /// Its documents, file by file.
    pub fn documents(&self) -> impl Iterator<Item = &Documents> {
        self.0.files.iter().map(|file| &file.0.documents)
    }

    /// Whether it has no document.
    pub fn is_empty(&self) -> bool {
        self.documents().all(Documents::is_empty)
    }

    /// Whether this is what was read from the source.
    pub fn is(&self, source: &Source) -> bool {
        self.0.name == source.name
            && self.0.files.len() == source.files.len()
            && self.0.files.iter().zip(&source.files).all(|(loaded, file)| loaded.is(file))
    }

    /// Whether both were read from the same names and bytes.
    pub fn is_same(&self, other: &LoadedSource) -> bool {
        let same = |(a, b): (&LoadedFile, &LoadedFile)| a.0.name == b.0.name && a.0.digest == b.0.digest;
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.name == other.0.name
                && self.0.files.len() == other.0.files.len()
                && self.0.files.iter().zip(&other.0.files).all(same))
    }

    /// What was read from this file of the source before, if it is unchanged.
    pub fn unchanged(&self, file: &PolicyFile) -> Option<&LoadedFile> {
        let at = self.0.files.binary_search_by(|loaded| loaded.0.name.as_str().cmp(&file.name)).ok()?;
        self.0.files.get(at).filter(|loaded| loaded.is(file))
    }
}
