//! The problems of a source that hangs, and of one that never rests.

use std::collections::BTreeSet;
use std::path::Path;

use super::target::Content;
use crate::problems::whole;
use customs_policy::problem::{Code, Problem};
use customs_policy::source::{PolicyFile, Source};

/// How many files that keep changing are named.
const NAMED: usize = 3;

pub(super) fn hangs(source: &Path, at: &Path) -> Problem {
    let what = match at == source {
        true => "reading this does not finish".to_owned(),
        false => format!("reading `{}` does not finish", at.display()),
    };
    Problem::error(Code::Unreadable, whole(source), what)
        .hint("remove the file, or repair the file system; it is read once the file system answers")
}

/// Returns the problem of a source whose reads never agree, with the files in which they differ.
pub(super) fn restless(path: &Path, content: &Content, before: Option<&Content>) -> Problem {
    let differing = match (content, before) {
        (Content::Directory(Ok(one)), Some(Content::Directory(Ok(other)))) => differing(one, other),
        _ => BTreeSet::new(),
    };
    let named: Vec<String> = differing
        .iter()
        .take(NAMED)
        .map(|name| format!("`{}`", name))
        .collect();
    let text = match (named.as_slice(), content) {
        ([], Content::Settings(_)) => "the file keeps changing while it is read".to_owned(),
        ([], _) => "the directory keeps changing while it is read".to_owned(),
        _ => format!("{} keeps changing while it is read", named.join(", ")),
    };
    let place = match (differing.first(), differing.len()) {
        (Some(name), 1) => whole(&path.join(name)),
        _ => whole(path),
    };
    Problem::error(Code::Unreadable, place, text)
        .hint("a file must not change while it is read: write it elsewhere and rename it into place, or move it out of the directory")
}

fn differing(one: &Source, other: &Source) -> BTreeSet<String> {
    let lacks = |a: &Source, b: &Source| -> Vec<String> {
        let same = |file: &PolicyFile| {
            b.files
                .binary_search_by(|other| other.name.cmp(&file.name))
                .ok()
        };
        let is_there = |file: &PolicyFile| same(file).and_then(|at| b.files.get(at)) == Some(file);
        a.files
            .iter()
            .filter(|file| !is_there(file))
            .map(|file| file.name.clone())
            .collect()
    };
    lacks(one, other)
        .into_iter()
        .chain(lacks(other, one))
        .collect()
}
