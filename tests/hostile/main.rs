//! Policy directories designed to hold customs up: the real `customs lint` refuses each, says
//! where, and stays small doing it.
//!
//! Peak memory is what the kernel counted for the process. Time is printed and never judged
//! (`--nocapture`). `CUSTOMS_BINARY=/path` names another binary to be measured, such as a release
//! build.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
#![allow(clippy::print_stdout, reason = "figures, shown with --nocapture")]

mod files;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use files::{FILES, Hostile, Reported};

/// The most memory that a hostile directory may cost beside what an ordinary one costs, in MiB. What
/// an ordinary one costs is nearly all the code of the binary, which differs from build to build.
const MOST_MEMORY: u64 = 32;

/// What an ordinary directory costs, in MiB.
static ORDINARY: LazyLock<u64> = LazyLock::new(|| {
    let folder = folder(|policies| fs::write(policies.join("x.yaml"), ORDINARY_POLICY).unwrap());
    let ended = lint("ordinary", folder.path());
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    ended.memory
});

/// A file without a problem.
const ORDINARY_POLICY: &str = "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: egress, namespace: shop}
spec: {deny: [{name: a, hosts: [a.example]}]}
";

/// What is reported about a directory, and what it cost.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    /// The peak of resident memory, in MiB.
    memory: u64,
}

impl Ended {
    /// Returns what the directory cost beside what an ordinary one costs, in MiB.
    fn cost(&self) -> u64 {
        self.memory.saturating_sub(*ORDINARY)
    }
}

/// Runs a command, and prints its peak of resident memory in KiB and its CPU time as the last line
/// of stderr. The kernel counts the memory that the parent had when it started a child, so this
/// script is the parent and not the test, which made the files.
const MEASURE: &str = "import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss, used.ru_utime + used.ru_stime, file=sys.stderr)
sys.exit(code & 255)";

/// Runs `customs lint policies` in a folder.
fn lint(name: &str, folder: &Path) -> Ended {
    let binary =
        std::env::var_os("CUSTOMS_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_customs").into());
    let mut command = Command::new("python3");
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CUSTOMS_"))
    {
        command.env_remove(name);
    }
    let output = command
        .args(["-c", MEASURE])
        .arg(binary)
        .args(["lint", "policies"])
        .current_dir(folder)
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8_lossy(&output.stderr),
    );
    let measured = stderr.lines().last().and_then(|line| line.split_once(' '));
    let (kib, seconds) = measured.unwrap_or_else(|| panic!("{name}: {stderr}"));
    let memory = kib.parse::<u64>().unwrap() / 1024;
    let seconds: f64 = seconds.parse().unwrap();
    println!(
        "{name:24} {memory:5} MiB {seconds:8.2} s {:9} bytes reported",
        stdout.len()
    );
    Ended {
        code: output.status.code(),
        stdout,
        memory,
    }
}

/// Creates a folder and fills its `policies` with `make`.
fn folder(make: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).unwrap();
    make(&policies);
    folder
}

/// Returns the places that are reported for a code, as `PATH` or `PATH:LINE:COLUMN`.
fn places<'o>(stdout: &'o str, code: &str) -> Vec<&'o str> {
    let title = format!("error[{code}]");
    let findings = stdout
        .split("\n\n")
        .filter(|finding| finding.starts_with(&title));
    findings
        .filter_map(|finding| finding.split("--> ").nth(1)?.lines().next())
        .collect()
}

/// Returns why the report about a file is not the expected one.
fn amiss(ended: &Ended, code: &str, reported: Reported) -> Option<String> {
    let places = places(&ended.stdout, code);
    let Some(place) = places.first() else {
        return Some(format!("reports no {code}"));
    };
    let numbers = place
        .strip_prefix("policies/x.yaml:")
        .and_then(|rest| rest.split_once(':'));
    let line = numbers
        .and_then(|(line, column)| column.parse::<usize>().ok().and(line.parse::<usize>().ok()));
    let right = match reported {
        Reported::At => line.is_some(),
        Reported::Line(expected) => line == Some(expected),
        Reported::File => *place == "policies/x.yaml",
        Reported::Nowhere => {
            *place == "policies"
                && ended.stdout.contains("note[not-ours]")
                && ended.stdout.contains("--> policies/x.yaml:1:1")
        }
    };
    (!right).then(|| format!("reports {place} and not {reported:?}"))
}

/// Returns everything that is wrong with the report about a file, and with its cost.
fn faults(file: &Hostile) -> Vec<String> {
    let folder = folder(|policies| fs::write(policies.join("x.yaml"), (file.bytes)()).unwrap());
    let ended = lint(file.name, folder.path());
    let refused = (ended.code != Some(1)).then(|| format!("ends with {:?}", ended.code));
    let reported = amiss(&ended, file.code, file.reported);
    let cost = ended.cost();
    let cost = (cost > MOST_MEMORY).then(|| format!("takes {cost} MiB more than an ordinary file"));
    let head: String = ended.stdout.chars().take(300).collect();
    [refused, reported, cost]
        .into_iter()
        .flatten()
        .map(|why| format!("{} {why}: {head}", file.name))
        .collect()
}

#[test]
fn a_hostile_file_is_refused_with_its_place() {
    let wrong: Vec<_> = FILES.iter().flat_map(faults).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files that are not regular, or too many files.
#[test]
fn a_hostile_directory_is_refused() {
    let many = |count: usize, text: &'static str| {
        move |policies: &Path| {
            (0..count).for_each(|n| fs::write(policies.join(format!("{n}.yaml")), text).unwrap())
        }
    };
    type Make = Box<dyn FnOnce(&Path)>;
    let made: [(&str, Make, &str, &str); 7] = [
        (
            "fifo",
            Box::new(|p| run("mkfifo", &p.join("x.yaml"))),
            "unreadable",
            "policies/x.yaml",
        ),
        (
            "device",
            Box::new(|p| symlink("/dev/zero", p.join("x.yaml")).unwrap()),
            "unreadable",
            "policies/x.yaml",
        ),
        (
            "loop",
            Box::new(|p| symlink("x.yaml", p.join("x.yaml")).unwrap()),
            "unreadable",
            "policies/x.yaml",
        ),
        (
            "directory",
            Box::new(|p| fs::create_dir(p.join("x.yaml")).unwrap()),
            "unreadable",
            "policies/x.yaml",
        ),
        (
            "sparse",
            Box::new(|p| sparse(&p.join("x.yaml"))),
            "too-large",
            "policies/x.yaml",
        ),
        (
            "ten-thousand-files",
            Box::new(many(10_000, "")),
            "no-policy",
            "policies",
        ),
        (
            "too-many-files",
            Box::new(many(10_001, "")),
            "too-large",
            "policies",
        ),
    ];
    for (name, make, code, place) in made {
        let folder = folder(make);
        let ended = lint(name, folder.path());
        assert_eq!(
            (ended.code, places(&ended.stdout, code)),
            (Some(1), vec![place]),
            "{name}: {}",
            ended.stdout
        );
        let cost = ended.cost();
        assert!(
            cost <= MOST_MEMORY,
            "{name} takes {cost} MiB more than an ordinary directory"
        );
    }
}

fn run(program: &str, path: &Path) {
    assert!(
        Command::new(program).arg(path).status().unwrap().success(),
        "{program}"
    );
}

/// Creates a file of 100 MiB that takes no room on the disk.
fn sparse(path: &Path) {
    fs::File::create(path)
        .unwrap()
        .set_len(100 * 1024 * 1024)
        .unwrap();
}

/// What is hostile in one place may be normal in another: byte order marks and line ends of other
/// systems are read.
#[test]
fn odd_is_not_hostile() {
    let policy = format!(
        "{}spec: {{deny: [{{name: a, hosts: [a.example]}}]}}\n",
        files::HEAD
    );
    for (name, text) in [
        ("mark", format!("\u{feff}{policy}")),
        ("line-ends", policy.replace('\n', "\r\n")),
    ] {
        let folder = folder(|policies| fs::write(policies.join("x.yaml"), text).unwrap());
        let ended = lint(name, folder.path());
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stdout);
    }
}
