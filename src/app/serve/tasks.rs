//! Tasks that are all joined: each has a name, and the first that ends by itself is reported.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::app::with_causes;

/// A task that cannot fail.
pub(super) async fn done(task: impl Future<Output = ()>) -> anyhow::Result<()> {
    task.await;
    Ok(())
}

/// Tasks that are all joined.
#[derive(Default)]
pub(super) struct Tasks(JoinSet<(&'static str, anyhow::Result<()>)>);

impl Tasks {
    pub(super) fn spawn<E: Into<anyhow::Error>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.0
            .spawn(async move { (name, task.await.map_err(Into::into)) });
    }

    /// Waits until one ends, which none should, and returns its name; without tasks, never returns.
    pub(super) async fn first_end(&mut self) -> String {
        match self.0.join_next().await {
            None => std::future::pending().await,
            Some(Ok((name, Ok(())))) => name.to_owned(),
            Some(Ok((name, Err(why)))) => {
                format!("{name} failed ({}) and", with_causes(&why))
            }
            Some(Err(why)) => format!("a task failed ({why}) and"),
        }
    }

    /// Waits for the others; returns whether all ended in time.
    pub(super) async fn wait(&mut self, bound: Duration) -> bool {
        let all = async {
            while let Some(ended) = self.0.join_next().await {
                if let Ok((name, Err(why))) = ended {
                    tracing::error!("{name} failed: {}", with_causes(&why));
                }
            }
        };
        timeout(bound, all).await.is_ok()
    }

    /// Ends the tasks that are left.
    pub(super) async fn abort(mut self) {
        self.0.shutdown().await;
    }

    /// Waits for the others and ends those that are late; returns whether all ended in time.
    pub(super) async fn join(mut self, bound: Duration) -> bool {
        let in_time = self.wait(bound).await;
        self.abort().await;
        in_time
    }
}
