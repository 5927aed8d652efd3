//! What the grants of the week open, before and after `customs suggest`: for each account, how many
//! of the hosts that anybody reached it may reach.
//!
//! The engine is asked, and nothing is read from the text of policies. The rule: a host counts as
//! open to an account if one of the requests that somebody made to it would be allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use customs_engine::effect::Effect;
use customs_engine::request::{Attributes, HttpAttributes};
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};
use customs_record::scan::{self, RecordFold, ScanInput, ScanOptions, ScannedRecord};
use customs_test_support::bench_report::document::{count, take_in};
use customs_test_support::bench_report::picture::{colour, document, line, text};
use customs_test_support::repository;
use customs_test_support::week::WeekPaths;

/// How many different requests to a host are asked.
const REQUESTS: usize = 8;

/// The document with the table, the name of its marks, and the picture.
const DOCUMENT: &str = "docs/BENCHMARKS.md";
const MARKS: &str = "grants";
const PICTURE: &str = "docs/benchmarks/grants.svg";

/// One request, without its caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    is_tcp: bool,
    raw_host: String,
    method: String,
    path: String,
}

/// Who crossed, and where to.
#[derive(Debug, Default)]
struct Seen {
    /// The hosts that each principal reached.
    reached: BTreeMap<(String, String), BTreeSet<String>>,
    /// Requests to each host.
    shapes: BTreeMap<String, BTreeSet<Shape>>,
    last: i128,
}

impl RecordFold for Seen {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        let (head, decision) = (&record.fields.head, &record.fields.decision);
        if head.kind != "decision" || decision.identity != "valid" || decision.effect != "allow" {
            return;
        }
        if let Some(time) = head.time {
            let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
            self.last = self.last.max(nanos);
        }
        let caller = (
            decision.namespace.to_string(),
            decision.principal.to_string(),
        );
        let host = decision.host.to_string();
        let shapes = self.shapes.entry(host.clone()).or_default();
        if shapes.len() < REQUESTS {
            shapes.insert(Shape {
                is_tcp: decision.protocol == "tcp",
                raw_host: decision.raw_host.to_string(),
                method: decision.method.to_string(),
                path: decision.path.to_string(),
            });
        }
        self.reached.entry(caller).or_default().insert(host);
    }

    fn weight(&self) -> usize {
        64 * self.reached.values().map(BTreeSet::len).sum::<usize>()
    }
}

impl Seen {
    fn merge(&mut self, other: Seen) {
        self.last = self.last.max(other.last);
        for (caller, hosts) in other.reached {
            self.reached.entry(caller).or_default().extend(hosts);
        }
        for (host, shapes) in other.shapes {
            let own = self.shapes.entry(host).or_default();
            let room = REQUESTS.saturating_sub(own.len());
            own.extend(shapes.into_iter().take(room));
        }
    }

    /// Returns how many hosts a caller may reach.
    fn open(&self, snapshot: &Snapshot, principal: &str) -> usize {
        let is_open = |shapes: &&BTreeSet<Shape>| {
            shapes
                .iter()
                .any(|shape| is_allowed(snapshot, principal, shape, self.last))
        };
        self.shapes.values().filter(is_open).count()
    }
}

fn is_allowed(snapshot: &Snapshot, principal: &str, shape: &Shape, now: i128) -> bool {
    let attributes = Attributes {
        source_principal: principal,
        has_address: true,
        listener_port: Some(8443),
        service: if shape.is_tcp { &shape.raw_host } else { "" },
        http: (!shape.is_tcp).then(|| HttpAttributes {
            method: &shape.method,
            path: &shape.path,
            host: &shape.raw_host,
            scheme: "https",
            ..HttpAttributes::default()
        }),
        ..Attributes::default()
    };
    let request = attributes.normalise(snapshot.settings());
    snapshot.decide(&request, UnixNanos(now)).verdict.effect() == Effect::Allow
}

/// What is open to the accounts of a namespace.
#[derive(Debug, Default)]
struct Row {
    accounts: usize,
    used: usize,
    before: usize,
    after: usize,
    entries_before: usize,
    entries_after: usize,
}

/// Compares, and prints a table in Markdown.
pub(crate) fn run(week: &Path, suggested: &Path, publishes: bool) -> Result<()> {
    let paths = WeekPaths::of(week);
    let inputs: Vec<ScanInput> = paths.segments()?.into_iter().map(ScanInput::from).collect();
    let mut seen = Seen::default();
    let outcome = scan::scan(
        &inputs,
        &ScanOptions::default(),
        |_| Seen::default(),
        |part| {
            seen.merge(part);
            ControlFlow::Continue(())
        },
    );
    ensure!(
        outcome.files.iter().all(|file| file.failure.is_none()),
        "a file cannot be read"
    );
    let (before, after) = (load(&paths.policies())?, load(suggested)?);
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for ((namespace, principal), hosts) in &seen.reached {
        let row = rows.entry(namespace).or_default();
        row.accounts += 1;
        row.used += hosts.len();
        row.before += seen.open(&before, principal);
        row.after += seen.open(&after, principal);
    }
    for (namespace, row) in &mut rows {
        row.entries_before = entries(&before, namespace);
        row.entries_after = entries(&after, namespace);
    }
    let table = table(&rows, seen.shapes.len());
    println!("{table}");
    if publishes {
        let page = repository().join(DOCUMENT);
        let old = fs::read_to_string(&page)?;
        let new =
            take_in(&old, MARKS, &table).context("docs/BENCHMARKS.md has no marks of grants")?;
        fs::write(&page, new)?;
        fs::write(repository().join(PICTURE), picture(&rows))?;
    }
    Ok(())
}

/// Returns how many `allow` entries the policies of a namespace have.
fn entries(snapshot: &Snapshot, namespace: &str) -> usize {
    let own = format!("ep:{namespace}/");
    let grants = snapshot.rules().grants.iter();
    grants
        .filter(|rule| rule.info.id.to_string().starts_with(&own))
        .count()
}

/// Compiles the policy files of a directory.
fn load(directory: &Path) -> Result<Snapshot> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    let file = |path: PathBuf| -> Result<PolicyFile> {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(PolicyFile {
            name,
            bytes: fs::read(&path)?.into(),
        })
    };
    let source = Source {
        name: directory.display().to_string(),
        files: paths.into_iter().map(file).collect::<Result<_>>()?,
        ..Source::default()
    };
    let settings = Settings::default();
    match compile::compile(&[source::load(&source, &settings)], &settings) {
        Ok(compiled) => Ok(compiled.snapshot),
        Err(problems) => anyhow::bail!("{}: {problems:?}", directory.display()),
    }
}

fn table(rows: &BTreeMap<&str, Row>, hosts: usize) -> String {
    let number = |number: usize| count(number as f64);
    let mut out = format!(
        "Pairs of an account and one of the {} hosts that were reached in the week:\n\n\
         | namespace | accounts | used | open before | open after | `allow` entries before | after |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        number(hosts)
    );
    let mut sum = Row::default();
    let mut add = |name: &str, row: &Row| {
        out.push_str(&format!(
            "| {name} | {} | {} | {} | {} | {} | {} |\n",
            number(row.accounts),
            number(row.used),
            number(row.before),
            number(row.after),
            number(row.entries_before),
            number(row.entries_after)
        ));
    };
    for (namespace, row) in rows {
        add(namespace, row);
        sum.accounts += row.accounts;
        sum.used += row.used;
        sum.before += row.before;
        sum.after += row.after;
        sum.entries_before += row.entries_before;
        sum.entries_after += row.entries_after;
    }
    add("**all**", &sum);
    out
}

/// Draws two bars for each namespace: what was open, and what is.
fn picture(rows: &BTreeMap<&str, Row>) -> String {
    const LEFT: f64 = 110.0;
    const WIDE: f64 = 560.0;
    const HIGH: f64 = 22.0;
    const TOP: f64 = 56.0;
    let most = rows
        .values()
        .map(|row| row.before.max(row.after))
        .max()
        .unwrap_or(1) as f64;
    let mut content = text(
        LEFT,
        44.0,
        "start",
        "open before (blue) and after (orange), used (line)",
    );
    for (place, (namespace, row)) in rows.iter().enumerate() {
        let top = TOP + HIGH * place as f64;
        content.push_str(&text(LEFT - 8.0, top + 14.0, "end", namespace));
        for (nth, pairs) in [row.before, row.after].into_iter().enumerate() {
            content.push_str(&format!(
                "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"8\" fill=\"{}\"/>\n",
                top + 1.0 + 9.0 * nth as f64,
                pairs as f64 / most * WIDE,
                colour(nth)
            ));
        }
        let used = LEFT + row.used as f64 / most * WIDE;
        content.push_str(&line("interval", [used, top, used, top + 19.0]));
        let label = format!("{} to {}", row.before, row.after);
        let end = LEFT + row.before.max(row.after) as f64 / most * WIDE;
        content.push_str(&text(end + 6.0, top + 14.0, "start", &label));
    }
    let height = TOP + HIGH * rows.len() as f64 + 12.0;
    document(
        height,
        "Hosts open to the accounts of each namespace",
        &content,
    )
}
