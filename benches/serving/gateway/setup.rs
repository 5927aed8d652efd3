//! One Envoy with its clients and, if it asks one, its server.

use anyhow::{Context, Result, ensure};

use super::client::Clients;
use crate::server::Server;
use customs_test_support::bench_report::proc::CpuTime;
use customs_test_support::http;
use customs_test_support::process::Process;

/// A running Envoy.
pub(crate) struct Envoy {
    pub process: Process,
    pub port: u16,
    pub admin_port: u16,
}

impl Envoy {
    pub(crate) fn cpu(&self) -> Result<CpuTime> {
        Ok(CpuTime::of(self.process.id())?)
    }

    /// Returns a counter of its statistics.
    fn counter(&self, name: &str) -> Result<u64> {
        let text = http::get(
            self.admin_port,
            "localhost",
            &format!("/stats?filter=^{name}$"),
        )?
        .body;
        let value = text.lines().find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(": ")?
                .trim()
                .parse()
                .ok()
        });
        value.with_context(|| format!("Envoy has no statistic {name}"))
    }
}

/// What is measured in turn with others.
pub(crate) struct Setup<'s> {
    pub name: String,
    pub envoy: Envoy,
    pub server: Option<&'s Server>,
    pub clients: Clients,
    pub requests: u64,
}

impl Setup<'_> {
    pub(crate) fn server_cpu(&self) -> Result<Option<CpuTime>> {
        self.server.map(Server::cpu).transpose()
    }

    /// Checks that its filter has let every request pass, by Envoy's own count.
    pub(crate) fn must_have_filtered(&self) -> Result<()> {
        let statistic = match &self.server {
            Some(_) => "http.bench.ext_authz.ok",
            None if self.name == customs_test_support::bench_report::gateway::NONE => return Ok(()),
            None => "http.bench.rbac.allowed",
        };
        let counted = self.envoy.counter(statistic)?;
        // Clients have sent one more request than was measured: the first of each connection.
        let asked = self.requests + self.clients.count() as u64;
        ensure!(
            counted == asked,
            "{}: {statistic} is {counted} after {asked} requests",
            self.name
        );
        Ok(())
    }
}
