//! The deadlines of one connection, with one timer.
//!
//! They look at the [activity](super::activity) from time to time, and say when the connection must
//! end and why. They neither read nor write, and end nothing themselves. The rule: nothing is armed
//! for a call. The timer fires rarely while all is well, and a few times within a deadline once
//! something has begun that may not last: half a frame, or an answer that the client does not take.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::{ActivitySample, ConnectionActivity};
use super::guard::ConnectionRefusal;
use super::limits::ConnectionLimits;

/// How long a connection that is asked to end may take for the calls that are open.
const RETIREMENT: Duration = Duration::from_secs(5);

/// How far the age of a connection may differ from the setting, in parts of it: a tenth either way.
/// So connections that were opened together are not renewed together.
const JITTER: f64 = 0.1;

/// A year: for what never ends.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What must happen to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionExpiry {
    /// Its client is asked to open no more calls here, and those that are open are answered. It is
    /// as old as it may become, or nothing was asked for a long time.
    Retire,
    /// It has been asked, and its time is over: it is closed.
    Close,
    /// It is refused and closed, with an example of why.
    Refuse(ConnectionRefusal, String),
}

/// The deadlines of one connection.
#[derive(Debug)]
pub struct ConnectionDeadlines {
    activity: Arc<ConnectionActivity>,
    timer: Pin<Box<Sleep>>,
    /// Something has begun that may not last, and the timer is set for it.
    is_alert: bool,
    watch: Watch,
}

impl ConnectionDeadlines {
    /// Starts the deadlines of a connection that was accepted at a time.
    pub fn new(
        limits: &ConnectionLimits,
        accepted: Instant,
        activity: Arc<ConnectionActivity>,
    ) -> Self {
        let random = RandomState::new().build_hasher().finish();
        let watch = Watch::new(limits, accepted, random);
        ConnectionDeadlines {
            activity,
            timer: Box::pin(sleep_until(accepted + watch.handshake_timeout)),
            is_alert: false,
            watch,
        }
    }

    /// Notes that the client was asked to go: from now on it has a bounded time.
    pub fn retire(&mut self) {
        let now = Instant::now();
        self.watch.retired_at.get_or_insert(now);
        let end = now + RETIREMENT;
        if end < self.timer.deadline() {
            self.timer.as_mut().reset(end);
        }
    }

    /// Waits until something must happen to the connection. It must be polled whenever the
    /// connection is.
    pub async fn expired(&mut self) -> ConnectionExpiry {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ConnectionExpiry> {
        if !self.is_alert && self.activity.needs_deadline() {
            self.is_alert = true;
            let soon = Instant::now() + self.watch.step();
            if soon < self.timer.deadline() {
                self.timer.as_mut().reset(soon);
            }
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            self.is_alert = false;
            match self.watch.look(Instant::now(), self.activity.sample()) {
                Ok(next) => self.timer.as_mut().reset(next),
                Err(expiry) => {
                    // The next look is for the client that does not go.
                    self.timer.as_mut().reset(Instant::now() + RETIREMENT);
                    return Poll::Ready(expiry);
                }
            }
        }
    }
}

/// What is known about a connection from one look to the next.
#[derive(Debug)]
struct Watch {
    handshake_timeout: Duration,
    request_timeout: Duration,
    idle_timeout: Duration,
    accepted: Instant,
    /// When it is as old as it may become.
    old_at: Instant,
    /// When its client was asked to go.
    retired_at: Option<Instant>,
    last: ActivitySample,
    /// Since when the same frame is unfinished.
    unfinished: Option<Instant>,
    /// Since when answers wait, and none was taken.
    unread: Option<Instant>,
    /// Since when there was no call.
    idle: Option<Instant>,
}

impl Watch {
    fn new(limits: &ConnectionLimits, accepted: Instant, random: u64) -> Watch {
        // Between -1 and 1. More than 32 bits of it would make no difference.
        let random = f64::from(u32::try_from(random >> 32).unwrap_or_default());
        let factor = 1.0 + JITTER * (2.0 * random / f64::from(u32::MAX) - 1.0);
        let age = limits
            .age
            .map_or(NEVER, |age| age.min(NEVER).mul_f64(factor));
        Watch {
            handshake_timeout: limits.handshake_timeout,
            request_timeout: limits.request_timeout,
            idle_timeout: limits.idle_timeout.min(NEVER),
            accepted,
            old_at: accepted + age,
            retired_at: None,
            last: ActivitySample::default(),
            unfinished: None,
            unread: None,
            idle: None,
        }
    }

    /// Returns the time between two looks once something has begun that may not last.
    fn step(&self) -> Duration {
        self.request_timeout / 4
    }

    /// Looks at the activity: returns when to look again, or what must happen.
    fn look(&mut self, now: Instant, sample: ActivitySample) -> Result<Instant, ConnectionExpiry> {
        let (last, wire) = (self.last, sample.wire);
        self.last = sample;
        if !wire.is_established {
            return self.look_at_handshake(now);
        }
        let since = |begun: Option<Instant>, is_so: bool| is_so.then(|| begun.unwrap_or(now));
        let is_same_frame = wire.frames == last.wire.frames;
        // Nothing is read of a client that takes no answers, so its frame is not late.
        let is_unfinished = wire.is_unfinished && !wire.is_blocked;
        self.unfinished = since(self.unfinished.filter(|_| is_same_frame), is_unfinished);
        let is_same_answer = wire.answer_frames == last.wire.answer_frames;
        let has_unread = sample.has_unread_answers();
        self.unread = since(self.unread.filter(|_| is_same_answer), has_unread);
        let is_same_call = wire.begun_calls == last.wire.begun_calls;
        self.idle = since(self.idle.filter(|_| is_same_call), wire.open_calls == 0);

        let is_over = |since: Option<Instant>, timeout: Duration| {
            since.is_some_and(|since| now >= since + timeout)
        };
        let timeout = self.request_timeout;
        if is_over(self.unfinished, timeout) {
            let example = format!("a frame or headers that were not whole after {timeout:?}");
            return Err(refuse(ConnectionRefusal::RequestTimeout, example));
        }
        if is_over(self.unread, timeout) {
            let count = wire.open_calls;
            let example = format!("{count} answers of which none was taken for {timeout:?}");
            return Err(refuse(ConnectionRefusal::AnswersUnread, example));
        }
        if let Some(retired) = self.retired_at {
            if now >= retired + RETIREMENT {
                return Err(ConnectionExpiry::Close);
            }
        } else if now >= self.old_at || is_over(self.idle, self.idle_timeout) {
            self.retired_at = Some(now);
            return Err(ConnectionExpiry::Retire);
        }
        Ok(self.next_look(now))
    }

    fn look_at_handshake(&self, now: Instant) -> Result<Instant, ConnectionExpiry> {
        let timeout = self.handshake_timeout;
        if now < self.accepted + timeout {
            return Ok(self.accepted + timeout);
        }
        let example = format!("a connection without HTTP/2's whole preface after {timeout:?}");
        Err(refuse(ConnectionRefusal::HandshakeTimeout, example))
    }

    fn next_look(&self, now: Instant) -> Instant {
        let is_alert = self.unfinished.is_some() || self.unread.is_some();
        let alert = is_alert.then(|| now + self.step());
        let end = match self.retired_at {
            Some(retired) => retired + RETIREMENT,
            None => self
                .old_at
                .min(self.idle.unwrap_or(now) + self.idle_timeout),
        };
        alert.map_or(end, |alert| alert.min(end))
    }
}

fn refuse(refusal: ConnectionRefusal, example: String) -> ConnectionExpiry {
    ConnectionExpiry::Refuse(refusal, example)
}

#[cfg(test)]
mod tests;
