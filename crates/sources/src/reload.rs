//! The one loop that turns changes of the policy files into a set in force.
//!
//! The rule: after a file event it waits until nothing has happened for the settle time (constant
//! writing cannot delay it forever). Then it reads every source and the settings file until two
//! reads agree. Content that is known already is skipped; anything else goes to the policy set and,
//! if good, is published whole. A request to reload now does not wait. Every rescan looks at
//! everything too, so that a lost event only costs time: it reads what may have changed, and from
//! time to time everything, in case the file system's times are wrong. One task does this in turn:
//! an older read can never win over a younger one.
//!
//! The [`PolicySet`] decides what may be in force. Nothing here knows the readers of the record.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch as channel};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::background::{self, Pace};
use super::policy_directories::{GuardChecks, PolicyDirectories};
use super::policy_directory::PolicyDirectory;
use super::read_cycle::{CycleOptions, ReadCycle};
use super::settings::SettingsFile;
use super::settling::Settling;
use super::stat_cache::{CacheEntries, StatCache};
use super::status::{LastProblem, Status};
use super::watch::{SharedWatcher, Watcher};
use customs_analysis::findings::EXPIRY_DAYS;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::{ChangeOutcome, PolicyChange};
use customs_policy::policy_set::{PolicySet, ReloadOutcome, SetInForce};
use customs_policy::problem::{Problem, Severity};
use customs_policy::store::Publisher;
use customs_record::clock::now;
use customs_record::{Entry, GrantExpiredEntry};

/// The pause between two reads that must agree: the settle time, within these bounds.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
/// The bounds of the rescan interval.
const RESCAN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(24 * 60 * 60));
/// A rescan that is later than this after everything was read reads everything.
const READ_ALL: Duration = Duration::from_secs(5 * 60);
/// The longest settle time.
const LONGEST_SETTLE: Duration = Duration::from_secs(60 * 60);
/// How many problems of one change are logged.
const LOGGED: usize = 100;

/// The options of the loop.
#[derive(Clone, Debug)]
pub struct ReloadOptions {
    /// The policies directories.
    pub directories: Vec<PolicyDirectory>,
    /// How long nothing must have happened before a change is read.
    pub settle: Duration,
    /// How often everything is looked at, whether or not there are events.
    pub rescan: Duration,
    /// Whether file events are wanted besides the rescan.
    pub watch: bool,
    /// What is done about guards that a change breaks.
    pub guards: GuardChecks,
    /// The settings that the set is compiled with.
    pub settings: Settings,
    /// The file that they are from, if its changes are wanted.
    pub settings_file: Option<SettingsFile>,
}

/// Asks for a reload now.
#[derive(Clone, Debug)]
pub struct Trigger(pub(super) Arc<Notify>);

impl Trigger {
    /// Reloads without waiting for the files to settle.
    pub fn reload_now(&self) {
        self.0.notify_one();
    }
}

/// Receives the record of a change, or of the expiration of a grant.
type OnEntry = Box<dyn Fn(Entry) + Send + Sync>;

/// Prepares what else depends on a set, before it is in force.
type BeforePublish = Arc<dyn Fn(&Snapshot) + Send + Sync>;

/// Takes what is in force, after each publication.
type AfterPublish = Box<dyn Fn(SetInForce) + Send + Sync>;

/// The loop, after its first load.
pub struct Reloader {
    rescan: Duration,
    pause: Duration,
    settling: Settling,
    rescan_at: Instant,
    /// From when on a rescan reads everything.
    read_all_at: Instant,
    cache: CacheEntries,
    cycle: ReadCycle,
    policy_set: PolicySet,
    settings_file: Option<SettingsFile>,
    watcher: SharedWatcher,
    changed: Arc<Notify>,
    asked: Arc<Notify>,
    publisher: Publisher,
    status: channel::Sender<Status>,
    on_entry: OnEntry,
    before_publish: BeforePublish,
    after_publish: AfterPublish,
    /// Up to when expirations were recorded.
    expirations_recorded_until: UnixNanos,
    /// Whether the first cycle is over.
    begun: bool,
}

/// Everything that the loop reacts to.
#[derive(Debug)]
enum Event {
    FilesChanged,
    Settled,
    Rescan,
    ReloadNow,
    Shutdown,
}

/// Sets the watches and loads for the first time, at once. The status then says whether a good set
/// is in force.
pub async fn first_load(
    options: ReloadOptions,
    publisher: Publisher,
    on_entry: impl Fn(Entry) + Send + Sync + 'static,
) -> Reloader {
    let mut reloader = Reloader::new(options, publisher, on_entry);
    reloader.begin().await;
    reloader
}

impl Reloader {
    /// Creates the loop before anything was read; [`Reloader::run`] begins with that.
    pub fn new(
        options: ReloadOptions,
        publisher: Publisher,
        on_entry: impl Fn(Entry) + Send + Sync + 'static,
    ) -> Reloader {
        let ReloadOptions {
            mut directories,
            settle,
            rescan,
            watch,
            guards,
            settings,
            settings_file,
        } = options;
        let mut seen = std::collections::BTreeSet::new();
        directories.retain(|directory| seen.insert(directory.path().display().to_string()));
        let changed = Arc::new(Notify::new());
        let file = settings_file.as_ref().map(|file| file.path());
        let watcher = if watch {
            Watcher::new(&directories, file, changed.clone())
        } else {
            Watcher::disabled()
        };
        let status = Status {
            settings: Arc::new(settings.clone()),
            ..Status::default()
        };
        let directories = PolicyDirectories::new(directories);
        let policy_set = directories.policy_set(settings, EXPIRY_DAYS, guards);
        let policy_set = match file {
            Some(path) => policy_set.with_settings_source(path.display().to_string()),
            None => policy_set,
        };
        Reloader {
            rescan: rescan.clamp(RESCAN.0, RESCAN.1),
            pause: settle.clamp(PAUSE.0, PAUSE.1),
            settling: Settling::new(settle.min(LONGEST_SETTLE)),
            rescan_at: Instant::now(),
            read_all_at: Instant::now(),
            cache: CacheEntries::default(),
            cycle: ReadCycle::new(directories, changed.clone()),
            policy_set,
            settings_file,
            watcher: SharedWatcher::new(watcher),
            changed,
            asked: Arc::new(Notify::new()),
            publisher,
            status: channel::Sender::new(status),
            on_entry: Box::new(on_entry),
            before_publish: Arc::new(|_| {}),
            after_publish: Box::new(|_| {}),
            expirations_recorded_until: now(),
            begun: false,
        }
    }

    /// Has `prepare` see each set before it is in force, where no check waits for it.
    #[must_use]
    pub fn before_publish(self, prepare: impl Fn(&Snapshot) + Send + Sync + 'static) -> Reloader {
        Reloader {
            before_publish: Arc::new(prepare),
            ..self
        }
    }

    /// Has `take` get each set once it is in force. The loop waits for `take`, so it only hands the
    /// set over.
    #[must_use]
    pub fn after_publish(self, take: impl Fn(SetInForce) + Send + Sync + 'static) -> Reloader {
        Reloader {
            after_publish: Box::new(take),
            ..self
        }
    }

    /// Returns the state of the policies, now and whenever it changes.
    pub fn status(&self) -> channel::Receiver<Status> {
        self.status.subscribe()
    }

    /// Returns a handle that asks for a reload now.
    pub fn trigger(&self) -> Trigger {
        Trigger(self.asked.clone())
    }

    /// Reads for the first time, and again whenever something may have changed, until shutdown. A
    /// reading in progress is abandoned then, since it may hang.
    pub async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.run_until_shutdown(&shutdown) => {}
        }
    }

    async fn begin(&mut self) {
        self.begun = true;
        self.read_all().await;
    }

    async fn run_until_shutdown(&mut self, shutdown: &CancellationToken) {
        if !self.begun {
            self.begin().await;
        }
        loop {
            match self.next(shutdown).await {
                Event::FilesChanged => self.settling.touch(Instant::now()),
                Event::Settled | Event::ReloadNow => self.read_all().await,
                // A change that is being written is read once it has settled, which is soon.
                Event::Rescan if self.settling.is_waiting() => self.plan_rescan(),
                Event::Rescan if Instant::now() >= self.read_all_at => self.read_all().await,
                Event::Rescan => self.read_changes().await,
                Event::Shutdown => break,
            }
        }
    }

    async fn next(&self, shutdown: &CancellationToken) -> Event {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Event::Shutdown,
            () = self.asked.notified() => Event::ReloadNow,
            () = self.settling.over() => Event::Settled,
            () = self.changed.notified() => Event::FilesChanged,
            () = sleep_until(self.rescan_at) => Event::Rescan,
        }
    }

    /// Reads everything: something happened, a reload was requested, or it is time to.
    async fn read_all(&mut self) {
        self.read_all_at = Instant::now() + READ_ALL;
        let cache = StatCache::to_read_all(std::mem::take(&mut self.cache));
        self.reload(cache).await;
    }

    async fn read_changes(&mut self) {
        let cache = StatCache::to_read_changes(std::mem::take(&mut self.cache));
        self.reload(cache).await;
    }

    /// Runs one cycle. Watches are set before the files are read, so that a change after the read
    /// is an event.
    async fn reload(&mut self, cache: StatCache) {
        self.settling.clear();
        self.watcher.rearm(self.pace()).await;
        let (policy_set, settings) = (self.policy_set.clone(), self.settings_file.clone());
        let (mut cycle, prepare) = (self.cycle.clone(), self.before_publish.clone());
        let options = CycleOptions {
            cache: Arc::new(cache),
            pause: self.pause,
        };
        let work = move || {
            let (policy_set, outcome) =
                cycle.read_and_reload(policy_set, settings.as_ref(), &options);
            if let Some(snapshot) = &outcome.snapshot {
                prepare(snapshot);
            }
            (policy_set, outcome, options.cache.take_entries(), cycle)
        };
        match background::run(self.pace(), work).await {
            Ok((policy_set, outcome, cache, cycle)) => {
                (self.cache, self.cycle) = (cache, cycle);
                let old_policy_set = std::mem::replace(&mut self.policy_set, policy_set);
                let replaced = self.publish(outcome);
                self.drop_in_background(old_policy_set, replaced).await;
            }
            Err(error) => self.note_failure(&error.to_string()),
        }
        self.record_expirations(now());
        self.plan_rescan();
    }

    /// Frees what is no longer used, which for a large set takes as long as a thousand checks.
    async fn drop_in_background(&self, policy_set: PolicySet, replaced: Option<Arc<Snapshot>>) {
        let work = move || {
            drop(policy_set);
            replaced
                .into_iter()
                .for_each(background::drop_when_unshared);
        };
        if let Err(error) = background::run(Pace::BehindChecks, work).await {
            tracing::warn!("cannot free the previous policies in the background: {error}");
        }
    }

    /// Records which grants have expired since the last call. A clock that is set back records
    /// nothing twice.
    fn record_expirations(&mut self, now: UnixNanos) {
        for (info, expires) in self
            .policy_set
            .expirations()
            .passed(self.expirations_recorded_until, now)
        {
            let end = GrantExpiredEntry::of(info, expires, now, self.policy_set.revision());
            tracing::warn!(
                rule = end.rule,
                origin = end.origin,
                owner = end.owner,
                "a grant has expired"
            );
            (self.on_entry)(Entry::GrantExpired(end.into()));
        }
        self.expirations_recorded_until = self.expirations_recorded_until.max(now);
    }

    /// Returns the pace of background work. Before a set is in force, no check can be answered by
    /// policy, so there is no reason to step back.
    fn pace(&self) -> Pace {
        if self.policy_set.is_ready() {
            Pace::BehindChecks
        } else {
            Pace::Full
        }
    }

    /// Plans the next cycle: after the usual time, or at the next expiration of a grant.
    fn plan_rescan(&mut self) {
        let next = self
            .policy_set
            .expirations()
            .after(self.expirations_recorded_until)
            .next()
            .map(|(_, end)| end.0 - now().0);
        let until =
            next.map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()));
        let usual =
            Instant::now() + until.map_or(self.rescan, |until| self.rescan.min(until + PAUSE.0));
        self.rescan_at = self
            .cycle
            .wanted()
            .map_or(usual, |wanted| usual.min(wanted.into()));
    }

    /// Publishes the set, then records it, then updates the status: a caller that reads a revision
    /// in the status gets answers of that revision. Returns what was in force before.
    fn publish(&self, outcome: ReloadOutcome) -> Option<Arc<Snapshot>> {
        let ReloadOutcome {
            snapshot,
            change,
            notices,
        } = outcome;
        let replaced = snapshot.map(|snapshot| self.publisher.publish(snapshot));
        if let (Some(_), Some(set)) = (&replaced, self.policy_set.in_force()) {
            (self.after_publish)(set);
        }
        if let Some(change) = &change {
            log(change);
            (self.on_entry)(Entry::PolicyChange(change.clone().into()));
        }
        notices.iter().for_each(log_problem);
        self.status
            .send_modify(|status| self.update_status(status, change.as_ref()));
        replaced
    }

    fn update_status(&self, status: &mut Status, change: Option<&PolicyChange>) {
        status.attempts += 1;
        status.ready = self.policy_set.is_ready();
        status.waiting = self.cycle.is_waiting();
        status.file_events = !self.watcher.misses_events();
        status.revision = self.policy_set.revision().to_string();
        status.counts = self.policy_set.counts();
        status.expirations = self.policy_set.expirations().clone();
        status.sources = self.policy_set.statuses();
        status.warnings = self.policy_set.warnings().cloned().collect();
        status.settings = self.policy_set.settings().clone();
        if let Some(change) = change {
            let published = matches!(
                change.outcome,
                ChangeOutcome::Published | ChangeOutcome::PublishedInPart
            );
            status.loaded_at = if published {
                Some(change.time)
            } else {
                status.loaded_at
            };
            status.reloads.count(change.outcome);
            status.last_problem = last_problem(change).or(status.last_problem.take());
        }
    }

    /// Reports a defect of this program, not of the policies: what is in force stays, and the next
    /// rescan tries again.
    fn note_failure(&self, error: &str) {
        let text = format!("reloading failed, the policies in force stay: {error}");
        tracing::error!("{text}");
        self.status.send_modify(|status| {
            status.attempts += 1;
            status.last_problem = Some(LastProblem { time: now(), text });
        });
    }
}

fn last_problem(change: &PolicyChange) -> Option<LastProblem> {
    if change.refused_sources.is_empty() {
        return None;
    }
    let mut errors = change.problems.iter().filter(|problem| problem.is_error());
    let text = errors.next()?.to_string();
    let text = match errors.count() {
        0 => text,
        more => format!("{text} (and {more} more)"),
    };
    Some(LastProblem {
        time: change.time,
        text,
    })
}

fn log(change: &PolicyChange) {
    let (revision, refused) = (&change.revision, change.refused_sources.join(", "));
    match change.outcome {
        ChangeOutcome::Published => {
            tracing::info!(%revision, policies = change.counts.policies, "policies published")
        }
        ChangeOutcome::Recovered => {
            tracing::info!(%revision, "every source is good again; nothing new to publish")
        }
        ChangeOutcome::Warned => {
            tracing::warn!(%revision, "the policies in force are unchanged, but their warnings changed")
        }
        ChangeOutcome::PublishedInPart => {
            tracing::error!(%revision, %refused, "policies published without the sources that were refused");
        }
        ChangeOutcome::Refused => {
            tracing::error!(%revision, %refused, "policies refused; the policies in force stay")
        }
    }
    change.problems.iter().take(LOGGED).for_each(log_problem);
    if let Some(more @ 1..) = change.problems.len().checked_sub(LOGGED) {
        tracing::warn!("{more} more problems are not logged");
    }
}

fn log_problem(problem: &Problem) {
    match problem.severity {
        Severity::Error => tracing::error!("{problem}"),
        Severity::Warning => tracing::warn!("{problem}"),
        Severity::Note => tracing::info!("{problem}"),
    }
}
