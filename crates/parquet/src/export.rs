//! The files of an export: one file, a directory of files, or a directory of days.
//!
//! It gets records and reads none. The rules:
//!
//! - No file gets its name before all of them are complete and on the disk. If the export fails, it
//!   leaves none.
//! - No file is replaced, and none is added to those of another export.
//! - Records are in their files in the order in which they came.
//! - At most [`MAX_OPEN`] days are written at a time; a day that comes back gets another file.

mod partition;

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;
use serde_json::json;
use tempfile::{NamedTempFile, TempPath};

pub use self::partition::{GatheredRecords, Gatherer};

use self::partition::Partition;
use crate::file::RecordFile;
use crate::rows::RecordRows;
use crate::schema::{RecordSchema, SchemaError, VERSION};

/// The file that says what a directory holds. Engines pass over names that begin with `_`.
pub const SUMMARY_FILE: &str = "_customs_export.json";

/// How many days are written at a time.
pub const MAX_OPEN: usize = 8;

/// What a temporary file is called, so that an engine passes over it.
const TEMPORARY: &str = ".customs-export-";

/// The permissions of a file, as the audit log has them.
const FILE_MODE: u32 = 0o640;

/// Where an export goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportTarget {
    /// This one file.
    File(PathBuf),
    /// Files in this directory, each about as big as the options say.
    Directory(PathBuf),
    /// The same, in a directory for each day: `date=2026-11-24`.
    DirectoryByDay(PathBuf),
}

/// How an export is made.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Where it goes.
    pub target: ExportTarget,
    /// The size at which a file of a directory is closed.
    pub file_bytes: u64,
    /// How many rows a row group has at most.
    pub group_rows: usize,
    /// About how many bytes of memory a row group has at most before it is written.
    pub group_bytes: usize,
}

impl ExportOptions {
    /// Returns the usual sizes.
    pub fn to(target: ExportTarget) -> ExportOptions {
        ExportOptions {
            target,
            file_bytes: 512 << 20,
            group_rows: 122_880,
            group_bytes: 96 << 20,
        }
    }
}

/// Why an export fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// There is something at the place of the export.
    #[error("{} exists already; remove it, or name another {what}", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
        /// A file, or a directory.
        what: &'static str,
    },
    /// The system refuses something.
    #[error("cannot write {}: {why}", path.display())]
    Write {
        /// The file or the directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        why: io::Error,
    },
    /// The rows cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        why: ParquetError,
    },
    /// There is no schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// A file of the export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedFile {
    /// Its path.
    pub path: PathBuf,
    /// How many records it has.
    pub records: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// An export that is being written.
#[derive(Debug)]
pub struct Export {
    options: ExportOptions,
    schema: Arc<RecordSchema>,
    open: BTreeMap<Partition, OpenPart>,
    /// How many files each partition has got.
    numbers: BTreeMap<Partition, u64>,
    complete: Vec<(TempPath, ExportedFile)>,
    clock: u64,
    records: u64,
    unheld_times: u64,
    /// The directories that did not exist before.
    made: Vec<PathBuf>,
}

/// A partition that gets records.
#[derive(Debug)]
struct OpenPart {
    rows: RecordRows,
    file: Option<RecordFile<NamedTempFile>>,
    used: u64,
}

impl Export {
    /// Begins an export; creates the directory if it does not exist.
    ///
    /// # Errors
    /// If its place is taken, or cannot be written to.
    pub fn begin(options: ExportOptions) -> Result<Export, ExportError> {
        let mut export = Export {
            schema: Arc::new(RecordSchema::new()?),
            open: BTreeMap::new(),
            numbers: BTreeMap::new(),
            complete: Vec::new(),
            clock: 0,
            records: 0,
            unheld_times: 0,
            made: Vec::new(),
            options,
        };
        match export.options.target.clone() {
            ExportTarget::File(path) => {
                if fs::symlink_metadata(&path).is_ok() {
                    return Err(ExportError::Exists { path, what: "file" });
                }
            }
            ExportTarget::Directory(path) | ExportTarget::DirectoryByDay(path) => {
                export.make_directory(&path)?;
                let first = fs::read_dir(&path).and_then(|mut entries| entries.next().transpose());
                if let Some(entry) = first.map_err(|why| write(&path, why))? {
                    return Err(ExportError::Exists {
                        path: entry.path(),
                        what: "directory",
                    });
                }
            }
        }
        Ok(export)
    }

    /// Returns what makes places for records.
    pub fn gatherer(&self) -> Gatherer {
        Gatherer {
            schema: self.schema.clone(),
            is_by_day: matches!(self.options.target, ExportTarget::DirectoryByDay(_)),
        }
    }

    /// Returns how many records it has got.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Returns how many times are NULL because no column of nanoseconds can hold them.
    pub fn unheld_times(&self) -> u64 {
        self.unheld_times
    }

    /// Takes records.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn take(&mut self, gathered: GatheredRecords) -> Result<(), ExportError> {
        for (partition, rows) in gathered.parts {
            self.records += rows.len() as u64;
            self.unheld_times += rows.unheld_times();
            self.take_rows(partition, rows)?;
        }
        Ok(())
    }

    fn take_rows(&mut self, partition: Partition, rows: RecordRows) -> Result<(), ExportError> {
        self.clock += 1;
        let (clock, schema) = (self.clock, self.schema.clone());
        let part = self.open.entry(partition).or_insert_with(|| OpenPart {
            rows: RecordRows::new(schema),
            file: None,
            used: 0,
        });
        part.used = clock;
        part.rows.absorb(rows);
        let is_full = part.rows.len() >= self.options.group_rows
            || part.rows.weight() >= self.options.group_bytes;
        if is_full {
            self.flush(partition)?;
        }
        // The rows of all days together are no more than those of a row group.
        while self.open.len() > 1
            && (self.open.len() > MAX_OPEN || self.weight() >= self.options.group_bytes)
        {
            let oldest = self.open.iter().min_by_key(|(_, part)| part.used);
            let Some((&oldest, _)) = oldest else {
                break;
            };
            self.close(oldest, &[])?;
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.open.values().map(|part| part.rows.weight()).sum()
    }

    /// Writes the rows of a partition, and closes its file if it is big enough.
    fn flush(&mut self, partition: Partition) -> Result<(), ExportError> {
        let place = self.root();
        let Some(part) = self.open.get_mut(&partition) else {
            return Ok(());
        };
        let file = match &mut part.file {
            Some(file) => file,
            none => {
                let temporary = temporary(&place).map_err(|why| write(&place, why))?;
                let begun = RecordFile::begin(temporary, &self.schema);
                none.insert(begun.map_err(|why| parquet(&place, why))?)
            }
        };
        file.write(part.rows.take())
            .map_err(|why| parquet(&place, why))?;
        let is_file = matches!(self.options.target, ExportTarget::File(_));
        if !is_file && file.bytes() >= self.options.file_bytes {
            self.close(partition, &[])?;
        }
        Ok(())
    }

    /// Ends the file of a partition.
    fn close(
        &mut self,
        partition: Partition,
        metadata: &[(String, String)],
    ) -> Result<(), ExportError> {
        let has_rows = self
            .open
            .get(&partition)
            .is_some_and(|part| !part.rows.is_empty());
        let has_file = self
            .open
            .get(&partition)
            .is_some_and(|part| part.file.is_some());
        if has_rows || !has_file {
            self.flush(partition)?;
        }
        let Some(OpenPart {
            file: Some(file), ..
        }) = self.open.remove(&partition)
        else {
            return Ok(());
        };
        let path = self.next_path(partition);
        let (records, place) = (file.rows(), self.root());
        let temporary = file.end(metadata).map_err(|why| parquet(&place, why))?;
        let synced = temporary.as_file().sync_all();
        let about = synced.and_then(|()| temporary.as_file().metadata());
        let bytes = about.map_err(|why| write(&place, why))?.len();
        self.complete.push((
            temporary.into_temp_path(),
            ExportedFile {
                path,
                records,
                bytes,
            },
        ));
        Ok(())
    }

    /// Returns the directory in which files are written before they get their names.
    fn root(&self) -> PathBuf {
        match &self.options.target {
            ExportTarget::File(path) => match path.parent() {
                Some(parent) if parent != Path::new("") => parent.to_owned(),
                _ => PathBuf::from("."),
            },
            ExportTarget::Directory(path) | ExportTarget::DirectoryByDay(path) => path.clone(),
        }
    }

    fn next_path(&mut self, partition: Partition) -> PathBuf {
        if let ExportTarget::File(path) = &self.options.target {
            return path.clone();
        }
        let number = self.numbers.entry(partition).or_default();
        let name = format!("part-{number:05}.parquet");
        *number += 1;
        match partition.directory() {
            Some(directory) => self.root().join(directory).join(name),
            None => self.root().join(name),
        }
    }

    /// Ends the export: completes all files, and gives them their names. `about` says what was
    /// read; it is in the metadata of the one file, or in [`SUMMARY_FILE`].
    ///
    /// # Errors
    /// If something cannot be written, or another file has got one of the names.
    pub fn end(mut self, about: &[(String, String)]) -> Result<Vec<ExportedFile>, ExportError> {
        let is_file = matches!(self.options.target, ExportTarget::File(_));
        let by_day = matches!(self.options.target, ExportTarget::DirectoryByDay(_));
        let open: Vec<Partition> = self.open.keys().copied().collect();
        for partition in open {
            self.close(partition, if is_file { about } else { &[] })?;
        }
        if self.complete.is_empty() && !by_day {
            // A file without rows still has its columns, so that queries find them.
            self.open.insert(
                Partition::Whole,
                OpenPart {
                    rows: RecordRows::new(self.schema.clone()),
                    file: None,
                    used: 0,
                },
            );
            self.close(Partition::Whole, if is_file { about } else { &[] })?;
        }
        let mut named = Vec::new();
        let outcome = self.name_files(&mut named, about, is_file);
        if outcome.is_err() {
            // What has a name already would be taken for the whole.
            for file in &named {
                let _ = fs::remove_file(&file.path);
            }
            // A directory that holds something stays.
            for directory in self.made.iter().rev() {
                let _ = fs::remove_dir(directory);
            }
        }
        outcome.map(|()| named)
    }

    fn name_files(
        &mut self,
        named: &mut Vec<ExportedFile>,
        about: &[(String, String)],
        is_file: bool,
    ) -> Result<(), ExportError> {
        for (temporary, file) in std::mem::take(&mut self.complete) {
            let path = file.path.clone();
            if let Some(parent) = path.parent().filter(|_| !is_file) {
                self.make_directory(parent)?;
            }
            temporary
                .persist_noclobber(&path)
                .map_err(|refused| match refused.error.kind() {
                    io::ErrorKind::AlreadyExists => ExportError::Exists {
                        path: path.clone(),
                        what: "file",
                    },
                    _ => write(&path, refused.error),
                })?;
            named.push(file);
        }
        let root = self.root();
        if !is_file {
            self.write_summary(named, about, &root)?;
        }
        let mut directories = self.made.clone();
        directories.push(root);
        for directory in directories {
            let synced = File::open(&directory).and_then(|open| open.sync_all());
            synced.map_err(|why| write(&directory, why))?;
        }
        Ok(())
    }

    fn write_summary(
        &self,
        named: &[ExportedFile],
        about: &[(String, String)],
        root: &Path,
    ) -> Result<(), ExportError> {
        let path = root.join(SUMMARY_FILE);
        let files = named.iter().map(|file| {
            let relative = file.path.strip_prefix(root).unwrap_or(&file.path);
            json!({
                "path": relative.to_string_lossy(),
                "records": file.records,
                "bytes": file.bytes,
            })
        });
        let about: BTreeMap<&str, &str> = about
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let summary = json!({
            "version": 1,
            "schemaVersion": VERSION,
            "metadata": about,
            "files": files.collect::<Vec<_>>(),
        });
        let text = format!("{summary:#}\n");
        let written = temporary(root).and_then(|mut file| {
            io::Write::write_all(&mut file, text.as_bytes())?;
            file.as_file().sync_all()?;
            Ok(file.persist_noclobber(&path)?)
        });
        written.map(|_| ()).map_err(|why| write(&path, why))
    }

    /// Creates a directory, and those above it, if they do not exist.
    fn make_directory(&mut self, path: &Path) -> Result<(), ExportError> {
        let missing: Vec<PathBuf> = path
            .ancestors()
            .take_while(|place| !place.as_os_str().is_empty() && !place.exists())
            .map(Path::to_owned)
            .collect();
        fs::create_dir_all(path).map_err(|why| write(path, why))?;
        self.made.extend(missing.into_iter().rev());
        Ok(())
    }
}

/// Creates a file without a name that an engine would look at.
fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(Permissions::from_mode(FILE_MODE))
        .tempfile_in(directory)
}

fn write(path: &Path, why: io::Error) -> ExportError {
    ExportError::Write {
        path: path.to_owned(),
        why,
    }
}

/// The error of the system is inside, if there was one.
fn parquet(path: &Path, why: ParquetError) -> ExportError {
    ExportError::Parquet {
        path: path.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests;
