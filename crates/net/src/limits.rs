//! The limits of one connection. They are enforced elsewhere, by the [`guard`](super::guard) and
//! the transport.

/// The limits of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// How many calls it may have open at once. A proxy that has more opens another connection.
    pub concurrent_streams: u32,
    /// How many calls its client may reset, at once and per second. While the server is held up, a
    /// proxy gives up one call after another and opens as many, so this is a multiple of
    /// `concurrent_streams`.
    pub pending_resets: u32,
    /// The largest message, in bytes.
    pub message_size: usize,
}

impl ConnectionLimits {
    /// The default ratio of resets to concurrent streams: what a proxy that waits for a quarter of
    /// a second resets in a stall of one second.
    pub const RESETS_A_STREAM: u32 = 4;
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        // As many calls as Envoy's circuit breaker allows to one cluster, and messages as long as
        // gRPC accepts by default.
        ConnectionLimits {
            concurrent_streams: 1024,
            pending_resets: 4096,
            message_size: 4 << 20,
        }
    }
}
