//! Directories as they occur: links, loops, hidden and oddly named files.

use std::os::unix::fs::symlink;

use super::*;

const POLICY: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n";

fn tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("base.yaml", POLICY),
        ("x.JSON", "{}"),
        ("base.cases.yaml", ""),
        (".hidden.yaml", POLICY),
        ("README.md", "# An EgressPolicy\n"),
        ("old.yaml.bak", POLICY),
        ("deny", POLICY),
        ("team-shop/deny.yaml", POLICY),
        ("team-shop/deep/er/deny.yml", POLICY),
        ("team-shop/shop.cases.yaml", ""),
        ("tools/package.json", "{\"name\": \"x\"}"),
        ("tools/run.sh", "echo"),
        ("more/policies.json", "{\"kind\": \"EgressPolicy\"}"),
        (".git/config.yaml", POLICY),
    ] {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    symlink("..", root.path().join("team-shop/loop")).unwrap();
    root
}

fn names(root: &Path, problems: &[Problem]) -> Vec<String> {
    let name = |p: &Problem| {
        Path::new(&*p.place.file)
            .strip_prefix(root)
            .unwrap()
            .display()
            .to_string()
    };
    problems.iter().map(name).collect()
}

#[test]
fn lookalikes_that_are_not_read_are_reported() {
    let root = tree();
    let found = walk(
        root.path(),
        false,
        &StatCache::default(),
        &Progress::default(),
    )
    .unwrap();
    assert_eq!(
        (found.policies, found.cases),
        (
            vec!["base.yaml".into(), "x.JSON".into()],
            vec!["base.cases.yaml".to_owned()]
        )
    );
    assert_eq!(
        names(root.path(), &found.unread),
        [".hidden.yaml", "deny", "more", "old.yaml.bak", "team-shop"]
    );
    assert!(
        found
            .unread
            .iter()
            .all(|p| p.code == Code::NotRead && !p.is_error() && p.hint.is_some())
    );
}

#[test]
fn a_recursive_source_has_the_files_below_by_their_paths() {
    let root = tree();
    let found = walk(
        root.path(),
        true,
        &StatCache::default(),
        &Progress::default(),
    )
    .unwrap();
    let policies = [
        "base.yaml",
        "more/policies.json",
        "team-shop/deep/er/deny.yml",
        "team-shop/deny.yaml",
        "tools/package.json",
        "x.JSON",
    ];
    assert_eq!(found.policies, policies);
    assert_eq!(
        found.cases,
        ["base.cases.yaml", "team-shop/shop.cases.yaml"]
    );
    assert_eq!(
        names(root.path(), &found.unread),
        [".hidden.yaml", "deny", "old.yaml.bak"]
    );
}

#[test]
fn an_excluded_policy_is_reported_and_cases_are_not() {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.cases.yaml", POLICY),
        (
            "b.cases.yaml",
            "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\n",
        ),
        (
            ".c.json",
            "{\n  \"apiVersion\": \"egress.customs/v1alpha1\",\n  \"kind\": \"EgressPolicy\"\n}\n",
        ),
        (
            ".schema.json",
            "{\n  \"$schema\": \"x\",\n  \"title\": \"EgressPolicy\"\n}\n",
        ),
        (".notes", POLICY),
    ] {
        fs::write(root.path().join(name), text).unwrap();
    }
    let found = walk(
        root.path(),
        false,
        &StatCache::default(),
        &Progress::default(),
    )
    .unwrap();
    assert_eq!((found.policies.len(), found.cases.len()), (0, 2));
    assert_eq!(
        names(root.path(), &found.unread),
        [".c.json", "a.cases.yaml"]
    );
}

#[test]
fn countless_lookalikes_are_counted() {
    let root = tempfile::tempdir().unwrap();
    (0..MAX_REPORTED + 7)
        .for_each(|n| fs::write(root.path().join(format!("{n}.yaml~")), "").unwrap());
    let unread = walk(
        root.path(),
        false,
        &StatCache::default(),
        &Progress::default(),
    )
    .unwrap()
    .unread;
    assert_eq!(unread.len(), MAX_REPORTED + 1);
    assert!(unread.last().unwrap().text.starts_with("7 more"));
}

#[test]
fn a_link_of_a_recursive_source_that_leads_nowhere_is_an_error_of_it() {
    let root = tree();
    let link = root.path().join("team-pay");
    symlink("nowhere", &link).unwrap();
    let problems = walk(
        root.path(),
        true,
        &StatCache::default(),
        &Progress::default(),
    )
    .unwrap_err();
    assert_eq!(names(root.path(), &problems), ["team-pay"]);
    assert!(
        problems[0].is_error() && problems[0].text.contains("leads nowhere"),
        "{}",
        problems[0]
    );
    fs::remove_file(&link).unwrap();
    symlink("loop", root.path().join("loop")).unwrap();
    let problems = walk(
        root.path(),
        true,
        &StatCache::default(),
        &Progress::default(),
    )
    .unwrap_err();
    assert_eq!(names(root.path(), &problems), ["loop"]);
    assert_eq!(
        directories_below(root.path()).len(),
        5,
        "what can be read is watched meanwhile"
    );
}

#[test]
fn a_broken_link_of_another_source_is_reported() {
    let root = tempfile::tempdir().unwrap();
    for name in ["README", "team-pay", "old.yaml.bak", ".git"] {
        symlink("nowhere", root.path().join(name)).unwrap();
    }
    let found = walk(
        root.path(),
        false,
        &StatCache::default(),
        &Progress::default(),
    )
    .unwrap();
    assert_eq!(
        names(root.path(), &found.unread),
        ["README", "old.yaml.bak", "team-pay"]
    );
    assert!(
        found
            .unread
            .iter()
            .all(|p| p.code == Code::NotRead && !p.is_error())
    );
}

#[test]
fn a_file_is_known_by_its_own_path_however_a_directory_is_listed() {
    for names in [["a", "z"], ["z", "a"]] {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("m/deep")).unwrap();
        fs::write(root.path().join("m/deep/deny.yaml"), POLICY).unwrap();
        names
            .iter()
            .for_each(|name| symlink("m/deep", root.path().join(name)).unwrap());
        let found = walk(
            root.path(),
            true,
            &StatCache::default(),
            &Progress::default(),
        )
        .unwrap();
        assert_eq!(
            (found.policies, found.directories.len()),
            (vec!["m/deep/deny.yaml".to_owned()], 2)
        );
        let other = tempfile::tempdir().unwrap();
        names
            .iter()
            .for_each(|name| symlink(root.path().join("m/deep"), other.path().join(name)).unwrap());
        let found = walk(
            other.path(),
            true,
            &StatCache::default(),
            &Progress::default(),
        )
        .unwrap();
        assert_eq!(found.policies, ["a/deny.yaml"]);
    }
}

#[test]
fn a_file_that_a_link_leads_to_is_opened_on_the_same_file_system_only() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("..data")).unwrap();
    fs::write(root.path().join("..data/deny"), POLICY).unwrap();
    symlink("..data/deny", root.path().join("deny")).unwrap();
    symlink("/proc/version", root.path().join("version")).unwrap();
    let progress = Progress::default();
    let found = walk(root.path(), false, &StatCache::default(), &progress).unwrap();
    assert_eq!(names(root.path(), &found.unread), ["deny"]);
    assert!(
        progress.path().starts_with(root.path()) && progress.path() != root.path(),
        "{:?}",
        progress.path()
    );
}
