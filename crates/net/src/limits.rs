//! The limits of one connection. They are enforced elsewhere, by the [`guard`](super::guard), the
//! [`deadlines`](super::deadlines), the transport and the router.

use std::time::Duration;

use super::memory::MemoryPool;

/// The limits of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// How many calls it may have open at once. A proxy that has more opens another connection.
    pub concurrent_streams: u32,
    /// How many calls its client may reset, at once and per second. While the server is held up, a
    /// proxy gives up one call after another and opens as many, so this is a multiple of
    /// `concurrent_streams`.
    pub pending_resets: u32,
    /// How many frames per second its client may send that carry no call: pings, settings, window
    /// updates. A client of many calls may send more, because each call adds to it.
    pub control_frames: u32,
    /// How many calls may wait for their turn on the thread that serves the connection before
    /// others are refused; zero if none are.
    pub queued_calls: u32,
    /// The largest message, in bytes.
    pub message_size: usize,
    /// The memory for calls and messages on all connections, in bytes, beyond what is guaranteed to
    /// each.
    pub body_memory: usize,
    /// The longest list of headers of a call, in bytes as HTTP/2 counts them.
    pub header_list_size: u32,
    /// How long a client may take from its connection to the whole preface of HTTP/2, a TLS
    /// handshake included.
    pub handshake_timeout: Duration,
    /// How long a client may take for the headers of a call, for the message of a call, and to take
    /// answers that wait for it.
    pub request_timeout: Duration,
    /// How long a connection may stay without a call.
    pub idle_timeout: Duration,
    /// The age at which a client is asked to open another connection; `None` for never.
    pub age: Option<Duration>,
}

impl ConnectionLimits {
    /// The default ratio of resets to concurrent streams: what a proxy that waits for a quarter of
    /// a second resets in a stall of one second.
    pub const RESETS_A_STREAM: u32 = 4;

    /// The limits unless the settings say otherwise. A connection may have as many calls as Envoy's
    /// circuit breaker allows to one cluster, and messages as long as gRPC accepts by default.
    pub const DEFAULT: ConnectionLimits = ConnectionLimits {
        concurrent_streams: 1024,
        pending_resets: 4096,
        control_frames: 200,
        queued_calls: 1024,
        message_size: 4 << 20,
        body_memory: MemoryPool::DEFAULT_LIMIT,
        header_list_size: 16 << 10,
        handshake_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_mins(5),
        age: Some(Duration::from_mins(30)),
    };
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits::DEFAULT
    }
}
