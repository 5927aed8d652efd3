//! The reload of policies and settings, and what follows from each change.

use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::decision_log::AuditedDecisionLog;
use crate::app::settings::Resolved;
use crate::app::shutdown;
use customs_audit::sinks::Reopen;
use customs_policy::store;
use customs_record::Entry;
use customs_record::clock::now;
use customs_sources::policy_archive::archiver::Archiver;
use customs_sources::{ReloadOptions, Reloader, SettingsFile, Trigger};

/// Makes the loop that reads the policies, with everything that follows from a change.
pub(super) fn reloader(
    settings: &Resolved,
    settings_file: Option<SettingsFile>,
    publisher: store::Publisher,
    log: &AuditedDecisionLog,
    entries: mpsc::UnboundedSender<Entry>,
    archiver: Option<Archiver>,
) -> Reloader {
    let options = ReloadOptions {
        directories: settings.policies.clone(),
        settle: settings.reload_settle,
        rescan: settings.reload_rescan,
        watch: true,
        guards: settings.policy_guards,
        settings: settings.engine.clone(),
        settings_file,
    };
    let (metrics, hits) = (log.metrics.clone(), log.metrics.clone());
    let reloader = Reloader::new(options, publisher, move |entry| {
        if let Entry::PolicyChange(change) = &entry {
            metrics.observe_change(change);
        }
        // The receiver lives as long as this closure; after it, nothing is left to record.
        let _ = entries.send(entry);
    });
    let reloader =
        reloader.before_publish(move |snapshot| hits.rule_hits().prepare(snapshot, now()));
    match archiver {
        Some(archiver) => reloader.after_publish(move |set| archiver.archive(set)),
        None => reloader,
    }
}

/// Reloads on change and at SIGHUP, which also reopens the files of the audit log, until stopped.
pub(super) async fn reload_until(
    reloader: Reloader,
    triggers: Vec<Trigger>,
    (hangups, reopen): (Signal, Reopen),
    stop: CancellationToken,
) {
    tokio::select! {
        () = reloader.run(stop) => {}
        () = shutdown::reload_at_hangup(hangups, &triggers, reopen) => {}
    }
}
