//! The files of a bundle: how they are written with their digests, and how digests are checked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{BundleFile, MANIFEST};
use customs_record::plain_file;

/// Why a bundle cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {why}", path.display())]
pub(super) struct BundleFileError {
    path: PathBuf,
    #[source]
    why: io::Error,
}

/// Returns what makes the error of a path.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> BundleFileError {
    let path = path.to_owned();
    |why| BundleFileError { path, why }
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct FileWriter {
    path: PathBuf,
    name: String,
    file: BufWriter<File>,
    digest: Sha256,
    size: u64,
}

impl FileWriter {
    /// Creates a file of a bundle, and its directory. There must be none.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(super) fn create(root: &Path, name: &str) -> Result<FileWriter, BundleFileError> {
        let path = root.join(name);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(at(directory))?;
        }
        let file = File::create_new(&path).map_err(at(&path))?;
        Ok(FileWriter {
            path,
            name: name.to_owned(),
            file: BufWriter::new(file),
            digest: Sha256::new(),
            size: 0,
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), BundleFileError> {
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).map_err(at(&self.path))
    }

    /// Syncs the file, and returns its row in the manifest.
    ///
    /// # Errors
    /// If not everything can be written.
    pub(super) fn finish(mut self) -> Result<BundleFile, BundleFileError> {
        let synced = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(at(&self.path))?;
        Ok(BundleFile {
            path: self.name,
            sha256: HEXLOWER.encode(&self.digest.finalize()),
            size: self.size,
        })
    }
}

/// Writes a whole file of a bundle.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(root: &Path, name: &str, bytes: &[u8]) -> Result<BundleFile, BundleFileError> {
    let mut file = FileWriter::create(root, name)?;
    file.write(bytes)?;
    file.finish()
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileFinding {
    pub(super) path: String,
    pub(super) word: &'static str,
    pub(super) why: String,
}

/// Compares the files of a bundle with its manifest.
///
/// # Errors
/// If a directory cannot be read.
pub(super) fn compare(
    root: &Path,
    listed: &[BundleFile],
) -> Result<Vec<FileFinding>, BundleFileError> {
    let mut there = BTreeMap::new();
    list(root, "", &mut there)?;
    let mut findings = Vec::new();
    let mut find = |path: &str, word, why: String| {
        findings.push(FileFinding {
            path: path.to_owned(),
            word,
            why,
        });
    };
    for file in listed {
        match there.remove(&file.path) {
            None => find(
                &file.path,
                "missing",
                "the manifest lists it, and it is not there".into(),
            ),
            Some(path) => {
                let (digest, size) = digest_of(&path)?;
                if (digest.as_str(), size) != (file.sha256.as_str(), file.size) {
                    let why = format!(
                        "it has {size} bytes and the SHA-256 {digest}; the manifest says {} bytes and {}",
                        file.size, file.sha256
                    );
                    find(&file.path, "changed", why);
                }
            }
        }
    }
    there.remove(MANIFEST);
    for path in there.keys() {
        find(path, "unexpected", "the manifest does not list it".into());
    }
    Ok(findings)
}

/// Lists what is in a directory and below, by the path inside the bundle.
fn list(
    root: &Path,
    inside: &str,
    found: &mut BTreeMap<String, PathBuf>,
) -> Result<(), BundleFileError> {
    let directory = root.join(inside);
    for entry in fs::read_dir(&directory).map_err(at(&directory))? {
        let entry = entry.map_err(at(&directory))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = if inside.is_empty() {
            name
        } else {
            format!("{inside}/{name}")
        };
        // A link is a file that no manifest lists: it may lead anywhere.
        if entry.file_type().map_err(at(&directory))?.is_dir() {
            list(root, &name, found)?;
        } else {
            found.insert(name, entry.path());
        }
    }
    Ok(())
}

fn digest_of(path: &Path) -> Result<(String, u64), BundleFileError> {
    let (file, _) = plain_file::open(path).map_err(at(path))?;
    let mut file = file;
    let (mut digest, mut size, mut chunk) = (Sha256::new(), 0, vec![0; 64 << 10]);
    loop {
        let read = file.read(&mut chunk).map_err(at(path))?;
        if read == 0 {
            return Ok((HEXLOWER.encode(&digest.finalize()), size));
        }
        digest.update(chunk.get(..read).unwrap_or_default());
        size += read as u64;
    }
}
