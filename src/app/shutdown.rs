//! The signals of the process: SIGTERM and SIGINT end it; SIGHUP reads policies, settings and
//! certificates now and reopens the files of the audit log.

use std::{io, thread};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use customs_audit::sinks::Reopen;
use customs_sources::Trigger;

/// A signal that ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndSignal {
    /// SIGTERM: an orchestrator ends the server, and its clients need time to learn of that.
    Terminate,
    /// SIGINT: a user at a terminal, who waits.
    Interrupt,
}

impl EndSignal {
    /// Returns its name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            EndSignal::Terminate => "SIGTERM",
            EndSignal::Interrupt => "SIGINT",
        }
    }
}

/// The signals that end the process, received from the creation of this value on.
#[derive(Debug)]
pub(super) struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

impl Termination {
    /// Starts to receive them.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub(super) fn listen() -> io::Result<Termination> {
        Ok(Termination {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> EndSignal {
        tokio::select! {
            _ = self.terminate.recv() => EndSignal::Terminate,
            _ = self.interrupt.recv() => EndSignal::Interrupt,
        }
    }
}

/// Runs work that may hang, such as opening files, on its own thread, and waits until it is done or
/// a signal ends the process. A thread that hangs is then abandoned.
///
/// # Errors
/// If no thread can be started, or the work panics.
pub(super) async fn unless_ended<T: Send + 'static>(
    termination: &mut Termination,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Result<T, EndSignal>> {
    let (sender, receiver) = oneshot::channel();
    let work = move || {
        // The receiver may be gone.
        let _ = sender.send(work());
    };
    let _not_joined = thread::Builder::new()
        .name("start".to_owned())
        .spawn(work)?;
    tokio::select! {
        done = receiver => done.map(Ok).map_err(io::Error::other),
        signal = termination.next() => Ok(Err(signal)),
    }
}

/// Starts to receive SIGHUP, which would end the process before that.
///
/// # Errors
/// Returns the error of the operating system.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Reloads at every SIGHUP and never returns.
pub(super) async fn reload_at_hangup(mut hangups: Signal, triggers: &[Trigger], reopen: Reopen) {
    while hangups.recv().await.is_some() {
        tracing::info!(
            "SIGHUP: reading policies, the settings file and certificates now, reopening the files of the audit log"
        );
        reopen.request();
        triggers.iter().for_each(Trigger::reload_now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_ends_a_start_that_hangs() {
        let mut termination = Termination::listen().unwrap();
        for (signal, expected) in [
            (Signal::TERM, EndSignal::Terminate),
            (Signal::INT, EndSignal::Interrupt),
        ] {
            let (release, hangs) = std::sync::mpsc::channel::<()>();
            let work = unless_ended(&mut termination, move || hangs.recv());
            kill_process(getpid(), signal).unwrap();
            let ended = tokio::time::timeout(Duration::from_secs(20), work)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(ended, Err(expected));
            drop(release);
        }
        assert_eq!(unless_ended(&mut termination, || 7).await.unwrap(), Ok(7));
        assert!(
            unless_ended(&mut termination, || panic!("here"))
                .await
                .is_err()
        );
    }
}
