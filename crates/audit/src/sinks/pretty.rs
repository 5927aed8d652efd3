//! Lines for people on a terminal, in the place of records: `stdout?format=pretty`.
//!
//! The rules: what is printed is not evidence, and says so, because no tool can read or verify it.
//! So it is refused where there is no terminal, such as in a container, whose output somebody may
//! keep as the audit log. The records that describe a stream of records are left out.

use std::fs::File;
use std::io::{self, IsTerminal, Write};

use super::Sink;
use super::stdout::Stdout;
use crate::config::PrettyOptions;
use customs_record::decode;
use customs_record::pretty;
use customs_record::stream::Format;

/// The first line.
const NOTICE: &str = "# These lines are for people: no tool can read or verify them. Add a sink such as \
                      `--audit file:PATH` to keep an audit log.\n";

/// The kinds that say nothing without the chain of their stream.
const LEFT_OUT: [&str; 2] = ["stream", "checkpoint"];

/// Nobody can read the lines at once.
#[derive(Debug, thiserror::Error)]
#[error("stdout is not a terminal")]
struct NoTerminalError;

/// A terminal that records are printed on.
pub(super) struct PrettySink<W> {
    name: String,
    out: W,
    is_coloured: bool,
    /// What the terminal has not taken yet of the lines up to the record that is printed.
    rest: Vec<u8>,
    /// Whether `rest` ends with the line of the next record.
    has_line: bool,
}

impl PrettySink<File> {
    /// Takes stdout over.
    ///
    /// # Errors
    /// If it is not a terminal, or cannot be written to.
    pub(super) fn open(name: String, options: PrettyOptions) -> io::Result<PrettySink<File>> {
        if !io::stdout().is_terminal() {
            return Err(io::Error::other(NoTerminalError));
        }
        let out = Stdout::open(name.clone())?.into_file();
        Ok(PrettySink::new(name, out, options))
    }
}

impl<W: Write> PrettySink<W> {
    fn new(name: String, out: W, options: PrettyOptions) -> PrettySink<W> {
        PrettySink {
            name,
            out,
            is_coloured: options.is_coloured,
            rest: NOTICE.into(),
            has_line: false,
        }
    }

    /// Returns the line for a record, which is empty for one that is left out.
    fn line(&self, bytes: &[u8]) -> String {
        match decode::record(Format::Json, bytes) {
            Ok(record) if LEFT_OUT.contains(&record.kind.as_str()) => String::new(),
            Ok(record) => pretty::line(&record, self.is_coloured) + "\n",
            // The writer of the stream makes no such line.
            Err(_) => format!("{}\n", pretty::visible(&String::from_utf8_lossy(bytes))),
        }
    }
}

impl<W: Write + Send> Sink for PrettySink<W> {
    fn name(&self) -> &str {
        &self.name
    }

    /// Takes one record. If the terminal takes only a part of its line, the rest is written first
    /// when the writer brings the record again.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(bytes.len(), |end| end + 1);
        let record = bytes.get(..length).unwrap_or_default();
        if !self.has_line {
            let line = self.line(record);
            self.rest.extend_from_slice(line.as_bytes());
            self.has_line = true;
        }
        while !self.rest.is_empty() {
            match self.out.write(&self.rest)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => drop(self.rest.drain(..taken)),
            }
        }
        self.has_line = false;
        Ok(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes, then is busy once, and so on.
    #[derive(Default)]
    struct Slow {
        taken: Vec<u8>,
        is_busy: bool,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.is_busy = !self.is_busy;
            if self.is_busy {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let some = &bytes[..bytes.len().min(7)];
            self.taken.extend_from_slice(some);
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const RECORDS: &str = concat!(
        r#"{"kind":"stream","stream":"s1","sink":"stdout"}"#,
        "\n",
        r#"{"kind":"decision","time":"2026-11-23T12:00:00Z","effect":"deny","verdict":"deny","namespace":"shop","serviceAccount":"web","host":"a.example","port":443,"method":"GET","path":"/","reason":"denied_by_rule"}"#,
        "\n",
    );

    const LINE: &str =
        "2026-11-23T12:00:00.000Z deny         shop/web -> a.example:443 GET / denied_by_rule\n";

    fn print<W: Write + Send>(sink: &mut PrettySink<W>) {
        let mut left = RECORDS.as_bytes();
        while !left.is_empty() {
            match sink.write(left) {
                Ok(taken) => left = &left[taken..],
                Err(why) => assert_eq!(why.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }

    #[test]
    fn a_record_is_a_line_for_people_after_a_notice() {
        let options = PrettyOptions::default();
        let mut sink = PrettySink::new("stdout".into(), Vec::new(), options);
        print(&mut sink);
        assert_eq!(
            String::from_utf8(sink.out).unwrap(),
            format!("{NOTICE}{LINE}")
        );
    }

    #[test]
    fn a_terminal_that_takes_little_gets_each_line_once() {
        let options = PrettyOptions::default();
        let mut sink = PrettySink::new("stdout".into(), Slow::default(), options);
        print(&mut sink);
        let text = String::from_utf8(sink.out.taken).unwrap();
        assert_eq!(text, format!("{NOTICE}{LINE}"));
    }

    #[test]
    fn colours_are_for_terminals_that_take_them() {
        let options = PrettyOptions { is_coloured: true };
        let mut sink = PrettySink::new("stdout".into(), Vec::new(), options);
        print(&mut sink);
        let text = String::from_utf8(sink.out).unwrap();
        assert!(text.contains("\u{1b}[1;31mdeny"), "{text:?}");
    }
}
