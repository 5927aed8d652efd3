//! Starts the audit log: opens every sink, gives each a queue and a writer, and ends them all.
//!
//! The rule: a sink that cannot be used, or settings that cannot keep what they promise, are errors
//! before serving starts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use super::checkpoint::{CheckpointFile, Checkpointer, Every};
use super::config::{OnFull, SinkConfig, Target};
use super::recorder::{MAX_SINKS, Recorder};
use super::redact::{self, RedactConfig, Redactor};
use super::sink_queue::{DURABLE_WITHIN, Limits, SinkQueue, SinkQueueConfig};
use super::sinks::{self, Opened, Reopen, Sink, SinkOpenError};
use super::writer::{Durability, Writer};
use super::writers::Running;
pub use super::writers::{AuditFlushError, Writers};
#[cfg(feature = "network-sinks")]
use super::{sinks::SinkCertificate, tail::Tail};
use customs_record::filter::Filter;
use customs_record::signing::{self, Signer};
use customs_record::stream::Stream;

/// The settings of the whole audit log.
#[derive(Clone, Debug)]
pub struct AuditLogConfig {
    /// The sinks; without any the audit log is off.
    pub sinks: Vec<SinkConfig>,
    /// When what was written reaches the disk.
    pub durability: Durability,
    /// How much may wait for each sink.
    pub limits: Limits,
    /// When each stream gets a checkpoint.
    pub checkpoints: Every,
    /// What is removed from records.
    pub redact: RedactConfig,
    /// A file to which the checkpoints of files are appended as well.
    pub checkpoint_file: Option<PathBuf>,
    /// The file of the private key that signs checkpoints.
    pub signing_key: Option<PathBuf>,
}

/// Why the audit log cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditStartError {
    /// A sink cannot be used.
    #[error(transparent)]
    Sink(#[from] SinkOpenError),
    /// The key of the hashes cannot be used.
    #[error(transparent)]
    RedactKey(#[from] redact::RedactKeyError),
    /// The key of checkpoints cannot be used.
    #[error("audit_log.signing_key: {0}")]
    Key(#[source] signing::SigningKeyError),
    /// The checkpoint file cannot be appended to.
    #[error("audit_log.checkpoint_file: cannot open `{}`: {problem}; name a file that can be appended to", path.display())]
    Checkpoints {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        problem: io::Error,
    },
    /// A pipe or a device cannot keep what `always` promises.
    #[error(
        "audit: durability `always` needs a file on a disk, and `{0}` is not one; name a regular file"
    )]
    NoDisk(String),
    /// A thread cannot be started.
    #[error("cannot start the audit log: {0}")]
    Thread(#[source] io::Error),
}

/// Why sinks do not fit together, found before any is opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditLogConfigError {
    /// More sinks than checks can reserve room in.
    #[error("expected at most {MAX_SINKS} sinks, not {0}")]
    TooManySinks(usize),
    /// A sink with the same target as an earlier one.
    #[error("this sink is named twice, which would write each record twice; name it once")]
    SameTarget {
        /// Its number in the settings, from 0.
        index: usize,
        /// Its target.
        sink: String,
    },
    /// A promise that no sink can keep.
    #[error(
        "durability `always` needs a file without a filter that does not drop, such as `file:/var/log/customs/audit.jsonl`"
    )]
    NothingDurable,
}

/// Finds too many sinks, a target that is named twice, and a promise that no sink can keep.
pub fn check(config: &AuditLogConfig) -> Vec<AuditLogConfigError> {
    let mut wrong = Vec::new();
    let sinks = &config.sinks;
    if sinks.len() > MAX_SINKS {
        wrong.push(AuditLogConfigError::TooManySinks(sinks.len()));
    }
    for (index, sink) in sinks.iter().enumerate() {
        let mut earlier = sinks.iter().take(index);
        if earlier.any(|earlier| earlier.target == sink.target) {
            let sink = sink.to_string();
            wrong.push(AuditLogConfigError::SameTarget { index, sink });
        }
    }
    if config.durability == Durability::Always && !sinks.iter().any(keeps_all) {
        wrong.push(AuditLogConfigError::NothingDurable);
    }
    wrong
}

/// Returns whether every check is in this sink's records, on a disk: what `always` can wait for.
fn keeps_all(sink: &SinkConfig) -> bool {
    matches!(sink.target, Target::File(_))
        && sink.filter == Filter::All
        && sink.on_full != OnFull::Drop
}

/// The audit log of a server.
#[derive(Debug)]
pub struct AuditLog {
    /// The side that checks use.
    pub recorder: Recorder,
    /// The writers.
    pub writers: Writers,
    /// Requests that files be opened again.
    pub reopen: Reopen,
    /// The tails to serve, in the order of the settings.
    #[cfg(feature = "network-sinks")]
    pub tails: Vec<Tail>,
    /// The certificates that sinks present.
    #[cfg(feature = "network-sinks")]
    pub certificates: Vec<SinkCertificate>,
}

/// Opens the sinks and starts their writers.
///
/// # Errors
/// Which sink cannot be used, and what to do.
pub fn start(config: &AuditLogConfig) -> Result<AuditLog, AuditStartError> {
    let is_kept = config.sinks.iter().any(|sink| sink.pretty.is_none());
    if !config.sinks.is_empty() && !is_kept {
        tracing::warn!(
            "the audit log is kept nowhere: `stdout?format=pretty` prints lines for people, which no \
             tool can verify; add a sink such as `file:PATH`"
        );
    }
    let reopen = Reopen::default();
    let open = |sink| sinks::open(sink, reopen.clone());
    let opened = config.sinks.iter().map(open).collect::<Result<_, _>>()?;
    start_opened(config, opened, reopen)
}

/// Starts with sinks that are already open, in the order of the settings.
///
/// # Errors
/// If a key or the checkpoint file cannot be used, or a thread cannot be started.
pub fn start_with(
    config: &AuditLogConfig,
    sinks: Vec<Box<dyn Sink>>,
    reopen: Reopen,
) -> Result<AuditLog, AuditStartError> {
    start_opened(
        config,
        sinks.into_iter().map(Opened::from).collect(),
        reopen,
    )
}

fn start_opened(
    config: &AuditLogConfig,
    sinks: Vec<Opened>,
    reopen: Reopen,
) -> Result<AuditLog, AuditStartError> {
    let signer = config.signing_key.as_deref().map(Signer::read).transpose();
    let signer = signer.map_err(AuditStartError::Key)?.map(Arc::new);
    let checkpoints = checkpoint_file(config)?.map(Arc::new);
    let (queues, receivers): (Vec<_>, Vec<_>) =
        config.sinks.iter().map(|sink| queue(config, sink)).unzip();
    let redactor = Arc::new(Redactor::new(config.redact.clone())?);
    let elsewhere = config
        .sinks
        .iter()
        .zip(&queues)
        .filter(|(sink, _)| sink.target.is_elsewhere());
    let elsewhere: Vec<Arc<SinkQueue>> = elsewhere.map(|(_, queue)| queue.clone()).collect();
    #[cfg(feature = "network-sinks")]
    let tails = sinks.iter().filter_map(|open| open.tail.clone()).collect();
    #[cfg(feature = "network-sinks")]
    let certificates = sinks
        .iter()
        .filter_map(|open| open.certificate.clone())
        .collect();
    let mut writers = Vec::new();
    for (((sink, Opened { sink: open, .. }), queue), receiver) in
        config.sinks.iter().zip(sinks).zip(&queues).zip(receivers)
    {
        if config.durability == Durability::Always && keeps_all(sink) && !open.is_on_disk() {
            return Err(AuditStartError::NoDisk(sink.name()));
        }
        let is_file = matches!(sink.target, Target::File(_));
        let copies = if is_file {
            elsewhere.clone()
        } else {
            Vec::new()
        };
        let writer = Writer {
            queue: queue.clone(),
            receiver,
            sink: open,
            stream: Stream::new(
                Uuid::new_v4().to_string(),
                &sink.name(),
                &sink.filter.to_string(),
                sink.format,
            ),
            durability: if is_file {
                config.durability
            } else {
                Durability::None
            },
            redactor: redactor.clone(),
            checkpointer: Checkpointer::new(config.checkpoints, copies)
                .signed(signer.clone())
                .filed(checkpoints.clone().filter(|_| is_file), &sink.name()),
        };
        writers.push(
            Running::start(writer, sink.target.is_elsewhere()).map_err(AuditStartError::Thread)?,
        );
    }
    Ok(AuditLog {
        recorder: Recorder::new(queues, DURABLE_WITHIN),
        writers: Writers::new(writers),
        reopen,
        #[cfg(feature = "network-sinks")]
        tails,
        #[cfg(feature = "network-sinks")]
        certificates,
    })
}

fn checkpoint_file(config: &AuditLogConfig) -> Result<Option<CheckpointFile>, AuditStartError> {
    let open = |path: &PathBuf| {
        CheckpointFile::open(path).map_err(|problem| AuditStartError::Checkpoints {
            path: path.clone(),
            problem,
        })
    };
    config.checkpoint_file.as_ref().map(open).transpose()
}

fn queue(
    config: &AuditLogConfig,
    sink: &SinkConfig,
) -> (
    Arc<SinkQueue>,
    std::sync::mpsc::Receiver<super::sink_queue::Message>,
) {
    let (queue, receiver) = SinkQueue::new(SinkQueueConfig {
        name: sink.name(),
        filter: sink.filter,
        on_full: sink.on_full,
        limits: config.limits,
        acknowledges: config.durability == Durability::Always && keeps_all(sink),
    });
    (Arc::new(queue), receiver)
}

#[cfg(test)]
mod tests;
