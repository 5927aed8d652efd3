//! The limits on the size of a set. No single source is responsible for a set that is too large.

use crate::problem::{Code, Place, Problem};
use crate::source::{LoadedFile, LoadedSource};

/// The most policy files that a set may have.
pub const MAX_FILES: usize = 10_000;

/// The most bytes that a set may have.
pub const MAX_SET: usize = 64 * 1024 * 1024;

/// Checks the whole set before it is compiled.
///
/// # Errors
/// The set is too large, or has no policy at all.
pub(super) fn check(set: &[LoadedSource]) -> Result<(), Vec<Problem>> {
    let files = || set.iter().flat_map(LoadedSource::files);
    let bytes: usize = files().map(LoadedFile::bytes).sum();
    let names: Vec<&str> = set.iter().map(LoadedSource::name).collect();
    let place = Place::whole(names.join(", "));
    let error = |code, text: String, hint: &str| {
        Err(vec![Problem::error(code, place.clone(), text).hint(hint)])
    };
    if bytes > MAX_SET || files().count() > MAX_FILES {
        let text =
            format!("all sources together have more than {MAX_FILES} files or {MAX_SET} bytes");
        return error(Code::TooLarge, text, "remove files that are not policies");
    }
    if !set.iter().any(LoadedSource::has_policies) {
        let text = "there is no policy document".to_owned();
        return error(
            Code::NoPolicy,
            text,
            "add one; a file name ends in `.yaml` or `.yml` and not in `.cases.yaml`",
        );
    }
    Ok(())
}
