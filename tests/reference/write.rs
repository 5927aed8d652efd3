//! Writes the generated pages of docs/reference: `make reference`.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

use std::path::Path;
use std::process::ExitCode;

use customs::app::reference;

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    match write(&folder) {
        Ok(written) => {
            println!("{written} pages of {} changed", folder.display());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("write-reference: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the pages whose text is another, and returns how many those are.
fn write(folder: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    let mut written = 0;
    for page in reference::pages()? {
        let path = folder.join(page.file);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(page.text.as_str()) {
            std::fs::write(path, page.text)?;
            written += 1;
        }
    }
    Ok(written)
}
