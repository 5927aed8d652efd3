//! What `customs lint` looks at: directories, files, and stdin. A file that is named is looked at
//! whatever its name ends with; in a directory the rules of a server apply.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::super::sources::{self, PolicyText};
use customs_policy::document::MAX_FILE;
use customs_policy::problem::{Code, Place, Problem};
use customs_sources::PolicyDirectory;

/// The argument for stdin.
const STDIN: &str = "-";
/// The name of stdin in problems.
const STDIN_NAME: &str = "<stdin>";

/// Directories, and texts of single files.
pub(super) struct LintInput {
    /// The directories.
    pub directories: Vec<PolicyDirectory>,
    /// The files and stdin.
    pub texts: Vec<PolicyText>,
    /// The name of the text that came from stdin.
    pub stdin: Option<String>,
    /// The files that cannot be read.
    pub problems: Vec<Problem>,
}

impl LintInput {
    /// Reads the files among the paths, and stdin if it is one of them or has a name.
    pub(super) fn read(paths: &[PolicyDirectory], stdin_name: Option<&PathBuf>) -> LintInput {
        let mut input = LintInput {
            directories: Vec::new(),
            texts: Vec::new(),
            stdin: None,
            problems: Vec::new(),
        };
        for path in paths {
            if path.path() == Path::new(STDIN) {
                input.read_stdin(stdin_name);
            } else if path.path().is_file() && !path.holds_namespaces() {
                let name = path.path().display().to_string();
                input.add(name.clone(), sources::policy_bytes(path.path(), name));
            } else {
                input.directories.push(path.clone());
            }
        }
        if stdin_name.is_some() && input.stdin.is_none() {
            input.read_stdin(stdin_name);
        }
        input
    }

    fn read_stdin(&mut self, name: Option<&PathBuf>) {
        let name = name.map_or(STDIN_NAME.to_owned(), |name| name.display().to_string());
        self.stdin = Some(name.clone());
        let bytes = stdin(&name);
        self.add(name, bytes);
    }

    fn add(&mut self, path: String, bytes: Result<Vec<u8>, Box<Problem>>) {
        match bytes {
            Ok(bytes) => self.texts.push(PolicyText {
                path,
                bytes: bytes.into(),
            }),
            Err(problem) => self.problems.push(*problem),
        }
    }
}

fn stdin(name: &str) -> Result<Vec<u8>, Box<Problem>> {
    let problem =
        |code, what: String| Box::new(Problem::error(code, Place::whole(name.to_owned()), what));
    let mut bytes = Vec::new();
    let read = io::stdin()
        .take(MAX_FILE as u64 + 1)
        .read_to_end(&mut bytes);
    match read {
        Err(why) => Err(problem(
            Code::Unreadable,
            format!("stdin cannot be read: {why}"),
        )),
        Ok(length) if length > MAX_FILE => Err(problem(
            Code::TooLarge,
            format!("stdin holds more than {MAX_FILE} bytes"),
        )),
        Ok(_) => Ok(bytes),
    }
}
