//! How the service ends: checks in flight finish, streams end, connections close.

use std::time::Duration;

use customs_engine::settings::Settings;
use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::rig::{Rig, http};
use crate::{OTHER, SEED, code};

const BOUND: Duration = Duration::from_secs(10);

async fn ended(rig: &Rig) {
    let serving = rig.serving.lock().unwrap().take().unwrap();
    timeout(BOUND, serving)
        .await
        .expect("the server ends in time")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_check_in_flight_is_answered() {
    let rig = Rig::start(SEED, Settings::default()).await;
    rig.log.gate.forget_permits(1000);
    let mut client =
        envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient::new(
            rig.channel(),
        );
    let pending =
        tokio::spawn(async move { client.check(http(OTHER, "ok.example", "GET", "/")).await });
    rig.log.waiting.acquire().await.unwrap().forget();
    rig.shutdown.cancel();
    tokio::task::yield_now().await;
    rig.log.gate.add_permits(10);
    let response = timeout(BOUND, pending)
        .await
        .unwrap()
        .unwrap()
        .unwrap()
        .into_inner();
    assert_eq!(code(&response), 0);
    ended(&rig).await;
    assert_eq!(rig.log.entries().len(), 1);
}

#[tokio::test]
async fn a_health_watch_is_notified_and_ends() {
    let rig = Rig::start(SEED, Settings::default()).await;
    for service in ["", "envoy.service.auth.v3.Authorization"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let said = HealthClient::new(rig.channel())
            .check(request)
            .await
            .unwrap()
            .into_inner()
            .status;
        assert_eq!(
            said,
            ServingStatus::NotServing as i32,
            "not serving until it is reported"
        );
    }
    let request = HealthCheckRequest {
        service: "envoy.service.auth.v3.Authorization".into(),
    };
    let mut watch = HealthClient::new(rig.channel())
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    let first = timeout(BOUND, watch.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
        .status;
    assert_eq!(first, ServingStatus::NotServing as i32);
    rig.health.set_ready(true).await;
    let second = timeout(BOUND, watch.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
        .status;
    assert_eq!(second, ServingStatus::Serving as i32);
    rig.health.drain().await;
    let third = timeout(BOUND, watch.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
        .status;
    assert_eq!(third, ServingStatus::NotServing as i32);
    rig.shutdown.cancel();
    let last = timeout(BOUND, watch.message())
        .await
        .expect("the stream ends")
        .unwrap_err();
    assert_eq!(last.code(), tonic::Code::Unavailable);
    ended(&rig).await;
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_the_server() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let _half_open = tokio::net::TcpStream::connect(rig.address).await.unwrap();
    assert_eq!(
        code(&rig.check(http(OTHER, "ok.example", "GET", "/")).await),
        0
    );
    rig.shutdown.cancel();
    ended(&rig).await;
    assert!(
        tokio::net::TcpStream::connect(rig.address).await.is_err(),
        "the listener is closed"
    );
}
