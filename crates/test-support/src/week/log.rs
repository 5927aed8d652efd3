//! The audit log of the week: a stream of the real format, in the real file sink.
//!
//! It replaces the writer thread, whose clock cannot be set: the times of rotation and of
//! checkpoints are those of the records. The rule: what one process writes is one stream, and the
//! next one continues where the file ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use customs_audit::config::SinkConfig;
use customs_audit::sinks::{FileSink, Reopen, Sink};
use customs_engine::time::UnixNanos;
use customs_record::Entry;
use customs_record::checkpoint::{checkpoint, file_line};
use customs_record::signing::Signer;
use customs_record::stream::{Format, Stream};

use super::{WeekOptions, WeekPaths};

/// As in the settings of a server, so that records do not say where this machine keeps the week.
const SINK: &str = "file:/var/log/customs/audit";

/// The records of a batch, and those between two checkpoints.
const BATCH: usize = 64;
const CHECKPOINT_RECORDS: u64 = 10_000;

/// The nanoseconds between two checkpoints.
const CHECKPOINT_TIME: i128 = 60_000_000_000;

/// How many closed files may wait to be compressed before the week waits for them.
const WAITING: usize = 2;

/// Where the records of one server go.
pub(super) struct Log {
    paths: WeekPaths,
    config: SinkConfig,
    path: PathBuf,
    format: Format,
    signer: Signer,
    checkpoints: BufWriter<File>,
    /// The file; nothing while it is opened again.
    sink: Option<FileSink>,
    stream: Stream,
    batch: Vec<u8>,
    batched: usize,
    covered: (u64, i128),
    /// What was written, kind by kind, and the bytes of it.
    pub(super) records: BTreeMap<String, u64>,
    pub(super) bytes: u64,
}

impl Log {
    /// Opens an empty one; its stream has not begun.
    pub(super) fn open(paths: &WeekPaths, options: &WeekOptions) -> Result<Log> {
        let path = paths.file(options.format);
        let text = format!(
            "file:{}?format={}&gzip={}&rotate_size={}",
            path.display(),
            options.format,
            options.gzip,
            options.rotate_at()
        );
        let config: SinkConfig = text.parse()?;
        Ok(Log {
            paths: paths.clone(),
            sink: Some(FileSink::open(&config, &path, Reopen::default())?),
            config,
            path,
            format: options.format,
            signer: Signer::read(&paths.private_key())?,
            checkpoints: BufWriter::new(File::create(paths.checkpoints())?),
            stream: Stream::new(String::new(), SINK, "all", options.format),
            batch: Vec::new(),
            batched: 0,
            covered: (0, 0),
            records: BTreeMap::new(),
            bytes: 0,
        })
    }

    /// Begins the stream of a process.
    pub(super) fn begin(&mut self, id: String, time: UnixNanos) -> Result<()> {
        self.stream = Stream::new(id, SINK, "all", self.format);
        let left = self.sink()?.resume_point();
        self.stream.begin(left, time, &mut self.batch);
        self.count("stream");
        self.covered = (self.stream.position().sequence, time.0);
        self.write(time)
    }

    /// Appends a record.
    pub(super) fn append(&mut self, entry: &Entry, time: UnixNanos) -> Result<()> {
        self.stream.append(entry, &mut self.batch);
        self.count(entry.kind());
        self.batched += 1;
        if self.batched >= BATCH || self.batch.len() >= self.sink()?.room() {
            self.write(time)?;
        }
        Ok(())
    }

    /// Ends the process in order.
    pub(super) fn end(&mut self, time: UnixNanos) -> Result<()> {
        self.write(time)?;
        self.seal(true, time)?;
        self.write(time)?;
        Ok(self.checkpoints.flush()?)
    }

    /// Ends the process in the middle of a record, and opens the file again as the next one does.
    pub(super) fn crash(&mut self, entry: &Entry, time: UnixNanos) -> Result<()> {
        self.write(time)?;
        let mark = self.stream.mark();
        let mut torn = Vec::new();
        self.stream.append(entry, &mut torn);
        self.stream.reset(mark);
        torn.truncate(torn.len() / 2);
        self.put(&torn)?;
        self.reopen()
    }

    /// Opens the file again, as the next process does.
    pub(super) fn reopen(&mut self) -> Result<()> {
        // The lock of the file goes with the sink.
        self.sink = None;
        self.sink = Some(FileSink::open(&self.config, &self.path, Reopen::default())?);
        Ok(())
    }

    /// Waits until every closed file is compressed, if they are to be.
    pub(super) fn finish(&mut self, time: UnixNanos) -> Result<()> {
        self.wait_for_compression(0, time)
    }

    fn sink(&mut self) -> Result<&mut FileSink> {
        self.sink.as_mut().context("the file is closed")
    }

    fn count(&mut self, kind: &str) {
        match self.records.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.records.insert(kind.to_owned(), 1)),
        }
    }

    /// Writes the batch, with a checkpoint if one is due, and rotates if that is due.
    fn write(&mut self, time: UnixNanos) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.put(&batch)?;
        self.batch = batch;
        self.batch.clear();
        self.batched = 0;
        let (records, since) = self.covered;
        let more = self.stream.position().sequence - records;
        if more >= CHECKPOINT_RECORDS || (more > 0 && time.0 - since >= CHECKPOINT_TIME) {
            self.seal(false, time)?;
        }
        if self.sink()?.rotate_if_due(time)? {
            self.stream.continue_in_new_file("", time, &mut self.batch);
            self.count("stream");
            self.wait_for_compression(WAITING, time)?;
        }
        Ok(())
    }

    /// Appends a checkpoint of everything so far.
    fn seal(&mut self, is_last: bool, time: UnixNanos) -> Result<()> {
        let made = checkpoint(self.stream.position(), is_last, time, Some(&self.signer));
        let made = std::sync::Arc::new(made);
        let mut bytes = Vec::new();
        self.stream
            .append(&Entry::Checkpoint(made.clone()), &mut bytes);
        self.count("checkpoint");
        self.put(&bytes)?;
        self.checkpoints.write_all(&file_line(&made, SINK))?;
        self.covered = (self.stream.position().sequence, time.0);
        Ok(())
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let taken = self
                .sink()?
                .write(bytes)
                .context("the file takes no more")?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Waits until no more than so many closed files are not compressed.
    fn wait_for_compression(&mut self, most: usize, time: UnixNanos) -> Result<()> {
        while self.config.rotation.gzip && self.uncompressed()? > most {
            thread::sleep(Duration::from_millis(20));
            // The sink looks after its thread when it is asked to rotate. A file that has just
            // begun is not due.
            if self.sink()?.rotate_if_due(time)? {
                self.stream.continue_in_new_file("", time, &mut self.batch);
                self.count("stream");
            }
        }
        Ok(())
    }

    fn uncompressed(&self) -> Result<usize> {
        let segments = self.paths.segments()?;
        Ok(segments
            .iter()
            .filter(|path| path.to_string_lossy().ends_with('Z'))
            .count())
    }
}
