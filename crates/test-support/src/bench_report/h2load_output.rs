//! Parses what h2load prints and writes: how many requests succeeded, and how long each took.
//!
//! It runs nothing. The rule: a run counts only if every request was answered with a status of the
//! 200s. h2load itself does not look at `grpc-status`, so the caller must check the answers in
//! another way.

use anyhow::{Context, Result, ensure};

/// One request, as a line of h2load's log describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it was sent, in microseconds since 1970.
    pub sent: u64,
    /// How long until the end of its answer, in microseconds.
    pub took: u64,
}

/// Refuses a run in which not every one of the `requests` succeeded.
pub fn all_succeeded(printed: &str, requests: u64) -> Result<()> {
    let line = |start: &str| {
        printed
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_default()
    };
    let (counts, statuses) = (line("requests:"), line("status codes:"));
    let wanted = [
        ("succeeded", requests),
        ("failed", 0),
        ("errored", 0),
        ("timeout", 0),
    ];
    let agrees = wanted
        .iter()
        .all(|(what, count)| counted(counts, what) == Some(*count));
    ensure!(
        agrees && counted(statuses, "2xx") == Some(requests),
        "not every one of {requests} requests succeeded: {counts}; {statuses}\n{printed}"
    );
    Ok(())
}

/// Returns the number before a word: `12` of `requests: 12 total, 3 failed` and `total`.
fn counted(line: &str, word: &str) -> Option<u64> {
    let (_, counts) = line.split_once(':')?;
    let count = counts
        .split(',')
        .find_map(|part| part.trim().strip_suffix(word))?;
    count.trim().parse().ok()
}

/// Parses the requests of a log. Each line has the time of sending, the status and the duration,
/// separated by tabs.
pub fn read_log(log: &str) -> Result<Vec<Request>> {
    log.lines()
        .map(|line| read_line(line).with_context(|| format!("no line of h2load's log: {line:?}")))
        .collect()
}

fn read_line(line: &str) -> Option<Request> {
    let mut fields = line.split('\t');
    let (sent, status, took) = (fields.next()?, fields.next()?, fields.next()?);
    let status: u16 = status.parse().ok()?;
    let answered = (200..300).contains(&status);
    answered.then_some(Request {
        sent: sent.parse().ok()?,
        took: took.parse().ok()?,
    })
}

/// Returns the durations of the requests that were sent between two moments, sorted.
pub fn latencies(requests: &[Request], from: u64, to: u64) -> Vec<u64> {
    let between = requests
        .iter()
        .filter(|request| (from..to).contains(&request.sent));
    let mut took: Vec<u64> = between.map(|request| request.took).collect();
    took.sort_unstable();
    took
}

/// Returns when the first request was sent.
pub fn first_sent(requests: &[Request]) -> Option<u64> {
    requests.iter().map(|request| request.sent).min()
}

/// Returns when the last request was sent.
pub fn last_sent(requests: &[Request]) -> Option<u64> {
    requests.iter().map(|request| request.sent).max()
}

#[cfg(test)]
mod tests;
