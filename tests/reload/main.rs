//! Changes of policy files as people and tools make them, on real directories, through the public
//! loop.
//!
//! The rescan is an hour away unless a test is about it, so changes are detected by file events;
//! every wait is bounded. The number of denied hosts shows which content is in force.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod namespaces;
mod refused;
mod settings;
mod site;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use customs_policy::policy_set::SourceHealth;
use customs_test_support::audited_server::size;

use refused::{bad_file, no_bad_file};
use site::{BY_EVENTS, BY_RESCAN, HOUR, LIMIT, MS, Pace, Site, fill, policy, put};

fn config_map(directory: &Path, version: usize) {
    let name = format!("..2026_{version}");
    fill(&directory.join(&name), version);
    symlink(&name, directory.join("..data_tmp")).unwrap();
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    let link = directory.join("a.yaml");
    if !link.is_symlink() {
        symlink("..data/a.yaml", link).unwrap();
    }
    if version > 1 {
        fs::remove_dir_all(directory.join(format!("..2026_{}", version - 1))).unwrap();
    }
}

/// Retargets a symlink as git-sync does.
fn retarget(link: &Path, target: &str) {
    let next = link.with_extension("next");
    symlink(target, &next).unwrap();
    fs::rename(next, link).unwrap();
}

/// How one denied host becomes three: the name, the content before, and the change.
type Way = (&'static str, fn(&Path), fn(&Path));

const WAYS: &[Way] = &[
    (
        "overwritten in place",
        |r| fill(&r.join("p"), 1),
        |r| put(&r.join("p/a.yaml"), 3),
    ),
    (
        "renamed over",
        |r| fill(&r.join("p"), 1),
        |r| {
            put(&r.join("p/.a.tmp"), 3);
            fs::rename(r.join("p/.a.tmp"), r.join("p/a.yaml")).unwrap();
        },
    ),
    (
        "saved with a backup",
        |r| fill(&r.join("p"), 1),
        |r| {
            fs::rename(r.join("p/a.yaml"), r.join("p/a.yaml~")).unwrap();
            put(&r.join("p/a.yaml"), 3);
            fs::remove_file(r.join("p/a.yaml~")).unwrap();
        },
    ),
    (
        "deleted and created",
        |r| fill(&r.join("p"), 1),
        |r| {
            fs::remove_file(r.join("p/a.yaml")).unwrap();
            put(&r.join("p/a.yaml"), 3);
        },
    ),
    (
        "a file added",
        |r| fill(&r.join("p"), 1),
        |r| fs::write(r.join("p/b.yml"), policy("q", 2)).unwrap(),
    ),
    (
        "a file deleted",
        |r| {
            fill(&r.join("p"), 3);
            fs::write(r.join("p/b.yaml"), policy("q", 1)).unwrap()
        },
        |r| fs::remove_file(r.join("p/b.yaml")).unwrap(),
    ),
    (
        "a mounted map swapped",
        |r| {
            fs::create_dir(r.join("p")).unwrap();
            config_map(&r.join("p"), 1)
        },
        |r| {
            (2..=3).for_each(|version| config_map(&r.join("p"), version));
        },
    ),
    (
        "the directory deleted and made again",
        |r| fill(&r.join("p"), 1),
        |r| {
            fs::remove_dir_all(r.join("p")).unwrap();
            fill(&r.join("p"), 3);
        },
    ),
    (
        "the directory moved away and replaced",
        |r| fill(&r.join("p"), 1),
        |r| {
            fs::rename(r.join("p"), r.join("old")).unwrap();
            fill(&r.join("p"), 3);
        },
    ),
    (
        "the directory replaced by a move",
        |r| {
            fill(&r.join("p"), 1);
            fill(&r.join("new"), 3)
        },
        |r| {
            fs::rename(r.join("p"), r.join("old")).unwrap();
            fs::rename(r.join("new"), r.join("p")).unwrap();
        },
    ),
    (
        "the directory is a retargeted symlink",
        |r| {
            fill(&r.join("1"), 1);
            fill(&r.join("2"), 3);
            symlink("1", r.join("p")).unwrap()
        },
        |r| retarget(&r.join("p"), "2"),
    ),
];

/// Makes each change, then a plain one, which shows that the new content is watched.
async fn sees_every_way(pace: Pace) {
    for (way, before, change) in WAYS {
        let site = Site::start(pace, &["p"], before).await;
        let first = site.now();
        assert!(first.ready, "{way}: {first:#?}");
        change(site.root.path());
        site.denies(3, way).await;
        put(&site.at("p/.next"), 5);
        fs::rename(site.at("p/.next"), site.at("p/a.yaml")).unwrap();
        site.until(way, |status| status.counts.egress_deny >= 5)
            .await;
        site.stop().await;
    }
    println!("{} ways of changing a directory, each seen", WAYS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn file_events_show_every_way_of_changing() {
    sees_every_way(BY_EVENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rescan_alone_shows_every_way_of_changing() {
    sees_every_way(BY_RESCAN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_swap_of_a_mounted_map_is_detected() {
    let swaps = usize::try_from(size("CUSTOMS_RELOAD_SWAPS", 5)).unwrap();
    let prepare = |root: &Path| {
        fs::create_dir(root.join("p")).unwrap();
        config_map(&root.join("p"), 1)
    };
    let site = Site::start(BY_EVENTS, &["p"], prepare).await;
    let mut latest = Duration::ZERO;
    for version in 2..swaps + 2 {
        config_map(&site.at("p"), version);
        let begun = Instant::now();
        site.denies(version, "swap").await;
        latest = latest.max(begun.elapsed());
    }
    assert_eq!(site.outcomes().len(), swaps + 1);
    println!("{swaps} swaps of a mounted map, 0 missed, the slowest in force after {latest:?}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symlink_on_the_way_is_watched() {
    let prepare = |root: &Path| {
        (1..=3).for_each(|n| fill(&root.join(format!("trees/{n}/p")), n));
        symlink("trees/1", root.join("current")).unwrap();
    };
    let site = Site::start(BY_EVENTS, &["current/p"], prepare).await;
    for n in 2..=3 {
        retarget(&site.at("current"), &format!("trees/{n}"));
        site.denies(n, "retargeted").await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relative_path_has_a_parent_too() {
    let root = tempfile::tempdir().unwrap();
    fill(&root.path().join("p"), 1);
    let up: PathBuf = std::env::current_dir()
        .unwrap()
        .components()
        .skip(1)
        .map(|_| "..")
        .collect();
    let relative = up.join(root.path().strip_prefix("/").unwrap()).join("./p/");
    let site = Site::start_in(root, BY_EVENTS, vec![relative]).await;
    fs::rename(site.at("p"), site.at("old")).unwrap();
    fill(&site.at("p"), 2);
    site.denies(2, "replaced").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_file_that_is_valid_is_never_published() {
    let pace = Pace {
        settle: 1000 * MS,
        ..BY_EVENTS
    };
    let site = Site::start(pace, &["p"], |root| fill(&root.join("p"), 4)).await;
    let (half, whole) = (policy("p", 2), policy("p", 6));
    assert!(whole.starts_with(&half));
    fs::write(site.at("p/a.yaml"), &half).unwrap();
    sleep(100 * MS);
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(site.at("p/a.yaml"))
        .unwrap();
    std::io::Write::write_all(&mut file, &whole.as_bytes()[half.len()..]).unwrap();
    drop(file);
    site.denies(6, "the whole file").await;
    assert_eq!(site.outcomes(), ["published", "published"]);
    site.stop().await;
}

/// Writes a file in place in small pieces, as an editor over a slow network does. Each beginning of
/// it that ends with a line is a valid file.
#[tokio::test(flavor = "multi_thread")]
async fn no_beginning_of_a_file_that_is_written_in_pieces_is_published() {
    const PIECE: usize = 512;
    let site = Site::start(BY_EVENTS, &["p"], |root| fill(&root.join("p"), 1)).await;
    let whole = policy("p", 1_700);
    assert!(whole.len() >= 64 << 10, "{}", whole.len());
    let mut file = fs::File::create(site.at("p/a.yaml")).unwrap();
    let pieces = whole.as_bytes().chunks(PIECE);
    let written = pieces.len();
    for piece in pieces {
        std::io::Write::write_all(&mut file, piece).unwrap();
        sleep(10 * MS);
        let denied = site.reader.snapshot().counts().egress_deny;
        assert!(
            [1, 1_700].contains(&denied),
            "{denied} of 1,700 are in force"
        );
    }
    site.denies(1_700, "the whole file").await;
    println!(
        "a file of {written} pieces: no set but the first and the last, {:?}",
        site.outcomes()
    );
    site.stop().await;
}

fn two_sources(root: &Path) {
    fill(&root.join("p"), 1);
    fs::create_dir(root.join("q")).unwrap();
    fs::write(root.join("q/b.yaml"), policy("q", 1)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_source_does_not_hold_up_the_other() {
    let site = Site::start(BY_EVENTS, &["p", "q"], two_sources).await;
    bad_file(&site.at("q"), b"kind: [");
    site.state(1, SourceHealth::Refused, "q broken").await;
    put(&site.at("p/a.yaml"), 4);
    let status = site
        .until("p is still read", |status| status.counts.egress_deny == 5)
        .await;
    assert_eq!(status.sources[0].state, SourceHealth::Good);
    assert_eq!(
        status.sources[1].problems[0].place.file.as_ref(),
        site.at("q/bad.yaml").display().to_string()
    );
    no_bad_file(&site.at("q"));
    site.state(1, SourceHealth::Good, "q repaired").await;
    assert_eq!(
        site.outcomes(),
        ["published", "refused", "published_in_part", "recovered"]
    );
    let record = site.record.lock().unwrap().clone();
    assert_eq!(
        record[2].refused_sources,
        [site.at("q").display().to_string()]
    );
    assert_eq!(record[2].previous_revision, record[0].revision);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_breaks_another_source_is_refused_and_names_it() {
    let set = |name: &str| {
        let head = "apiVersion: egress.customs/v1alpha1\nkind: DestinationSet\nmetadata";
        format!("{head}: {{name: {name}, namespace: istio-system}}\nspec: {{hosts: [a.example]}}\n")
    };
    let needs = policy("q", 1).replace("hosts: [h0.example]", "destinations: [shop]");
    let site = Site::start(BY_EVENTS, &["p", "q"], |root| {
        two_sources(root);
        fs::write(root.join("p/set.yaml"), set("shop")).unwrap();
        fs::write(root.join("q/b.yaml"), needs).unwrap();
    })
    .await;
    fs::write(site.at("p/set.yaml"), set("stall")).unwrap();
    let status = site
        .state(0, SourceHealth::Refused, "the set renamed")
        .await;
    assert_eq!(status.sources[1].state, SourceHealth::Good);
    assert!(
        status.sources[0].problems[0]
            .text
            .contains(&format!("would break `{}`", site.at("q").display()))
    );
    fs::write(site.at("q/b.yaml"), policy("q", 2)).unwrap();
    site.denies(3, "nothing needs the set any more").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_appears_later_is_loaded() {
    let site = Site::start(BY_EVENTS, &["p", "q"], |root| fill(&root.join("p"), 1)).await;
    let status = site.now();
    assert!(!status.ready && !site.reader.snapshot().is_loaded());
    assert_eq!(
        (status.revision.as_str(), status.sources[1].state),
        ("none", SourceHealth::NeverLoaded)
    );
    assert!(status.sources.iter().all(|source| source.files.is_empty()));
    two_sources(site.root.path());
    site.denies(2, "both are there").await;
    assert_eq!(site.outcomes(), ["refused", "published"]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_is_asked_for_does_not_wait() {
    let pace = Pace {
        settle: HOUR,
        ..BY_EVENTS
    };
    let site = Site::start(pace, &["p"], |root| fill(&root.join("p"), 1)).await;
    put(&site.at("p/a.yaml"), 2);
    site.trigger.reload_now();
    site.denies(2, "asked").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_settle_time_still_loses_no_change() {
    let pace = Pace {
        settle: Duration::ZERO,
        ..BY_EVENTS
    };
    let site = Site::start(pace, &["p"], |root| fill(&root.join("p"), 1)).await;
    for round in 0..200 {
        put(&site.at("p/.next"), 1 + round % 2);
        fs::rename(site.at("p/.next"), site.at("p/a.yaml")).unwrap();
        site.denies(1 + round % 2, "no settle time").await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn constant_writing_does_not_put_a_reload_off() {
    let pace = Pace {
        settle: 100 * MS,
        ..BY_EVENTS
    };
    let site = Site::start(pace, &["p"], |root| fill(&root.join("p"), 1)).await;
    put(&site.at("p/a.yaml"), 2);
    let start = Instant::now();
    while site.now().counts.egress_deny != 2 {
        assert!(start.elapsed() < LIMIT, "never");
        fs::write(site.at("p/scratch.tmp"), "x").unwrap();
        tokio::time::sleep(20 * MS).await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_reading_nor_a_busy_parent_causes_a_reload() {
    let site = Site::start(BY_EVENTS, &["p"], |root| fill(&root.join("p"), 1)).await;
    for n in 0..20 {
        fs::write(site.at(&format!("{n}.yaml")), "busy").unwrap();
        fs::read(site.at("p/a.yaml")).unwrap();
    }
    tokio::time::sleep(300 * MS).await;
    assert_eq!(site.now().attempts, 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_is_reported_once() {
    for (content, expected) in [
        (policy("p", 1), "published"),
        ("kind: [".to_owned(), "refused"),
    ] {
        let site = Site::start(BY_RESCAN, &["p"], |root| {
            fs::create_dir(root.join("p")).unwrap();
            fs::write(root.join("p/a.yaml"), content).unwrap();
        })
        .await;
        site.until("ten rescans", |status| status.attempts > 10)
            .await;
        assert_eq!(site.outcomes(), [expected]);
        site.stop().await;
    }
}

/// The expirations are in the past at the start, soon, and far away.
#[tokio::test]
async fn an_expired_grant_is_recorded_once() {
    let in_seconds = |seconds: i64| {
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        format!(
            "{{name: in-{}, hosts: [a.example], expires: '{end}'}}",
            seconds.unsigned_abs()
        )
    };
    let entries = [-60, 2, 3_600].map(in_seconds).join(", ");
    let text = format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: p, namespace: web}}\n\
         spec: {{allow: [{entries}]}}\n"
    );
    // A rescan is an hour away: the test waits for the expiration itself.
    let site = Site::start(BY_EVENTS, &["p"], |root| {
        fill(&root.join("p"), 1);
        fs::write(root.join("p/b.yaml"), &text).unwrap();
    })
    .await;
    let recorded = || site.ended.lock().unwrap().clone();
    assert!(recorded().is_empty(), "{:?}", recorded());
    let limit = Instant::now() + LIMIT;
    while recorded().is_empty() && Instant::now() < limit {
        tokio::time::sleep(10 * MS).await;
    }
    tokio::time::sleep(300 * MS).await;
    assert_eq!(recorded(), ["ep:web/p#in-2"]);
    assert_eq!(
        site.record.lock().unwrap().len(),
        1,
        "an expiration is not a change of the policies"
    );
    site.stop().await;
}
