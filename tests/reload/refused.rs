//! Harm done to a good directory: the last good set stays in force, the problem is reported with
//! its code, and the repair is seen.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use customs_policy::policy_set::SourceHealth;
use customs_policy::problem::Code;

use crate::site::{BY_EVENTS, Site, fill, policy, put};

/// Harm done to a good directory: the name, the deed, how it is undone, the code, and the state.
type Harm = (&'static str, fn(&Path), fn(&Path), Code, SourceHealth);

pub(crate) fn bad_file(directory: &Path, bytes: &[u8]) {
    fs::write(directory.join("bad.yaml"), bytes).unwrap();
}

pub(crate) fn no_bad_file(directory: &Path) {
    fs::remove_file(directory.join("bad.yaml")).unwrap();
}

fn fifo(directory: &Path) {
    let made = std::process::Command::new("mkfifo")
        .arg(directory.join("bad.yaml"))
        .status()
        .unwrap();
    assert!(made.success());
}

fn aside(directory: &Path) -> PathBuf {
    directory.with_extension("aside")
}

fn back(directory: &Path) {
    fs::rename(aside(directory), directory).unwrap();
}

const HARMS: &[Harm] = &[
    (
        "syntax",
        |d| bad_file(d, b"kind: ["),
        no_bad_file,
        Code::YamlSyntax,
        SourceHealth::Refused,
    ),
    (
        "not UTF-8",
        |d| bad_file(d, b"kind: \xff"),
        no_bad_file,
        Code::YamlSyntax,
        SourceHealth::Refused,
    ),
    (
        "unknown kind",
        |d| bad_file(d, b"apiVersion: egress.customs/v1alpha1\nkind: Pod\n"),
        no_bad_file,
        Code::UnknownKind,
        SourceHealth::Refused,
    ),
    (
        "the same policy twice",
        |d| bad_file(d, policy("p", 1).as_bytes()),
        no_bad_file,
        Code::Duplicate,
        SourceHealth::Refused,
    ),
    (
        "a FIFO",
        fifo,
        no_bad_file,
        Code::Unreadable,
        SourceHealth::Refused,
    ),
    (
        "a symlink to itself",
        |d| symlink("bad.yaml", d.join("bad.yaml")).unwrap(),
        no_bad_file,
        Code::Unreadable,
        SourceHealth::Refused,
    ),
    (
        "a dangling symlink",
        |d| symlink("gone", d.join("bad.yaml")).unwrap(),
        no_bad_file,
        Code::Unreadable,
        SourceHealth::Refused,
    ),
    (
        "too large",
        |d| {
            fs::File::create(d.join("bad.yaml"))
                .unwrap()
                .set_len(33 * 1024 * 1024)
                .unwrap()
        },
        no_bad_file,
        Code::TooLarge,
        SourceHealth::Refused,
    ),
    (
        "emptied",
        |d| fs::rename(d.join("a.yaml"), d.join("a.off")).unwrap(),
        |d| fs::rename(d.join("a.off"), d.join("a.yaml")).unwrap(),
        Code::NoPolicy,
        SourceHealth::Emptied,
    ),
    (
        "moved away",
        |d| fs::rename(d, aside(d)).unwrap(),
        back,
        Code::Unreadable,
        SourceHealth::Refused,
    ),
    (
        "replaced by a file",
        |d| {
            fs::rename(d, aside(d)).unwrap();
            fs::write(d, "").unwrap()
        },
        |d| {
            fs::remove_file(d).unwrap();
            back(d)
        },
        Code::Unreadable,
        SourceHealth::Refused,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_change_keeps_the_last_good_set_until_repaired() {
    for (harm, deed, repair, code, state) in HARMS {
        let site = Site::start(BY_EVENTS, &["p"], |root| fill(&root.join("p"), 2)).await;
        let before = site.now();
        deed(&site.at("p"));
        let refused = site.state(0, *state, harm).await;
        assert!(refused.ready, "{harm}");
        assert_eq!(
            (&refused.revision, refused.counts),
            (&before.revision, before.counts),
            "{harm}"
        );
        assert_eq!(
            refused.sources[0].files[0].name, "a.yaml",
            "{harm}: the file in force"
        );
        let problem = &refused.sources[0].problems[0];
        assert_eq!(problem.code, *code, "{harm}: {problem}");
        assert!(
            refused.last_problem.unwrap().text.contains(code.as_str()),
            "{harm}"
        );
        repair(&site.at("p"));
        let good = site.state(0, SourceHealth::Good, harm).await;
        assert!(
            good.last_problem.is_some() && good.sources[0].problems.is_empty(),
            "{harm}"
        );
        let mut outcomes = site.outcomes();
        outcomes.dedup();
        assert_eq!(outcomes, ["published", "refused", "recovered"], "{harm}");
        put(&site.at("p/a.yaml"), 3);
        site.denies(3, harm).await;
        site.stop().await;
    }
    println!("{} kinds of harm: no answer changed", HARMS.len());
}
