//! Load by h2load: the captured check, repeated as fast as answers arrive or at a steady rate.
//!
//! It starts h2load and reads its output. The rule: a run in which one request failed is an error
//! and yields no figure.
//!
//! At a steady rate h2load sends what is due, whatever happened to the earlier requests, unless 256
//! wait on one connection. Every 10 ms it determines what is due on a connection, so over few
//! connections requests would arrive in bursts, and a burst's own queue would be measured. So ten
//! connections are started 11 ms apart: each then sends at another millisecond of the ten.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::session::{self, Session};
use customs_test_support::bench_report::h2load_output::{self, Request};

/// How checks are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub connections: u64,
    /// Checks in flight on each connection.
    pub streams: u64,
}

impl Shape {
    /// Returns the name in the tables: `4x64`.
    pub(crate) fn name(self) -> String {
        format!("{}x{}", self.connections, self.streams)
    }
}

/// The number of connections of a steady load, and how far apart they start.
const STEADY: Shape = Shape {
    connections: 10,
    streams: 256,
};
const APART: &str = "11ms";

/// Sends `checks` checks as fast as answers arrive.
pub(crate) fn closed(session: &Session, port: u16, shape: Shape, checks: u64) -> Result<()> {
    let mut command = command(session, port, shape, checks);
    run(&mut command, checks)
}

/// Sends the same with one more header in each call.
pub(crate) fn closed_with(
    session: &Session,
    port: u16,
    shape: Shape,
    checks: u64,
    header: &str,
) -> Result<()> {
    let mut command = command(session, port, shape, checks);
    command.args(["-H", header]);
    run(&mut command, checks)
}

/// Sends `rate` checks per second for `seconds`, and returns each.
pub(crate) fn steady(
    session: &Session,
    port: u16,
    rate: u64,
    seconds: u64,
) -> Result<Vec<Request>> {
    let log = session.scratch.path().join("h2load.log");
    // h2load appends.
    let _ = std::fs::remove_file(&log);
    let checks = rate * seconds;
    let mut command = command(session, port, STEADY, checks);
    let each = rate as f64 / STEADY.connections as f64;
    command
        .args(["--rate", "1", "--rate-period", APART])
        .arg(format!("--rps={each}"))
        .arg("--log-file")
        .arg(&log);
    run(&mut command, checks)?;
    read(&log, checks)
}

fn read(log: &Path, checks: u64) -> Result<Vec<Request>> {
    let requests = h2load_output::read_log(&std::fs::read_to_string(log)?)?;
    ensure!(
        requests.len() as u64 == checks,
        "h2load's log has {} lines for {checks} requests",
        requests.len()
    );
    Ok(requests)
}

fn command(session: &Session, port: u16, shape: Shape, checks: u64) -> Command {
    let mut command = Command::new(&session.h2load.path);
    command.args([
        "-t",
        "1",
        "-c",
        &shape.connections.to_string(),
        "-m",
        &shape.streams.to_string(),
    ]);
    command
        .args(["-n", &checks.to_string(), "-d"])
        .arg(session::framed_check());
    command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
    command.arg(format!(
        "http://127.0.0.1:{port}/envoy.service.auth.v3.Authorization/Check"
    ));
    command
}

fn run(command: &mut Command, checks: u64) -> Result<()> {
    let done = command.output().context("h2load does not run")?;
    let printed = String::from_utf8_lossy(&done.stdout);
    ensure!(
        done.status.success(),
        "h2load: {}: {printed}{}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    h2load_output::all_succeeded(&printed, checks)
}
