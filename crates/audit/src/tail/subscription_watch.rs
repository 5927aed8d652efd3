//! Since when a subscriber has not read what was sent to it.
//!
//! The transport asks a subscription for its next record only if the client has room for it, so a
//! subscription cannot notice by itself that its client reads no more. Who serves the connection
//! asks the watch from time to time. The rule: a subscription that waits for records is read; one
//! that has a record on its way, and is not asked for the next, is unread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Since when one subscription is unread; nothing while it waits for records.
#[derive(Debug)]
pub(super) struct UnreadSince(Mutex<Option<Instant>>);

impl Default for UnreadSince {
    /// A new subscription is unread until it is asked for its first record.
    fn default() -> Self {
        UnreadSince(Mutex::new(Some(Instant::now())))
    }
}

impl UnreadSince {
    /// Notes that a record is on its way, or that the subscription waits for one.
    pub(super) fn set(&self, is_unread: bool) {
        *self.since() = is_unread.then(Instant::now);
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The subscriptions of one connection. It is passed to them among the extensions of a request.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionWatch(Arc<Mutex<Vec<Weak<UnreadSince>>>>);

impl SubscriptionWatch {
    pub(super) fn add(&self, subscription: &Arc<UnreadSince>) {
        let mut subscriptions = self.subscriptions();
        subscriptions.retain(|subscription| subscription.strong_count() > 0);
        subscriptions.push(Arc::downgrade(subscription));
    }

    /// Returns for how long the subscription that was read least recently is unread.
    pub fn unread_for(&self, now: Instant) -> Option<Duration> {
        let subscriptions = self.subscriptions();
        let unread = subscriptions.iter().filter_map(Weak::upgrade);
        let since = unread
            .filter_map(|subscription| *subscription.since())
            .min()?;
        Some(now.saturating_duration_since(since))
    }

    fn subscriptions(&self) -> MutexGuard<'_, Vec<Weak<UnreadSince>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subscription_that_was_read_least_recently_counts() {
        let (watch, start) = (SubscriptionWatch::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(watch.unread_for(later(9)), None, "there is no subscription");
        let (waiting, unread) = (Arc::<UnreadSince>::default(), Arc::<UnreadSince>::default());
        watch.add(&waiting);
        watch.add(&unread);
        waiting.set(false);
        *unread.since() = Some(later(3));
        assert_eq!(watch.unread_for(later(9)), Some(Duration::from_secs(6)));
        unread.set(false);
        assert_eq!(watch.unread_for(later(9)), None, "each waits for records");
        unread.set(true);
        drop(unread);
        assert_eq!(watch.unread_for(later(9)), None, "it has ended");
        watch.add(&waiting);
        assert_eq!(
            watch.subscriptions().len(),
            2,
            "what has ended is forgotten"
        );
    }
}
