//! Opens the files of a scan, and cuts them into parts that can be read side by side.
//!
//! It reads no record. The rules: a plain file of lines is cut anywhere, since a line feed shows
//! where a record begins; a packed file, a file of messages, a pipe and the standard input are one
//! part each. A file is opened once, and all its parts are read through that.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::part::Part;
use super::{FileOutcome, ScanError, ScanInput, ScanOptions};
use crate::record_reader::{SAMPLE, format_of};
use crate::stream::Format;

/// Opens a file of records, or the standard input for `-`. If the file has been packed since it was
/// listed, opens its packed form.
///
/// # Errors
/// The error of the system.
pub fn open(path: &Path) -> io::Result<File> {
    if path == Path::new("-") {
        return File::open("/dev/stdin");
    }
    match File::open(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            let mut packed = path.as_os_str().to_owned();
            packed.push(".gz");
            File::open(packed).map_err(|_| why)
        }
        opened => opened,
    }
}

/// The parts of all files, in their order.
pub(super) struct Parts<'s> {
    inputs: &'s [ScanInput],
    options: &'s ScanOptions<'s>,
    next: Mutex<Next>,
}

#[derive(Default)]
struct Next {
    order: u64,
    input: usize,
    /// The rest of a plain file of lines: the file, where the next part begins, and where the file
    /// ended when it was opened.
    rest: Option<(Arc<File>, u64, u64)>,
}

/// Where the bytes of a part come from.
pub(super) enum Bytes {
    /// A stretch of a plain file of lines; to its end if there is no end here.
    Stretch(Arc<File>, u64, Option<u64>),
    /// A whole file.
    Whole(Box<dyn Read + Send>),
    /// The file cannot be opened.
    None(FileOutcome),
}

impl<'s> Parts<'s> {
    pub(super) fn new(inputs: &'s [ScanInput], options: &'s ScanOptions<'s>) -> Parts<'s> {
        Parts {
            inputs,
            options,
            next: Mutex::default(),
        }
    }

    pub(super) fn options(&self) -> &'s ScanOptions<'s> {
        self.options
    }

    /// Returns the next part.
    pub(super) fn next(&self) -> Option<Part> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match next.rest.take() {
            Some(rest) => next.stretch(rest, self.options.part),
            None => {
                let input = self.inputs.get(next.input)?;
                let opened = match &input.open {
                    Some(file) => Ok(file.clone()),
                    None => open(&input.path).map(Arc::new),
                };
                match opened.and_then(|file| Ok((begins(&file)?, file))) {
                    Ok((Beginning::Lines(length), file)) => {
                        next.stretch((file, 0, length), self.options.part)
                    }
                    Ok((Beginning::File, file)) => Bytes::Whole(Box::new(Stretch::of(file, 0))),
                    Ok((Beginning::Stream, file)) => Bytes::Whole(Box::new(Shared(file))),
                    Err(why) => Bytes::None(FileOutcome {
                        failure: Some(ScanError::Open(why)),
                        ..FileOutcome::default()
                    }),
                }
            }
        };
        let part = Part {
            order: next.order,
            file: next.input,
            bytes,
        };
        next.order += 1;
        if next.rest.is_none() {
            next.input += 1;
        }
        Some(part)
    }
}

impl Next {
    fn stretch(&mut self, (file, from, end): (Arc<File>, u64, u64), part: u64) -> Bytes {
        let to = from.saturating_add(part);
        // The last one goes to wherever the file ends by then.
        let to = (to < end).then_some(to);
        self.rest = to.map(|to| (file.clone(), to, end));
        Bytes::Stretch(file, from, to)
    }
}

enum Beginning {
    /// A plain file of lines, of this length.
    Lines(u64),
    /// Another regular file.
    File,
    /// A pipe, or anything else that can be read only once.
    Stream,
}

fn begins(file: &File) -> io::Result<Beginning> {
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !about.is_file() {
        return Ok(Beginning::Stream);
    }
    let mut sample = [0; SAMPLE];
    let length = file.read_at(&mut sample, 0)?;
    let sample = sample.get(..length).unwrap_or_default();
    let is_packed = crate::record_reader::is_packed(sample);
    let is_lines = !is_packed && length == SAMPLE && format_of(sample) == Format::Json;
    Ok(match is_lines {
        true => Beginning::Lines(about.len()),
        false => Beginning::File,
    })
}

/// A file that is read from a place on, whatever others read of it.
pub(super) struct Stretch {
    file: Arc<File>,
    at: u64,
}

impl Stretch {
    pub(super) fn of(file: Arc<File>, at: u64) -> Stretch {
        Stretch { file, at }
    }
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

struct Shared(Arc<File>);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

/// Counts the bytes that are read.
pub(super) struct Counted<'c, R> {
    pub(super) input: R,
    pub(super) count: Option<&'c AtomicU64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        if let Some(sum) = self.count {
            sum.fetch_add(count as u64, Relaxed);
        }
        Ok(count)
    }
}
