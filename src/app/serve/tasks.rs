//! Tasks that are all joined: each has a name, and the first that ends by itself is reported.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::timeout;

use crate::app::with_causes;

/// A task that cannot fail.
pub(super) async fn done(task: impl Future<Output = ()>) -> anyhow::Result<()> {
    task.await;
    Ok(())
}

/// Tasks that are all joined.
#[derive(Default)]
pub(super) struct Tasks {
    running: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    pub(super) fn spawn<E: Into<anyhow::Error>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = self
            .running
            .spawn(async move { task.await.map_err(Into::into) });
        self.names.insert(task.id(), name);
    }

    /// Waits until one ends, which none should, and returns its name and why; without tasks, never
    /// returns.
    pub(super) async fn first_end(&mut self) -> String {
        match self.next_end().await {
            None => std::future::pending().await,
            Some((name, Ok(()))) => name.to_owned(),
            Some((name, Err(why))) => format!("{name} failed ({}) and", with_causes(&why)),
        }
    }

    /// Waits for the others; returns whether all ended in time.
    pub(super) async fn wait(&mut self, bound: Duration) -> bool {
        let all = async {
            while let Some((name, ended)) = self.next_end().await {
                if let Err(why) = ended {
                    tracing::error!("{name} failed: {}", with_causes(&why));
                }
            }
        };
        timeout(bound, all).await.is_ok()
    }

    /// Waits until one ends. A task that panicked has failed.
    async fn next_end(&mut self) -> Option<(&'static str, anyhow::Result<()>)> {
        let (id, ended) = match self.running.join_next_with_id().await? {
            Ok((id, ended)) => (id, ended),
            Err(why) => (why.id(), Err(why.into())),
        };
        Some((self.names.remove(&id).unwrap_or("a task"), ended))
    }

    /// Ends the tasks that are left.
    pub(super) async fn abort(mut self) {
        self.running.shutdown().await;
    }

    /// Waits for the others and ends those that are late; returns whether all ended in time.
    pub(super) async fn join(mut self, bound: Duration) -> bool {
        let in_time = self.wait(bound).await;
        self.abort().await;
        in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_is_named_with_the_reason() {
        let mut tasks = Tasks::default();
        tasks.spawn("one that works", done(std::future::pending()));
        tasks.spawn("the policy reload", async { anyhow::bail!("no files") });
        assert_eq!(
            tasks.first_end().await,
            "the policy reload failed (no files) and"
        );
        tasks.spawn("readiness", done(async { panic!("a bug") }));
        let said = tasks.first_end().await;
        assert!(
            said.starts_with("readiness failed (task ") && said.contains("panicked"),
            "{said}"
        );
        tasks.spawn("the record of refusals", done(async {}));
        assert_eq!(tasks.first_end().await, "the record of refusals");
        assert!(!tasks.join(Duration::ZERO).await, "one is left");
    }
}
