//! A record on its way through the writer.

use crate::oneshot;
use customs_record::Entry;

/// A record that the writer has received and the sink does not have for certain.
pub(super) struct Waiting {
    pub(super) entry: Entry,
    /// The room that it holds.
    pub(super) weight: u64,
    /// Acknowledges the record once it is on the disk.
    pub(super) ack: Option<oneshot::Sender<()>>,
    /// Whether it was already redacted.
    pub(super) is_redacted: bool,
}

impl Waiting {
    /// A record as it was sent.
    pub(super) fn of(entry: Entry, weight: u64, ack: Option<oneshot::Sender<()>>) -> Waiting {
        Waiting {
            entry,
            weight,
            ack,
            is_redacted: false,
        }
    }
}
