//! The thread of a server that adds each revision to the policy archive once it is in force.
//!
//! Nothing waits for it: no check, and not the loop that publishes. So a disk that is full, slow or
//! gone delays nothing, and an archive that cannot be written refuses no set: what is enforced must
//! not depend on a copy of it. The rule: a failure is logged, counted and shown, and tried again
//! until it succeeds; a revision is only given up if very many wait.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use customs_policy::policy_set::SetInForce;

use super::PolicyArchive;
use super::writer::ArchiveWriter;
use crate::background::step_back;

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How many revisions may wait. They share the bytes of unchanged files.
const MOST_WAITING: usize = 256;

/// The state of the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiverReading {
    /// The directory.
    pub directory: PathBuf,
    /// The revision that was added last; `None` before the first.
    pub archived: Option<String>,
    /// How many revisions wait.
    pub waiting: usize,
    /// How many attempts failed.
    pub failures: u64,
    /// How many revisions were given up.
    pub given_up: u64,
    /// Why the last attempt failed; `None` if it did not.
    pub problem: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    reading: Mutex<ArchiverReading>,
    /// Whether the thread has ended.
    ended: Mutex<bool>,
    end: Condvar,
}

impl Shared {
    fn reading(&self) -> MutexGuard<'_, ArchiverReading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands sets over to the thread, which ends once every handle is dropped.
#[derive(Clone, Debug)]
pub struct Archiver {
    shared: Arc<Shared>,
    sets: Sender<SetInForce>,
}

/// Waits for the end of the thread, and reads its state.
#[derive(Clone, Debug)]
pub struct ArchiverStatus(Arc<Shared>);

/// Starts the thread.
///
/// # Errors
/// If the system provides none.
pub fn start(archive: PolicyArchive) -> io::Result<Archiver> {
    let (sets, received) = mpsc::channel();
    let shared = Arc::new(Shared::default());
    shared.reading().directory = archive.root().to_owned();
    let thread = ArchiverThread {
        writer: ArchiveWriter::new(archive),
        shared: shared.clone(),
        waiting: VecDeque::new(),
    };
    let _not_joined = thread::Builder::new()
        .name("customs-archive".to_owned())
        .spawn(move || thread.run(&received))?;
    Ok(Archiver { shared, sets })
}

impl Archiver {
    /// Hands over what came into force.
    pub fn archive(&self, set: SetInForce) {
        self.shared.reading().waiting += 1;
        // The thread ends after the last handle.
        let _ = self.sets.send(set);
    }

    /// Returns its state, which can be read after the last handle is dropped.
    pub fn status(&self) -> ArchiverStatus {
        ArchiverStatus(self.shared.clone())
    }
}

impl ArchiverStatus {
    /// Returns the current state.
    pub fn reading(&self) -> ArchiverReading {
        self.0.reading().clone()
    }

    /// Waits until the thread has ended, for at most this time; blocks. Every handle must be
    /// dropped. Returns the state then.
    pub fn wait_blocking(&self, bound: Duration) -> ArchiverReading {
        let ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.end.wait_timeout_while(ended, bound, |ended| !*ended);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.reading()
    }
}

struct ArchiverThread {
    writer: ArchiveWriter,
    shared: Arc<Shared>,
    waiting: VecDeque<SetInForce>,
}

impl ArchiverThread {
    fn run(mut self, received: &Receiver<SetInForce>) {
        step_back();
        loop {
            let next = if self.waiting.is_empty() {
                received.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                received.recv_timeout(RETRY)
            };
            match next {
                Ok(set) => self.waiting.push_back(set),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.waiting.extend(received.try_iter());
            self.add_waiting();
        }
        // What waits after a failure gets one more attempt.
        self.add_waiting();
        *self
            .shared
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.end.notify_all();
    }

    /// Adds what waits, up to the first that fails.
    fn add_waiting(&mut self) {
        while let Some(set) = self.waiting.front() {
            match self.writer.add(set) {
                Ok(repaired) => {
                    for damaged in repaired {
                        tracing::warn!(
                            "the policy archive was damaged, and is repaired: {damaged}"
                        );
                    }
                    let revision = set.revision.to_string();
                    self.waiting.pop_front();
                    self.succeeded(revision);
                }
                Err(why) => return self.failed(why.to_string()),
            }
        }
    }

    fn succeeded(&self, revision: String) {
        let mut reading = self.shared.reading();
        let had_problem = reading.problem.take().is_some();
        reading.waiting = reading.waiting.saturating_sub(1);
        if had_problem {
            tracing::info!(revision, "the policy archive is written again");
        } else {
            tracing::debug!(revision, "archived");
        }
        reading.archived = Some(revision);
    }

    fn failed(&mut self, problem: String) {
        let mut reading = self.shared.reading();
        reading.failures += 1;
        if reading.problem.as_ref() != Some(&problem) {
            tracing::warn!(
                problem,
                "the policy archive cannot be written; the policies are in force all the same, and it is tried again every {RETRY:?}"
            );
        }
        reading.problem = Some(problem);
        while self.waiting.len() > MOST_WAITING
            && let Some(set) = self.waiting.pop_front()
        {
            reading.waiting = reading.waiting.saturating_sub(1);
            reading.given_up += 1;
            tracing::error!(revision = %set.revision, "this revision is not in the policy archive: too many wait");
        }
    }
}
