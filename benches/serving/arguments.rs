//! The command line: which parts, how many rounds, and the floors as which the benchmark starts
//! itself.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::floor::{Kind, Layout, TlsOptions};

/// What serving costs.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The parts to run, in this order [default: all of them]
    parts: Vec<Part>,
    #[command(flatten)]
    sizes: Sizes,
    /// Run few and small rounds, whatever the other arguments say, to see that everything works;
    /// the figures mean little
    #[arg(long)]
    pub quick: bool,
    /// Another build of customs, such as that of an earlier commit, which `cpu`, `latency`, `light`
    /// and `tls` measure as well
    #[arg(long, value_name = "BINARY")]
    pub earlier: Option<PathBuf>,
    /// Put data, tables and plots into docs/
    #[arg(long)]
    pub publish: bool,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Be a server that allows every check, on a port that is printed
    #[command(hide = true)]
    Floor {
        kind: Kind,
        layout: Layout,
        #[command(flatten)]
        tls: TlsOptions,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Cpu,
    Latency,
    Light,
    Overload,
    Tls,
    Tracing,
    Reload,
    Envoy,
    Memory,
}

/// How much is measured. Each part has one more round, the first, which warms up and is not
/// counted.
#[derive(Clone, Copy, Debug, Args, Serialize)]
pub(crate) struct Sizes {
    /// Rounds that count
    #[arg(long, default_value_t = 9)]
    pub rounds: usize,
    /// Checks that each server answers in a round of `cpu` or `tracing`, and in one of `tls`, where
    /// it gets a hundredth as many new connections
    #[arg(long, default_value_t = 200_000)]
    pub checks: u64,
    /// Seconds that each server or Envoy is asked in a round of the other parts
    #[arg(long, default_value_t = 3)]
    pub seconds: u64,
    /// Connections that ask Envoy, each with one request at a time
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
}

impl Arguments {
    pub(crate) fn parts(&self) -> Vec<Part> {
        if self.parts.is_empty() {
            Part::value_variants().to_vec()
        } else {
            self.parts.clone()
        }
    }

    pub(crate) fn sizes(&self) -> Sizes {
        if self.quick {
            Sizes {
                rounds: 2,
                checks: 20_000,
                seconds: 1,
                ..self.sizes
            }
        } else {
            self.sizes
        }
    }
}
