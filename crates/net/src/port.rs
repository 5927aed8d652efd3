//! A port: the way of every connection from its listener to the future that serves it.
//!
//! The ports for checks, for operators and of the tail share it, so what holds here holds for each:
//!
//! 1. A connection takes a [slot](ConnectionSlots), or is closed before anything is made for it.
//! 2. It waits for the client's first byte where it was accepted. So a connection that says nothing
//!    never reaches a thread that answers checks, and costs a socket and a few hundred bytes.
//! 3. It moves to where it is served, does its TLS handshake if the port has TLS, and becomes a
//!    [`ServerConnection`] there (`open`).
//! 4. It ends by itself, or because it gives way to another ([`ConnectionSlot::hold`]).
//!
//! This module knows no protocol. The rule: a refusal is reported to the port's [`PortObserver`].

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use customs_tls::server::CurrentConfig;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection_slots::{ConnectionSlot, ConnectionSlots, SlotHandle, SlotRefusal};
use super::listen::{Accepted, Listener, is_shortage};
use super::peer::ConnectionPeer;
use super::stream::ServerStream;
use super::tls::{self, HandshakeError, HandshakeRefusal, TlsConnection};
use super::workers::Workers;

/// The pause before accepting again after a resource ran short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(50);

/// How long a new connection waits for one that gave way to end. Meanwhile the next wait to be
/// accepted.
const LEAVING_PAUSE: Duration = Duration::from_millis(200);

/// The least time between two log lines about a resource that is short.
const SHORTAGE_INTERVAL: Duration = Duration::from_secs(60);

/// Why a port refuses or ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRefusal {
    /// The port has as many connections as it may have, and each is in use.
    TooManyConnections(usize),
    /// The peer has as many connections as it may have, and each is in use.
    TooManyConnectionsOfPeer(usize),
    /// The connection had sent no whole call, and gave way to a new one.
    GaveWay,
    /// The client sent nothing within this time.
    Silent(Duration),
    /// The client did not complete its TLS handshake within this time.
    HandshakeLate(Duration),
    /// The user of the client may not connect to this unix socket.
    UserNotAllowed,
}

impl fmt::Display for PortRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortRefusal::TooManyConnections(limit) => {
                write!(
                    f,
                    "one connection more than {limit}, each of which is in use"
                )
            }
            PortRefusal::TooManyConnectionsOfPeer(limit) => write!(
                f,
                "one connection of this peer more than {limit}, each of which is in use"
            ),
            PortRefusal::GaveWay => {
                f.write_str("a connection without a whole call gave way to a new one")
            }
            PortRefusal::Silent(limit) => {
                write!(f, "a connection on which nothing was sent for {limit:?}")
            }
            PortRefusal::HandshakeLate(limit) => {
                write!(f, "a TLS handshake that was not complete after {limit:?}")
            }
            PortRefusal::UserNotAllowed => {
                f.write_str("a user that the address does not list in `peers`")
            }
        }
    }
}

/// Receives the refusals of a port.
pub trait PortObserver: Send + Sync + 'static {
    /// Reports that a connection of this peer was refused or ended.
    fn refused(&self, peer: &ConnectionPeer, refusal: PortRefusal);

    /// Reports that a TLS handshake with this peer failed. `example` describes it in a few words.
    fn handshake_refused(
        &self,
        peer: &ConnectionPeer,
        refusal: HandshakeRefusal,
        example: &dyn fmt::Display,
    );
}

/// Runs the futures of connections.
pub trait SpawnConnection: Send + Sync + 'static {
    /// Runs the future of one connection to its end.
    fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static);
}

impl SpawnConnection for Workers {
    fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.take(connection);
    }
}

/// Serves connections on the runtime that accepts them. If it is dropped, they end.
#[derive(Debug, Default)]
pub struct RuntimeTasks(Mutex<JoinSet<()>>);

impl SpawnConnection for RuntimeTasks {
    fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(connection);
        // Removes connections that have ended; they would accumulate otherwise.
        while tasks.try_join_next().is_some() {}
    }
}

/// A connection where it is served.
#[derive(Debug)]
pub struct ServerConnection {
    /// Its bytes.
    pub stream: ServerStream,
    /// Who is at the other end.
    pub peer: ConnectionPeer,
    /// When it was accepted. Deadlines of its beginning count from here.
    pub accepted_at: Instant,
    /// What calls prove it by.
    pub slot: SlotHandle,
    /// Who the client is, if that is proven: the SPIFFE id of its certificate, or its user over a
    /// unix socket (`uid:1337`).
    pub peer_id: Option<Arc<str>>,
}

/// What one port does with its connections. Clones share slots and observer.
#[derive(Debug)]
pub struct Port<O> {
    slots: ConnectionSlots,
    first_byte_timeout: Duration,
    observer: Arc<O>,
    tls: Option<CurrentConfig>,
}

impl<O> Clone for Port<O> {
    fn clone(&self) -> Self {
        Port {
            slots: self.slots.clone(),
            first_byte_timeout: self.first_byte_timeout,
            observer: self.observer.clone(),
            tls: self.tls.clone(),
        }
    }
}

impl<O: PortObserver> Port<O> {
    /// Creates a port. A client has `first_byte_timeout` to send something.
    pub fn new(slots: ConnectionSlots, first_byte_timeout: Duration, observer: Arc<O>) -> Port<O> {
        Port {
            slots,
            first_byte_timeout,
            observer,
            tls: None,
        }
    }

    /// Returns the same port with TLS for each connection over TCP. The time for the first byte is
    /// then that for the whole handshake as well.
    pub fn with_tls(self, tls: Option<CurrentConfig>) -> Port<O> {
        Port { tls, ..self }
    }

    /// Returns what refusals are reported to.
    pub fn observer(&self) -> &Arc<O> {
        &self.observer
    }

    /// Returns the slots.
    pub fn slots(&self) -> &ConnectionSlots {
        &self.slots
    }

    /// Accepts and serves the connections of one listener until the shutdown, then waits for the
    /// last of them to end. Connections that have sent nothing end at the shutdown.
    ///
    /// # Errors
    /// If the listener breaks permanently.
    pub async fn serve<S, C, F>(
        self,
        listener: Listener,
        spawner: S,
        shutdown: CancellationToken,
        serve: C,
    ) -> io::Result<()>
    where
        S: SpawnConnection,
        C: Fn(ServerConnection) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (spawner, open) = (Arc::new(spawner), TaskTracker::new());
        let (mut silent, mut shortage) = (JoinSet::new(), ShortageWarning::default());
        loop {
            // The runtime makes this task yield after some accepted connections, so a flood of them
            // delays the other tasks of the runtime and does not stop them.
            let accepting = self.accept(&listener, &mut shortage);
            let Some(accepted) = shutdown.run_until_cancelled(accepting).await else {
                break;
            };
            let ((stream, peer), accepted_at) = (accepted?, Instant::now());
            if let Some(slot) = self.take_slot(&listener, peer).await {
                let (port, spawner, serve) = (self.clone(), spawner.clone(), serve.clone());
                let (shutdown, open) = (shutdown.clone(), open.clone());
                silent.spawn(async move {
                    let speaking = port.first_byte(stream, &slot, accepted_at);
                    let speaking = shutdown.run_until_cancelled(speaking).await.flatten();
                    if let Some(accepted) = speaking {
                        let connection = port.run(accepted, (accepted_at, slot), serve, shutdown);
                        spawner.spawn(open.track_future(connection));
                    }
                });
            }
            while silent.try_join_next().is_some() {}
        }
        // Closes its socket, so that no client waits in its queue, and removes its file.
        drop(listener);
        while silent.join_next().await.is_some() {}
        open.close();
        open.wait().await;
        Ok(())
    }

    /// Waits for a connection. If the process or the system has too many open files, the connection
    /// that has waited longest without a call gives way.
    async fn accept(
        &self,
        listener: &Listener,
        shortage: &mut ShortageWarning,
    ) -> io::Result<(ServerStream, ConnectionPeer)> {
        loop {
            match listener.accept().await {
                Err(problem) if is_shortage(&problem) => {
                    shortage.warn(&problem, Instant::now());
                    match self.slots.evict_oldest() {
                        None => sleep(SHORTAGE_PAUSE).await,
                        Some(peer) => {
                            self.observer.refused(&peer, PortRefusal::GaveWay);
                            // A descriptor is free as soon as it has ended.
                            let _ = timeout(SHORTAGE_PAUSE, self.slots.left()).await;
                        }
                    }
                }
                done => return done,
            }
        }
    }

    /// Takes a slot, and reports who gave way or was refused for it.
    async fn take_slot(&self, listener: &Listener, peer: ConnectionPeer) -> Option<ConnectionSlot> {
        if !listener.admits(&peer) {
            self.observer.refused(&peer, PortRefusal::UserNotAllowed);
            return None;
        }
        let mut taken = self.slots.take(peer);
        let deadline = Instant::now() + LEAVING_PAUSE;
        while matches!(taken, Err(SlotRefusal::Leaving))
            && timeout_at(deadline.into(), self.slots.left()).await.is_ok()
        {
            taken = self.slots.take(peer);
        }
        let limits = self.slots.limits();
        let refusal = match taken {
            Ok((slot, evicted)) => {
                if let Some(evicted) = evicted {
                    self.observer.refused(&evicted, PortRefusal::GaveWay);
                }
                return Some(slot);
            }
            Err(SlotRefusal::PerPeer) => PortRefusal::TooManyConnectionsOfPeer(limits.per_peer),
            Err(SlotRefusal::Total | SlotRefusal::Leaving) => {
                PortRefusal::TooManyConnections(limits.total)
            }
        };
        self.observer.refused(&peer, refusal);
        None
    }

    /// Waits for the first byte of the client. Returns the connection without its runtime, or
    /// nothing if it has ended.
    async fn first_byte(
        &self,
        stream: ServerStream,
        slot: &ConnectionSlot,
        accepted_at: Instant,
    ) -> Option<Accepted> {
        let deadline = accepted_at + self.first_byte_timeout;
        match slot
            .hold(timeout_at(deadline.into(), stream.first_byte()))
            .await?
        {
            Ok(Ok(true)) => stream.into_accepted(slot.peer()).ok(),
            Ok(Ok(false) | Err(_)) => None,
            Err(_late) => {
                let refusal = PortRefusal::Silent(self.first_byte_timeout);
                self.observer.refused(&slot.peer(), refusal);
                None
            }
        }
    }

    /// Serves a connection until it ends or gives way.
    async fn run<C, F>(
        self,
        accepted: Accepted,
        (accepted_at, slot): (Instant, ConnectionSlot),
        serve: C,
        shutdown: CancellationToken,
    ) where
        C: Fn(ServerConnection) -> F,
        F: Future<Output = ()>,
    {
        let handle = slot.handle();
        slot.hold(async {
            let opening = self.open(accepted, accepted_at, handle);
            // A client that stalls in its handshake does not hold up the end.
            if let Some(Some(connection)) = shutdown.run_until_cancelled(opening).await {
                serve(connection).await;
            }
        })
        .await;
    }

    /// Makes a connection belong to the runtime of this thread, with everything that happens before
    /// its protocol: the TLS handshake, if the port has TLS. It runs where the connection is
    /// served, and a client that stalls in it gives way to others, as each that has sent no whole
    /// call.
    async fn open(
        &self,
        accepted: Accepted,
        accepted_at: Instant,
        slot: SlotHandle,
    ) -> Option<ServerConnection> {
        let peer = accepted.peer();
        let stream = match accepted.into_stream() {
            Ok(stream) => stream,
            Err(problem) => {
                tracing::debug!(%problem, "cannot take over a connection");
                return None;
            }
        };
        let (stream, peer_id) = match (stream, &self.tls) {
            (ServerStream::Tcp(stream), Some(tls)) => {
                let deadline = accepted_at + self.first_byte_timeout;
                let handshake = tls::handshake(stream, tls);
                match timeout_at(deadline.into(), handshake).await {
                    Ok(Ok(TlsConnection { stream, peer_id })) => {
                        (ServerStream::Tls(stream), peer_id)
                    }
                    Ok(Err(HandshakeError::Closed)) => return None,
                    Ok(Err(HandshakeError::Refused(refusal, example))) => {
                        self.observer.handshake_refused(&peer, refusal, &example);
                        return None;
                    }
                    Err(_late) => {
                        let refusal = PortRefusal::HandshakeLate(self.first_byte_timeout);
                        self.observer.refused(&peer, refusal);
                        return None;
                    }
                }
            }
            (stream, _) => (stream, peer.proven_user().map(Arc::from)),
        };
        Some(ServerConnection {
            stream,
            peer,
            accepted_at,
            slot,
            peer_id,
        })
    }
}

/// Logs that resources are short, at most once a minute.
#[derive(Debug, Default)]
struct ShortageWarning(Option<Instant>);

impl ShortageWarning {
    /// Returns whether it was logged.
    fn warn(&mut self, problem: &io::Error, now: Instant) -> bool {
        let since = self.0.map(|last| now.saturating_duration_since(last));
        if since.is_some_and(|since| since < SHORTAGE_INTERVAL) {
            return false;
        }
        self.0 = Some(now);
        tracing::warn!(
            %problem,
            "a connection cannot be accepted, and is tried again; raise the limit of open files \
             (`ulimit -n`), or find out which process uses up the system's"
        );
        true
    }
}

#[cfg(test)]
mod tests;
