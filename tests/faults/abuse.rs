//! Clients that abuse a server with its default settings, each beside a legitimate client: every
//! check of that client is answered as the policy says, memory stays bounded, and the server lives.
//!
//! The table has a line for each abuse. What a hostile client does is in [`floods`], [`holders`] and
//! [`operators`]; a line says what must become of it.

mod floods;
mod holders;
mod operators;

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use customs_test_support::audited_server::{Server, size};

use crate::prober::Prober;

/// How many mebibytes a hostile client may cost.
const MEMORY: u64 = 64;
/// How soon a hostile client is cut that must be.
const CUT_WITHIN: Duration = Duration::from_secs(7);
/// How many lines a hostile client may cause in the log: it has a line for each cause once.
const LINES: usize = 40;
/// How many abuses run at once.
const AT_ONCE: usize = 2;

/// Where a hostile client connects to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Checks,
    Admin,
    Tail,
}

/// What must become of a hostile client, besides that it harms nobody.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Must {
    /// Its connections are closed within [`CUT_WITHIN`].
    BeCut,
    /// It may go on.
    BeBounded,
}

/// One abuse.
struct Abuse {
    name: &'static str,
    place: Place,
    run: fn(&Attack),
    must: Must,
}

/// A running attack: where, until when, and what became of it.
struct Attack {
    port: u16,
    begun: Instant,
    until: Instant,
    /// When it ends if no connection was cut.
    patience: Instant,
    /// Connections that the server has closed or refused.
    cuts: AtomicU64,
    first_cut: Mutex<Option<Duration>>,
}

impl Attack {
    /// Returns whether the attack has lasted long enough, and a flood that must be cut was cut.
    fn is_over(&self) -> bool {
        let now = Instant::now();
        now >= self.patience || now >= self.until && self.first_cut.lock().unwrap().is_some()
    }

    /// Notes that the server has closed a connection, or refused it.
    fn cut(&self) {
        self.cuts.fetch_add(1, Relaxed);
        let mut first = self.first_cut.lock().unwrap();
        first.get_or_insert_with(|| self.begun.elapsed());
    }
}

/// Floods of resets. A build that is not optimised handles fewer of them a second than the limit
/// allows a proxy that is held up.
const RESETS: Must = if cfg!(debug_assertions) {
    Must::BeBounded
} else {
    Must::BeCut
};
/// Floods of frames that carry no check, beside the calls of the connection.
const FRAMES: Must = Must::BeCut;

const TABLE: &[Abuse] = &[
    flood("rapid reset", floods::rapid_reset, RESETS),
    flood(
        "rapid reset of whole checks",
        floods::rapid_reset_of_checks,
        RESETS,
    ),
    flood(
        "frames that make the server reset",
        floods::made_you_reset,
        Must::BeCut,
    ),
    flood("CONTINUATION with data", floods::continuation, Must::BeCut),
    flood(
        "empty CONTINUATION",
        floods::empty_continuation,
        Must::BeCut,
    ),
    flood("empty DATA", floods::empty_data, Must::BeCut),
    flood("DATA of 16 bytes", floods::tiny_data, Must::BeCut),
    flood("DATA of 256 bytes", floods::small_data, Must::BeBounded),
    flood(
        "a table of headers, referred to",
        floods::hpack_bomb,
        Must::BeCut,
    ),
    flood("PING", floods::ping, FRAMES),
    flood("PING, answers never read", floods::ping_unread, FRAMES),
    flood("SETTINGS", floods::settings_with_values, FRAMES),
    flood("empty SETTINGS", floods::empty_settings, FRAMES),
    flood(
        "WINDOW_UPDATE of the connection",
        floods::window_update,
        FRAMES,
    ),
    flood(
        "WINDOW_UPDATE of a call",
        floods::window_update_of_a_call,
        FRAMES,
    ),
    flood("PRIORITY", floods::priority, FRAMES),
    flood("frames of an unknown kind", floods::unknown_frames, FRAMES),
    flood(
        "calls with 12 KiB of headers that never end",
        floods::unfinished,
        Must::BeBounded,
    ),
    flood(
        "calls that never end",
        floods::unfinished_small,
        Must::BeBounded,
    ),
    flood(
        "health watches that never end",
        floods::health_watches,
        Must::BeBounded,
    ),
    flood(
        "reflection that nobody reads",
        floods::reflection,
        Must::BeBounded,
    ),
    flood(
        "checks whose answers have no window",
        floods::no_window,
        Must::BeBounded,
    ),
    flood(
        "checks from a client that never reads",
        floods::never_reads,
        Must::BeBounded,
    ),
    flood(
        "checks as fast as they are answered",
        floods::checks,
        Must::BeBounded,
    ),
    flood(
        "4 MiB messages that never end",
        floods::unfinished_messages,
        Must::BeBounded,
    ),
    flood(
        "messages of 5 MiB",
        floods::too_large_messages,
        Must::BeBounded,
    ),
    flood(
        "messages that are no check",
        floods::garbage,
        Must::BeBounded,
    ),
    flood(
        "connections that say nothing",
        holders::silent,
        Must::BeBounded,
    ),
    flood(
        "connections that only begin HTTP/2",
        holders::begun,
        Must::BeBounded,
    ),
    flood("half a preface", holders::half_preface, Must::BeBounded),
    flood(
        "half of a call's headers",
        holders::half_headers,
        Must::BeBounded,
    ),
    flood("half of a check", holders::half_bodies, Must::BeBounded),
    flood(
        "checks of a byte a second",
        holders::slow_bodies,
        Must::BeBounded,
    ),
    flood(
        "connections that stay after a check",
        holders::after_a_check,
        Must::BeBounded,
    ),
    flood(
        "connects that are closed at once",
        holders::connects,
        Must::BeBounded,
    ),
    flood(
        "connects that are reset at once",
        holders::connects_with_reset,
        Must::BeBounded,
    ),
    at(
        Place::Admin,
        "requests that never end",
        operators::slow_requests,
        Must::BeBounded,
    ),
    at(
        Place::Admin,
        "answers that nobody reads",
        operators::unread,
        Must::BeBounded,
    ),
    at(
        Place::Admin,
        "questions",
        operators::questions,
        Must::BeBounded,
    ),
    at(
        Place::Admin,
        "questions of 250 KB",
        operators::large_questions,
        Must::BeBounded,
    ),
    at(
        Place::Admin,
        "bodies of 10 MiB",
        operators::too_large_bodies,
        Must::BeBounded,
    ),
    at(
        Place::Admin,
        "bodies that never end",
        operators::slow_bodies,
        Must::BeBounded,
    ),
    at(
        Place::Admin,
        "the status, again and again",
        operators::status,
        Must::BeBounded,
    ),
    at(
        Place::Admin,
        "the metrics, again and again",
        operators::metrics,
        Must::BeBounded,
    ),
    at(
        Place::Tail,
        "subscribers that read nothing",
        operators::unread_tails,
        Must::BeBounded,
    ),
    at(
        Place::Tail,
        "subscriptions without end",
        operators::many_tails,
        Must::BeBounded,
    ),
];

const fn flood(name: &'static str, run: fn(&Attack), must: Must) -> Abuse {
    at(Place::Checks, name, run, must)
}

const fn at(place: Place, name: &'static str, run: fn(&Attack), must: Must) -> Abuse {
    Abuse {
        name,
        place,
        run,
        must,
    }
}

/// Runs one abuse, and returns what should not have happened.
fn suffer(abuse: &Abuse, seconds: Duration) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let tail = customs_test_support::ports::free().unwrap();
    let mut server = Server::start(
        folder.path(),
        &[
            "--audit=file:audit.jsonl?rotate_size=64MiB&keep=2",
            &format!("--audit=tail:127.0.0.1:{tail}?on_full=drop"),
        ],
    );
    let prober = Prober::start(server.port);
    thread::sleep(Duration::from_millis(100));
    let before = server.memory();
    let begun = Instant::now();
    let attack = Attack {
        port: match abuse.place {
            Place::Checks => server.port,
            Place::Admin => server.admin(),
            Place::Tail => tail,
        },
        begun,
        until: begun + seconds,
        patience: begun
            + match abuse.must {
                Must::BeCut => seconds.max(CUT_WITHIN),
                Must::BeBounded => seconds,
            },
        cuts: AtomicU64::new(0),
        first_cut: Mutex::new(None),
    };
    let mut most = before;
    thread::scope(|scope| {
        let running = scope.spawn(|| (abuse.run)(&attack));
        while !running.is_finished() {
            most = most.max(server.memory());
            thread::sleep(Duration::from_millis(20));
        }
    });
    let probed = prober.end();
    let mut problems = Vec::new();
    let mut expect = |holds: bool, problem: String| {
        if !holds {
            problems.push(format!("{}: {problem}", abuse.name));
        }
    };
    expect(server.is_running(), "the server has ended".into());
    expect(
        probed.failed.is_empty() && probed.wrong.is_empty(),
        format!("the legitimate client: {probed:?}"),
    );
    expect(
        probed.right > 2,
        format!("it was hardly answered: {probed:?}"),
    );
    let grown = most.saturating_sub(before);
    expect(grown <= MEMORY, format!("memory grew by {grown} MiB"));
    let first_cut = *attack.first_cut.lock().unwrap();
    if abuse.must == Must::BeCut {
        let is_cut = first_cut.is_some_and(|first| first <= CUT_WITHIN);
        expect(
            is_cut,
            format!("cut: {first_cut:?}, not within {CUT_WITHIN:?}"),
        );
    }
    let log = server.log();
    let lines = log.lines().count();
    expect(lines <= LINES, format!("{lines} lines in the log"));
    expect(!log.contains("panicked"), log.clone());
    println!(
        "{}: {} checks right, slowest {:?}, +{grown} MiB, cut {} times, first {first_cut:?}",
        abuse.name,
        probed.right,
        probed.slowest,
        attack.cuts.load(Relaxed),
    );
    let code = server.stop();
    if code != Some(0) {
        problems.push(format!("{}: it ended with {code:?}", abuse.name));
    }
    let audit = fs::metadata(folder.path().join("audit.jsonl"));
    assert!(audit.is_ok_and(|file| file.len() > 0), "{}", abuse.name);
    problems
}

#[test]
fn no_abuse_harms_a_legitimate_client() {
    let seconds = Duration::from_secs(size("CUSTOMS_FAULTS_ABUSE", 1));
    let next = AtomicU64::new(0);
    let problems = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = usize::try_from(next.fetch_add(1, Relaxed)).unwrap();
                    let Some(abuse) = TABLE.get(number) else {
                        return;
                    };
                    let found = suffer(abuse, seconds);
                    problems.lock().unwrap().extend(found);
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
