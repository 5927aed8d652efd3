//! What bounds one connection. It applies no bound itself: the [`guard`](super::guard) and the transport do.

/// What bounds one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// How many calls it may have open at once. A proxy that has more opens another connection.
    pub concurrent_streams: u32,
    /// How many calls its client may reset, at once and in a second. While the server is held up, a proxy gives up one call
    /// after another, and opens as many: so this is a multiple of the other.
    pub pending_resets: u32,
    /// The largest message, in bytes.
    pub message_size: usize,
}

impl ConnectionLimits {
    /// How many times as many calls may be reset as be open at once, unless the settings say it: what a proxy that waits for
    /// a quarter of a second resets in a stall of a second.
    pub const RESETS_A_STREAM: u32 = 4;
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        // As many calls as Envoy's circuit breaker lets out to one cluster; messages as long as gRPC takes by default.
        ConnectionLimits {
            concurrent_streams: 1024,
            pending_resets: 4096,
            message_size: 4 << 20,
        }
    }
}
