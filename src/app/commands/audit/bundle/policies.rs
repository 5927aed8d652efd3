//! The policies of a bundle: an archive of its own with the revisions that the records name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::files::{self, BundleFileError};
use super::{BundleFile, POLICIES};
use customs_sources::policy_archive::{PolicyArchive, PolicyArchiveError};

/// Why policies cannot be added.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddPoliciesError {
    /// The archive does not have a revision whole.
    #[error(transparent)]
    Archive(#[from] PolicyArchiveError),
    /// The bundle cannot be written.
    #[error(transparent)]
    Bundle(#[from] BundleFileError),
}

/// Copies revisions from an archive. Returns the revisions that it does not have; damage is an
/// error.
///
/// # Errors
/// If a revision is damaged, or the bundle cannot be written.
pub(super) fn add(
    root: &Path,
    archive: &PolicyArchive,
    revisions: &BTreeSet<String>,
    files: &mut BTreeSet<BundleFile>,
) -> Result<Vec<String>, AddPoliciesError> {
    let mut missing = Vec::new();
    let mut objects = BTreeSet::new();
    for revision in revisions {
        let manifest = match archive.manifest(revision) {
            Ok(manifest) => manifest,
            Err(PolicyArchiveError::UnknownRevision { .. }) => {
                missing.push(revision.clone());
                continue;
            }
            Err(why) => return Err(why.into()),
        };
        for file in manifest.files() {
            let bytes = archive.object(file)?;
            if objects.insert(file.sha256.clone()) {
                let name = format!("{POLICIES}/objects/sha256/{}", file.sha256);
                files.insert(files::write(root, &name, &bytes)?);
            }
        }
        let path = archive.manifest_path(revision);
        let text = fs::read(&path).map_err(files::at(&path))?;
        let name = format!("{POLICIES}/revisions/{revision}.json");
        files.insert(files::write(root, &name, &text)?);
    }
    Ok(missing)
}
