//! What the archive holds after a revision was added, and after somebody changed the archive.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use super::archiver;
use super::writer::ArchiveWriter;
use super::*;
use crate::{PolicyDirectories, PolicyDirectory, read_once};
use customs_engine::settings::{DefaultEffect, Settings};
use customs_policy::policy_set::SetInForce;
use customs_record::clock::now;
use std::time::{Duration, Instant};

const SHOP: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
    metadata: {name: own, namespace: shop}\nspec: {deny: [{name: d, hosts: [a.example]}]}\n";

/// The digest of `SHOP`.
fn digest(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text))
}

/// Returns what is in force with these files.
fn in_force(files: &[(&str, &str)], settings: Settings) -> SetInForce {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(root.path().join(name), text).unwrap();
    }
    let directories = PolicyDirectories::new([PolicyDirectory::source(root.path().to_owned())]);
    let set = directories.policy_set(settings, 0, crate::GuardChecks::Off);
    let (set, outcome) = read_once(&directories, set, now());
    assert!(outcome.snapshot.is_some(), "{outcome:?}");
    set.in_force().unwrap()
}

fn shop() -> SetInForce {
    in_force(
        &[("a.yaml", SHOP), ("b.yaml", &SHOP.replace("own", "more"))],
        Settings::default(),
    )
}

/// An archive with one revision.
fn archive(set: &SetInForce) -> (tempfile::TempDir, PolicyArchive) {
    let root = tempfile::tempdir().unwrap();
    let archive = PolicyArchive::new(root.path().join("deep/archive"));
    let mut writer = ArchiveWriter::new(archive.clone());
    assert!(writer.add(set).unwrap().is_empty(), "nothing was damaged");
    (root, archive)
}

fn names(directory: PathBuf) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_revision_is_loaded_as_it_was_in_force() {
    let deny = Settings {
        default_effect: DefaultEffect::Deny,
        ..Settings::default()
    };
    let (first, second) = (shop(), in_force(&[("a.yaml", SHOP)], deny.clone()));
    let (_root, archive) = archive(&first);
    ArchiveWriter::new(archive.clone()).add(&second).unwrap();
    for (set, settings) in [(&first, &Settings::default()), (&second, &deny)] {
        let loaded = archive.load(set.revision.as_str()).unwrap();
        assert_eq!(loaded.snapshot.revision(), &set.revision);
        assert_eq!(loaded.snapshot.settings(), settings);
        assert_eq!(loaded.manifest.sources[0].name, set.sources[0].name());
    }
    assert_eq!(
        names(archive.objects_directory()).len(),
        2,
        "a file that both have is kept once"
    );
    let mut both = [&first, &second].map(|set| set.revision.to_string());
    both.sort();
    assert_eq!(archive.revisions().unwrap(), both);
}

#[test]
fn what_was_changed_in_the_archive_is_named() {
    let set = shop();
    let revision = set.revision.to_string();
    let object = |archive: &PolicyArchive| archive.object_path(&digest(SHOP));
    let manifest = |archive: &PolicyArchive| archive.manifest_path(&set.revision.to_string());
    type Change<'c> = Box<dyn Fn(&PolicyArchive) + 'c>;
    let edit = |path: PathBuf, from: &str, to: &str| {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    };
    let cases: Vec<(Change<'_>, &str)> = vec![
        (
            Box::new(|a| edit(object(a), "a.example", "b.example")),
            "is damaged: its bytes have the SHA-256",
        ),
        (
            Box::new(|a| edit(object(a), "kind", "kinder")),
            "is damaged: its bytes have the SHA-256 of more than",
        ),
        (
            Box::new(|a| fs::write(object(a), "").unwrap()),
            "is damaged",
        ),
        (
            Box::new(|a| fs::remove_file(object(a)).unwrap()),
            "is missing: it holds the policy file `a.yaml`",
        ),
        (
            Box::new(|a| {
                fs::remove_file(object(a)).unwrap();
                fs::create_dir(object(a)).unwrap()
            }),
            "a directory, not a regular file",
        ),
        (
            Box::new(|a| {
                fs::remove_file(object(a)).unwrap();
                symlink("/dev/zero", object(a)).unwrap()
            }),
            "not a regular file",
        ),
        (
            Box::new(|a| edit(manifest(a), "default=Allow", "default=Deny")),
            "it was changed",
        ),
        (
            Box::new(|a| edit(manifest(a), "\"a.yaml\"", "\"c.yaml\"")),
            "it was changed",
        ),
        (
            Box::new(|a| {
                edit(
                    manifest(a),
                    "\"default\": \"allow\"",
                    "\"default\": \"deny\"",
                )
            }),
            "its part `settings` is not what",
        ),
        (
            Box::new(|a| fs::write(manifest(a), "{").unwrap()),
            "it is not a manifest",
        ),
        (
            Box::new(|a| fs::remove_file(manifest(a)).unwrap()),
            "does not have the revision",
        ),
        (
            Box::new(|a| fs::remove_dir_all(a.root()).unwrap()),
            "is not a policy archive",
        ),
    ];
    for (change, expected) in cases {
        let (_root, archive) = archive(&set);
        change(&archive);
        let why = archive.load(&revision).unwrap_err().to_string();
        assert!(why.contains(expected), "{expected}: {why}");
        // A server that has the revision in force repairs what is not in its way.
        match ArchiveWriter::new(archive.clone()).add(&set) {
            Ok(_) => drop(archive.load(&revision).unwrap()),
            Err(why) => assert!(object(&archive).is_dir(), "{why}"),
        }
    }
}

#[test]
fn the_manifest_of_one_revision_under_the_name_of_another_is_named() {
    let (one, other) = (shop(), in_force(&[("a.yaml", SHOP)], Settings::default()));
    let (_root, archive) = archive(&one);
    ArchiveWriter::new(archive.clone()).add(&other).unwrap();
    let path = |set: &SetInForce| archive.manifest_path(set.revision.as_str());
    fs::copy(path(&other), path(&one)).unwrap();
    let why = archive.load(one.revision.as_str()).unwrap_err();
    assert!(
        matches!(&why, PolicyArchiveError::OtherManifest { revision, .. } if *revision == other.revision.to_string()),
        "{why}"
    );
}

#[test]
fn foreign_files_are_passed_over_and_old_parts_are_removed() {
    let set = shop();
    let (_root, archive) = archive(&set);
    let revisions = archive.revisions_directory();
    let at = |name: &str| revisions.join(name);
    for name in ["README", "x.json", ".old.part", ".new.part", "old.part"] {
        fs::write(at(name), "").unwrap();
    }
    let old = Command::new("touch")
        .args(["-d", "2 hours ago"])
        .args([at(".old.part"), at("old.part")])
        .status();
    assert!(old.unwrap().success());
    assert_eq!(archive.revisions().unwrap(), [set.revision.to_string()]);
    ArchiveWriter::new(archive.clone()).add(&set).unwrap();
    let left = names(revisions);
    let expected = [".new.part", "README", "old.part", "x.json"].map(str::to_owned);
    assert!(expected.iter().all(|name| left.contains(name)), "{left:?}");
    assert!(!left.contains(&".old.part".to_owned()), "{left:?}");
}

#[test]
fn a_name_that_is_no_revision_is_not_a_path() {
    let (_root, archive) = archive(&shop());
    for name in ["none", "", "../objects", "0f1e2d3c4b5a69788796a5b4c3d2e1F0"] {
        let why = archive.load(name).unwrap_err();
        assert!(
            matches!(why, PolicyArchiveError::UnknownRevision { .. }),
            "{name}: {why}"
        );
    }
}

/// Waits until the state is as wanted.
fn wait(
    status: &archiver::ArchiverStatus,
    is_wanted: impl Fn(&archiver::ArchiverReading) -> bool,
) -> archiver::ArchiverReading {
    let start = Instant::now();
    loop {
        let reading = status.reading();
        if is_wanted(&reading) {
            return reading;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{reading:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_archive_that_cannot_be_written_is_tried_again_and_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    // A file is in the way, which also root cannot write into.
    let path = root.path().join("archive");
    fs::write(&path, "").unwrap();
    let archive = PolicyArchive::new(path.clone());
    let archiver = archiver::start(archive.clone()).unwrap();
    let status = archiver.status();
    let (one, other) = (shop(), in_force(&[("a.yaml", SHOP)], Settings::default()));
    archiver.archive(one.clone());
    archiver.archive(other.clone());
    let reading = wait(&status, |reading| reading.failures > 0);
    assert_eq!((reading.waiting, reading.archived), (2, None));
    let problem = reading.problem.unwrap();
    assert!(
        problem.contains("archive") && problem.contains("cannot be written"),
        "{problem}"
    );
    fs::remove_file(&path).unwrap();
    drop(archiver);
    let reading = status.wait_blocking(Duration::from_secs(20));
    assert_eq!((reading.waiting, reading.problem), (0, None));
    assert_eq!(reading.archived, Some(other.revision.to_string()));
    archive.load(one.revision.as_str()).unwrap();
    archive.load(other.revision.as_str()).unwrap();
}

#[test]
fn several_processes_may_share_an_archive() {
    let root = tempfile::tempdir().unwrap();
    let archive = PolicyArchive::new(root.path());
    let sets: Vec<SetInForce> = (0..8)
        .map(|n| {
            let text = SHOP.replace("a.example", &format!("a{}.example", n % 3));
            in_force(&[("a.yaml", &text)], Settings::default())
        })
        .collect();
    std::thread::scope(|scope| {
        for set in &sets {
            let archive = archive.clone();
            scope.spawn(move || ArchiveWriter::new(archive).add(set).unwrap());
        }
    });
    for set in &sets {
        archive.load(set.revision.as_str()).unwrap();
    }
    assert_eq!(archive.revisions().unwrap().len(), 3);
    assert_eq!(names(archive.objects_directory()).len(), 3);
    let mode = fs::metadata(archive.object_path(&names(archive.objects_directory())[0]));
    assert_eq!(mode.unwrap().permissions().mode() & 0o777, 0o640);
}
