//! Decides when checks may be answered after the start, from the state of the policy files.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use customs_engine::time::UnixNanos;
use customs_policy::problem::Problem;
use customs_sources::Status;

/// How long checks wait for the first policies before they are answered without them.
const OPENING: Duration = Duration::from_secs(1);
/// How long `--require-policy` waits for a source that is still being read.
const REQUIRED: Duration = Duration::from_secs(10);

/// Waits until the sources were read for the first time, but only for a short time.
pub(super) async fn first_round(mut files: watch::Receiver<Status>) {
    // The sender may be gone when the process ends.
    let _ = timeout(OPENING, files.wait_for(|status| status.attempts > 0)).await;
}

/// A policy set is required, and none is in force.
#[derive(Debug, thiserror::Error)]
#[error("the policies do not load, and --require-policy was given")]
pub(super) struct RequiredPolicyError {
    /// The reason.
    pub problems: Vec<Problem>,
}

/// Waits until a set is in force, or returns why none will be. Never returns if no policy is
/// required.
pub(super) async fn required_policy(
    files: Option<watch::Receiver<Status>>,
) -> Result<(), RequiredPolicyError> {
    let Some(mut files) = files else {
        return std::future::pending().await;
    };
    let is_over = |status: &Status| status.ready || status.attempts > 0 && !status.waiting;
    let _ = timeout(REQUIRED, files.wait_for(is_over)).await;
    let status = files.borrow();
    if status.ready {
        Ok(())
    } else {
        let problems = status.problems().cloned().collect();
        Err(RequiredPolicyError { problems })
    }
}

/// Returns when each source was last read to the end; a source that never was counts from the start
/// of the server.
pub(super) fn reads(files: &Status, started: UnixNanos) -> Vec<(String, UnixNanos)> {
    files
        .sources
        .iter()
        .map(|source| (source.name.clone(), source.last_read_at.unwrap_or(started)))
        .collect()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn status(ready: bool, attempts: u64, waiting: bool) -> Status {
        Status {
            ready,
            attempts,
            waiting,
            ..Status::default()
        }
    }

    #[tokio::test]
    async fn checks_wait_for_the_first_round_but_not_for_long() {
        let (sender, receiver) = watch::channel(Status::default());
        let begun = Instant::now();
        first_round(receiver.clone()).await;
        assert!(begun.elapsed() >= OPENING);
        sender.send_replace(status(false, 1, true));
        first_round(receiver).await;
        assert!(
            begun.elapsed() < 2 * OPENING,
            "a read that is complete is not waited for"
        );
    }

    #[tokio::test]
    async fn a_required_policy_is_waited_for_as_long_as_something_is_read() {
        for (first, then, expected) in [
            (status(true, 1, false), None, true),
            (status(false, 1, false), None, false),
            (status(false, 1, true), Some(status(true, 2, false)), true),
            (status(false, 1, true), Some(status(false, 2, false)), false),
        ] {
            let (sender, receiver) = watch::channel(first.clone());
            let later = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                then.into_iter()
                    .for_each(|then| drop(sender.send_replace(then)));
            };
            let (required, ()) = tokio::join!(required_policy(Some(receiver)), later);
            assert_eq!(required.is_ok(), expected, "{first:?}");
        }
    }
}
