//! `grpc.health.v1`: whether this server wants checks.
//!
//! It does not judge readiness; it tells what it was told. The rule: **not serving until somebody says so, and never
//! again once draining has begun**. The server as a whole and the Authorization service always say the same.

use std::sync::Arc;

use tokio::sync::Mutex;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// The names under which health is asked for: the server as a whole, and the service.
pub const SERVICES: [&str; 2] = ["", "envoy.service.auth.v3.Authorization"];

/// Makes the service, which says `NOT_SERVING` from its first moment, and the handle that changes that.
pub async fn service() -> (HealthHandle, HealthServer<HealthService>) {
    let reporter = HealthReporter::new();
    // The reporter starts as serving, so it is told otherwise before anybody can ask.
    tell(&reporter, ServingStatus::NotServing).await;
    let server = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
    (
        HealthHandle {
            reporter,
            told: Arc::new(Mutex::new(Told::default())),
        },
        server,
    )
}

async fn tell(reporter: &HealthReporter, status: ServingStatus) {
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

/// Says whether the server wants checks. Clones speak for the same server.
#[derive(Clone, Debug)]
pub struct HealthHandle {
    reporter: HealthReporter,
    /// Held while a status is told, so that no late "ready" follows the drain.
    told: Arc<Mutex<Told>>,
}

/// What was said last.
#[derive(Debug, Default)]
struct Told {
    is_serving: bool,
    is_draining: bool,
}

impl HealthHandle {
    /// Serving or not; without effect once draining. Watchers are told of changes alone, however often this is said.
    pub async fn set_ready(&self, ready: bool) {
        let mut told = self.told.lock().await;
        if !told.is_draining && told.is_serving != ready {
            told.is_serving = ready;
            tell(
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

    /// Not serving from now on, for good.
    pub async fn drain(&self) {
        let mut told = self.told.lock().await;
        *told = Told {
            is_serving: false,
            is_draining: true,
        };
        tell(&self.reporter, ServingStatus::NotServing).await;
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

    /// The handle, and a service that answers from the same state as the one that is served.
    async fn health() -> (HealthHandle, HealthService) {
        let (handle, _server) = service().await;
        let asked = HealthService::from_health_reporter(handle.reporter.clone());
        (handle, asked)
    }

    fn ask(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest {
            service: service.into(),
        })
    }

    async fn told(service: &HealthService) -> Vec<Answered> {
        let mut told = Vec::new();
        for name in SERVICES {
            told.push(
                service
                    .check(ask(name))
                    .await
                    .unwrap()
                    .into_inner()
                    .status(),
            );
        }
        told
    }

    #[tokio::test]
    async fn both_names_follow_what_was_said() {
        let (handle, service) = health().await;
        assert_eq!(
            told(&service).await,
            [Answered::NotServing; 2],
            "at the start"
        );
        for (ready, expected) in [
            (true, Answered::Serving),
            (false, Answered::NotServing),
            (true, Answered::Serving),
        ] {
            handle.set_ready(ready).await;
            assert_eq!(told(&service).await, [expected; 2], "after {ready}");
        }
    }

    #[tokio::test]
    async fn a_draining_server_never_serves_again() {
        let (handle, service) = health().await;
        handle.set_ready(true).await;
        handle.drain().await;
        handle.clone().set_ready(true).await;
        assert_eq!(told(&service).await, [Answered::NotServing; 2]);
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
