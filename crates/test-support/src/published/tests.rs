//! The pages and plots are as their data says, and every file of docs/benchmarks is used.

use std::collections::BTreeSet;
use std::fs;

use super::{stale, wrapped};
use crate::plots;

#[test]
fn pages_and_plots_are_as_their_data_says() {
    let stale = stale().unwrap();
    assert!(stale.is_empty(), "{stale:?}: make plots");
}

#[test]
fn every_plot_is_drawn_from_data_and_shown_on_a_page() {
    let folder = plots::folder();
    let names = fs::read_dir(&folder).unwrap();
    let found: BTreeSet<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".svg"))
        .collect();
    let drawn = plots::draw_all(&folder).unwrap();
    let drawn: BTreeSet<String> = drawn.iter().map(|plot| plot.file.to_owned()).collect();
    assert_eq!(found, drawn);
    let docs = crate::repository().join("docs");
    let mut text = String::new();
    for folder in [docs.clone(), docs.join("explanation")] {
        let files = fs::read_dir(folder).unwrap();
        let files = files.map(|entry| entry.unwrap().path());
        for page in files.filter(|path| path.extension().is_some_and(|it| it == "md")) {
            text.push_str(&fs::read_to_string(page).unwrap());
        }
    }
    for name in drawn {
        let link = format!("benchmarks/{name})");
        assert!(text.contains(&link), "no page shows {name}");
    }
}

#[test]
fn prose_is_wrapped_and_tables_are_not() {
    let words = "word ".repeat(50);
    let text = format!("{words}\n\n| {words}|\n");
    let lines: Vec<String> = wrapped(&text).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(lines[..3].iter().all(|line| line.len() <= 100));
    assert!(lines[4].len() > 200);
}
