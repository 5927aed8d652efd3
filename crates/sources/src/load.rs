//! Reads the files of a source side by side: parsing is most of the work of a large set.
//!
//! The rule: it uses all cores before anything was read, since no check waits for an answer then;
//! later all cores except one, which is left to checks. Being scheduled behind checks is not
//! enough: a check that wakes on a core that runs something else waits for the switch, and finds
//! the core's caches full of policies. The policy language says what a file means; nothing here
//! depends on which thread was first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use customs_engine::settings::Settings;
use customs_policy::source::{LoadedFile, LoadedSource, PolicyFile, Source};

/// Below this many bytes of text, threads would cost more than they save.
const SMALL: usize = 256 * 1024;

/// Reads one source, as [`source::load`](customs_policy::source::load) does. Files that are
/// unchanged since `before`, which was read with the same settings, are not read again.
pub fn load(source: &Source, before: Option<&LoadedSource>, settings: &Settings) -> LoadedSource {
    let known = |file| {
        before
            .and_then(|before| before.unchanged(file))
            .cloned()
            .ok_or(file)
    };
    let (mut files, mut new) = (Vec::new(), Vec::new());
    for (index, file) in source.files.iter().enumerate() {
        match known(file) {
            Ok(loaded) => files.push((index, loaded)),
            Err(file) => new.push((index, file)),
        }
    }
    let job = Job {
        source,
        files: &new,
        settings,
        next: AtomicUsize::new(0),
    };
    files.extend(job.run(usize::from(before.is_some())));
    files.sort_by_key(|(index, _)| *index);
    LoadedSource::of(
        source,
        files.into_iter().map(|(_, file)| file).collect(),
        settings,
    )
}

/// The files to read, each with its number.
struct Job<'j> {
    source: &'j Source,
    files: &'j [(usize, &'j PolicyFile)],
    settings: &'j Settings,
    next: AtomicUsize,
}

impl Job<'_> {
    /// Reads them on all cores except `left_alone`.
    fn run(&self, left_alone: usize) -> Vec<(usize, LoadedFile)> {
        let bytes: usize = self.files.iter().map(|(_, file)| file.bytes.len()).sum();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.saturating_sub(left_alone).min(self.files.len());
        if threads < 2 || bytes < SMALL {
            return self.read_some();
        }
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| self.read_some()))
                .collect();
            // A panic is a defect of the parser. It is passed on to the calling thread, which keeps
            // what is in force.
            let join = |worker: thread::ScopedJoinHandle<'_, _>| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().flat_map(join).collect()
        })
    }

    /// Reads file after file until none is left, and returns each under its number.
    fn read_some(&self) -> Vec<(usize, LoadedFile)> {
        let mut read = Vec::new();
        while let Some((index, file)) = self.files.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            read.push((*index, LoadedFile::read(self.source, file, self.settings)));
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_policy::source;

    #[test]
    fn side_by_side_is_as_one_after_the_other() {
        let file = |index: usize| {
            let policy = |n: usize| {
                format!(
                    "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: p{}, namespace: n}}\n\
                     spec: {{allow: [{{name: a, hosts: [{}]}}]}}\n",
                    index * 300 + n,
                    if n.is_multiple_of(50) {
                        "A.example"
                    } else {
                        "a.example"
                    }
                )
            };
            let text = (0..300).map(policy).collect::<Vec<_>>().join("---\n");
            PolicyFile {
                name: format!("{index:02}.yaml"),
                bytes: text.into_bytes().into(),
            }
        };
        let source = Source {
            name: "s".into(),
            files: (0..12).map(file).collect(),
            ..Source::default()
        };
        assert!(source.files.iter().map(|f| f.bytes.len()).sum::<usize>() > SMALL);
        let settings = Settings::default();
        let (one, other) = (
            source::load(&source, &settings),
            load(&source, None, &settings),
        );
        assert_eq!(one.problems(), other.problems());
        assert_eq!(other.problems().len(), 12 * 6);
        assert!(one.is_same(&other) && other.is(&source));
    }
}
