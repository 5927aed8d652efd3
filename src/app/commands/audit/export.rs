//! `customs audit export`: writes records as Parquet files, for query engines.
//!
//! The command is in every build, so that its help is; the feature `parquet` has the work. It reads
//! as the other tools do: what is not a record is counted, and a file that cannot be read fails the
//! command, and the others are exported all the same.

use std::process::ExitCode;

use crate::app::cli::ExportArgs;

#[cfg(feature = "parquet")]
mod parquet_files;

/// Exports, and prints what was made.
#[cfg(feature = "parquet")]
pub(super) fn run(args: &ExportArgs) -> ExitCode {
    parquet_files::run(args)
}

/// Says where to find a build that exports.
#[cfg(not(feature = "parquet"))]
pub(super) fn run(_args: &ExportArgs) -> ExitCode {
    super::print_error(
        "this build has no `audit export`: use the customs of a release, or build it with \
         `cargo build --release --features parquet`",
    );
    ExitCode::from(crate::app::BAD_SETTING)
}
