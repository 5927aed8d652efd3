//! One round of reading: every directory and the settings file are read until two reads agree, and what changed is
//! judged together. What was [seen](super::seen) before says which files need not be opened.

use std::path::Path;
use std::time::Duration;

use super::directories::{list, read_bound};
use super::judge::{Judgement, Reading, Role, SettingsRead, SettingsReading, Sources};
use super::read::{Outcome, read_changes, read_stable, unsettled};
use super::seen::Seen;
use super::settings::SettingsFile;
use crate::clock::now;
use crate::engine::time::UnixNanos;

/// What is read in one round, and compared with the next read.
#[derive(PartialEq)]
enum Content {
    /// The directory holds no policies itself.
    Nothing,
    Directory(Outcome),
    Settings(SettingsRead),
}

/// Reads every source and the settings file, and judges what changed; blocks.
pub fn read_and_judge(
    mut sources: Sources,
    settings: Option<&SettingsFile>,
    seen: &Seen,
    pause: Duration,
) -> (Sources, Judgement) {
    enroll(&mut sources);
    let directories: Vec<_> = sources.directories().collect();
    let read = |index: usize| match directories.get(index) {
        Some((path, role)) => read_directory(path, role, seen).map_or(Content::Nothing, Content::Directory),
        None => settings.map_or(Content::Nothing, |file| Content::Settings(file.read())),
    };
    let known = |index: usize, content: &Content| match content {
        Content::Nothing => true,
        Content::Directory(read) => sources.knows(index, read),
        Content::Settings(read) => sources.knows_settings(read),
    };
    // One more than there are directories: the settings file, so that both are read in the same moment.
    let mut contents = read_stable(directories.len() + 1, pause, read, known);
    let settings = settings_reading(contents.pop().flatten(), settings, &sources);
    let reading = |(index, (content, (path, _))): (usize, (_, &(&Path, _)))| match content {
        Some(Content::Directory(read)) if !sources.knows(index, &read) => Reading::Changed(read),
        Some(_) => Reading::Unchanged,
        // It is read again at the next event; only at the first time there is nothing to keep.
        None if sources.was_read(index) => Reading::Unchanged,
        None => Reading::Changed(Err(vec![unsettled(path)])),
    };
    let readings = contents.into_iter().zip(&directories).enumerate().map(reading).collect();
    let judgement = sources.judge(readings, settings, now());
    (sources, judgement)
}

fn settings_reading(
    content: Option<Content>,
    file: Option<&SettingsFile>,
    sources: &Sources,
) -> Option<SettingsReading> {
    match (content, file) {
        (Some(Content::Settings(read)), Some(file)) if !sources.knows_settings(&read) => {
            let meaning = file.meaning(&read, sources.settings());
            Some(SettingsReading { read, meaning })
        }
        _ => None,
    }
}

/// Reads every source once, for whoever looks at files that rest.
pub fn read_once(mut sources: Sources, now: UnixNanos) -> (Sources, Judgement) {
    enroll(&mut sources);
    let seen = Seen::default();
    let read =
        |(path, role): (&Path, &Role)| read_directory(path, role, &seen).map_or(Reading::Unchanged, Reading::Changed);
    let readings = sources.directories().map(read).collect();
    let judgement = sources.judge(readings, None, now);
    (sources, judgement)
}

/// Lists the directories of namespaces, so that new ones are sources.
fn enroll(sources: &mut Sources) {
    let rosters = sources.directories().filter(|(_, role)| **role == Role::Namespaces);
    let rosters: Vec<_> = rosters.map(|(path, _)| path.to_owned()).collect();
    for path in rosters {
        sources.enroll(&path, list(&path));
    }
}

/// Reads a directory; `None` for one that holds no policies itself.
fn read_directory(path: &Path, role: &Role, seen: &Seen) -> Option<Outcome> {
    match role {
        Role::Whole => Some(read_changes(path, seen)),
        Role::Bound(namespace) => Some(read_bound(path, namespace, seen)),
        Role::Namespaces => None,
    }
}
