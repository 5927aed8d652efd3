//! The places to which the record goes: stdout and files.
//!
//! A sink takes bytes and says how many it took. It keeps nothing back: what it took is with the operating system, so
//! a `Place` always knows where to go on after a failure. When to try again, numbering and counting are the
//! [`writer`](super::writer)'s. Sinks are opened before serving starts: a place that cannot be written is an error then.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The permissions of a file that is made: its owner writes, its group reads.
const FILE_MODE: u32 = 0o640;

/// Where the record goes, as the settings say it: `stdout`, `file:PATH` or `off`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SinkConfig {
    /// The process's standard output.
    Stdout,
    /// A file that is appended to.
    File(PathBuf),
    /// Nowhere; nothing else may stand beside it.
    Off,
}

/// What is wrong with where the record shall go.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadSink {
    /// The text says no place.
    #[error("`{0}` is no place for the audit; write `stdout`, `file:PATH` or `off`")]
    Unknown(String),
    /// `file:` without a path.
    #[error("`file:` needs a path, such as `file:/var/log/customs/audit.jsonl`")]
    NoPath,
    /// `off` beside another place.
    #[error("the audit cannot be `off` and go to `{0}` as well; leave one of them out")]
    OffAndOn(SinkConfig),
    /// The same place is named twice.
    #[error("the audit goes to `{0}` twice, which would write each record twice; name it once")]
    Twice(SinkConfig),
    /// The file cannot be opened.
    #[error("cannot open the audit file `{}`: {problem}; {advice}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// There is no standard output.
    #[error("cannot write the audit to stdout: {0}; start customs with an open stdout, or use `file:PATH`")]
    Stdout(io::Error),
}

impl FromStr for SinkConfig {
    type Err = BadSink;

    fn from_str(text: &str) -> Result<SinkConfig, BadSink> {
        match (text, text.strip_prefix("file:")) {
            ("stdout", _) => Ok(SinkConfig::Stdout),
            ("off", _) => Ok(SinkConfig::Off),
            (_, Some("")) => Err(BadSink::NoPath),
            (_, Some(path)) => Ok(SinkConfig::File(path.into())),
            (_, None) => Err(BadSink::Unknown(text.to_owned())),
        }
    }
}

impl TryFrom<String> for SinkConfig {
    type Error = BadSink;

    fn try_from(text: String) -> Result<SinkConfig, BadSink> {
        text.parse()
    }
}

impl From<SinkConfig> for String {
    fn from(config: SinkConfig) -> String {
        config.to_string()
    }
}

impl fmt::Display for SinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkConfig::Stdout => f.write_str("stdout"),
            SinkConfig::File(path) => write!(f, "file:{}", path.display()),
            SinkConfig::Off => f.write_str("off"),
        }
    }
}

/// A place that takes the record's bytes. It must not buffer: what `write` took is gone from here.
pub trait Sink: Send {
    /// The name in messages: what the settings said.
    fn name(&self) -> &str;

    /// Takes some of the bytes, from the first on, and says how many. It may wait.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Waits until what was taken is on the disk, where there is one.
    fn sync(&mut self) -> io::Result<()>;
}

/// Opens every place; none for `off`.
pub fn open(configs: &[SinkConfig]) -> Result<Vec<Box<dyn Sink>>, BadSink> {
    for (index, config) in configs.iter().enumerate() {
        if configs.iter().take(index).any(|earlier| earlier == config) {
            return Err(BadSink::Twice(config.clone()));
        }
    }
    let places = || configs.iter().filter(|config| **config != SinkConfig::Off);
    match places().next() {
        Some(place) if configs.contains(&SinkConfig::Off) => Err(BadSink::OffAndOn(place.clone())),
        _ => places().map(open_one).collect(),
    }
}

fn open_one(config: &SinkConfig) -> Result<Box<dyn Sink>, BadSink> {
    let (file, synced) = match config {
        SinkConfig::File(path) => {
            let file = open_file(path).map_err(|problem| bad_file(path, problem))?;
            let synced = file.metadata().is_ok_and(|about| about.is_file());
            (file, synced)
        }
        // The descriptor itself: the library's stdout would keep back what does not end a line.
        SinkConfig::Stdout | SinkConfig::Off => {
            let descriptor = io::stdout().as_fd().try_clone_to_owned().map_err(BadSink::Stdout)?;
            (File::from(descriptor), false)
        }
    };
    Ok(Box::new(FileSink { name: config.to_string(), file, synced }))
}

/// Opens a file for appending, and ends a line that an earlier process could not end.
fn open_file(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)?;
    if file.metadata()?.is_file() && !ends_a_line(path)? {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Whether a file is empty or ends with a line feed. One that may be written but not read is taken to do so.
fn ends_a_line(path: &Path) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Err(problem) if problem.kind() == io::ErrorKind::PermissionDenied => return Ok(true),
        opened => opened?,
    };
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn bad_file(path: &Path, problem: io::Error) -> BadSink {
    let advice = match problem.kind() {
        io::ErrorKind::NotFound => "make its directory first, customs does not",
        io::ErrorKind::PermissionDenied => "let the user that runs customs write there",
        io::ErrorKind::IsADirectory => "name a file in that directory",
        io::ErrorKind::NotADirectory => "a part of the path is a file; name another place",
        io::ErrorKind::ReadOnlyFilesystem => "mount a volume that can be written, or use `stdout`",
        io::ErrorKind::StorageFull => "make room there, or name another place",
        _ => "name a file that can be appended to",
    };
    BadSink::File { path: path.to_owned(), problem, advice }
}

/// A file, a pipe or a terminal.
struct FileSink {
    name: String,
    file: File,
    /// Whether there is a disk behind it.
    synced: bool,
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.synced { self.file.sync_all() } else { Ok(()) }
    }
}

/// A sink, and how much of the batch it has.
pub(super) struct Place {
    sink: Box<dyn Sink>,
    taken: usize,
    failing: bool,
}

/// What came of an attempt to hand a batch to a sink.
pub(super) enum Attempt {
    /// The sink has all of it.
    Complete,
    /// It can take no more just now.
    Busy,
    /// It failed.
    Failed(io::Error),
}

impl Place {
    /// A sink that has nothing yet.
    pub(super) fn new(sink: Box<dyn Sink>) -> Place {
        Place { sink, taken: 0, failing: false }
    }

    /// Begins with a new batch.
    pub(super) fn begin(&mut self) {
        self.taken = 0;
    }

    /// The sink's name in messages.
    pub(super) fn name(&self) -> &str {
        self.sink.name()
    }

    /// Whether the last attempt failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    /// Waits until what was taken is on the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.sink.sync()
    }

    /// Hands over what the sink does not have yet.
    pub(super) fn offer(&mut self, batch: &[u8]) -> Attempt {
        loop {
            let rest = batch.get(self.taken..).unwrap_or_default();
            if rest.is_empty() {
                return Attempt::Complete;
            }
            match self.sink.write(rest) {
                Ok(0) => return Attempt::Failed(io::ErrorKind::WriteZero.into()),
                Ok(taken) => self.taken += taken,
                Err(problem) if problem.kind() == io::ErrorKind::Interrupted => {}
                Err(problem) if problem.kind() == io::ErrorKind::WouldBlock => return Attempt::Busy,
                Err(problem) => return Attempt::Failed(problem),
            }
        }
    }

    /// Tells a change of state once.
    pub(super) fn tell(&mut self, problem: Option<&io::Error>) {
        match (std::mem::replace(&mut self.failing, problem.is_some()), problem) {
            (false, Some(problem)) => tracing::error!(
                sink = self.sink.name(),
                %problem,
                "the audit cannot be written; answers are withheld until it can"
            ),
            (true, None) => tracing::info!(sink = self.sink.name(), "the audit is written again, nothing was lost"),
            (true, Some(_)) | (false, None) => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod doubles {
    //! A sink in memory, whose failures a test chooses.

    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What the next call of `write` does.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Step {
        /// Takes at most so many bytes.
        Take(usize),
        /// Fails.
        Fail(io::ErrorKind),
    }

    /// Keeps what was written; clones share it.
    #[derive(Clone, Default)]
    pub(crate) struct Memory {
        pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
        pub(crate) syncs: Arc<Mutex<usize>>,
        /// The next calls; when there are none left, everything is taken.
        pub(crate) steps: Arc<Mutex<VecDeque<Step>>>,
        /// While set, every call fails as a full disk does.
        pub(crate) full: Arc<Mutex<bool>>,
    }

    impl Memory {
        pub(crate) fn with(steps: impl IntoIterator<Item = Step>) -> Memory {
            Memory { steps: Arc::new(Mutex::new(steps.into_iter().collect())), ..Memory::default() }
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
        }

        pub(crate) fn set_full(&self, full: bool) {
            *self.full.lock().unwrap() = full;
        }

        pub(crate) fn boxed(&self) -> Box<dyn Sink> {
            Box::new(self.clone())
        }
    }

    impl Sink for Memory {
        fn name(&self) -> &str {
            "memory"
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if *self.full.lock().unwrap() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let take = match self.steps.lock().unwrap().pop_front() {
                Some(Step::Fail(kind)) => return Err(kind.into()),
                Some(Step::Take(limit)) => limit.min(bytes.len()),
                None => bytes.len(),
            };
            self.bytes.lock().unwrap().extend_from_slice(&bytes[..take]);
            Ok(take)
        }

        fn sync(&mut self) -> io::Result<()> {
            *self.syncs.lock().unwrap() += 1;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(path: &Path) -> SinkConfig {
        SinkConfig::File(path.to_owned())
    }

    fn error(configs: &[SinkConfig]) -> String {
        open(configs).err().expect("it should not open").to_string()
    }

    #[test]
    fn places_are_read_as_they_are_told() {
        for text in ["stdout", "off", "file:audit.jsonl", "file:/var/log/a:b"] {
            assert_eq!(text.parse::<SinkConfig>().unwrap().to_string(), text);
        }
        let quoted: SinkConfig = serde_json::from_str("\"file:x\"").unwrap();
        assert_eq!(serde_json::to_string(&quoted).unwrap(), "\"file:x\"");
    }

    #[test]
    fn a_bad_place_is_told_with_what_to_write() {
        for (text, expected) in [
            ("", "`` is no place for the audit; write `stdout`, `file:PATH` or `off`"),
            ("stderr", "`stderr` is no place for the audit; write `stdout`, `file:PATH` or `off`"),
            ("/tmp/x", "`/tmp/x` is no place for the audit; write `stdout`, `file:PATH` or `off`"),
            ("file:", "`file:` needs a path, such as `file:/var/log/customs/audit.jsonl`"),
        ] {
            assert_eq!(text.parse::<SinkConfig>().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn places_that_exclude_each_other_are_refused() {
        assert!(error(&[SinkConfig::Stdout, SinkConfig::Off]).contains("`off` and go to `stdout`"));
        assert!(error(&[SinkConfig::Stdout, SinkConfig::Stdout]).contains("twice"));
        assert!(open(&[SinkConfig::Off]).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_opened_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        for (path, expected) in [
            (directory.path().join("missing/audit.jsonl"), "make its directory first"),
            (directory.path().to_owned(), "name a file in that directory"),
            (plain.join("audit.jsonl"), "a part of the path is a file"),
        ] {
            let message = error(&[file(&path)]);
            assert!(message.contains(expected), "{message}");
            assert!(message.contains(&path.display().to_string()), "{message}");
        }
    }

    #[test]
    fn a_new_file_is_not_for_everybody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let mut sinks = open(&[file(&path)]).unwrap();
        assert_eq!(sinks[0].write(b"{}\n").unwrap(), 3);
        sinks[0].sync().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
    }

    #[test]
    fn a_file_goes_on_behind_what_it_has() {
        for (before, after) in [("", "{}\n"), ("{}\n", "{}\n{}\n"), ("{\"torn", "{\"torn\n{}\n")] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("audit.jsonl");
            std::fs::write(&path, before).unwrap();
            open(&[file(&path)]).unwrap()[0].write(b"{}\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
    }
}
