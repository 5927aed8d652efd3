//! A steady load of requests to a gateway, over connections that are kept, and the answers that are
//! not the policy's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use customs_test_support::http;

use crate::gateway::PASSED;

/// How many connections ask at once.
const CONNECTIONS: u32 = 4;

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    /// The reason that customs gave.
    pub(crate) reason: Option<String>,
    pub(crate) body: String,
}

impl HttpAnswer {
    /// Returns whether the request passed.
    pub(crate) fn passed(&self) -> bool {
        self.status < 400 || self.body.contains(PASSED)
    }
}

/// Sends `GET /` over an open connection and reads the answer, whose length is in a header.
pub(crate) fn ask(stream: &mut TcpStream, host: &str) -> Result<HttpAnswer> {
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes())?;
    let mut read = Vec::new();
    let mut more = [0; 4096];
    loop {
        if let Some(answer) = whole(&read)? {
            return Ok(answer);
        }
        match stream.read(&mut more)? {
            0 => bail!("closed after {:?}", String::from_utf8_lossy(&read)),
            count => read.extend(&more[..count]),
        }
    }
}

/// Returns an answer once all of it was read.
fn whole(read: &[u8]) -> Result<Option<HttpAnswer>> {
    let text = String::from_utf8_lossy(read);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_owned())
    };
    let length: usize = match header("content-length") {
        Some(length) => length.parse()?,
        None => 0,
    };
    let status = head.get(9..12).context("a status")?.parse()?;
    let answer = HttpAnswer {
        status,
        reason: header("x-customs-reason"),
        body: body.to_owned(),
    };
    Ok((body.len() >= length).then_some(answer))
}

/// A load that runs until it is ended.
pub(crate) struct HttpLoad {
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<Tally>>,
}

/// What a load received.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Answers as the policy says.
    pub(crate) right: u64,
    /// Everything else, with the time since the load began.
    pub(crate) others: Vec<(Duration, String)>,
}

impl HttpLoad {
    /// Asks a gateway this often a second, in turn about hosts with the answers that the policy
    /// gives: an allow, or a denial with its reason.
    pub(crate) fn start(
        gateway: u16,
        a_second: u32,
        hosts: &'static [(&'static str, Option<&'static str>)],
    ) -> HttpLoad {
        let stop = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        let pause = Duration::from_secs(1) * CONNECTIONS / a_second;
        let workers = (0..CONNECTIONS)
            .map(|worker| {
                let stop = stop.clone();
                thread::spawn(move || {
                    let mut tally = Tally::default();
                    let mut due = begun + pause * worker / CONNECTIONS;
                    let mut kept = None;
                    for (host, reason) in hosts.iter().cycle().skip(worker as usize) {
                        if stop.load(Relaxed) {
                            break;
                        }
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        due += pause;
                        match answer(gateway, &mut kept, host) {
                            Ok(answer) if is_right(&answer, *reason) => tally.right += 1,
                            other => tally
                                .others
                                .push((begun.elapsed(), format!("{host}: {other:?}"))),
                        }
                    }
                    tally
                })
            })
            .collect();
        HttpLoad { stop, workers }
    }

    /// Ends the load and returns what it received.
    pub(crate) fn end(self) -> Tally {
        self.stop.store(true, Relaxed);
        let mut all = Tally::default();
        for worker in self.workers {
            let tally = worker.join().unwrap();
            all.right += tally.right;
            all.others.extend(tally.others);
        }
        all.others.sort();
        all
    }
}

fn is_right(answer: &HttpAnswer, reason: Option<&str>) -> bool {
    match reason {
        None => answer.status == 200 && answer.body == PASSED,
        Some(_) => answer.status == 403 && answer.reason.as_deref() == reason,
    }
}

fn answer(gateway: u16, kept: &mut Option<TcpStream>, host: &str) -> Result<HttpAnswer> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => http::connect(gateway)?,
    };
    let answer = ask(&mut stream, host)?;
    *kept = Some(stream);
    Ok(answer)
}
