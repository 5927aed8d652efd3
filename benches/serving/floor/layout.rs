//! The two layouts: which runtime runs an accepted connection.
//!
//! It knows no HTTP. The rule: one thread accepts, as in customs, and gives connections to runtimes
//! in turn.

use std::net::{TcpListener, TcpStream as Accepted};
use std::num::NonZeroUsize;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_stream::{Stream, StreamExt};

use super::{Kind, hyper_framed, tls, tonic_bytes, tonic_prost};

/// How many threads the runtime has that moves work between them.
const STEALING_THREADS: usize = 2;

/// Runs one runtime of one thread for each processor.
pub(super) fn per_core(
    listener: &TcpListener,
    kind: Kind,
    tls: Option<&TlsAcceptor>,
) -> Result<()> {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let runtimes = (0..processors).map(|_| Builder::new_current_thread().enable_all().build());
    accept(listener, kind, tls, runtimes.collect::<Result<_, _>>()?)
}

/// Runs one runtime that moves work between its threads.
pub(super) fn stealing(
    listener: &TcpListener,
    kind: Kind,
    tls: Option<&TlsAcceptor>,
) -> Result<()> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(STEALING_THREADS)
        .enable_all()
        .build()?;
    accept(listener, kind, tls, vec![runtime])
}

/// Gives connections to the runtimes, in turn. Ends when a runtime does, which should not happen.
fn accept(
    listener: &TcpListener,
    kind: Kind,
    tls: Option<&TlsAcceptor>,
    runtimes: Vec<Runtime>,
) -> Result<()> {
    thread::scope(|scope| {
        let mut entrances = Vec::new();
        for runtime in runtimes {
            let (entrance, connections) = unbounded_channel();
            entrances.push(entrance);
            scope.spawn(move || runtime.block_on(serve(kind, tls, connections)));
        }
        give_in_turn(listener, &entrances)
    })
}

fn give_in_turn(listener: &TcpListener, entrances: &[UnboundedSender<Accepted>]) -> Result<()> {
    for entrance in entrances.iter().cycle() {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        entrance.send(stream).context("a runtime has ended")?;
    }
    Ok(())
}

async fn serve(
    kind: Kind,
    tls: Option<&TlsAcceptor>,
    connections: UnboundedReceiver<Accepted>,
) -> Result<()> {
    let incoming = incoming(connections);
    if let Some(acceptor) = tls {
        ensure!(kind == Kind::Tonic, "only tonic with prost has TLS");
        return tonic_prost::serve(tls::handshakes(incoming, acceptor.clone())).await;
    }
    match kind {
        Kind::Tonic => tonic_prost::serve(incoming).await,
        Kind::TonicBytes => tonic_bytes::serve(incoming).await,
        Kind::Hyper => hyper_framed::serve(incoming).await,
        Kind::Sockets => bail!("sockets are served without a runtime"),
    }
}

/// Returns the connections, taken over by the runtime that runs this.
fn incoming(
    connections: UnboundedReceiver<Accepted>,
) -> impl Stream<Item = std::io::Result<TcpStream>> + Unpin + Send + 'static {
    UnboundedReceiverStream::new(connections).map(TcpStream::from_std)
}
