//! Parses the command line, calls the app, and turns the outcome into an exit code. Nothing else.

use std::process::ExitCode;

use clap::Parser;
use customs::app::{self, cli::Cli};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    app::run(Cli::parse())
}
