//! A server that cannot record its answers: it reports that it is not ready without waiting for a
//! check, withholds its answers, and is ready again once it can write its audit log.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use tonic_health::pb::health_check_response::ServingStatus;

use crate::denying;
use customs_test_support::check_client::Watch;
use customs_test_support::server::{Plan, Server, run};

const FILE: &str = "out/d/a.jsonl";

/// A fault of the directory of the audit log, and its repair.
type Way = (&'static str, fn(&Path), fn(&Path));

const WAYS: [Way; 4] = [
    (
        "the directory is removed",
        |d| fs::remove_dir_all(d).unwrap(),
        |d| fs::create_dir(d).unwrap(),
    ),
    (
        "the directory is renamed",
        |d| fs::rename(d, d.with_extension("old")).unwrap(),
        |d| fs::create_dir(d).unwrap(),
    ),
    (
        "a directory is put in place of the file",
        |d| in_place(d, |file| fs::create_dir(file).is_ok()),
        |d| fs::remove_dir(d.join("a.jsonl")).unwrap(),
    ),
    (
        "a pipe is put in place of the file",
        |d| {
            in_place(d, |file| {
                Command::new("mkfifo")
                    .arg(file)
                    .stderr(Stdio::null())
                    .status()
                    .unwrap()
                    .success()
            })
        },
        |d| fs::remove_file(d.join("a.jsonl")).unwrap(),
    ),
];

/// Replaces the file. The server may create the file again first, so this is retried.
fn in_place(directory: &Path, make: impl Fn(&Path) -> bool) {
    let file = directory.join("a.jsonl");
    for _ in 0..1_000 {
        let _ = fs::remove_file(&file);
        if make(&file) {
            return;
        }
    }
    panic!("{} comes back each time", file.display());
}

fn readiness(server: &Server, code: u16) -> String {
    server
        .until("readiness", || {
            server.get("/readyz").filter(|ready| ready.0 == code)
        })
        .1
}

fn started(flags: &str) -> Server {
    let plan = Plan::with(flags)
        .file(FILE, "")
        .file("policies/a.yaml", &denying("a", "x.example"));
    plan.start()
}

#[test]
fn a_file_that_lost_its_name_withholds_every_answer_until_it_can_be_made_again() {
    for durability in ["always", "interval"] {
        for (what, take_away, repair) in WAYS {
            let mut server = started(&format!(
                "--audit file:{FILE} --audit-durability {durability}"
            ));
            let directory = server.folder.at("out/d");
            let mut health = Watch::begin(&server.channel);
            assert_eq!(health.next_status(), Some(ServingStatus::Serving));
            assert!(server.check("ok.example").allowed);

            take_away(&directory);
            // The fault is found without a check.
            let why = readiness(&server, 503);
            assert!(
                why.contains(&format!("no answer can be recorded: file:{FILE}")),
                "{what}: {why}"
            );
            assert_eq!(
                health.next_status(),
                Some(ServingStatus::NotServing),
                "{what}"
            );
            for _ in 0..3 {
                let answer = server.check("ok.example");
                assert_eq!(
                    (answer.allowed, answer.reason()),
                    (false, "audit_unavailable"),
                    "{what}"
                );
            }
            let metrics = server.get("/metrics").unwrap().1;
            for (name, value) in [
                ("customs_audit_healthy", 0),
                ("customs_audit_withholding", 1),
            ] {
                assert!(
                    metrics.contains(&format!("{name}{{sink=\"file:{FILE}\"}} {value}")),
                    "{what}: {metrics}"
                );
            }
            let sink = &server.status()["audit"][0];
            assert_eq!(
                (&sink["healthy"], &sink["withholding"]),
                (&false.into(), &true.into()),
                "{what}"
            );
            assert!(
                server
                    .folder
                    .text("out/stderr")
                    .contains("the audit log cannot be written"),
                "{what}"
            );

            repair(&directory);
            readiness(&server, 200);
            assert_eq!(health.next_status(), Some(ServingStatus::Serving), "{what}");
            assert!(server.check("ok.example").allowed, "{what}");
            server.stop();

            // The withheld answers are recorded or counted, and the replaced file is reported.
            let verified = run(&server.folder.at("out/d"), &["audit", "verify", "a.jsonl"]);
            let text = format!("{what}: {verified:?}");
            if what == "the directory is renamed" {
                assert!(
                    verified
                        .stdout
                        .contains("another process moved the file before"),
                    "{text}"
                );
                let old = server.folder.at("out/d.old/a.jsonl");
                let whole = run(
                    &directory,
                    &["audit", "verify", "a.jsonl", old.to_str().unwrap()],
                );
                assert!(whole.stdout.starts_with("intact"), "{whole:?}");
            } else {
                assert_eq!(verified.code, Some(1), "{text}");
                assert!(verified.stdout.starts_with("bad: deleted: "), "{text}");
                assert!(
                    verified
                        .stdout
                        .contains("another process deleted the file before"),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn a_sink_that_drops_does_not_affect_readiness() {
    let server = started(&format!("--audit file:{FILE}?on_full=drop --audit stdout"));
    fs::remove_dir_all(server.folder.at("out/d")).unwrap();
    server.until("it is noticed", || {
        server.status()["audit"]
            .as_array()?
            .iter()
            .find(|sink| sink["healthy"] == false)
            .map(|_| ())
    });
    assert!(server.check("ok.example").allowed);
    assert_eq!(server.get("/readyz").unwrap().0, 200);
}

/// Starts a server whose stdout is a pipe that a shell opened in this way.
fn with_stdout(redirection: &str) -> (Plan, Command) {
    let plan = Plan::with("").file("policies/a.yaml", &denying("a", "x.example"));
    let mut shell = Command::new("sh");
    let script = format!("exec \"$0\" serve \"$@\" {redirection}");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_customs")]);
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CUSTOMS_"))
    {
        shell.env_remove(name);
    }
    let (listen, admin) = (
        format!("127.0.0.1:{}", plan.port),
        format!("127.0.0.1:{}", plan.admin),
    );
    shell
        .env("CUSTOMS_LISTEN", listen)
        .env("CUSTOMS_ADMIN", admin)
        .current_dir(plan.folder.at(""))
        .stdin(Stdio::null());
    (plan, shell)
}

#[test]
fn a_stdout_that_is_closed_or_takes_nothing_is_reported_at_the_start() {
    for (redirection, arguments, expected) in [
        (
            ">&-",
            &[][..],
            "cannot write the audit log to stdout: it is closed",
        ),
        (
            ">&-",
            &["--audit", "stdout"],
            "cannot write the audit log to stdout: it is closed",
        ),
        (
            ">&-",
            &["--audit", "file:/dev/stdout"],
            "descriptor 1 is closed",
        ),
        (
            ">&-",
            &["--audit", "file:/dev/fd/1"],
            "descriptor 1 is closed",
        ),
        (
            "1</etc/passwd",
            &["--audit", "stdout"],
            "it is open for reading only",
        ),
        (
            "",
            &["--audit", "file:/dev/fd/77"],
            "descriptor 77 is closed",
        ),
    ] {
        let (_plan, mut shell) = with_stdout(redirection);
        let ended = shell.args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(
            ended.status.code(),
            Some(1),
            "{redirection} {arguments:?}: {stderr}"
        );
        assert!(
            stderr.contains(expected),
            "{redirection} {arguments:?}: {stderr}"
        );
    }
    // If nothing is recorded to it, it does not matter.
    let (_plan, mut shell) = with_stdout(">&-");
    let ended = shell
        .args(["--audit", "off", "--listen", "bad"])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("stdout"));
}

#[test]
fn a_reader_of_stdout_that_is_gone_takes_the_readiness_until_another_one_comes() {
    let (plan, mut shell) = with_stdout("> out/pipe");
    let pipe = plan.folder.at("out/pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let read = |until_end: bool| {
        let mut reader = Command::new("sh");
        let script = if until_end { "cat" } else { "head -1" };
        reader
            .args(["-c", &format!("{script} < {} > /dev/null", pipe.display())])
            .spawn()
            .unwrap()
    };
    let mut first = read(false);
    let child = shell.stderr(Stdio::null()).spawn().unwrap();
    let server = plan.adopt(child);
    first.wait().unwrap();
    // A first record without a reader shows it, and from then on it is seen without one.
    thread::spawn({
        let channel = server.channel.clone();
        move || {
            let _ = customs_test_support::check_client::wait(
                customs_test_support::check_client::check(
                    &channel,
                    customs_test_support::check_client::http(
                        customs_test_support::check_client::SLEEP,
                        "ok.example",
                    ),
                ),
            );
        }
    });
    let why = readiness(&server, 503);
    assert!(why.contains("no answer can be recorded: stdout"), "{why}");
    // Health follows within a tenth of a second.
    let mut health = Watch::begin(&server.channel);
    while health.next_status() != Some(ServingStatus::NotServing) {}
    assert_eq!(server.check("ok.example").reason(), "audit_unavailable");
    let mut second = read(true);
    readiness(&server, 200);
    assert!(server.check("ok.example").allowed);
    drop(server);
    second.wait().unwrap();
}

#[test]
fn reading_a_file_without_records_is_an_error() {
    let plan = Plan::new();
    let folder = &plan.folder;
    folder.put("x.yaml", &denying("a", "x.example"));
    folder.put("empty", "");
    for tool in ["stats", "tail", "verify"] {
        let ended = run(&folder.at(""), &["audit", tool, "x.yaml"]);
        let code = if tool == "verify" { 2 } else { 1 };
        assert_eq!(ended.code, Some(code), "{tool}: {ended:?}");
        assert!(ended.stderr.contains(" audit log: "), "{tool}: {ended:?}");
    }
    let ended = run(&folder.at(""), &["audit", "tail", "--follow", "x.yaml"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for tool in ["stats", "tail"] {
        assert_eq!(
            run(&folder.at(""), &["audit", tool, "empty"]).code,
            Some(0),
            "{tool}: it may become one"
        );
    }
    for (flag, word, meant) in [
        (
            "--reason",
            "denied_by_rul",
            "did you mean `denied_by_rule`?",
        ),
        ("--reason", "bogus", "expected one of: no_policy, "),
        ("--kind", "Decision", "did you mean `decision`?"),
    ] {
        let ended = run(&folder.at(""), &["audit", "tail", "empty", flag, word]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(meant), "{ended:?}");
    }
}
