//! Runs one command after the other, and looks at each as Linux sees it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use customs_test_support::bench_report::document::count;
use customs_test_support::bench_report::proc::{CpuTime, Memory};
use customs_test_support::week::{WeekPaths, WeekSummary};

use crate::MeasureArgs;
use crate::commands::{self, Measured};

/// The time between two looks at a process.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a command took.
#[derive(Debug)]
struct Taken {
    seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
    code: Option<i32>,
    errors: String,
}

/// Measures the commands of a week and prints a table in Markdown.
pub(crate) fn run(args: &MeasureArgs) -> Result<()> {
    let paths = WeekPaths::of(&args.directory);
    let summary = WeekSummary::read(&paths)?;
    let records: u64 = summary.records.values().sum();
    let (gigabytes, size) = (summary.bytes as f64 / 1e9, size_of_files(&paths)?);
    let customs = args
        .customs
        .clone()
        .unwrap_or_else(customs_test_support::customs_binary);
    let scratch = args
        .scratch
        .clone()
        .unwrap_or_else(|| args.directory.join("scratch"));
    println!(
        "{} records, {gigabytes:.2} GB ({:.2} GB in files), {} cores, {}\n",
        count(records as f64),
        size as f64 / 1e9,
        thread::available_parallelism()?,
        customs.display(),
    );
    println!("| command | wall | CPU | cores | peak memory | GB a minute | GB a minute and core |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for measured in commands::of(&paths, &scratch)? {
        let is_chosen = |word: &String| measured.name.contains(word.as_str());
        if !args.only.is_empty() && !args.only.iter().any(is_chosen) {
            continue;
        }
        fs::create_dir_all(&scratch)?;
        let taken = take(&customs, &measured, &scratch)?;
        println!("{}", row(&measured, &taken, gigabytes));
        fs::remove_dir_all(&scratch)?;
    }
    Ok(())
}

fn size_of_files(paths: &WeekPaths) -> Result<u64> {
    let sizes = paths
        .segments()?
        .into_iter()
        .map(|path| Ok(fs::metadata(path)?.len()));
    sizes.sum()
}

fn row(measured: &Measured, taken: &Taken, gigabytes: f64) -> String {
    let Taken {
        seconds,
        cpu_seconds,
        peak_mib,
        code,
        errors,
    } = taken;
    let name = measured.name;
    if *code == Some(2) && errors.contains("unrecognized subcommand") {
        return format!("| {name} | not in this build | | | | | |");
    }
    if !code.is_some_and(|code| measured.codes.contains(&code)) {
        let last = errors.lines().last().unwrap_or_default();
        return format!("| {name} | failed: exit code {code:?}, {last} | | | | | |");
    }
    format!(
        "| {name} | {seconds:.1} s | {cpu_seconds:.1} s | {:.2} | {peak_mib:.0} MiB | {:.2} | {:.2} |",
        cpu_seconds / seconds,
        gigabytes * 60.0 / seconds,
        gigabytes * 60.0 / cpu_seconds,
    )
}

fn take(customs: &PathBuf, measured: &Measured, scratch: &std::path::Path) -> Result<Taken> {
    let log = scratch.join("stderr");
    let started = Instant::now();
    let mut child = Command::new(customs)
        .args(&measured.arguments)
        .stdin(Stdio::null())
        .stdout(fs::File::create(scratch.join("stdout"))?)
        .stderr(fs::File::create(&log)?)
        .spawn()
        .with_context(|| customs.display().to_string())?;
    let (mut cpu, mut peak) = (0, 0.0);
    // A process that has ended keeps its CPU time until it is waited for, but not its memory.
    while !has_ended(child.id())? {
        if let Ok(memory) = Memory::of(child.id()) {
            peak = memory.peak;
        }
        if let Ok(time) = CpuTime::of(child.id()) {
            cpu = time.since(&CpuTime::default());
        }
        thread::sleep(LOOK_EVERY);
    }
    let seconds = started.elapsed().as_secs_f64();
    // Threads that ended before are counted here, in hundredths of a second.
    let whole = whole_cpu_seconds(child.id())?;
    let status = child.wait()?;
    Ok(Taken {
        seconds,
        cpu_seconds: whole.max(cpu as f64 / 1e9),
        peak_mib: peak,
        code: status.code(),
        errors: fs::read_to_string(log)?,
    })
}

/// Returns the fields of `/proc/PID/stat` that follow the name of the program.
fn stat(process: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, rest) = text
        .rsplit_once(") ")
        .context("/proc/PID/stat has no name")?;
    Ok(rest.split(' ').map(str::to_owned).collect())
}

fn has_ended(process: u32) -> Result<bool> {
    Ok(stat(process)?.first().is_some_and(|state| state == "Z"))
}

/// Returns the CPU time of all threads that a process ever had.
fn whole_cpu_seconds(process: u32) -> Result<f64> {
    let fields = stat(process)?;
    let ticks = |at: usize| -> Result<f64> {
        let field = fields.get(at).context("/proc/PID/stat is short")?;
        Ok(field.parse()?)
    };
    // `utime` and `stime` are the fields 14 and 15; Linux counts 100 ticks a second.
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}
