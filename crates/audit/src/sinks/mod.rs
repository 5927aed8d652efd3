//! The places to which the record goes.
//!
//! A sink takes bytes and says how many it took. It keeps nothing back: what it took is with whoever is behind it, so the
//! [`writer`](super::writer) always knows where to go on after a failure. When to try again, numbering and counting are
//! the writer's. Sinks are opened before serving starts: a place that cannot be used is an error then.
//!
//! A sink gets whole records only, each as [`stream`](customs_record::stream) rendered it, but a call of `write` may end and the
//! next begin in the middle of one, where the call before took only a part.

mod file;
#[cfg(feature = "network-sinks")]
mod otlp;
mod stdout;
#[cfg(feature = "network-sinks")]
mod tail;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use file::FileSink;
pub(super) use file::append;
#[cfg(feature = "network-sinks")]
pub use otlp::OtlpSink;
use stdout::Stdout;
#[cfg(feature = "network-sinks")]
pub use tail::TailSink;

use super::config::{SinkConfig, Target};
#[cfg(feature = "network-sinks")]
use super::tail::{Ring, Tail};
use customs_engine::time::UnixNanos;
use customs_record::stream::Left;

/// A place that takes the record's bytes. It must not buffer: what `write` took is gone from here.
pub trait Sink: Send {
    /// The name in messages: the place, as the settings say it.
    fn name(&self) -> &str;

    /// What an earlier process left there. Asked once, before anything is written.
    fn left(&mut self) -> Left {
        Left::default()
    }

    /// Called between two records, at least every half second: the sink may go over to another file. True if what
    /// follows stands in a new file, which must say first what it goes on from.
    ///
    /// # Errors
    /// What the system says; the sink goes on where it was.
    fn turn(&mut self, now: UnixNanos) -> io::Result<bool> {
        let _ = now;
        Ok(false)
    }

    /// What became of the place of what was written since the last turn. Asked after each batch, so it must cost little.
    fn place(&mut self) -> Place {
        Place::Kept
    }

    /// What somebody else did with the file that the last turn left, as the record says it; empty where nobody did.
    fn previous_file(&self) -> &'static str {
        ""
    }

    /// How many bytes it would like to have before `turn` is called again.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Takes some of the bytes, from the first on, and says how many. It may wait, but not for ever.
    ///
    /// # Errors
    /// What the system says; nothing was taken.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether there is a disk behind it, on which a sync leaves what was taken.
    fn is_on_disk(&self) -> bool {
        false
    }

    /// Waits until what was taken is on the disk, where there is one.
    ///
    /// # Errors
    /// What the system says; what was taken may be lost if the machine fails.
    fn sync(&mut self) -> io::Result<()>;
}

/// What became of the place where a sink writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is what the settings name.
    Kept,
    /// The file has another name now, or none that can be looked at. What was written is in it.
    Moved,
    /// The file has no name any more: what was written goes with it.
    Deleted,
    /// Somebody cut the file: what was written may be gone.
    Cut,
}

/// Why a sink cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkOpenError {
    /// The file cannot be opened.
    #[error("cannot open the audit file `{}`: {problem}; {advice}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        problem: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// There is no standard output, or it takes nothing.
    #[error(
        "cannot write the audit to stdout: {0}; start customs with an open stdout, or use `--audit file:PATH`, or `--audit off` to keep no record"
    )]
    Stdout(#[source] io::Error),
    /// The URL of a collector cannot be used.
    #[cfg(feature = "network-sinks")]
    #[error(
        "cannot send the audit to `{url}`: {problem}; write the URL of an OTLP/gRPC endpoint, such as `otlp:http://127.0.0.1:4317`"
    )]
    Otlp {
        /// The URL.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A place that is open.
pub(crate) struct Opened {
    pub(crate) sink: Box<dyn Sink>,
    /// What must be served to subscribers, if the place is a tail.
    #[cfg(feature = "network-sinks")]
    pub(crate) tail: Option<Tail>,
}

impl From<Box<dyn Sink>> for Opened {
    fn from(sink: Box<dyn Sink>) -> Opened {
        Opened {
            sink,
            #[cfg(feature = "network-sinks")]
            tail: None,
        }
    }
}

/// Opens one place. `reopen` counts how often files were asked to be opened again.
///
/// # Errors
/// Why it cannot be used, and what to do.
pub(crate) fn open(config: &SinkConfig, reopen: Reopen) -> Result<Opened, SinkOpenError> {
    let sink: Box<dyn Sink> = match &config.target {
        Target::File(path) => Box::new(FileSink::open(config, path, reopen)?),
        Target::Stdout => Box::new(Stdout::open(config.name()).map_err(SinkOpenError::Stdout)?),
        #[cfg(feature = "network-sinks")]
        Target::Otlp(url) => Box::new(OtlpSink::open(config.name(), url)?),
        #[cfg(feature = "network-sinks")]
        Target::Tail(address) => {
            let ring = Arc::new(Ring::default());
            return Ok(Opened {
                sink: Box::new(TailSink::new(config.name(), ring.clone())),
                tail: Some(Tail {
                    address: address.clone(),
                    ring,
                }),
            });
        }
    };
    Ok(sink.into())
}

/// Asks files to be opened again by their names, as after a rename by somebody else. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Reopen(Arc<AtomicU64>);

impl Reopen {
    /// Asks for it.
    pub fn ask(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// How often it was asked for.
    pub fn asked(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
pub(crate) mod doubles {
    //! A sink in memory, whose failures a test chooses.

    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    /// What the next call of `write` does.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Step {
        /// Takes at most so many bytes.
        Take(usize),
        /// Fails.
        Fail(io::ErrorKind),
    }

    /// Keeps what was written; clones share it.
    #[derive(Clone, Default)]
    pub(crate) struct Memory {
        pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
        /// How many of the bytes a sync has covered.
        pub(crate) synced: Arc<Mutex<usize>>,
        /// The next calls; when there are none left, everything is taken.
        pub(crate) steps: Arc<Mutex<VecDeque<Step>>>,
        /// What every call answers while it is set.
        pub(crate) state: Arc<Mutex<Option<io::ErrorKind>>>,
        /// While set, syncs fail.
        pub(crate) unsynced: Arc<Mutex<bool>>,
        /// How long a sync takes.
        pub(crate) sync_time: Arc<Mutex<Duration>>,
        /// What became of its place.
        pub(crate) place: Arc<Mutex<Option<Place>>>,
        /// What every turn answers while it is set.
        pub(crate) turns: Arc<Mutex<Option<io::ErrorKind>>>,
    }

    impl Memory {
        pub(crate) fn with(steps: impl IntoIterator<Item = Step>) -> Memory {
            Memory {
                steps: Arc::new(Mutex::new(steps.into_iter().collect())),
                ..Memory::default()
            }
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
        }

        /// What would still be there after the machine failed.
        pub(crate) fn on_disk(&self) -> String {
            let synced = *self.synced.lock().unwrap();
            self.text()[..synced].to_owned()
        }

        pub(crate) fn answers(&self, kind: impl Into<Option<io::ErrorKind>>) {
            *self.state.lock().unwrap() = kind.into();
        }

        pub(crate) fn boxed(&self) -> Box<dyn Sink> {
            Box::new(self.clone())
        }
    }

    impl Sink for Memory {
        fn name(&self) -> &str {
            "memory"
        }

        fn is_on_disk(&self) -> bool {
            true
        }

        fn place(&mut self) -> Place {
            self.place.lock().unwrap().unwrap_or(Place::Kept)
        }

        fn previous_file(&self) -> &'static str {
            "deleted"
        }

        fn turn(&mut self, _now: UnixNanos) -> io::Result<bool> {
            if let Some(kind) = *self.turns.lock().unwrap() {
                return Err(kind.into());
            }
            // Another file: what was in the first one is gone with it.
            let is_lost = self.place.lock().unwrap().take() == Some(Place::Deleted);
            if is_lost {
                self.bytes.lock().unwrap().clear();
                *self.synced.lock().unwrap() = 0;
            }
            Ok(is_lost)
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(kind) = *self.state.lock().unwrap() {
                return Err(kind.into());
            }
            let take = match self.steps.lock().unwrap().pop_front() {
                Some(Step::Fail(kind)) => return Err(kind.into()),
                Some(Step::Take(limit)) => limit.min(bytes.len()),
                None => bytes.len(),
            };
            self.bytes.lock().unwrap().extend_from_slice(&bytes[..take]);
            Ok(take)
        }

        fn sync(&mut self) -> io::Result<()> {
            std::thread::sleep(*self.sync_time.lock().unwrap());
            if *self.unsynced.lock().unwrap() {
                return Err(io::ErrorKind::Other.into());
            }
            *self.synced.lock().unwrap() = self.bytes.lock().unwrap().len();
            Ok(())
        }
    }
}
