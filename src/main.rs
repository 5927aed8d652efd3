//! Parses the command line, calls the app, and turns the outcome into an exit code. Nothing else.

use std::process::ExitCode;

use customs::app::{self, cli};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::parse().map_or_else(|code| code, app::run)
}
