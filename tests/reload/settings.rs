//! The settings file of a running loop, as people and tools change it. The test interprets it: its
//! text is the root namespace.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use customs_engine::settings::Settings;
use customs_policy::policy_set::{ParsedSettings, SourceHealth};
use customs_policy::problem::{Code, Place, Problem};
use customs_sources::{PolicyDirectory, SettingsFile};

use super::site::{BY_EVENTS, BY_RESCAN, Pace, Site, policy};

fn meaning(text: &str, _in_force: &Settings) -> Result<ParsedSettings, Vec<Problem>> {
    match text.trim() {
        "" => Err(vec![Problem::error(
            Code::BadSetting,
            Place::whole("settings"),
            "empty",
        )]),
        root => Ok(ParsedSettings {
            settings: Settings {
                root_namespace: root.into(),
                ..Settings::default()
            },
            warnings: vec![],
        }),
    }
}

/// Returns a policy that applies to every namespace, which is good for one root namespace only.
fn of_root(root: &str, hosts: usize) -> String {
    policy("p", hosts).replace("namespace: istio-system", &format!("namespace: {root}"))
}

async fn start(pace: Pace, prepare: impl FnOnce(&Path)) -> Site {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("p")).unwrap();
    fs::write(root.path().join("p/a.yaml"), of_root("istio-system", 1)).unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    prepare(root.path());
    let file = SettingsFile::new(root.path().join("etc/settings"), meaning);
    let directories = vec![PolicyDirectory::source(root.path().join("p"))];
    Site::start_all(root, pace, directories, Some(file)).await
}

fn write(path: &Path, text: &str) {
    fs::write(path.with_extension("next"), text).unwrap();
    fs::rename(path.with_extension("next"), path).unwrap();
}

/// Waits until the settings file is in this state and that root namespace is in force, with `hosts`
/// hosts denied.
async fn until(site: &Site, state: SourceHealth, root: &str, hosts: usize, what: &str) {
    let status = site
        .until(what, |status| {
            let file = status.sources.last().unwrap();
            file.state == state
                && status.settings.root_namespace == root
                && status.counts.egress_deny == hosts
        })
        .await;
    assert!(status.ready, "{what}");
    assert_eq!(
        site.reader.snapshot().settings().root_namespace,
        root,
        "{what}"
    );
}

async fn sees_every_change(pace: Pace) {
    let site = start(pace, |root| {
        write(&root.join("etc/settings"), "istio-system")
    })
    .await;
    until(&site, SourceHealth::Good, "istio-system", 1, "the start").await;
    write(&site.at("etc/settings"), "root");
    until(
        &site,
        SourceHealth::Refused,
        "istio-system",
        1,
        "the policy applies to every namespace",
    )
    .await;
    write(&site.at("p/a.yaml"), &of_root("root", 2));
    until(&site, SourceHealth::Good, "root", 2, "both").await;
    write(&site.at("etc/settings"), "");
    until(&site, SourceHealth::Refused, "root", 2, "a mistake").await;
    write(&site.at("p/a.yaml"), &of_root("root", 3));
    until(&site, SourceHealth::Refused, "root", 3, "policies go on").await;
    write(&site.at("etc/settings"), "root");
    until(&site, SourceHealth::Good, "root", 3, "repaired").await;
    fs::remove_file(site.at("etc/settings")).unwrap();
    until(&site, SourceHealth::Refused, "root", 3, "removed").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_events_show_new_settings() {
    sees_every_change(BY_EVENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rescan_alone_shows_new_settings() {
    sees_every_change(BY_RESCAN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_map_that_is_swapped_is_detected() {
    let mount = |root: &Path, version: usize, text: &str| {
        let etc = root.join("etc");
        let name = format!("..2026_{version}");
        fs::create_dir(etc.join(&name)).unwrap();
        fs::write(etc.join(&name).join("settings"), text).unwrap();
        symlink(&name, etc.join("..data_tmp")).unwrap();
        fs::rename(etc.join("..data_tmp"), etc.join("..data")).unwrap();
    };
    let site = start(BY_EVENTS, |root| {
        mount(root, 1, "istio-system");
        symlink("..data/settings", root.join("etc/settings")).unwrap();
    })
    .await;
    until(&site, SourceHealth::Good, "istio-system", 1, "the start").await;
    for version in 2..=3 {
        mount(
            site.root.path(),
            version,
            if version == 2 { "" } else { "istio-system" },
        );
        let state = if version == 2 {
            SourceHealth::Refused
        } else {
            SourceHealth::Good
        };
        until(&site, state, "istio-system", 1, "swapped").await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_happens_beside_the_file_causes_no_reload() {
    let site = start(BY_EVENTS, |root| {
        write(&root.join("etc/settings"), "istio-system")
    })
    .await;
    for n in 0..20 {
        fs::write(site.at(&format!("etc/audit-{n}")), "busy").unwrap();
    }
    tokio::time::sleep(super::site::MS * 300).await;
    assert_eq!(site.now().attempts, 1);
    site.stop().await;
}
