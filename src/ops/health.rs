//! `grpc.health.v1`: whether this server is ready for checks.
//!
//! It does not decide readiness; it reports the readiness that it is given. The rule: **the status
//! is not serving until the composition says otherwise, and never serving again once draining has
//! begun**. The server as a whole and the Authorization service always have the same status.

use std::sync::Arc;

use tokio::sync::Mutex;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// The service names of health checks: the server as a whole, and the Authorization service.
pub const SERVICES: [&str; 2] = ["", "envoy.service.auth.v3.Authorization"];

/// Returns the service, which reports `NOT_SERVING` at first, and the handle that changes the
/// status.
pub async fn service() -> (HealthHandle, HealthServer<HealthService>) {
    let reporter = HealthReporter::new();
    // The reporter starts as serving, so the status is set before a client can ask.
    set_status(&reporter, ServingStatus::NotServing).await;
    let server = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
    (
        HealthHandle {
            reporter,
            current: Arc::new(Mutex::new(CurrentStatus::default())),
        },
        server,
    )
}

async fn set_status(reporter: &HealthReporter, status: ServingStatus) {
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

/// Sets whether the server is ready for checks. Clones belong to the same server.
#[derive(Clone, Debug)]
pub struct HealthHandle {
    reporter: HealthReporter,
    /// Locked while a status is set, so that no late "ready" follows the drain.
    current: Arc<Mutex<CurrentStatus>>,
}

/// The status that was set last.
#[derive(Debug, Default)]
struct CurrentStatus {
    is_serving: bool,
    is_draining: bool,
}

impl HealthHandle {
    /// Sets serving or not serving; without effect once draining. Watchers see only changes,
    /// however often this is called.
    pub async fn set_ready(&self, ready: bool) {
        let mut current = self.current.lock().await;
        if !current.is_draining && current.is_serving != ready {
            current.is_serving = ready;
            set_status(
                &self.reporter,
                if ready {
                    ServingStatus::Serving
                } else {
                    ServingStatus::NotServing
                },
            )
            .await;
        }
    }

    /// Sets not serving, permanently.
    pub async fn drain(&self) {
        let mut current = self.current.lock().await;
        *current = CurrentStatus {
            is_serving: false,
            is_draining: true,
        };
        set_status(&self.reporter, ServingStatus::NotServing).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;
    use tonic::Request;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus as Answered;
    use tonic_health::pb::health_server::Health;

    use super::*;

    /// Returns the handle, and a service that answers from the same state as the one that is
    /// served.
    async fn health() -> (HealthHandle, HealthService) {
        let (handle, _server) = service().await;
        let service = HealthService::from_health_reporter(handle.reporter.clone());
        (handle, service)
    }

    fn ask(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest {
            service: service.into(),
        })
    }

    async fn statuses(service: &HealthService) -> Vec<Answered> {
        let mut statuses = Vec::new();
        for name in SERVICES {
            statuses.push(
                service
                    .check(ask(name))
                    .await
                    .unwrap()
                    .into_inner()
                    .status(),
            );
        }
        statuses
    }

    #[tokio::test]
    async fn both_names_follow_what_was_said() {
        let (handle, service) = health().await;
        assert_eq!(
            statuses(&service).await,
            [Answered::NotServing; 2],
            "at the start"
        );
        for (ready, expected) in [
            (true, Answered::Serving),
            (false, Answered::NotServing),
            (true, Answered::Serving),
        ] {
            handle.set_ready(ready).await;
            assert_eq!(statuses(&service).await, [expected; 2], "after {ready}");
        }
    }

    #[tokio::test]
    async fn a_draining_server_never_serves_again() {
        let (handle, service) = health().await;
        handle.set_ready(true).await;
        handle.drain().await;
        handle.clone().set_ready(true).await;
        assert_eq!(statuses(&service).await, [Answered::NotServing; 2]);
    }

    #[tokio::test]
    async fn a_watcher_sees_the_start_and_every_change() {
        let (handle, service) = health().await;
        let mut watch = service.watch(ask(SERVICES[1])).await.unwrap().into_inner();
        let mut next = async || watch.next().await.unwrap().unwrap().status();
        assert_eq!(next().await, Answered::NotServing);
        for _ in 0..3 {
            handle.set_ready(true).await;
        }
        assert_eq!(next().await, Answered::Serving);
        handle.drain().await;
        assert_eq!(next().await, Answered::NotServing);
    }

    #[tokio::test]
    async fn an_unknown_service_is_not_found() {
        let (_handle, service) = health().await;
        assert_eq!(
            service.check(ask("other")).await.unwrap_err().code(),
            tonic::Code::NotFound
        );
    }
}
