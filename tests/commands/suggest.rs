//! `customs suggest`: the policies load, lint clean, and permit what crossed and nothing else.

use std::collections::BTreeSet;
use std::fmt::Write;

use customs_test_support::draw::Choices;
use serde_json::{Value, json};

use super::{Ended, Folder, policy, replay};

fn log(records: &[Value]) -> String {
    records.iter().fold(String::new(), |mut log, record| {
        writeln!(log, "{record}").unwrap();
        log
    })
}

fn denied(record: Value) -> Value {
    let denied = json!({"effect": "deny", "verdict": "deny", "dryRun": "deny",
        "reason": "denied_by_rule", "dryRunReason": "denied_by_rule", "rule": "ep:shop/x#y",
        "dryRunRule": "ep:shop/x#y"});
    replay::with(record, denied)
}

fn unauthenticated(record: Value) -> Value {
    let nobody = json!({"identity": "unauthenticated", "principal": "", "namespace": "",
        "serviceAccount": "", "trustDomain": ""});
    replay::with(record, nobody)
}

/// A week of an account that uses two hosts, and others.
fn records() -> Vec<Value> {
    let mut records: Vec<Value> = (0..28)
        .map(|n| {
            let record = replay::decision("shop/cart", "api.psp.example", "/v1/pay");
            let time = format!("2026-11-{:02}T{:02}:00:00Z", 23 + n / 4, n % 4);
            replay::with(
                record,
                json!({"time": time, "method": (["GET", "POST"][n % 2])}),
            )
        })
        .collect();
    records.push(replay::decision("shop/cart", "once.example", "/"));
    records.push(unauthenticated(replay::decision(
        "a/b",
        "open.example",
        "/",
    )));
    records.push(denied(replay::decision(
        "shop/cart",
        "api.psp.example",
        "/admin",
    )));
    records
}

fn suggest(records: &[Value], arguments: &str) -> (Folder, Ended) {
    let folder = Folder::with(&[("log", log(records).as_str())]);
    let ended = folder.run(&format!("suggest log {arguments}"));
    (folder, ended)
}

const SHOP: &str = r#"# The least egress of namespace shop: 29 crossings, 2026-11-23T00:00:00Z to 2026-11-29T03:00:00Z of 1 account.
apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: egress, namespace: shop}
spec:
  isolate: true
---
apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: egress-cart, namespace: shop}
spec:
  subjects:
  - serviceAccounts: [cart]
  isolate: true
  allow:
  # 28 crossings, 2026-11-23T00:00:00Z to 2026-11-29T03:00:00Z
  # 1 request here was denied; this entry may permit what it covers of them
  - name: api.psp.example
    hosts: [api.psp.example]
    methods: [GET, POST]
    paths: ["/v1/pay"]
  # one-off: 1 crossing, 2026-11-23T12:00:00Z
  - name: once.example
    hosts: [once.example]
    reason: "one-off: 1 crossing, 2026-11-23T12:00:00Z; check whether it is needed"
"#;

const ROOT: &str = r#"# The least egress of namespace istio-system: nothing crossed.
# These crossed and get no grant:
#   unauthenticated to open.example: the caller has no valid identity (1 crossing, 2026-11-23T12:00:00Z)
apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: unauthenticated, namespace: istio-system}
spec:
  subjects:
  - unauthenticated: true
  isolate: true
"#;

#[test]
fn a_suggestion_has_a_file_for_each_namespace_and_says_what_it_leaves_out() {
    let (folder, ended) = suggest(&records(), "--output new");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let read = |name: &str| std::fs::read_to_string(folder.path().join("new").join(name)).unwrap();
    assert_eq!(read("shop.yaml"), SHOP);
    assert_eq!(read("istio-system.yaml"), ROOT);
    for line in [
        "30 decisions crossed, 1 denied, from 2026-11-23T00:00:00.000Z to 2026-11-29T03:00:00.000Z\n",
        "2 grants for 1 account of 1 namespace, in 2 files\n",
        "         1  are one-offs\n",
        "         1  crossings get no grant: the caller has no valid identity\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
    let lint = folder.run("lint new --deny-warnings");
    assert_eq!(
        (lint.code, lint.stdout.as_str()),
        (Some(0), "0 errors, 0 warnings, 0 notes in 2 files\n")
    );
    // What crossed still does, but for the caller whom no policy can grant anything.
    let replayed = folder.run("replay log --policies new");
    assert_eq!(replayed.code, Some(1));
    assert!(
        replayed
            .stdout
            .contains("\n0 newly allowed, 1 newly denied, 0 unanswerable\n"),
        "{replayed:?}"
    );
    assert!(
        replayed.stdout.contains("unauthenticated  open.example"),
        "{replayed:?}"
    );
    // Nothing is written over.
    let again = folder.run("suggest log --output new");
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.stderr.contains("exists already"), "{again:?}");
}

#[test]
fn without_a_directory_the_policies_are_printed() {
    let (_, ended) = suggest(&records(), "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, format!("{ROOT}---\n{SHOP}"));
}

#[test]
fn flags_choose_what_is_looked_at_and_how_wide_grants_are() {
    let of = |arguments: &str| suggest(&records(), arguments).1.stdout;
    assert!(!of("--without-one-offs").contains("- name: once.example"));
    assert!(of("--without-one-offs").contains("#   cart to once.example: 1 crossing"));
    assert!(!of("--steady 100").contains("paths:"));
    assert!(of("--suffix psp.example").contains("hosts: [\"*.psp.example\"]"));
    assert!(!of("--namespace web").contains("shop"));
    assert!(!of("--since 2026-11-24T00:00:00Z").contains("once.example"));
    let (_, document) = suggest(&records(), "--output new --format json");
    let document = document.json();
    assert_eq!(
        [
            &document["version"],
            &document["grants"],
            &document["oneOffs"],
            &document["leftOut"][0]["cause"]
        ],
        [&json!(1), &json!(2), &json!(1), &json!("noIdentity")]
    );
    let dry_run = replay::with(
        replay::decision("shop/cart", "trial.example", "/"),
        json!({"dryRun": "deny"}),
    );
    let (_, by) = suggest(std::slice::from_ref(&dry_run), "--by dry-run");
    assert_eq!(by.code, Some(2), "{by:?}");
    assert!(by.stderr.contains("nothing crossed"), "{by:?}");
    assert_eq!(suggest(&[dry_run], "--by verdict").1.code, Some(0));
}

#[test]
fn hosts_that_accounts_share_are_a_set() {
    let mut records = Vec::new();
    for namespace in ["shop", "web"] {
        for account in ["a", "b", "c"] {
            for host in ["one.example", "two.example"] {
                let record = replay::decision(&format!("{namespace}/{account}"), host, "/");
                records.extend([record.clone(), record]);
            }
        }
    }
    let (folder, ended) = suggest(&records, "--output new");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let root = std::fs::read_to_string(folder.path().join("new/istio-system.yaml")).unwrap();
    assert!(
        root.contains("kind: DestinationSet\nmetadata: {name: shared-one.example, namespace: istio-system}\nspec:\n  hosts:\n  - one.example\n  - two.example\n"),
        "{root}"
    );
    let web = std::fs::read_to_string(folder.path().join("new/web.yaml")).unwrap();
    assert_eq!(
        web.matches("destinations: [shared-one.example]").count(),
        3,
        "{web}"
    );
    assert_eq!(folder.run("lint new --deny-warnings").code, Some(0));
    assert_eq!(folder.run("replay log --policies new").code, Some(0));
    let own = suggest(&records, "--share 0").1.stdout;
    assert!(!own.contains("DestinationSet"), "{own}");
}

#[test]
fn a_log_in_which_nothing_crossed_suggests_nothing() {
    let never = denied(replay::decision("shop/cart", "a.example", "/"));
    let (_, ended) = suggest(&[never], "");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(
        ended
            .stderr
            .contains("nothing crossed, so there is nothing to suggest"),
        "{ended:?}"
    );
    let (_, ended) = suggest(&records(), "--since 2027-01-01T00:00:00Z");
    assert!(
        ended
            .stderr
            .contains("theirs are from 2026-11-23T00:00:00Z"),
        "{ended:?}"
    );
    for bad in ["example", "*.x.example", "X.example"] {
        let (_, ended) = suggest(&records(), &format!("--suffix {bad}"));
        assert_eq!(ended.code, Some(2), "{bad}: {ended:?}");
    }
}

#[test]
fn a_hostile_text_stays_in_its_comment() {
    let odd = replay::with(
        replay::decision("shop/cart", "", "/"),
        json!({"rawHost": "x\n- name: evil\u{1b}[2J"}),
    );
    let long = replay::decision(&format!("shop/{}", "a".repeat(250)), "true.example", "/");
    let word = replay::decision("shop/true", "true", "/");
    let digits = replay::decision("shop/123", "192.0.2.1", "/");
    let (folder, ended) = suggest(&[odd, long, word, digits], "--output new");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let shop = std::fs::read_to_string(folder.path().join("new/shop.yaml")).unwrap();
    assert!(
        shop.lines()
            .filter(|line| line.contains("evil"))
            .all(|line| line.starts_with("#   "))
    );
    assert!(
        shop.bytes()
            .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte))
    );
    let lint = folder.run("lint new");
    assert_eq!(lint.code, Some(0), "{lint:?}");
}

/// Draws the log of a namespace that asks for a few hosts in odd ways.
fn drawn(choices: &mut Choices<'_>) -> Vec<Value> {
    const HOSTS: &[&str] = &[
        "a.example",
        "A.example.",
        "b.a.example",
        "a.example:443",
        "a.example:8443",
        "b.a.example:80",
        "c.test",
        "10.0.0.1",
        "[2001:db8::1]:443",
        "[::ffff:10.0.0.1]",
        "bad..host",
        "",
    ];
    const PATHS: &[&str] = &["/", "/v1/a", "/v1/b", "/v2", "/v1/../x", "/%61", "/a*", ""];
    const CALLERS: &[&str] = &["shop/cart", "shop/pay", "web/app", "istio-system/egress"];
    let count = 1 + choices.below(40);
    (0..count)
        .map(|index| {
            let host = HOSTS[choices.below(HOSTS.len())];
            let caller = CALLERS[choices.below(CALLERS.len())];
            let record = replay::decision(caller, host, PATHS[choices.below(PATHS.len())]);
            let record = replay::with(
                record,
                json!({
                    "time": format!("2026-11-23T12:{index:02}:00Z"), "rawHost": host, "host": "h.example",
                    "method": (["GET", "POST", "get", ""][choices.below(4)]),
                }),
            );
            match choices.below(10) {
                0 => replay::with(record, json!({"protocol": "tcp", "method": "", "path": ""})),
                1 => unauthenticated(record),
                2 | 3 => denied(record),
                4 => replay::with(record, json!({"path": "hash:0", "redacted": ["path"]})),
                5 => replay::with(
                    record,
                    json!({"principal": "", "serviceAccount": "", "redacted": ["principal", "serviceAccount"]}),
                ),
                _ => record,
            }
        })
        .collect()
}

/// The callers and hosts of rows, as a report names them.
fn pairs(rows: &Value, caller: &str, host: &str) -> BTreeSet<(String, String)> {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let pair = |row: &Value| (text(row, caller), text(row, host));
    rows.as_array().unwrap().iter().map(pair).collect()
}

#[test]
fn a_replay_of_the_log_changes_only_what_the_suggestion_says() {
    let arguments = [
        "",
        "--steady 1",
        "--steady 1 --share 2",
        "--group-suffix 2",
        "--suffix a.example --share 0",
    ];
    let mut counts = (0, 0, 0);
    for seed in 0..24_u32 {
        let bytes: Vec<u8> = (0..600_u32)
            .map(|at| {
                let mixed = (seed * 7_919 + at).wrapping_mul(2_654_435_761);
                (mixed >> 13).to_le_bytes()[0]
            })
            .collect();
        let records = drawn(&mut Choices::of(&bytes));
        let arguments = arguments[seed as usize % arguments.len()];
        let (folder, ended) = suggest(&records, &format!("--output new --format json {arguments}"));
        if ended.code == Some(2) {
            counts.2 += 1;
            continue;
        }
        let said = ended.json();
        let lint = folder.run("lint new --deny-warnings");
        assert_eq!(lint.code, Some(0), "{seed} {arguments}: {lint:?}");
        let replayed = folder.run("replay log --policies new --format json").json();
        let flips = &replayed["flips"];
        // What becomes denied gets no grant, which is said with its caller.
        let left_out: BTreeSet<String> = pairs(&said["leftOut"], "caller", "host")
            .into_iter()
            .map(|(caller, _)| caller)
            .collect();
        for row in flips[1]["rows"].as_array().unwrap() {
            let account = row["serviceAccount"].as_str().unwrap();
            let identity = row["identity"].as_str().unwrap();
            assert!(
                left_out.contains(account) || left_out.contains(identity),
                "{seed} {arguments}: {row} {said}"
            );
            counts.0 += 1;
        }
        // What becomes allowed was denied beside something that crossed.
        let allowed = flips[0]["count"].as_u64().unwrap();
        assert!(
            allowed == 0 || said["besideDenials"].as_u64().unwrap() > 0,
            "{seed}: {flips}"
        );
        counts.1 += allowed;
        let exact: u64 = said["leftOut"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["count"].as_u64().unwrap())
            .sum();
        assert!(
            flips[1]["count"].as_u64().unwrap() <= exact,
            "{seed} {arguments}: {flips} {said}"
        );
    }
    assert!(counts.0 > 10 && counts.1 > 0 && counts.2 < 12, "{counts:?}");
}

#[test]
fn tightening_names_the_grants_that_nothing_needs() {
    let records = records();
    let log = log(&records);
    let spec = "{allow: [{name: psp, hosts: ['*.psp.example']}, {name: list, hosts: [once.example, never.example]}, \
                {name: gone, hosts: [gone.example]}, {name: late, hosts: [late.example], expires: 2026-01-01T00:00:00Z}, \
                {name: exact, hosts: [other.example]}]}";
    let more = replay::decision("shop/cart", "other.example", "/").to_string();
    let files = [
        ("log", format!("{log}{more}\n")),
        ("old/a.yaml", policy("shop", spec)),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let folder = Folder::with(&files);
    let ended = folder.run("suggest log --tighten old");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        ended.stdout,
        "32 decisions from 2026-11-23T00:00:00.000Z to 2026-11-29T03:00:00.000Z\n\
         note: the decisions cover 6 days, fewer than 7; a grant that is needed less often looks unused\n\
         \n\
         ep:shop/egress#gone (old/a.yaml:4)\n  never used: remove it\n\
         \n\
         ep:shop/egress#late (old/a.yaml:4)\n  never used: remove it\n  expired: remove it, or renew it\n\
         \n\
         ep:shop/egress#list (old/a.yaml:4)\n  used once, last on 2026-11-23T12:00:00Z\n  no request needs: never.example\n\
         \n\
         ep:shop/egress#psp (old/a.yaml:4)\n  used 29 times, last on 2026-11-29T03:00:00Z\n  \
         wider than what crossed, which was: api.psp.example\n\
         \n\
         5 grants: 2 never used, 1 expired, 2 wider than what crossed\n"
    );
    let document = folder
        .run("suggest log --tighten old --format json --min-days 5")
        .json();
    assert_eq!(document["caveats"], json!([]));
    assert_eq!(document["grants"][0]["isNeeded"], true);
    let narrow = policy("shop", "{allow: [{name: psp, hosts: [api.psp.example]}]}");
    let folder = Folder::with(&[("log", log.as_str()), ("old/a.yaml", narrow.as_str())]);
    assert_eq!(folder.run("suggest log --tighten old").code, Some(0));
    assert_eq!(folder.run("suggest log --tighten gone").code, Some(2));
}
