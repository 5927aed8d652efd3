//! Parsing what h2load prints.

use super::{Request, all_succeeded, first_sent, last_sent, latencies, read_log};

const PRINTED: &str = "finished in 64.25ms, 15564.20 req/s, 1.10MB/s
requests: 1000 total, 1000 started, 1000 done, 1000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 1000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 72.58KB (74320) total, 24.50KB (25088) headers (space savings 86.12%), 8.79KB (9000) data
";

#[test]
fn a_run_in_which_all_succeeded_counts() {
    all_succeeded(PRINTED, 1000).unwrap();
}

#[test]
fn a_run_in_which_anything_failed_does_not_count() {
    let changed = [
        ("1000 succeeded, 0 failed", "999 succeeded, 1 failed"),
        ("0 errored", "1 errored"),
        ("0 timeout", "1 timeout"),
        ("1000 2xx, 0 3xx, 0 4xx", "999 2xx, 0 3xx, 1 4xx"),
        ("status codes:", "codes:"),
        ("requests:", "asked:"),
    ];
    for (from, to) in changed {
        let why = all_succeeded(&PRINTED.replace(from, to), 1000).unwrap_err();
        assert!(
            why.to_string().contains("not every one of 1000"),
            "{to}: {why}"
        );
    }
    assert!(all_succeeded(PRINTED, 1001).is_err());
    assert!(all_succeeded("", 1000).is_err());
}

#[test]
fn a_log_has_a_line_for_each_request() {
    let requests = read_log("1796000000000200\t200\t91\n1796000000000100\t204\t1500\n").unwrap();
    assert_eq!(
        requests[1],
        Request {
            sent: 1_796_000_000_000_100,
            took: 1500
        }
    );
    assert_eq!(first_sent(&requests), Some(1_796_000_000_000_100));
    assert_eq!(last_sent(&requests), Some(1_796_000_000_000_200));
}

#[test]
fn a_log_with_a_failure_is_refused() {
    for line in [
        "1\t503\t9",
        "1\t-1\t9",
        "1\t200",
        "1\t200\tsoon",
        "",
        "one\t200\t9",
    ] {
        let why = read_log(&format!("1\t200\t9\n{line}\n")).unwrap_err();
        assert!(why.to_string().contains(&format!("{line:?}")), "{why}");
    }
}

#[test]
fn latencies_are_of_what_was_sent_in_between() {
    let requests = read_log("10\t200\t5\n20\t200\t9\n30\t200\t1\n40\t200\t7\n").unwrap();
    assert_eq!(latencies(&requests, 20, 40), [1, 9]);
    assert!(latencies(&requests, 41, 90).is_empty());
}
