//! The sink of a tail: each record goes into the ring that subscribers read.
//!
//! The rule: it never waits and never fails, so a subscriber cannot block a check. When its writer
//! ends, the ring is closed: subscribers get what is in it, and their streams end.

use std::io;
use std::sync::Arc;

use super::Sink;
use crate::tail::Ring;

/// The writer's end of a ring.
pub struct TailSink {
    name: String,
    ring: Arc<Ring>,
}

impl TailSink {
    /// Creates a sink that fills this ring.
    pub fn new(name: String, ring: Arc<Ring>) -> TailSink {
        TailSink { name, ring }
    }
}

impl Sink for TailSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ring.push_delimited(bytes);
        Ok(bytes.len())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for TailSink {
    fn drop(&mut self) {
        self.ring.close();
    }
}
