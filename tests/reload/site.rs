//! A running loop over real directories, and waiting for what it reports.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_policy::policy_change::PolicyChange;
use customs_policy::policy_set::SourceHealth;
use customs_policy::store::{self, Reader};
use customs_record::Entry;
use customs_sources::{PolicyDirectory, ReloadOptions, SettingsFile, Status, Trigger, first_load};
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Returns a policy with `hosts` denied hosts.
pub(crate) fn policy(name: &str, hosts: usize) -> String {
    let entries: String = (0..hosts)
        .map(|n| format!("  - {{name: no-{n}, hosts: [h{n}.example]}}\n"))
        .collect();
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}, namespace: istio-system}}\n\
         spec:\n  subjects: [{{namespaces: ['**']}}]\n  deny:\n{entries}"
    )
}

pub(crate) fn put(path: &Path, hosts: usize) {
    fs::write(path, policy("p", hosts)).unwrap();
}

/// Creates a directory with the policy `p`.
pub(crate) fn fill(directory: &Path, hosts: usize) {
    fs::create_dir_all(directory).unwrap();
    put(&directory.join("a.yaml"), hosts);
}

/// A running loop over directories below a temporary one.
pub(crate) struct Site {
    pub(crate) root: tempfile::TempDir,
    pub(crate) status: Receiver<Status>,
    pub(crate) reader: Reader,
    pub(crate) record: Arc<Mutex<Vec<PolicyChange>>>,
    /// The rules whose grants expired, as they were recorded.
    pub(crate) ended: Arc<Mutex<Vec<String>>>,
    pub(crate) trigger: Trigger,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// The options that tests vary.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) settle: Duration,
    pub(crate) rescan: Duration,
    pub(crate) watch: bool,
}

pub(crate) const BY_EVENTS: Pace = Pace {
    settle: Duration::from_millis(40),
    rescan: HOUR,
    watch: true,
};
pub(crate) const BY_RESCAN: Pace = Pace {
    settle: HOUR,
    rescan: Duration::from_millis(40),
    watch: false,
};

impl Site {
    pub(crate) async fn start(
        pace: Pace,
        directories: &[&str],
        prepare: impl FnOnce(&Path),
    ) -> Site {
        let root = tempfile::tempdir().unwrap();
        prepare(root.path());
        let directories = directories
            .iter()
            .map(|name| root.path().join(name))
            .collect();
        Site::start_in(root, pace, directories).await
    }

    pub(crate) async fn start_in(
        root: tempfile::TempDir,
        pace: Pace,
        directories: Vec<PathBuf>,
    ) -> Site {
        let directories = directories
            .into_iter()
            .map(PolicyDirectory::source)
            .collect();
        Site::start_with(root, pace, directories).await
    }

    pub(crate) async fn start_with(
        root: tempfile::TempDir,
        pace: Pace,
        directories: Vec<PolicyDirectory>,
    ) -> Site {
        Site::start_all(root, pace, directories, None).await
    }

    pub(crate) async fn start_all(
        root: tempfile::TempDir,
        pace: Pace,
        directories: Vec<PolicyDirectory>,
        settings_file: Option<SettingsFile>,
    ) -> Site {
        let Pace {
            settle,
            rescan,
            watch,
        } = pace;
        let settings = Settings::default();
        let (publisher, reader) = store::cell(Snapshot::unloaded(settings.clone()));
        let record: Arc<Mutex<Vec<_>>> = Arc::default();
        let ended: Arc<Mutex<Vec<String>>> = Arc::default();
        let on_change = {
            let (record, expired) = (record.clone(), ended.clone());
            move |entry| match entry {
                Entry::PolicyChange(change) => {
                    record.lock().unwrap().push(PolicyChange::clone(&change))
                }
                Entry::GrantExpired(end) => expired.lock().unwrap().push(end.rule.clone()),
                other => panic!("{other:?}"),
            }
        };
        let options = ReloadOptions {
            directories,
            settle,
            rescan,
            watch,
            guards: customs_sources::GuardChecks::Enforce,
            settings,
            settings_file,
        };
        let reloader = first_load(options, publisher, on_change).await;
        let (status, trigger) = (reloader.status(), reloader.trigger());
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(reloader.run(shutdown.clone()));
        Site {
            root,
            status,
            reader,
            record,
            ended,
            trigger,
            shutdown,
            task,
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn now(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits for a state whose snapshot is in force.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        let mut status = self.status.clone();
        let in_force =
            |status: &Status| self.reader.snapshot().revision().as_str() == status.revision;
        let wait = status.wait_for(|status| holds(status) && in_force(status));
        let found = tokio::time::timeout(LIMIT, wait)
            .await
            .map(|found| found.unwrap().clone());
        found.unwrap_or_else(|_| panic!("{what}: never; {:#?}", self.now()))
    }

    /// Waits until `hosts` hosts are denied and every source is good.
    pub(crate) async fn denies(&self, hosts: usize, what: &str) {
        self.until(what, |s| {
            s.ready && s.counts.egress_deny == hosts && s.problems().count() == 0
        })
        .await;
    }

    pub(crate) async fn state(&self, source: usize, state: SourceHealth, what: &str) -> Status {
        self.until(what, |status| status.sources[source].state == state)
            .await
    }

    pub(crate) fn outcomes(&self) -> Vec<&'static str> {
        self.record
            .lock()
            .unwrap()
            .iter()
            .map(|entry| entry.outcome.as_str())
            .collect()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(LIMIT, self.task)
            .await
            .unwrap()
            .unwrap();
    }
}
