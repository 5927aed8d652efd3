//! The cost of serving: customs next to servers that allow everything, and a real Envoy that asks
//! one of them, or none.
//!
//! `make bench` runs it and docs/explanation/benchmarks-serving.md explains it. It measures and gives no opinion: lines
//! that were drawn beforehand are met or not, and the exit code is 0 either way. It differs only if
//! something could not be measured. The rule: what is compared runs at the same time, is asked in
//! turn, and every ratio is of one round.

#![allow(clippy::print_stdout, missing_docs)]

mod arguments;
mod connection;
mod cpu;
mod customs_server;
mod floor;
mod frames;
mod gateway;
mod latency;
mod light;
mod load;
mod memory;
mod output;
mod overload;
mod policies;
mod reload;
mod server;
mod session;
mod tls;
mod tracing;

use anyhow::Result;
use arguments::{Arguments, Command, Part};
use clap::Parser;
use customs_test_support::bench_report::document;
use customs_test_support::bench_report::findings::Findings;
use customs_test_support::bench_report::machine::Machine;

use session::Session;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Floor { kind, layout, tls }) => floor::run(kind, layout, &tls),
        None => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let mut session = Session::begin(arguments)?;
    let machine = Machine::look()?
        .with_tool("envoy", &session.envoy.version)
        .with_tool("h2load", &session.h2load.version);
    println!("{}\n", machine.sentence());
    let mut found = Vec::new();
    for part in arguments.parts() {
        let started = std::time::Instant::now();
        let findings = run(part, &mut session)?;
        println!(
            "{}: {:.0} s\n{}",
            findings.part,
            started.elapsed().as_secs_f64(),
            document::summary(&findings)
        );
        found.push(findings);
        // After each part, so that a long run that is ended early keeps its findings.
        output::write(&machine, arguments, &found)?;
    }
    println!("{}", document::lines(&found));
    if arguments.publish {
        output::publish()?;
    }
    Ok(())
}

fn run(part: Part, session: &mut Session) -> Result<Findings> {
    match part {
        Part::Cpu => cpu::measure(session),
        Part::Latency => latency::measure(session),
        Part::Light => light::measure(session),
        Part::Overload => overload::measure(session),
        Part::Tls => tls::measure(session),
        Part::Tracing => tracing::measure(session),
        Part::Reload => reload::measure(session),
        Part::Envoy => gateway::measure(session),
        Part::Memory => memory::measure(session),
    }
}
