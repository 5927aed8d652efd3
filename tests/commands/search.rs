//! `customs audit search`: what is found, what is said of what cannot be found, and that an index
//! changes neither.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Ended, Folder, command, ended};

/// A decision's line; the time is that many minutes after noon.
fn decision(stream: &str, sequence: u64, more: &str) -> String {
    format!(
        "{{\"time\":\"2026-11-23T12:{:02}:00.000000000Z\",\"kind\":\"decision\",\
         \"stream\":\"{stream}\",\"sequence\":\"{sequence}\",\"decisionId\":\"id-{sequence}\",\
         \"effect\":\"allow\",\"verdict\":\"allow\",\"dryRun\":\"allow\",{more},\"chain\":\"{stream}{sequence}\"}}\n",
        sequence % 60
    )
}

fn host(sequence: u64, host: &str) -> String {
    let more = format!(
        "\"rule\":\"ep:shop/egress#r\",\"namespace\":\"shop\",\"serviceAccount\":\"cart\",\
         \"host\":\"{host}\",\"owner\":\"team-a\",\"revision\":\"0f1e2d3c\""
    );
    decision("s", sequence, &more)
}

fn search(folder: &Folder, arguments: &str) -> Ended {
    folder.run(&format!("audit search {arguments}"))
}

/// The sequence numbers of what was found.
fn found(ended: &Ended) -> Vec<u64> {
    let number = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        json["sequence"].as_str().unwrap().parse().unwrap()
    };
    ended.stdout.lines().map(number).collect()
}

#[test]
fn each_flag_selects_by_what_it_names() {
    let denial = decision(
        "s",
        3,
        "\"reason\":\"denied_by_rule\",\"dryRunRule\":\"ep:bank/trial#t\",\"dryRunOwner\":\"team-b\",\
         \"namespace\":\"bank\",\"serviceAccount\":\"job\",\"host\":\"www.example.com\",\"revision\":\"ff00\"",
    )
    .replace("\"effect\":\"allow\",\"verdict\":\"allow\"", "\"effect\":\"deny\",\"verdict\":\"deny\"");
    let change = "{\"time\":\"2026-11-23T12:04:00.000000000Z\",\"kind\":\"policyChange\",\
                  \"stream\":\"s\",\"sequence\":\"4\",\"revision\":\"ff00\",\"policies\":3,\"chain\":\"00\"}\n";
    let later = decision(
        "s",
        5,
        "\"host\":\"new.example\",\"fieldOfALaterVersion\":{\"a\":[1]}",
    );
    let unknown = "{\"time\":\"2026-11-23T12:06:00.000000000Z\",\"kind\":\"kindOfALaterVersion\",\
                   \"stream\":\"s\",\"sequence\":\"6\",\"chain\":\"00\"}\n";
    let text = [
        host(1, "a.example"),
        host(2, "b.a.example"),
        denial,
        change.into(),
        later,
        unknown.into(),
    ];
    let folder = Folder::with(&[("a.jsonl", &text.concat())]);
    for (flags, expected) in [
        ("", vec![1, 2, 3, 4, 5, 6]),
        ("--host a.example", vec![1]),
        ("--host A.Example.", vec![1]),
        ("--host *.example", vec![1, 2, 5]),
        ("--host *.a.example --host www.example.com", vec![2, 3]),
        ("--namespace bank", vec![3]),
        ("--account cart", vec![1, 2]),
        ("--account bank/job", vec![3]),
        ("--account shop/job", vec![]),
        ("--rule ep:shop/egress#r", vec![1, 2]),
        ("--rule ep:shop/egress", vec![1, 2]),
        ("--rule ep:bank/trial", vec![3]),
        ("--owner team-b", vec![3]),
        ("--decision-id ID-2", vec![2]),
        ("--revision ff", vec![3, 4]),
        ("--revision 0f1e2d3c --host a.example", vec![1]),
        ("--effect deny", vec![3]),
        ("--verdict deny --dry-run allow", vec![3]),
        ("--dry-run deny", vec![]),
        ("--reason denied_by_rule", vec![3]),
        ("--kind policyChange", vec![4]),
        (
            "--since 2026-11-23T12:02 --until 2026-11-23T12:04",
            vec![2, 3],
        ),
        ("--first 2", vec![1, 2]),
        ("--last 2", vec![5, 6]),
        ("--host *.example --last 1", vec![5]),
    ] {
        let ended = search(&folder, &format!("a.jsonl --format json {flags}"));
        assert_eq!(found(&ended), expected, "{flags}: {ended:?}");
        let code = i32::from(expected.is_empty());
        assert_eq!(ended.code, Some(code), "{flags}: {ended:?}");
        if !flags.contains("--first") && !flags.contains("--last") {
            let count = search(&folder, &format!("a.jsonl --count {flags}"));
            assert_eq!(count.stdout, format!("{}\n", expected.len()), "{flags}");
            assert_eq!(count.code, Some(code), "{flags}");
        }
    }
    let json = search(&folder, "a.jsonl --format json --host new.example").stdout;
    assert!(
        json.contains("fieldOfALaterVersion"),
        "the line is the one of the file: {json}"
    );
    let pretty = search(&folder, "a.jsonl --namespace bank").stdout;
    assert!(
        pretty.contains("deny         bank/job -> www.example.com"),
        "{pretty}"
    );
}

#[test]
fn records_come_in_the_order_of_time_from_all_files() {
    let folder = Folder::with(&[
        ("late.jsonl", &host(9, "a.example")),
        (
            "early.jsonl",
            &[host(1, "a.example"), host(2, "a.example")].concat(),
        ),
    ]);
    let whole = search(&folder, "late.jsonl early.jsonl --format json");
    assert_eq!(found(&whole), [1, 2, 9]);
    assert!(
        whole
            .stderr
            .contains("the records 3 to 8 of stream s are missing"),
        "{whole:?}"
    );
    let mut stdin = command(folder.path());
    let input = fs::File::open(folder.path().join("early.jsonl")).unwrap();
    let piped = ended(stdin.args(["audit", "search", "-", "--count"]).stdin(input));
    assert_eq!((piped.stdout.as_str(), piped.code), ("2\n", Some(0)));
}

#[test]
fn what_cannot_be_found_is_said() {
    let hashed = decision(
        "s",
        2,
        "\"namespace\":\"shop\",\"serviceAccount\":\"hash:00\",\"redacted\":[\"serviceAccount\"]",
    );
    let gap = "{\"time\":\"2026-11-23T12:03:00.000000000Z\",\"kind\":\"gap\",\"stream\":\"s\",\
               \"sequence\":\"3\",\"lost\":{\"allows\":\"5\",\"denials\":\"2\"},\"chain\":\"00\"}\n";
    let torn = host(7, "a.example");
    let text = [
        &host(1, "a.example"),
        &hashed,
        gap,
        "a log line\n",
        torn.strip_suffix("\"}\n").unwrap(),
    ];
    let folder = Folder::with(&[
        ("a.jsonl", &text.concat()),
        ("other", "no record at all\n"),
        ("empty", ""),
    ]);
    let hidden = search(&folder, "a.jsonl --account cart --format json");
    assert_eq!((found(&hidden), hidden.code), (vec![1], Some(0)));
    for note in [
        "1 record may be meant as well",
        "7 records of that time cannot be found: lost, as 1 gap record say",
        "1 line passed over: not a record; the first after",
        "ends in an unfinished record",
    ] {
        assert!(hidden.stderr.contains(note), "{note}: {}", hidden.stderr);
    }
    let by_hash = search(&folder, "a.jsonl --account hash:00 --format json");
    assert_eq!(found(&by_hash), [2]);
    let elsewhen = search(&folder, "a.jsonl --since 2026-11-24");
    assert_eq!((elsewhen.stdout.as_str(), elsewhen.code), ("", Some(1)));
    let why = "no record is found in 3 records from 2026-11-23T12:01:00.000Z to 2026-11-23T12:03:00.000Z; none of them is of the time";
    assert!(elsewhen.stderr.contains(why), "{}", elsewhen.stderr);
    assert!(
        !elsewhen.stderr.contains("lost"),
        "not of that time: {}",
        elsewhen.stderr
    );
    for (arguments, code, text) in [
        ("other", 2, "is not an audit log"),
        ("gone a.jsonl --host a.example", 2, "cannot read gone"),
        ("empty", 1, "no record is found in 0 records"),
        ("a.jsonl --host *", 2, "invalid host"),
        ("a.jsonl --kind decisions", 2, "did you mean `decision`"),
        (
            "a.jsonl --since today --until yesterday",
            2,
            "no record can be in between",
        ),
        ("a.jsonl --first 0", 2, "--first"),
    ] {
        let ended = search(&folder, arguments);
        assert_eq!(ended.code, Some(code), "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(text), "{arguments}: {}", ended.stderr);
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

/// Makes a file old enough for its index to be written.
fn settle(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60))
        .unwrap();
}

/// A directory with two logs, closed files in both forms, and a checkpoint file.
fn logs() -> (Folder, Vec<PathBuf>) {
    let gap = "{\"time\":\"2026-11-23T12:12:00.000000000Z\",\"kind\":\"gap\",\"stream\":\"s\",\
               \"sequence\":\"12\",\"lost\":{\"allows\":\"5\"},\"chain\":\"00\"}\n";
    let first: String = (1..10).map(|n| host(n, &format!("h{n}.example"))).collect();
    let second: String = (10..12)
        .map(|n| host(n, "two.example"))
        .chain([gap.into()])
        .collect();
    let third: String = (15..20)
        .map(|n| decision("s", n, "\"host\":\"three.example\",\"serviceAccount\":\"hash:1\",\"redacted\":[\"serviceAccount\"]"))
        .collect();
    let other: String = (1..5)
        .map(|n| decision("t", n, "\"host\":\"other.example\""))
        .collect();
    let folder = Folder::with(&[
        ("a.jsonl", &host(30, "live.example")),
        ("a.jsonl.20261123T121300.000000000Z", &second),
        ("a.jsonl.20261123T122100.000000000Z", &third),
        ("b.jsonl.20261123T120500.000000000Z", &other),
        (
            "checkpoints",
            "{\"time\":\"2026-11-23T12:00:00Z\",\"kind\":\"checkpoint\",\"sealedStream\":\"s\",\"sink\":\"x\"}\n",
        ),
    ]);
    let gz = folder.path().join("a.jsonl.20261123T121000.000000000Z.gz");
    fs::write(&gz, packed(&first)).unwrap();
    let closed = [
        "a.jsonl.20261123T121300.000000000Z",
        "a.jsonl.20261123T122100.000000000Z",
        "b.jsonl.20261123T120500.000000000Z",
    ];
    let mut closed: Vec<PathBuf> = closed.map(|name| folder.path().join(name)).into();
    closed.push(gz);
    closed.iter().for_each(|path| settle(path));
    (folder, closed)
}

fn indices(folder: &Folder) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "index"))
        .collect();
    paths.sort();
    paths
}

const QUESTIONS: &[&str] = &[
    "",
    "--host h3.example",
    "--host *.example --effect allow",
    "--host nowhere.example",
    "--account cart",
    "--account nobody",
    "--namespace shop --since 2026-11-23T12:05",
    "--until 2026-11-23T12:03",
    "--since 2026-11-23T12:12 --until 2026-11-23T12:13 --host nowhere.example",
    "--kind gap",
    "--decision-id id-11",
    "--rule ep:shop/egress",
    "--effect deny",
    "--revision 0f",
];

#[test]
fn an_index_changes_neither_what_is_found_nor_what_is_said() {
    let (folder, closed) = logs();
    let ask = |question: &str| search(&folder, &format!(". --format json {question}"));
    let answers = || -> Vec<Ended> { QUESTIONS.iter().map(|question| ask(question)).collect() };
    let text = |ended: &Ended| format!("{ended:?}");
    let mut first = Vec::new();
    for question in QUESTIONS {
        indices(&folder)
            .iter()
            .for_each(|path| fs::remove_file(path).unwrap());
        first.push(ask(question));
    }
    assert!(
        first
            .iter()
            .filter(|ended| !ended.stdout.is_empty())
            .count()
            > 8
    );
    assert!(
        first[0]
            .stderr
            .contains("records 13 to 14 of stream s are missing"),
        "{:?}",
        first[0]
    );
    assert_eq!(
        indices(&folder).len(),
        closed.len(),
        "made on the first use"
    );
    let with: Vec<Ended> = answers();
    for ((question, one), two) in QUESTIONS.iter().zip(&first).zip(&with) {
        assert_eq!(text(one), text(two), "{question}");
    }
    // The closed files are truly not read: what they hold is gone, and no search notices.
    let (path, stamp) = (&closed[0], fs::metadata(&closed[0]).unwrap());
    let unread = vec![b'x'; usize::try_from(stamp.len()).unwrap()];
    fs::write(path, unread).unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(stamp.modified().unwrap())
        .unwrap();
    let left_out = search(
        &folder,
        "a.jsonl.20261123T121300.000000000Z --host nowhere.example",
    );
    assert!(
        left_out.stderr.contains("no record is found in 3 records"),
        "{left_out:?}"
    );
}

#[test]
fn an_index_that_is_stale_foreign_or_damaged_is_not_believed() {
    let (folder, closed) = logs();
    let ask = || search(&folder, ". --format json --host late.example");
    assert_eq!(found(&ask()), [] as [u64; 0]);
    let made = indices(&folder);
    // The file changed.
    fs::write(&closed[0], host(10, "late.example")).unwrap();
    settle(&closed[0]);
    let stale = ask();
    assert_eq!(found(&stale), [10], "{stale:?}");
    assert!(stale.stderr.contains("the file changed since"), "{stale:?}");
    let again = ask();
    assert_eq!(found(&again), [10]);
    assert!(
        !again.stderr.contains("is not used"),
        "it was made again: {again:?}"
    );
    // Another file's, and one whose bytes changed.
    let index_of_first = made
        .iter()
        .find(|path| path.to_string_lossy().contains("121300"))
        .unwrap();
    let other = made
        .iter()
        .find(|path| path.to_string_lossy().contains("122100"))
        .unwrap();
    fs::copy(other, index_of_first).unwrap();
    let foreign = ask();
    assert_eq!(found(&foreign), [10], "{foreign:?}");
    assert!(
        foreign.stderr.contains("it was made of another file"),
        "{foreign:?}"
    );
    let mut bytes = fs::read(index_of_first).unwrap();
    bytes[20] ^= 1;
    fs::write(index_of_first, bytes).unwrap();
    let damaged = ask();
    assert_eq!(found(&damaged), [10], "{damaged:?}");
    assert!(damaged.stderr.contains("it is damaged"), "{damaged:?}");
    assert!(!ask().stderr.contains("damaged"), "it was made again");
}

#[test]
fn other_commands_pass_over_an_index() {
    let (folder, closed) = logs();
    search(&folder, ".");
    assert_eq!(indices(&folder).len(), closed.len());
    let paths = |filter: &dyn Fn(&str) -> bool| -> String {
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("a.jsonl") && filter(name))
            .collect();
        names.sort();
        names.join(" ")
    };
    let (all, without) = (paths(&|_| true), paths(&|name| !name.ends_with(".index")));
    assert_ne!(all, without);
    for tool in [
        "stats --format json",
        "verify --format json",
        "search --count",
    ] {
        let [one, two] = [&all, &without].map(|names| folder.run(&format!("audit {tool} {names}")));
        assert_eq!(
            (&one.stdout, one.code),
            (&two.stdout, two.code),
            "{tool}: {one:?}"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_searched_without_a_word() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _) = logs();
    let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    let ended = search(&folder, ". --format json --host h3.example");
    mode(0o755);
    assert_eq!(found(&ended), [3]);
    assert!(!ended.stderr.contains("index"), "{ended:?}");
}
