//! A policy directory that a test edits as a person or a tool would: whole files appear, change and
//! disappear.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The seed: namespace demo-frontend may not reach www.aliyun.com.
pub const SEED: &str = "deny-aliyun.yaml";
/// Another team's policy, which is unrelated to the seed.
pub const BASELINE: &str = "baseline.yaml";

/// A directory of policy files.
pub struct Policies {
    folder: PathBuf,
}

impl Policies {
    /// Creates an empty directory.
    pub fn create(folder: PathBuf) -> Result<Policies> {
        fs::create_dir_all(&folder)?;
        Ok(Policies { folder })
    }

    /// Returns the directory's path.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Copies a file of the repository's `policies/` into it.
    pub fn add(&self, name: &str) -> Result<()> {
        self.put(name, &shipped(name)?)
    }

    /// Writes a file by renaming it into place, as careful tools do, so that no reader sees half of
    /// it.
    pub fn put(&self, name: &str, text: &str) -> Result<()> {
        let half = self.folder.join(format!(".{name}.half"));
        fs::write(&half, text)?;
        fs::rename(&half, self.folder.join(name))
            .with_context(|| format!("cannot put {name} in place"))
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.folder.join(name)).with_context(|| format!("cannot remove {name}"))
    }

    /// Returns the names of the files, sorted.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            names.push(file?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

/// Returns the text of a policy that the repository ships.
pub fn shipped(name: &str) -> Result<String> {
    let path = crate::repository().join("policies").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}
