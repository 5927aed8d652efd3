//! The table of a run: which samples are shown, and what is said of a table that has none.

use super::SoakTable;

const HEAD: &str = "seconds,memory_kib,descriptors,checks,wrong,reloads\n";

/// A run of this many minutes with a sample a minute.
fn run(minutes: u32) -> String {
    let rows = (0..=minutes).map(|minute| {
        let seconds = minute * 60;
        format!("{seconds}.00,40960,32,{},0,{seconds}\n", seconds * 1000)
    });
    [HEAD.to_owned()].into_iter().chain(rows).collect()
}

#[test]
fn the_last_ten_minutes_of_a_long_run_are_shown() {
    let table = SoakTable::parse(&run(60)).unwrap();
    assert_eq!(table.minutes(), (50.0, 60.0));
    assert_eq!(table.rows().len(), 11);
    // A rate needs two samples.
    assert_eq!(table.rates().len(), 10);
}

#[test]
fn the_whole_of_a_short_run_is_shown() {
    let table = SoakTable::parse(&run(3)).unwrap();
    assert_eq!(table.minutes(), (0.0, 3.0));
    assert_eq!(table.rows().len(), 4);
    assert!(table.rates().iter().all(|(_, rate)| *rate == 1000.0));
}

#[test]
fn what_is_shown_can_be_kept_and_read_again() {
    let table = SoakTable::parse(&run(60)).unwrap();
    let kept = SoakTable::parse(&table.csv()).unwrap();
    assert_eq!(kept.csv(), table.csv());
    assert_eq!(kept.minutes(), table.minutes());
}

#[test]
fn a_table_that_cannot_be_read_is_an_error_that_says_why() {
    for (csv, why) in [
        (String::new(), "no column \"seconds\""),
        (run(3).replace("wrong", "right"), "no column \"wrong\""),
        (HEAD.to_owned(), "fewer than two samples"),
        (format!("{HEAD}1,2,three,4,5,6\n"), "line 2: \"three\""),
        (format!("{HEAD}1,2\n"), "line 2: \"\""),
    ] {
        let error = SoakTable::parse(&csv).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
