//! Target `load`: policy files of one source. A line `%file` begins the next file, a line `%source`
//! the next source.
//!
//! Any text is loaded or reported: loading ends, gives the same result every time, and names places
//! that exist. A set without errors compiles, its revision is stable, and the order of its files
//! makes no difference.

use std::sync::LazyLock;

use customs_analysis::findings::{self, Horizon};
use customs_engine::settings::Settings;
use customs_policy::compile::{self, Compiled};
use customs_policy::problem::{Place, Problem};
use customs_policy::source::{self, LoadedSource, PolicyFile, Source};

use super::agree;
use crate::draw::{self, Ask, Choices};

static SETTINGS: LazyLock<Settings> = LazyLock::new(Settings::default);
static ASKS: LazyLock<Vec<Ask>> = LazyLock::new(|| {
    (0..8)
        .map(|byte| draw::ask(&mut Choices::of(&[byte, 0, byte, byte, byte, byte])))
        .collect()
});

/// Runs one input.
pub fn run(bytes: &[u8]) {
    let sources: Vec<Source> = split(bytes, b"\n%source\n")
        .into_iter()
        .enumerate()
        .map(source)
        .collect();
    let first = load(&sources, false);
    let second = load(&sources, true);
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first.has_errors(), second.has_errors());
        if first.source().files.len() == 1 {
            assert_eq!(first.problems(), second.problems());
        }
        first
            .problems()
            .iter()
            .for_each(|problem| check_place(problem, &first.source()));
    }
    let once = compile::compile(&first, &SETTINGS);
    let again = compile::compile(&first, &SETTINGS);
    assert_eq!(revision(&once), revision(&again));
    match (once, compile::compile(&second, &SETTINGS)) {
        (Ok(once), Ok(other)) => {
            assert!(
                first.iter().all(|source| !source.has_errors())
                    && !once.problems.iter().any(Problem::is_error)
            );
            ASKS.iter().for_each(|ask| compare(&once, &other, ask));
            findings::findings(&once.snapshot, Horizon::at(draw::NOW));
        }
        (Err(problems), Err(_)) => {
            assert!(!problems.is_empty() && problems.iter().all(Problem::is_error))
        }
        (once, other) => panic!("the order of files decides: {once:?} {other:?}"),
    }
}

fn source((index, bytes): (usize, &[u8])) -> Source {
    let file = |(index, bytes): (usize, &[u8])| PolicyFile {
        name: format!("{index:03}.yaml"),
        bytes: bytes.into(),
    };
    let files = split(bytes, b"\n%file\n")
        .into_iter()
        .enumerate()
        .map(file)
        .collect();
    Source {
        name: format!("s{index}"),
        files,
        ..Source::default()
    }
}

fn split<'b>(bytes: &'b [u8], line: &[u8]) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(line.len()).position(|window| window == line) {
        parts.push(&rest[..at]);
        rest = &rest[at + line.len()..];
    }
    parts.push(rest);
    parts
}

fn load(sources: &[Source], reversed: bool) -> Vec<LoadedSource> {
    let mut sources = sources.to_vec();
    if reversed {
        sources.iter_mut().for_each(|source| source.files.reverse());
    }
    sources
        .into_iter()
        .map(|source| source::load(&source, &SETTINGS))
        .collect()
}

fn revision(compiled: &Result<Compiled, Vec<Problem>>) -> Option<String> {
    compiled
        .as_ref()
        .ok()
        .map(|compiled| compiled.snapshot.revision().to_string())
}

/// Checks that a place is a file as a whole, or one of its lines, or the line after the last one.
fn check_place(problem: &Problem, source: &Source) {
    let Place { file, line, column } = &problem.place;
    let of = |known: &&PolicyFile| format!("{}/{}", source.name, known.name) == **file;
    let known = source
        .files
        .iter()
        .find(of)
        .unwrap_or_else(|| panic!("{problem}: no such file"));
    assert_eq!(*line == 0, *column == 0, "{problem}");
    let lines = known
        .bytes
        .iter()
        .filter(|byte| matches!(byte, b'\n' | b'\r'))
        .count()
        + 1;
    assert!(
        *line as usize <= lines + 1,
        "{problem}: the file has {lines} lines"
    );
    assert!(
        *column as usize <= known.bytes.len() + 1,
        "{problem}: the file has {} bytes",
        known.bytes.len()
    );
}

fn compare(one: &Compiled, other: &Compiled, ask: &Ask) {
    ask.with(|attributes| {
        let request = attributes.normalise(&SETTINGS);
        let (one, other) = (
            agree::decide(&one.snapshot, &request),
            agree::decide(&other.snapshot, &request),
        );
        let spelt = |decision: &customs_engine::decision::Decision| {
            (
                agree::spelt(&decision.verdict),
                agree::spelt(&decision.dry_run),
            )
        };
        assert_eq!(spelt(&one), spelt(&other), "{ask:?}");
    });
}
