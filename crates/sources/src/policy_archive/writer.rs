//! Adds a revision to a policy archive.
//!
//! The rule: a manifest appears only when everything that it names is on the disk. Each file is
//! written under another name, synced, and renamed; directories are synced as well. So a process
//! that is killed at any moment leaves a whole archive, and several processes may share one.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use customs_policy::policy_set::SetInForce;
use customs_policy::revision_manifest::{ManifestFile, RevisionManifest};
use customs_record::clock::now;

use super::{PolicyArchive, PolicyArchiveError};

/// The program, as manifests name it.
const WRITTEN_BY: &str = concat!("customs ", env!("CARGO_PKG_VERSION"));

/// What the name of a file ends with that is being written.
const PART: &str = ".part";

/// From which age on such a file was left by a process that ended.
const LEFT_OVER: Duration = Duration::from_secs(60 * 60);

/// Why a revision cannot be added.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be written: {why}", path.display())]
pub(super) struct ArchiveWriteError {
    path: PathBuf,
    #[source]
    why: io::Error,
}

/// Adds revisions to an archive.
#[derive(Debug)]
pub(super) struct ArchiveWriter {
    archive: PolicyArchive,
    /// The digests of the objects that are known to be whole.
    whole: HashSet<String>,
    has_cleaned: bool,
}

/// What was wrong in the archive, and is right again.
pub(super) type Repaired = Vec<PolicyArchiveError>;

impl ArchiveWriter {
    pub(super) fn new(archive: PolicyArchive) -> ArchiveWriter {
        ArchiveWriter {
            archive,
            whole: HashSet::new(),
            has_cleaned: false,
        }
    }

    /// Adds what is in force. What is there already stays; what is damaged is written again.
    ///
    /// # Errors
    /// Which file cannot be written.
    pub(super) fn add(&mut self, set: &SetInForce) -> Result<Repaired, ArchiveWriteError> {
        let (objects, revisions) = (
            self.archive.objects_directory(),
            self.archive.revisions_directory(),
        );
        for directory in [&objects, &revisions] {
            create_directory(directory).map_err(cannot(directory))?;
            if !self.has_cleaned {
                remove_left_over(directory);
            }
        }
        self.has_cleaned = true;
        let manifest = RevisionManifest::of(set, WRITTEN_BY);
        let mut repaired = Vec::new();
        let mut is_new = false;
        // The manifest leaves out sources without files, so both list the same files.
        let files = set.sources.iter().flat_map(|source| source.source().files);
        for (file, named) in files.zip(manifest.files()) {
            is_new |= self.object(named, &file.bytes, &mut repaired)?;
        }
        if is_new {
            sync_directory(&objects).map_err(cannot(&objects))?;
        }
        match self.archive.manifest(&manifest.revision) {
            // The sources may have other names; the first stays.
            Ok(there) if there.is_equivalent(&manifest) => return Ok(repaired),
            Ok(_) => repaired.push(PolicyArchiveError::OtherManifest {
                path: self.archive.manifest_path(&manifest.revision),
                revision: "with other settings or sources".to_owned(),
            }),
            Err(PolicyArchiveError::UnknownRevision { .. }) => {}
            Err(damaged) => repaired.push(damaged),
        }
        let path = self.archive.manifest_path(&manifest.revision);
        write(&path, manifest.to_json().as_bytes()).map_err(cannot(&path))?;
        sync_directory(&revisions).map_err(cannot(&revisions))?;
        Ok(repaired)
    }

    /// Adds the bytes of a file; returns whether they were not there.
    fn object(
        &mut self,
        file: &ManifestFile,
        bytes: &[u8],
        repaired: &mut Repaired,
    ) -> Result<bool, ArchiveWriteError> {
        let path = self.archive.object_path(&file.sha256);
        if self.whole.contains(&file.sha256) && has_size(&path, file.size) {
            return Ok(false);
        }
        let is_there = match self.archive.object(file) {
            Ok(_) => true,
            Err(PolicyArchiveError::MissingObject { .. }) => false,
            Err(damaged) => {
                repaired.push(damaged);
                false
            }
        };
        if !is_there {
            write(&path, bytes).map_err(cannot(&path))?;
        }
        self.whole.insert(file.sha256.clone());
        Ok(!is_there)
    }
}

fn cannot(path: &Path) -> impl FnOnce(io::Error) -> ArchiveWriteError {
    let path = path.to_owned();
    |why| ArchiveWriteError { path, why }
}

fn has_size(path: &Path, size: u64) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_file() && about.len() == size)
}

/// Creates a directory with those above it, and syncs the names of all that are new.
fn create_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory
        .parent()
        .filter(|path| !path.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_directory(parent)?;
    }
    match fs::create_dir(directory) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
        created => created?,
    }
    sync_directory(parent.unwrap_or(Path::new(".")))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Writes a file under another name, syncs it, and gives it its name.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, part) = create_part(path)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // The disk may be full, so the part must not stay.
        let _ = fs::remove_file(&part);
    }
    written
}

/// Creates a file that is not there yet. Processes on other machines may have the same number, so
/// the time tells them apart.
fn create_part(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    loop {
        let id = (std::process::id(), now().0);
        let part = path.with_file_name(format!(".{name}.{}.{}{PART}", id.0, id.1));
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(0o640).open(&part) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return Ok((opened?, part)),
        }
    }
}

/// Removes the files that processes left that ended while they wrote.
fn remove_left_over(directory: &Path) {
    let old = SystemTime::now().checked_sub(LEFT_OVER);
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_part = name
            .to_str()
            .is_some_and(|name| name.starts_with('.') && name.ends_with(PART));
        let written = entry.metadata().and_then(|about| about.modified()).ok();
        if is_part && written < old {
            // One that cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}
