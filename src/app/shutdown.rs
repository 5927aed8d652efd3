//! The signals that the process listens to: SIGTERM and SIGINT end it, SIGHUP reads policies and
//! settings now and opens the files of the record again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::audit::sinks::Reopen;
use crate::files::reload::Trigger;

/// A signal that ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndSignal {
    /// SIGTERM: a system that ends a server, behind which others have to learn of it.
    Terminate,
    /// SIGINT: somebody at a terminal, who waits.
    Interrupt,
}

impl EndSignal {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            EndSignal::Terminate => "SIGTERM",
            EndSignal::Interrupt => "SIGINT",
        }
    }
}

/// The signals that end the process; listened to from the moment this is made.
#[derive(Debug)]
pub struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

impl Termination {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen() -> io::Result<Termination> {
        Ok(Termination { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> EndSignal {
        tokio::select! {
            _ = self.terminate.recv() => EndSignal::Terminate,
            _ = self.interrupt.recv() => EndSignal::Interrupt,
        }
    }
}

/// Begins to listen to SIGHUP; before that, it would end the process.
///
/// # Errors
/// What the system says.
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Reloads at every SIGHUP, for ever.
pub async fn reload_at_hangup(mut hangups: Signal, trigger: Trigger, reopen: Reopen) {
    while hangups.recv().await.is_some() {
        tracing::info!("SIGHUP: reading the policies and the settings file now, opening the files of the record again");
        reopen.ask();
        trigger.reload_now();
    }
}
