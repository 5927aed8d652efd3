//! The end of the writers in async code.
//!
//! It needs tokio's timer. A host without a runtime has [`Writers::finish_blocking`].

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{AuditFlushError, GIVE_UP_BOUND, Running, Writers};

impl Running {
    async fn finish(mut self, deadline: Instant) -> Result<(), AuditFlushError> {
        let Some(mut ended) = self.ended.take() else {
            return Err(self.gone());
        };
        let mut end = timeout_at(deadline, &mut ended).await.ok();
        if end.is_none() {
            self.give_up();
            let deadline = Instant::now() + GIVE_UP_BOUND;
            end = timeout_at(deadline, &mut ended).await.ok();
        }
        self.end(end)
    }
}

impl Writers {
    /// Ends the audit log as [`finish_blocking`](Self::finish_blocking) does, without blocking the
    /// thread.
    ///
    /// # Errors
    /// The first sink that did not end well.
    pub async fn finish(self, bound: Duration) -> Result<(), AuditFlushError> {
        let mut ended = Ok(());
        for part in self.in_order_of_their_end() {
            let deadline = Instant::now() + bound;
            part.iter().for_each(|running| running.queue.close());
            for running in part {
                ended = ended.and(running.finish(deadline).await);
            }
        }
        ended
    }
}
