//! Decides when a stream gets a checkpoint, and publishes it to other sinks and to the checkpoint
//! file.
//!
//! [`record::checkpoint`](customs_record::checkpoint) says what a checkpoint is; the
//! [`writer`](super::writer) writes it into its stream. The rules: a checkpoint is published
//! elsewhere only after the sink has the records that it covers, and it goes to the checkpoint file
//! only after they are on the disk, so that a power cut cannot make an honest log look cut.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::sink_queue::SinkQueue;
use super::sinks;
use customs_engine::time::UnixNanos;
use customs_record::checkpoint::{checkpoint, file_line};
use customs_record::entry::audit_log::Position;
use customs_record::signing::Signer;
use customs_record::{CheckpointEntry, Entry};

/// When a stream gets a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    /// After this many records.
    pub records: u64,
    /// After this much time, if there was a record.
    pub time: Duration,
}

impl Default for Every {
    fn default() -> Every {
        Every {
            records: 10_000,
            time: Duration::from_secs(60),
        }
    }
}

/// Makes the checkpoints of one stream.
#[derive(Debug)]
pub struct Checkpointer {
    every: Every,
    /// The queues of the sinks that get checkpoints of this stream as well.
    copies: Vec<Arc<SinkQueue>>,
    signer: Option<Arc<Signer>>,
    /// The checkpoint file, and the name of the sink whose stream this is.
    file: Option<(Arc<CheckpointFile>, String)>,
    covered: u64,
    at: Instant,
}

impl Checkpointer {
    /// Creates a checkpointer for a stream without records. `copies` are the queues of sinks that
    /// leave this machine.
    pub fn new(every: Every, copies: Vec<Arc<SinkQueue>>) -> Checkpointer {
        Checkpointer {
            every,
            copies,
            signer: None,
            file: None,
            covered: 0,
            at: Instant::now(),
        }
    }

    /// Signs checkpoints if there is a signer.
    #[must_use]
    pub fn signed(self, signer: Option<Arc<Signer>>) -> Checkpointer {
        Checkpointer { signer, ..self }
    }

    /// Publishes checkpoints to the checkpoint file if there is one. `sink` is the name of the sink
    /// whose stream it is.
    #[must_use]
    pub fn filed(self, file: Option<Arc<CheckpointFile>>, sink: &str) -> Checkpointer {
        Checkpointer {
            file: file.map(|file| (file, sink.to_owned())),
            ..self
        }
    }

    /// Starts to cover records at this position.
    pub fn begin(&mut self, position: Position) {
        (self.covered, self.at) = (position.sequence, Instant::now());
    }

    /// Returns the checkpoint that is due behind the record at `position`; the last one of a stream
    /// always is.
    pub fn due(
        &mut self,
        position: Position,
        is_last: bool,
        time: UnixNanos,
    ) -> Option<CheckpointEntry> {
        let records = position.sequence.saturating_sub(self.covered);
        let is_due = is_last
            || records >= self.every.records
            || (records > 0 && self.at.elapsed() >= self.every.time);
        is_due.then(|| self.checkpoint(position, is_last, time))
    }

    /// Makes a checkpoint behind the record at `position`, due or not.
    pub fn checkpoint(
        &self,
        position: Position,
        is_last: bool,
        time: UnixNanos,
    ) -> CheckpointEntry {
        checkpoint(position, is_last, time, self.signer.as_deref())
    }

    /// Publishes a checkpoint elsewhere, after the stream has it. `is_synced` says whether the
    /// records that it covers are on the disk.
    pub fn publish(&mut self, checkpoint: CheckpointEntry, is_synced: bool) {
        let checkpoint = Arc::new(checkpoint);
        let entry = Entry::Checkpoint(checkpoint.clone());
        for queue in &self.copies {
            queue.offer_event(&entry);
        }
        // Records that are not on the disk yet are covered by the next one.
        if let (Some((file, sink)), true) = (&self.file, is_synced) {
            file.append(&file_line(&checkpoint, sink));
        }
    }
}

/// A file to which the checkpoints of files are appended as well: plain lines of JSON without a
/// chain. It is opened for each of them, so that another process may move it away at any time.
#[derive(Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    state: Mutex<State>,
    failures: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// Whether the file ends in the middle of a line.
    is_torn: bool,
    is_failing: bool,
}

impl CheckpointFile {
    /// Creates it if it does not exist, and checks that it can be appended to.
    ///
    /// # Errors
    /// If the system refuses that.
    pub fn open(path: &Path) -> io::Result<CheckpointFile> {
        appendable(path)?;
        let is_torn = ends_torn(path)?;
        let state = Mutex::new(State {
            is_torn,
            is_failing: false,
        });
        Ok(CheckpointFile {
            path: path.to_owned(),
            state,
            failures: AtomicU64::new(0),
        })
    }

    /// Returns how many checkpoints could not be written to it.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Appends a line and syncs it. A failure is counted and logged once, and is never fatal: the
    /// stream has the checkpoint.
    fn append(&self, line: &[u8]) {
        // A thread that panicked left the state consistent.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = if state.is_torn {
            b"\n".to_vec()
        } else {
            Vec::new()
        };
        text.extend_from_slice(line);
        let written = appendable(&self.path).and_then(|mut file| {
            state.is_torn = true;
            file.write_all(&text)?;
            state.is_torn = false;
            file.sync_data()
        });
        let (is_failing, file) = (written.is_err(), self.path.display());
        match written {
            Err(problem) if !state.is_failing => tracing::error!(
                %file, %problem, "the audit log's checkpoint file cannot be written; checkpoints continue in the records themselves"
            ),
            Ok(()) if state.is_failing => {
                tracing::info!(%file, "the audit log's checkpoint file is written again")
            }
            _ => {}
        }
        state.is_failing = is_failing;
        self.failures.fetch_add(u64::from(is_failing), Relaxed);
    }
}

/// Opens it at its end. It never waits: another process may have put a pipe there, and the audit
/// log must not hang on it.
fn appendable(path: &Path) -> io::Result<File> {
    sinks::append(path, true)
}

/// Returns whether a file ends in the middle of a line, as a killed process leaves it.
fn ends_torn(path: &Path) -> io::Result<bool> {
    // A pipe is not even opened for reading, which would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut file = File::open(path)?;
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpointer() -> Checkpointer {
        Checkpointer::new(
            Every {
                records: 3,
                time: Duration::from_secs(3600),
            },
            Vec::new(),
        )
    }

    fn position(sequence: u64) -> Position {
        Position {
            stream: "s".into(),
            sequence,
            chain: "0".repeat(64),
        }
    }

    #[test]
    fn a_checkpoint_is_due_after_records_and_at_the_end() {
        let mut checkpointer = checkpointer();
        checkpointer.begin(position(1));
        assert_eq!(checkpointer.due(position(3), false, UnixNanos(0)), None);
        assert!(
            checkpointer
                .due(position(4), false, UnixNanos(0))
                .is_some_and(|c| !c.last && c.sealed == position(4))
        );
        assert!(
            checkpointer
                .due(position(1), true, UnixNanos(0))
                .is_some_and(|c| c.last)
        );
    }

    #[test]
    fn the_checkpoint_file_gets_a_line_once_records_are_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints.jsonl");
        std::fs::write(&path, "{\"torn").unwrap();
        let file = Arc::new(CheckpointFile::open(&path).unwrap());
        let mut checkpointer = checkpointer().filed(Some(file.clone()), "file:a \"b\"");
        let checkpoint = checkpointer.due(position(4), false, UnixNanos(0)).unwrap();
        checkpointer.publish(checkpoint.clone(), false);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"torn");
        checkpointer.publish(checkpoint.clone(), true);
        checkpointer.publish(checkpoint, true);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[1]), (3, "{\"torn", lines[2]));
        let read: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
        assert_eq!(
            (&read["kind"], &read["sequence"], &read["sink"]),
            (&"checkpoint".into(), &"5".into(), &"file:a \"b\"".into())
        );
        assert_eq!(file.failures(), 0);
    }

    #[test]
    fn a_checkpoint_file_that_fails_is_counted_and_no_more() {
        let file = Arc::new(CheckpointFile::open(Path::new("/dev/full")).unwrap());
        let mut checkpointer = checkpointer().filed(Some(file.clone()), "stdout");
        for _ in 0..2 {
            let checkpoint = checkpointer.due(position(4), false, UnixNanos(0)).unwrap();
            checkpointer.publish(checkpoint, true);
        }
        assert_eq!(file.failures(), 2);
        assert!(CheckpointFile::open(Path::new("/nonexistent/x")).is_err());
    }
}
