//! The recorder's waits in async code: for room in the queues, and for the disk.
//!
//! They need tokio's timer. A host without a runtime has [`Recorder::try_admit`],
//! [`Recorder::try_record`] and [`PendingAck::wait_durable_blocking`].

use tokio::time::timeout;

use super::{Admission, PendingAck, Recorder, Reservation};
use crate::config::OnFull;
use crate::oneshot::SenderGoneError;
use crate::sink_queue::Load;
use customs_record::{DecisionRecord, Entry};

impl Recorder {
    /// Reserves room in every sink whose filter selects a decision, and waits for those that block.
    /// `None` means that the answer must be withheld, and recorded by [`withhold`](Self::withhold).
    /// Dropped before it is ready, as when a proxy gives up, it releases its room, and the caller
    /// accounts for the decision in the same way.
    pub async fn admit(&self, decision: &DecisionRecord) -> Option<Reservation> {
        let (mut admission, mut waiting) = (Admission::of(self, decision), None);
        for (place, queue) in self.wanting(decision) {
            let has_room = queue
                .reserve(admission.reservation.load, &mut waiting)
                .await;
            admission.note(place, queue, has_room)?;
        }
        Some(admission.reservation())
    }

    /// Records something that already happened, such as a policy change. Waits for room as long as
    /// it takes.
    pub async fn record(&self, entry: Entry) {
        for queue in self.0.queues.iter() {
            if queue.reserve_for_event(entry.time()).await {
                queue.send_event(entry.clone());
            } else {
                tracing::error!(
                    sink = queue.name(),
                    kind = entry.kind(),
                    "an event could not be recorded"
                );
            }
        }
    }

    /// Records something that must not be answered unless it is recorded, such as a question.
    /// Returns false if it is not.
    pub async fn record_first(&self, entry: Entry) -> bool {
        let load = Load::of_event(entry.time());
        let (mut reserved, mut waiting) = (Vec::new(), None);
        for queue in self.0.queues.iter() {
            if queue.reserve(load, &mut waiting).await {
                reserved.push(queue);
            } else if queue.on_full() == OnFull::Drop {
                queue.record_drop(load);
            } else {
                reserved.into_iter().for_each(|queue| queue.release(load));
                return false;
            }
        }
        reserved
            .into_iter()
            .for_each(|queue| queue.send_event(entry.clone()));
        true
    }
}

impl PendingAck {
    /// Waits until the record is on the disk, if the settings ask for that. Returns false if it is
    /// not in time: the answer must be withheld, and that is recorded as well.
    pub async fn wait_durable(self, decision: &DecisionRecord, reason: &'static str) -> bool {
        let Some((acks, recorder)) = self.0 else {
            return true;
        };
        let all_acks = async {
            for ack in acks {
                ack.await?;
            }
            Ok::<(), SenderGoneError>(())
        };
        if matches!(
            timeout(recorder.0.durable_within, all_acks).await,
            Ok(Ok(()))
        ) {
            return true;
        }
        recorder.record_not_durable(decision, reason);
        false
    }
}
