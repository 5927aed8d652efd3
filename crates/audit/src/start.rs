//! Starts the trail: opens every sink, gives each a queue and a writer, and ends them all.
//!
//! The rule: a sink that cannot be used, or settings that cannot hold what they promise, are errors before serving starts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::checkpoint::{CheckpointFile, Checkpointer, Every};
use super::config::{OnFull, SinkConfig, Target};
use super::recorder::{MAX_SINKS, Recorder};
use super::redact::{self, RedactConfig, Redactor};
use super::sink_queue::{DURABLE_WITHIN, Limits, SinkQueue, SinkQueueConfig};
use super::sinks::{self, Reopen, Sink, SinkOpenError};
use super::tail::Tail;
use super::writer::{Durability, End, Writer};
use customs_record::filter::Filter;
use customs_record::signing::{self, Signer};
use customs_record::stream::Stream;

/// The whole record, as the settings say it.
#[derive(Clone, Debug)]
pub struct TrailConfig {
    /// The sinks; none is off.
    pub sinks: Vec<SinkConfig>,
    /// When what was written reaches the disk.
    pub durability: Durability,
    /// How much may wait for each sink.
    pub limits: Limits,
    /// When each stream gets a checkpoint.
    pub checkpoints: Every,
    /// What is taken out of records.
    pub redact: RedactConfig,
    /// A file to which the checkpoints of files are appended as well.
    pub checkpoint_file: Option<PathBuf>,
    /// The file of the private key that signs checkpoints.
    pub signing_key: Option<PathBuf>,
}

/// Why the record cannot start.
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
    #[error("audit_trail.signing_key: {0}")]
    Key(#[source] signing::SigningKeyError),
    /// The checkpoint file cannot be appended to.
    #[error("audit_trail.checkpoint_file: cannot open `{}`: {problem}; name a file that can be appended to", path.display())]
    Checkpoints {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        problem: io::Error,
    },
    /// A pipe or a device cannot hold what `always` promises.
    #[error(
        "audit: durability `always` needs a file on a disk, and `{0}` is none; name a regular file"
    )]
    NoDisk(String),
    /// A thread cannot be started.
    #[error("cannot start the audit: {0}")]
    Thread(#[source] io::Error),
}

/// The most sinks, a place named twice, a promise that no sink can keep.
///
/// # Errors
/// What is wrong, a sentence each.
pub fn check(config: &TrailConfig) -> Vec<String> {
    let mut wrong = Vec::new();
    let sinks = &config.sinks;
    if sinks.len() > MAX_SINKS {
        wrong.push(format!(
            "there are {} sinks; {MAX_SINKS} are the most",
            sinks.len()
        ));
    }
    for (index, sink) in sinks.iter().enumerate() {
        if sinks
            .iter()
            .take(index)
            .any(|earlier| earlier.target == sink.target)
        {
            wrong.push(format!("the audit goes to `{sink}` twice, which would write each record twice; name it once"));
        }
    }
    if config.durability == Durability::Always && !sinks.iter().any(keeps_all) {
        let example = "`file:/var/log/customs/audit.jsonl`";
        wrong.push(format!("durability `always` needs a file without a filter that does not drop, such as {example}"));
    }
    wrong
}

/// Whether every check is in this sink's records, on a disk: what `always` can wait for.
fn keeps_all(sink: &SinkConfig) -> bool {
    matches!(sink.target, Target::File(_))
        && sink.filter == Filter::All
        && sink.on_full != OnFull::Drop
}

/// The record of a server.
#[derive(Debug)]
pub struct Trail {
    /// The checks' end.
    pub recorder: Recorder,
    /// The writers.
    pub writers: Writers,
    /// Asks files to be opened again.
    pub reopen: Reopen,
    /// What must be served to subscribers, in the order of the settings.
    pub tails: Vec<Tail>,
}

/// Opens the sinks and starts their writers.
///
/// # Errors
/// Which sink cannot be used, and what to do.
pub fn start(config: &TrailConfig) -> Result<Trail, AuditStartError> {
    let reopen = Reopen::default();
    let mut tails = Vec::new();
    let open = |sink| sinks::open(sink, reopen.clone(), &mut tails);
    let sinks: Vec<Box<dyn Sink>> = config.sinks.iter().map(open).collect::<Result<_, _>>()?;
    Ok(Trail {
        tails,
        ..start_with(config, sinks, reopen)?
    })
}

/// The same with sinks that are open already, in the order of the settings.
///
/// # Errors
/// If a key or the checkpoint file cannot be used, or a thread cannot be started.
pub fn start_with(
    config: &TrailConfig,
    sinks: Vec<Box<dyn Sink>>,
    reopen: Reopen,
) -> Result<Trail, AuditStartError> {
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
    let mut writers = Vec::new();
    for (((sink, open), queue), receiver) in
        config.sinks.iter().zip(sinks).zip(&queues).zip(receivers)
    {
        if config.durability == Durability::Always && keeps_all(sink) && !open.is_on_disk() {
            return Err(AuditStartError::NoDisk(sink.name()));
        }
        let is_file = matches!(sink.target, Target::File(_));
        let told = if is_file {
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
            checkpointer: Checkpointer::new(config.checkpoints, told)
                .signed(signer.clone())
                .filed(checkpoints.clone().filter(|_| is_file), &sink.name()),
        };
        writers.push(
            Running::start(writer, sink.target.is_elsewhere()).map_err(AuditStartError::Thread)?,
        );
    }
    Ok(Trail {
        recorder: Recorder::new(queues, DURABLE_WITHIN),
        writers: Writers(writers),
        reopen,
        tails: Vec::new(),
    })
}

fn checkpoint_file(config: &TrailConfig) -> Result<Option<CheckpointFile>, AuditStartError> {
    let open = |path: &PathBuf| {
        CheckpointFile::open(path).map_err(|problem| AuditStartError::Checkpoints {
            path: path.clone(),
            problem,
        })
    };
    config.checkpoint_file.as_ref().map(open).transpose()
}

fn queue(
    config: &TrailConfig,
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

/// Why the record did not end well.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFlushError {
    /// A sink did not take everything in time.
    #[error("{lost} audit records could not be written to {sink} within the bound")]
    Lost {
        /// The sink.
        sink: String,
        /// How many.
        lost: u64,
    },
    /// A sink hangs in a call of the system, or somebody holds room and never uses it.
    #[error("the audit to {sink} did not end: a write hangs; up to {lost} records are lost")]
    Hangs {
        /// The sink.
        sink: String,
        /// How many.
        lost: u64,
    },
    /// The thread is gone.
    #[error("the audit thread of {0} ended by itself")]
    Gone(String),
}

/// The owner's hold on the writers.
#[derive(Debug)]
pub struct Writers(Vec<Running>);

#[derive(Debug)]
struct Running {
    queue: Arc<SinkQueue>,
    /// Whether its records leave this machine.
    is_elsewhere: bool,
    /// `None` once it was told that the thread has ended.
    ended: Option<oneshot::Receiver<End>>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(writer: Writer, is_elsewhere: bool) -> io::Result<Running> {
        let queue = writer.queue.clone();
        let (told, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("audit".into()).spawn(move || {
            // Nobody listens only where nobody waits any more.
            let _ = told.send(writer.run());
        })?;
        Ok(Running {
            queue,
            is_elsewhere,
            ended: Some(ended),
            thread,
        })
    }

    async fn finish(self, deadline: Instant) -> Result<(), AuditFlushError> {
        let Running {
            queue,
            is_elsewhere: _,
            ended,
            thread,
        } = self;
        let sink = queue.name().to_owned();
        let Some(mut ended) = ended else {
            return Err(AuditFlushError::Gone(sink));
        };
        let end = match timeout_at(deadline, &mut ended).await {
            Ok(end) => end,
            Err(_) => {
                queue.state.give_up.store(true, Relaxed);
                match timeout_at(Instant::now() + GIVE_UP_BOUND, &mut ended).await {
                    Ok(end) => end,
                    Err(_) => {
                        return Err(AuditFlushError::Hangs {
                            sink,
                            lost: queue.queued().0,
                        });
                    }
                }
            }
        };
        match (end, thread.join()) {
            (Ok(End { lost: 0 }), Ok(())) => Ok(()),
            (Ok(End { lost }), Ok(())) => Err(AuditFlushError::Lost { sink, lost }),
            (Err(_), _) | (_, Err(_)) => Err(AuditFlushError::Gone(sink)),
        }
    }
}

/// How long a writer that was told to give up may take.
const GIVE_UP_BOUND: Duration = Duration::from_millis(800);

impl Writers {
    /// Waits until some writer has ended by itself, which none should; without a sink, for ever.
    pub async fn ended(&mut self) {
        std::future::poll_fn(|context| {
            for running in &mut self.0 {
                let Some(ended) = &mut running.ended else {
                    continue;
                };
                if std::future::Future::poll(std::pin::Pin::new(ended), context).is_ready() {
                    // That it ended is enough; how, is in the log.
                    running.ended = None;
                    return std::task::Poll::Ready(());
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Ends the record: nothing new is accepted, what was accepted and what has room is written, files are synced, and
    /// the threads are joined. After `bound` they stop trying, and what is lost is told. The sinks that leave this machine
    /// have a bound of their own, after that of the others.
    ///
    /// # Errors
    /// The first sink that did not end well.
    pub async fn finish(self, bound: Duration) -> Result<(), AuditFlushError> {
        // Sinks that leave this machine end last: the others' last checkpoints go there.
        let (elsewhere, here): (Vec<_>, Vec<_>) =
            self.0.into_iter().partition(|running| running.is_elsewhere);
        let mut ended = Ok(());
        for part in [here, elsewhere] {
            let deadline = Instant::now() + bound;
            part.iter().for_each(|running| running.queue.close());
            for running in part {
                ended = ended.and(running.finish(deadline).await);
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests;
