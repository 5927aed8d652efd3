//! The table of a run: which samples are drawn, and what is said of a table that has none.

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

/// Returns the points of each curve.
fn curves(picture: &str) -> Vec<Vec<&str>> {
    let curves = picture
        .lines()
        .filter_map(|line| line.strip_prefix("<polyline points=\""));
    curves
        .map(|curve| curve.split('"').next().unwrap().split(' ').collect())
        .collect()
}

#[test]
fn the_last_ten_minutes_of_a_long_run_are_drawn() {
    let picture = SoakTable::parse(&run(60)).unwrap().picture();
    assert!(picture.contains("minutes 50 to 60 of a run"), "{picture}");
    let lengths: Vec<usize> = curves(&picture).iter().map(Vec::len).collect();
    assert_eq!(lengths, [11, 11, 11, 11]);
}

#[test]
fn the_whole_of_a_short_run_is_drawn() {
    let picture = SoakTable::parse(&run(3)).unwrap().picture();
    assert!(picture.contains("minutes 0 to 3 of a run"), "{picture}");
    // A rate needs two samples.
    let lengths: Vec<usize> = curves(&picture).iter().map(Vec::len).collect();
    assert_eq!(lengths, [4, 4, 3, 4]);
}

#[test]
fn what_is_flat_is_drawn_flat_and_what_is_zero_at_the_bottom() {
    let picture = SoakTable::parse(&run(3)).unwrap().picture();
    for curve in curves(&picture) {
        let heights: Vec<&str> = curve
            .iter()
            .map(|point| point.split_once(',').unwrap().1)
            .collect();
        assert!(
            heights.windows(2).all(|pair| pair[0] == pair[1]),
            "{heights:?}"
        );
    }
    assert!(!picture.contains("NaN") && !picture.contains("inf"));
}

#[test]
fn a_table_that_cannot_be_drawn_is_an_error_that_says_why() {
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
