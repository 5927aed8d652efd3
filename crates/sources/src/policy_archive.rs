//! The policy archive: a directory that keeps the bytes and the settings of each revision that was
//! in force, so that a decision of the past can be made again.
//!
//! ```text
//! DIR/objects/sha256/DIGEST      the bytes of one policy file, under the SHA-256 of the bytes
//! DIR/revisions/REVISION.json    a manifest: which files, in which sources, with which settings
//! ```
//!
//! Here it is read. [`writer`] adds a revision, and [`archiver`] is the thread of a server that does
//! so. Nothing is ever changed or deleted: bytes that several revisions share are kept once. Other
//! files in the directory are passed over.
//!
//! The rule: what is read is proven. The name of an object is checked against its bytes, and the
//! name of a revision against what its manifest makes. So anyone who can write the directory can
//! remove a revision, but cannot make it say something else.

pub mod archiver;
mod writer;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use customs_engine::snapshot::Snapshot;
use customs_policy::revision_manifest::{
    MAX_MANIFEST, ManifestFile, RevisionManifest, RevisionManifestError, is_revision,
};
use customs_record::plain_file;

/// What the name of a manifest ends with.
const MANIFEST: &str = ".json";

/// An archive of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyArchive {
    root: PathBuf,
}

/// Why an archive has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyArchiveError {
    /// The directory is not an archive.
    #[error(
        "`{}` is not a policy archive: it has no directory `revisions`; name the directory of `policy_archive`", .0.display()
    )]
    NoArchive(PathBuf),
    /// The archive does not have the revision.
    #[error("the policy archive `{}` does not have the revision {revision}", root.display())]
    UnknownRevision {
        /// The archive.
        root: PathBuf,
        /// The revision.
        revision: String,
    },
    /// A file of the archive cannot be read.
    #[error("`{}` cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        why: io::Error,
    },
    /// A manifest is damaged, or this version of customs cannot use it.
    #[error("`{}`: {why}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Why.
        #[source]
        why: RevisionManifestError,
    },
    /// A manifest is that of another revision.
    #[error("`{}` is the manifest of another revision, {revision}", path.display())]
    OtherManifest {
        /// The manifest.
        path: PathBuf,
        /// The revision in it.
        revision: String,
    },
    /// The bytes of a file are not there.
    #[error("`{}` is missing: it holds the policy file `{file}`", path.display())]
    MissingObject {
        /// The object.
        path: PathBuf,
        /// The policy file.
        file: String,
    },
    /// The bytes of a file are others.
    #[error("`{}` is damaged: its bytes have the SHA-256 {found}; it holds the policy file `{file}`", path.display())]
    DamagedObject {
        /// The object.
        path: PathBuf,
        /// The policy file.
        file: String,
        /// The digest of what is there.
        found: String,
    },
}

/// A revision that was read and compiled again.
#[derive(Debug)]
pub struct ArchivedRevision {
    /// Its manifest.
    pub manifest: RevisionManifest,
    /// The snapshot that was in force.
    pub snapshot: Snapshot,
}

/// Lets [`RevisionManifest::compile`] end with an error of the archive.
#[derive(Debug)]
enum CompileError {
    Archive(PolicyArchiveError),
    Manifest(RevisionManifestError),
}

impl From<RevisionManifestError> for CompileError {
    fn from(why: RevisionManifestError) -> CompileError {
        CompileError::Manifest(why)
    }
}

impl PolicyArchive {
    /// Returns the archive in this directory. Nothing is read.
    pub fn new(root: impl Into<PathBuf>) -> PolicyArchive {
        PolicyArchive { root: root.into() }
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of a revision's manifest.
    pub fn manifest_path(&self, revision: &str) -> PathBuf {
        self.revisions_directory()
            .join(format!("{revision}{MANIFEST}"))
    }

    /// Returns the path of the bytes with this digest.
    pub fn object_path(&self, sha256: &str) -> PathBuf {
        self.objects_directory().join(sha256)
    }

    fn revisions_directory(&self) -> PathBuf {
        self.root.join("revisions")
    }

    fn objects_directory(&self) -> PathBuf {
        self.root.join("objects").join("sha256")
    }

    /// Returns the revisions that have a manifest, sorted.
    ///
    /// # Errors
    /// If the directory is not an archive or cannot be read.
    pub fn revisions(&self) -> Result<Vec<String>, PolicyArchiveError> {
        let directory = self.revisions_directory();
        let entries = fs::read_dir(&directory).map_err(|why| match why.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                PolicyArchiveError::NoArchive(self.root.clone())
            }
            _ => unreadable(&directory, why),
        })?;
        let mut revisions = Vec::new();
        for entry in entries {
            let name = entry
                .map_err(|why| unreadable(&directory, why))?
                .file_name();
            let revision = name.to_str().and_then(|name| name.strip_suffix(MANIFEST));
            revisions.extend(revision.filter(|text| is_revision(text)).map(str::to_owned));
        }
        revisions.sort_unstable();
        Ok(revisions)
    }

    /// Reads the manifest of a revision and checks that it makes that revision.
    ///
    /// # Errors
    /// If the archive does not have it, or it is damaged.
    pub fn manifest(&self, revision: &str) -> Result<RevisionManifest, PolicyArchiveError> {
        let unknown = || PolicyArchiveError::UnknownRevision {
            root: self.root.clone(),
            revision: revision.to_owned(),
        };
        if !is_revision(revision) {
            return Err(unknown());
        }
        let path = self.manifest_path(revision);
        let bytes = match plain_file::read(&path, MAX_MANIFEST) {
            Ok(bytes) => bytes,
            // Without the directory, it is no archive at all.
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                self.revisions()?;
                return Err(unknown());
            }
            Err(why) => return Err(unreadable(&path, why)),
        };
        let read = RevisionManifest::parse(&bytes)
            .and_then(|manifest| manifest.check_revision().map(|()| manifest));
        match read {
            Ok(manifest) if manifest.revision == revision => Ok(manifest),
            Ok(RevisionManifest { revision, .. }) => {
                Err(PolicyArchiveError::OtherManifest { path, revision })
            }
            Err(why) => Err(PolicyArchiveError::Manifest { path, why }),
        }
    }

    /// Reads the bytes of a file, and checks that they are those that its manifest names.
    ///
    /// # Errors
    /// If they are missing or others.
    pub fn object(&self, file: &ManifestFile) -> Result<Arc<[u8]>, PolicyArchiveError> {
        let path = self.object_path(&file.sha256);
        let limit = usize::try_from(file.size).unwrap_or(usize::MAX - 1);
        let bytes = match plain_file::read(&path, limit) {
            Ok(bytes) => bytes,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                let file = file.name.clone();
                return Err(PolicyArchiveError::MissingObject { path, file });
            }
            Err(why) if why.kind() == io::ErrorKind::FileTooLarge => {
                return Err(PolicyArchiveError::DamagedObject {
                    path,
                    file: file.name.clone(),
                    found: format!("of more than {limit} bytes"),
                });
            }
            Err(why) => return Err(unreadable(&path, why)),
        };
        let found = HEXLOWER.encode(&Sha256::digest(&bytes));
        if found == file.sha256 {
            return Ok(bytes.into());
        }
        Err(PolicyArchiveError::DamagedObject {
            path,
            file: file.name.clone(),
            found,
        })
    }

    /// Compiles a revision again, as it was in force.
    ///
    /// # Errors
    /// If the archive does not have all of it, or it does not make the revision.
    pub fn load(&self, revision: &str) -> Result<ArchivedRevision, PolicyArchiveError> {
        let manifest = self.manifest(revision)?;
        let compiled = manifest.compile(|file| self.object(file).map_err(CompileError::Archive));
        match compiled {
            Ok(compiled) => Ok(ArchivedRevision {
                manifest,
                snapshot: compiled.snapshot,
            }),
            Err(CompileError::Archive(why)) => Err(why),
            Err(CompileError::Manifest(why)) => {
                let path = self.manifest_path(revision);
                Err(PolicyArchiveError::Manifest { path, why })
            }
        }
    }
}

fn unreadable(path: &Path, why: io::Error) -> PolicyArchiveError {
    PolicyArchiveError::Unreadable {
        path: path.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests;
