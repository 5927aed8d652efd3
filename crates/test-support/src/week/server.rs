//! The server of the week: it decides every crossing, records it, and has the events of a week.
//!
//! The rule: what it does, a server does; only the time is the week's.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context, Result};
use customs_engine::enforcement::Enforcement;
use customs_engine::request::{Attributes, HttpAttributes};
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::policy_set::{PolicySet, SourceDeclaration, SourceReadings};
use customs_policy::source::Source;
use customs_record::{
    CallerGoneEntry, DecisionRecord, Entry, GapEntry, GrantExpiredEntry, Loss, Occasion,
    QuestionEntry, RefusalCause, RefusalCount, RefusalsEntry, StartEntry, StopEntry, WithheldEntry,
};
use customs_sources::policy_archive::PolicyArchive;
use customs_sources::policy_archive::archiver::{self, Archiver};
use fastrand::Rng;
use uuid::Builder;

use super::crossings::{Crossing, Crossings};
use super::log::Log;
use super::policies::{self, Edition, MIGRATION_ENDS};
use super::{DAY, HOUR, HOURS, MONDAY, WeekOptions, WeekPaths, WeekSummary};

const GATEWAY: &str = "spiffe://cluster.local/ns/istio-system/sa/egress";
const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;

/// What happens besides crossings.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The policy directory changes.
    Policies(Edition),
    /// A grant ends.
    GrantEnds,
    /// The process is replaced in order.
    Restart,
    /// The process is killed in the middle of a record.
    Crash,
    /// The disk is slow: so many crossings have no record, and a gap counts them.
    Loss(u64),
    /// Clients are refused before they ask.
    Refusals,
    /// An operator asks what a check would get.
    Question,
    /// The answer of the last decision is withheld.
    Withheld,
    /// The caller of the last decision is gone.
    CallerGone,
}

/// The events of the week, counted from its beginning, in order.
fn events() -> VecDeque<(i128, Event)> {
    let mut events = vec![
        (DAY + 10 * HOUR, Event::Policies(Edition::Launched)),
        (DAY + 22 * HOUR, Event::Restart),
        (2 * DAY + 9 * HOUR, Event::Policies(Edition::Broken)),
        (
            2 * DAY + 9 * HOUR + 20 * MINUTE,
            Event::Policies(Edition::Launched),
        ),
        (2 * DAY + 14 * HOUR, Event::Loss(30)),
        (3 * DAY + 4 * HOUR, Event::Crash),
        (3 * DAY + 10 * HOUR, Event::Policies(Edition::Trimmed)),
        (MIGRATION_ENDS, Event::GrantEnds),
        (4 * DAY + 15 * HOUR, Event::Policies(Edition::Annotated)),
        (5 * DAY + 3 * HOUR, Event::Restart),
        (5 * DAY + 12 * HOUR, Event::Loss(7)),
    ];
    for day in 0..7 {
        events.push((day * DAY + 8 * HOUR + 30 * MINUTE, Event::Refusals));
        events.push((day * DAY + 11 * HOUR, Event::Question));
        events.push((day * DAY + 12 * HOUR, Event::CallerGone));
    }
    events.push((2 * DAY + 14 * HOUR + MINUTE, Event::Withheld));
    events.sort_by_key(|(time, _)| *time);
    events.into()
}

/// The policies of one process.
struct Policies {
    set: PolicySet,
    snapshot: Snapshot,
}

impl Policies {
    fn new() -> Policies {
        let settings = Settings::default();
        Policies {
            set: PolicySet::new(
                [SourceDeclaration::any_namespace(policies::SOURCE)],
                settings.clone(),
            ),
            snapshot: Snapshot::unloaded(settings),
        }
    }
}

/// A server, and the processes that it has been.
pub(super) struct Server<'w> {
    paths: &'w WeekPaths,
    options: &'w WeekOptions,
    rng: Rng,
    crossings: Crossings,
    log: Log,
    archiver: Archiver,
    policies: Policies,
    edition: Edition,
    /// The number of the last decision of the process.
    decided: u64,
    /// How many crossings in a row lose their record.
    losing: u64,
    gap: Option<(Loss, UnixNanos, UnixNanos)>,
    last: Option<Arc<DecisionRecord>>,
    summary: WeekSummary,
}

impl<'w> Server<'w> {
    /// Starts the first process.
    pub(super) fn start(paths: &'w WeekPaths, options: &'w WeekOptions) -> Result<Server<'w>> {
        let mut rng = Rng::with_seed(options.seed);
        let mut server = Server {
            paths,
            options,
            crossings: Crossings::draw(&mut rng),
            rng,
            log: Log::open(paths, options)?,
            archiver: archiver::start(PolicyArchive::new(paths.archive()))?,
            policies: Policies::new(),
            edition: Edition::First,
            decided: 0,
            losing: 0,
            gap: None,
            last: None,
            summary: WeekSummary {
                seed: options.seed,
                crossings: options.crossings,
                ..WeekSummary::default()
            },
        };
        server.begin(UnixNanos(MONDAY))?;
        Ok(server)
    }

    /// Lives the week.
    pub(super) fn run(mut self) -> Result<WeekSummary> {
        let mut events = events();
        let shares = self.crossings.shares();
        let whole: f64 = shares.iter().sum();
        let (mut sum, mut done) = (0.0, 0);
        for (hour, share) in (0..HOURS).zip(shares) {
            sum += share;
            let until = match hour + 1 {
                HOURS => self.options.crossings,
                _ => (self.options.crossings as f64 * sum / whole) as u64,
            };
            let count = until - done;
            done = until;
            self.crossings.begin_hour(hour);
            for nth in 0..count {
                let step = HOUR / i128::from(count);
                let jitter = i128::from(self.rng.u64(..u64::try_from(step)?.max(1)));
                let time = hour as i128 * HOUR + i128::from(nth) * step + jitter;
                while events.front().is_some_and(|(due, _)| *due <= time) {
                    let (due, event) = events.pop_front().expect("it was seen");
                    self.happens(event, UnixNanos(MONDAY + due))?;
                }
                self.cross(time)?;
            }
        }
        let end = UnixNanos(MONDAY + HOURS as i128 * HOUR - 1);
        while let Some((due, event)) = events.pop_front() {
            self.happens(event, UnixNanos(MONDAY + due))?;
        }
        self.stop(end)?;
        self.log.finish(end)?;
        write_files(
            &self.paths.policies(),
            &policies::source(self.edition, MONDAY),
        )?;
        let status = self.archiver.status();
        drop(self.archiver);
        let archived = status.wait_blocking(crate::PATIENCE);
        anyhow::ensure!(
            archived.failures == 0,
            "the archive: {:?}",
            archived.problem
        );
        self.summary.records = std::mem::take(&mut self.log.records);
        self.summary.bytes = self.log.bytes;
        Ok(self.summary)
    }

    fn begin(&mut self, time: UnixNanos) -> Result<()> {
        let mut id = [0; 16];
        self.rng.fill(&mut id);
        let id = Builder::from_random_bytes(id).into_uuid().to_string();
        self.log.begin(id, time)?;
        let start = StartEntry {
            time,
            version: env!("CARGO_PKG_VERSION"),
            listen: vec!["127.0.0.1:9000".into()],
            enforcement: Enforcement::Enforce,
        };
        self.log.append(&Entry::Start(start.into()), time)?;
        self.policies = Policies::new();
        self.decided = 0;
        self.reload(time)
    }

    fn stop(&mut self, time: UnixNanos) -> Result<()> {
        self.record_gap(time)?;
        let stop = StopEntry {
            time,
            cause: "SIGTERM".into(),
            decisions: self.decided,
            revision: self.policies.snapshot.revision().to_string(),
        };
        self.log.append(&Entry::Stop(stop.into()), time)?;
        self.log.end(time)
    }

    /// Reads the policy directory as it is now.
    fn reload(&mut self, time: UnixNanos) -> Result<()> {
        let mut source = policies::source(self.edition, MONDAY);
        if self.edition == Edition::Broken {
            policies::break_file(&mut source);
        }
        let id = policies::SOURCE.into();
        let readings = SourceReadings {
            policies: BTreeMap::from([(id, Ok(source))]),
            settings: None,
        };
        let outcome = self.policies.set.reload(readings, time);
        if let Some(snapshot) = outcome.snapshot {
            let revision = snapshot.revision().to_string();
            if self.summary.revisions.last() != Some(&revision) {
                self.archiver
                    .archive(self.policies.set.in_force().context("a set is in force")?);
                self.summary.revisions.push(revision);
            }
            self.policies.snapshot = snapshot;
        }
        match outcome.change {
            Some(change) => self.log.append(&Entry::PolicyChange(change.into()), time),
            None => Ok(()),
        }
    }

    fn happens(&mut self, event: Event, time: UnixNanos) -> Result<()> {
        match event {
            Event::Policies(edition) => {
                self.edition = edition;
                self.reload(time)
            }
            Event::GrantEnds => self.end_grants(time),
            Event::Restart => {
                self.stop(time)?;
                self.log.reopen()?;
                self.begin(UnixNanos(time.0 + 2 * SECOND))
            }
            Event::Crash => {
                let torn = self.crossings.next(time.0 - MONDAY, &mut self.rng);
                let torn = self.decide(&torn, time);
                self.log.crash(&Entry::Decision(torn.into()), time)?;
                self.summary.lost += 1;
                self.summary.torn += 1;
                self.begin(UnixNanos(time.0 + 5 * SECOND))
            }
            Event::Loss(count) => {
                self.losing = count;
                Ok(())
            }
            Event::Refusals => self.refuse(time),
            Event::Question => self.ask(time),
            Event::Withheld => self.withhold(time),
            Event::CallerGone => self.lose_caller(time),
        }
    }

    fn cross(&mut self, since_monday: i128) -> Result<()> {
        let time = UnixNanos(MONDAY + since_monday);
        let crossing = self.crossings.next(since_monday, &mut self.rng);
        let record = self.decide(&crossing, time);
        if self.losing > 0 {
            self.losing -= 1;
            return self.lose(&record, time);
        }
        self.record_gap(time)?;
        let record = Arc::new(record);
        self.last = Some(record.clone());
        self.log.append(&Entry::Decision(record), time)
    }

    fn decide(&mut self, crossing: &Crossing, time: UnixNanos) -> DecisionRecord {
        self.decided += 1;
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        let millis = u64::try_from(time.0 / 1_000_000).unwrap_or_default();
        let id = Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        let mut id_text = [0; 36];
        let id = &*id.hyphenated().encode_lower(&mut id_text);
        let headers = headers(crossing, &mut self.rng);
        let attributes = attributes(crossing, &headers);
        let snapshot = &self.policies.snapshot;
        let request = attributes.normalise(snapshot.settings());
        let decision = snapshot.decide(&request, time);
        let occasion = Occasion {
            time,
            duration_micros: 6 + self.rng.u32(..20),
            decision_id: id,
            decision_number: self.decided,
            recorded_headers: &[],
            peer_identity: GATEWAY,
            trace_context: None,
        };
        DecisionRecord::of(&attributes, &request, &decision, snapshot, occasion)
    }

    /// Counts a decision that has no record.
    fn lose(&mut self, record: &DecisionRecord, time: UnixNanos) -> Result<()> {
        let entry = record.to_entry();
        let (mut loss, first, _) = self.gap.unwrap_or((Loss::default(), time, time));
        match (entry.differs(), entry.effect) {
            (true, _) => loss.differing += 1,
            (false, customs_engine::effect::Effect::Allow) => loss.allows += 1,
            (false, customs_engine::effect::Effect::Deny) => loss.denials += 1,
        }
        self.gap = Some((loss, first, time));
        self.summary.lost += 1;
        Ok(())
    }

    fn record_gap(&mut self, time: UnixNanos) -> Result<()> {
        let Some((lost, first, last)) = self.gap.take() else {
            return Ok(());
        };
        let gap = GapEntry {
            time,
            lost,
            first,
            last,
        };
        self.log.append(&Entry::Gap(gap.into()), time)
    }

    fn end_grants(&mut self, time: UnixNanos) -> Result<()> {
        let expirations = self.policies.set.expirations().clone();
        let revision = self.policies.snapshot.revision().clone();
        for (info, end) in expirations.passed(UnixNanos(time.0 - HOUR), time) {
            let entry = GrantExpiredEntry::of(info, end, time, &revision);
            self.log.append(&Entry::GrantExpired(entry.into()), time)?;
        }
        Ok(())
    }

    fn refuse(&mut self, time: UnixNanos) -> Result<()> {
        let refusals = RefusalsEntry {
            time,
            first: UnixNanos(time.0 - 50 * SECOND),
            last: time,
            refusals: vec![RefusalCount {
                peer: "10.8.250.3".into(),
                cause: RefusalCause::Http1,
                count: 1 + self.rng.u64(..5),
                example: "GET / HTTP/1.1".into(),
            }],
            redacted: Vec::new(),
        };
        self.log.append(&Entry::Refusals(refusals.into()), time)
    }

    fn ask(&mut self, time: UnixNanos) -> Result<()> {
        let Some(answer) = self.last.clone() else {
            return Ok(());
        };
        let question = QuestionEntry {
            time,
            asked_by: "127.0.0.1:40312".into(),
            now: time,
            answer: DecisionRecord::clone(&answer),
        };
        self.log.append(&Entry::Question(question.into()), time)
    }

    fn withhold(&mut self, time: UnixNanos) -> Result<()> {
        let Some((decision_id, decision_number)) = self.last_decision() else {
            return Ok(());
        };
        let withheld = WithheldEntry {
            time,
            decision_id,
            decision_number,
            reason: "audit_unavailable",
        };
        self.log.append(&Entry::Withheld(withheld.into()), time)
    }

    fn lose_caller(&mut self, time: UnixNanos) -> Result<()> {
        let Some((decision_id, decision_number)) = self.last_decision() else {
            return Ok(());
        };
        let gone = CallerGoneEntry {
            time,
            decision_id,
            decision_number,
        };
        self.log.append(&Entry::CallerGone(gone.into()), time)
    }

    fn last_decision(&self) -> Option<(String, u64)> {
        let entry = self.last.as_ref()?.to_entry();
        Some((entry.decision_id.to_owned(), entry.decision_number))
    }
}

/// Returns the headers that Envoy sends for a crossing.
fn headers(crossing: &Crossing, rng: &mut Rng) -> Vec<(String, String)> {
    let (trace, span) = (rng.u128(..), rng.u64(..));
    let request = Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid();
    vec![
        (":authority".to_owned(), crossing.host.clone()),
        ("x-request-id".to_owned(), request.to_string()),
        (
            "traceparent".to_owned(),
            format!("00-{trace:032x}-{span:016x}-01"),
        ),
    ]
}

/// Returns what Envoy sends for a crossing.
pub(super) fn attributes<'c>(
    crossing: &'c Crossing,
    headers: &'c Vec<(String, String)>,
) -> Attributes<'c> {
    let http = (!crossing.is_tcp).then_some(HttpAttributes {
        method: crossing.method,
        path: &crossing.path,
        host: &crossing.host,
        scheme: "https",
        headers,
        stream_id: "7161928366403711",
        protocol: "HTTP/1.1",
    });
    let sni = match crossing.is_tcp {
        true => crossing.host.as_str(),
        false => "outbound_.443_._.egress.istio-system.svc.cluster.local",
    };
    Attributes {
        source_principal: &crossing.principal,
        source_address: crossing.source,
        destination_principal: GATEWAY,
        destination_address: Some(IpAddr::V4(Ipv4Addr::new(10, 9, 0, 4))),
        listener_port: Some(8443),
        has_address: true,
        service: if crossing.is_tcp { sni } else { "" },
        tls_sni: Some(sni),
        http,
    }
}

/// Writes the files of a source.
fn write_files(directory: &std::path::Path, source: &Source) -> Result<()> {
    fs::create_dir_all(directory)?;
    for file in &source.files {
        let path = directory.join(&file.name);
        fs::write(&path, &file.bytes).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
