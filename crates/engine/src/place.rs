//! A place in a policy file, by which rules, problems and records name their source.
//!
//! It is a name and two numbers. Nothing here opens a file.

use std::fmt;
use std::sync::Arc;

/// A place in a policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as it is named to the user; a directory if no file is meant.
    pub file: Arc<str>,
    /// The line, from 1; 0 if the file as a whole is meant.
    pub line: u32,
    /// The column, from 1; 0 if the file as a whole is meant.
    pub column: u32,
}

impl Place {
    /// Returns the place of a file or directory as a whole.
    pub fn whole(file: impl Into<Arc<str>>) -> Place {
        Place {
            file: file.into(),
            line: 0,
            column: 0,
        }
    }

    /// Displays `file:line`, as rules are reported; the file alone if it is meant as a whole.
    pub fn file_and_line(&self) -> FileAndLine<'_> {
        FileAndLine(self)
    }
}

/// A place without its column.
#[derive(Clone, Copy, Debug)]
pub struct FileAndLine<'p>(&'p Place);

impl fmt::Display for FileAndLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.file)?;
        match self.0.line {
            0 => Ok(()),
            line => write!(f, ":{line}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}
