//! Reads the files of a source side by side, one thread a core: parsing is most of the work of a large set.
//!
//! What a file means is the engine's business; nothing here depends on which thread was first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::engine::policy::compile::{self, LoadedFile, LoadedSource, Source};
use crate::engine::settings::Settings;

/// Below this many bytes of text threads would cost more than they save.
const SMALL: usize = 256 * 1024;

/// Reads one source, as [`compile::load`] does.
pub fn load(source: Source, settings: &Settings) -> LoadedSource {
    let bytes: usize = source.files.iter().map(|file| file.bytes.len()).sum();
    let cores = thread::available_parallelism().map_or(1, usize::from).min(source.files.len());
    if cores < 2 || bytes < SMALL {
        return compile::load(source, settings);
    }
    let next = AtomicUsize::new(0);
    let mut read: Vec<(usize, LoadedFile)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| read_some(&source, settings, &next))).collect();
        // A panic is a defect of the parser; it goes on in the thread that asked, which keeps what is in force.
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    });
    read.sort_by_key(|(index, _)| *index);
    compile::join_files(source, read.into_iter().map(|(_, file)| file).collect())
}

/// Reads file after file until none is left, each under its number.
fn read_some(source: &Source, settings: &Settings, next: &AtomicUsize) -> Vec<(usize, LoadedFile)> {
    let mut read = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(file) = source.files.get(index) else { return read };
        read.push((index, compile::read_file(&source.name, file, settings)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::policy::compile::PolicyFile;

    #[test]
    fn side_by_side_is_as_one_after_the_other() {
        let file = |index: usize| {
            let policy = |n: usize| {
                format!(
                    "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: p{}, namespace: n}}\n\
                     spec: {{allow: [{{name: a, hosts: [{}]}}]}}\n",
                    index * 300 + n,
                    if n.is_multiple_of(50) { "A.example" } else { "a.example" }
                )
            };
            let text = (0..300).map(policy).collect::<Vec<_>>().join("---\n");
            PolicyFile { name: format!("{index:02}.yaml"), bytes: text.into_bytes() }
        };
        let source = Source { name: "s".into(), files: (0..12).map(file).collect() };
        assert!(source.files.iter().map(|f| f.bytes.len()).sum::<usize>() > SMALL);
        let settings = Settings::default();
        let (one, other) = (compile::load(source.clone(), &settings), load(source, &settings));
        assert_eq!(one.problems(), other.problems());
        assert_eq!((one.documents(), one.problems().len()), (other.documents(), 12 * 6));
    }
}
