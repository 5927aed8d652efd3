//! The sinks: where records go.
//!
//! A sink takes bytes and returns how many it took. It does not buffer: what it took has left this
//! process, so the [`writer`](super::writer) always knows where to continue after a failure. The
//! writer retries, numbers and counts. Sinks are opened before serving starts: a sink that cannot
//! be used is an error then.
//!
//! A sink gets only whole records, each as [`stream`](customs_record::stream) rendered it. But one
//! call of `write` may end in the middle of a record and the next begin there, if the first took
//! only a part.

mod file;
#[cfg(feature = "network-sinks")]
mod otlp;
mod pretty;
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
pub use otlp::{
    CollectorUrlError, CredentialsError, OtlpSink, SinkCertificate, SinkCertificateReading,
};
use pretty::PrettySink;
use stdout::Stdout;
#[cfg(feature = "network-sinks")]
pub use tail::TailSink;

use super::config::{SinkConfig, Target};
#[cfg(feature = "network-sinks")]
use super::tail::{Ring, Tail};
use customs_engine::time::UnixNanos;
use customs_record::stream::ResumePoint;

/// Takes the bytes of records. It must not buffer: what `write` took has left this process.
pub trait Sink: Send {
    /// Returns the name in messages: the target as in the settings.
    fn name(&self) -> &str;

    /// Returns what an earlier process left there. Called once, before anything is written.
    fn resume_point(&mut self) -> ResumePoint {
        ResumePoint::default()
    }

    /// Rotates to another file if that is due. Called between two records, at least every half
    /// second. Returns true if the next record is in a new file, which must begin with what it
    /// continues.
    ///
    /// # Errors
    /// If the system refuses that; the sink continues in its file.
    fn rotate_if_due(&mut self, now: UnixNanos) -> io::Result<bool> {
        let _ = now;
        Ok(false)
    }

    /// Returns what happened to the place of the bytes that were written since the last
    /// `rotate_if_due`. Called after each batch, so it must be cheap.
    fn place(&mut self) -> Place {
        Place::Unchanged
    }

    /// Returns what another process did with the file that the last `rotate_if_due` left, as
    /// records say it; empty if customs itself closed it.
    fn previous_file(&self) -> &'static str {
        ""
    }

    /// Returns how many bytes it would like to have before `rotate_if_due` is called again.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Takes some of the bytes, from the first on, and returns how many. It may wait, but not
    /// forever.
    ///
    /// # Errors
    /// If the system refuses that; nothing was taken.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns whether there is a disk behind it, on which a sync leaves what was taken.
    fn is_on_disk(&self) -> bool {
        false
    }

    /// Waits until what was taken is on the disk, if there is one.
    ///
    /// # Errors
    /// If the sync fails; what was taken may be lost if the machine fails.
    fn sync(&mut self) -> io::Result<()>;
}

/// What happened to the place where a sink writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is what the settings name.
    Unchanged,
    /// The file has another name now, or a name that cannot be checked. It holds what was written.
    Moved,
    /// The file has no name: what was written goes with it.
    Deleted,
    /// Another process truncated the file: what was written may be gone.
    Cut,
}

/// Why a sink cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkOpenError {
    /// The file cannot be opened.
    #[error("cannot open the audit log file `{}`: {problem}; {advice}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        problem: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// There is no standard output, or it cannot be written to.
    #[error(
        "cannot write the audit log to stdout: {0}; start customs with an open stdout, or use `--audit file:PATH`, or `--audit off` to keep no audit log"
    )]
    Stdout(#[source] io::Error),
    /// Lines for people cannot be printed.
    #[error(
        "cannot print the audit log for people: {0}; write `--audit stdout` for records that tools \
         read and verify, and pipe them to `customs audit tail -` to read them"
    )]
    Pretty(#[source] io::Error),
    /// The URL of a collector cannot be used.
    #[cfg(feature = "network-sinks")]
    #[error(
        "cannot send the audit log to `{url}`: {problem}; write the URL of an OTLP/gRPC endpoint, such as `otlp:http://127.0.0.1:4317`"
    )]
    Otlp {
        /// The URL.
        url: String,
        /// What is wrong with it.
        #[source]
        problem: CollectorUrlError,
    },
    /// The files of a sink's TLS or headers cannot be used.
    #[cfg(feature = "network-sinks")]
    #[error("cannot send the audit log to `{url}`: {problem}")]
    OtlpCredentials {
        /// The URL.
        url: String,
        /// What is wrong with a file, and what to do.
        #[source]
        problem: CredentialsError,
    },
}

/// A sink that is open.
pub(crate) struct Opened {
    pub(crate) sink: Box<dyn Sink>,
    /// What is to be served to subscribers, if the sink is a tail.
    #[cfg(feature = "network-sinks")]
    pub(crate) tail: Option<Tail>,
    /// The certificate that the sink presents, if it has TLS.
    #[cfg(feature = "network-sinks")]
    pub(crate) certificate: Option<SinkCertificate>,
}

impl From<Box<dyn Sink>> for Opened {
    fn from(sink: Box<dyn Sink>) -> Opened {
        Opened {
            sink,
            #[cfg(feature = "network-sinks")]
            tail: None,
            #[cfg(feature = "network-sinks")]
            certificate: None,
        }
    }
}

/// Opens one sink. `reopen` counts how often reopening files was requested.
///
/// # Errors
/// Why it cannot be used, and what to do.
pub(crate) fn open(config: &SinkConfig, reopen: Reopen) -> Result<Opened, SinkOpenError> {
    let sink: Box<dyn Sink> = match &config.target {
        Target::File(path) => Box::new(FileSink::open(config, path, reopen)?),
        Target::Stdout => match config.pretty {
            Some(options) => {
                let sink = PrettySink::open(config.name(), options);
                Box::new(sink.map_err(SinkOpenError::Pretty)?)
            }
            None => Box::new(Stdout::open(config.name()).map_err(SinkOpenError::Stdout)?),
        },
        #[cfg(feature = "network-sinks")]
        Target::Otlp(url) => {
            let sink = OtlpSink::open(config.name(), url, &config.otlp)?;
            let certificate = sink.certificate();
            let sink: Box<dyn Sink> = Box::new(sink);
            return Ok(Opened {
                certificate,
                ..sink.into()
            });
        }
        #[cfg(feature = "network-sinks")]
        Target::Tail(address) => {
            let ring = Arc::new(Ring::default());
            return Ok(Opened {
                sink: Box::new(TailSink::new(config.name(), ring.clone())),
                tail: Some(Tail {
                    address: address.clone(),
                    ring,
                }),
                certificate: None,
            });
        }
    };
    Ok(sink.into())
}

/// Requests that files be opened again by their names, as after a rename by another process. Clones
/// share it.
#[derive(Clone, Debug, Default)]
pub struct Reopen(Arc<AtomicU64>);

impl Reopen {
    /// Requests it.
    pub fn request(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Returns how often it was requested.
    pub fn requests(&self) -> u64 {
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
        /// Takes at most this many bytes.
        Take(usize),
        /// Fails.
        Fail(io::ErrorKind),
        /// Panics, as a bug would.
        Panic,
    }

    /// Keeps what was written; clones share it.
    #[derive(Clone, Default)]
    pub(crate) struct Memory {
        pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
        /// How many of the bytes a sync has covered.
        pub(crate) synced: Arc<Mutex<usize>>,
        /// The next calls; when there are none left, everything is taken.
        pub(crate) steps: Arc<Mutex<VecDeque<Step>>>,
        /// What every call returns while it is set.
        pub(crate) state: Arc<Mutex<Option<io::ErrorKind>>>,
        /// While set, syncs fail.
        pub(crate) unsynced: Arc<Mutex<bool>>,
        /// How long a sync takes.
        pub(crate) sync_time: Arc<Mutex<Duration>>,
        /// What happened to its place.
        pub(crate) place: Arc<Mutex<Option<Place>>>,
        /// What every `rotate_if_due` returns while it is set.
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
            self.place.lock().unwrap().unwrap_or(Place::Unchanged)
        }

        fn previous_file(&self) -> &'static str {
            "deleted"
        }

        fn rotate_if_due(&mut self, _now: UnixNanos) -> io::Result<bool> {
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
                Some(Step::Panic) => panic!("a bug in a sink"),
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
