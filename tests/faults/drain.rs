//! A replica that gets the signal to end, behind a real Envoy: health says so first, new connections and
//! checks in flight are answered all the same, and nothing is lost.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use customs_test_support::http2::{Call, DATA, END_HEADERS, END_STREAM, HEADERS, frame, message};
use customs_test_support::{audited_server, check_client, http};
use prost::Message;

use crate::connection::{Connection, Outcome, PATIENCE};
use crate::http_load::HttpLoad;
use crate::replicas::{Discovery, HOSTS, Replicas};
use crate::tcp::{Origin, reaches_origin};

const DRAIN_DELAY: Duration = Duration::from_millis(1500);

/// A check whose last bytes are still to come.
struct Unfinished {
    connection: Connection,
    stream: u32,
    rest: Vec<u8>,
}

impl Unfinished {
    fn begin(port: u16, host: &str) -> Result<Unfinished> {
        let mut connection = Connection::open(port)?;
        let stream = connection.stream();
        let body = message(&audited_server::check(host).encode_to_vec());
        let (first, rest) = body.split_at(body.len() / 2);
        connection.send(&frame(
            HEADERS,
            END_HEADERS,
            stream,
            &Call::default().head(),
        ))?;
        connection.send(&frame(DATA, 0, stream, first))?;
        let rest = frame(DATA, END_STREAM, stream, rest);
        Ok(Unfinished {
            connection,
            stream,
            rest,
        })
    }

    /// Sends the rest, and returns the status of the answer.
    fn finish(mut self) -> Result<Option<i32>> {
        self.connection.send(&self.rest)?;
        match self.connection.outcome(self.stream, PATIENCE)? {
            Outcome::Answered(response) => Ok(response.status.map(|status| status.code)),
            Outcome::Refused(why) => bail!("{why}"),
        }
    }
}

#[test]
fn a_replica_that_ends_says_so_first_and_loses_nothing() -> Result<()> {
    let origin = Origin::start()?;
    let mut replicas = Replicas::start(Discovery::HealthChecks, DRAIN_DELAY, origin.port)?;
    let tcp = replicas.tcp_port;
    let passes = || reaches_origin(tcp, "ok.example", PATIENCE);
    let load = HttpLoad::start(replicas.port, 200, HOSTS);
    thread::sleep(Duration::from_millis(300));
    ensure!(passes()?, "before the end");
    ensure!(
        !reaches_origin(tcp, "www.aliyun.com", PATIENCE)?,
        "it is denied"
    );
    let (port, admin) = (replicas.customs[0].port, replicas.customs[0].admin_port);
    let expected = [("api.example", 0), ("www.aliyun.com", 7)];
    let mut in_flight = Vec::new();
    for (host, code) in expected {
        in_flight.push((host, code, Unfinished::begin(port, host)?));
    }
    let channel = check_client::channel(&format!("http://127.0.0.1:{port}"));
    let mut watch = check_client::Watch::begin(&channel);
    let first = watch.next_status();

    let told = Instant::now();
    replicas.customs[0].signal("TERM")?;
    let second = watch.next_status();
    ensure!(
        first != second && told.elapsed() < DRAIN_DELAY / 2,
        "health changes before anything else: {first:?}, {second:?} after {:?}",
        told.elapsed()
    );
    let ready = http::get(admin, "localhost", "/readyz")?;
    ensure!(ready.status == 503, "{ready:?}");
    // A client that has not learnt of it yet opens a new connection, and is answered.
    for (host, code) in expected {
        let answer = Connection::open(port)?.check(&audited_server::check(host))?;
        ensure!(answer.code() == Some(code), "{host}: {answer:?}");
    }
    // So is a check that was begun before and is completed in the meantime.
    let last = in_flight.pop();
    for (host, code, check) in in_flight {
        ensure!(check.finish()? == Some(code), "{host}");
    }
    ensure!(passes()?, "a TCP connection meanwhile");
    // And one that is completed after the listeners have closed.
    thread::sleep((DRAIN_DELAY + Duration::from_millis(300)).saturating_sub(told.elapsed()));
    ensure!(Connection::open(port).is_err(), "the address is closed now");
    if let Some((host, code, check)) = last {
        ensure!(check.finish()? == Some(code), "{host}");
    }
    let status = replicas.customs[0].end()?;
    ensure!(
        status.success(),
        "{status}: {}",
        replicas.customs[0].last_words()
    );
    ensure!(passes()?, "by the other replica");
    let tally = load.end();
    ensure!(tally.others.is_empty(), "{:#?}", tally.others);
    println!(
        "{} answers through a drain, 0 not the policy's",
        tally.right
    );
    Ok(())
}
