//! Cycles over real directories: what rests, what never does, and what hangs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::read::read_changes;
use crate::{GuardChecks, PolicyDirectory, SourceOptions};
use customs_engine::settings::Settings;
use customs_policy::policy_set::SourceHealth;

fn policy(name: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{deny: [{{name: d, hosts: [{name}.example]}}]}}\n"
    )
}

/// Creates the directories `a` and `b` with a policy each.
fn site() -> (tempfile::TempDir, ReadCycle, PolicySet) {
    let root = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(root.path().join(name)).unwrap();
        fs::write(root.path().join(name).join("p.yaml"), policy(name)).unwrap();
    }
    let directories = ["a", "b"].map(|name| PolicyDirectory::source(root.path().join(name)));
    let directories = PolicyDirectories::new(directories);
    let set = directories.policy_set(Settings::default(), 0, GuardChecks::Off);
    (root, ReadCycle::new(directories, Arc::default()), set)
}

fn id(path: &Path) -> TargetId {
    TargetId::Source(path.display().to_string().into())
}

fn options(pause: u64) -> CycleOptions {
    CycleOptions {
        cache: Arc::default(),
        pause: Duration::from_millis(pause),
    }
}

fn denies(sources: &PolicySet) -> usize {
    sources.counts().egress_deny
}

#[test]
fn a_first_round_takes_what_rests() {
    let (_root, mut cycle, sources) = site();
    let (sources, outcome) = cycle.read_and_reload(sources, None, &options(1));
    assert!(outcome.snapshot.is_some() && sources.is_ready());
    assert!(
        denies(&sources) == 2
            && sources
                .statuses()
                .iter()
                .all(|source| source.last_read_at.is_some())
    );
}

#[test]
fn a_restless_source_keeps_its_policies_is_reported_and_delays_no_other() {
    let (root, mut cycle, sources) = site();
    let (sources, _) = cycle.read_and_reload(sources, None, &options(1));
    let at = sources.statuses()[0].last_read_at;
    symlink("/proc/stat", root.path().join("a/z.yaml")).unwrap();
    fs::write(root.path().join("b/q.yaml"), policy("q")).unwrap();
    let (sources, _) = cycle.read_and_reload(sources, None, &options(15));
    assert_eq!(
        (denies(&sources), sources.statuses()[0].state),
        (3, SourceHealth::Good),
        "the other continues at once"
    );
    assert!(
        cycle
            .wanted()
            .is_some_and(|wanted| wanted <= Instant::now() + RETRY)
    );
    for (since, _) in cycle.restless.values_mut() {
        *since = Instant::now().checked_sub(DEADLINE).unwrap();
    }
    let (sources, outcome) = cycle.read_and_reload(sources, None, &options(15));
    let status = &sources.statuses()[0];
    assert_eq!((status.state, denies(&sources)), (SourceHealth::Refused, 3));
    assert!(
        status.problems[0].place.file.ends_with("a/z.yaml")
            && status.problems[0].text.contains("keeps changing")
    );
    assert!(
        status.last_read_at == at && outcome.change.is_some(),
        "it is on record, and nothing was read to the end"
    );
    let (sources, outcome) = cycle.read_and_reload(sources, None, &options(15));
    assert!(
        outcome.change.is_none() && cycle.wanted().is_none(),
        "it is reported once"
    );
    fs::remove_file(root.path().join("a/z.yaml")).unwrap();
    let (sources, outcome) = cycle.read_and_reload(sources, None, &options(1));
    assert_eq!(outcome.change.unwrap().outcome.as_str(), "recovered");
    assert!(sources.statuses()[0].last_read_at > at);
}

#[test]
fn a_source_that_hangs_long_is_reported_and_read_when_it_ends() {
    let (root, mut cycle, sources) = site();
    let (sources, _) = cycle.read_and_reload(sources, None, &options(1));
    let path = root.path().join("a");
    let progress = Arc::new(Progress::default());
    progress.at(&path.join("k.yaml"));
    let left = AbandonedRead {
        slot: Arc::default(),
        progress,
        reported: None,
    };
    cycle.left.insert(id(&path), left);
    fs::write(path.join("n.yaml"), policy("n")).unwrap();
    fs::write(root.path().join("b/q.yaml"), policy("q")).unwrap();
    let (sources, _) = cycle.read_and_reload(sources, None, &options(1));
    assert_eq!(
        (denies(&sources), sources.statuses()[0].state),
        (3, SourceHealth::Good),
        "the other continues at once"
    );
    assert!(cycle.is_waiting() && cycle.wanted().is_some());
    cycle.left[&id(&path)]
        .progress
        .pretend_since(Instant::now().checked_sub(DEADLINE).unwrap());
    let (sources, _) = cycle.read_and_reload(sources, None, &options(1));
    let status = &sources.statuses()[0];
    assert_eq!((status.state, denies(&sources)), (SourceHealth::Refused, 3));
    assert!(
        status.problems[0].text.contains("k.yaml` does not finish"),
        "{}",
        status.problems[0]
    );
    let read = read_changes(
        &path,
        &SourceOptions::default(),
        &StatCache::default(),
        &Progress::default(),
    );
    *cycle.left[&id(&path)].slot.lock().unwrap() =
        Some(LateContent(Content::Directory(read), None));
    let (sources, _) = cycle.read_and_reload(sources, None, &options(1));
    assert_eq!(
        (denies(&sources), sources.statuses()[0].state),
        (4, SourceHealth::Good)
    );
    assert!(!cycle.is_waiting());
}

#[test]
fn a_source_that_hangs_at_the_start_denies_all_and_is_reported_at_once() {
    let (root, mut cycle, sources) = site();
    let left = AbandonedRead {
        slot: Arc::default(),
        progress: Arc::default(),
        reported: None,
    };
    cycle.left.insert(id(&root.path().join("a")), left);
    let (sources, outcome) = cycle.read_and_reload(sources, None, &options(1));
    assert!(
        outcome.snapshot.is_none() && !sources.is_ready(),
        "what was never read could hold denials"
    );
    let states: Vec<_> = sources
        .statuses()
        .iter()
        .map(|source| source.state)
        .collect();
    assert_eq!(states, [SourceHealth::NeverLoaded, SourceHealth::Good]);
}

#[test]
fn a_read_counts_only_when_it_repeats() {
    let (root, mut cycle, sources) = site();
    let path = root.path().join("a/p.yaml");
    let writer = std::thread::spawn({
        let path = path.clone();
        move || {
            std::thread::sleep(Duration::from_millis(60));
            fs::write(path, policy("later")).unwrap();
        }
    });
    let (sources, _) = cycle.read_and_reload(sources, None, &options(200));
    writer.join().unwrap();
    let found: Vec<_> = sources
        .loaded_sources()
        .flat_map(|source| source.source().files)
        .collect();
    assert_eq!(found[0].bytes.as_ref(), policy("later").as_bytes());
}

#[test]
fn a_slow_reading_that_progresses_is_not_reported_as_hanging() {
    let (root, mut cycle, sources) = site();
    let (sources, _) = cycle.read_and_reload(sources, None, &options(1));
    let (path, progress) = (root.path().join("a"), Arc::new(Progress::default()));
    progress.pretend_since(Instant::now().checked_sub(DEADLINE * 3).unwrap());
    progress.at(&path.join("next.yaml"));
    cycle.left.insert(
        id(&path),
        AbandonedRead {
            slot: Arc::default(),
            progress: progress.clone(),
            reported: None,
        },
    );
    let (sources, outcome) = cycle.read_and_reload(sources, None, &options(1));
    assert!(outcome.change.is_none() && sources.statuses()[0].state == SourceHealth::Good);
    assert!(cycle.wanted().unwrap() > Instant::now());
    progress.pretend_since(Instant::now().checked_sub(DEADLINE).unwrap());
    let (sources, _) = cycle.read_and_reload(sources, None, &options(1));
    assert_eq!(sources.statuses()[0].state, SourceHealth::Refused);
}

#[test]
fn a_removed_source_is_not_waited_for() {
    let (root, mut cycle, sources) = site();
    let gone = root.path().join("gone");
    cycle.restless.insert(id(&gone), (Instant::now(), None));
    cycle.left.insert(
        id(&gone),
        AbandonedRead {
            slot: Arc::default(),
            progress: Arc::default(),
            reported: None,
        },
    );
    assert!(cycle.wanted().is_some() && cycle.is_waiting());
    cycle.read_and_reload(sources, None, &options(1));
    assert!(cycle.wanted().is_none() && !cycle.is_waiting());
}

#[test]
fn a_source_that_did_not_rest_and_then_hangs_is_read_again_no_sooner() {
    let (root, mut cycle, sources) = site();
    let (sources, _) = cycle.read_and_reload(sources, None, &options(1));
    let path = root.path().join("a");
    cycle.restless.insert(id(&path), (Instant::now(), None));
    cycle.left.insert(
        id(&path),
        AbandonedRead {
            slot: Arc::default(),
            progress: Arc::default(),
            reported: None,
        },
    );
    cycle.read_and_reload(sources, None, &options(1));
    assert!(cycle.restless.is_empty());
}
