//! Two replicas of customs behind a real Envoy.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use customs_test_support::customs::Customs;
use customs_test_support::envoy::Envoys;
use customs_test_support::process::{Guard, Process};
use customs_test_support::{http, ports, tools, wait_for};

use crate::gateway::{
    Asks, Endpoints, configuration, customs_cluster, http_listener, plain_cluster, tcp_listener,
    write_endpoints,
};

/// The name of the cluster of both replicas.
const CLUSTER: &str = "customs";

/// What the policy answers to callers without an identity: the deny entry is about everybody.
pub(crate) const HOSTS: &[(&str, Option<&str>)] = &[
    ("ok.example", None),
    ("www.aliyun.com", Some("denied_by_rule")),
];

/// How Envoy learns which replicas there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// Both are always there, and Envoy checks their health.
    HealthChecks,
    /// A file lists them, which is changed some time after a replica began to end.
    Late(Duration),
}

/// Fields are dropped in this order: processes, then their folder.
pub(crate) struct Replicas {
    pub(crate) customs: [Customs; 2],
    _gateway: Process,
    pub(crate) port: u16,
    pub(crate) tcp_port: u16,
    pub(crate) admin: u16,
    endpoints: PathBuf,
    _scratch: TempDir,
}

impl Replicas {
    /// Starts all of it. Each replica stays for the drain delay after the signal to end.
    pub(crate) fn start(
        discovery: Discovery,
        drain_delay: Duration,
        origin: u16,
    ) -> Result<Replicas> {
        let scratch = tempfile::Builder::new()
            .prefix("customs-replicas-")
            .tempdir()?;
        let guard = Guard::over(scratch.path())?;
        let arguments = [format!("--drain-delay={}ms", drain_delay.as_millis())];
        let start = |name: &str| {
            let binary = env!("CARGO_BIN_EXE_customs").as_ref();
            Customs::start_replica((binary, &arguments), (scratch.path(), name), &guard)
        };
        let customs = [start("one")?, start("two")?];
        let (port, tcp_port, admin) = (ports::free()?, ports::free()?, ports::free()?);
        let endpoints = scratch.path().join("endpoints.json");
        let addresses = [customs[0].port, customs[1].port];
        write_endpoints(&endpoints, CLUSTER, &addresses)?;
        let cluster = match discovery {
            Discovery::HealthChecks => {
                customs_cluster(CLUSTER, &Endpoints::Fixed(&addresses), true)
            }
            Discovery::Late(_) => customs_cluster(CLUSTER, &Endpoints::File(&endpoints), false),
        };
        let asks = Asks {
            cluster: CLUSTER,
            timeout: Duration::from_secs(2),
            fails_open: false,
        };
        let config = configuration(
            admin,
            &[
                http_listener(port, asks),
                tcp_listener(tcp_port, asks, "origin"),
            ],
            &[cluster, plain_cluster("origin", origin)],
        );
        let path = scratch.path().join("gateway.json");
        fs::write(&path, config.to_string())?;
        let envoys = Envoys {
            binary: tools::envoy()?.path,
            scratch: scratch.path().to_path_buf(),
            guard: Arc::clone(&guard),
            words: Default::default(),
        };
        let gateway = envoys.run("gateway", &path, admin)?;
        let replicas = Replicas {
            customs,
            _gateway: gateway,
            port,
            tcp_port,
            admin,
            endpoints,
            _scratch: scratch,
        };
        for replica in 0..2 {
            replicas.seen(replica, "healthy")?;
        }
        Ok(replicas)
    }

    /// Tells Envoy's file of endpoints which replicas there are.
    pub(crate) fn announce(&self, replicas: &[usize]) -> Result<()> {
        let ports: Vec<u16> = replicas.iter().map(|n| self.customs[*n].port).collect();
        write_endpoints(&self.endpoints, CLUSTER, &ports)
    }

    /// Waits until Envoy reports this about a replica, such as `healthy`.
    pub(crate) fn seen(&self, replica: usize, flags: &str) -> Result<()> {
        let line = format!(
            "127.0.0.1:{}::health_flags::{flags}",
            self.customs[replica].port
        );
        let clusters = || Some(http::get(self.admin, "localhost", "/clusters").ok()?.body);
        wait_for(|| {
            clusters()?
                .lines()
                .any(|it| it.ends_with(&line))
                .then_some(())
        })
        .with_context(|| format!("never {line}: {}", clusters().unwrap_or_default()))
    }
}
