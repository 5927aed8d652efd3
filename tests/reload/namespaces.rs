//! A directory of namespaces: its directories appear, break, vanish and come back while the loop
//! runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use customs_policy::policy_set::SourceHealth;
use customs_sources::{PolicyDirectory, Status};

use super::site::{BY_EVENTS, BY_RESCAN, Pace, Site, fill};

fn team(namespace: &str, hosts: usize) -> String {
    super::policy(namespace, hosts)
        .replace(
            "namespace: istio-system",
            &format!("namespace: {namespace}"),
        )
        .replace("  subjects: [{namespaces: ['**']}]\n", "")
}

fn put(directory: &Path, hosts: usize) {
    let namespace = directory.file_name().unwrap().to_str().unwrap();
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join(".next"), team(namespace, hosts)).unwrap();
    fs::rename(directory.join(".next"), directory.join("a.yaml")).unwrap();
}

/// Starts with the source `root` with one denied host, and `teams`.
async fn start(pace: Pace) -> Site {
    let root = tempfile::tempdir().unwrap();
    fill(&root.path().join("root"), 1);
    put(&root.path().join("teams/shop"), 1);
    let directories = vec![
        PolicyDirectory::source(root.path().join("root")),
        PolicyDirectory::namespaces(root.path().join("teams")),
    ];
    Site::start_with(root, pace, directories).await
}

fn state(status: &Status, name: &str) -> Option<SourceHealth> {
    status
        .sources
        .iter()
        .find(|source| source.name.ends_with(name))
        .map(|source| source.state)
}

async fn goes_through_its_life(pace: Pace) {
    let site = start(pace).await;
    site.denies(2, "root and shop").await;

    put(&site.at("teams/batch"), 3);
    site.denies(5, "a new directory").await;
    put(&site.at("teams/batch"), 4);
    site.denies(6, "a change in it").await;

    fs::create_dir(site.at("aside")).unwrap();
    fs::write(site.at("aside/a.yaml"), "kind: [").unwrap();
    fs::rename(site.at("aside"), site.at("teams/late")).unwrap();
    let broken = site
        .until("a new one that is broken", |s| {
            state(s, "teams/late") == Some(SourceHealth::NeverLoaded)
        })
        .await;
    let isolates = |site: &Site| {
        let snapshot = site.reader.snapshot();
        snapshot
            .rules()
            .egress_policies
            .iter()
            .any(|p| p.info.id.to_string() == "builtin#namespace_unloaded")
    };
    assert!(broken.counts.egress_deny == 6 && isolates(&site));
    put(&site.at("teams/late"), 1);
    site.denies(7, "repaired").await;
    assert!(!isolates(&site));

    fs::rename(site.at("teams/batch"), site.at("batch")).unwrap();
    let gone = site
        .until("one that is gone", |s| {
            state(s, "teams/batch") == Some(SourceHealth::Refused)
        })
        .await;
    assert_eq!(gone.counts.egress_deny, 7, "its last good content stays");
    fs::rename(site.at("batch"), site.at("teams/batch")).unwrap();
    put(&site.at("teams/batch"), 5);
    site.denies(8, "back again").await;

    fs::write(site.at("teams/stray.yaml"), team("shop", 1)).unwrap();
    site.until("a stray file", |s| {
        state(s, "teams") == Some(SourceHealth::Refused)
    })
    .await;
    fs::remove_file(site.at("teams/stray.yaml")).unwrap();
    site.denies(8, "no stray file").await;

    put(&site.at("trees/linked"), 1);
    symlink("../trees/linked", site.at("teams/linked")).unwrap();
    site.denies(9, "a symlink to a directory").await;
    put(&site.at("trees/linked"), 2);
    site.denies(10, "a change behind it").await;

    fs::rename(site.at("teams"), site.at("all")).unwrap();
    let gone = site
        .until("all of them gone", |s| {
            state(s, "teams") == Some(SourceHealth::Refused)
        })
        .await;
    assert_eq!((gone.ready, gone.counts.egress_deny), (true, 10));
    fs::rename(site.at("all"), site.at("teams")).unwrap();
    site.denies(10, "all of them back").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_events_show_the_life_of_a_namespace() {
    goes_through_its_life(BY_EVENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rescan_alone_shows_the_life_of_a_namespace() {
    goes_through_its_life(BY_RESCAN).await;
}
