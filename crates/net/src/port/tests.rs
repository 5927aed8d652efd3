//! Connections over real sockets: who gets in, who gives way, and who is closed.

use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::connection_slots::SlotLimits;
use crate::listen::Address;

const BOUND: Duration = Duration::from_secs(10);

/// Refusals, in order.
struct Refusals(mpsc::Sender<PortRefusal>);

impl PortObserver for Refusals {
    fn refused(&self, _peer: &ConnectionPeer, refusal: PortRefusal) {
        self.0.send(refusal).unwrap();
    }

    fn handshake_refused(
        &self,
        _peer: &ConnectionPeer,
        refusal: HandshakeRefusal,
        _example: &dyn fmt::Display,
    ) {
        panic!("{refusal:?} on a port without TLS");
    }
}

/// A port that answers each byte `c` (a call) with itself, proves the connection by it, and takes
/// every other byte without an answer.
struct Served {
    address: Address,
    slots: ConnectionSlots,
    refusals: mpsc::Receiver<PortRefusal>,
    shutdown: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

async fn echo(mut connection: ServerConnection) {
    let mut byte = [0];
    while let Ok(1) = connection.stream.read(&mut byte).await {
        if byte == *b"c" {
            connection.slot.prove();
            connection.stream.write_all(&byte).await.unwrap();
        }
    }
}

async fn served(address: &str, limits: SlotLimits, patience: Duration) -> Served {
    let listener = address.parse::<Address>().unwrap().bind().await.unwrap();
    let address = listener.local().parse().unwrap();
    let (sender, refusals) = mpsc::channel();
    let slots = ConnectionSlots::new(limits);
    let port = Port::new(slots.clone(), patience, Arc::new(Refusals(sender)));
    let shutdown = CancellationToken::new();
    let serving = port.serve(listener, RuntimeTasks::default(), shutdown.clone(), echo);
    Served {
        address,
        slots,
        refusals,
        shutdown,
        task: tokio::spawn(serving),
    }
}

fn limits(total: usize, per_peer: usize) -> SlotLimits {
    SlotLimits { total, per_peer }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        let Address::Tcp(address) = &self.address else {
            panic!("a TCP address");
        };
        TcpStream::connect(address).await.unwrap()
    }

    /// Waits until so many connections have a slot.
    async fn until_open(&self, count: usize) {
        let until = async {
            while self.slots.open() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(BOUND, until).await.unwrap();
    }

    fn refusal(&self) -> PortRefusal {
        self.refusals.recv_timeout(BOUND).unwrap()
    }
}

/// Makes a call, and returns whether it was answered.
async fn call(stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin)) -> bool {
    let mut byte = [0];
    let answered = async {
        stream.write_all(b"c").await?;
        stream.read_exact(&mut byte).await
    };
    timeout(BOUND, answered).await.unwrap().is_ok()
}

/// Waits until the other side has closed the connection.
async fn closed(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    let read = timeout(BOUND, stream.read_to_end(&mut bytes)).await;
    let _reset_or_end = read.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_give_way_and_calls_are_answered() {
    let served = served("127.0.0.1:0", limits(4, 4), BOUND).await;
    let mut kept = served.connect().await;
    assert!(call(&mut kept).await);
    let mut silent = Vec::new();
    for count in 2..=4 {
        silent.push(served.connect().await);
        served.until_open(count).await;
    }
    for oldest in silent {
        let mut new = served.connect().await;
        assert!(call(&mut new).await, "a new client gets in");
        closed(oldest).await;
        assert_eq!(served.refusal(), PortRefusal::GaveWay);
        new.shutdown().await.unwrap();
        served.until_open(3).await;
        // What ended makes room for the next that is silent.
        std::mem::forget(served.connect().await);
        served.until_open(4).await;
    }
    assert!(call(&mut kept).await, "what is in use stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_sent_no_whole_call_gives_way_where_it_is_served() {
    let served = served("127.0.0.1:0", limits(1, 1), BOUND).await;
    let mut half = served.connect().await;
    half.write_all(b"half").await.unwrap();
    served.until_open(1).await;
    let mut new = served.connect().await;
    assert!(call(&mut new).await);
    closed(half).await;
    assert_eq!(served.refusal(), PortRefusal::GaveWay);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_full_of_calls_refuses_the_next() {
    for (limits, expected) in [
        (limits(2, 3), PortRefusal::TooManyConnections(2)),
        (limits(3, 2), PortRefusal::TooManyConnectionsOfPeer(2)),
    ] {
        let served = served("127.0.0.1:0", limits, BOUND).await;
        let (mut one, mut two) = (served.connect().await, served.connect().await);
        assert!(call(&mut one).await && call(&mut two).await);
        closed(served.connect().await).await;
        assert_eq!(served.refusal(), expected);
        drop(two);
        served.until_open(1).await;
        assert!(call(&mut served.connect().await).await);
        assert!(call(&mut one).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_nothing_is_sent_is_closed_in_time() {
    let patience = Duration::from_millis(50);
    let served = served("127.0.0.1:0", limits(4, 4), patience).await;
    let mut speaking = served.connect().await;
    assert!(call(&mut speaking).await);
    closed(served.connect().await).await;
    assert_eq!(served.refusal(), PortRefusal::Silent(patience));
    // What a client does after its first byte is not this module's.
    assert!(call(&mut speaking).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_end_at_once_never_reach_the_service() {
    let served = served("127.0.0.1:0", limits(8, 8), BOUND).await;
    for number in 0..200 {
        let stream = served.connect().await;
        if number % 2 == 0 {
            stream.set_zero_linger().unwrap();
        }
        drop(stream);
    }
    served.until_open(0).await;
    assert!(call(&mut served.connect().await).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shutdown_ends_silent_connections_and_waits_for_others() {
    let served = served("127.0.0.1:0", limits(4, 4), BOUND).await;
    let (silent, mut kept) = (served.connect().await, served.connect().await);
    assert!(call(&mut kept).await);
    served.until_open(2).await;
    served.shutdown.cancel();
    closed(silent).await;
    assert!(call(&mut kept).await);
    assert!(!served.task.is_finished());
    drop(kept);
    timeout(BOUND, served.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_dropped_ends_its_connections() {
    let served = served("127.0.0.1:0", limits(4, 4), BOUND).await;
    let (silent, mut kept) = (served.connect().await, served.connect().await);
    assert!(call(&mut kept).await);
    served.until_open(2).await;
    served.task.abort();
    closed(silent).await;
    closed(kept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_that_are_not_listed_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mine = rustix::process::geteuid().as_raw();
    for (peers, expected) in [(mine, true), (mine + 1, false)] {
        let path = dir.path().join(format!("{peers}.sock"));
        let address = format!("unix:{}?peers={peers}", path.display());
        let served = served(&address, limits(4, 4), BOUND).await;
        let mut stream = UnixStream::connect(&path).await.unwrap();
        assert_eq!(call(&mut stream).await, expected);
        if !expected {
            assert_eq!(served.refusal(), PortRefusal::UserNotAllowed);
            assert_eq!(served.slots.open(), 0);
        }
    }
}

/// Connects as another user, which only root may.
fn connected_as(uid: u32, path: std::path::PathBuf) -> std::os::unix::net::UnixStream {
    let connect = move || {
        let uid = rustix::process::Uid::from_raw(uid);
        // It applies to this thread alone.
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        std::os::unix::net::UnixStream::connect(path).unwrap()
    };
    std::thread::spawn(connect).join().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_is_the_one_who_connected_and_counts_as_a_peer() {
    if !rustix::process::geteuid().is_root() {
        // The list of users is tested above with the only user that there is.
        let other = rustix::process::Uid::from_raw(4242);
        assert!(rustix::thread::set_thread_res_uid(other, other, other).is_err());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let path = dir.path().join("c.sock");
    let address = format!("unix:{}?mode=0666&peers=4242&peers=0", path.display());
    let served = served(&address, limits(4, 1), BOUND).await;
    for (uid, expected) in [(4242, true), (0, true), (4243, false)] {
        let stream = connected_as(uid, path.clone());
        stream.set_nonblocking(true).unwrap();
        let mut stream = UnixStream::from_std(stream).unwrap();
        assert_eq!(call(&mut stream).await, expected, "{uid}");
        std::mem::forget(stream);
    }
    assert_eq!(served.refusal(), PortRefusal::UserNotAllowed);
    let mut second = UnixStream::connect(&path).await.unwrap();
    assert!(!call(&mut second).await, "this user has its connection");
    assert_eq!(served.refusal(), PortRefusal::TooManyConnectionsOfPeer(1));
}

#[test]
fn a_shortage_is_logged_once_a_minute() {
    let (mut shortage, start) = (ShortageWarning::default(), Instant::now());
    let problem = io::Error::from_raw_os_error(24);
    let logged = [0, 1, 59, 60, 61, 119, 121]
        .map(|seconds| shortage.warn(&problem, start + Duration::from_secs(seconds)));
    assert_eq!(logged, [true, false, false, true, false, false, true]);
}
