//! Tests the book as its readers use it: the commands of every page are run and their output is
//! compared, its policies are linted, its sentences keep the rules, and its list of pages is whole.
//!
//! A page is a test of its own kind, so there is no list of pages here: each `.md` below docs/, and
//! README.md, is read. `page` says how a page is read, `runner` how its commands are run.
//!
//! ```sh
//! cargo test --test book                                        # every page
//! CUSTOMS_BOOK_PAGE=tutorial/ cargo test --test book            # those with this in their path
//! CUSTOMS_BOOK_DRAW=1 cargo test --test book                    # write this run's outputs into the pages
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    missing_docs
)]

mod checks;
mod comparison;
mod named;
mod page;
mod prose;
mod runner;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use page::Page;

/// How many pages are followed at once. Most of the time a page waits for a server.
const AT_ONCE: usize = 4;

pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            markdown(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

/// Every page of the book, and README.md, in the order of their paths.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths = vec![repository().join("README.md")];
    markdown(&repository().join("docs"), &mut paths);
    paths.sort();
    let chosen = std::env::var("CUSTOMS_BOOK_PAGE").unwrap_or_default();
    let pages: Vec<Page> = paths
        .iter()
        .filter(|path| path.to_string_lossy().contains(&chosen))
        .map(|path| Page::read(path))
        .collect();
    assert!(!pages.is_empty(), "no page has {chosen:?} in its path");
    pages
}

/// Panics with every complaint, if there is one.
pub(crate) fn report(complaints: Vec<String>) {
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn the_commands_of_the_pages_print_what_the_pages_say() {
    let pages = Mutex::new(pages().into_iter());
    let outcome = Mutex::new((Vec::new(), 0, 0));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(page) = pages.lock().unwrap().next() else {
                        return;
                    };
                    let followed = runner::follow(page);
                    let mut outcome = outcome.lock().unwrap();
                    outcome.0.extend(followed.complaints);
                    outcome.1 += followed.commands;
                    outcome.2 += usize::from(followed.commands > 0);
                }
            });
        }
    });
    let (complaints, commands, pages) = outcome.into_inner().unwrap();
    println!("{commands} commands of {pages} pages were run");
    report(complaints);
}

#[test]
fn what_commands_that_need_more_than_this_machine_name_exists() {
    let mut names = named::Names::default();
    let complaints = pages()
        .iter()
        .flat_map(|page| named::complaints(page, &mut names))
        .collect();
    println!(
        "{} commands were not run; their commands, flags and paths were looked up",
        names.commands
    );
    report(complaints);
}

#[test]
fn policies_and_documents_on_pages_are_valid() {
    report(pages().iter().flat_map(checks::complaints).collect());
}

#[test]
fn sentences_keep_the_rules() {
    report(pages().iter().flat_map(prose::complaints).collect());
}

#[test]
fn every_page_is_in_the_summary_once() {
    if std::env::var_os("CUSTOMS_BOOK_PAGE").is_none() {
        report(summary::complaints(&pages()));
    }
}
